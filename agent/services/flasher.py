"""Programs a board: only the sectors that differ, reads everything back, resets."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tinyfleet.agent.core.errors import StepFailed
from tinyfleet.agent.core.flash_plan import FlashPlan
from tinyfleet.agent.services.ports import Clock, Probes, ProbeSession
from tinyfleet.agent.services.worker import BoardWorker

CONNECT_TIMEOUT_S = 15.0
READ_TIMEOUT_S = 30.0
PROGRAM_TIMEOUT_S = 120.0
RESET_TIMEOUT_S = 10.0

StepProgress = Callable[[str, float], None]
"""Step name and the finished part of it."""


@dataclass(frozen=True, slots=True)
class FlashReport:
    """`written` of `sectors` were programmed; all of them were read back and are as planned."""

    board: str
    size_bytes: int
    sectors: int
    written: int
    elapsed_s: float

    def to_json(self) -> dict[str, Any]:
        return {
            "board": self.board,
            "size_bytes": self.size_bytes,
            "sectors": self.sectors,
            "written": self.written,
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
        plan: FlashPlan,
        progress: StepProgress = lambda step, part: None,
    ) -> FlashReport:
        """Raises StepFailed (StepTimeout), NoSuchBoardError or BoardBusyError. The probe is closed in any
        case."""
        begun_s = self._clock.monotonic_s()
        wanted = plan.sectors()
        with self._session(worker, probe) as session:
            progress("compare", 0.0)
            current = worker.call("compare", READ_TIMEOUT_S, _read, session, wanted)
            differing = plan.differing(current)
            if differing:
                worker.call(
                    "program",
                    PROGRAM_TIMEOUT_S,
                    session.program,
                    differing,
                    lambda part: progress("program", part),
                )
                progress("read back", 0.0)
                current = worker.call("read back", READ_TIMEOUT_S, _read, session, wanted)
                self._check(worker.board, plan.differing(current), current)
            progress("reset", 0.0)
            worker.call("reset", RESET_TIMEOUT_S, session.reset)
            progress("reset", 1.0)
        return FlashReport(
            worker.board,
            plan.size_bytes,
            len(wanted),
            len(differing),
            self._clock.monotonic_s() - begun_s,
        )

    def reset(self, worker: BoardWorker, probe: str) -> None:
        """Resets the board and lets it run."""
        with self._session(worker, probe) as session:
            worker.call("reset", RESET_TIMEOUT_S, session.reset)

    @contextmanager
    def _session(self, worker: BoardWorker, probe: str) -> Iterator[ProbeSession]:
        session = worker.call("connect", CONNECT_TIMEOUT_S, self._probes.open, probe)
        try:
            yield session
        finally:
            worker.finish("disconnect", RESET_TIMEOUT_S, session.close)

    @staticmethod
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


def _read(session: ProbeSession, sectors: Mapping[int, bytes]) -> dict[int, bytes]:
    """What stands where the sectors do; neighbours are read in one go."""
    content: dict[int, bytes] = {}
    for run in _runs(sectors):
        data = session.read(run[0], sum(len(sectors[address]) for address in run))
        for address in run:
            at = address - run[0]
            content[address] = data[at : at + len(sectors[address])]
    return content


def _runs(sectors: Mapping[int, bytes]) -> list[list[int]]:
    """The sectors' addresses, grouped into what lies without a gap."""
    runs: list[list[int]] = []
    for address in sorted(sectors):
        last = runs[-1][-1] if runs else None
        if last is not None and last + len(sectors[last]) == address:
            runs[-1].append(address)
        else:
            runs.append([address])
    return runs
