"""`make soak`, the bench: a day of a lab in minutes, in which everything breaks that can be broken here.

Three emulated boards, an agent that watches over them in this process, and runs both in it and by
`tinyfleet bench run` as a program of its own. Each emulated hour one board, and sometimes the whole host, is
sabotaged. No run may hang; every board ends alive, or in quarantine with a reason; nothing leaks.

The power meter of the first board is a *simulated* PPK2 on a terminal. The disk is "full" by RLIMIT_FSIZE = 0
on this process and what it starts meanwhile, which any user may set: each write to a file fails with EFBIG.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import psutil
from pyocd_qemu import registry

from tests.integration.agent.bench_rig import BENCH_ELF, GOLDEN
from tests.models import livestock
from tests.soak_faults import Cable, Sabotage
from tinyfleet.agent import metering
from tinyfleet.agent.adapters.part_files import load_parts
from tinyfleet.agent.config import Claim, Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import AgentError, QuarantinedError
from tinyfleet.agent.core.recovery import Condition, Limits
from tinyfleet.agent.main import Agent

HOURS = 24
RUN_LIMIT_S = 90.0
"""A run that takes longer hangs: its own time-outs are all shorter, and this machine may be busy."""
SETTLE_S = 180.0
CALM_S = 8.0
BOARDS = ("full", "bare", "frail")
SETTLED = (Condition.ALIVE, Condition.QUARANTINED)


def bench_yaml(folder: Path) -> str:
    """`full` has all there is; `bare` has no switch; `frail` has no known-good firmware, so that some of what
    is done to it ends in quarantine."""
    good = f"{{firmware: {BENCH_ELF}, model: {folder / 'v1.model'}}}"
    return f"""\
agent: soak
boards:
  - {{name: full, device_type: microbit, probe: qemu-microbit-0001, emulate: microbit,
     switch: {{kind: emulated}}, known_good: {good}, meter: {{kind: simulated}}}}
  - {{name: bare, device_type: microbit, probe: qemu-microbit-0002, emulate: microbit, known_good: {good}}}
  - {{name: frail, device_type: microbit, probe: qemu-microbit-0003, emulate: microbit,
     switch: {{kind: emulated}}}}
"""


@dataclass(frozen=True, slots=True)
class Sample:
    """This process when nothing is under way. `rss_kb` without its children's."""

    hour: int
    fds: int
    threads: int
    children: int
    rss_kb: int


