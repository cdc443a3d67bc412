"""What the agent knows of device types: where the bench app and its data, or a networked node's slots, lie in
flash."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.wire.memory_map import (
    BOARDS,
    KIB,
    MICROBIT,
    MPS2_AN386_BENCH,
    MPS2_AN500_BENCH,
    MPS3_AN547,
    MemoryMap,
    Region,
)

_MAPS = {
    "microbit": MICROBIT,
    "mps2-an386": MPS2_AN386_BENCH,
    "mps2-an500": MPS2_AN500_BENCH,
    # Its boot ROM copies the app from flash to the core's instruction memory, where it is built to run.
    "mps3-an547": replace(
        MPS3_AN547,
        regions=(Region("app", 0, 508 * KIB), *MPS3_AN547.regions),
        execution=Region("execution", 0x1000_0000, 508 * KIB),
    ),
}
# A node knows whom to trust; a bench board has no place for that. posix is a process: no probe, no tool.
_NODES = {
    memory.board: memory for memory in BOARDS if any(region.name == "trust" for region in memory.regions)
}


DEVICE_TYPES = tuple(sorted({*_MAPS, *_NODES}))


class Layout(Enum):
    """Whose flash it is. PART: nobody's of ours, so it is what pyOCD knows of the part."""

    BENCH = "bench"
    NODE = "node"
    PART = "part"


def layout_of(device_type: str, *, signed_firmware: bool = False) -> Layout:
    """What a board most likely is: firmware as a signed image is a node's; else the bench app comes first."""
    if device_type in _NODES and (signed_firmware or device_type not in _MAPS):
        return Layout.NODE
    return Layout.BENCH if device_type in _MAPS else Layout.PART


def memory_map(device_type: str) -> MemoryMap:
    """A bench board's. Raises PlanError for a device type whose flash layout is not known."""
    return _look_up(_MAPS, device_type, "bench app")


def node_map(device_type: str) -> MemoryMap:
    """A networked node's. Raises PlanError for a device type that has none."""
    return _look_up(_NODES, device_type, "networked node")


def _look_up(maps: dict[str, MemoryMap], device_type: str, what: str) -> MemoryMap:
    try:
        return maps[device_type]
    except KeyError:
        raise PlanError(
            f"no flash layout of a {what} is known for device type {device_type!r}",
            f"known are: {', '.join(sorted(maps))}",
        ) from None
