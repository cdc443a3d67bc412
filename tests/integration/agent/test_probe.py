"""Stock pyOCD on emulated boards through the probe plugin: list, flash, reset, read, debug."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from pyocd.core import exceptions
from pyocd.core.helpers import ConnectHelper
from pyocd.core.session import Session
from pyocd.core.target import Target
from pyocd_qemu import boot_rom, chips, logs
from pyocd_qemu.board import CONSOLE_LOG_NAME, Board
from pyocd_qemu.errors import BoardBusyError, QemuDiedError, QemuError
from pyocd_qemu.probe import QemuProbe
from pyocd_qemu.qtest import QtestLink
from tests.integration.agent.conftest import assemble
from tests.integration.agent.probe_rig import PLACES, UNDEFINED, faulting, program, session
from tests.servers import wait_for

pytestmark = pytest.mark.qemu
COUNT = 0x20000000
STEP = 0x40


def test_list_shows_what_runs_and_nothing_else(microbit: Board) -> None:
    Board("qemu-microbit-0002", "microbit").folder.mkdir()
    found = ConnectHelper.get_all_connected_probes(blocking=False)
    assert [(p.unique_id, p.vendor_name, p.product_name) for p in found] == [
        ("qemu-microbit-0001", "QEMU", "emulated microbit")
    ]
    microbit.kill()
    assert ConnectHelper.get_all_connected_probes(blocking=False, print_wait_message=False) == []


def test_a_blank_board_is_locked_up_and_survives_it(microbit: Board) -> None:
    """QEMU itself would abort."""
    with session(microbit) as opened:
        assert opened.target.get_state() is Target.State.HALTED
        assert bytes(opened.target.read_memory_block8(0, 64)) == b"\xff" * 64
        opened.target.reset()
        assert opened.target.get_state() is Target.State.LOCKUP
        opened.target.halt()
        assert opened.target.get_state() is Target.State.HALTED
    microbit.check()


def test_flash_reset_read(microbit: Board, counter_program: bytes) -> None:
    data = bytes(range(256)) * 100
    with session(microbit) as opened:
        program(opened, 0x4000, data)
        program(opened, 0, counter_program)
        assert bytes(opened.target.read_memory_block8(0x4000, len(data))) == data
        # The real algorithm on the emulated controller: a second program without erase only clears bits.
        opened.target.reset()
        assert opened.target.get_state() is Target.State.RUNNING
        first = opened.target.read32(COUNT)
        wait_for("the program to count", lambda: opened.target.read32(COUNT) > first)
    # It runs on when the probe is gone.
    with session(microbit, connect_mode="attach") as opened:
        first = opened.target.read32(COUNT)
        wait_for("the program to count", lambda: opened.target.read32(COUNT) > first)


def test_breakpoint_step_and_registers(microbit: Board, counter_program: bytes) -> None:
    with session(microbit) as opened:
        core = opened.target
        program(opened, 0, counter_program)
        core.reset_and_halt()
        assert core.read_core_register("pc") == 0x80
        assert core.read_core_register("sp") == 0x20002000
        assert core.set_breakpoint(STEP)
        core.resume()
        wait_for("the core to halt", lambda: core.get_state() is Target.State.HALTED)
        assert core.read_core_register("pc") == STEP
        count = core.read_core_register("r0")
        core.step()
        assert (core.read_core_register("pc"), core.read_core_register("r0")) == (STEP + 2, count + 1)
        core.write_core_register("r0", 0x1000)
        core.resume()
        wait_for("the core to halt", lambda: core.get_state() is Target.State.HALTED)
        assert core.read_core_register("r0") == 0x1000
        # A reset leaves the debugger its breakpoints.
        core.reset()
        wait_for("the core to halt", lambda: core.get_state() is Target.State.HALTED)
        assert (core.read_core_register("pc"), core.read_core_register("r0")) == (STEP, 0)
        core.write_core_register("r0", 0x1000)
        core.remove_breakpoint(STEP)
        core.resume()
        wait_for("the program to count", lambda: core.read32(COUNT) > 0x1010)
        core.halt()
        before = core.read_core_registers_raw(["r0", "r1", "pc", "sp", "lr", "xpsr"])
        core.write_core_registers_raw(["psp", "primask"], [0x20001230, 1])
        assert core.read_core_registers_raw(["msp", "psp", "primask", "control"]) == [
            0x20002000,
            0x20001230,
            1,
            0,
        ]
        # Those took instructions run on the core, which left nothing behind.
        assert core.read_core_registers_raw(["r0", "r1", "pc", "sp", "lr", "xpsr"]) == before


def test_points_stay_over_a_reset(microbit: Board, counter_program: bytes) -> None:
    """As on silicon, where a system reset leaves the comparators alone."""
    with session(microbit) as opened:
        core = opened.target
        program(opened, 0, counter_program)
        core.reset_and_halt()
        assert core.set_breakpoint(STEP)
        # pyOCD sets them when it lets the core run.
        for start in (core.resume, core.reset):
            start()
            wait_for("the core to halt", lambda: core.get_state() is Target.State.HALTED)
            assert core.read_core_register("pc") == STEP
        # The algorithm's own return point, too.
        program(opened, 0x4000, b"again")
        assert bytes(core.read_memory_block8(0x4000, 5)) == b"again"


def test_watchpoint(microbit: Board, counter_program: bytes) -> None:
    with session(microbit) as opened:
        program(opened, 0, counter_program)
        opened.target.reset_and_halt()
        assert opened.target.set_watchpoint(COUNT, 4, Target.WatchpointType.WRITE)
        opened.target.resume()
        wait_for("the core to halt", lambda: opened.target.get_state() is Target.State.HALTED)
        assert 0x80 < opened.target.read_core_register("pc") < 0x90


def test_memory_that_is_not_there_faults(microbit: Board) -> None:
    with session(microbit) as opened:
        for address in (0x40000, 0x20004000, 0x30000000):
            with pytest.raises(exceptions.TransferFaultError):
                opened.target.read32(address)


def test_a_second_client_is_refused_and_the_first_not_disturbed(
    microbit: Board, counter_program: bytes
) -> None:
    with session(microbit) as opened:
        program(opened, 0, counter_program)
        with pytest.raises(exceptions.ProbeError, match="in use by another debug client"), session(microbit):
            pass
        opened.target.reset()
        assert opened.target.get_state() is Target.State.RUNNING
        # Not even the supervisor gets between.
        with pytest.raises(BoardBusyError):
            Board(microbit.unique_id, "microbit").start()
    with session(microbit) as opened:
        assert bytes(opened.target.read_memory_block8(0, 8)) == counter_program[:8]


def test_flash_survives_stop_and_a_kill_after_the_probe_closed(
    microbit: Board, counter_program: bytes
) -> None:
    with session(microbit) as opened:
        program(opened, 0, counter_program)
    microbit.kill()
    microbit.start()
    with session(microbit, connect_mode="attach") as opened:
        # It was started, as what is in flash is a program.
        wait_for("the program to count", lambda: opened.target.read32(COUNT) > 0)
        program(opened, 0x8000, b"more")
        opened.target.reset()
    microbit.restart()
    with session(microbit) as opened:
        assert bytes(opened.target.read_memory_block8(0x8000, 4)) == b"more"
        assert bytes(opened.target.read_memory_block8(0, len(counter_program))) == counter_program


@pytest.mark.parametrize("machine", PLACES)
def test_a_core_left_on_erased_flash_does_not_end_qemu(
    machine: str, boards_root: Path, tmp_path: Path
) -> None:
    """As `pyocd erase` leaves it."""
    flash, code, _, _ = PLACES[machine]
    with Board(f"qemu-{machine}-0001", machine) as board:
        for at in (None, code + 0x2000):
            with session(board) as opened:
                program(opened, flash, UNDEFINED)
                if at is not None:
                    opened.target.write_core_register("pc", at)
                    opened.target.write_core_register("lr", 0xFFFFFFFF)
                # The probe closes at once: too soon for the core to have come anywhere.
                opened.target.resume()
            with session(board) as opened:
                assert opened.target.get_state() is Target.State.HALTED
        board.check()


def test_what_a_program_writes_to_its_flash_is_saved_now_and_then(microbit: Board) -> None:
    """As the bench app keeps golden sets: nobody's probe is there."""
    bus = QtestLink(microbit.folder / "qtest.sock")
    try:
        for address, value in ((0x4001E504, 1), (0x9000, 0x12345678), (0x4001E504, 0)):
            bus.write_value(address, value, 32)
    finally:
        bus.close()
    microbit.save()
    written = (microbit.folder / "flash.bin").stat().st_mtime_ns
    microbit.save()
    assert (microbit.folder / "flash.bin").stat().st_mtime_ns == written, "nothing has changed"
    microbit.kill()
    microbit.start()
    with session(microbit) as opened:
        assert opened.target.read32(0x9000) == 0x12345678
        # While a debugger is there it is the one to save, and nobody waits.
        (microbit.folder / "flash.bin").unlink()
        microbit.save()
        assert not (microbit.folder / "flash.bin").exists()


