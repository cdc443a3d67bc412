"""Children: one clear line when they fail, started again when they die, ended by their own pid."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tinyfleet.fleet.adapters import process
from tinyfleet.fleet.adapters.process import Child, Pid, Program, end_leftover, read_pid, write_pid
from tinyfleet.fleet.core.errors import Unavailable

HELLO = "import sys, time; print('ready', flush=True); time.sleep(600)"


def program(folder: Path, *command: str, ready: Callable[[], Awaitable[bool]] | None = None) -> Program:
    log = folder / "p.log"

    async def wrote() -> bool:
        return log.exists() and b"ready" in log.read_bytes()

    return Program(
        name="thing", command=command, log=log, pid_file=folder / "thing.json", ready=ready or wrote
    )


def test_one_that_ends_at_once_says_why(tmp_path: Path) -> None:
    child = Child(
        program(tmp_path, sys.executable, "-c", "print('the port is taken'); raise SystemExit(3)"), print
    )
    with pytest.raises(Unavailable, match="thing ended with status 3: the port is taken"):
        asyncio.run(child.start())
    assert not (tmp_path / "thing.json").exists()


def test_one_that_is_not_installed_says_so(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="is not installed"):
        asyncio.run(Child(program(tmp_path, "no-such-program-here"), print).start())


def test_one_that_dies_comes_back_and_ends_when_told(tmp_path: Path) -> None:
    said: list[str] = []

    async def life() -> tuple[int, int]:
        child = Child(program(tmp_path, sys.executable, "-c", HELLO), said.append)
        await child.start()
        first = child.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(10):
            while child.pid == first:
                await asyncio.sleep(0.01)
        second = child.pid
        assert second is not None
        await child.stop()
        return first, second

    first, second = asyncio.run(life())
    assert first != second
    assert said == ["thing ended with status -9; starting it again in 0.2 s"]
    assert not Path(f"/proc/{second}").exists()
    assert not (tmp_path / "thing.json").exists()


def test_one_that_ignores_the_end_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tinyfleet.fleet.adapters.process.TERM_S", 0.2)
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + HELLO

    async def life() -> int | None:
        child = Child(program(tmp_path, sys.executable, "-c", stubborn), print)
        await child.start()
        await child.stop()
        return child.pid

    assert not Path(f"/proc/{asyncio.run(life())}").exists()


def test_it_dies_with_its_parent(tmp_path: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import asyncio, sys, time\n"
            "from pathlib import Path\n"
            "from tinyfleet.fleet.adapters.process import Child, Program\n"
            "folder = Path(sys.argv[1])\n"
            "async def ready(): return True\n"
            "async def main():\n"
            "    command = (sys.executable, '-c', 'import time; time.sleep(600)')\n"
            "    await Child(Program(name='t', command=command, log=folder / 'l', pid_file=folder / 'p',"
            " ready=ready), print).start()\n"
            "    print('up', flush=True)\n"
            "    await asyncio.sleep(600)\n"
            "asyncio.run(main())\n",
            str(tmp_path),
        ],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    with parent.stdout:
        assert parent.stdout.readline() == b"up\n"
        pid = read_pid(tmp_path / "p")
        assert pid is not None
        assert pid.alive()
        parent.kill()
        parent.wait()
    until = time.monotonic() + 10
    while pid.alive() and time.monotonic() < until:
        time.sleep(0.01)
    assert not pid.alive()


def test_a_leftover_is_ended_and_a_stranger_with_its_number_is_not(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        write_pid(path, left.pid)
        ours = read_pid(path)
        assert ours is not None
        stranger = Pid(ours.number, ours.started_ticks - 1)
        assert not stranger.alive()
        assert not stranger.signal(signal.SIGTERM)
        assert left.poll() is None
        assert end_leftover(path)
        assert left.wait(10) == -signal.SIGTERM
        assert not end_leftover(path)
    finally:
        left.kill()
        left.wait()
    path.write_text("nonsense")
    assert read_pid(path) is None


def test_a_log_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LOG_MAX_BYTES", 1000)
    monkeypatch.setattr(process, "LOG_CHECK_S", 0.02)
    chatter = (
        "import time\nprint('ready', flush=True)\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"
    )
    log, before = tmp_path / "p.log", tmp_path / "p.1.log"

    async def run() -> None:
        child = Child(program(tmp_path, sys.executable, "-c", chatter), print)
        await child.start()
        try:
            async with asyncio.timeout(20):
                while not before.exists():
                    await asyncio.sleep(0.01)
                first = before.stat().st_mtime_ns
                while before.stat().st_mtime_ns == first:
                    await asyncio.sleep(0.01)
        finally:
            await child.stop()

    asyncio.run(run())
    assert log.stat().st_size < 100_000
    assert b"\0" not in log.read_bytes(), "its writer goes on at the new end"


def test_a_pid_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    thing = program(tmp_path, sys.executable, "-c", HELLO)
    (tmp_path / "thing.json.new").mkdir()
    child = Child(thing, print)

    async def run() -> None:
        with pytest.raises(Unavailable, match=r"cannot start thing: .*thing\.json"):
            await child.start()
        assert child.pid is not None
        assert not Path(f"/proc/{child.pid}").exists()

    asyncio.run(run())
