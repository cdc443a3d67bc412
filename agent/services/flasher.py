"""Programs a board by its probe: only the sectors that differ, reads everything back, resets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tinyfleet.agent.core.errors import StepFailed
from tinyfleet.agent.core.flash_plan import FlashPlan, NodePlan
from tinyfleet.agent.core.part_plan import PartPlan
from tinyfleet.agent.services.ports import Clock, Probes, ProbeSession
from tinyfleet.agent.services.steps import PLAN_TIMEOUT_S, Steps
from tinyfleet.agent.services.worker import BoardWorker

CONNECT_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 30.0
PROGRAM_TIMEOUT_S = 120.0
RESET_TIMEOUT_S = 10.0

StepProgress = Callable[[str, float], None]
"""Step name and the finished part of it."""


@dataclass(frozen=True, slots=True)
class FlashReport:
    """`written` of `units` were programmed; `unit` says of what. `compared`: all of them were read back (or,
    by SMP, their digests) and are as planned."""

    board: str
    size_bytes: int
    units: int
    written: int
    elapsed_s: float
    unit: str = "sectors"
    compared: bool = True

    @property
    def sectors(self) -> int:
        return self.units

    def to_json(self) -> dict[str, Any]:
        return {
            "board": self.board,
            "size_bytes": self.size_bytes,
            self.unit: self.units,
            "written": self.written,
            "compared": self.compared,
            "elapsed_s": round(self.elapsed_s, 3),
        }


class Flasher:
    def __init__(self, probes: Probes, clock: Clock) -> None:
        self._probes = probes
        self._clock = clock

    def flash(
        self,
        worker: BoardWorker,
        probe: str,
        plan: FlashPlan | NodePlan | PartPlan,
        progress: StepProgress = lambda step, part: None,
        *,
        timeout_s: float = PLAN_TIMEOUT_S,
    ) -> FlashReport:
        """`timeout_s` is for the whole plan, once it is the board's turn. Raises StepFailed (StepTimeout),
        NoSuchBoardError, BoardBusyError or PlanError. The probe is closed in any case."""
        with self._probes.turn(probe, timeout_s):
            return self._flash(worker, probe, plan, progress, timeout_s)

    def _flash(
        self,
        worker: BoardWorker,
        probe: str,
        plan: FlashPlan | NodePlan | PartPlan,
        progress: StepProgress,
        timeout_s: float,
    ) -> FlashReport:
        steps = Steps(worker, self._clock, timeout_s)
        with self._session(steps, probe, plan.part) as session:
            progress("compare", 0.0)
            if isinstance(plan, NodePlan):
                plan = steps.call("look up", READ_TIMEOUT_S, plan.placed, session.read)
            if isinstance(plan, FlashPlan):
                wanted = plan.sectors()
                current = steps.call("compare", READ_TIMEOUT_S, _read, session, _extents(wanted))
            else:
                extents = steps.call("look up", READ_TIMEOUT_S, _sectors_of, session, plan)
                current = steps.call("compare", READ_TIMEOUT_S, _read, session, extents)
                wanted = plan.wanted(current)
            differing = _differing(wanted, current)
            if differing:
                steps.call(
                    "program",
                    PROGRAM_TIMEOUT_S,
                    session.program,
                    differing,
                    lambda part: progress("program", part),
                )
                progress("read back", 0.0)
                current = steps.call("read back", READ_TIMEOUT_S, _read, session, _extents(wanted))
                _check(steps.board, _differing(wanted, current), current)
            progress("reset", 0.0)
            steps.call("reset", RESET_TIMEOUT_S, session.reset)
            progress("reset", 1.0)
        return FlashReport(steps.board, plan.size_bytes, len(wanted), len(differing), steps.elapsed_s)

    def reset(self, worker: BoardWorker, probe: str) -> None:
        """Resets the board and lets it run."""
        steps = Steps(worker, self._clock)
        with self._session(steps, probe, None) as session:
            steps.call("reset", RESET_TIMEOUT_S, session.reset)

    @contextmanager
    def _session(self, steps: Steps, probe: str, part: str | None) -> Iterator[ProbeSession]:
        session = steps.call("connect", CONNECT_TIMEOUT_S, self._probes.open, probe, part)
        with steps.finishing("disconnect", session.close):
            yield session


def _check(board: str, wrong: dict[int, bytes], current: dict[int, bytes]) -> None:
    for address, wanted in wrong.items():
        got = current[address]
        at = next(i for i in range(len(wanted)) if wanted[i] != got[i])
        raise StepFailed(
            board,
            "read back",
            f"{len(wrong)} sectors are not as programmed, the first at {address + at:#x}: "
            f"expected {wanted[at : at + 8].hex()}, got {got[at : at + 8].hex()}",
            "program it again; if it stays so, the flash is worn or protected",
        )


def _differing(wanted: Mapping[int, bytes], current: Mapping[int, bytes]) -> dict[int, bytes]:
    return {start: data for start, data in wanted.items() if current.get(start) != data}


def _extents(sectors: Mapping[int, bytes]) -> dict[int, int]:
    """Bytes of each sector, by address."""
    return {address: len(data) for address, data in sectors.items()}


def _sectors_of(session: ProbeSession, plan: PartPlan) -> dict[int, int]:
    """The sectors that the plan touches: bytes by address."""
    found: dict[int, int] = {}
    for segment in plan.segments:
        found.update(session.sectors(segment.address, len(segment.data)))
    return found


def _read(session: ProbeSession, extents: Mapping[int, int]) -> dict[int, bytes]:
    """What stands there; neighbours are read in one go."""
    content: dict[int, bytes] = {}
    for run in _runs(extents):
        data = session.read(run[0], sum(extents[address] for address in run))
        for address in run:
            at = address - run[0]
            content[address] = data[at : at + extents[address]]
    return content


def _runs(extents: Mapping[int, int]) -> list[list[int]]:
    """The addresses, grouped into what lies without a gap."""
    runs: list[list[int]] = []
    for address in sorted(extents):
        last = runs[-1][-1] if runs else None
        if last is not None and last + extents[last] == address:
            runs[-1].append(address)
        else:
            runs.append([address])
    return runs
