"""Power switches: what uhubctl says is checked, a neighbour's port is left alone, power comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pyocd_qemu import registry
from pyocd_qemu.board import Board
from pyocd_qemu.errors import QemuError
from pyocd_qemu.process import QemuProcess
from tests.servers import wait_for

from tinyfleet.agent.adapters import switches
from tinyfleet.agent.adapters.emulated_boards import EmulatedBoards
from tinyfleet.agent.adapters.switches import CommandSwitch, UsbHubSwitch
from tinyfleet.agent.adapters.usb_sysfs import usb_devices
from tinyfleet.agent.core import uhubctl
from tinyfleet.agent.core.attachments import CommandSwitchSpec, UsbSwitchSpec
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import EmulatorError, SwitchError, SwitchRefused
from tinyfleet.agent.services.power_switch import PowerAction, act
from tinyfleet.agent.switching import switch_of

USB2 = """\
Current status for hub 1-1 [0424:9514, USB 2.00, 5 ports, ppps]
  Port 2: 0503 power highspeed enable connect [0d28:0204 Arm BBC micro:bit CMSIS-DAP 9904]
Sent power off request
New status for hub 1-1 [0424:9514, USB 2.00, 5 ports, ppps]
  Port 2: {state}
"""
USB3 = """\
Current status for hub 2-1 [2109:0813, USB 3.00, 4 ports, ppps]
  Port 2: 02a0 power 5gbps Rx.Detect
Sent power off request
New status for hub 2-1 [2109:0813, USB 3.00, 4 ports, ppps]
  Port 2: {state}
"""
ON2, OFF2, ON3, OFF3 = "0100 power", "0000 off", "02a0 power 5gbps Rx.Detect", "0080 off"


@pytest.mark.parametrize(
    ("output", "on", "fault"),
    [
        (USB2.format(state=OFF2), False, None),
        (USB2.format(state=ON2), True, None),
        (USB2.format(state=ON2), False, "port 2 of hub 1-1 is still on"),
        (USB2.format(state=OFF2), True, "port 2 of hub 1-1 is still off"),
        # Both halves of a USB 3 hub feed the port.
        (USB2.format(state=OFF2) + USB3.format(state=OFF3), False, None),
        (USB2.format(state=OFF2) + USB3.format(state=ON3), False, "port 2 of hub 2-1 is still on"),
        (USB2.format(state=ON2) + USB3.format(state=OFF3), True, None),
        (USB2.format(state=OFF2) + USB3.format(state=OFF3), True, "port 2 of hub 1-1, 2-1 is still off"),
        # A name with the word in it is no state.
        (USB2.format(state="0000 off [1209:0001 a power meter]"), False, None),
        # The state before switching is not that after it, nor is another port's.
        (USB2.partition("New")[0], False, "did not tell the port's state; it said: Sent power off request"),
        (USB2.format(state=OFF2).replace("Port 2", "Port 3"), False, "did not tell the port's state"),
        ("", False, "it said: nothing"),
    ],
)
def test_only_what_uhubctl_saw_afterwards_counts(output: str, on: bool, fault: str | None) -> None:
    said = uhubctl.fault(output, 2, on=on)
    assert (said is None) if fault is None else (said is not None and fault in said)


class Recorder:
    """A switch that does as told, and writes down what."""

    label = "recorder"
    off_s = 2.0

    def __init__(self, fail: dict[str, Exception] | None = None) -> None:
        self.done: list[str | float] = []
        self._fail = fail or {}

    def on(self) -> None:
        self._do("on")

    def off(self) -> None:
        self._do("off")

    def _do(self, what: str) -> None:
        self.done.append(what)
        if what in self._fail:
            raise self._fail[what]


def test_a_cycle_is_off_wait_on() -> None:
    switch = Recorder()
    act(switch, PowerAction.CYCLE, switch.done.append)
    assert switch.done == ["off", 2.0, "on"]


@pytest.mark.parametrize(
    ("error", "done"),
    [
        (SwitchError("b", "power off", "it may be off", "look"), ["off", "on"]),
        (KeyboardInterrupt(), ["off", "on"]),
        (SwitchRefused("b", "power off", "a neighbour's", "look"), ["off"]),
    ],
)
def test_a_cycle_that_fails_does_not_leave_the_board_off(error: Exception, done: list[str]) -> None:
    switch = Recorder({"off": error})
    with pytest.raises(type(error)):
        act(switch, PowerAction.CYCLE, switch.done.append)
    assert switch.done == done


def test_a_cycle_tells_that_power_did_not_come_back() -> None:
    switch = Recorder({"on": SwitchError("b", "power on", "still off", "look")})
    with pytest.raises(SwitchError, match="still off"):
        act(switch, PowerAction.CYCLE, switch.done.append)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_a_relay_s_commands_are_run_as_they_are(tmp_path: Path) -> None:
    mark = tmp_path / "with space; and more"
    spec = CommandSwitchSpec(
        kind="command",
        on=("rm", str(mark)),
        off=("touch", str(mark)),
    )
    switch = CommandSwitch("b1", spec)
    switch.off()
    assert mark.exists()
    switch.on()
    assert not mark.exists()
    with pytest.raises(SwitchError, match=r"b1: power on: `rm .*` ended with status 1; it said: rm: cannot"):
        switch.on()


def test_a_cycle_that_is_ended_half_way_does_not_leave_the_board_off(tmp_path: Path) -> None:
    """By SIGTERM, as `timeout` and CI runners end programs."""
    log = tmp_path / "log"
    off, on = ([sys.executable, "-c", f"open({str(log)!r}, 'a').write({word!r})"] for word in ("off ", "on "))
    row = {"name": "b1", "device_type": "uno", "console": "none", "program": ["true"]}
    row["switch"] = {"kind": "command", "off": off, "on": on}  # type: ignore[assignment]
    (tmp_path / "bench.yaml").write_text(json.dumps({"boards": [row]}))
    child = subprocess.Popen(
        [sys.executable, "-m", "tinyfleet", "bench", "power", "b1", "cycle"],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for("off", lambda: log.is_file() and log.read_text() == "off ")
        child.terminate()
        assert child.wait(20) == 130
        assert log.read_text() == "off on "
    finally:
        child.kill()
        child.wait(20)


def test_a_relay_that_hangs_or_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(switches, "TIMEOUT_S", 0.2)
    spec = CommandSwitchSpec(
        kind="command", on=("no-such-relay",), off=python("import time; time.sleep(600)")
    )
    with pytest.raises(SwitchError, match=r"did not end within 0\.2 s"):
        CommandSwitch("b1", spec).off()
    with pytest.raises(SwitchRefused, match="there is no no-such-relay on this host"):
        CommandSwitch("b1", spec).on()


def fake_uhubctl(folder: Path, output: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A uhubctl first on the path that writes its arguments down and prints `output`."""
    log, program = folder / "arguments", folder / "uhubctl"
    program.write_text(f'#!/bin/sh\nprintf "%s " "$@" >> {log}\ncat {folder}/output\n')
    (folder / "output").write_text(output)
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return log


