"""The one place where the agent's adapters meet its services.

with Agent(bench, Folders(Path(".state"))) as agent:
    agent.start_boards()
    agent.flash("microbit-1", load_parts(...))
    print(agent.run("microbit-1", golden).to_json())
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tinyfleet.agent.adapters.consoles import SerialConsoles
from tinyfleet.agent.adapters.emulated_boards import EmulatedBoards, console_of, use_folder
from tinyfleet.agent.adapters.mqtt import Broker, Publisher, read_credentials
from tinyfleet.agent.adapters.probes import PyocdProbes
from tinyfleet.agent.adapters.run_store import RunStore
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec, parse_bench
from tinyfleet.agent.core.bench_image import bench_image
from tinyfleet.agent.core.bench_run import RunResult
from tinyfleet.agent.core.boards import memory_map
from tinyfleet.agent.core.errors import AgentError, BenchFileError, NoSuchBoardError, PlanError
from tinyfleet.agent.core.flash_plan import FlashPlan, plan_flash
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.core.program import read_program
from tinyfleet.agent.services.flasher import Flasher, FlashReport, StepProgress
from tinyfleet.agent.services.inventory import BoardStatus, Inventory
from tinyfleet.agent.services.runner import Runner
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.records import build_golden

R = TypeVar("R")
LOG = logging.getLogger(__name__)
WATCH_S = 1.0


class SystemClock:
    """`services.ports.Clock`."""

    def monotonic_s(self) -> float:
        return time.monotonic()

    def unix_s(self) -> int:
        return int(time.time())


@dataclass(frozen=True, slots=True)
class Parts:
    """What goes onto a board. `stored`: how many of the golden set's first windows its flash keeps."""

    plan: FlashPlan
    golden: GoldenSet | None
    stored: int
    model: bytes | None
    """Digest of the model's image."""

    @property
    def kept(self) -> tuple[bytes, ...]:
        """The windows that the board's flash keeps."""
        return () if self.golden is None else self.golden.windows[: self.stored]


def read_bench(path: Path) -> BenchFile:
    """Raises BenchFileError."""
    try:
        bench = parse_bench(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise BenchFileError(
            f"cannot read {path}: {error}", "name another with --bench; `tinyfleet bench scan` proposes one"
        ) from error
    if bench.manager is None:
        return bench
    # Named as seen from the file, wherever we were started.
    return bench.model_copy(update={"manager": str(path.parent / bench.manager)})


def load_parts(
    device_type: str, *, firmware: Path | None = None, model: Path | None = None, golden: Path | None = None
) -> Parts:
    """Reads the files and plans the flash. A golden set needs its model. Raises PlanError naming the file."""
    memory = memory_map(device_type)
    app = () if firmware is None else read_program(_read(firmware), firmware.name)
    image = None if model is None else bench_image(_read(model), device_type, model.name)
    windows: GoldenSet | None = None
    region: bytes | None = None
    stored = 0
    if golden is not None:
        if image is None:
            raise PlanError(f"a golden set ({golden}) needs its model", "give the model, too")
        # Here, as numpy and the compiler of the host twin are needed for nothing else.
        from tinyfleet.agent.adapters.golden_file import load_golden

        windows = load_golden(golden, image.payload)
        stored = windows.room_for(memory)
        try:
            region = build_golden(
                b"".join(windows.windows[:stored]), windows.window_bytes, memory["golden"].size_bytes
            )
        except WireError as error:
            raise PlanError(f"{golden}: {error}", "use smaller windows") from error
    plan = plan_flash(memory, app=app, model=None if image is None else image.data, golden=region)
    return Parts(plan, windows, stored, None if image is None else image.digest)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror}", "build it first: `make setup`") from error


