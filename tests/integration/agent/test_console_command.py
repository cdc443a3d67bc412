"""`tinyfleet bench console`, by a person at a terminal and by programs."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import termios
from pathlib import Path

from tests.integration.agent.bench_rig import Program
from tests.integration.agent.serial_port import WAIT_S, SerialPort
from tests.servers import wait_for

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.lease_files import LeaseFiles
from tinyfleet.agent.adapters.tally_file import TallyFile
from tinyfleet.agent.services.leases import BoardLeases

BENCH_YAML = "boards: [{name: b1, device_type: microbit, probe: p1, console: %s}]\n"


def test_the_command_follows_types_and_ends(tmp_path: Path, port: SerialPort) -> None:
    """A person at a terminal, beside a program that only follows."""
    (tmp_path / "bench.yaml").write_text(BENCH_YAML % port.path)
    environment = {"TINYFLEET_STATE": str(tmp_path / "state")}
    follower = Program(tmp_path / "follow.log", environment, "bench", "console", "b1", "--no-input", "--json")
    person, terminal = pty.openpty()
    before = termios.tcgetattr(terminal)
    command = [sys.executable, "-m", "tinyfleet", "bench", "console", "b1"]
    child = subprocess.Popen(
        command, stdin=terminal, stdout=terminal, stderr=terminal, cwd=tmp_path, env=os.environ | environment
    )
    seen = b""

    def sees(text: bytes) -> bool:
        nonlocal seen
        while select.select([person], [], [], 0)[0]:
            seen += os.read(person, 4096)
        return text in seen

    try:
        wait_for("it is there", lambda: sees(b"connected"))
        assert b"Ctrl-] ends" in seen
        follower.wait_for('"up": true')
        os.write(person, b"a\x03\r")
        assert port.hears(3) == b"a\x03\r", "keys as they are, Ctrl-C and Enter too"
        table = LeaseFiles(tmp_path / "state" / "agent" / "leases")
        ann = BoardLeases(table, "ann", TallyFile(tmp_path / "tally"), SystemClock())
        ann.reserve(["b1"], 60)
        os.write(person, b"x")
        wait_for("a refusal", lambda: sees(b"b1 is reserved by ann until"))
        ann.release("b1")
        os.write(person, b"b")
        assert port.hears(1) == b"b", "what was typed meanwhile went nowhere"
        ann.close()
        port.says(b"login: ")
        wait_for("a prompt", lambda: sees(b"login: "))
        port.says(b"me\n")
        wait_for("its line", lambda: sees(b"login: me\r\n"))
        follower.wait_for('"text": "login: me"')
        os.write(person, b"\x1d")
        assert child.wait(WAIT_S) == 0
        assert termios.tcgetattr(terminal) == before
    finally:
        child.kill()
        child.wait()
        os.close(person)
        os.close(terminal)

    def still_there() -> bool:
        # Whose hub it was has ended; the other program opens the port anew.
        port.says(b"still here\n")
        return "still here" in (tmp_path / "follow.log").read_text()

    def said_by(*options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *options],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | environment,
            timeout=60,
        )

    wait_for("the follower goes on", still_there)
    assert follower.end() == 0
    shown = said_by("--tail", "2", "--no-follow", "--times")
    lines = [line.split(" ", 1)[1] for line in shown.stdout.splitlines()]
    assert lines == ["still here", "-- the agent ended: nobody reads the console"], shown
    waited = said_by("--expect", "never", "--timeout", "0.3")
    assert waited.returncode == 1
    assert "b1: console: no line with 'never' within 0.3 s; it said last: nothing" in waited.stderr