class BenchSoak:
    def __init__(self, folder: Path, seed: int, duration_s: float, hours: int = HOURS) -> None:
        self._folder = folder
        self._random = random.Random(seed)  # noqa: S311 - a seed that is told makes a run repeatable
        self._hours = hours
        self._hour_s = duration_s / hours
        self.runs: Counter[str] = Counter()
        self.longest_s = 0.0
        self.samples: list[Sample] = []
        self._count_lock = threading.Lock()
        self._wrong: list[str] = []
        self._stack = contextlib.ExitStack()
        (folder / "v1.model").write_bytes(livestock("v1", vectors=4))
        (folder / "bench.yaml").write_text(bench_yaml(folder))
        self._environment = os.environ | {registry.ROOT_VARIABLE: str(folder / "boards")}
        self._parts = load_parts("microbit", firmware=BENCH_ELF, model=folder / "v1.model", golden=GOLDEN)
        # The ladder's pauses are scaled down with the hours, but not its time-outs: boards do not get faster.
        limits = Limits(failures=3, window_s=duration_s, pause_first_s=2.0, pause_max_s=8.0, beat_every_s=3.0)
        cable = Cable()
        self._stack.enter_context(mock.patch.object(metering, "open_meter", cable.open))
        os.environ[registry.ROOT_VARIABLE] = str(folder / "boards")
        bench = parse_bench((folder / "bench.yaml").read_text(), "bench.yaml")
        self.agent = Agent(bench, Folders(folder / "state"), Claim("soak", wait_s=30.0), limits=limits)
        self.sabotage = Sabotage(self.agent, BOARDS, cable, self._random)

    def __enter__(self) -> BenchSoak:
        self._stack.enter_context(self.agent)
        self.agent.start_boards()
        for board in BOARDS:
            self._program(board)
        golden = self._parts.golden
        assert golden is not None
        # Once, what a day loads when it is first needed: samples of a meter, arrays.
        self.agent.run("full", golden.first(10), kept=self._parts.kept, energy=True)
        stop = threading.Event()
        watch = threading.Thread(target=self.agent.serve, args=(stop,), name="watch")
        watch.start()
        self._stack.callback(watch.join, 60)
        self._stack.callback(stop.set)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def hours(self) -> Iterator[int]:
        """One emulated hour after the other; AssertionError at what must not happen."""
        for hour in range(self._hours):
            end_s = time.monotonic() + self._hour_s
            workers = [threading.Thread(target=self._run, args=(board,)) for board in BOARDS]
            for worker in workers:
                worker.start()
            self.sabotage.act()
            for board, worker in zip(BOARDS, workers, strict=True):
                worker.join(RUN_LIMIT_S)
                assert not worker.is_alive(), f"hour {hour}: the run on {board} hangs"
            assert not self._wrong, self._wrong[0]
            if hour % 6 == 5:
                self._rounds_of_the_person()
            self._calm(hour)
            time.sleep(max(0.0, end_s - time.monotonic()))
            yield hour

    def settled(self) -> dict[str, str]:
        """How every board ended, once none is between. AssertionError when one stays there."""
        end_s = time.monotonic() + SETTLE_S
        while time.monotonic() < end_s:
            patients = {board: self.agent.recovery.patient(board) for board in BOARDS}
            if all(patient.state in SETTLED for patient in patients.values()):
                break
            time.sleep(0.5)
        for board, patient in patients.items():
            assert patient.state in SETTLED, f"{board} ended {patient}"
            assert patient.state is Condition.ALIVE or patient.reason, f"{board}: quarantine without a reason"
        return {
            board: f"{patient.state.name}, brought back {patient.recoveries} times"
            + (f": {patient.reason}" if patient.state is Condition.QUARANTINED else "")
            for board, patient in patients.items()
        }

    def last_sample(self, hour: int) -> str:
        """The hour's sample in words, if there was a moment for one."""
        if not self.samples or self.samples[-1].hour != hour:
            return ""
        sample = self.samples[-1]
        return f" ({sample.fds} fds, {sample.threads} threads, {sample.rss_kb // 1024} MB)"

    # Runs.

    def _run(self, board: str) -> None:
        begun_s = time.monotonic()
        try:
            outcome = self._run_here(board) if board == "full" else self._run_there(board)
        except QuarantinedError:
            outcome = "refused: quarantine"
        except AgentError:
            outcome = "failed"
        except Exception as error:
            # Told in the thread that judges.
            self._wrong.append(f"the run on {board}: {error!r}")
            outcome = "wrong"
        took_s = time.monotonic() - begun_s
        with self._count_lock:
            self.runs[outcome] += 1
            self.longest_s = max(self.longest_s, took_s)

    def _run_here(self, board: str) -> str:
        golden = self._parts.golden
        assert golden is not None
        kept, model = self._parts.kept, self._parts.model
        energy = self._random.random() < 0.5
        result = self.agent.run(board, golden.first(40), kept=kept, model=model, energy=energy)
        assert result.different == 0
        if energy:
            return "passed" if result.energy is not None else "passed, energy absent and said why"
        return "passed"

    def _run_there(self, board: str) -> str:
        files = ("--model", str(self._folder / "v1.model"), "--golden", str(GOLDEN))
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tinyfleet", "bench", "run", board, *files, "--windows", "40"),
                *("--as", "soak", "--wait", "30s", "--state", str(self._folder / "state")),
            ],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        if done.returncode == 0:
            return "passed"
        last = done.stderr.strip().rpartition("\n")[2]
        assert done.returncode == 1 and last.startswith("tinyfleet: "), (done.returncode, done.stderr)
        return "refused: quarantine" if "is in quarantine" in done.stderr else "failed"

    # What people do.

    def _program(self, board: str) -> None:
        self.agent.flash(board, self._parts)
        self.agent.recovery.recover(board, self.agent.leases)

    def _rounds_of_the_person(self) -> None:
        """Four times a day somebody looks after what is in quarantine, and programs it anew."""
        for board in BOARDS:
            if self.agent.recovery.patient(board).state is Condition.QUARANTINED:
                self.agent.recovery.pardon(board)
                with contextlib.suppress(AgentError):
                    self._program(board)

    # What is left behind.

    def _calm(self, hour: int) -> None:
        """A sample, if nobody is being brought back within a few seconds."""
        end_s = time.monotonic() + CALM_S
        while any(thread.name.startswith("recovery-") for thread in threading.enumerate()):
            if time.monotonic() > end_s:
                return
            time.sleep(0.2)
        gc.collect()
        me = psutil.Process()
        with me.oneshot():
            self.samples.append(
                Sample(
                    hour,
                    me.num_fds(),
                    me.num_threads(),
                    len(me.children(recursive=True)),
                    me.memory_info().rss // 1024,
                )
            )


