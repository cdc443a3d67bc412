"""`kill -9` of a node, of the manager and of the broker inside a download, on the whole chain.

How a kill lands inside: each node is stopped (SIGSTOP) as soon as the first sectors of the artifact are in
its flash. Then time stands still for it, the test looks at its flash, and kills.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from examples.demo.chain import MODEL, Chain
from tests.models import livestock
from tests.servers import wait_for

from tinyfleet.agent.adapters.emulator import EmulatedNode
from tinyfleet.fleet.adapters.process import read_pid
from tinyfleet.fleet.client import ApiError, FleetClient
from tinyfleet.fleet.core.errors import FleetError
from tinyfleet.fleet.state import State
from tinyfleet.wire.artifact import decode_artifact, encode_artifact
from tinyfleet.wire.memory_map import MPS2_AN386, Region

pytestmark = [pytest.mark.qemu, pytest.mark.broker, pytest.mark.timeout(180)]

VERSION = "9.0.0"
# A node takes 100 KB in some 20 ms; this keeps it busy for long enough to be caught at it.
FILLER_BYTES = 1_500_000
FIRST_SECTORS = 8
CONVERGED_S = 60.0
SECTOR = MPS2_AN386.sector_bytes
ERASED = b"\xff" * SECTOR


def artifact() -> bytes:
    """The example's model, its constants followed by bytes that no op reads."""
    plan = decode_artifact(livestock("v2", vectors=4, version=VERSION))
    filler = np.random.default_rng(1).bytes(FILLER_BYTES)
    return encode_artifact(replace(plan, constants=plan.constants + filler))


