"""Which bytes go where, in whole flash sectors: a bench board's app, model image and golden set; a node's
bootloader, firmware and model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.program import Segment
from tinyfleet.wire.memory_map import ERASED_BYTE, MemoryMap, Region
from tinyfleet.wire.turns import BOOT_KIND, STATE_KIND, active_slot

APP, BOOT, FIRMWARE, MODEL, GOLDEN = "app", "boot", "firmware", "model", "golden"
_RECORDS = {FIRMWARE: (BOOT_KIND, ("boot_a", "boot_b")), MODEL: (STATE_KIND, ("state_a", "state_b"))}
_PROGRAMS = {APP: "firmware", BOOT: "a bootloader (a node's firmware is a signed image)"}


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes for one region; `address` as the core sees it."""

    region: str
    address: int
    data: bytes


@dataclass(frozen=True, slots=True)
class FlashPlan:
    """Regions without a piece are left alone. In a sector that is written, what no piece covers is erased."""

    memory: MemoryMap
    pieces: tuple[Piece, ...]
    part: str | None = None
    """The chip by pyOCD's name, where the probe does not know it."""

    @property
    def size_bytes(self) -> int:
        return sum(len(piece.data) for piece in self.pieces)

    def sectors(self) -> dict[int, bytes]:
        """Wanted content by address, ascending, a whole sector each."""
        step = self.memory.sector_bytes
        content: dict[int, bytearray] = {}
        for piece in self.pieces:
            for address, part in _cut(piece, step):
                start = address - address % step
                sector = content.setdefault(start, bytearray([ERASED_BYTE]) * step)
                sector[address - start : address - start + len(part)] = part
        return {start: bytes(content[start]) for start in sorted(content)}

    def differing(self, current: Mapping[int, bytes]) -> dict[int, bytes]:
        """The sectors whose content on the board is not the wanted one."""
        return {start: wanted for start, wanted in self.sectors().items() if current.get(start) != wanted}


def plan_flash(
    memory: MemoryMap,
    *,
    app: Iterable[Segment] = (),
    model: bytes | None = None,
    golden: bytes | None = None,
    part: str | None = None,
) -> FlashPlan:
    """Raises PlanError when something does not lie in its region, or nothing is to be done."""
    pieces = [_app_piece(memory, segment, APP) for segment in app]
    for name, data in ((MODEL, model), (GOLDEN, golden)):
        if data is not None:
            pieces.append(_piece(memory, memory[name], data))
    if not pieces:
        raise PlanError(f"nothing to program on {memory.board}", "give firmware, a model or a golden set")
    return FlashPlan(memory, tuple(pieces), part)


@dataclass(frozen=True, slots=True)
class NodePlan:
    """For a networked node: signed images go to their slots as they are, `boot`, as an ELF or HEX file has
    it, to the bootloader's region. `slot` "a" or "b"; None: the one that the node starts, by its own
    records."""

    memory: MemoryMap
    boot: tuple[Segment, ...] = ()
    firmware: bytes | None = None
    model: bytes | None = None
    slot: str | None = None
    part: str | None = None

    @property
    def size_bytes(self) -> int:
        images = sum(len(data) for data in (self.firmware, self.model) if data is not None)
        return images + sum(len(segment.data) for segment in self.boot)

    def placed(self, read: Callable[[int, int], bytes]) -> FlashPlan:
        """`read` answers what stands in the board's flash: (address, bytes). Raises PlanError when something
        does not fit, or nothing is to be done."""
        memory = self.memory
        pieces = [_app_piece(memory, segment, BOOT) for segment in self.boot]
        for name, data in ((FIRMWARE, self.firmware), (MODEL, self.model)):
            if data is not None:
                slot = self.slot or self._active(name, read)
                region = next((r for r in memory.regions if r.name == f"{name}_{slot}"), None)
                if region is None:
                    raise PlanError(
                        f"a node of type {memory.board} has no slot {name}_{slot}", "leave that part away"
                    )
                pieces.append(_piece(memory, region, data))
        if not pieces:
            raise PlanError(f"nothing to program on {memory.board}", "give firmware or a model")
        return FlashPlan(memory, tuple(pieces), self.part)

    def _active(self, name: str, read: Callable[[int, int], bytes]) -> str:
        """A node that has no record yet looks at A first."""
        kind, records = _RECORDS[name]
        places = [region for region in self.memory.regions if region.name in records]
        sectors = [read(self.memory.base + place.offset, place.size_bytes) for place in places]
        return "b" if active_slot(sectors, kind) == 1 else "a"


def _app_piece(memory: MemoryMap, segment: Segment, name: str) -> Piece:
    region = next((region for region in memory.regions if region.name == name), None)
    if region is None:
        raise PlanError(
            f"{memory.board} has no flash for {_PROGRAMS[name]}", "is the device type right? (docs/bench.md)"
        )
    start, end = memory.base + region.offset, memory.base + region.end
    execution = memory.execution
    if name == APP and execution is not None and execution.offset <= segment.address < execution.end:
        segment = Segment(segment.address - execution.offset + start, segment.data)
    if segment.address < start or segment.end > end:
        raise PlanError(
            f"the firmware has bytes at {segment.address:#x}..{segment.end:#x}, expected within "
            f"{start:#x}..{end:#x}, the {name}'s region on {memory.board}",
            "is it built for this board?",
        )
    return Piece(name, segment.address, segment.data)


def _piece(memory: MemoryMap, region: Region, data: bytes) -> Piece:
    if len(data) > region.size_bytes:
        raise PlanError(
            f"the {region.name} has {len(data)} bytes, expected at most {region.size_bytes} "
            f"on {memory.board}",
            "use a smaller one",
        )
    return Piece(region.name, memory.base + region.offset, data)


def _cut(piece: Piece, step: int) -> Iterator[tuple[int, bytes]]:
    """(address, bytes) pieces that do not cross a sector's end."""
    at = 0
    while at < len(piece.data):
        address = piece.address + at
        count = min(step - address % step, len(piece.data) - at)
        yield address, piece.data[at : at + count]
        at += count
