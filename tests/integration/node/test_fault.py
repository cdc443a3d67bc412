"""A fault leaves a record that the next run tells of. The fault is made through QEMU's debugger door."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tinyfleet.wire.enums import EventKind
from tinyfleet.wire.messages import Birth, Event

pytestmark = [pytest.mark.qemu, pytest.mark.broker]

NOWHERE = 0x30000000
PC = 15


def qmp(state_dir: Path, *commands: str) -> None:
    """Runs monitor commands over the board's QMP socket."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(state_dir / "qmp.sock"))
        stream = link.makefile("rw", encoding="utf-8")
        stream.readline()
        calls: list[dict[str, Any]] = [{"execute": "qmp_capabilities"}]
        calls += [{"execute": "human-monitor-command", "arguments": {"command-line": c}} for c in commands]
        for call in calls:
            stream.write(json.dumps(call) + "\n")
            stream.flush()
            while "return" not in (answer := json.loads(stream.readline())):
                assert "error" not in answer, answer
        stream.close()


def gdb(path: Path, *packets: str) -> None:
    """Sends packets to a gdb server; the last one is not answered before the next stop."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(str(path))
        for number, packet in enumerate(packets, 1):
            check = sum(packet.encode()) & 0xFF
            link.sendall(f"${packet}#{check:02x}".encode())
            answer = b""
            while number < len(packets) and b"#" not in answer:
                answer += link.recv(4096)
            if number < len(packets):
                link.sendall(b"+")


def test_a_fault_resets_the_node_and_is_reported(node: Any, manager: Any, tmp_path: Path) -> None:
    qmp(node.emulator.state_dir, f"gdbserver unix:{tmp_path}/gdb,server=on,wait=off")
    where = NOWHERE.to_bytes(4, "little").hex()
    gdb(tmp_path / "gdb", "qSupported", "qXfer:features:read:target.xml:0,ffb", f"P{PC:x}={where}", "c")
    node.console(rf"crash: FAULT pc={NOWHERE:08x}")
    node.console("last run ended by FAULT")
    event = manager.wait(Event, lambda e: e.kind is EventKind.CRASH)
    assert event.boot == 2 and f"FAULT pc={NOWHERE:08x}" in str(event.text)
    assert manager.wait(Birth, lambda b: b.boot == 2)
