"""What the emulated boards' probe knows by tables, and its files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyocd_qemu import boot_rom, logs, selectors
from pyocd_qemu.blank_flash import make_blank_flash
from pyocd_qemu.cores import DWT, FPB, ROM_TABLE, SCS
from pyocd_qemu.machines import MACHINES, Machine

from tinyfleet.agent.core.program import read_program

EVERY = pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)


def component(words: dict[int, int], base: int) -> tuple[int, int, int]:
    """Designer, part and class of a component, as a debugger puts them together (CoreSight, B2.2)."""
    pidr = [words[base + 0xFE0 + 4 * i] for i in range(4)] + [words[base + 0xFD0]]
    cidr = [words[base + 0xFF0 + 4 * i] for i in range(4)]
    assert (cidr[0], cidr[2], cidr[3]) == (0x0D, 0x05, 0xB1)
    designer = (pidr[4] & 0xF) << 7 | (pidr[2] & 7) << 4 | pidr[1] >> 4
    return designer, pidr[0] | (pidr[1] & 0xF) << 8, cidr[1] >> 4


@EVERY
def test_every_unit_of_the_rom_table_is_arms(machine: Machine) -> None:
    words = machine.core.identity()
    units = [ROM_TABLE + words[ROM_TABLE + 4 * i] & 0xFFFFF000 for i in range(3)]
    assert [unit & 0xFFFFFFFF for unit in units] == [SCS, DWT, FPB] and words[ROM_TABLE + 12] == 0
    for base in (ROM_TABLE, SCS, DWT, FPB):
        designer, _, kind = component(words, base)
        assert designer == 0x23B
        assert kind == (1 if base == ROM_TABLE else 9 if machine.core.is_v8 else 14)
        assert (base + 0xFBC in words) == (machine.core.is_v8 and base != ROM_TABLE)


@EVERY
def test_machines_hold_together(machine: Machine) -> None:
    flash = machine.flash
    assert machine.is_memory(flash.start, flash.size) and machine.is_memory(machine.scratch, 16)
    assert not flash.holds(machine.scratch, 1) and machine.holds(SCS, 0x1000)
    if machine.backing is not None:
        assert machine.backing.flash_offset + flash.size <= machine.backing.size
    at = flash.start if machine.boot_rom is None else boot_rom.ITCM
    stack = machine.scratch.to_bytes(4, "little")
    assert machine.can_start(stack + (at + 0x101).to_bytes(4, "little"), at)
    for bad in (at + 0x100, 0xFFFFFFFF, machine.scratch | 1):
        assert not machine.can_start(stack + bad.to_bytes(4, "little"), at), hex(bad)
    assert not machine.can_start(bytes(4) + (at + 0x101).to_bytes(4, "little"), at)


@given(st.integers(0, 127), st.booleans(), st.booleans())
def test_packed_registers_never_overlap(selector: int, has_basepri: bool, is_v8: bool) -> None:
    parts = selectors.packed(selector, has_basepri=has_basepri, is_v8=is_v8)
    assert len({shift for _, shift in parts}) == len(parts) == (0 if not parts else 4 if has_basepri else 2)
    assert bool(parts) == (selector == 20 or (is_v8 and selector in (34, 35)))
    assert not parts or selector not in (selectors.SYSM_V8 if is_v8 else selectors.SYSM)


def test_s_registers_share_d_registers() -> None:
    halves = [selectors.half_of_d(selectors.S0 + number) for number in range(32)]
    assert halves == [(number // 2, 32 * (number % 2)) for number in range(32)]


def test_the_boot_rom_is_an_elf_file_of_two_parts() -> None:
    vectors, code = read_program(boot_rom.ELF, "boot_rom.elf")
    assert (vectors.address, code.address) == (boot_rom.ITCM, boot_rom.ITCM + boot_rom.APP_BYTES)
    assert int.from_bytes(vectors.data[4:], "little") == code.address | 1 and code.data == boot_rom.CODE


def test_blank_flash_in_a_larger_file_takes_no_more_room(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "flash.bin"
    make_blank_flash(path, 1 << 20, offset=3 << 20, total=1 << 30)
    state = path.stat()
    assert (state.st_size, state.st_mode & 0o777) == (1 << 30, 0o600)
    assert state.st_blocks * 512 < 2 << 20
    with path.open("rb") as file:
        file.seek((3 << 20) - 1)
        assert file.read(3) == b"\0\xff\xff"
        file.seek((4 << 20) - 1)
        assert file.read(2) == b"\xff\0"
    make_blank_flash(path, 1 << 20)
    assert path.read_bytes() == b"\xff" * (1 << 20)
    assert list(path.parent.iterdir()) == [path]


def test_a_log_is_cut_when_it_is_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "LIMIT_BYTES", 4)
    log = tmp_path / "console.log"
    assert not logs.trim(log)
    with log.open("ab", buffering=0) as writer:
        writer.write(b"1234")
        assert not logs.trim(log)
        writer.write(b"5")
        assert logs.trim(log)
        writer.write(b"67")
    assert (log.read_bytes(), (tmp_path / "console.log.1").read_bytes()) == (b"67", b"12345")
