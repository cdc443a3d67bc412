"""A whole fleet in a folder of its own, as a person starts it: `tinyfleet up` on free ports."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.integration.fleet.simulated_node import Flash, SimulatedNode
from tests.models import shaped
from tests.servers import wait_for

from tinyfleet.fleet.adapters.process import read_pid
from tinyfleet.fleet.api.schemas import ProvisionIn
from tinyfleet.fleet.client import FleetClient
from tinyfleet.fleet.state import State
from tinyfleet.wire.messages import NodeConfig, Trust
from tinyfleet.wire.records import decode_record


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

    def end(self) -> None:
        """Tells it to end, which takes it a second; `ended` waits for it."""
        self.power_off()
        self.client.close()
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def ended(self) -> int:
        process = self.process
        assert process is not None
        try:
            return process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def stop(self) -> int:
        self.end()
        return self.ended()


@pytest.fixture(scope="session")
def ending() -> Iterator[list[RunningFleet]]:
    """Fleets whose test is over: they end while the next test runs."""
    told: list[RunningFleet] = []
    yield told
    for running in told:
        running.ended()


@pytest.fixture
def fleet(tmp_path: Path, ending: list[RunningFleet]) -> Iterator[RunningFleet]:
    running = RunningFleet(tmp_path / "state", "--no-prometheus")
    ending.append(running)
    yield running
    running.end()


@pytest.fixture(scope="module")
def module_fleet(
    tmp_path_factory: pytest.TempPathFactory, ending: list[RunningFleet]
) -> Iterator[RunningFleet]:
    running = RunningFleet(tmp_path_factory.mktemp("shared") / "state", "--no-prometheus")
    ending.append(running)
    yield running
    running.end()


@pytest.fixture
def shared_fleet(module_fleet: RunningFleet) -> Iterator[RunningFleet]:
    """The module's own fleet: for tests that neither count what is in it nor leave it broken."""
    yield module_fleet
    module_fleet.power_off()


@pytest.fixture
def run_fleet(tmp_path: Path, ending: list[RunningFleet]) -> Iterator[Callable[..., RunningFleet]]:
    """Starts fleets with options of the test's own."""
    started: list[RunningFleet] = []

    def start(*options: str, name: str = "state") -> RunningFleet:
        started.append(RunningFleet(tmp_path / name, *options))
        ending.append(started[-1])
        return started[-1]

    yield start
    for running in started:
        running.end()


def model(
    version: str = "1.0.0", constants: int = 60_000, name: str = "demo", arena_bytes: int = 64
) -> bytes:
    """A payload that is a model by its structure; the simulated node does not run it."""
    filler = bytes((i * 31 + len(version)) % 251 for i in range(constants))
    labels = ("resting", "grazing", "walking", "running")
    return shaped(version, filler, name=name, labels=labels, arena_bytes=arena_bytes)


@pytest.fixture
def make_model() -> Callable[..., bytes]:
    return model
