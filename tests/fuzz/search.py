"""One harness: building it, searching with it, and what came out."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FIRMWARE = ROOT / "firmware"
HARNESSES = FIRMWARE / "tests" / "fuzz"
BUILDS = ROOT / "build" / "firmware"
JOBS = 2
INPUT_BYTES_MAX = 8192
# One input may take this long under sanitizers; more is a finding.
INPUT_SECONDS_MAX = 10
SLOW_SECONDS = 5
MEMORY_MB_MAX = 2048
FINDINGS = ("crash-", "leak-", "timeout-", "oom-", "slow-unit-")
BUILD_TIMEOUT_S = 900


def harnesses() -> dict[str, Path]:
    """Harness by name: fuzz_NAME.c."""
    return {path.stem.removeprefix("fuzz_"): path for path in sorted(HARNESSES.glob("fuzz_*.c"))}


def build(preset: str, target: str) -> None:
    """Configures and builds in build/firmware/PRESET. CalledProcessError, its output printed."""
    dependencies = [
        f"-D{name}={os.environ[name]}"
        for name in ("TINYFLEET_LWIP", "TINYFLEET_BEARSSL")
        if name in os.environ
    ]
    for command in (
        ["cmake", "--preset", preset, *dependencies],
        ["cmake", "--build", "--preset", preset, "--target", target, "--parallel", str(JOBS)],
    ):
        done = subprocess.run(
            command, cwd=FIRMWARE, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
        )
        if done.returncode != 0:
            print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
            done.check_returncode()


@dataclass(frozen=True)
class Summary:
    """Of all processes of one search. edges: of instrumented code, sanitizers' own branches among them."""

    seconds: int
    executions: int
    edges: int
    of_edges: int
    features: int
    corpus: int
    reports: list[str]
    findings: list[Path]

    def line(self) -> str:
        rate = self.executions / max(self.seconds, 1)
        return (
            f"{self.executions:,} executions ({rate:,.0f}/s, {JOBS} processes), {self.edges} of "
            f"{self.of_edges} edges, {self.features} features, {self.corpus} inputs in the corpus"
        )


@dataclass(frozen=True)
class Search:
    name: str

    @property
    def folder(self) -> Path:
        return ROOT / "build" / "fuzz" / self.name

    @property
    def corpus(self) -> Path:
        """Where inputs of all searches collect; may be deleted at any time."""
        return self.folder / "corpus"

    @property
    def kept(self) -> list[Path]:
        """Folders with inputs of the repository."""
        folders = [HARNESSES / "corpus" / self.name, HARNESSES / "corpus" / self.name / "found"]
        return [folder for folder in folders if folder.is_dir()]

    @property
    def program(self) -> Path:
        return BUILDS / "fuzz" / "tests" / "fuzz" / f"fuzz_{self.name}"

    def run(self, seconds: int) -> Summary:
        self.corpus.mkdir(parents=True, exist_ok=True)
        for old in (*self.folder.glob("*.log"), *self._findings()):
            old.unlink()
        options = [
            *(f"-max_total_time={seconds}", "-print_final_stats=1", f"-max_len={INPUT_BYTES_MAX}"),
            *(f"-timeout={INPUT_SECONDS_MAX}", f"-report_slow_units={SLOW_SECONDS}"),
            *(f"-rss_limit_mb={MEMORY_MB_MAX}", f"-artifact_prefix={self.folder}/"),
        ]
        logs = [self.folder / f"{job}.log" for job in range(JOBS)]
        with contextlib.ExitStack() as stack:
            jobs = [
                subprocess.Popen(
                    [self.program, *options, self.corpus, *self.kept],
                    stdout=stack.enter_context(log.open("wb")),
                    stderr=subprocess.STDOUT,
                )
                for log in logs
            ]
            try:
                for job in jobs:
                    job.wait(seconds + 120)
            finally:
                for job in jobs:
                    if job.poll() is None:
                        job.kill()
                        job.wait()
        return self._summary(seconds, [log.read_text(errors="replace") for log in logs])

    def keep(self) -> int:
        """Adds to the repository's inputs those that reach an edge which none of them reaches; how many."""
        found = HARNESSES / "corpus" / self.name / "found"
        found.mkdir(parents=True, exist_ok=True)
        before = len(list(found.iterdir()))
        with tempfile.TemporaryDirectory(dir=self.folder) as scratch:
            # Merging works on one folder: that of all kept inputs, then what is new in it is copied back.
            known = {path.name for folder in self.kept for path in folder.iterdir() if path.is_file()}
            for folder in self.kept:
                for path in folder.iterdir():
                    if path.is_file():
                        shutil.copy(path, scratch)
            command = [self.program, "-merge=1", "-use_counters=0", f"-max_len={INPUT_BYTES_MAX}"]
            subprocess.run(
                [*command, scratch, self.corpus], check=True, capture_output=True, timeout=BUILD_TIMEOUT_S
            )
            for path in Path(scratch).iterdir():
                if path.name not in known:
                    shutil.copy(path, found / path.name)
        return len(list(found.iterdir())) - before

    def _findings(self) -> list[Path]:
        return sorted(path for kind in FINDINGS for path in self.folder.glob(f"{kind}*"))

    def _summary(self, seconds: int, logs: list[str]) -> Summary:
        def numbers(pattern: str) -> list[int]:
            return [int((re.findall(pattern, log) or ["0"])[-1]) for log in logs]

        return Summary(
            seconds=seconds,
            executions=sum(numbers(r"stat::number_of_executed_units:\s+(\d+)")),
            edges=max(numbers(r"cov: (\d+)")),
            of_edges=max(numbers(r"Loaded 1 modules\s+\((\d+)")),
            features=max(numbers(r"ft: (\d+)")),
            corpus=len(list(self.corpus.iterdir())),
            reports=[line for log in logs for line in log.splitlines() if line.startswith("fuzz: ")],
            findings=self._findings(),
        )


def covered_lines(search: Search) -> tuple[int, int, dict[str, tuple[int, int]]]:
    """(lines reached, lines there are, files with some missed), by replaying all inputs under gcov."""
    folder = BUILDS / "coverage"
    for old in folder.rglob("*.gcda"):
        old.unlink()
    build("coverage", f"replay_{search.name}")
    replay = folder / "tests" / "fuzz" / f"replay_{search.name}"
    subprocess.run([replay, *search.kept, search.corpus], check=True, capture_output=True, timeout=600)
    files: dict[str, tuple[int, int]] = {}
    notes = [str(path) for path in folder.rglob("*.gcda") if "tests" not in path.relative_to(folder).parts]
    with tempfile.TemporaryDirectory() as scratch:
        done = subprocess.run(
            ["gcov", "--relative-only", "--source-prefix", str(FIRMWARE), *notes],
            cwd=scratch, capture_output=True, text=True, check=True, timeout=120,
        )  # fmt: skip
    for name, share, of in re.findall(r"File '([^']+)'\nLines executed:([\d.]+)% of (\d+)", done.stdout):
        # A header counts once, as the file that reaches most of it.
        reached = round(float(share) * int(of) / 100)
        files[name] = max(files.get(name, (0, int(of))), (reached, int(of)))
    missed = {name: counts for name, counts in sorted(files.items()) if counts[0] < counts[1]}
    return sum(c[0] for c in files.values()), sum(c[1] for c in files.values()), missed