@pytest.mark.parametrize("machine", PLACES)
def test_an_image_that_locks_up_is_survived(machine: str, boards_root: Path) -> None:
    flash = PLACES[machine][0]
    with Board(f"qemu-{machine}-0001", machine) as board:
        with session(board) as opened:
            core = opened.target
            program(opened, flash, faulting(machine, 0xFFFFFFFF))
            core.set_vector_catch(Target.VectorCatch.HARD_FAULT)
            core.selected_core.clear_debug_cause_bits()
            core.reset()
            wait_for("the fault", lambda: core.get_halt_reason() is Target.HaltReason.VECTOR_CATCH)
            assert core.read_core_register("ipsr") == 3
            core.set_vector_catch(Target.VectorCatch.NONE)
            core.reset()
            wait_for("the lockup", lambda: core.get_state() is Target.State.LOCKUP)
            # A handler that faults itself is more than QEMU can take.
            program(opened, flash, faulting(machine))
            core.set_vector_catch(Target.VectorCatch.NONE)
            with pytest.raises(exceptions.ProbeDisconnected, match="locked up the core, which ends QEMU"):
                core.reset()
                wait_for("the link's end", lambda: core.get_state() is Target.State.HALTED)
        wait_for("QEMU's end", lambda: not board.is_alive())
        with pytest.raises(QemuDiedError, match=r"locked up the core, which ends QEMU .Lockup: can't"):
            board.check()
        # What was programmed was saved before it ran. Held in reset, it can be replaced.
        board.restart(run=False)
        with session(board, resume_on_disconnect=False) as opened:
            image = bytes(opened.target.read_memory_block8(flash, 0x110))
            assert image == faulting(machine)[:0x110]
            program(opened, flash, UNDEFINED)
        board.check()