def test_a_hub_that_does_not_switch_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = fake_uhubctl(tmp_path, USB2.format(state=ON2), monkeypatch)
    switch = UsbHubSwitch("b1", UsbSwitchSpec(kind="uhubctl", location="1-1", port=2), lambda: None)
    switch.on()
    with pytest.raises(SwitchError, match="b1: power off: port 2 of hub 1-1 is still on"):
        switch.off()
    assert log.read_text() == "-l 1-1 -p 2 -a on -l 1-1 -p 2 -a off "


def device(sysfs: Path, path: str, *, serial: str | None = None, hub: bool = False, tty: str = "") -> None:
    folder = sysfs / path
    folder.mkdir(parents=True)
    (folder / "product").write_text("a hub\n" if hub else f"thing {path}\n")
    (folder / "bDeviceClass").write_text("09\n" if hub else "00\n")
    if serial:
        (folder / "serial").write_text(f"{serial}\n")
    if tty:
        (folder / f"{path}:1.1" / "tty" / tty).mkdir(parents=True)
    (sysfs / f"{path}:1.0").mkdir()


BOARDS = """\
boards:
  - name: b1
    device_type: microbit
    probe: serial-1
    console: /dev/ttyACM7
    switch: {kind: uhubctl, location: 1-1, port: 2}
  - {name: b2, device_type: microbit, probe: serial-2, console: /dev/ttyACM8}
  - {name: b3, device_type: microbit, console: /dev/ttyACM9, smp: serial}
  - {name: b4, device_type: nrf52840, probe: "683459357", smp: "udp://b4:1337"}
"""


