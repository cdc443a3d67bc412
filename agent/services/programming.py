"""Programs boards, each in its own way, several at once."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import AgentError, NoSuchBoardError
from tinyfleet.agent.core.ways import Plan, SmpPlan, ToolPlan
from tinyfleet.agent.services.flasher import Flasher, FlashReport, StepProgress
from tinyfleet.agent.services.smp_flasher import SmpFlasher
from tinyfleet.agent.services.steps import PLAN_TIMEOUT_S
from tinyfleet.agent.services.tool_flasher import ToolFlasher
from tinyfleet.agent.services.worker import BoardWorker

AT_ONCE: Final = 8
"""More boards than that wait their turn: probes share a USB controller, and threads one interpreter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """How a plan's progress is told: the finished part of each step, and commands before they run."""

    progress: StepProgress = lambda step, part: None
    on_line: Callable[[str], None] = lambda line: None


class Programming:
    def __init__(self, by_probe: Flasher, by_smp: SmpFlasher, by_tool: ToolFlasher) -> None:
        self._by_probe = by_probe
        self._by_smp = by_smp
        self._by_tool = by_tool

    def flash(
        self,
        worker: BoardWorker,
        spec: BoardSpec,
        plan: Plan,
        telling: Telling,
        timeout_s: float = PLAN_TIMEOUT_S,
    ) -> FlashReport:
        """Raises AgentError: see the three ways."""
        if isinstance(plan, ToolPlan):
            return self._by_tool.flash(
                worker, plan, telling.progress, timeout_s=timeout_s, on_line=telling.on_line
            )
        if isinstance(plan, SmpPlan):
            # Consoles go by their boards' names, as several programs share them.
            address = spec.name if spec.smp in (None, "serial") else spec.smp
            return self._by_smp.flash(worker, address, spec.baud, plan, telling.progress, timeout_s=timeout_s)
        if spec.probe is None:
            raise NoSuchBoardError(
                f"{spec.name} has no probe in bench.yaml", "name it there: `tinyfleet bench scan`"
            )
        return self._by_probe.flash(worker, spec.probe, plan, telling.progress, timeout_s=timeout_s)

    def close(self) -> None:
        """Ends the tools that still run."""
        self._by_tool.close()


def flash_all(
    work: Mapping[str, Callable[[], FlashReport]], at_once: int = AT_ONCE
) -> dict[str, FlashReport | AgentError]:
    """Does each board's work, several at a time; what one board fails with is its result, and does not stop
    the others. Any other exception is raised when all have ended."""
    waiting = queue.SimpleQueue[tuple[str, Callable[[], FlashReport]]]()
    for item in work.items():
        waiting.put(item)
    results: dict[str, FlashReport | AgentError] = {}
    unexpected: list[BaseException] = []

    def serve() -> None:
        while True:
            try:
                board, do = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                results[board] = do()
            except AgentError as error:
                results[board] = error
            except BaseException as error:
                unexpected.append(error)

    # Daemons, so that Ctrl-C does not wait for what hangs.
    threads = [
        threading.Thread(target=serve, name=f"flash-{number}", daemon=True)
        for number in range(min(at_once, len(work)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        # Every plan has a time-out.
        thread.join()
    if unexpected:
        raise unexpected[0]
    return {board: results[board] for board in work}
