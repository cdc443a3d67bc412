"""A board's flash by regions: compared, written where it differs, read back. What was read is never told: it
may be somebody's key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol, TypeVar

from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.ports import ProbeSession
from tinyfleet.wire.memory_map import ERASED_BYTE, MemoryMap, Region

R = TypeVar("R")
_WORN: Final = "run it again; if it stays so, the flash is worn or protected"


class Caller(Protocol):
    """Runs a blocking call in the board's worker, within the time of the step under way."""

    def __call__(self, function: Callable[..., R], *arguments: object) -> R: ...


class BoardFlash:
    def __init__(self, session: ProbeSession, memory: MemoryMap, call: Caller) -> None:
        self._session = session
        self._memory = memory
        self._call = call

    def read(self, region: str, size: int, offset: int = 0) -> bytes:
        return self._read(self._memory[region].offset + offset, size)

    def read_at(self, address: int, size: int) -> bytes:
        """Of the core's addresses: a chip's own number."""
        return self._call(self._session.read, address, size)

    def put(self, region: str, data: bytes) -> None:
        """Makes the region begin with `data`: writes the sectors that differ, reads them back. Raises
        AgentError."""
        wanted = self._sectors(region, data)
        differing = self._differing(wanted)
        if differing:
            self._program({at: wanted[at] for at in differing})
            wrong = self._differing({at: wanted[at] for at in differing})
            if wrong:
                raise AgentError(f"{region} is not as written at {self._memory.base + wrong[0]:#x}", _WORN)

    def put_unread(self, region: str, data: bytearray) -> None:
        """As `put`, without a look at what was or is there. The sectors made for it are overwritten."""
        sectors = self._sectors(region, data)
        try:
            self._program(sectors)
        finally:
            for sector in sectors.values():
                sector[:] = bytes(len(sector))

    def erase(self, regions: Iterable[Region]) -> None:
        """What is not blank becomes so. Where configurations lie nothing is read before: an earlier one
        holds a key. Raises AgentError."""
        step = self._memory.sector_bytes
        blank = bytearray([ERASED_BYTE]) * step
        for region in regions:
            sectors = {at: blank for at in range(region.offset, region.end, step)}
            if region.name.startswith("config_") and region.size_bytes > step:
                self._program(sectors)
            else:
                self._program({at: blank for at in self._differing(sectors)})
            if self._differing(sectors):
                raise AgentError(f"{region.name} cannot be erased", _WORN)

    def check(self, region: str, parts: Sequence[tuple[int, bytes]]) -> None:
        """Whether these bytes stand at these offsets of the region. Raises AgentError."""
        start = self._memory[region].offset
        for offset, wanted in parts:
            if self._read(start + offset, len(wanted)) != wanted:
                at = self._memory.base + start + offset
                raise AgentError(f"{region} is not as written behind {at:#x}", _WORN)

    def write_words(self, words: Sequence[tuple[int, int]]) -> None:
        self._call(self._session.write_words, words)

    def reset(self) -> None:
        self._call(self._session.reset)

    def _read(self, offset: int, size: int) -> bytes:
        return self._call(self._session.read, self._memory.base + offset, size)

    def _program(self, sectors: dict[int, bytearray]) -> None:
        if sectors:
            placed = {self._memory.base + at: data for at, data in sectors.items()}
            self._call(self._session.program, placed, lambda part: None)

    def _differing(self, wanted: dict[int, bytearray]) -> list[int]:
        """Offsets of the sectors that are not so; what lies without a gap is read in one go."""
        if not wanted:
            return []
        step = self._memory.sector_bytes
        first, last = min(wanted), max(wanted) + step
        data = self._read(first, last - first)
        return [at for at, sector in wanted.items() if data[at - first : at - first + step] != sector]

    def _sectors(self, region: str, data: bytes | bytearray) -> dict[int, bytearray]:
        place, step = self._memory[region], self._memory.sector_bytes
        if len(data) > place.size_bytes:
            raise AgentError(
                f"{region} takes {place.size_bytes} bytes, not {len(data)}", "is it for this board?"
            )
        sectors = {}
        for at in range(0, len(data), step):
            sector = bytearray([ERASED_BYTE]) * step
            with memoryview(data) as view:
                part = view[at : at + step]
                sector[: len(part)] = part
                part.release()
            sectors[place.offset + at] = sector
        return sectors
