"""One worker thread a board: order, errors, time-outs."""

from __future__ import annotations

import concurrent.futures
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from tinyfleet.agent.core.errors import BoardBusyError, StepTimeout
from tinyfleet.agent.services.worker import BoardWorker


@pytest.fixture
def worker() -> Iterator[BoardWorker]:
    worker = BoardWorker("b1")
    yield worker
    worker.close()


def test_calls_run_in_one_thread_of_their_own(worker: BoardWorker) -> None:
    threads = {worker.call("s", 5, threading.get_ident) for _ in range(3)}
    assert len(threads) == 1
    assert threading.get_ident() not in threads


def test_errors_come_through(worker: BoardWorker) -> None:
    with pytest.raises(ZeroDivisionError):
        worker.call("s", 5, lambda: 1 // 0)


def test_a_time_out_of_the_function_itself_is_not_ours(worker: BoardWorker) -> None:
    def fail() -> None:
        raise TimeoutError("mine")

    with pytest.raises(TimeoutError, match="mine"):
        worker.call("s", 5, fail)


def test_what_ends_at_the_last_moment_has_ended(worker: BoardWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the end of the waiting and the look at what became of it."""
    result = concurrent.futures.Future.result

    def late(future: concurrent.futures.Future[int], timeout: float | None = None) -> int:
        monkeypatch.undo()
        result(future, 5)
        raise TimeoutError

    monkeypatch.setattr(concurrent.futures.Future, "result", late)
    assert worker.call("s", 5, lambda: 7) == 7


def test_a_call_that_hangs_blocks_its_board_only_until_it_ends(worker: BoardWorker) -> None:
    release = threading.Event()
    with pytest.raises(StepTimeout, match=r"b1: program: no end within 0\.05 s"):
        worker.call("program", 0.05, release.wait, 10)
    with pytest.raises(BoardBusyError, match="an earlier step still hangs, so reset was not begun"):
        worker.call("reset", 5, int)
    release.set()
    hanging = worker._hanging
    assert hanging is not None
    hanging.result(5)
    assert worker.call("reset", 5, lambda: 7) == 7


def test_a_call_that_hangs_does_not_keep_the_program_from_ending() -> None:
    program = """
import time
from tinyfleet.agent.core.errors import StepTimeout
from tinyfleet.agent.services.worker import BoardWorker
worker = BoardWorker("b1")
try:
    worker.call("program", 0.05, time.sleep, 600)
except StepTimeout:
    worker.finish("disconnect", 5, lambda: None)
worker.close()
"""
    done = subprocess.run([sys.executable, "-c", program], timeout=20, check=False, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
