"""Firmware files as bytes at addresses: ELF (32 bit, little-endian), Intel HEX, plain binaries."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.wire.image_format import IMAGE_MAGIC

_ELF_MAGIC = b"\x7fELF"
_ELF_32_LITTLE = b"\x01\x01"
_ELF_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIIIIIII")
_PT_LOAD = 1
_ADDRESSES = 1 << 32
_REBUILD = "build the firmware again: `make setup`"
_HEX_DATA, _HEX_END, _HEX_SEGMENT, _HEX_LINEAR = 0, 1, 2, 4
_HEX_IGNORED = (3, 5)


class FileKind(Enum):
    ELF = "ELF"
    HEX = "Intel HEX"
    IMAGE = "signed image"
    BINARY = "binary"


def kind_of(data: bytes) -> FileKind:
    """What a file is by its first bytes. An image is MCUboot's, signed or not."""
    if data.startswith(_ELF_MAGIC):
        return FileKind.ELF
    if data.startswith(IMAGE_MAGIC.to_bytes(4, "little")):
        return FileKind.IMAGE
    # A record is a line of text; a vector table begins with an address in RAM.
    return FileKind.HEX if data[:1] == b":" else FileKind.BINARY


@dataclass(frozen=True, slots=True)
class Segment:
    address: int
    data: bytes

    @property
    def end(self) -> int:
        return self.address + len(self.data)


def read_program(data: bytes, name: str, address: int | None = None) -> tuple[Segment, ...]:
    """Segments in ascending order, neighbours joined. `address` is where a file lies that does not say so
    itself. Raises PlanError naming the file and where it is wrong."""
    kind = kind_of(data)
    if address is not None:
        if kind in (FileKind.ELF, FileKind.HEX):
            raise PlanError(f"{name}: is {kind.value} and has addresses of its own", "leave --address away")
        if not data:
            raise PlanError(f"{name}: is empty", _REBUILD)
        if address < 0 or address + len(data) > _ADDRESSES:
            raise PlanError(f"{name}: {address:#x} is no address of 32 bits for it", "correct --address")
        return (Segment(address, data),)
    segments = _read_elf(data, name) if data.startswith(_ELF_MAGIC) else _read_hex(data, name)
    segments.sort(key=lambda segment: segment.address)
    joined: list[Segment] = []
    for segment in segments:
        if joined and segment.address < joined[-1].end:
            raise PlanError(f"{name}: two parts claim address {segment.address:#x}", _REBUILD)
        if joined and segment.address == joined[-1].end:
            joined[-1] = Segment(joined[-1].address, joined[-1].data + segment.data)
        else:
            joined.append(segment)
    if not joined:
        raise PlanError(f"{name}: nothing in it is to be programmed", _REBUILD)
    return tuple(joined)


def _read_elf(data: bytes, name: str) -> list[Segment]:
    if len(data) < _ELF_HEADER.size or data[4:6] != _ELF_32_LITTLE:
        raise PlanError(f"{name}: not a 32-bit little-endian ELF file", _REBUILD)
    header = _ELF_HEADER.unpack_from(data)
    offset, entry_bytes, count = header[5], header[9], header[10]
    if count and (entry_bytes != _PROGRAM_HEADER.size or offset + count * entry_bytes > len(data)):
        raise PlanError(f"{name}: the program headers point beyond the file's {len(data)} bytes", _REBUILD)
    segments = []
    for i in range(count):
        kind, start, _, physical, size, *_ = _PROGRAM_HEADER.unpack_from(data, offset + i * entry_bytes)
        if kind != _PT_LOAD or size == 0:
            continue
        if start + size > len(data):
            raise PlanError(
                f"{name}: program header {i} points beyond the file's {len(data)} bytes", _REBUILD
            )
        segments.append(Segment(physical, data[start : start + size]))
    return segments


def _read_hex(data: bytes, name: str) -> list[Segment]:
    segments: list[Segment] = []
    base = 0
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        record = _hex_record(line.strip(), name, number)
        kind, address, content = record[3], int.from_bytes(record[1:3], "big"), record[4:-1]
        if kind == _HEX_END:
            return segments
        if kind == _HEX_DATA:
            segments.append(Segment(base + address, content))
        elif kind in (_HEX_SEGMENT, _HEX_LINEAR) and len(content) == 2:
            base = int.from_bytes(content, "big") << (4 if kind == _HEX_SEGMENT else 16)
        elif kind not in _HEX_IGNORED:
            raise PlanError(f"{name}:{number}: unknown record of type {kind}", _REBUILD)
    raise PlanError(
        f"{name}: ends without an end record; is it cut off, or no ELF and no Intel HEX file?",
        "build the firmware again: `make setup`; a plain binary needs its --address",
    )


def _hex_record(line: bytes, name: str, number: int) -> bytes:
    """Length, address, type, data and checksum of one line."""
    try:
        record = bytes.fromhex(line[1:].decode("ascii")) if line[:1] == b":" else b""
    except ValueError:
        record = b""
    if len(record) < 5 or len(record) != record[0] + 5:
        raise PlanError(
            f"{name}:{number}: no Intel HEX record (and the file is no ELF)",
            "build the firmware again: `make setup`; a plain binary needs its --address",
        )
    if sum(record) & 0xFF:
        raise PlanError(f"{name}:{number}: wrong checksum", _REBUILD)
    return record
