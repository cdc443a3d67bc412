"""A bridged board that exists in memory only, driven step by step: what it is asked, told and programmed
with, and who pulls the plug of the agent where."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from tests.images import der_of, firmware_image, model_image, new_key
from tests.models import shaped
from tests.unit.agent.fakes import FakeClock

from tinyfleet.agent.adapters.bridge_files import BridgeFiles
from tinyfleet.agent.adapters.signatures import verify_ecdsa
from tinyfleet.agent.core.bench_image import bench_image
from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.bridge import Failure, Record
from tinyfleet.agent.core.bridge_app import Firmware, Installed
from tinyfleet.agent.core.bridge_report import Place
from tinyfleet.agent.core.errors import ConsoleError, StepFailed
from tinyfleet.agent.core.tally import Metric
from tinyfleet.agent.services.bridge import DeviceBridge
from tinyfleet.agent.services.bridge_ports import (
    ChunkCame,
    HeldModel,
    Incoming,
    LinkDown,
    LinkUp,
    Questions,
    Terms,
    WantCame,
)
from tinyfleet.wire.artifact import (
    ABI,
    decode_artifact,
)
from tinyfleet.wire.artifact_vectors import Vector
from tinyfleet.wire.blobs import Blob, cut
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result, UpdateState
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.firmware import FACTS_OFFSET, read_facts
from tinyfleet.wire.image import read_image, verify_digest
from tinyfleet.wire.messages import Birth, Event, Hello, Message, SlotInfo, Status, Tele, Want, WantedArtifact
from tinyfleet.wire.topics import TopicKind, blob_name

KEY, STRANGER = new_key(), new_key()
VECTORS = (Vector.single(b"\1\2\3\4", b"\5\6\7\x08"), Vector.single(b"\x09\x0a\x0b\x0c", b"\x0d\x0e\x0f\x10"))
ROOM_BYTES = 8192
APP_ROOM_BYTES = 4096
NOON = 1_700_000_000


def payload(version: str, arena_bytes: int = 64, filler: int = 100) -> bytes:
    constants = hashlib.sha256(version.encode()).digest() * (filler // 32 + 1)
    return shaped(version, constants, arena_bytes=arena_bytes, vectors=VECTORS)


def signed(
    content: bytes,
    counter: int = 1,
    key: ec.EllipticCurvePrivateKey | None = KEY,
    device_type: str = "microbit",
) -> bytes:
    return model_image(content, key, device_type, counter=counter)


def bare(image: bytes) -> bytes:
    """As it lies in the board's flash."""
    return bench_image(image, "microbit", "image").data


def app_of(version: str, *, origin: int = 0, abi: int = ABI, cores: int = 1) -> bytes:
    """A bench app's binary for a microbit, with facts, one kernel (ADD) and nothing else."""
    major, minor, patch = (int(part) for part in version.split("."))
    data = bytearray(0x200)
    name, kernels = b"microbit", (origin + 0x180, origin + 0x188, 8, 2)
    facts = (0x57464654, 1, abi, origin, *kernels, major, minor, patch, name, cores)
    struct.pack_into("<IHHIIIHHBBH32sB", data, FACTS_OFFSET, *facts)
    return bytes(data) + hashlib.sha256(version.encode()).digest()


def signed_app(
    app: bytes, counter: int = 1, key: ec.EllipticCurvePrivateKey | None = KEY, **header: int
) -> bytes:
    """With the version and device type of its facts."""
    facts = read_facts(app)
    major, minor, patch = (int(part) for part in facts.version.split("."))
    return firmware_image(
        app, key, facts.device_type, counter=counter, version=(major, minor, patch), **header
    )


def digest_of(image: bytes) -> bytes:
    digest = read_image(image).digest
    assert digest is not None
    return digest


APP = app_of("0.1.0")
"""What a board has before anybody speaks for it."""
NEW_APP, BAD_APP = app_of("0.2.0"), app_of("0.3.0")
TWIN_APP = NEW_APP[:-1] + b"!"
"""Of NEW_APP's version, and another binary."""


def region_of(app: bytes) -> bytes:
    """The app's place in flash with that in it."""
    return app.ljust(APP_ROOM_BYTES, b"\xff")


def known_regions() -> set[bytes]:
    """What starts; half an app does not."""
    return {region_of(app) for app in (APP, NEW_APP, BAD_APP, TWIN_APP)}


class Killed(BaseException):
    """kill -9 of the agent: nothing in it sees this coming."""


class Plug:
    """`at`: the operation before which the agent dies."""

    def __init__(self) -> None:
        self.at: int | None = None
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        if self.at is not None and self.count >= self.at:
            raise Killed


