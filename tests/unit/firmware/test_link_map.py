"""Bytes by part, from a map as GNU ld writes it."""

import pytest
from tests.bench.link_map import Share, shares

MAP = """\
Discarded input sections

 .text.unused   0x00000000       0x40 firmware/net/libtf_net.a(mqtt.c.obj)

Linker script and memory map

.text           0x00010400      0x1b0
 *(.text*)
 .text.publish  0x00010400       0x80 firmware/net/libtf_net.a(mqtt.c.obj)
 .text.a_name_that_is_too_long
                0x00010480       0x20 firmware/libbearssl.a(sha2small.c.obj)
 *fill*         0x000104a0        0x8
 .rodata.table  0x000104a8      0x100 firmware/runtime/libtf_runtime.a(conv.c.obj)
                0x000104a8                table

.data           0x20000000        0x8 load address 0x000105a8
 .data.state    0x20000000        0x8 apps/node/CMakeFiles/node_parts.dir/main.c.obj

.bss            0x20000008       0x10
 .bss.buffer    0x20000008       0x10 firmware/net/libtf_net.a(mqtt.c.obj)

.debug_info     0x00000000      0x999
 .debug_info    0x00000000      0x999 firmware/net/libtf_net.a(mqtt.c.obj)
"""


def test_each_section_counts_once_at_its_part() -> None:
    assert shares(MAP.splitlines()) == [
        Share("runtime", 0x100, 0),
        Share("signatures and hashes (BearSSL)", 0x20, 0),
        Share("MQTT and TLS link", 0x80, 0x10),
        Share("node", 8, 8),
        Share("alignment", 8, 0),
    ]


def test_no_map_is_refused() -> None:
    with pytest.raises(ValueError, match="-Wl,-Map"):
        shares(["int main(void) {", "}"])
