"""What is told of a board for which an agent speaks: its birth, from its own hello and the agent's record."""

from __future__ import annotations

from dataclasses import dataclass, field

from tinyfleet.agent.core.bridge import Record
from tinyfleet.agent.core.bridge_app import Firmware
from tinyfleet.agent.core.bridge_check import shortened
from tinyfleet.wire.artifact import Artifact
from tinyfleet.wire.enums import ArtifactKind, PowerSource, Timing
from tinyfleet.wire.messages import Birth, Hello, ImageInfo, SlotInfo, Status


@dataclass(frozen=True, slots=True)
class Seen:
    """What the board told when it was looked at last. `counter`: of the model's image in its flash; `plan`:
    that model, where the agent could read it."""

    hello: Hello
    counter: int
    room_bytes: int
    """For a model's image."""
    firmware: Firmware
    plan: Artifact | None = field(default=None, repr=False)

    @property
    def runs(self) -> bytes | None:
        """The model that runs: one that the board refused says that it takes no input."""
        return self.hello.model if self.hello.input_bytes else None


@dataclass(frozen=True, slots=True)
class Place:
    """Who speaks for the board, and what it is known to be beside its own word."""

    agent: str
    emulated: bool


def birth(record: Record, seen: Seen, place: Place, *, seq: int, period_s: int, uptime_ms: int) -> Birth:
    """`uptime_ms`: since the agent began to speak for it in this boot; the board's own nobody knows."""
    hello, emulated = seen.hello, place.emulated or bool(seen.hello.emulated)
    runs = seen.firmware
    firmware = ImageInfo(
        image=runs.image,
        version=runs.version,
        # What is refused from now on, not what the image carries.
        security_counter=max(record.firmware_counter, runs.counter),
        name=hello.app,
        slot=runs.slot,
    )
    model = None
    if seen.runs is not None:
        model = ImageInfo(image=seen.runs, version=hello.version or "", security_counter=seen.counter, slot=0)
    return Birth(
        boot=record.boot,
        seq=seq,
        generation=record.generation,
        state=record.state,
        result=record.result,
        device_type=hello.device_type,
        hw_rev="",
        firmware=firmware,
        model=model,
        slots=(
            SlotInfo(kind=ArtifactKind.MODEL, index=0, size_bytes=seen.room_bytes, image=hello.model),
            *runs.places,
        ),
        abi=hello.abi,
        ops=hello.ops or b"",
        arena_bytes=hello.arena_bytes,
        golden_bytes=hello.golden_bytes or 0,
        period_s=period_s,
        # By the host that programs it; an emulated one takes none.
        power=PowerSource.MAINS if emulated else PowerSource.USB,
        sensor="",
        timing=Timing.INSTRUCTIONS if emulated else Timing.WALL,
        core=hello.core,
        uptime_ms=uptime_ms,
        emulated=emulated,
        config=record.config,
        via=place.agent,
    )


def status(record: Record, *, seq: int, offset_bytes: int) -> Status:
    wanted = record.wanted
    return Status(
        boot=record.boot,
        seq=seq,
        generation=record.generation,
        state=record.state,
        result=record.result,
        offset_bytes=offset_bytes,
        size_bytes=0 if wanted is None else wanted.size_bytes,
        detail=shortened(record.detail) or None,
        kind=record.kind,
    )
