"""The boot ROM of `mps3-an547` (boot_rom.s), as an ELF file that QEMU loads before each reset."""

from __future__ import annotations

import struct

ITCM, FLASH = 0x10000000, 0x70000000
APP_BYTES = 0x7F000
"""What a program may take of the instruction memory: the ROM's own code stands above."""

_STACK = 0x30080000
# boot_rom.s, assembled; a test assembles it again and compares.
CODE = bytes.fromhex(
    "4ff0e0404ff080514ff4fe22d0e90034e50715d0651a954212d20a4e9d1bb5f5002f0dd25218b0e8e001a1e8e0019142f9d183f3"
    "0888bff34f8fbff36f8f204730bffde701000030"
)
_MACHINE_ARM, _EXECUTABLE, _LOAD, _READ_EXECUTE = 40, 2, 1, 5
_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SEGMENT = struct.Struct("<IIIIIIII")


def _elf(entry: int, segments: dict[int, bytes]) -> bytes:
    """An ELF file (32 bits, little-endian) of these bytes by address."""
    at = _HEADER.size + _SEGMENT.size * len(segments)
    headers, content = b"", b""
    for address, data in segments.items():
        size = len(data)
        headers += _SEGMENT.pack(_LOAD, at + len(content), address, address, size, size, _READ_EXECUTE, 4)
        content += data
    ident = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
    sizes = (_HEADER.size, _SEGMENT.size, len(segments), 0, 0, 0)
    kind = (_EXECUTABLE, _MACHINE_ARM, 1)
    return _HEADER.pack(ident, *kind, entry, _HEADER.size, 0, 0, *sizes) + headers + content


ELF = _elf(ITCM + APP_BYTES, {ITCM: struct.pack("<II", _STACK, ITCM + APP_BYTES | 1), ITCM + APP_BYTES: CODE})