LIMITS = {"fds": 4.0, "threads": 2.0, "children": 1.0, "rss_kb": 16_000.0}
"""How much more the last quarter's median may be than the first one's."""


def leaks(samples: list[Sample], hours: int) -> tuple[list[str], list[str]]:
    """Lines to print, and what grew too much: medians of the first quarter of the day against the last. The
    first two hours are left out, in which modules are still being loaded."""
    quarter = hours // 4
    first = [s for s in samples if 2 <= s.hour < quarter + 2]
    last = [s for s in samples if s.hour >= hours - quarter]
    assert first and last, f"too few samples: {samples}"
    lines, grown = [f"samples: {len(first)} in the first quarter, {len(last)} in the last"], []
    for name, limit in LIMITS.items():
        before = statistics.median(getattr(s, name) for s in first)
        after = statistics.median(getattr(s, name) for s in last)
        lines.append(f"{name}: {before:g} -> {after:g}")
        if after - before > limit:
            grown.append(f"{name} grew from {before:g} to {after:g}")
    return lines, grown


def soak(folder: Path, seed: int, duration_s: float, say: Callable[[str], None]) -> None:
    """A whole day. AssertionError at what must not happen."""
    state = folder / "state"
    with BenchSoak(folder, seed, duration_s) as bench:
        for hour in bench.hours():
            conditions = " ".join(f"{b}={bench.agent.recovery.patient(b).state.name}" for b in BOARDS)
            say(f"{hour + 1:2d} h: {conditions}{bench.last_sample(hour)}")
        ends = bench.settled()
        lines, grown = leaks(bench.samples, HOURS)
        rungs = {
            board: Counter(
                e["from"] for e in bench.agent.recovery.history(board, 10_000) if e["event"] == "BEAT"
            )
            for board in BOARDS
        }
    left = [child.name() for child in psutil.Process().children(recursive=True)]
    say(f"runs: {dict(bench.runs)}, the longest {bench.longest_s:.1f} s")
    say(f"sabotage: {dict(bench.sabotage.faults)}")
    for board, end in ends.items():
        say(f"{board}: {end}; came back from {rungs[board]}")
    for line in lines:
        say(line)
    say(f"state folder: {sum(f.stat().st_size for f in state.rglob('*') if f.is_file()) // 1024} KB")
    assert not grown, grown
    assert not left, f"processes left behind: {left}"
    assert bench.runs["passed"] > HOURS, bench.runs


def _came_back_from(agent: Agent, board: str) -> dict[str, int]:
    history = agent.recovery.history(board, 10_000)
    return dict(Counter(event["from"] for event in history if event["event"] == "BEAT"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long 24 hours take (2: for trying)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(f"seed {options.seed}: 24 h in {options.minutes:g} min, an hour is {options.minutes * 2.5:g} s,")
    print(f"each with {len(BOARDS)} runs and one sabotage; boards emulated, the meter simulated")
    folder = Path(tempfile.mkdtemp(prefix="tinyfleet-soak-"))
    try:
        soak(folder, options.seed, options.minutes * 60.0, lambda line: print(line, flush=True))
    except AssertionError as error:
        print(f"seed {options.seed}: {error}\nwhat is left of it: {folder}")
        return 1
    shutil.rmtree(folder)
    print(f"seed {options.seed}: no run hung, every board ended alive or in quarantine, nothing leaked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
