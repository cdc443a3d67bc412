"""A release's firmware, rolled out to an emulated node: taken, gone back from, or never sent."""

from __future__ import annotations

import struct

import pytest
from examples.demo.chain import NODE_BIN, Chain
from tests.e2e.conftest import NODE, TYPE
from tests.models import livestock
from tests.servers import wait_for

from tinyfleet.fleet.api.schemas import DeploymentOut
from tinyfleet.wire.enums import Result
from tinyfleet.wire.firmware import read_facts

pytestmark = [pytest.mark.qemu, pytest.mark.broker, pytest.mark.timeout(180)]

SETTLED_S = 90.0


def roll_out(chain: Chain, release: str, version: str) -> DeploymentOut:
    with chain.client() as client:
        begun = client.start_rollout(release, version)
        wait_for("the rollout's end", lambda: client.rollout(begun.id).rollout.state != "RUNNING", SETTLED_S)
        (deployment,) = client.rollout(begun.id).deployments
        return deployment


def runs(chain: Chain) -> tuple[object, object]:
    """Firmware version and model image, by the last birth."""
    with chain.client() as client:
        device = client.device(NODE).device
        return device.firmware_version, device.model_version


def broken(binary: bytes) -> bytes:
    """Waits for ever at its first instruction."""
    at = struct.unpack_from("<I", binary, 4)[0] - 1 - read_facts(binary).origin
    return binary[:at] + b"\xfe\xe7" + binary[at + 2 :]


def test_firmware_and_model_go_out_together_and_a_bad_one_comes_back(chain: Chain) -> None:
    good, model = NODE_BIN.read_bytes(), livestock("v1", vectors=4)
    with chain.client() as client:
        made = client.create_release_set(
            [model, good], device_type=TYPE, name="field", version="1.0.0", needs_firmware="0.1.0"
        )
    assert {artifact.kind for artifact in made.artifacts} == {"MODEL", "FIRMWARE"}
    done = roll_out(chain, "field", "1.0.0")
    assert (done.state, done.detail) == ("SUCCEEDED", "")
    firmware, before = runs(chain)
    assert firmware == "0.1.0" and before is not None

    with chain.client() as client:
        client.create_release_set([good], device_type=TYPE, name="fw", version="0.2.0")
    node = chain.nodes[0]
    assert roll_out(chain, "fw", "0.2.0").state == "SUCCEEDED"
    assert runs(chain) == ("0.2.0", before)
    assert node.console().count("on trial") >= 1

    with chain.client() as client:
        client.create_release_set([broken(good)], device_type=TYPE, name="fw", version="0.3.0")
    failed = roll_out(chain, "fw", "0.3.0")
    assert (failed.state, failed.result_code) == ("FAILED", int(Result.BOOT_FAILED))
    wait_for("the birth of the firmware before", lambda: runs(chain) == ("0.2.0", before))

    # A release whose counter was raised closes the way back to what came before it, with nothing on air.
    with chain.client() as client:
        client.create_release_set([good], device_type=TYPE, name="fw", version="0.4.0", security_fix=True)
    assert roll_out(chain, "fw", "0.4.0").state == "SUCCEEDED"
    wait_for("the birth of the fix", lambda: runs(chain) == ("0.4.0", before))
    refused = roll_out(chain, "fw", "0.2.0")
    assert (refused.state, refused.result_code) == ("REJECTED", int(Result.DOWNGRADE))
    assert runs(chain) == ("0.4.0", before)
