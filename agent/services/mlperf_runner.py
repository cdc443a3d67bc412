"""Runs MLPerf Tiny's three modes on a board, whoever wrote its firmware."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from tinyfleet.agent.core.bench_run import Difference, RunResult
from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.mlperf_run import (
    BENCHMARKS,
    WARMUPS,
    WINDOWS,
    MlperfResult,
    Mode,
    Sample,
    Window,
    area_under_curve,
    inferences_for,
    objections,
    top_of,
)
from tinyfleet.agent.services.mlperf_client import (
    LOAD_ATTEMPTS,
    SETTLE_S,
    START_ATTEMPTS,
    Identity,
    Inferred,
    MlperfClient,
)
from tinyfleet.agent.services.ports import Clock, Console
from tinyfleet.agent.services.steps import Steps
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.enums import Timing

OPEN_TIMEOUT_S: Final = 10.0
INFER_TIMEOUT_S: Final = 60.0
"""Of an inference of unknown length."""
CALIBRATION_US: Final = 200_000
SHORT_WINDOWS_MAX: Final = 3
EDGES_TIMEOUT_S: Final = 5.0
_MARGIN_S: Final = 10.0
_BITS_A_BYTE: Final = 10
_DIFFERENCES_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class EdgeWindow:
    """Between two falling edges of the board's pin, as a meter saw them; `lost`: its samples that were."""

    duration_us: float
    energy_uj: float
    lost: int = 0


class WindowMeter(Protocol):
    """A power meter with an eye on the board's window pin. Its calls raise AgentError. `label`: its name and
    serial number, once it was started; `calibration`: as it tells it."""

    label: str
    calibration: str

    def start(self) -> None: ...

    def arm(self) -> None:
        """What fell until now is no window's."""

    def window(self, timeout_s: float) -> EdgeWindow:
        """Between the two edges since then, waiting at most that long for them."""

    def stop(self) -> None: ...


class Expected(Protocol):
    """What a model should say, where it is known: the host twin's answers."""

    def output(self, benchmark: str, results: Sequence[float]) -> bytes | None:
        """The output whose values print as these; None where printing left too little of them."""

    def of(self, index: int) -> bytes:
        """Of the inputs' `index`-th."""


@dataclass(frozen=True, slots=True)
class MlperfSet:
    """`inputs_for` makes the samples as a benchmark's firmware wants them. `golden` is the set's digest,
    `model` the digest of the image whose answers `expected` knows: MLPerf's protocol has none, so it is
    believed only where all outputs are its."""

    inputs_for: Callable[[str], Sequence[Sample]]
    labelled: bool
    golden: bytes
    expected: Expected | None = None
    model: bytes = b""
    version: str = ""


@dataclass(slots=True)
class _Gathered:
    """What a run's inferences gave."""

    durations_us: list[float]
    results: list[tuple[float, ...]]
    windows: list[Window]


class MlperfRunner:
    def __init__(self, open_console: Callable[[str, int], Console], clock: Clock) -> None:
        self._open = open_console
        self._clock = clock

    def run(
        self,
        worker: BoardWorker,
        console: str,
        baud: int,
        mode: Mode,
        data: MlperfSet,
        *,
        device_type: str,
        emulated: bool,
        meter: WindowMeter | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        on_line: Callable[[str], None] = lambda line: None,
    ) -> MlperfResult:
        """Raises AgentError: StepFailed (StepTimeout, ConsoleError), PlanError, NoSuchBoardError,
        BoardBusyError."""
        if (mode is Mode.ENERGY) != (meter is not None):
            raise PlanError("energy mode needs a meter, and no other mode has one", "name it in bench.yaml")
        port = worker.call("open console", OPEN_TIMEOUT_S, self._open, console, baud)
        client = MlperfClient(
            worker.board, port, self._clock, baud, energy=mode is Mode.ENERGY, on_line=on_line
        )
        session = _Session(worker, client, self._clock, baud, progress)
        steps, begun_s = Steps(worker, self._clock), self._clock.monotonic_s()
        with contextlib.ExitStack() as ending:
            ending.enter_context(steps.finishing("close console", client.close))
            if meter is not None:
                ending.enter_context(steps.finishing("stop meter", meter.stop))
                # Before the first word: it may feed the board.
                worker.call("start meter", OPEN_TIMEOUT_S, meter.start)
            identity = session.start()
            samples = data.inputs_for(identity.model)
            if not samples or not samples[0].inputs:
                raise PlanError("the set has no samples", "give another with --data or --golden")
            if mode is Mode.ACCURACY:
                gathered = session.accuracy(samples)
            else:
                known = BENCHMARKS.get(identity.model)
                gathered = session.windows(samples, WARMUPS if known is None else known.warmups, meter)
        judged = _Judge(worker.board, device_type, emulated, data, identity, samples)
        elapsed_s = self._clock.monotonic_s() - begun_s
        return judged.result(mode, gathered, meter, elapsed_s, self._clock.unix_s())


