"""A bench of one board that exists in memory, with the real manager's services behind it, and a counter of
all that reaches outside: so that a run can be cut off at every such moment."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.images import Key, der_of, firmware_image, new_key
from tests.unit.agent.fakes import FakeClock
from tests.unit.fleet.fleet_rig import Rig
from tests.unit.fleet.test_enrolments import Door

from tinyfleet.agent.adapters.identity import BoardIdentity
from tinyfleet.agent.adapters.labels import LabelFolder
from tinyfleet.agent.adapters.provisioning_files import ProvisioningFiles
from tinyfleet.agent.adapters.signatures import verify_ecdsa
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.core.provisioning import Step
from tinyfleet.agent.services.ports import ProbeInfo, ProbeSession, Progress
from tinyfleet.agent.services.provisioner import Provisioner
from tinyfleet.agent.services.provisioning_job import Job, Outcome
from tinyfleet.agent.services.provisioning_ports import Given, Label, LabelFiles, Offer
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.fleet.core.errors import FleetError
from tinyfleet.wire.memory_map import ERASED_BYTE, MPS2_AN386, MemoryMap
from tinyfleet.wire.messages import NodeConfig, Trust
from tinyfleet.wire.records import decode_record, encode_record

TYPE = MPS2_AN386.board
SPEC = BoardSpec(name="b1", device_type=TYPE, probe="qemu-mps2-an386-0001")
KEY = new_key()
TRUST = encode_record(Trust(keys=(hashlib.sha256(der_of(KEY)).digest(),)))


@cache
def firmware_for(device_type: str, key: Key = KEY) -> bytes:
    """The same each time, though a signature is not."""
    return firmware_image(b"not run by anybody", key, device_type)


IMAGE = firmware_for(TYPE)


class CutOff(BaseException):
    """As kill -9: whoever meets it does nothing more outside."""


@dataclass
class World:
    """`left` counts down the moments until everything is cut off; `steps` has the step of each."""

    left: int | None = None
    said: list[tuple[Step, str]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)

    def happens(self) -> None:
        if self.left == 0:
            raise CutOff
        self.steps.append(self.said[-1][0])
        self.left = None if self.left is None else self.left - 1


class NodeBoard:
    """`services.ports.ProbeSession`: flash by sectors, and a node that speaks once it has all it needs. The
    sector at `worn` takes nothing; a `mute` node is never heard. Whatever is read outside the flash is the
    chip's number, whatever is written there is kept in `words`."""

    def __init__(self, world: World, door: Door, memory: MemoryMap) -> None:
        self.memory = memory
        self._world = world
        self._door = door
        self.sectors: dict[int, bytes] = {}
        self.worn: int | None = None
        self.mute = False
        self.boots = 0
        self.seen: list[bytes] = []
        self.given: list[bytes | bytearray] = []
        self.words: list[tuple[int, int]] = []

    def read(self, address: int, size: int) -> bytes:
        self._world.happens()
        at = address - self.memory.base
        inside = 0 <= at < self.memory.size_bytes
        data = self.content(at, size) if inside else bytes(range(size))
        self.seen.append(data)
        return data

    def content(self, at: int, size: int) -> bytes:
        step = self.memory.sector_bytes
        first = at // step * step
        blank = bytes([ERASED_BYTE]) * step
        data = b"".join(self.sectors.get(each, blank) for each in range(first, at + size, step))
        return data[at - first : at - first + size]

    def program(self, sectors: Mapping[int, bytes | bytearray], progress: Progress) -> None:
        for address, data in sectors.items():
            self._world.happens()
            self.given.append(data)
            at = address - self.memory.base
            if at % self.memory.sector_bytes or len(data) != self.memory.sector_bytes:
                raise ValueError(f"{len(data)} bytes at {address:#x} are no sector")
            self.sectors[at] = bytes(data) if at != self.worn else bytes(len(data))

    def write_words(self, words: Sequence[tuple[int, int]]) -> None:
        self.words += words

    def reset(self) -> None:
        self._world.happens()
        if self.mute or self.content(self.memory["trust"].offset, len(TRUST)) != TRUST:
            return
        self.boots += 1
        config = self.config()
        with self._door.rig.store.read() as tx:
            token = tx.tokens.pending().get(config.device)
        if token is not None:
            self._door.born(config.device, config.sequence or 0, self.boots)

    def config(self) -> NodeConfig:
        region = self.memory["config_a"]
        return decode_record(NodeConfig, self.content(region.offset, region.size_bytes))

    def close(self) -> None:
        pass


