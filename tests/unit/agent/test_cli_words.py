"""What commands say when something is wrong with what they were given: what, where, and what to do; never a
traceback, and nothing that people and boards said is taken for markup."""

from __future__ import annotations

import io
import json
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from rich.table import Table

from tinyfleet.__main__ import _show_anything
from tinyfleet.agent.adapters import part_files
from tinyfleet.agent.adapters.array_file import read_arrays
from tinyfleet.agent.adapters.mlperf_data import raw_set
from tinyfleet.agent.adapters.part_files import load_parts, node_firmware
from tinyfleet.agent.cli import cli, scan_view
from tinyfleet.agent.cli.common import meanwhile, one_line_errors, out, until_stopped
from tinyfleet.agent.cli.lease_view import table
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.leases import Hold
from tinyfleet.agent.services.inventory import BoardStatus
from tinyfleet.agent.services.leases import Held
from tinyfleet.agent.services.plugged import Plugged
from tinyfleet.wire.enums import BoardState

CLI = Path(__file__).resolve().parents[3] / "agent" / "cli"
BENCH = """
boards:
  - {name: b1, device_type: microbit, probe: real-1, console: /dev/none, labels: {desk: "3"}}
  - {name: b2, device_type: microbit, probe: qemu-microbit-0099}
"""


@pytest.fixture
def bench(tmp_path: Path):  # type: ignore[no-untyped-def]
    (tmp_path / "bench.yaml").write_text(BENCH)

    def run(*words: str) -> tuple[int, str, str]:
        places = ["--bench", str(tmp_path / "bench.yaml"), "--state", str(tmp_path / "state")]
        done = CliRunner().invoke(cli, ["bench", *words, *places])
        assert done.exception is None or isinstance(done.exception, SystemExit)
        return done.exit_code, done.stdout, done.stderr

    return run


@pytest.mark.parametrize("console", [out, meanwhile], ids=["out", "meanwhile"])
def test_what_boards_and_people_said_is_no_markup(console: Console) -> None:
    said = Table("what")
    said.add_row("m-name-dut-[/red] [bold]")
    with console.capture() as shown:
        console.print("cut [/red] off")
        console.print(said)
    assert "cut [/red] off" in shown.get() and "m-name-dut-[/red] [bold]" in shown.get()


def test_no_command_has_a_console_of_its_own() -> None:
    own = [path.name for path in CLI.glob("*.py") if "= Console(" in path.read_text(encoding="utf-8")]
    assert own == ["common.py"], "they would take markup"


def test_a_reason_in_brackets_is_told_as_it_is(bench) -> None:  # type: ignore[no-untyped-def]
    assert bench("quarantine", "b1", "--reason", "cut [/red] off")[0] == 0
    for words in (("list",), ("history", "b1")):
        assert "cut [/red] off" in bench(*words)[1]


