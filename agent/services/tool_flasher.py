"""Programs a board by its vendor's tool. What then stands in flash is the tool's word."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from tinyfleet.agent.core.ways import ToolPlan
from tinyfleet.agent.services.flasher import FlashReport, StepProgress
from tinyfleet.agent.services.ports import Clock, Tools
from tinyfleet.agent.services.steps import FINISH_TIMEOUT_S, PLAN_TIMEOUT_S, Steps
from tinyfleet.agent.services.worker import BoardWorker

TOOL_TIMEOUT_S: Final = 300.0


class ToolFlasher:
    def __init__(
        self,
        tools: Tools,
        clock: Clock,
        lend: Callable[[str], AbstractContextManager[None]] = lambda board: nullcontext(),
    ) -> None:
        """`lend` lets go of a board's console, so that the tool can open it."""
        self._tools = tools
        self._clock = clock
        self._lend = lend

    def flash(
        self,
        worker: BoardWorker,
        plan: ToolPlan,
        progress: StepProgress = lambda step, part: None,
        *,
        timeout_s: float = PLAN_TIMEOUT_S,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> FlashReport:
        """`on_line` is told each command, as a shell would take it, before it runs. Raises StepFailed
        (StepTimeout) or BoardBusyError."""
        steps = Steps(worker, self._clock, timeout_s)
        with self._lend(steps.board) if plan.uses_port else nullcontext():
            for number, run in enumerate(plan.runs):
                progress("program", number / len(plan.runs))
                on_line(str(run))
                limit_s = steps.left_s("program", TOOL_TIMEOUT_S)
                # The tool is ended before the step is given up, so that nothing of it is left.
                steps.call(
                    "program", limit_s + FINISH_TIMEOUT_S, self._tools.run, steps.board, run.command, limit_s
                )
        progress("program", 1.0)
        files = len(plan.runs)
        return FlashReport(
            steps.board, plan.size_bytes, files, files, steps.elapsed_s, unit="files", compared=False
        )

    def close(self) -> None:
        self._tools.close()
