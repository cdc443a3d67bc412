"""Programming emulated boards: the agent against `pyocd flash`, and six boards at once against one after
another.

A board's flash algorithm runs on an emulated core and its waits are this host's, so that these are figures of
the host's work, not of a chip. Each image is random, so that all of its sectors differ from the one before.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import psutil
from pyocd_qemu import registry
from pyocd_qemu.process import PID_NAME

from tests.bench.report import Figure, publish
from tinyfleet.agent.adapters.part_files import Parts
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.flash_plan import plan_flash
from tinyfleet.agent.core.program import Segment
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services.flasher import FlashReport
from tinyfleet.agent.services.programming import flash_all
from tinyfleet.wire.memory_map import KIB, MICROBIT

SIZE_BYTES, APP_BYTES = 100 * KIB, 64 * KIB
BOARDS = [f"qemu-microbit-{number:04d}" for number in range(1, 7)]
ROUNDS = 5
PAIRS = 7
CLI_TIMEOUT_S = 120
WHOLE_BAR_S, SAME_BAR_S, CLI_BAR, MANY_BAR = 0.4, 0.2, 4.0, 0.65
_rng = np.random.default_rng(1)


def image() -> bytes:
    """Without a vector table, so that no board runs what is random."""
    return b"\xff" * 8 + _rng.bytes(SIZE_BYTES - 8)


def parts(data: bytes) -> Parts:
    """All of the app's region and the beginning of the model's, which lies behind it."""
    app = [Segment(MICROBIT.base, data[:APP_BYTES])]
    return Parts(plan_flash(MICROBIT, app=app, model=data[APP_BYTES:]), None, 0, None)


@contextmanager
def bench() -> Iterator[Agent]:
    rows = "".join(
        f"  - {{name: {name}, device_type: microbit, probe: {name}, emulate: microbit}}\n" for name in BOARDS
    )
    before = os.environ.get(registry.ROOT_VARIABLE)
    with tempfile.TemporaryDirectory() as folder:
        os.environ[registry.ROOT_VARIABLE] = str(Path(folder) / "boards")
        try:
            with Agent(parse_bench(f"boards:\n{rows}", "bench"), Folders(Path(folder))) as agent:
                agent.start_boards()
                yield agent
        finally:
            if before is None:
                del os.environ[registry.ROOT_VARIABLE]
            else:
                os.environ[registry.ROOT_VARIABLE] = before


def seconds(work: Callable[[], object]) -> float:
    from_s = time.monotonic()
    work()
    return time.monotonic() - from_s


def by_cli(board: str, data: bytes, folder: Path) -> float:
    path = folder / "image.bin"
    path.write_bytes(data)
    command = [str(Path(sys.executable).with_name("pyocd")), "flash", "-W", "-u", board, str(path)]
    return seconds(lambda: subprocess.run(command, check=True, capture_output=True, timeout=CLI_TIMEOUT_S))


def emulators_cpu_s() -> float:
    """Of all boards' QEMU until now."""
    total = 0.0
    for board in BOARDS:
        times = psutil.Process(int((registry.root() / board / PID_NAME).read_text())).cpu_times()
        total += times.user + times.system
    return total


def one_board(agent: Agent) -> list[Figure]:
    board = BOARDS[0]
    agent.flash(board, parts(image()))  # what is read and compiled once
    whole, same, cli = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            wanted = parts(image())
            whole.append(seconds(partial(agent.flash, board, wanted)))
            same.append(seconds(partial(agent.flash, board, wanted)))
            cli.append(by_cli(board, image(), Path(folder)))
    # The best of each: whatever else this host did only made it longer.
    ours, unchanged, theirs = map(min, (whole, same, cli))
    what = f"microbit, 100 KB, best of {ROUNDS}"
    return [
        Figure(f"{what}: all of it", ours, "s", bar=f"<= {WHOLE_BAR_S} s", ok=ours <= WHOLE_BAR_S),
        Figure(
            *(f"{what}: all of it", ours, "s", f"pyocd flash, a program: {theirs:.2f} s", theirs / ours),
            *(f">= {CLI_BAR:g} x faster", theirs >= CLI_BAR * ours),
        ),
        Figure(
            *(f"{what}: nothing changed", unchanged, "s", None, None),
            *(f"<= {SAME_BAR_S} s", unchanged <= SAME_BAR_S),
        ),
    ]


def six_boards(agent: Agent) -> list[Figure]:
    serial, at_once, agent_cpu, emulator_cpu = [], [], [], []

    def work() -> dict[str, Callable[[], FlashReport]]:
        return {board: partial(agent.flash, board, parts(image())) for board in BOARDS}

    def check(done: dict[str, object]) -> None:
        failed = [result for result in done.values() if not isinstance(result, FlashReport)]
        if failed:
            raise RuntimeError(f"a board failed: {failed[0]}")

    for _ in range(PAIRS):
        # Turn about, so that both see what else this host does.
        planned = work()
        serial.append(seconds(lambda todo=planned: check(dict(flash_all(todo, at_once=1)))))
        planned = work()
        cpu_s, emulators_s = time.process_time(), emulators_cpu_s()
        at_once.append(seconds(lambda todo=planned: check(dict(flash_all(todo)))))
        agent_cpu.append((time.process_time() - cpu_s) / len(BOARDS))
        emulator_cpu.append((emulators_cpu_s() - emulators_s) / len(BOARDS))
    one_by_one, together = statistics.median(serial), statistics.median(at_once)
    ratio = statistics.median(b / a for a, b in zip(serial, at_once, strict=True))
    return [
        Figure(
            *("6 microbits at once, 100 KB each", together, "s", f"one after another: {one_by_one:.2f} s"),
            *(ratio, f"<= {MANY_BAR} x", ratio <= MANY_BAR),
        ),
        Figure("  CPU of the agent, a board", statistics.median(agent_cpu), "s"),
        Figure("  CPU of QEMU, a board", statistics.median(emulator_cpu), "s"),
    ]


def figures() -> list[Figure]:
    with bench() as agent:
        return [*one_board(agent), *six_boards(agent)]


def main() -> int:
    publish("agent_flash", "Programming emulated boards (two cores of this host)", figures())
    return 0


if __name__ == "__main__":
    sys.exit(main())
