"""What the agent knows of device types: where the bench app and its data, or a networked node's slots, lie in
flash."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.wire.memory_map import BENCH_BOARDS, BOARDS, MemoryMap

# A node knows whom to trust; a bench board has no place for that. posix is a process: no probe, no tool.
_NODES = {
    memory.board: memory for memory in BOARDS if any(region.name == "trust" for region in memory.regions)
}


DEVICE_TYPES = tuple(sorted({*BENCH_BOARDS, *_NODES}))


class Layout(Enum):
    """Whose flash it is. PART: nobody's of ours, so it is what pyOCD knows of the part."""

    BENCH = "bench"
    NODE = "node"
    PART = "part"


def layout_of(device_type: str, *, signed_firmware: bool = False) -> Layout:
    """What a board most likely is: firmware as a signed image is a node's; else the bench app comes first."""
    if device_type in _NODES and (signed_firmware or device_type not in BENCH_BOARDS):
        return Layout.NODE
    return Layout.BENCH if device_type in BENCH_BOARDS else Layout.PART


def memory_map(device_type: str) -> MemoryMap:
    """A bench board's. Raises PlanError for a device type whose flash layout is not known."""
    return _look_up(BENCH_BOARDS, device_type, "bench app")


def node_map(device_type: str) -> MemoryMap:
    """A networked node's. Raises PlanError for a device type that has none."""
    return _look_up(_NODES, device_type, "networked node")


def _look_up(maps: Mapping[str, MemoryMap], device_type: str, what: str) -> MemoryMap:
    try:
        return maps[device_type]
    except KeyError:
        raise PlanError(
            f"no flash layout of a {what} is known for device type {device_type!r}",
            f"known are: {', '.join(sorted(maps))}",
        ) from None
