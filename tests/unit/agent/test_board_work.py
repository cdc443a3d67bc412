"""What becomes of one operation on a board: what is told of the board, counted, and said to recovery."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import pytest

from tinyfleet.agent.core.errors import (
    AgentError,
    BoardGone,
    QuarantinedError,
    StepFailed,
    SwitchRefused,
)
from tinyfleet.agent.core.tally import FLASHES, RUNS, Metric
from tinyfleet.agent.services.board_work import BoardWork
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.enums import BoardState

SILENT = StepFailed("b1", "hello", "silent", "look")


class Around:
    """All that a BoardWork has around it; `seen` is what it did there, in order."""

    holder = "ann"

    def __init__(self) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.unplugged: str | None = None
        self.quarantined = False

    # leases
    def of(self, board: str) -> Around:
        return self

    @contextmanager
    def use(self, board: str, what: str, wait_s: float, hangs: Callable[[], bool]) -> Iterator[Around]:
        self.seen.append(("use", what, wait_s))
        yield self
        self.seen.append(("released",))

    def check(self, step: str) -> None:
        """Never lost here."""

    # inventory
    def mark(self, board: str, state: BoardState, detail: str | None) -> None:
        self.seen.append((state.name, detail))

    def missing(self, board: str) -> str | None:
        return self.unplugged

    # counting
    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        self.seen.append((metric.name, labels["outcome"]))

    # recovery
    def admit(self, board: str) -> None:
        if self.quarantined:
            raise QuarantinedError("b1 is in quarantine", "bench recover b1")

    def wait_s(self, holder: str) -> float:
        return 7.0

    def failed(self, board: str, error: AgentError, *, by_probe: bool) -> None:
        self.seen.append(("failed", type(error).__name__, by_probe))


@pytest.fixture
def around() -> Around:
    return Around()


@pytest.fixture
def on(around: Around) -> Iterator[Callable[..., Any]]:
    worker = BoardWorker("b1")
    given: Any = around
    work = BoardWork(given, {"b1": worker}, given, given, given, wait_s=3.0, lock=Lock(), tell=lambda: None)
    yield lambda counted, what: work.on("b1", counted, what)
    worker.close()


def fails(error: BaseException) -> Callable[[], None]:
    def work() -> None:
        raise error

    return work


def test_a_board_is_busy_and_then_ready(around: Around, on: Callable[..., Any]) -> None:
    assert on(FLASHES, lambda: "answer") == "answer"
    assert around.seen == [("use", "flash", 7.0), ("BUSY", None), ("READY", None), ("released",)]


@pytest.mark.parametrize(("counted", "by_probe"), [(FLASHES, True), (RUNS, False)])
def test_what_fails_is_counted_and_recovery_hears_of_it(
    around: Around, on: Callable[..., Any], counted: Metric, by_probe: bool
) -> None:
    with pytest.raises(StepFailed, match="silent"):
        on(counted, fails(SILENT))
    assert around.seen[2:] == [
        (counted.name, "FAILED"),
        ("FAILED", str(SILENT)),
        ("failed", "StepFailed", by_probe),
    ]


def test_what_nobody_counts_is_no_failure_of_the_board(around: Around, on: Callable[..., Any]) -> None:
    with pytest.raises(StepFailed):
        on(None, fails(SILENT))
    assert around.seen == [("use", "work", 7.0), ("BUSY", None), ("FAILED", str(SILENT))]


def test_a_part_that_was_unplugged_is_the_cause(around: Around, on: Callable[..., Any]) -> None:
    around.unplugged = "no probe"
    with pytest.raises(BoardGone, match=r"no probe any more \(silent\)"):
        on(RUNS, fails(SILENT))
    assert around.seen[-1] == ("failed", "BoardGone", False)


def test_a_switch_says_itself_why(around: Around, on: Callable[..., Any]) -> None:
    around.unplugged = "no probe"
    refused = SwitchRefused("b1", "power off", "a neighbour's", "look")
    with pytest.raises(SwitchRefused) as raised:
        on(RUNS, fails(refused))
    assert raised.value is refused


def test_after_a_bug_nobody_knows_how_the_board_is(around: Around, on: Callable[..., Any]) -> None:
    with pytest.raises(ZeroDivisionError):
        on(RUNS, fails(ZeroDivisionError()))
    assert around.seen[2:] == [("UNKNOWN", None)]


def test_a_board_in_quarantine_is_not_touched(around: Around, on: Callable[..., Any]) -> None:
    around.quarantined = True
    with pytest.raises(QuarantinedError):
        on(FLASHES, lambda: None)
    assert around.seen == []
