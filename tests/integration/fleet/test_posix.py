"""A Linux computer in the fleet: provisioned by the command, reached by TLS, its inferences in metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.models import LIVESTOCK, livestock
from tests.posix_node import PosixNode
from tests.servers import wait_for

pytestmark = pytest.mark.broker


def test_a_process_is_provisioned_updated_and_counted(shared_fleet: Any, tmp_path: Path) -> None:
    node = PosixNode(tmp_path / "node")
    provision = (
        *("device", "provision", "gateway", "--device-type", "posix", "--flash", str(node.flash), "--tls"),
        *("--site", "barn", "--node-host", "127.0.0.1", "--period", "1", "--window-ms", "20"),
        *("--replay", str(LIVESTOCK / "replay.npz"), "--replay-card", str(LIVESTOCK / "livestock_v1.json")),
    )
    done = shared_fleet.cli(*provision)
    assert done.returncode == 0, done.stderr
    assert "written to" in done.stdout and "trust" in done.stdout
    node.start()
    try:
        refused = shared_fleet.cli(*provision)
        assert refused.returncode != 0 and "is in use" in refused.stderr
        node.wait_for_line("tls: open")
        wait_for("it to be online", lambda: shared_fleet.client.device("gateway").device.state == "ONLINE")
        shared_fleet.client.create_release(livestock("v1", vectors=8), device_type="posix")
        rollout = shared_fleet.client.start_rollout("livestock")
        wait_for("the rollout to succeed", lambda: shared_fleet.rollout_state(rollout.id) == "SUCCEEDED")
        count = re.compile(r'tinyfleet_inferences_total\{[^}]*model="livestock"[^}]*site="barn"\} [1-9]')
        wait_for("its inferences", lambda: count.search(shared_fleet.client.metrics()))
        text = shared_fleet.client.metrics()
        series = re.findall(r'tinyfleet_inference_duration_seconds_count\{[^}]*site="barn"[^}]*\}', text)
        assert series and all('timing="wall"' in one for one in series), series
        device = shared_fleet.client.device("gateway").device
        assert device.emulated is False and device.model_version == "1.0.0"
    finally:
        node.stop()
        print(node.console(since_start=False))
