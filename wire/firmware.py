"""What a firmware binary says of itself, at a fixed place behind its vectors (`firmware/apps/facts.c`).

    u32 magic "TFFW" · u16 format · u16 abi · u32 origin · u32 kernels, u32 their end · u16 bytes of each ·
    u16 place of the op code in each · u8 major, minor · u16 patch · 32 bytes device type · u8 cores

`origin` is the address of the binary's first byte; what it has of kernels is read from its own table.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Final

from tinyfleet.wire.enums import CoreVariant
from tinyfleet.wire.errors import ImageFormatError
from tinyfleet.wire.image_format import FIRMWARE_HEADER_BYTES, OPS_MAX
from tinyfleet.wire.memory_map import BENCH_BOARDS, MemoryMap, Region

FACTS_OFFSET: Final = 0x100
FACTS_OFFSETS: Final = (FACTS_OFFSET, 0x200)
"""The second where the vector table has more than 64 words."""
FACTS_MAGIC: Final = 0x57464654
FACTS_FORMAT: Final = 1
_FACTS = struct.Struct("<IHHIIIHHBBH32sB")


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareFacts:
    """`ops` is a bitmap as in birth. `kernels_at` and `kernel_bytes` say where in the binary its op codes
    stand.
    """

    device_type: str
    version: str
    abi: int
    origin: int
    ops: bytes
    cores: frozenset[CoreVariant]
    kernels_at: int
    kernel_bytes: int


def read_facts(binary: bytes) -> FirmwareFacts:
    """The facts in `binary`. ImageFormatError when it is no firmware of ours, or is cut short."""
    magic = FACTS_MAGIC.to_bytes(4, "little")
    offset = next((at for at in FACTS_OFFSETS if binary[at : at + len(magic)] == magic), FACTS_OFFSETS[0])
    if len(binary) < offset + _FACTS.size:
        raise ImageFormatError(
            "firmware", expected=f"at least {offset + _FACTS.size} bytes", actual=f"{len(binary)} bytes"
        )
    found, form, abi, origin, start, end, size, code_at, major, minor, patch, name, cores = (
        _FACTS.unpack_from(binary, offset)
    )
    if found != FACTS_MAGIC:
        raise ImageFormatError("firmware facts", expected=hex(FACTS_MAGIC), actual=hex(found))
    if form != FACTS_FORMAT:
        raise ImageFormatError("format of the firmware facts", expected=FACTS_FORMAT, actual=form)
    if not (0 <= start - origin <= end - origin <= len(binary)) or size <= code_at:
        raise ImageFormatError(
            "kernels of the firmware", expected=f"within its {len(binary)} bytes", actual=f"{start:#x}"
        )
    ops = bytearray(OPS_MAX)
    for at in range(start - origin, end - origin - size + 1, size):
        code = binary[at + code_at]
        ops[code // 8] |= 1 << code % 8
    return FirmwareFacts(
        device_type=name.rstrip(b"\0").decode("utf-8", "backslashreplace"),
        version=f"{major}.{minor}.{patch}",
        abi=abi,
        origin=origin,
        ops=bytes(ops).rstrip(b"\0"),
        cores=frozenset(core for core in CoreVariant if cores >> core & 1),
        kernels_at=start - origin + code_at,
        kernel_bytes=size,
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where a firmware runs: copied to `address` (slot None: from any slot), or in a slot that stands
    there. `bare`: a bench app, whose payload alone is programmed, to `address`.
    """

    address: int
    slot: int | None
    bare: bool = False


def bare_place(facts: FirmwareFacts) -> Place | None:
    """Of a bench app; None: it is none."""
    memory = BENCH_BOARDS.get(facts.device_type)
    if memory is None:
        return None
    app = memory.base + memory["app"].offset if memory.execution is None else memory.execution.offset
    return Place(app, None, bare=True) if facts.origin == app else None


def place_of(facts: FirmwareFacts, memory: MemoryMap) -> Place:
    """The place that `facts.origin` was linked for. ImageFormatError when the board has no such place."""
    address = facts.origin - FIRMWARE_HEADER_BYTES
    if memory.execution is not None and address == memory.execution.offset:
        return Place(address, None)
    slots = firmware_slots(memory)
    for index, region in enumerate(slots):
        if address == memory.base + region.offset:
            return Place(address, index)
    known = [hex(memory.execution.offset + FIRMWARE_HEADER_BYTES)] if memory.execution else []
    known += [hex(memory.base + region.offset + FIRMWARE_HEADER_BYTES) for region in slots]
    raise ImageFormatError("origin of the firmware", expected=" or ".join(known), actual=hex(facts.origin))


def firmware_slots(memory: MemoryMap) -> tuple[Region, ...]:
    return tuple(region for region in memory.regions if region.name.startswith("firmware_"))
