"""A real, signed model that a device's birth speaks against: refused by the manager, unheard by the node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.servers import wait_for


def test_a_model_too_large_for_the_arena_is_never_offered(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    fleet.node("node1")
    wait_for("its birth", lambda: fleet.client.device("node1").birth)
    fleet.client.create_release(make_model(arena_bytes=1 << 20), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    assert (rollout.state, rollout.why) == ("FAILED", "1 of 1 devices: result 64 ARENA_TOO_SMALL")
    detail = fleet.client.rollout(rollout.id).deployments[0]
    assert (detail.state, detail.result) == ("REJECTED", "ARENA_TOO_SMALL")
    assert "1048576 bytes, the node has 65536" in detail.detail
    assert fleet.client.health().pending == 0, "nothing is to be published"
    assert fleet.client.device("node1").device.generation == 0
