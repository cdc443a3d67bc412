"""The thread of a bridge: nothing that fails ends it, and it ends when it is told to."""

from __future__ import annotations

import threading

import pytest

from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.bridge_ports import Look
from tinyfleet.agent.services.bridge_thread import QUEUE_MAX, BridgeThread


class Scripted:
    """A bridge whose every step fails, once each way."""

    device = "d1"

    def __init__(self) -> None:
        self.taken: list[object] = []
        self.told: list[str] = []
        self.closed = threading.Event()

    def begin(self) -> None:
        raise AgentError("no board", "plug it in")

    def take(self, incoming: object) -> None:
        self.taken.append(incoming)
        raise ZeroDivisionError

    def tick(self) -> None:
        return

    def patience_s(self) -> float:
        return 5.0

    def troubled(self, why: str) -> None:
        self.told.append(why)

    def close(self) -> None:
        self.closed.set()


def test_nothing_that_fails_ends_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    scripted = Scripted()
    thread = BridgeThread(lambda tell: scripted)  # type: ignore[arg-type, return-value]
    thread.start()
    for _ in range(3):
        thread.look()
    thread.stop()
    assert scripted.closed.is_set()
    assert scripted.taken == [Look()] * 3
    assert scripted.told == ["no board; plug it in"]
    assert caplog.text.count("the bridge failed") == 3


def test_the_thread_ends_though_more_comes_than_it_takes() -> None:
    """Else the device is not said to be LOST, and the agent's end is waited for in vain."""
    scripted, begun, go_on = Scripted(), threading.Event(), threading.Event()

    def slow(incoming: object) -> None:
        begun.set()
        go_on.wait(20)

    scripted.take = slow  # type: ignore[method-assign]
    thread = BridgeThread(lambda tell: scripted)  # type: ignore[arg-type, return-value]
    thread.start()
    thread.look()
    assert begun.wait(20)
    for _ in range(QUEUE_MAX):
        thread.look()
    threading.Timer(0.1, go_on.set).start()
    thread.stop()
    assert scripted.closed.is_set()
