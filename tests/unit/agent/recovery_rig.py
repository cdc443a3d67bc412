"""A bench of two boards that exist in memory only, and the recovery that watches them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.servers import wait_for
from tests.unit.agent.fakes import FakeClock

from tinyfleet.agent.adapters.recovery_files import RecoveryFiles
from tinyfleet.agent.core.errors import BoardBusyError
from tinyfleet.agent.core.pulse import ConsoleSeen, CoreSeen, judge
from tinyfleet.agent.core.recovery import Condition, Event, Limits, Patient
from tinyfleet.agent.core.tally import Metric
from tinyfleet.agent.services.heartbeat import Bedside, Heartbeat
from tinyfleet.agent.services.ladder import Ladder
from tinyfleet.agent.services.recovery import Recovery, Ward
from tinyfleet.agent.services.worker import BoardWorker

LIMITS = Limits(failures=2, window_s=1000.0, pause_first_s=10.0, pause_max_s=60.0)
C = Condition


class Counted:
    def __init__(self) -> None:
        self.seen: list[tuple[str, ...]] = []

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        self.seen.append((metric.name, *labels.values()))

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        raise AssertionError("nothing to observe")


class Clock(FakeClock):
    """The wall goes with the rest."""

    def unix_s(self) -> int:
        return 1_700_000_000 + int(self.now_s)


@dataclass
class Board:
    """`cure` is the rung that helps. `done` is all that was done to it."""

    cure: str | None = None
    core: CoreSeen = CoreSeen.RUNNING
    alive: bool = True
    done: list[str] = field(default_factory=list)
    hang: threading.Event | None = None

    def do(self, what: str) -> None:
        self.done.append(what)
        self.alive = self.alive or what == self.cure

    # services.heartbeat.Cores
    def look(self, unique_id: str, part: str | None = None) -> CoreSeen:
        return CoreSeen.RUNNING if self.alive else self.core

    def reset(self, unique_id: str, part: str | None, *, under_connect: bool) -> None:
        self.do("under connect" if under_connect else "soft reset")

    # services.power_switch.PowerSwitch
    label = "a switch"
    off_s = 0.0

    def off(self) -> None:
        self.do("off")

    def on(self) -> None:
        self.do("on")
        if self.hang is not None:
            self.hang.set()


class AskedHeartbeat(Heartbeat):
    """Alive boards answer HELLO; others show their cores."""

    def __init__(self, boards: dict[str, Board]) -> None:
        self.boards = boards

    def ask(self, bed, expects, *, needs_probe=False, reprogrammed=False):  # type: ignore[no-untyped-def]
        board = self.boards[bed.board]
        console = ConsoleSeen.HELLO if board.alive else ConsoleSeen.SILENT
        return judge(
            expects,
            console,
            lambda: board.look(bed.board),
            needs_probe=needs_probe,
            reprogrammed=reprogrammed,
        )


class Leases:
    def __init__(self) -> None:
        self.others: set[str] = set()
        self.used: list[str] = []

    @contextmanager
    def use(
        self, board: str, what: str, wait_s: float = 0.0, hangs: Callable[[], bool] = lambda: False
    ) -> Iterator[Leases]:
        if board in self.others:
            raise BoardBusyError(f"{board} is reserved by somebody", "wait")
        self.used.append(board)
        yield self

    def check(self, step: str) -> None:
        """Never lost here."""


class Bench:
    def __init__(self, folder: Path, *, full: bool = True) -> None:
        self.clock, self.counted, self.leases = Clock(), Counted(), Leases()
        self.boards = {name: Board() for name in ("b1", "b2")}
        self.records = RecoveryFiles(folder)
        self.workers = {name: BoardWorker(name) for name in self.boards}
        self.told: list[tuple[str, Event]] = []
        self.recovery = Recovery(
            {name: self._ward(name, full) for name in self.boards},
            AskedHeartbeat(self.boards),
            self.records,
            self.leases,
            self.clock,
            self.counted,
            LIMITS,
            lambda board, event, patient, found: self.told.append((board, event)),
        )

    def _ward(self, name: str, full: bool) -> Ward:
        board = self.boards[name]
        bed = Bedside(
            name, name, 115_200, f"probe-{name}", None, self.workers[name], BoardWorker(f"{name} ear")
        )

        def reflash() -> str:
            board.do("reflash")
            return "programmed"

        ladder = Ladder(
            bed,
            board,
            board if full else None,
            reflash if full else None,
            lambda timeout_s: True,
            lambda pause_s: None,
        )
        return Ward(bed, ladder)

    def known_alive(self, board: str = "b1") -> None:
        self.recovery.answered(board)

    def watch_until(self, board: str, *states: Condition, recoveries: int = 0) -> Patient:
        """Rounds of the watch, each a second later by the clock."""

        def there() -> bool:
            self.recovery.watch()
            self.clock.now_s += 1.0
            patient = self.recovery.patient(board)
            return patient.state in states and patient.recoveries >= recoveries

        wait_for(f"{states}", there)
        return self.recovery.patient(board)
