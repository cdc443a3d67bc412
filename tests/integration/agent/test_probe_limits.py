"""What QEMU does not have of a debug unit, made up for by the probe: BKPT, sleep, interrupts masked in steps,
fault handlers that move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pyocd.core import exceptions
from pyocd.core.target import Target
from pyocd_qemu.board import Board
from tests.integration.agent.conftest import assemble
from tests.integration.agent.probe_rig import PLACES, program, session
from tests.servers import wait_for

pytestmark = pytest.mark.qemu

# Counts its wake-ups; SysTick's handler counts, too, PendSV's sleeps. A program's BKPT, and another vector
# table with another HardFault handler, are there for those who set PC.
PROGRAM = """
.syntax unified
.cpu cortex-m0
.thumb
.text
.word {data:#x} + 0x2000, {code:#x} + 0x81, 0, {code:#x} + 0xc1
.fill 10, 4, 0
.word {code:#x} + 0x1a1, {code:#x} + 0xa1
.org 0x80
    ldr r1, ={data:#x}
    movs r0, #0
again:
    wfi
    adds r0, #1
    str r0, [r1]
    b again
.org 0xa0
    ldr r2, [r1, #4]
    adds r2, #1
    str r2, [r1, #4]
    bx lr
.org 0xc0
    b .
.org 0xd0
    b .
.org 0xe0
    movs r0, #7
    bkpt #1
    str r0, [r1]
    b .
.org 0xf0
    udf #0
.org 0x100
    ldr r0, =0xe000ed08
    ldr r1, ={code:#x} + 0x180
    str r1, [r0]
    ldr r1, ={data:#x}
    movs r0, #1
    str r0, [r1, #8]
spin:
    ldr r0, [r1, #12]
    cmp r0, #0
    beq spin
    udf #0
.ltorg
.org 0x180
.word 0, 0, 0, {code:#x} + 0xd1
.org 0x1a0
    wfi
    nop
    bx lr
"""
WFI, HANDLER, FAULT, MOVED_FAULT, BKPT, UNDEFINED, MOVING = 0x84, 0xA0, 0xC0, 0xD0, 0xE0, 0xF0, 0x100
SLEEPING_HANDLER = 0x1A0
ICSR, PENDSTSET, PENDSVSET = 0xE000ED04, 1 << 26, 1 << 28
SHPR3 = 0xE000ED20


@pytest.fixture(params=PLACES)
def debugged(
    request: pytest.FixtureRequest, boards_root: Path, tmp_path: Path
) -> Iterator[tuple[Any, int, int]]:
    """A debugger on the running program; where its code and data are."""
    machine = str(request.param)
    flash, code, data, _ = PLACES[machine]
    image = assemble(PROGRAM.format(code=code, data=data), tmp_path, "limits")
    with Board(f"qemu-{machine}-0001", machine) as board, session(board) as opened:
        program(opened, flash, image)
        opened.target.write32(data, 0xFF)
        opened.target.reset()
        wait_for("it to sleep", lambda: opened.target.get_state() is Target.State.SLEEPING)
        yield opened.target.selected_core, code, data


def halted(core: Any, pc: int) -> None:
    wait_for("the core to halt", lambda: core.get_state() is Target.State.HALTED)
    assert core.read_core_register("pc") == pc


def test_a_core_that_sleeps(debugged: tuple[Any, int, int]) -> None:
    core, code, data = debugged
    core.halt()
    halted(core, code + WFI + 2)
    # Being halted wakes it, as on silicon, so that it steps.
    before = core.read_core_register("r0")
    core.step()
    assert (core.read_core_register("pc"), core.read_core_register("r0")) == (code + WFI + 4, before + 1)
    core.resume()
    wait_for("it to sleep again", lambda: core.get_state() is Target.State.SLEEPING)
    # Looking does not wake it.
    assert all(core.get_state() is Target.State.SLEEPING for _ in range(200))
    assert core.read32(data) == before + 1


def test_interrupts_in_steps(debugged: tuple[Any, int, int]) -> None:
    core, code, _ = debugged
    core.halt()
    core.write32(ICSR, PENDSTSET)
    core.step(disable_interrupts=True)
    assert (core.read_core_register("pc"), core.read_core_register("ipsr")) == (code + WFI + 4, 0)
    core.step(disable_interrupts=False)
    assert core.read_core_register("ipsr") == 15
    assert code + HANDLER <= core.read_core_register("pc") <= code + HANDLER + 2


def test_a_core_that_sleeps_in_an_interrupt(debugged: tuple[Any, int, int]) -> None:
    core, code, _ = debugged
    core.halt()
    core.write32(ICSR, PENDSVSET)
    core.resume()
    wait_for("it to sleep again", lambda: core.get_state() is Target.State.SLEEPING)
    core.halt()
    halted(core, code + SLEEPING_HANDLER + 2)
    before = core.read_core_registers_raw(["r0", "r1", "sp", "lr", "pc", "xpsr"])
    assert core.read_core_register("ipsr") == 14
    if core.name == "Cortex-M55":
        # What wakes the others does not reach Secure handlers. It is said, and nothing is lost.
        with pytest.raises(exceptions.ProbeError, match="sleeps in an interrupt and does not step"):
            core.step()
        assert core.read_core_registers_raw(["r0", "r1", "sp", "lr", "pc", "xpsr"]) == before
        core.resume()
        wait_for("it to sleep on", lambda: core.get_state() is Target.State.SLEEPING)
        return
    priorities = core.read32(SHPR3)
    core.step()
    assert core.read_core_register("pc") == code + SLEEPING_HANDLER + 4
    assert (core.read32(SHPR3), core.read32(ICSR) & (PENDSTSET | PENDSVSET)) == (priorities, 0)
    # Woken, it comes to its end and sleeps where it was.
    core.resume()
    wait_for("it to sleep again", lambda: core.get_state() is Target.State.SLEEPING)
    core.halt()
    halted(core, code + WFI + 2)


@pytest.mark.parametrize("debugged", ["mps2-an386", "mps3-an547"], indirect=True)
def test_the_stack_of_code_without_privilege(debugged: tuple[Any, int, int]) -> None:
    """The core reads neither stack pointer by its name there, but the one in use is known."""
    core, _, data = debugged
    core.halt()
    core.write_core_registers_raw(["psp", "control"], [data + 0x1000, 3])
    assert core.read_core_registers_raw(["psp", "sp", "msp", "control"]) == [data + 0x1000] * 2 + [0, 3]


def test_a_bkpt_of_the_program(debugged: tuple[Any, int, int]) -> None:
    core, code, data = debugged
    core.halt()
    core.write_core_register("pc", code + BKPT)
    core.resume()
    halted(core, code + BKPT + 2)
    assert core.get_halt_reason() is Target.HaltReason.BREAKPOINT
    assert (core.read_core_register("ipsr"), core.read_core_register("r0")) == (0, 7)
    core.write_core_register("pc", code + BKPT + 4)
    core.resume()
    wait_for("it to run on", lambda: core.read32(data) == 7)


def test_a_hard_fault_is_caught_or_goes_to_its_handler(debugged: tuple[Any, int, int]) -> None:
    core, code, _ = debugged
    for catch, reason in (
        (Target.VectorCatch.HARD_FAULT, Target.HaltReason.VECTOR_CATCH),
        (Target.VectorCatch.NONE, None),
    ):
        core.reset_and_halt()
        core.set_vector_catch(catch)
        core.clear_debug_cause_bits()
        core.resume()
        wait_for("it to sleep", lambda: core.get_state() is Target.State.SLEEPING)
        core.halt()
        core.write_core_register("pc", code + UNDEFINED)
        core.clear_debug_cause_bits()
        core.resume()
        if reason is None:
            wait_for("the handler", lambda: core.get_state() is Target.State.RUNNING)
            core.halt()
        halted(core, code + FAULT)
        assert core.read_core_register("ipsr") == 3
        assert reason is None or core.get_halt_reason() is reason
        # From where it was caught it runs on into the handler.
        core.resume()
        assert core.get_state() is Target.State.RUNNING


@pytest.mark.parametrize("debugged", ["mps2-an386", "mps2-an500"], indirect=True)
def test_a_fault_handler_that_moves_while_the_core_runs(debugged: tuple[Any, int, int]) -> None:
    core, code, data = debugged
    core.halt()
    core.set_vector_catch(Target.VectorCatch.HARD_FAULT)
    core.write32(data + 8, 0)
    core.write32(data + 12, 0)
    core.write_core_register("pc", code + MOVING)
    core.resume()
    wait_for("the new vector table", lambda: core.read32(data + 8) == 1)
    assert core.get_state() is Target.State.RUNNING
    core.clear_debug_cause_bits()
    core.write32(data + 12, 1)
    halted(core, code + MOVED_FAULT)
    assert core.get_halt_reason() is Target.HaltReason.VECTOR_CATCH
