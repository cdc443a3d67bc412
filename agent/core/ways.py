"""By which way a board gets its programs."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from enum import Enum
from typing import Final

from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import NoSuchBoardError, PlanError
from tinyfleet.agent.core.flash_plan import FlashPlan, NodePlan
from tinyfleet.agent.core.part_plan import PartPlan
from tinyfleet.agent.core.signed_image import SignedImage

PART_LABEL: Final = "part"
"""bench.yaml's label for the chip by pyOCD's name."""
_BLANK = re.compile(r"\{(image|port|address)\}")


class Way(Enum):
    PROBE = "probe"
    SMP = "smp"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class SmpPlan:
    """Signed images for a node, each into the slot that is free; the firmware first, as a model may need
    it."""

    images: tuple[SignedImage, ...]
    confirm: bool = False
    """Firmware that nobody else ever hears waits to be told: other MCUmgr firmware, a node without a
    network."""

    @property
    def size_bytes(self) -> int:
        return sum(len(image.data) for image in self.images)


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One call of a vendor's tool: program and arguments."""

    command: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(self.command)


@dataclass(frozen=True, slots=True)
class ToolPlan:
    """`uses_port`: the tool opens the board's console itself."""

    runs: tuple[ToolRun, ...]
    size_bytes: int
    uses_port: bool = False


Plan = FlashPlan | NodePlan | PartPlan | SmpPlan | ToolPlan


def way_of(spec: BoardSpec, wanted: Way | None = None) -> Way:
    """The way that is wanted, else the first that the board has: probe, SMP, command. Raises
    NoSuchBoardError."""
    has = {Way.PROBE: spec.probe, Way.SMP: spec.smp, Way.COMMAND: spec.program}
    there = [way for way, value in has.items() if value is not None]
    if wanted is None:
        return there[0]
    if wanted not in there:
        raise NoSuchBoardError(
            f"{spec.name} has no {'program' if wanted is Way.COMMAND else wanted.value} in bench.yaml",
            f"it is programmed by: {', '.join(way.value for way in there)}",
        )
    return wanted


def tool_run(spec: BoardSpec, image: str, address: int | None) -> ToolRun:
    """`program` of bench.yaml with {image}, {port} and {address} filled in. Raises PlanError when it asks for
    what is not known."""
    values = {
        "image": image,
        "port": spec.console,
        "address": None if address is None else f"{address:#x}",
    }
    hints = {"port": "name the board's console in bench.yaml", "address": "give --address"}

    def fill(match: re.Match[str]) -> str:
        value = values[match[1]]
        if value is None:
            raise PlanError(f"{spec.name}: its program asks for {match[0]}", hints[match[1]])
        return value

    return ToolRun(tuple(_BLANK.sub(fill, word) for word in spec.program or ()))
