"""What people read when boards could not be programmed."""

from __future__ import annotations

from tinyfleet.agent.cli.flash_view import error_lines
from tinyfleet.agent.core.errors import BoardBusyError, PlanError, StepFailed


def test_each_failure_names_its_board_once() -> None:
    told = error_lines(
        {
            "b1": BoardBusyError("b1 is reserved by anna until 21:33:55", "wait with `--wait 10m`"),
            "b2": StepFailed("b2", "program", "the probe went away", "check the cable"),
            "b11": PlanError("nothing to program", "give firmware"),
        }
    )
    assert told == [
        "b1 is reserved by anna until 21:33:55; wait with `--wait 10m`",
        "b2: program: the probe went away; check the cable",
        "b11: nothing to program; give firmware",
    ]
