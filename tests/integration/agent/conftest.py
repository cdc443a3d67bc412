"""Small programs for emulated boards, built on the spot with the firmware's own compiler."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinyfleet.agent.adapters.emulator import EmulatedNode

# Says hello on the CMSDK UART of mps2-an386, then sleeps.
HELLO_NODE = r"""
.syntax unified
.cpu cortex-m4
.thumb
.section .vectors, "a"
.word 0x20010000, reset + 1
.text
.thumb_func
reset:
    ldr r0, =0x40004000
    movs r1, #16
    str r1, [r0, #16]
    movs r1, #1
    str r1, [r0, #8]
    ldr r2, =text
next:
    ldrb r1, [r2], #1
    cbz r1, idle
wait:
    ldr r3, [r0, #4]
    lsls r3, r3, #31
    bmi wait
    str r1, [r0]
    b next
idle:
    wfi
    b idle
text: .asciz "node says hello\n"
"""


@pytest.fixture(scope="session")
def hello_kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kernel")
    source, elf = folder / "hello.s", folder / "hello.elf"
    source.write_text(HELLO_NODE)
    subprocess.run(
        [
            *("arm-none-eabi-gcc", "-nostdlib", "-mcpu=cortex-m4", "-mthumb", "-Wl,-Ttext=0x100"),
            *("-Wl,--section-start=.vectors=0", "-Wl,-e,reset", "-o", str(elf), str(source)),
        ],
        check=True,
        timeout=60,
    )
    return elf


@pytest.fixture
def node(hello_kernel: Path, tmp_path: Path) -> Iterator[EmulatedNode]:
    node = EmulatedNode(flash=tmp_path / "flash.bin", kernel=hello_kernel, state_dir=tmp_path / "n1")
    yield node
    node.kill()