def test_probes_that_come_and_go_leak_nothing(microbit: Board, counter_program: bytes) -> None:
    with session(microbit) as opened:
        program(opened, 0, counter_program)
        opened.target.reset()

    def held() -> int:
        """Sockets, and files of the board."""
        gc.collect()
        return sum(name.startswith("socket:") or str(microbit.folder) in name for name in _open_files())

    def probed() -> Session:
        # Not by pyOCD's search, whose threads look for USB probes meanwhile.
        return Session(QemuProbe.get_probe_with_id(microbit.unique_id), options={"connect_mode": "attach"})

    before = held()
    for _ in range(6):
        with probed() as opened:
            assert opened.target.get_state() is Target.State.RUNNING
            with pytest.raises(exceptions.ProbeError, match="in use"), probed():
                pass
    assert held() == before
    microbit.check()


def _open_files() -> Iterator[str]:
    for link in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one by which they are listed is gone by now
            yield str(link.readlink())


KILLED = """
import os, signal, sys
from pyocd.core.helpers import ConnectHelper
options = {"connect_mode": "halt", "no_config": True}
opened = ConnectHelper.session_with_chosen_probe(unique_id=sys.argv[1], blocking=False, options=options)
opened.open()
opened.target.reset_and_halt()
opened.target.set_breakpoint(int(sys.argv[2]))
opened.target.resume()
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_debugger_that_was_killed_leaves_nothing_behind(microbit: Board, counter_program: bytes) -> None:
    with session(microbit) as opened:
        program(opened, 0, counter_program)
        opened.target.reset()
    command = [sys.executable, "-c", KILLED, microbit.unique_id, str(STEP)]
    done = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with session(microbit, connect_mode="attach") as opened:
        # The core stands where the killed one left it, as on silicon; its breakpoint is gone.
        opened.target.resume()
        # What it counted before that reset still stands in memory until it counts again, from 1.
        first = opened.target.read32(COUNT)
        wait_for("the program to count", lambda: opened.target.read32(COUNT) != first)
        assert opened.target.get_state() is Target.State.RUNNING


def test_qemu_killed_under_a_session_is_one_clear_error(microbit: Board) -> None:
    with session(microbit) as opened:
        assert microbit.pid is not None
        os.kill(microbit.pid, signal.SIGKILL)
        with pytest.raises(exceptions.ProbeDisconnected, match="qemu-microbit-0001"):
            opened.target.read32(0)
    assert ConnectHelper.get_all_connected_probes(blocking=False, print_wait_message=False) == []


def test_a_write_that_qemu_did_not_take_is_told_without_another_call(microbit: Board) -> None:
    """Writes are not waited for one by one."""
    with session(microbit) as opened:
        assert microbit.pid is not None
        os.kill(microbit.pid, signal.SIGSTOP)
        opened.target.write_memory_block8(0x20001000, b"page")
        os.kill(microbit.pid, signal.SIGKILL)
        with pytest.raises(exceptions.ProbeDisconnected, match=r"broke off during b64write 0x20001000"):
            opened.probe.flush()


def test_written_code_is_there_when_the_core_runs(microbit: Board) -> None:
    """A return point stays between calls of a flash algorithm, and goes with the BKPT it was made for."""
    function, back = 0x20001000, 0x20001010
    bx_lr, bkpt, loop = b"\x70\x47", b"\x00\xbe", b"\xfe\xe7"
    with session(microbit) as opened:
        core = opened.target

        def call(code: bytes, at: int) -> None:
            core.write_memory_block8(at, code)
            core.write_core_registers_raw(["pc", "lr", "xpsr"], [function, back + 1, 1 << 24])
            core.resume()

        core.write_memory_block8(back, bkpt)
        for value in range(50):
            # movs r0, #value
            call(bytes([value, 0x20]) + bx_lr, function)
            wait_for("the return", lambda: core.get_state() is Target.State.HALTED)
            assert core.read_core_registers_raw(["r0", "pc"]) == [value, back]
        call(loop, back)
        assert all(core.get_state() is Target.State.RUNNING for _ in range(20))
        core.halt()
        assert core.read_core_register("pc") == back
        call(bkpt, back)
        wait_for("the return", lambda: core.get_state() is Target.State.HALTED)


def counting(machine: str, folder: Path) -> bytes:
    """Counts in the first word of data."""
    _, code, data, _ = PLACES[machine]
    source = f"""
