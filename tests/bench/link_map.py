"""What an executable is made of, from GNU ld's map file: bytes of flash and RAM by part."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# An input section: its name, then (on the same line or the next) address, size and the file it came from.
_SECTION = re.compile(r"^ (\.[\w.$*-]+|COMMON)(?:\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+(\S.*))?$")
_REST = re.compile(r"^\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)\s+(\S.*)$")
_FILL = re.compile(r"^ \*fill\*\s+(0x[0-9a-f]+)\s+(0x[0-9a-f]+)")
_OUTPUT = re.compile(r"^(\.?\w[\w.]*)(?:\s|$)")
_FLASH = (".vectors", ".text", ".rodata", ".ARM.exidx")
_RAM = (".bss", "COMMON", ".noinit")

# The first that the path of an object matches names its part.
PARTS = (
    ("runtime", r"libtf_runtime"),
    (
        "TLS (BearSSL's engine, X.509, ciphers)",
        r"libbearssl.*\((ssl|x509|aes|chacha|poly|ghash|ec_c25|hmac_drbg|sysrng|skey|pem)",
    ),
    ("signatures and hashes (BearSSL)", r"libbearssl"),
    ("TCP/IP (lwIP)", r"liblwip"),
    ("MQTT and TLS link", r"libtf_net"),
    ("wire", r"libtf_wire"),
    ("update engine", r"libtf_ota"),
    ("images and boot state", r"libtf_boot"),
    ("console", r"libtf_console"),
    ("telemetry", r"libtf_telemetry"),
    ("board", r"tf_port\.dir|tf_board\.dir|cortex_m"),
    ("node", r"node_parts|CMakeFiles/node"),
    ("C library", r"lib[cg]_nano|libgcc|libm"),
)


@dataclass(frozen=True)
class Share:
    """Bytes of one part: `flash_bytes` of code, constants and initial values, `ram_bytes` of variables."""

    part: str
    flash_bytes: int
    ram_bytes: int


def part_of(path: str) -> str:
    return next((name for name, pattern in PARTS if re.search(pattern, path)), "other")


def shares(lines: Iterable[str]) -> list[Share]:
    """By part, in the order of PARTS. Sections that the linker left out do not count. Gaps between sections
    (alignment) are a part of their own.

    Raises ValueError when this is no map of GNU ld, or holds no code.
    """
    flash: dict[str, int] = {}
    ram: dict[str, int] = {}

    def count(section: str, size: int, part: str) -> None:
        if section.startswith(".data"):
            flash[part] = flash.get(part, 0) + size
        place = flash if section.startswith(_FLASH) else ram if section.startswith((*_RAM, ".data")) else None
        if place is not None:
            place[part] = place.get(part, 0) + size

    begun = False
    output = section = ""
    for line in lines:
        if line.startswith("Linker script and memory map"):
            begun = True
        elif not begun or not line.strip():
            continue
        elif found := _FILL.match(line):
            count(output, int(found[2], 16), "alignment")
        elif found := _SECTION.match(line):
            section = found[1]
            if found[4]:
                count(section, int(found[3], 16), part_of(found[4]))
        elif section and (found := _REST.match(line)):
            count(section, int(found[2], 16), part_of(found[3]))
            section = ""
        elif found := _OUTPUT.match(line):
            output, section = found[1], ""
    if not flash:
        raise ValueError("no code in this linker map: expected one that GNU ld wrote (-Wl,-Map)")
    names = [name for name, _ in PARTS] + ["other", "alignment"]
    return [Share(n, flash.get(n, 0), ram.get(n, 0)) for n in names if n in flash or n in ram]