@dataclass
class Bench:
    """`Probes`, `Manager`, `Identities` and `Labels`, joined to a provisioner. `enrolled` counts what the
    manager was asked to certify; `identities` are all that were made."""

    rig: Rig
    folder: Path
    spec: BoardSpec = SPEC
    memory: MemoryMap = MPS2_AN386
    emulated: bool = True
    world: World = field(default_factory=World)
    clock: FakeClock = field(default_factory=FakeClock)
    identities: list[BoardIdentity] = field(default_factory=list)
    enrolled: int = 0

    @property
    def said(self) -> list[tuple[Step, str]]:
        return self.world.said

    def __post_init__(self) -> None:
        self.door = Door(self.rig, self.folder)
        self.board = NodeBoard(self.world, self.door, self.memory)

    def all(self) -> list[ProbeInfo]:
        return [ProbeInfo(self.spec.probe or "", "a probe", self.emulated)]

    def open(self, unique_id: str) -> ProbeSession:
        self.world.happens()
        return self.board

    def offer(self, word: str) -> Offer:
        self.world.happens()
        token = _translated(lambda: self.door.enrolments.offer(word)).token
        return Offer(token.state.value, token.device, token.device_type, token.replaces, TRUST, None)

    def state(self, word: str) -> str:
        self.world.happens()
        state: str = _translated(lambda: self.door.enrolments.token(word)).state.value
        return state

    def enrol(self, word: str, *, name: str | None, device_type: str, csr: bytes, again: bool) -> Given:
        self.world.happens()
        self.enrolled += 1
        given = _translated(
            lambda: self.door.enrolments.enrol(word, name=name, device_type=device_type, csr=csr, again=again)
        )
        self.world.happens()  # the manager did it; its answer is lost
        token = given.token
        return Given(token.device, token.credential, token.sequence, given.chain[0], TRUST, given.config)

    def make(self) -> BoardIdentity:
        self.identities.append(BoardIdentity())
        return self.identities[-1]

    def write(self, label: Label) -> LabelFiles:
        self.world.happens()
        return LabelFolder(self.folder / "labels").write(label)

    def run(self, *words: str, **options: Any) -> Outcome:
        def wait(seconds: float) -> None:
            self.clock.now_s += seconds

        files = ProvisioningFiles(self.folder / "provisioning")
        provisioner = Provisioner(
            probes=self,
            manager=self,
            identities=self,
            files=files,
            labels=self,
            clock=self.clock,
            wait=wait,
            verify=verify_ecdsa,
        )
        worker = BoardWorker(self.spec.name)
        job = Job(words=words, **{"firmware": firmware_for(self.spec.device_type), **options})
        try:
            return provisioner.provision(
                worker, self.spec, job, lambda board, step, about: self.said.append((step, about))
            )
        finally:
            worker.close()
            files.close()

    def proven(self) -> NodeConfig:
        """What the board holds, once it is sure that it is what the manager certified last, and heard."""
        config = self.board.config()
        assert config.tls is not None and any(config.seed)
        with self.rig.store.read() as tx:
            enrolment, device = tx.enrolments.get(config.device), tx.devices.get(config.device)
        private = ec.derive_private_key(int.from_bytes(config.tls.key, "big"), ec.SECP256R1())
        point = private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert enrolment.key == point and enrolment.sequence == config.sequence
        assert device is not None and device.birth is not None
        return config


def _translated(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except FleetError as error:
        raise AgentError(f"the manager says: {error}", "see there") from error