class Slot:
    """The free model slot of a running node, seen through its flash file."""

    def __init__(self, node: EmulatedNode, region: Region, image: bytes) -> None:
        self.node = node
        self._region = region
        self._image = image
        with node.flash.open("rb") as file:
            self._flash = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def close(self) -> None:
        self._flash.close()

    def read(self) -> bytes:
        """As many bytes as the image has."""
        return self._flash[self._region.offset : self._region.offset + len(self._image)]

    def is_written(self, sector: int) -> bool:
        at = self._region.offset + sector * SECTOR
        return self._flash[at : at + SECTOR] != ERASED

    def written(self) -> int:
        """Sectors written, from the first on; each but the last must hold the image's bytes already."""
        content = self.read()
        sectors = [content[at : at + SECTOR] for at in range(0, len(content), SECTOR)]
        count = sum(sector != ERASED[: len(sector)] for sector in sectors)
        good = (count - 1) * SECTOR
        assert content[:good] == self._image[:good], f"{self.node.name}: wrong bytes in its first sectors"
        return count

    @property
    def sectors(self) -> int:
        return -(-len(self._image) // SECTOR)

    def signal(self, number: signal.Signals) -> None:
        assert self.node.pid is not None
        os.kill(self.node.pid, number)


@dataclass
class Rollout:
    """One that stands still in the middle: every node is stopped with part of the image in its slot."""

    chain: Chain
    number: int
    image: str
    signed: bytes
    slots: list[Slot]

    def state(self) -> str:
        try:
            with self.chain.client() as client:
                return client.rollout(self.number).rollout.state
        except (ApiError, FleetError):
            return "unreachable"

    def resume(self) -> None:
        for slot in self.slots:
            if slot.node.is_alive():
                slot.signal(signal.SIGCONT)

    def converges(self) -> None:
        """The rollout succeeds, both births name the image, both slots hold it byte for byte."""
        wait_for("the rollout to end", lambda: self.state() not in ("RUNNING", "unreachable"), CONVERGED_S)
        with self.chain.client() as client:
            detail = client.rollout(self.number)
            assert detail.rollout.state == "SUCCEEDED", detail
            for slot in self.slots:
                name = slot.node.name
                self._wait_for_birth(client, name)
                assert slot.read() == self.signed, f"{name}: its slot differs from the signed image"

    def _wait_for_birth(self, client: FleetClient, name: str) -> None:
        def born() -> bool:
            model = (client.device(name).birth or {}).get("model") or {}
            return bool(model.get("image") == self.image)

        wait_for(f"{name}'s birth with the new model", born)


def kill(pid_file: Path) -> None:
    """SIGKILL for a program of the fleet; returns when it is gone."""
    pid = read_pid(pid_file)
    assert pid is not None and pid.alive(), f"nothing runs by {pid_file.name}"
    assert pid.signal(signal.SIGKILL)
    wait_for(f"the end of {pid_file.stem}", lambda: not pid.alive())


def stop_in_download(slots: list[Slot], timeout_s: float = 30.0) -> None:
    """Stops each node once its first sectors are written. Looks without a pause: a sector takes 1 ms."""
    moving = list(slots)
    end = time.monotonic() + timeout_s
    while moving:
        for slot in list(moving):
            if slot.is_written(FIRST_SECTORS - 1):
                slot.signal(signal.SIGSTOP)
                moving.remove(slot)
        if time.monotonic() > end:
            raise AssertionError(f"no first sectors within {timeout_s:g} s: {[s.node.name for s in moving]}")


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    chain = Chain(tmp_path / "state", with_prometheus=False)
    try:
        chain.start_fleet(lambda _: None)
        chain.start_nodes(lambda _: None)
        yield chain
    finally:
        chain.stop()


@pytest.fixture
def halfway(chain: Chain) -> Iterator[Rollout]:
    state = State(chain.folder)
    with chain.client() as client:
        before = set(state.blobs.iterdir())
        made = client.create_release(artifact(), device_type="mps2-an386").artifacts[0]
        (blob,) = set(state.blobs.iterdir()) - before
        signed = blob.read_bytes()
        assert blob.name == hashlib.sha256(signed).hexdigest()
        # Fresh nodes have no model, so the first slot is the free one.
        slots = [Slot(node, MPS2_AN386["model_a"], signed) for node in chain.nodes]
        begun = client.start_rollout(MODEL, VERSION)
        rollout = Rollout(chain, begun.id, made.image, signed, slots)
        try:
            stop_in_download(slots)
            for slot in slots:
                assert FIRST_SECTORS <= slot.written() < slot.sectors, (
                    "the download was over before it was stopped"
                )
            assert rollout.state() == "RUNNING"
            yield rollout
        finally:
            rollout.resume()  # what stands still cannot be ended in order
            for slot in slots:
                slot.close()


def test_a_node_killed_during_its_download(chain: Chain, halfway: Rollout) -> None:
    slot = halfway.slots[0]
    before = slot.written()
    slot.node.kill()
    assert slot.written() == before < slot.sectors, "it died inside the download"
    halfway.resume()
    slot.node.start()
    halfway.converges()
    with chain.client() as client:
        boots = [(client.device(each.node.name).birth or {})["boot"] for each in halfway.slots]
    assert boots == [2, 1]


def test_the_manager_killed_during_a_rollout(chain: Chain, halfway: Rollout) -> None:
    pid_file = State(chain.folder).run / "manager.json"
    killed = read_pid(pid_file)
    kill(pid_file)
    assert halfway.state() == "unreachable"
    halfway.resume()
    halfway.converges()
    assert read_pid(pid_file) not in (None, killed), "`up` started another one"


def test_the_broker_killed_during_both_downloads(chain: Chain, halfway: Rollout) -> None:
    state = State(chain.folder)
    log = state.logs / "manager.log"
    killed, said = read_pid(state.broker_pid), len(log.read_text())
    kill(state.broker_pid)
    halfway.resume()
    halfway.converges()
    assert read_pid(state.broker_pid) not in (None, killed), "`up` started another one"
    # What the broker had forgotten: the artifact and both wants.
    assert "publisher connected, 3 retained rows to publish again" in log.read_text()[said:]
