"""Windows asked for on the command line, sent by an emulated node over TLS, exported, opened with numpy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from examples.demo.chain import LIVESTOCK, Chain
from tests.e2e.conftest import NODE, TYPE
from tests.models import livestock
from tests.servers import wait_for

pytestmark = [pytest.mark.qemu, pytest.mark.broker, pytest.mark.timeout(180)]

WAIT_S = 60.0


def tinyfleet(chain: Chain, *arguments: str, status: int = 0) -> str:
    command = [sys.executable, "-m", "tinyfleet", *arguments, "--state", str(chain.folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def metric(chain: Chain, name: str) -> float:
    with chain.client() as client:
        lines = [line for line in client.metrics().splitlines() if line.startswith(name)]
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


def test_windows_asked_for_arrive_byte_for_byte_and_open_with_numpy(chain: Chain, tmp_path: Path) -> None:
    with chain.client() as client:
        client.create_release(livestock("v1", vectors=4), device_type=TYPE, name="field", version="1.0.0")
        begun = client.start_rollout("field")
        wait_for("the rollout's end", lambda: client.rollout(begun.id).rollout.state != "RUNNING", WAIT_S)
        image = client.device(NODE).device.model
        wait_for("inferences", lambda: metric(chain, "tinyfleet_inferences_total") >= 5, WAIT_S)
        assert client.samples() == [], "none unless asked for"
        assert "ask a device for some" in tinyfleet(chain, "samples", "list")
        refused = tinyfleet(chain, "device", "capture", NODE, status=1)
        assert "name a budget by --per-day and --day-bytes" in refused

        told = tinyfleet(chain, "device", "capture", NODE, "--per-day", "4", "--day-bytes", "100000")
        assert "sends windows, at most 4 and 100000 bytes a day" in told
        wait_for("four windows", lambda: len(client.samples()) == 4, WAIT_S)
        # The budget holds, and what it kept back is told.
        wait_for("windows kept back", lambda: metric(chain, "tinyfleet_samples_skipped_total") >= 4, WAIT_S)
        assert len(client.samples()) == 4 and metric(chain, "tinyfleet_samples_captured_total") == 4
        assert client.quarantine() == []
        assert client.rollout(begun.id).rollout.state == "SUCCEEDED", "no rollout noticed"

    listed = tinyfleet(chain, "samples", "list")
    assert listed.count(NODE) == 4 and "accelerometer (mg)" in listed and "128 x 3 at 25 Hz" in listed
    path = tmp_path / "samples.npz"
    assert "4 windows written" in tinyfleet(chain, "samples", "export", str(path), "--device", NODE)
    with np.load(LIVESTOCK / "replay.npz") as kept, np.load(path, allow_pickle=False) as stored:
        recorded = [window.tobytes() for window in kept["windows"].astype("<i2")]
        assert all(window.tobytes() in recorded for window in stored["windows"])
        assert stored["windows"].shape == (4, 128, 3) and set(stored["model"]) == {image}
        assert list(stored["labels"]) == (LIVESTOCK / "labels.txt").read_text().split()
        assert [int(row.argmax()) for row in stored["scores"]] == list(stored["predicted"])

    assert "sends no windows from now on" in tinyfleet(chain, "device", "capture", NODE, "--off")
    assert "4 windows removed" in tinyfleet(chain, "samples", "remove", "--device", NODE, "--yes")
    assert "no such windows" in tinyfleet(chain, "samples", "export", str(path), status=1)
