"""The steps walk in lanes: the first failure ends every lane, and what died is told before who missed it."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from examples.demo.display import Display
from examples.demo.play import Lanes, Step
from examples.demo.programs import DemoError, Ending, Stopped, wait_until
from rich.console import Console


class Stage:
    """A chain whose health the test decides."""

    def __init__(self) -> None:
        self.ending = Ending()
        self.dead = ""
        self.output = io.StringIO()

    def check(self) -> None:
        if self.dead:
            raise DemoError(self.dead)

    def run(self, *steps: Callable[..., None], width: int = 80) -> str:
        """Each step in a lane of its own; what was printed."""
        named: list[Step] = [(f"step {i}", step) for i, step in enumerate(steps)]
        console = Console(file=self.output, width=width)
        chain: Any = SimpleNamespace(ending=self.ending, check=self.check)
        with Display(console, [title for title, _ in named]) as display:
            Lanes(chain, display).run([[(i, step)] for i, step in enumerate(named)])
        return self.output.getvalue()


def wait_for_ever(stage: Stage) -> Callable[..., None]:
    return lambda tell: wait_until(lambda: False, 60, "the end of time", stage.ending)


def test_a_failure_ends_the_other_lane() -> None:
    stage, begun = Stage(), threading.Barrier(2, timeout=10)

    def fail_beside(tell: object) -> None:
        begun.wait()
        raise DemoError("no such board")

    def wait_beside(tell: object) -> None:
        begun.wait()
        wait_for_ever(stage)(tell)

    with pytest.raises(DemoError, match=r"^step 0: no such board$"):
        stage.run(fail_beside, wait_beside)
    assert "✗ step 0: no such board" in stage.output.getvalue()
    assert "- step 1" in stage.output.getvalue()


def test_what_died_is_told_though_no_step_noticed() -> None:
    stage = Stage()

    def die(tell: object) -> None:
        stage.dead = "QEMU ended"
        wait_for_ever(stage)(tell)

    with pytest.raises(DemoError, match=r"^QEMU ended$"):
        stage.run(die, wait_for_ever(stage))


def test_what_died_is_told_before_who_missed_it() -> None:
    stage = Stage()

    def miss(tell: object) -> None:
        stage.dead = "the manager ended"
        raise OSError("connection refused")

    with pytest.raises(DemoError, match=r"^the manager ended$"):
        stage.run(miss)


def test_ctrl_c_stops_every_lane() -> None:
    stage = Stage()
    timer = threading.Timer(0.1, lambda: setattr(stage.ending, "wanted", True))
    timer.start()
    with pytest.raises(Stopped):
        stage.run(wait_for_ever(stage), wait_for_ever(stage))
    timer.join()


def test_a_bug_is_not_swallowed() -> None:
    def stumble(tell: object) -> None:
        raise KeyError("oops")

    with pytest.raises(KeyError, match="oops"):
        Stage().run(stumble)


def test_the_table_says_how_long_each_step_took() -> None:
    text = Stage().run(lambda tell: tell("two of two " * 10))
    table = text.rpartition("took")[2]
    assert "✓ step 0 0.0 s two of two" in table
    assert all(len(line) <= 80 for line in table.splitlines())
