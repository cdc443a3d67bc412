"""The reader acknowledges after its batch was stored, never before."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.servers import wait_for

pytestmark = pytest.mark.broker

CHILD = """
import os, sys, threading, time
from tinyfleet.fleet.adapters.mqtt.reader import Reader
port, password, prefix, stores = int(sys.argv[1]), sys.argv[2].encode(), sys.argv[3], sys.argv[4] == "stores"

def say(line):
    # One write: two threads speak, and print() writes the end of a line apart.
    os.write(1, line.encode() + b"\\n")

def handle(batch):
    for each in batch:
        if each.topic.endswith("/event"):
            say("got " + each.payload.hex())
    if not stores:
        time.sleep(3600)
    say("stored")

reader = Reader(port=port, user="manager.reader", password=password, client_id="manager.reader-test",
                filters=[prefix + "/+/event"], handle=handle, lost=lambda: None)
reader.start()
while not reader.connected:
    time.sleep(0.01)
say("connected")
threading.Event().wait()
"""


class Child:
    """A reader in a process of its own, so that it can be killed like a manager."""

    def __init__(self, fleet: Any, folder: Path, name: str, mode: str) -> None:
        from tinyfleet.fleet.adapters.mqtt.mosquitto import READER
        from tinyfleet.fleet.core import credentials

        endpoints = fleet.state.endpoints()
        self._log = folder / f"{name}.log"
        password = credentials.password(fleet.state.secret(), READER).decode()
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", CHILD, str(endpoints.admin_port), password, endpoints.prefix, mode],
                stdout=log,
                stderr=log,
            )

    def lines(self) -> list[str]:
        return self._log.read_text().splitlines()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def readers(fleet: Any, tmp_path: Path) -> Any:
    made: list[Child] = []

    def make(mode: str) -> Child:
        made.append(Child(fleet, tmp_path, f"reader{len(made)}", mode))
        return made[-1]

    yield make
    for child in made:
        child.kill()


def test_a_reader_killed_between_receiving_and_storing_loses_nothing(fleet: Any, readers: Any) -> None:
    node = fleet.node("node1")
    sent = [bytes([i, 1, 2]) for i in range(5)]
    first = readers("hangs")
    wait_for("the reader to be connected", lambda: "connected" in first.lines())
    for payload in sent:
        node.publish_raw(f"{node.config.prefix}/node1/event", payload)
    wait_for("the reader to have a message in hand", lambda: any("got" in line for line in first.lines()))
    first.kill()

    second = readers("stores")
    expected = {"got " + payload.hex() for payload in sent}
    wait_for("every message to come again", lambda: expected <= set(second.lines()))
    node.publish_raw(f"{node.config.prefix}/node1/event", b"\x7f")
    wait_for("a later message to be stored", lambda: "stored" in _after("got 7f", second.lines()))
    _acknowledged(fleet)
    second.kill()

    third = readers("stores")
    wait_for("the third reader to be connected", lambda: "connected" in third.lines())
    node.publish_raw(f"{node.config.prefix}/node1/event", b"\x01")
    wait_for("a fresh message", lambda: "got 01" in third.lines())
    assert not expected & set(third.lines()), "what was stored was acknowledged, so it does not come again"


def _after(line: str, lines: list[str]) -> list[str]:
    return lines[lines.index(line) :] if line in lines else []


def _acknowledged(fleet: Any) -> None:
    """Lets PUBACKs that are on their way arrive: the broker answers the API's probe after them."""
    until = time.monotonic() + 0.2
    while time.monotonic() < until:
        fleet.client.health()
