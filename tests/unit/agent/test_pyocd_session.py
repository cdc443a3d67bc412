"""Memory maps of pyOCD: sectors of several sizes, flash that faults where it is erased; emulated boards take
turns."""

from __future__ import annotations

import os
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
from pyocd.core.exceptions import TransferFaultError
from pyocd.core.memory_map import FlashRegion, MemoryMap, RamRegion
from pyocd.probe.aggregator import DebugProbeAggregator

from tinyfleet.agent.adapters import probes
from tinyfleet.agent.adapters.probes import PyocdProbes, PyocdSession
from tinyfleet.agent.core.errors import BoardBusyError, PlanError, StepFailed

ERASED = 0x1000


def session(*, readable: bool) -> PyocdSession:
    """A chip whose second half of flash, from ERASED on, is erased; RAM is not there at all."""
    low = FlashRegion(name="low", start=0, length=0x800, sector_size=0x200, page_size=0x200)
    high = FlashRegion(
        name="high",
        start=0x800,
        length=0x1800,
        sector_size=0x400,
        page_size=0x400,
        are_erased_sectors_readable=readable,
    )
    for region in (low, high):
        region.flash = object()

    def read(address: int, size: int) -> list[int]:
        if address + size > ERASED:
            raise TransferFaultError(fault_address=address)
        return [(address + i) & 0xFF for i in range(size)]

    ram = RamRegion(name="ram", start=0x20000000, length=0x1000)
    core = SimpleNamespace(ap=SimpleNamespace(read_memory_block8=read))
    target = SimpleNamespace(memory_map=MemoryMap(low, high, ram), selected_core_or_raise=core)
    board = SimpleNamespace(target_type="chip")
    return PyocdSession("p", SimpleNamespace(target=target, board=board))


def test_sectors_are_those_of_each_region() -> None:
    found = session(readable=True).sectors(0x5FF, 0x602)
    assert found == [(0x400, 0x200), (0x600, 0x200), (0x800, 0x400), (0xC00, 0x400)]
    for address in (0x2000, 0x20000000):
        with pytest.raises(PlanError, match=f"{address:#x}, where bytes are to go, is no flash of chip"):
            session(readable=True).sectors(address, 1)


def test_flash_that_faults_where_it_is_erased_reads_as_erased() -> None:
    wanted = bytes(i & 0xFF for i in range(0x900, ERASED)) + b"\xff" * 0x500
    assert session(readable=False).read(0x900, ERASED + 0x500 - 0x900) == wanted
    assert session(readable=False).read(0x900, 0x100) == wanted[:0x100]


def test_any_other_fault_is_told() -> None:
    for chip, address in ((session(readable=True), 0x900), (session(readable=False), 0x20000000)):
        with pytest.raises(StepFailed, match="p: read: "):
            chip.read(address, 0x1000)


def test_of_two_probes_with_one_number_none_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """pyOCD takes the first, which may be the neighbour's."""
    clone = SimpleNamespace(unique_id="0123456789", vendor_name="Clones", description="DAP")
    found = [clone, clone, SimpleNamespace(unique_id="1", vendor_name="Clones", description="DAP")]
    monkeypatch.setattr(DebugProbeAggregator, "get_probe_with_id", lambda unique_id: clone)
    monkeypatch.setattr(DebugProbeAggregator, "get_all_connected_probes", lambda unique_id=None: found)
    with pytest.raises(BoardBusyError, match="2 probes tell the id 0123456789; unplug all but the board's"):
        PyocdProbes().open("0123456789")


def test_emulated_boards_take_turns_and_others_do_not_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr(
        probes.registry, "find", lambda unique_id: object() if unique_id[:4] == "qemu" else None
    )
    all_probes = PyocdProbes()
    with ExitStack() as held:
        for number in range(3):
            held.enter_context(all_probes.turn(f"qemu-{number}", 1.0))
        for number in range(9):
            held.enter_context(all_probes.turn(f"usb-{number}", 1.0))
        with (
            pytest.raises(BoardBusyError, match=r"qemu-3 had no turn within 0\.01 s"),
            all_probes.turn("qemu-3", 0.01),
        ):
            pass
    # Whoever fails gives it back.
    for number in range(9):
        with pytest.raises(ZeroDivisionError), all_probes.turn(f"qemu-{number}", 0.01):
            raise ZeroDivisionError
