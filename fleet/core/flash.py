"""Which bytes a device's flash needs to belong to the fleet (SPEC section 8).

The trust record is written once: another fleet's is never overwritten. Everything else is made to be what
it should be.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinyfleet.fleet.core.errors import BadInput, Refused
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.firmware import firmware_slots
from tinyfleet.wire.image_format import IMAGE_MAGIC
from tinyfleet.wire.memory_map import BOARDS, ERASED_BYTE, MemoryMap, Region
from tinyfleet.wire.messages import NodeConfig, Trust
from tinyfleet.wire.records import decode_record

_IMAGE_MAGIC: Final = IMAGE_MAGIC.to_bytes(4, "little")
MAPS: Final[dict[str, MemoryMap]] = {
    memory.board: memory for memory in BOARDS if any(region.name == "trust" for region in memory.regions)
}


@dataclass(frozen=True, slots=True)
class Write:
    """Erase the sectors of `data` from `offset` (a sector's start) on, then write it there."""

    region: str
    offset: int
    data: bytes


def map_of(device_type: str) -> MemoryMap:
    if device_type not in MAPS:
        known = ", ".join(sorted(MAPS))
        raise BadInput(f"no flash map for device type {device_type!r}; known: {known}")
    return MAPS[device_type]


def plan(
    memory: MemoryMap,
    flash: bytes,
    *,
    trust: bytes,
    config: bytes,
    replay: bytes | None,
    firmware: bytes | None = None,
) -> list[Write]:
    """The writes that make `flash` (its whole content) belong to the fleet; none when it does already.

    `firmware`, a signed image, goes into the first slot of a board that has none yet: what was updated since
    stays. Raises Refused when another trust record is there, BadInput when something does not fit.
    """
    if len(flash) != memory.size_bytes:
        raise BadInput(
            f"flash of {memory.board}: expected {memory.size_bytes} bytes, got {len(flash)}; "
            "give another file, or remove it to have a new one made"
        )
    writes = []
    if not _holds(flash, memory["trust"], trust):
        _refuse_other_trust(flash, memory["trust"])
        writes.append(_write(memory, "trust", trust))
    if not _holds(flash, memory["config_a"], config):
        # Without a record of configurations A is looked at first, so it alone decides. The records go before:
        # a programmer that is cut off between leaves a difference for the next time.
        for name in ("config_state_a", "config_state_b"):
            region = memory[name]
            if not _erased(flash[region.offset : region.end]):
                writes.append(_write(memory, name, bytes([ERASED_BYTE]) * region.size_bytes))
        writes.append(_write(memory, "config_a", config))
    if replay is not None and not _holds(flash, memory["replay"], replay):
        writes.append(_write(memory, "replay", replay))
    if firmware is not None and not any(
        flash[slot.offset : slot.offset + len(_IMAGE_MAGIC)] == _IMAGE_MAGIC
        for slot in firmware_slots(memory)
    ):
        writes.append(_write(memory, "firmware_a", firmware))
    return writes


def blank(memory: MemoryMap) -> bytes:
    return bytes([ERASED_BYTE]) * memory.size_bytes


def is_fresh(memory: MemoryMap, flash: bytes) -> bool:
    """True when the flash never belonged to a fleet: whatever its device counted begins again."""
    region = memory["trust"]
    return _erased(flash[region.offset : region.end])


def config_of(memory: MemoryMap, flash: bytes) -> NodeConfig | None:
    """The configuration that was provisioned; a `want` may have changed it since. None: there is none."""
    for name in ("config_a", "config_b"):
        region = memory[name]
        try:
            return decode_record(NodeConfig, flash[region.offset : region.end])
        except WireError:
            continue
    return None


def _holds(flash: bytes, region: Region, data: bytes) -> bool:
    return flash[region.offset : region.offset + len(data)] == data


def _erased(data: bytes) -> bool:
    return data.count(ERASED_BYTE) == len(data)


def _refuse_other_trust(flash: bytes, region: Region) -> None:
    content = flash[region.offset : region.end]
    if _erased(content):
        return
    try:
        keys = decode_record(Trust, content).keys
    except WireError:
        held = "something that is no trust record"
    else:
        held = "a trust record for " + ", ".join(f"key {key.hex()[:12]}" for key in keys)
    raise Refused(
        f"the flash holds {held}, not this fleet's; it is written once: erase it (remove the file) first"
    )


def _write(memory: MemoryMap, name: str, data: bytes) -> Write:
    region = memory[name]
    if len(data) > region.size_bytes:
        raise BadInput(f"{name}: expected at most {region.size_bytes} bytes, got {len(data)}")
    return Write(name, region.offset, data)


def apply(memory: MemoryMap, flash: bytearray, writes: list[Write]) -> None:
    """Carries the writes out in memory, erasing whole sectors as flash needs it."""
    for write in writes:
        sectors = -(-len(write.data) // memory.sector_bytes) * memory.sector_bytes
        flash[write.offset : write.offset + sectors] = bytes([ERASED_BYTE]) * sectors
        flash[write.offset : write.offset + len(write.data)] = write.data