class _Session:
    def __init__(
        self,
        worker: BoardWorker,
        client: MlperfClient,
        clock: Clock,
        baud: int,
        progress: Callable[[int, int], None],
    ) -> None:
        self._worker = worker
        self._client = client
        self._clock = clock
        self._baud = baud
        self._progress = progress

    def start(self) -> Identity:
        timeout_s = START_ATTEMPTS * SETTLE_S + _MARGIN_S
        return self._worker.call("name", timeout_s, self._client.start)

    def accuracy(self, samples: Sequence[Sample]) -> _Gathered:
        """Every input once, alone."""
        gathered = _Gathered([], [], [])
        total = sum(len(sample.inputs) for sample in samples)
        for sample in samples:
            for data in sample.inputs:
                self._load(data)
                done = self._infer(1, 0, INFER_TIMEOUT_S)
                gathered.durations_us.append(_known(done))
                gathered.results.append(done.results)
                self._progress(len(gathered.results), total)
        return gathered

    def windows(self, samples: Sequence[Sample], warmups: int, meter: WindowMeter | None) -> _Gathered:
        """The rules' windows, each with the next sample's first input."""
        gathered = _Gathered([], [], [])
        self._load(samples[0].inputs[0])
        each_us, host_s = self._calibrate(warmups, meter)
        count = inferences_for(each_us)
        for number in range(WINDOWS):
            self._load(samples[number % len(samples)].inputs[0])
            for _ in range(SHORT_WINDOWS_MAX):
                window, done = self._window(count, warmups, host_s, meter)
                if window.duration_us >= 1e7:
                    break
                # Every window of a run has as many: those before were long enough with fewer.
                count = max(count + 1, inferences_for(window.duration_us / count))
            gathered.windows.append(window)
            gathered.durations_us.append(window.duration_us / window.inferences)
            gathered.results.append(done.results)
            self._progress(number + 1, WINDOWS)
        return gathered

    def _calibrate(self, warmups: int, meter: WindowMeter | None) -> tuple[float, float]:
        """How long an inference takes: microseconds by the board, seconds of this host's."""
        count = 1
        while True:
            begun_s = self._clock.monotonic_s()
            window, _ = self._window(count, warmups, INFER_TIMEOUT_S / (count + warmups), meter)
            host_s = (self._clock.monotonic_s() - begun_s) / (count + warmups)
            if window.duration_us >= CALIBRATION_US or count >= 10_000:
                return window.duration_us / count, host_s
            count *= 10

    def _window(
        self, count: int, warmups: int, host_s: float, meter: WindowMeter | None
    ) -> tuple[Window, Inferred]:
        timeout_s = INFER_TIMEOUT_S + 3 * (count + warmups) * host_s
        if meter is not None:
            meter.arm()
        done = self._infer(count, warmups, timeout_s)
        if meter is None:
            return Window(count, _known(done)), done
        seen = self._worker.call("window edges", EDGES_TIMEOUT_S + _MARGIN_S, meter.window, EDGES_TIMEOUT_S)
        return Window(count, seen.duration_us, seen.energy_uj, seen.lost), done

    def _load(self, data: bytes) -> None:
        # A command takes two digits a byte and ten more characters for 26 bytes, its answer nine.
        line_s = 4 * len(data) * _BITS_A_BYTE / self._baud
        timeout_s = LOAD_ATTEMPTS * (2 * line_s + _MARGIN_S) + 60.0
        self._worker.call("db load", timeout_s, self._client.load, data)

    def _infer(self, count: int, warmups: int, timeout_s: float) -> Inferred:
        return self._worker.call(
            "infer", timeout_s + _MARGIN_S, self._client.infer, count, warmups, timeout_s
        )