.syntax unified
.cpu cortex-m4
.thumb
.text
.word {data + 0x10000:#x}, {code + 9:#x}
start:
    ldr r1, ={data:#x}
again:
    adds r0, #1
    str r0, [r1]
    b again
"""
    return assemble(source, folder, machine)


@pytest.mark.parametrize("machine", ["mps2-an386", "mps2-an500", "mps3-an547"])
def test_flash_in_a_file_survives_sigkill(machine: str, boards_root: Path, tmp_path: Path) -> None:
    flash, code, data, core_name = PLACES[machine]
    with Board(f"qemu-{machine}-0001", machine) as board:
        with session(board) as opened:
            core = opened.target
            assert core.selected_core.name == core_name
            program(opened, flash, counting(machine, tmp_path))
            program(opened, flash + 0x500000, b"\x0f" * 5000)
            core.reset()
            wait_for("the program to count", lambda: core.read32(data) > 0)
        board.kill()
        board.start()
        with session(board, connect_mode="attach") as opened:
            core = opened.target
            wait_for("the program to count", lambda: core.read32(data) > 0)
            assert bytes(core.read_memory_block8(flash + 0x500000, 5000)) == b"\x0f" * 5000
            core.halt()
            core.write_core_registers_raw(["s0", "s1", "s31"], [1, 2, 3])
            assert core.read_core_registers_raw(["s0", "s1", "s31"]) == [1, 2, 3]
            breakpoint_at, after_store = code + 0xC, code + 0x10
            assert core.set_breakpoint(breakpoint_at)
            core.resume()
            wait_for("the breakpoint", lambda: core.get_halt_reason() is Target.HaltReason.BREAKPOINT)
            assert core.read_core_register("pc") == breakpoint_at
            core.remove_breakpoint(breakpoint_at)
            assert core.set_watchpoint(data, 4, Target.WatchpointType.WRITE)
            counts = []
            for _ in range(2):
                core.resume()
                wait_for("the watchpoint", lambda: core.get_halt_reason() is Target.HaltReason.WATCHPOINT)
                assert core.read_core_register("pc") == after_store
                counts.append(core.read32(data))
            assert counts[1] == counts[0] + 1


def test_both_worlds_of_an_m55(boards_root: Path) -> None:
    """Device registers that only Secure code reaches, and stack pointers of both worlds."""
    names = ["msp", "msp_ns", "psp_s", "psplim_ns", "msplim_s", "vpr", "control_ns"]
    values = [0x30001000, 0x20002000, 0x30003000, 0x100, 0x30000010, 0x1234, 2]
    uart_ctrl, uart_bauddiv = 0x59303008, 0x59303010
    with Board("qemu-mps3-an547-0001", "mps3-an547") as board, session(board) as opened:
        core = opened.target
        # The boot ROM found no program and sleeps.
        assert core.read_core_register("pc") in (0x1007F040, 0x1007F042)
        before = core.read_core_registers_raw(["r0", "r1", "pc", "xpsr"])
        core.write_core_registers_raw(names, values)
        assert core.read_core_registers_raw(names) == values
        core.write32(uart_bauddiv, 16)
        core.write32(uart_ctrl, 3)
        assert (core.read32(uart_bauddiv), core.read32(uart_ctrl)) == (16, 3)
        assert core.read_core_registers_raw(["r0", "r1", "pc", "xpsr"]) == before


@pytest.mark.parametrize("name", ["flash_algorithm", "boot_rom"])
def test_code_is_the_assembled_source(name: str, tmp_path: Path) -> None:
    source = Path(chips.__file__).with_name(f"{name}.s")
    code = {"flash_algorithm": chips.CODE, "boot_rom": boot_rom.CODE}[name]
    assert assemble(source.read_text(), tmp_path, name) == code


def test_a_console_that_never_stops_does_not_fill_the_disk(
    boards_root: Path, hello_kernel: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Board("qemu-mps2-an386-0001", "mps2-an386", kernel=hello_kernel) as board:
        log = board.folder / CONSOLE_LOG_NAME
        wait_for("the first hello", lambda: log.read_text() == "node says hello\n")
        monkeypatch.setattr(logs, "LIMIT_BYTES", 10)
        board.trim_logs()
        assert (log.read_text(), log.with_name("console.log.1").read_text()) == ("", "node says hello\n")
        with session(board) as opened:
            opened.target.reset()
        # QEMU goes on at the file's new start.
        wait_for("the second hello", lambda: log.read_text() == "node says hello\n")


def test_what_a_microbit_does_not_have(boards_root: Path, hello_kernel: Path) -> None:
    with pytest.raises(QemuError, match="microbit has no ROM for a bootloader; use one of"):
        Board("qemu-microbit-0001", "microbit", kernel=hello_kernel)
    for machine in ("microbit", "mps3-an547"):
        with pytest.raises(QemuError, match=f"{machine} has no network card"):
            Board(f"qemu-{machine}-0001", machine, network=True)
    with pytest.raises(QemuError, match=r"there is no .*none.elf"):
        Board("qemu-mps2-an386-0001", "mps2-an386", kernel=boards_root / "none.elf").start()


def test_ids_that_pyocd_could_confuse_are_refused(boards_root: Path) -> None:
    for unique_id in ("microbit", "qemu-microbit-1", "qemu-microbit-00001", "../qemu-microbit-0001"):
        with pytest.raises(QemuError, match="is no id"):
            Board(unique_id, "microbit")
    with pytest.raises(QemuError, match="no emulated machine 'pc'"):
        Board("qemu-pc-0001", "pc")
