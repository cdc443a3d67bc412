"""How a blank board becomes a device: the steps, what each may take, and where a cut one is taken up again.

Nothing here holds a key. A key is made in step KEY and overwritten in step RECORDS; so whoever is cut off
between cannot go on from there, and makes another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any, Final

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.wire.limits import DEVICE_ID_MAX
from tinyfleet.wire.memory_map import BOARDS, ERASED_BYTE, KIB, MemoryMap, Region


class Step(Enum):
    """In this order."""

    PROBE = "PROBE"
    """Connect, and see what the board holds."""
    TOKEN = "TOKEN"  # noqa: S105 - a step's name
    """Ask the manager what the token is good for."""
    BOOTLOADER = "BOOTLOADER"
    ERASE = "ERASE"
    """Whatever an earlier life left."""
    FIRMWARE = "FIRMWARE"
    KEY = "KEY"
    """Key and seed are made, in memory."""
    ENROL = "ENROL"
    """A certificate for that key."""
    RECORDS = "RECORDS"
    """Configuration with key and seed, then the trust record."""
    READ_BACK = "READ_BACK"
    """Everything but key and seed."""
    START = "START"
    BIRTH = "BIRTH"
    """The board speaks to the manager, by TLS: only who has the key can."""
    LABEL = "LABEL"
    LOCK = "LOCK"
    DONE = "DONE"


@dataclass(frozen=True, slots=True)
class Row:
    """`resume`: the step from which a run goes on that was cut off in this one. `next_try`: what to do when
    it failed. `holds_key`: key and seed are in memory while it runs."""

    timeout_s: float
    resume: Step
    next_try: str
    holds_key: bool = False


_WEAR: Final = "run it again; if it stays so, the flash is worn or protected"
_CABLE: Final = "check probe, cable and power, then run it again"
TABLE: Final[Mapping[Step, Row]] = {
    Step.PROBE: Row(20.0, Step.PROBE, _CABLE),
    Step.TOKEN: Row(15.0, Step.PROBE, "is the manager running, and the token one of its own?"),
    Step.BOOTLOADER: Row(120.0, Step.PROBE, _WEAR),
    Step.ERASE: Row(120.0, Step.PROBE, _WEAR),
    Step.FIRMWARE: Row(180.0, Step.PROBE, _WEAR),
    Step.KEY: Row(5.0, Step.PROBE, "run it again", holds_key=True),
    Step.ENROL: Row(
        30.0,
        Step.PROBE,
        "run it again; the token stays good for this board until it was heard",
        holds_key=True,
    ),
    Step.RECORDS: Row(60.0, Step.PROBE, _WEAR, holds_key=True),
    Step.READ_BACK: Row(30.0, Step.PROBE, _WEAR),
    Step.START: Row(20.0, Step.START, _CABLE),
    Step.BIRTH: Row(
        90.0,
        Step.START,
        "read `tinyfleet bench console`: is it built with TLS, is its broker there? Then run it again",
    ),
    Step.LABEL: Row(10.0, Step.LABEL, "is there room for the label? Run it again: only the label is left"),
    Step.LOCK: Row(20.0, Step.LABEL, "the board works; if it is locked already, no probe reaches it"),
    Step.DONE: Row(0.0, Step.PROBE, ""),
}
ORDER: Final = tuple(Step)


class Holding(Enum):
    """What a board's flash says before anything is written."""

    BLANK = "BLANK"
    """No trust record: it belongs to nobody, or somebody was cut off before it did."""
    OURS = "OURS"
    FOREIGN = "FOREIGN"