def test_a_quarantine_that_cannot_be_kept_is_none(bench, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    status, _, told = bench("quarantine", "b1", "--reason", "  ")
    assert status == 1 and "--reason is empty" in told
    (tmp_path / "state" / "agent").mkdir(parents=True)
    (tmp_path / "state" / "agent" / "recoveries").write_text("a file where the folder should be")
    for words in (("quarantine", "b1", "--reason", "smoke"), ("unquarantine", "b1")):
        status, said, told = bench(*words)
        assert (status, said) == (1, "")
        assert "b1" in told
    assert "nothing was changed" in bench("quarantine", "b1", "--reason", "smoke")[2]


def test_a_terminal_without_the_characters_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    stdout = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    monkeypatch.setattr(sys, "stderr", None)
    _show_anything()
    print("12 ± 1 µJ ██")
    stdout.flush()
    assert raw.getvalue() == b"12 +- 1 uJ ??\n"


def test_a_closed_terminal_ends_as_ctrl_c_does_unless_nohup_says_otherwise() -> None:
    @one_line_errors
    def cut_off() -> None:
        signal.raise_signal(signal.SIGHUP)

    before = signal.getsignal(signal.SIGHUP)
    with pytest.raises(SystemExit) as ended:
        cut_off()
    assert ended.value.code == 130
    with until_stopped() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert stop.is_set()
    assert signal.getsignal(signal.SIGHUP) is before
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        cut_off()
        with until_stopped() as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.is_set()
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_list_of_boards_keeps_its_columns_in_narrow_terminals(width: int) -> None:
    spec = BoardSpec(name="microbit-with-a-long-name", device_type="m", probe="p", console="/dev/x")
    detail = "no console /dev/serial/by-id/usb-Arduino_Nano_33_BLE_0123456789-if00"
    held = Held(spec.name, Hold.RESERVED_USED, "jenkins-agent-7", 0, "flash", ("ann",))
    status = BoardStatus(spec, BoardState.ABSENT, detail=detail, lease=held)
    console = Console(width=width, file=io.StringIO())
    console.print(table([status]))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    head = shown.splitlines()[1]
    assert all(column in head for column in ("board", "state", "holder", "until", "queue"))
    assert max(map(len, shown.splitlines())) <= width
    letters = "".join(line.split("┃" if "┃" in line else "│")[2].strip() for line in shown.splitlines()[3:-1])
    assert detail.replace(" ", "") in letters.replace(" ", ""), "folded, not cut"


def test_a_bench_without_boards_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(scan_view, "look", lambda folders: Plugged((), ()))
    done = CliRunner().invoke(cli, ["bench", "scan", "--state", str(tmp_path)])
    assert (done.exit_code, done.stdout) == (0, "")
    assert "no board to propose: plug a probe in" in done.stderr


def test_a_board_is_emulated_when_it_is_away_too(bench) -> None:  # type: ignore[no-untyped-def]
    status, said, told = bench("list", "--json")
    assert (status, told) == (0, ""), "what is away is in the list: once is enough"
    first, second = json.loads(said)
    assert (first["emulated"], second["emulated"]) == (False, True)
    assert second["state"] == "ABSENT"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("flash", "--label", "desk=9", "--model", "m"), "no board has desk=9; the labels are desk=3"),
        (("release", "b1", "--as", "ann"), "(b1 is free); there is nothing to release"),
        (("console", "b1", "--no-follow", "--expect", "x"), "--no-follow shows what was kept and ends"),
        (("console", "b1", "--no-follow", "--tty"), "--no-follow shows what was kept and ends"),
        (("console", "b1", "--expect", "x", "--tty"), "give one of them"),
    ],
)
def test_what_does_not_go_together_is_said(bench, words: tuple[str, ...], told: str) -> None:  # type: ignore[no-untyped-def]
    status, said, error = bench(*words)
    assert (status, said) == (1, "")
    assert told in error


def test_files_that_are_none_are_named_with_what_was_expected(
    bench,  # type: ignore[no-untyped-def]
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "long").write_bytes(bytes(100))
    status, _, told = bench("flash", "b1", "--model", str(tmp_path / "none.plan"))
    assert status == 1 and told.startswith("tinyfleet: "), "no progress bar's line where nobody looks"
    assert "none.plan: No such file or directory; is the name right?" in told
    with pytest.raises(PlanError) as caught:
        load_parts("microbit", model=tmp_path / "empty")
    assert str(caught.value).count("build it") + str(caught.value).count("build the model") == 1, (
        "one thing to do next"
    )
    monkeypatch.setattr(part_files, "FILE_LIMIT_BYTES", 99)
    with pytest.raises(PlanError, match="long: expected at most 99 bytes, got more"):
        load_parts("microbit", firmware=tmp_path / "long")
    with pytest.raises(PlanError, match="empty: no signed image: image: expected at least 32 bytes, got 0"):
        node_firmware(tmp_path / "empty", {"mps2-an386"})


def test_arrays_that_are_no_golden_set_are_named(tmp_path: Path) -> None:
    path = tmp_path / "g.npz"
    windows = np.zeros((2, 4), np.int8)
    np.save(tmp_path / "one.npy", windows)
    for data in (b"", b"{}", (tmp_path / "one.npy").read_bytes()):
        path.write_bytes(data)
        for read in (read_arrays, raw_set):
            with pytest.raises(PlanError, match=r"g\.npz: expected an \.npz file, got something else"):
                read(path)
    np.savez(path, windows=windows, labels=np.array(["a", "b"]))
    with pytest.raises(PlanError, match="something else"):
        raw_set(path)
    np.savez(path, windows=windows, labels=np.array([1]))
    with pytest.raises(PlanError, match="1 labels for 2 windows"):
        read_arrays(path)
    np.savez(path, frames=windows)
    with pytest.raises(PlanError, match="no array"):
        read_arrays(path)
    np.savez(path, windows=windows, labels=np.array([1, 0]))
    assert read_arrays(path)[1] == (1, 0)