@pytest.mark.parametrize(
    ("plugged", "refusal"),
    [
        ([("1-1.2", "serial-1", "")], None),
        ([("1-1.2", None, "ttyACM7")], None),
        # Not every board tells a serial number.
        ([("1-1.2", None, "")], None),
        ([], None),
        ([("1-1.2", "serial-1", ""), ("1-1.3", "serial-2", ""), ("1-1.21", "serial-3", "")], None),
        # A hub there, with all that the board has behind it.
        ([("1-1.2.1", "serial-1", ""), ("1-1.2.2", None, "ttyACM7")], None),
        ([("1-1.2.1", "serial-1", ""), ("1-1.2.2", "serial-2", "")], "thing 1-1.2.2 at 1-1.2.2 is another"),
        ([("1-1.2", "serial-1", ""), ("1-1.2.4", None, "ttyACM9")], "at 1-1.2.4 is another board's"),
        ([("1-1.2.1", "serial-1", ""), ("1-1.2.2", "a disk", "")], "1-1.2.2 hangs there, too"),
        ([("1-1.2", "serial-2", "")], "is another board's"),
        # J-Links have zeros in front that pyOCD does not tell.
        ([("1-1.2", "000683459357", "")], "is another board's"),
        ([("1-1.3", "serial-1", ""), ("1-1.2", None, "")], "the board is at 1-1.3, not at 1-1.2"),
    ],
)
def test_a_port_with_somebody_else_on_it_is_not_cut_off(
    plugged: list[tuple[str, str | None, str]],
    refusal: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    log = fake_uhubctl(tmp_path, USB2.format(state=OFF2), monkeypatch)
    sysfs = tmp_path / "sys"
    device(sysfs, "1-1", hub=True)
    for path, serial, tty in plugged:
        device(sysfs, path, serial=serial, tty=tty)
    bench = parse_bench(BOARDS, "bench.yaml")
    switch = switch_of(bench, bench.boards[0], EmulatedBoards(), sysfs)
    assert switch is not None
    if refusal is None:
        switch.off()
        assert log.read_text() == "-l 1-1 -p 2 -a off "
        return
    with pytest.raises(SwitchRefused, match=refusal):
        switch.off()
    assert not log.exists(), "nothing was switched"


def test_a_neighbour_that_was_plugged_in_since_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A port's link by id leads to another device after each time it was unplugged."""
    log = fake_uhubctl(tmp_path, USB2.format(state=OFF2), monkeypatch)
    sysfs, link = tmp_path / "sys", tmp_path / "by-id"
    device(sysfs, "1-1", hub=True)
    bench = parse_bench(BOARDS.replace("/dev/ttyACM9", str(link)), "bench.yaml")
    switch = switch_of(bench, bench.boards[0], EmulatedBoards(), sysfs)
    assert switch is not None
    device(sysfs, "1-1.2", tty="ttyACM5")
    link.symlink_to("/dev/ttyACM5")
    with pytest.raises(SwitchRefused, match="is another board's"):
        switch.off()
    assert not log.exists(), "nothing was switched"


def test_the_host_s_own_devices_can_be_read() -> None:
    assert all(each.path[0].isdigit() for each in usb_devices())


class DeadBoard:
    """A board whose QEMU died, and which starts again or not."""

    has_bootloader = False

    def __init__(self, starts: bool, *, runs: bool = True) -> None:
        self.starts = starts
        self.can_run = runs
        self.runs = False
        self.held: str | None = None
        self.started: list[bool] = []

    def check(self) -> None:
        raise QemuError("QEMU ended", "see its log")

    def restart(self, *, run: bool) -> None:
        if not self.starts:
            raise QemuError("no room", "make some")
        self.held = "QEMU broke off" if run and not self.can_run else None
        self.runs = run and self.can_run
        self.started.append(run)


def test_a_bootloader_that_does_not_help_is_not_started_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path))
    emulated, board = EmulatedBoards(), DeadBoard(True)
    board.has_bootloader = True
    emulated._boards = {"qemu-mps2-an386-0001": board}  # type: ignore[dict-item]
    said = [emulated.revive_one("qemu-mps2-an386-0001") for _ in range(6)]
    assert board.started == [True] * 5 + [False]
    assert said[4] == "QEMU ended; started again with the flash it had, running"
    assert said[5] == (
        "QEMU ended; started again with the flash it had, held in reset: program it, or switch its power"
    )


def test_an_emulated_board_that_does_not_start_does_not_keep_others_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path))
    emulated = EmulatedBoards()
    bad, good = DeadBoard(False), DeadBoard(True)
    emulated._boards = {"qemu-microbit-0001": bad, "qemu-microbit-0002": good}  # type: ignore[dict-item]
    with pytest.raises(EmulatorError, match="no room"):
        emulated.revive()
    assert good.started == [False]


def test_boards_are_ended_though_they_cannot_be_saved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full; no QEMU is left behind."""
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path))
    ended: list[str] = []

    def full(board: Board) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Board, "is_alive", lambda board: True)
    monkeypatch.setattr(Board, "save", full)
    monkeypatch.setattr(QemuProcess, "stop", lambda process, timeout_s=5.0: ended.append(process.name))
    emulated = EmulatedBoards()
    emulated._boards = {
        name: Board(name, "microbit") for name in ("qemu-microbit-0001", "qemu-microbit-0002")
    }
    emulated.stop()
    assert sorted(ended) == ["board qemu-microbit-0001", "board qemu-microbit-0002"]
    assert "No space left" in caplog.text


def test_a_program_that_ends_qemu_at_once_does_not_keep_its_board_from_being_programmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After power is back it is to run; what cannot run is held in reset, where its probe reaches it."""
    monkeypatch.setenv(registry.ROOT_VARIABLE, str(tmp_path))
    power = tmp_path / "qemu-microbit-0001" / "power"
    power.parent.mkdir()
    power.write_text("on")
    emulated, board = EmulatedBoards(), DeadBoard(True, runs=False)
    emulated._boards = {"qemu-microbit-0001": board}  # type: ignore[dict-item]
    (said,) = emulated.revive().values()
    assert said.startswith("QEMU broke off; started again with the flash it had, held in reset")
    assert not power.exists(), "the next start is not another try to run it"
