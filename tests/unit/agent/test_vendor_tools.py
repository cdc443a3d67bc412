"""Vendors' programs: the command as it runs, what it says, and an end in any case."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.servers import wait_for
from tests.unit.agent.fakes import FakeClock

from tinyfleet.agent.adapters.part_files import Files, load_for
from tinyfleet.agent.adapters.vendor_tools import LOG_LIMIT_BYTES, VendorTools
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import NoSuchBoardError, PlanError, StepFailed, StepTimeout
from tinyfleet.agent.core.ways import ToolPlan, ToolRun, Way, tool_run, way_of
from tinyfleet.agent.services.tool_flasher import ToolFlasher
from tinyfleet.agent.services.worker import BoardWorker


def board(*program: str, console: str | None = "/dev/ttyACM0") -> BoardSpec:
    return BoardSpec(name="b1", device_type="uno", probe=None, console=console, program=program)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


@pytest.fixture
def worker() -> Iterator[BoardWorker]:
    worker = BoardWorker("b1")
    yield worker
    worker.close()


def test_the_command_is_filled_in_word_by_word_and_shown_as_a_shell_takes_it(
    worker: BoardWorker, tmp_path: Path
) -> None:
    image = tmp_path / "two words; rm -rf.bin"
    image.write_bytes(b"12345")
    copy = tmp_path / "copy"
    code = "import sys; open(sys.argv[3], 'w').write('|'.join(sys.argv[1:3])); print('done')"
    spec = board(sys.executable, "-c", code, "--at={port}@{address}", "{image}", str(copy))
    parts = load_for(spec, Files(firmware=image, address=0x1000))
    assert isinstance(parts.plan, ToolPlan)
    told: list[str] = []

    @contextmanager
    def lend(name: str) -> Iterator[None]:
        assert name == "b1" and not copy.exists()
        yield
        assert copy.exists()
        told.append("taken back")

    flasher = ToolFlasher(VendorTools(tmp_path / "logs"), FakeClock(), lend)
    report = flasher.flash(worker, parts.plan, on_line=told.append)
    assert copy.read_text() == f"--at=/dev/ttyACM0@0x1000|{image}"
    assert told.pop() == "taken back"
    assert len(told) == 1 and told[0].endswith(f"--at=/dev/ttyACM0@0x1000 '{image}' {copy}")
    assert (report.units, report.unit, report.compared, report.size_bytes) == (1, "files", False, 5)
    assert (tmp_path / "logs" / "b1.log").read_text() == f"$ {told[0]}\ndone\n"


def test_what_a_command_asks_for_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"b1: its program asks for \{address\}; give --address"):
        tool_run(board("flash", "{image}", "{address}"), "a.bin", None)
    with pytest.raises(PlanError, match=r"\{port\}; name the board's console"):
        tool_run(board("flash", "{port}").model_copy(update={"console": None}), "a.bin", None)
    # Nothing else in braces is ours.
    assert tool_run(board("flash", "{0}{image}{}"), "{port}", None) == ToolRun(("flash", "{0}{port}{}"))
    assert way_of(board("flash")) is Way.COMMAND
    both = board("flash").model_copy(update={"smp": "serial"})
    assert way_of(both) is Way.SMP
    assert way_of(both.model_copy(update={"probe": "p"})) is Way.PROBE
    assert way_of(both.model_copy(update={"probe": "p"}), Way.SMP) is Way.SMP
    with pytest.raises(
        NoSuchBoardError, match=r"b1 has no probe in bench.yaml; it is programmed by: command"
    ):
        way_of(board("flash"), Way.PROBE)


def test_a_tool_that_fails_says_why_and_where_the_rest_is(tmp_path: Path) -> None:
    tools = VendorTools(tmp_path)
    code = "print('x' * 3_000_000); print('no device on port'); raise SystemExit(7)"
    with pytest.raises(StepFailed, match=r"b1: program: .* ended with 7: .*no device on port; .*b1\.log"):
        tools.run("b1", python(code), 30)
    assert LOG_LIMIT_BYTES <= (tmp_path / "b1.log").stat().st_size < LOG_LIMIT_BYTES + 4000
    with pytest.raises(StepFailed, match="cannot start no-such-tool: No such file"):
        tools.run("b1", ("no-such-tool",), 30)


def test_a_tool_that_hangs_ends_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyfleet.agent.adapters.vendor_tools._END_S", 0.2)
    pids = tmp_path / "pids"
    # Neither it nor its child goes when asked to.
    code = (
        "import os, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); child = os.fork();"
        f"open({str(pids)!r}, 'a').write(f'{{os.getpid()}} '); print('waiting', flush=True); time.sleep(60)"
    )
    with pytest.raises(StepTimeout, match=r"was ended after 1 s; it said last: waiting"):
        VendorTools(tmp_path).run("b1", python(code), 1)
    started = [int(pid) for pid in pids.read_text().split()]
    assert len(started) == 2
    wait_for("both to end", lambda: not any(_runs(pid) for pid in started))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_tool_ends_with_the_program_that_started_it(number: signal.Signals, tmp_path: Path) -> None:
    code = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(f'{{os.getpid()}}.'); time.sleep(60)"
    row = {"name": "b1", "device_type": "uno", "console": "none", "program": list(python(code))}
    (tmp_path / "bench.yaml").write_text(json.dumps({"boards": [row]}))
    (tmp_path / "app.bin").write_bytes(b"x")
    command = [sys.executable, "-m", "tinyfleet", "bench", "flash", "b1", "--firmware", "app.bin"]
    child = subprocess.Popen(
        command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        pid = tmp_path / "pid"
        wait_for("the tool", lambda: pid.is_file() and pid.read_text().endswith("."))
        child.send_signal(number)
        assert child.wait(20) == (130 if number is not signal.SIGKILL else -signal.SIGKILL)
        wait_for("its end", lambda: not _runs(int(pid.read_text()[:-1])))
    finally:
        child.kill()
        child.wait(20)


def test_a_full_disk_costs_the_log_alone(tmp_path: Path) -> None:
    (tmp_path / "b1.log").symlink_to("/dev/full")
    tools = VendorTools(tmp_path)
    tools.run("b1", python("print('done')"), 30)
    with pytest.raises(StepFailed, match="ended with 7: no device on port"):
        tools.run("b1", python("print('no device on port'); raise SystemExit(7)"), 30)
    (tmp_path / "b2.log").mkdir()
    with pytest.raises(StepFailed, match=r"b2: program: .*cannot keep .*b2\.log"):
        tools.run("b2", python("print('done')"), 30)


def test_what_a_tool_leaves_running_is_not_waited_for(tmp_path: Path) -> None:
    code = "import os, time; os.fork() or time.sleep(1)"
    VendorTools(tmp_path).run("b1", python(code), 30)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
