"""Small programs for emulated boards, built on the spot with the firmware's own compiler; a serial port."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyocd_qemu import registry
from pyocd_qemu.board import Board
from tests.integration.agent.serial_port import SerialPort

from tinyfleet.agent.adapters.emulator import EmulatedNode

ROOT = Path(__file__).resolve().parents[3]
TIMEOUT_S = 60

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


# Counts in its first RAM word; a function at 0x41 is there for breakpoints.
COUNTER = r"""
.syntax unified
.cpu cortex-m0
.thumb
.text
.word 0x20002000, start + 1
.fill 14, 4, 0x81
.org 0x40
.thumb_func
step:
    adds r0, #1
    bx lr
.org 0x80
start:
    ldr r1, =0x20000000
    movs r0, #0
again:
    bl step
    str r0, [r1]
    b again
"""


def assemble(source: str, folder: Path, name: str) -> bytes:
    """The program's bytes from address 0 on."""
    text, elf, binary = folder / f"{name}.s", folder / f"{name}.elf", folder / f"{name}.bin"
    text.write_text(source)
    build = ["arm-none-eabi-gcc", "-nostdlib", "-Wl,-Ttext=0", "-Wl,-e,0", "-o", str(elf), str(text)]
    subprocess.run(build, check=True, timeout=TIMEOUT_S)
    cut = ["arm-none-eabi-objcopy", "-O", "binary", "-j", ".text", str(elf), str(binary)]
    subprocess.run(cut, check=True, timeout=TIMEOUT_S)
    return binary.read_bytes()


@pytest.fixture(scope="session")
def counter_program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return assemble(COUNTER, tmp_path_factory.mktemp("counter"), "counter")


@pytest.fixture
def boards_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty place for emulated boards, which this process's pyOCD looks into."""
    root = tmp_path / "boards"
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(root))
    return root


@pytest.fixture
def microbit(boards_root: Path) -> Iterator[Board]:
    """Running, with blank flash."""
    board = Board("qemu-microbit-0001", "microbit")
    board.start()
    yield board
    board.kill()


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


@pytest.fixture
def port(tmp_path: Path) -> Iterator[SerialPort]:
    port = SerialPort(tmp_path)
    yield port
    port.close()
