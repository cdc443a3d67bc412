"""Bytes for a chip that has no layout of ours: which sectors it has, its probe says when it is open."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.program import Segment

Sector = tuple[int, int]
"""Address and bytes of what is erased at once."""


@dataclass(frozen=True, slots=True)
class PartPlan:
    """`part` is the chip by pyOCD's name, None where the probe knows it. Around the segments everything
    stays as it is."""

    part: str | None
    segments: tuple[Segment, ...]

    @property
    def size_bytes(self) -> int:
        return sum(len(segment.data) for segment in self.segments)

    def wanted(self, current: Mapping[int, bytes]) -> dict[int, bytes]:
        """Each sector as it shall be, from what stands in those that the segments touch. ValueError when
        one of these is missing."""
        content = {start: bytearray(data) for start, data in sorted(current.items())}
        for segment in self.segments:
            covered = 0
            for start, sector in content.items():
                low, high = max(segment.address, start), min(segment.end, start + len(sector))
                if low < high:
                    part = segment.data[low - segment.address : high - segment.address]
                    sector[low - start : high - start] = part
                    covered += len(part)
            if covered != len(segment.data):
                raise ValueError(
                    f"{covered} of the {len(segment.data)} bytes at {segment.address:#x} have sectors"
                )
        return {start: bytes(sector) for start, sector in content.items()}


def plan_part(segments: Iterable[Segment], part: str | None) -> PartPlan:
    """Raises PlanError when there is nothing to do."""
    kept = tuple(segments)
    if not kept:
        raise PlanError("nothing to program", "give firmware")
    return PartPlan(part, kept)