class FakeBoard:
    """`refuses`: what it says to an image by its digest; `answers_wrong`: images whose vectors it gets wrong;
    `fails`: raised by what is asked next, each once; `gone`: raised by whatever is asked; `dead`: apps that
    do not start."""

    def __init__(self, plug: Plug) -> None:
        self.flash: bytes | None = None
        self.region = region_of(APP)
        self.dead: set[bytes] = set()
        self.refuses: dict[bytes, Result] = {}
        self.answers_wrong: set[bytes] = set()
        self.fails: list[Exception] = []
        self.gone: Exception | None = None
        self.asked: list[bytes] = []
        self.programmed = 0
        self.model_bytes = ROOM_BYTES
        self.duration_us = 1000
        self._plug = plug

    @property
    def digest(self) -> bytes | None:
        """Of what stands whole in its flash."""
        try:
            return None if self.flash is None else verify_digest(read_image(self.flash))
        except WireError:
            return None

    goes_back = False

    def model(self) -> HeldModel:
        image = self.image()
        if image is None:
            return HeldModel(0)
        held = read_image(image)
        return HeldModel(held.security_counter or 0, decode_artifact(held.payload))

    def firmware(self, hello: Hello, known: Installed | None) -> Firmware:
        image = known.image if known is not None and known.is_in(self.app()) else None
        place = SlotInfo(kind=ArtifactKind.FIRMWARE, index=0, size_bytes=APP_ROOM_BYTES, image=image)
        return Firmware(hello.app.partition(" ")[2], image, slot=0, places=(place,))

    def app(self) -> bytes:
        self._there()
        return self.region

    def program_firmware(self, data: bytes) -> None:
        self._there()
        if self.region == region_of(data):
            return
        self.programmed += 1
        self.region = region_of(data[: len(data) // 2])
        self._there()
        self.region = region_of(data)

    def test_firmware(self, image: bytes, questions: Questions) -> tuple[Hello, Failure | None]:
        return self.test(questions)

    def hello(self, *, patient: bool = True) -> Hello:
        self._there()
        digest = self.digest
        if self.region in {region_of(app) for app in self.dead} or self.region not in known_regions():
            raise ConsoleError("one", "hello", "no answer", "reset it")
        runs = digest is not None and digest not in self.refuses
        return Hello(
            app=f"bench {read_facts(self.region).version}",
            device_type="microbit",
            model=digest,
            version=None if digest is None else "1.0.0",
            input_bytes=4 if runs else 0,
            output_bytes=4 if runs else 0,
            golden=0,
            arena_bytes=1024,
            abi=ABI,
            core=CoreVariant.PORTABLE,
            ops=bytes(32),
        )

    def test(self, questions: Questions) -> tuple[Hello, Failure | None]:
        hello = self.hello()
        found = questions(hello)
        if found is None or isinstance(found, Failure):
            return hello, found
        if hello.model in self.refuses:
            return hello, Failure(self.refuses[hello.model], "the board says no")
        assert self.flash is not None and hello.model is not None
        known = {v.input: v.output for v in decode_artifact(read_image(self.flash).payload).vectors}
        start = 0
        for batch in found.questions(3):
            self._there()
            self.asked += batch
            right = hello.model not in self.answers_wrong
            answers = [Answer(known[q] if right else bytes(4), self.duration_us) for q in batch]
            wrong = found.judge(start, answers)
            if wrong is not None:
                return hello, wrong
            start += len(batch)
        return hello, None

    def image(self) -> bytes | None:
        self._there()
        return self.flash if self.digest is not None else None

    def program(self, image: bytes | None, over_bytes: int = 0) -> None:
        self._there()
        if image == self.flash:
            return
        self.programmed += 1
        self.flash = b"half of something"
        self._there()
        self.flash = image

    def _there(self) -> None:
        self._plug()
        if self.gone is not None:
            raise self.gone
        if self.fails:
            raise self.fails.pop(0)


class PluggedStore:
    """The files as they are, but for the plug."""

    def __init__(self, files: BridgeFiles, plug: Plug) -> None:
        self._files = files
        self._plug = plug

    def load(self) -> Record:
        return self._files.load()

    def keep(self, record: Record) -> None:
        self._plug()
        self._files.keep(record)
        self._plug()

    def keep_artifact(self, data: bytes) -> None:
        self._plug()
        self._files.keep_artifact(data)

    def artifact(self) -> bytes | None:
        return self._files.artifact()

    def keep_previous(self, data: bytes) -> None:
        self._plug()
        self._files.keep_previous(data)

    def previous(self) -> bytes | None:
        return self._files.previous()

    def clean(self, *, artifact: bool = True, previous: bool) -> None:
        self._plug()
        self._files.clean(artifact=artifact, previous=previous)


class Broker:
    """What is retained for the device, and what it said. `damage`: changes a chunk on its way."""

    def __init__(self) -> None:
        self.want: Want | None = None
        self.blobs: dict[bytes, Blob] = {}
        self.said: list[tuple[TopicKind, Message]] = []
        self.damage: Callable[[int, bytes], bytes] = lambda group, data: data
        self.silent = False
        self.asked: list[tuple[bytes, int]] = []
        self.up = False
        self.down_next = False
        self._tell: Callable[[Incoming], None] = lambda incoming: None

    def open(self, boot: int, tell: Callable[[Incoming], None]) -> None:
        self._tell = tell

    def publish(self, kind: TopicKind, message: Message) -> None:
        encode(message)
        self.said.append((kind, message))

    def subscribe(self, manifest: bytes, group: int) -> None:
        self.asked.append((manifest, group))

    def unsubscribe(self, manifest: bytes, group: int) -> None:
        self.asked = [each for each in self.asked if each != (manifest, group)]

    def close(self) -> None:
        self.up = False

    def chunks(self) -> Iterator[ChunkCame]:
        """Of what was asked for since the last time."""
        asked, self.asked = self.asked, []
        for manifest, group in [] if self.silent else asked:
            blob = self.blobs[manifest]
            for chunk in blob.chunks():
                if chunk.group == group:
                    data = self.damage(group, chunk.data)
                    yield ChunkCame(blob_name(manifest), group, chunk.index, data)

    def offer(self, generation: int, image: bytes, **more: object) -> Want:
        self.want = Want(generation=generation, model=self.wanted(image), **more)  # type: ignore[arg-type]
        return self.want

    def offer_firmware(self, generation: int, image: bytes, model: bytes | None = None) -> Want:
        more = None if model is None else self.wanted(model)
        self.want = Want(generation=generation, firmware=self.wanted(image), model=more)
        return self.want

    def wanted(self, image: bytes) -> WantedArtifact:
        blob = cut(image)
        self.blobs[blob.digest] = blob
        return blob.wanted(image=digest_of(image), version="1.0.0")

    @property
    def statuses(self) -> list[Status]:
        return [message for _, message in self.said if isinstance(message, Status)]

    @property
    def births(self) -> list[Birth]:
        return [message for _, message in self.said if isinstance(message, Birth)]

    @property
    def notes(self) -> list[str]:
        return [message.text or "" for _, message in self.said if isinstance(message, Event)]


class NoCounts:
    def tele(self, seq: int, uptime_ms: int) -> Tele | None:
        return None


class Tallied:
    def __init__(self) -> None:
        self.ended: list[str] = []

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        self.ended.append(labels["outcome"])

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        raise AssertionError("no histogram here")


class MovingClock(FakeClock):
    def unix_s(self) -> int:
        return NOON + int(self.now_s)


class Rig:
    """`settle`: lets everything happen that does not need time; `later`: lets time pass."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plug = Plug()
        self.clock = MovingClock()
        self.board = FakeBoard(self.plug)
        self.broker = Broker()
        self.tallied = Tallied()
        self.held = False
        self.busy: Exception | None = None
        self.bridge = self.made()

    def made(self) -> DeviceBridge:
        """An agent that was just started."""
        trust = (hashlib.sha256(der_of(KEY)).digest(),)
        return DeviceBridge(
            Terms("d1", "microbit", trust, 10, 15),
            Place("bench-1", True),
            board=self.board,
            board_name="one",
            link=self.broker,
            tell=lambda incoming: None,
            store=PluggedStore(BridgeFiles(self.folder), self.plug),
            counts=NoCounts(),
            hold=self.hold,
            verify=verify_ecdsa,
            clock=self.clock,
            counting=self.tallied,
        )

    def hold(self, work: Callable[[], object], brief: bool) -> object:
        assert not self.held, "a board is held once at a time"
        if self.busy is not None:
            raise self.busy
        self.held = True
        try:
            return work()
        finally:
            self.held = False

    @property
    def record(self) -> Record:
        """As it is on disk."""
        return BridgeFiles(self.folder).load()

    def begin(self) -> None:
        self.bridge = self.made()
        self.broker.up = False
        self.broker.asked.clear()
        self.bridge.begin()
        self.connect()

    def restart(self) -> None:
        """After a kill -9."""
        self.plug.at, self.held = None, False
        self.begin()

    def connect(self) -> None:
        """As the broker does it: up, then what is retained."""
        self.broker.up = True
        self.bridge.take(LinkUp())
        if self.broker.want is not None:
            self.bridge.take(WantCame(encode(self.broker.want)))
        self.settle()

    def disconnect(self) -> None:
        self.broker.up = False
        self.broker.asked.clear()
        self.bridge.take(LinkDown())

    def send(self, want: Want | None) -> None:
        self.broker.want = want
        self.bridge.take(WantCame(b"" if want is None else encode(want)))
        self.settle()

    def settle(self) -> None:
        for _ in range(200):
            chunks = list(self.broker.chunks())
            for chunk in chunks:
                self.bridge.take(chunk)
            self.bridge.tick()
            if not chunks:
                return
        raise AssertionError("it goes round")

    def later(self, seconds: float) -> None:
        """In steps, so that what is due in between happens then."""
        end_s = self.clock.now_s + seconds
        while self.clock.now_s < end_s:
            self.clock.now_s = min(end_s, self.clock.now_s + 1.0)
            self.settle()

    @property
    def told(self) -> list[UpdateState]:
        """States as told, each once in a row."""
        states = [status.state for status in self.broker.statuses]
        return [state for i, state in enumerate(states) if i == 0 or states[i - 1] is not state]


def failed(step: str = "program") -> StepFailed:
    return StepFailed("one", step, "the wire came off", "plug it in")
