"""A whole fleet in a folder of its own, as a person starts it: `tinyfleet up` on free ports."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from simulated_node import Flash, SimulatedNode

from tinyfleet.fleet.adapters.process import read_pid
from tinyfleet.fleet.api.schemas import ProvisionIn
from tinyfleet.fleet.client import FleetClient
from tinyfleet.fleet.state import State
from tinyfleet.wire.artifact import (
    Artifact,
    Dtype,
    Endpoint,
    Metadata,
    OutputKind,
    Place,
    Tensor,
    encode_artifact,
)
from tinyfleet.wire.enums import CoreVariant
from tinyfleet.wire.messages import NodeConfig, Trust
from tinyfleet.wire.records import decode_record

UNTIL_S = 20.0


def wait_for(what: str, condition: Callable[[], Any], timeout_s: float = UNTIL_S) -> Any:
    """The first true value of `condition`; an error naming what was waited for, in vain."""
    until = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}; last value {value!r}")
        time.sleep(0.02)


class RunningFleet:
    """`tinyfleet up` as a child of the test."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.state = State(folder)
        self._options = options
        self._nodes: list[SimulatedNode] = []
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "tinyfleet.fleet", "up"),
                    *("--state", str(self.folder), *self._options),
                ],
                stdout=log,
                stderr=log,
            )
        process = self.process
        wait_for(
            "the fleet to be up",
            lambda: process.poll() is not None or (self.folder / "endpoints.json").exists(),
        )
        if process.poll() is not None:
            raise AssertionError((self.folder / "up.log").read_text())
        self.client = FleetClient.of_state(self.folder)

    def node(self, name: str, flash: Flash | None = None, **options: Any) -> SimulatedNode:
        """Provisions a device and switches a simulated node on."""
        done = self.client.provision(ProvisionIn(id=name, device_type="mps2-an386", site="test"))
        node = SimulatedNode(
            decode_record(Trust, base64.b64decode(done.trust)),
            decode_record(NodeConfig, base64.b64decode(done.config)),
            Flash() if flash is None else flash,
            **options,
        ).start()
        self._nodes.append(node)
        wait_for(f"{name} to be online", lambda: self.client.device(name).device.state == "ONLINE")
        return node

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        """Kills one program of the fleet and waits until it is gone."""
        pid = read_pid(self.state.run / f"{name}.json")
        assert pid is not None, f"no {name} runs"
        assert pid.signal(signal.Signals(number))
        wait_for(f"{name} to be gone", lambda: not pid.alive())

    def healthy(self) -> None:
        def well() -> bool:
            try:
                return self.client.health().status == "ok"
            except Exception:
                return False

        wait_for("the fleet to be well again", well)

    def rollout_state(self, number: int) -> str:
        try:
            return self.client.rollout(number).rollout.state
        except Exception:
            return "unreachable"

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tinyfleet.fleet", *arguments],
            env={**os.environ, "TINYFLEET_STATE": str(self.folder)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def power_off(self) -> None:
        for node in self._nodes:
            node.kill()
        self._nodes.clear()

    def stop(self) -> int:
        self.power_off()
        self.client.close()
        process = self.process
        assert process is not None
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[RunningFleet]:
    running = RunningFleet(tmp_path / "state", "--no-prometheus")
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def run_fleet(tmp_path: Path) -> Iterator[Callable[..., RunningFleet]]:
    """Starts fleets with options of the test's own."""
    started: list[RunningFleet] = []

    def start(*options: str, name: str = "state") -> RunningFleet:
        started.append(RunningFleet(tmp_path / name, *options))
        return started[-1]

    yield start
    for running in started:
        running.stop()


def model(version: str = "1.0.0", constants: int = 60_000, name: str = "demo") -> bytes:
    """A payload that is a model by its structure; the simulated node does not run it."""
    tensor = Tensor(offset=0, place=Place.ARENA, dtype=Dtype.INT8, shape=(1, 4))
    filler = bytes((i * 31 + len(version)) % 251 for i in range(constants))
    return encode_artifact(
        Artifact(
            core=CoreVariant.PORTABLE,
            arena_bytes=64,
            metadata=Metadata(
                name=name,
                version=version,
                sensor="accelerometer",
                unit="mg",
                rate_mhz=25_000,
                samples=1,
                channels=4,
                output_kind=OutputKind.CLASSES,
                labels=("resting", "grazing", "walking", "running"),
                source=b"\x01" * 32,
                input_scale=1.0,
                output_scale=1.0,
                compiler="test",
            ),
            tensors=(tensor, tensor),
            ops=(),
            input=Endpoint(tensor=0, zero_point=0, multiplier=0, shift=0),
            output=Endpoint(tensor=1, zero_point=0, multiplier=0, shift=0),
            constants=filler,
        )
    )


@pytest.fixture
def make_model() -> Callable[..., bytes]:
    return model


@pytest.fixture
def until() -> Callable[..., Any]:
    return wait_for