def _known(done: Inferred) -> float:
    """RuntimeError in energy mode, whose times the meter tells."""
    if done.duration_us is None:
        raise RuntimeError("an inference without its time")
    return float(done.duration_us)


@dataclass(frozen=True, slots=True)
class _Judge:
    board: str
    device_type: str
    emulated: bool
    data: MlperfSet
    identity: Identity
    samples: Sequence[Sample]

    def result(
        self, mode: Mode, gathered: _Gathered, meter: WindowMeter | None, elapsed_s: float, finished: int
    ) -> MlperfResult:
        windows = tuple(gathered.windows)
        accuracy = mode is Mode.ACCURACY
        by_auc = self.identity.model in BENCHMARKS and BENCHMARKS[self.identity.model].by_auc
        auc = self._auc(gathered) if accuracy and by_auc else None
        run = self._record(gathered, accuracy and not by_auc, elapsed_s, finished)
        quality = auc if by_auc else run.accuracy
        against = objections(mode, self.identity.model, windows, quality, emulated=self.emulated)
        return MlperfResult(
            mode=mode,
            name=self.identity.name,
            profile=self.identity.profile,
            benchmark=self.identity.model,
            run=run,
            windows=windows,
            auc=auc,
            meter=None if meter is None else meter.label,
            calibration=None if meter is None else meter.calibration,
            objections=against,
        )

    def _auc(self, gathered: _Gathered) -> float | None:
        """A file's score is the mean of its windows' errors."""
        scores, at = [], 0
        for sample in self.samples:
            end = at + len(sample.inputs)
            scores.append(statistics.fmean(results[0] for results in gathered.results[at:end]))
            at = end
        return area_under_curve(scores, [sample.label for sample in self.samples])

    def _record(self, gathered: _Gathered, judges: bool, elapsed_s: float, finished: int) -> RunResult:
        labels = [sample.label for sample in self.samples for _ in sample.inputs] if judges else []
        if not self.data.labelled:
            labels = []
        pairs = zip(labels, gathered.results, strict=False)
        correct = sum(top_of(results) == label for label, results in pairs)
        compared, differences = self._compared(gathered)
        exact = compared == len(gathered.results) and not differences
        return RunResult(
            board=self.board,
            device_type=self.device_type,
            emulated=self.emulated,
            timing=Timing.INSTRUCTIONS if self.emulated else Timing.WALL,
            model=self.data.model if exact else b"",
            version=self.data.version if exact else "",
            golden=self.data.golden,
            windows=len(gathered.results),
            stored=0,
            labelled=len(labels),
            correct=correct,
            compared=compared,
            different=len(differences),
            differences=tuple(differences[:_DIFFERENCES_SHOWN]),
            latency_median_us=round(statistics.median(gathered.durations_us)),
            latency_min_us=round(min(gathered.durations_us)),
            latency_max_us=round(max(gathered.durations_us)),
            elapsed_s=elapsed_s,
            finished=finished,
        )

    def _compared(self, gathered: _Gathered) -> tuple[int, list[Difference]]:
        expected = self.data.expected
        if expected is None:
            return 0, []
        compared, differences = 0, []
        firsts = [0]
        for sample in self.samples:
            firsts.append(firsts[-1] + len(sample.inputs))
        for index, results in enumerate(gathered.results):
            # Windows of performance take each sample's first input.
            at = firsts[index % len(self.samples)] if gathered.windows else index
            output = expected.output(self.identity.model, results)
            if output is None:
                continue
            compared += 1
            if output != expected.of(at):
                differences.append(Difference(at, expected.of(at), output))
        return compared, differences
