"""The one place where the agent's adapters meet its services.

with Agent(bench, Folders(Path(".state"))) as agent:
    agent.start_boards()
    agent.flash("microbit-1", load_parts(...))
    print(agent.run("microbit-1", golden).to_json())
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from tinyfleet.agent.adapters.bench_consoles import BenchConsoles
from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.adapters.emulated_boards import EmulatedBoards, console_address, use_folder
from tinyfleet.agent.adapters.health_door import health_door
from tinyfleet.agent.adapters.lease_files import LeaseFiles
from tinyfleet.agent.adapters.metrics import BenchCollector, metrics_server
from tinyfleet.agent.adapters.mqtt import Publisher
from tinyfleet.agent.adapters.part_files import Parts
from tinyfleet.agent.adapters.probes import PyocdProbes
from tinyfleet.agent.adapters.run_store import RunStore
from tinyfleet.agent.adapters.service_manager import ServiceManager
from tinyfleet.agent.adapters.tally_file import TallyFile
from tinyfleet.agent.bridging import Bridges
from tinyfleet.agent.config import Claim, Folders
from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec
from tinyfleet.agent.core.bench_run import RunResult
from tinyfleet.agent.core.errors import AgentError, NoSuchBoardError, NoSwitchError
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.core.health import Health
from tinyfleet.agent.core.mlperf_run import MlperfResult, Mode
from tinyfleet.agent.core.power.samples import Block, Meter
from tinyfleet.agent.core.recovery import Event, Finding, Limits, Patient
from tinyfleet.agent.core.tally import FLASH_BYTES, FLASH_SECONDS, FLASHES, PROVISIONED, RUNS, Metric
from tinyfleet.agent.flashing import programming
from tinyfleet.agent.leasing import leases_of
from tinyfleet.agent.linking import ManagerLinks
from tinyfleet.agent.looking import host_of
from tinyfleet.agent.metering import check_meter, energy_run, measured, pin_meter
from tinyfleet.agent.recovering import Recovering, log_recovery
from tinyfleet.agent.services.board_work import BoardWork
from tinyfleet.agent.services.flasher import FlashReport, StepProgress
from tinyfleet.agent.services.inventory import BoardStatus, Inventory, boards_with
from tinyfleet.agent.services.leases import BRIEF, Held
from tinyfleet.agent.services.metering import Metering
from tinyfleet.agent.services.mlperf_runner import MlperfRunner, MlperfSet
from tinyfleet.agent.services.power_switch import PowerAction, act
from tinyfleet.agent.services.programming import Telling
from tinyfleet.agent.services.provisioner import Provisioner
from tinyfleet.agent.services.provisioning_job import Job, Outcome, Say
from tinyfleet.agent.services.recovery import HOLDER, Told
from tinyfleet.agent.services.runner import Runner
from tinyfleet.agent.services.steps import PLAN_TIMEOUT_S
from tinyfleet.agent.services.watch import Rounds, Watch
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.agent.switching import switch_of
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Bench

R = TypeVar("R")
LOG = logging.getLogger(__name__)
LIMITS = Limits()


class Agent:
    """A bench. Leaving the context ends what it started. `flash` and `run` may be called for several boards
    from several threads, for one board from one thread at a time."""

    def __init__(
        self, bench: BenchFile, folders: Folders, claim: Claim | None = None, *, limits: Limits = LIMITS
    ) -> None:
        self.bench = bench
        self.folders = folders
        use_folder(folders.boards)
        self._clock = SystemClock()
        self.probes = PyocdProbes()
        self.inventory = Inventory(bench, host_of(self.probes))
        self._emulated = EmulatedBoards()
        self.counting = TallyFile(folders.tally)
        self.consoles = BenchConsoles(
            *(bench.boards, folders.consoles, console_address, SerialConsoles()), self._clock, self.counting
        )
        self._programming = programming(self.probes, self.consoles, folders, self._clock)
        self._runner = Runner(self.consoles, self._clock)
        self._runs = RunStore(folders.runs)
        self._claim = claim or Claim()
        lease = partial(leases_of, bench, LeaseFiles(folders.leases), self.counting, self._clock)
        self.leases = lease(self._claim)
        self._workers = {spec.name: BoardWorker(spec.name) for spec in bench.boards}
        self._bridges = Bridges(
            *(bench, folders, self.probes, self.consoles, self._clock, self.counting, self._workers),
            hold=lambda board, work, brief: self._busy(board, None, work, BRIEF if brief else "rollout"),
            program=lambda board, plan: self._programming.flash(
                self._workers[board], self.spec(board), plan, Telling()
            ),
        )
        self._links = ManagerLinks(bench, self._bridges)
        self._mark_lock = threading.Lock()
        self._told: list[BoardStatus] = []
        self.recovery = Recovering(bench, self.probes, self._emulated, self._programming).recovery(
            *(folders, self._workers, self.consoles),
            lease(Claim(HOLDER)),
            self._clock,
            self.counting,
            limits,
            self._on_recovery,
        )
        self.on_recovery: Told = log_recovery
        self._work = BoardWork(
            *(self.leases, self._workers, self.inventory, self.counting, self.recovery),
            wait_s=self._claim.wait_s,
            lock=self._mark_lock,
            tell=self._tell,
        )

    def spec(self, board: str) -> BoardSpec:
        spec = self.bench.board(board)
        if spec is None:
            raise NoSuchBoardError(
                f"the bench has no board {board!r}", f"it has {', '.join(b.name for b in self.bench.boards)}"
            )
        return spec

    def start_boards(self) -> None:
        """Starts the emulated boards of the bench. Raises EmulatorError; those already started end with the
        agent."""
        for spec in self.bench.boards:
            if spec.emulate is not None and spec.probe is not None:
                self._emulated.start(spec.probe, spec.emulate)
        self.refresh()

    def refresh(self) -> list[BoardStatus]:
        """Asks what is plugged in, and reads what was run last."""
        with self._mark_lock:
            self.inventory.refresh()
            self.inventory.keep_leases(self.leases.all([spec.name for spec in self.bench.boards]))
            for spec in self.bench.boards:
                run = self._runs.last(spec.name)
                if run is not None:
                    self.inventory.keep_run(spec.name, run)
                self.inventory.keep_recovery(spec.name, self.recovery.patient(spec.name))
            return self.inventory.all()

    def flash(
        self,
        board: str,
        parts: Parts,
        progress: StepProgress = lambda step, part: None,
        *,
        on_line: Callable[[str], None] = lambda line: None,
        timeout_s: float = PLAN_TIMEOUT_S,
    ) -> FlashReport:
        """In the way of `parts.plan`. Raises AgentError; see services.programming."""
        spec = self.spec(board)
        telling = Telling(progress=progress, on_line=on_line)
        report = self._busy(
            board,
            FLASHES,
            lambda: self._programming.flash(self._workers[board], spec, parts.plan, telling, timeout_s),
        )
        if report.written:
            self.recovery.programmed(board)
        self.counting.add(FLASHES, board=board, outcome="OK")
        self.counting.add(FLASH_BYTES, report.size_bytes, board=board)
        self.counting.observe(FLASH_SECONDS, report.elapsed_s, device_type=spec.device_type)
        self._bridges.look(board)
        return report

    def run(
        self,
        board: str,
        golden: GoldenSet,
        *,
        kept: Sequence[bytes] = (),
        keep: bool = False,
        model: bytes | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        on_line: Callable[[str], None] = lambda line: None,
        energy: bool = False,
    ) -> RunResult:
        """Runs the set on the board and keeps the result. Raises AgentError; see services.runner."""
        spec = self.spec(board)
        if energy:
            check_meter(spec)

        def work() -> RunResult:
            with contextlib.ExitStack() as measuring:
                return self._runner.run(
                    self._workers[board],
                    board,
                    spec.baud,
                    golden,
                    emulated=self._is_emulated(spec),
                    kept=kept,
                    keep=keep,
                    model=model,
                    progress=progress,
                    on_line=on_line,
                    on_answers=lambda ran, answers: _kept(
                        lambda: self._bridges.count(board, golden, ran, answers)
                    ),
                    energy=measuring.enter_context(energy_run(spec, self._clock, self.counting))
                    if energy
                    else None,
                )

        result = self._busy(board, RUNS, work)
        self.recovery.answered(board)
        self.counting.add(RUNS, board=board, outcome="DIFFERENT" if result.different else "OK")
        _kept(lambda: self._runs.keep(result))
        self.refresh()
        self._tell()
        return result

    def measure(self, board: str, take: Callable[[Block], None], watch: Callable[[Metering], None]) -> Meter:
        """Has the board's meter measure while `watch` lasts. Raises NoMeterError, MeterError."""
        spec = self.spec(board)
        check_meter(spec)
        return self._busy(
            board, None, lambda: measured(spec, take, watch, self._clock, self.counting), "meter"
        )

    def reserve(self, board: str | None, labels: Sequence[str], for_s: float) -> Held:
        """The board, or the first one with all the labels (NAME=VALUE). Raises NoSuchBoardError,
        BoardBusyError."""
        fits = boards_with(self.refresh(), labels) if board is None else [self.spec(board).name]
        return self.leases.reserve(fits, for_s, self._claim.wait_s)

    def mlperf(
        self,
        board: str,
        mode: Mode,
        data: MlperfSet,
        *,
        baud: int | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> MlperfResult:
        """MLPerf Tiny's protocol with whatever firmware the board has. A run whose outputs all are the
        model's is kept as `run`'s are. Raises AgentError; see services.mlperf_runner."""
        spec = self.spec(board)
        meter = pin_meter(spec, self._clock, self.counting) if mode is Mode.ENERGY else None
        runner = MlperfRunner(self.consoles.open_for_mlperf, self._clock)
        result = self._busy(
            board,
            RUNS,
            lambda: runner.run(
                *(self._workers[board], board, baud or spec.baud, mode, data),
                device_type=spec.device_type,
                emulated=self._is_emulated(spec),
                meter=meter,
                progress=progress,
                on_line=on_line,
            ),
        )
        self.counting.add(RUNS, board=board, outcome="DIFFERENT" if result.run.different else "OK")
        if result.run.model and mode is Mode.ACCURACY:
            _kept(lambda: self._runs.keep(result.run))
            self.refresh()
        self._tell()
        return result

    def power(self, board: str, action: PowerAction) -> str:
        """Switches the board's power; answers by what. Raises NoSwitchError, SwitchError."""
        switch = switch_of(self.bench, self.spec(board), self._emulated)
        if switch is None:
            raise NoSwitchError(f"{board} has no power switch", "name its `switch` in bench.yaml")
        self._busy(board, None, lambda: act(switch, action, time.sleep), "power")
        self.refresh()
        self._tell()
        return switch.label

    def provision(self, provisioner: Provisioner, board: str, job: Job, say: Say) -> Outcome:
        """Makes a device of the board. Raises AgentError; see services.provisioner."""
        spec = self.spec(board)
        self.recovery.admit(board)
        try:
            done = self._busy(
                board, None, lambda: provisioner.provision(self._workers[board], spec, job, say), "provision"
            )
        except AgentError:
            self.counting.add(PROVISIONED, outcome="FAILED")
            raise
        self.recovery.programmed(board)
        self.counting.add(PROVISIONED, outcome=done.way.value)
        return done

    def connect(self, credentials: Path | None = None) -> Publisher | None:
        """Tells the manager from now on what is on the bench, and speaks for boards that are devices of the
        fleet; None when neither argument nor bench names the credentials. Raises AgentError."""
        return self._links.start(credentials, self._report)

    def serve(self, stop: threading.Event) -> None:
        """Does what a whole bench needs beside its runs until `stop`; says how it is to whoever asks. Raises
        AgentError when it cannot begin."""
        manager = ServiceManager()
        duties = {
            "emulated boards": self._revive,
            "consoles": self.consoles.serve,
            "inventory": self._look_around,
            "recovery": self.recovery.watch,
        }
        watch = Watch(duties, self._clock, manager.alive)
        with contextlib.ExitStack() as doors:
            if self.bench.metrics is not None:
                collector = BenchCollector(self.statuses, self.counting.read, watch.rounds, self._links)
                doors.enter_context(metrics_server(self.bench.metrics, collector))
            # Last, so that an agent which answers has everything else up.
            doors.enter_context(
                health_door(self.folders.health, lambda: self.health(watch.rounds()).to_json())
            )
            manager.ready()
            watch.run(stop)
            manager.stopping()

    def health(self, rounds: Rounds) -> Health:
        return Health(
            agent=self.bench.agent,
            boards={status.spec.name: status.state for status in self.statuses()},
            round_age_s=rounds.age_s,
            trouble=rounds.trouble,
            connected=self._links.connected(),
            unlinked=self._links.troubles(),
            certificates=self._links.certificates(),
            unix_s=self._clock.unix_s(),
            disk_free_bytes=shutil.disk_usage(self.folders.state).free,
        )

    def statuses(self) -> list[BoardStatus]:
        with self._mark_lock:
            return self.inventory.all()

    def _is_emulated(self, spec: BoardSpec) -> bool:
        return any(probe.emulated for probe in self.probes.all() if probe.unique_id == spec.probe)

    def _revive(self) -> None:
        boards = {spec.probe: spec.name for spec in self.bench.boards}
        for probe, cause in self._emulated.revive().items():
            LOG.warning("%s: %s", boards[probe], cause)
            self.recovery.died(boards[probe], cause)

    def _on_recovery(self, board: str, event: Event, patient: Patient, found: Finding) -> None:
        with self._mark_lock:
            self.inventory.keep_recovery(board, patient)
        self._tell()
        self.on_recovery(board, event, patient, found)

    def _look_around(self) -> None:
        now = self.refresh()
        if now != self._told:
            self._tell()
            self._told = now

    def close(self) -> None:
        """From the last line on upwards; what cannot be ended does not keep the rest from it."""
        with contextlib.ExitStack() as ending:
            ending.callback(self.leases.close)
            ending.callback(self._emulated.stop)
            ending.callback(self.consoles.close)
            for worker in self._workers.values():
                ending.callback(worker.close)
            ending.callback(self._links.stop)
            ending.callback(self._programming.close)
            ending.callback(self.recovery.close)
            ending.callback(self._bridges.stop)

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _busy(self, board: str, counted: Metric | None, work: Callable[[], R], what: str = "work") -> R:
        """See services.board_work."""
        return self._work.on(board, counted, work, what)

    def _tell(self) -> None:
        self._links.tell(self._report)

    def _report(self) -> Bench:
        with self._mark_lock:
            return self.inventory.report(0, ConnState.ONLINE)


def _kept(keep: Callable[[], None]) -> None:
    """What a run found out is not lost because it cannot be kept."""
    try:
        keep()
    except AgentError as error:
        LOG.warning("%s", error)
