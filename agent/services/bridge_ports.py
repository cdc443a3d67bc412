"""What the bridge needs from outside, and what it is told by it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from tinyfleet.agent.core.bridge import Event, Failure, Record
from tinyfleet.agent.core.bridge_app import Firmware, Installed
from tinyfleet.agent.core.bridge_check import SelfTest
from tinyfleet.agent.core.broker import BrokerTls
from tinyfleet.wire.artifact import Artifact
from tinyfleet.wire.enums import Result
from tinyfleet.wire.messages import Hello, Message, Tele
from tinyfleet.wire.topics import TopicKind


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The broker knows that the device is there; nothing else was said yet in this connection."""


@dataclass(frozen=True, slots=True)
class LinkDown:
    pass


@dataclass(frozen=True, slots=True)
class WantCame:
    payload: bytes


@dataclass(frozen=True, slots=True)
class ChunkCame:
    """`blob`: the name under which it came."""

    blob: str
    group: int
    index: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Look:
    """Something was done with the board: it may not be what it was."""


@dataclass(frozen=True, slots=True)
class Stop:
    pass


Incoming = LinkUp | LinkDown | WantCame | ChunkCame | Look | Stop


class DeviceLink(Protocol):
    """The device's own connection to the broker. Never blocks; what cannot be sent now is gone."""

    def open(self, boot: int, tell: Callable[[Incoming], None]) -> None:
        """Connects, and again whenever the connection breaks, until `close`."""

    def publish(self, kind: TopicKind, message: Message) -> None: ...

    def subscribe(self, manifest: bytes, group: int) -> None: ...

    def unsubscribe(self, manifest: bytes, group: int) -> None: ...

    def close(self) -> None:
        """Says LOST, and disconnects."""


class BridgeStore(Protocol):
    """Files of one device. All raise AgentError; writing replaces a file at once, and is on disk then."""

    def load(self) -> Record: ...

    def keep(self, record: Record) -> None: ...

    def keep_artifact(self, data: bytes) -> None: ...

    def artifact(self) -> bytes | None: ...

    def keep_previous(self, data: bytes) -> None: ...

    def previous(self) -> bytes | None: ...

    def clean(self, *, artifact: bool = True, previous: bool) -> None:
        """Removes the artifact, what was there before it, or both."""


class Counts(Protocol):
    def tele(self, seq: int, uptime_ms: int) -> Tele | None:
        """What was counted on the board since it has its model; None: nothing yet."""


@dataclass(frozen=True, slots=True)
class HeldModel:
    """`counter`: its security counter, or the lowest that the board takes. `plan`: where it can be read."""

    counter: int
    plan: Artifact | None = field(default=None, repr=False)


Questions = Callable[[Hello], SelfTest | Failure | None]
"""What to ask a board with that hello; None: nothing."""


class BridgedBoard(Protocol):
    """See services.bridge_board."""

    @property
    def model_bytes(self) -> int: ...

    @property
    def goes_back(self) -> bool:
        """It verifies signatures, keeps what it ran, tries an image and goes back, all by itself."""

    def model(self) -> HeldModel:
        """Of the model that it has."""

    def firmware(self, hello: Hello, known: Installed | None) -> Firmware:
        """What runs. `known`: what was brought there last, if it is there still."""

    def hello(self, *, patient: bool = True) -> Hello: ...

    def test(self, questions: Questions) -> tuple[Hello, Failure | None]: ...

    def image(self) -> bytes | None: ...

    def program(self, image: bytes | None, over_bytes: int = 0) -> None: ...

    def app(self) -> bytes:
        """All of the firmware's place, as it stands there. Not asked of one that goes back by itself."""

    def program_firmware(self, data: bytes) -> None:
        """A bench app, or a node's signed image; the board starts it."""

    def test_firmware(self, image: bytes, questions: Questions) -> tuple[Hello, Failure | None]:
        """What becomes of the firmware that was programmed. Raises AgentError where that cannot be told."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What the manager gave at registration. `trust`: SHA-256 of the keys whose images the board takes."""

    device: str
    device_type: str
    trust: tuple[bytes, ...]
    period_s: int
    keepalive_s: int


@dataclass(frozen=True, slots=True)
class Access:
    """How a device reaches the broker, by its agent."""

    agent: str
    host: str
    port: int
    prefix: str
    user: str
    password: str = field(repr=False)
    terms: Terms
    tls: BrokerTls | None = None


Hold = Callable[[Callable[[], object], bool], object]
"""Runs something while nobody else has the board; whether it is over in a moment. Raises BoardBusyError where
the board is not to be had."""
Next = tuple[Event, Result, str] | None