class Way(Enum):
    NEW = "NEW"
    RESUMED = "RESUMED"
    REPLACEMENT = "REPLACEMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a board came; kept in a file, so it holds nothing secret. `fingerprint` is the beginning of the
    SHA-256 of the token's word. `failed`: why the last run ended there; None: it was cut off, or is done.
    """

    board: str
    step: Step
    fingerprint: str
    device: str | None = None
    device_type: str = ""
    serial: str = ""
    credential: int | None = None
    sequence: int | None = None
    way: Way = Way.NEW
    failed: str | None = None
    changed_s: int = 0

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "step": self.step.value, "way": self.way.value}


def progress_of(kept: Mapping[str, Any]) -> Progress:
    """Raises ValueError, KeyError, TypeError when it is none."""
    return Progress(**{**kept, "step": Step(kept["step"]), "way": Way(kept["way"])})


def resume_at(progress: Progress | None, fingerprint: str) -> Step:
    """From where a run with this token goes on. What failed begins anew, but for what comes after the birth:
    the device is registered by then."""
    if progress is None or progress.fingerprint != fingerprint or progress.step is Step.DONE:
        return Step.PROBE
    at = TABLE[progress.step].resume
    if progress.failed is not None and ORDER.index(progress.step) <= ORDER.index(Step.BIRTH):
        return Step.PROBE
    return at


@dataclass(frozen=True, slots=True)
class Refusal:
    cause: str
    hint: str


def way_of(
    *,
    holding: Holding,
    device: str | None,
    offered: str | None,
    replaces: bool,
    kept: Progress | None,
    fingerprint: str,
    erase: bool,
) -> Way | Refusal:
    """What this board is to this token. `device`: whom its flash says it is; `offered` and `replaces` are the
    token's; `kept`: what is known of the board from earlier runs; `erase`: whoever it was may be forgotten.
    """
    under_way = kept is not None and kept.step is not Step.DONE and kept.fingerprint == fingerprint
    if under_way and holding is not Holding.FOREIGN:
        return Way.RESUMED
    if replaces and (holding is Holding.BLANK or erase or (holding is Holding.OURS and device == offered)):
        return Way.REPLACEMENT
    if holding is Holding.BLANK or erase:
        return Way.NEW
    if holding is Holding.OURS:
        return Refusal(
            f"it is {device or 'a device'} of this fleet already",
            f"for giving it another key: `tinyfleet device token --replaces {device or 'DEVICE'}`; "
            "--erase makes another device of it",
        )
    return Refusal(
        "it trusts another fleet's key",
        "take it out of that fleet, then give --erase: it forgets all of that",
    )


def provisioning_map(device_type: str) -> MemoryMap:
    """Where things go. Raises PlanError for boards that are no networked nodes."""
    maps = {memory.board: memory for memory in BOARDS if "trust" in names_of(memory)}
    if device_type not in maps:
        raise PlanError(
            f"a board {device_type} is no networked node: it has no place for a key",
            f"provisioned are: {', '.join(sorted(maps))}",
        )
    return maps[device_type]


def names_of(memory: MemoryMap) -> frozenset[str]:
    return frozenset(region.name for region in memory.regions)


SMALL_BYTES: Final = 256 * KIB
_WRITTEN: Final = frozenset({"boot", "firmware_a", "replay", "spare", "reserved"})


def erasures(memory: MemoryMap) -> tuple[Region, ...]:
    """What must be blank before a first start: records, states, logs, and of what is larger the sector by
    which it would be known as an image. Replay windows stay: they are the board's sensor."""
    return tuple(
        region
        if region.size_bytes <= SMALL_BYTES
        else Region(region.name, region.offset, memory.sector_bytes)
        for region in memory.regions
        if region.name not in _WRITTEN
    )


def holding_of(trust: bytes, offered: bytes) -> Holding:
    """`trust`: what stands where the trust record goes; `offered`: the manager's."""
    if trust.count(ERASED_BYTE) == len(trust):
        return Holding.BLANK
    return Holding.OURS if trust[: len(offered)] == offered else Holding.FOREIGN


HEAD_BYTES: Final = 12
"""Of a configuration: what says where the name of its device lies."""
_HEADER_BYTES: Final = 8
_MAP, _TEXT, _TEXT_LONG = 5, 0x60, 0x78


def name_place(head: bytes) -> tuple[int, int] | None:
    """Where a configuration names its device, as offset and bytes, from its first bytes: the name is the
    first entry of the map (RFC 8949, 4.2.1), so that no secret has to be read for it. None: there is none."""
    if len(head) < HEAD_BYTES or not head.startswith(b"TFR1"):
        return None
    at = _HEADER_BYTES
    if head[at] >> 5 != _MAP or head[at + 1] != 0:
        return None
    if head[at + 2] == _TEXT_LONG:
        return at + 4, min(head[at + 3], DEVICE_ID_MAX)
    if _TEXT < head[at + 2] < _TEXT_LONG:
        return at + 3, head[at + 2] - _TEXT
    return None


LOCKS: Final[Mapping[str, tuple[tuple[int, int], ...]]] = {
    # nRF52840 PS v1.7: NVMC.CONFIG = write, UICR.APPROTECT = enabled, NVMC.CONFIG = read. It holds from the
    # next reset on.
    "nrf52840": ((0x4001_E504, 1), (0x1000_1208, 0xFFFF_FF00), (0x4001_E504, 0)),
}
"""Words that close a chip's debug port, in order. Opening it again erases all of the chip."""
SERIALS: Final[Mapping[str, tuple[int, int]]] = {
    # nRF52840 PS v1.7, FICR.DEVICEID; RM0351, unique device ID.
    "nrf52840": (0x1000_0060, 8),
    "stm32l496": (0x1FFF_7590, 12),
}
"""Where a chip keeps the number that no other has: address and bytes."""


def lock_refusal(device_type: str, *, emulated: bool) -> Refusal | None:
    """Why a board cannot be locked; None: it can."""
    if emulated:
        return Refusal("an emulated board has no read-back protection to lock", "leave --lock out")
    if device_type not in LOCKS:
        return Refusal(
            f"how a {device_type} is locked is not known here",
            "leave --lock out, and lock it by the vendor's tool",
        )
    return None
