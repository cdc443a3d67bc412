"""Ports that nothing here can run: they build, fit, and ask for no more than docs/porting.md says."""

from __future__ import annotations

import os
import struct
import subprocess
from pathlib import Path

import pytest

from tinyfleet.wire.memory_map import NRF52840, STM32L496, MemoryMap

ROOT = Path(__file__).resolve().parents[3]
BUILD_TIMEOUT_S = 300
RAM = range(0x2000_0000, 0x2003_F001)
# What node_port.h and socket_port.h ask of a port.
PORT = {"tf_console", "tf_node_port", "tf_node_port_start", "tf_socket_port"}
# What the C library and the compiler's bring.
LIBRARY = {"memchr", "memcmp", "memcpy", "memmove", "memset", "strlen", "snprintf", "vsnprintf"}

pytestmark = [
    pytest.mark.timeout(BUILD_TIMEOUT_S),
    pytest.mark.parametrize("memory", [NRF52840, STM32L496], ids=lambda memory: memory.board, scope="module"),
]


def run(*command: str | Path, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def build(memory: MemoryMap) -> Path:
    paths = [f"-D{name}={os.environ[name]}" for name in ("TINYFLEET_BEARSSL",) if name in os.environ]
    run("cmake", "--preset", memory.board, *paths, cwd=ROOT / "firmware")
    run("cmake", "--build", "--preset", memory.board, "--parallel", "2", cwd=ROOT / "firmware")
    return ROOT / "build/firmware" / memory.board


def binary(elf: Path) -> bytes:
    out = elf.with_suffix(".bin")
    run("arm-none-eabi-objcopy", "-O", "binary", elf, out)
    return out.read_bytes()


def test_bootloader_and_conformance_test_fit_where_the_core_starts(memory: MemoryMap, build: Path) -> None:
    room = memory["boot"]
    code = range(memory.base + room.offset, memory.base + room.end)
    for elf in ("apps/conformance/conformance.elf", f"ports/{memory.board}/boot_xip.elf"):
        data = binary(build / elf)
        stack, entry = struct.unpack_from("<II", data)
        assert len(data) <= room.size_bytes and stack in RAM
        assert entry % 2 == 1 and entry - 1 in code


def test_the_nodes_library_asks_for_a_port_and_nothing_else(memory: MemoryMap, build: Path) -> None:
    lines = run("arm-none-eabi-nm", "--format=posix", build / "apps/node/libtinyfleet_node.a").splitlines()
    symbols = [line.split()[:2] for line in lines if not line.endswith(":") and len(line.split()) >= 2]
    defined = {name for name, kind in symbols if kind not in "Uw"}
    asked = {name for name, kind in symbols if kind == "U"} - defined
    asked = {name for name in asked if not name.startswith("__aeabi_")}
    assert asked >= PORT, PORT - asked
    assert asked - PORT <= LIBRARY, sorted(asked - PORT - LIBRARY)


def test_its_memory_map_is_one_that_the_engine_takes(memory: MemoryMap, build: Path) -> None:
    """Sectors divide the engine's 4096 bytes, units its records; regions are whole sectors, apart."""
    assert 4096 % memory.sector_bytes == 0 and 128 % memory.write_bytes == 0
    end = 0
    for region in memory.regions:
        assert region.offset >= end, region
        assert region.offset % 4096 == 0 and region.size_bytes % 4096 == 0, region
        end = region.end
    assert end <= memory.size_bytes