class Agent:
    """A bench. Leaving the context ends what it started. `flash` and `run` may be called for several boards
    from several threads, for one board from one thread at a time."""

    def __init__(self, bench: BenchFile, folders: Folders) -> None:
        self.bench = bench
        self.folders = folders
        use_folder(folders.boards)
        clock = SystemClock()
        self.probes = PyocdProbes()
        self.inventory = Inventory(bench, self.probes)
        self._emulated = EmulatedBoards()
        self._flasher = Flasher(self.probes, clock)
        self._runner = Runner(SerialConsoles(), clock)
        self._runs = RunStore(folders.runs)
        self._workers = {spec.name: BoardWorker(spec.name) for spec in bench.boards}
        self._publisher: Publisher | None = None
        self._mark_lock = threading.Lock()

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
            if spec.emulate is not None:
                self._emulated.start(spec.probe, spec.emulate)
        self.refresh()

    def refresh(self) -> list[BoardStatus]:
        """Asks what is plugged in, and reads what was run last."""
        with self._mark_lock:
            self.inventory.refresh()
            for spec in self.bench.boards:
                run = self._runs.last(spec.name)
                if run is not None:
                    self.inventory.keep_run(spec.name, run)
            return self.inventory.all()

    def flash(
        self, board: str, parts: Parts, progress: StepProgress = lambda step, part: None
    ) -> FlashReport:
        """Raises AgentError; see services.flasher."""
        spec = self.spec(board)
        return self._busy(
            board, lambda: self._flasher.flash(self._workers[board], spec.probe, parts.plan, progress)
        )

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
    ) -> RunResult:
        """Runs the set on the board and keeps the result. Raises AgentError; see services.runner."""
        spec = self.spec(board)
        console = spec.console or console_of(spec.probe)
        emulated = any(p.emulated for p in self.probes.all() if p.unique_id == spec.probe)
        result = self._busy(
            board,
            lambda: self._runner.run(
                self._workers[board],
                console,
                spec.baud,
                golden,
                emulated=emulated,
                kept=kept,
                keep=keep,
                model=model,
                progress=progress,
                on_line=on_line,
            ),
        )
        self._runs.keep(result)
        self.refresh()
        self._tell()
        return result

    def connect(self, broker: Broker | None = None) -> Publisher | None:
        """Tells the manager from now on what is on the bench; None when the bench names no manager."""
        if broker is None and self.bench.manager is not None:
            broker = read_credentials(Path(self.bench.manager))
        if broker is not None and self._publisher is None:
            self._publisher = Publisher(broker, self.inventory.report(0, ConnState.ONLINE))
            self._publisher.start()
        return self._publisher

    def serve(self, stop: threading.Event) -> None:
        """Watches the boards until `stop`: starts dead emulated ones again, and tells the manager what
        changed."""
        told: list[BoardStatus] = []
        trouble = ""
        while not stop.is_set():
            try:
                for cause in self._emulated.revive():
                    LOG.warning("started again, held in reset: %s", cause)
                now = self.refresh()
                if now != told:
                    self._tell()
                    told = now
                trouble = ""
            except AgentError as error:
                # One board, or a moment without USB, must not take the others from the manager.
                if str(error) != trouble:
                    LOG.warning("cannot look after the boards, trying again: %s", error)
                trouble = str(error)
            stop.wait(WATCH_S)

    def close(self) -> None:
        if self._publisher is not None:
            self._publisher.stop()
            self._publisher = None
        for worker in self._workers.values():
            worker.close()
        self._emulated.stop()

    def __enter__(self) -> Agent:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _busy(self, board: str, work: Callable[[], R]) -> R:
        self._mark(board, BoardState.BUSY)
        try:
            answer = work()
        except AgentError as error:
            self._mark(board, BoardState.FAILED, str(error))
            raise
        except BaseException:
            self._mark(board, BoardState.UNKNOWN)
            raise
        self._mark(board, BoardState.READY)
        return answer

    def _mark(self, board: str, state: BoardState, detail: str | None = None) -> None:
        with self._mark_lock:
            self.inventory.mark(board, state, detail)
        self._tell()

    def _tell(self) -> None:
        if self._publisher is not None:
            with self._mark_lock:
                report = self.inventory.report(0, ConnState.ONLINE)
            self._publisher.publish(report)
