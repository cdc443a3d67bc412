"""The demo as a command: one at a time a folder, ended by Ctrl-C, its failures one line on standard error."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from examples.demo.bench import BOARD
from examples.demo.chain import MODEL, Chain
from examples.demo.play import play
from examples.demo.programs import DemoError, Ending, Stopped
from tinyfleet.fleet.core.errors import Conflict, FleetError
from tinyfleet.fleet.state import Lock

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "demo"
PIPED_WIDTH = 120
WATCH_S = 0.2
STOPPED = 130


def main(signals: Sequence[signal.Signals]) -> int:
    parser = argparse.ArgumentParser(prog="demo", description="The whole chain in one command.")
    parser.add_argument("--once", action="store_true", help="check each step and exit")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="state folder; its content is replaced")
    options = parser.parse_args()
    console = _console()
    ending = Ending()

    def end(*_: object) -> None:
        ending.wanted = True

    for number in signals:
        signal.signal(number, end)
    folder = options.folder.absolute()
    chain = Chain(folder, ending=ending)
    lock = Lock(folder.with_name(f"{folder.name}.lock"), "a demo")
    shown = False
    try:
        _take(lock, folder)
        started_s = time.monotonic()
        play(chain, console)
        summarise(chain, console, time.monotonic() - started_s, once=options.once)
        shown = True
        while not options.once:
            time.sleep(WATCH_S)
            chain.check()
            ending.heed()
    except Stopped:
        console.print("stopping", highlight=False)
        return 0 if shown else STOPPED
    except (DemoError, FleetError, OSError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 1
    finally:
        chain.stop()
        lock.give_back()
    return 0


def summarise(chain: Chain, console: Console, took_s: float, *, once: bool) -> None:
    where, relative = chain.endpoints, os.path.relpath(chain.folder)
    state = f"--state {relative}"
    lines = [
        "",
        f"First inference in Prometheus: {chain.first_inference_s:.1f} s. All of it: {took_s:.1f} s.",
        "",
        "It ends now; its addresses were:" if once else "It is up at:",
        f"  API         {where.api}/api/v1/devices",
        f"  metrics     {where.api}/metrics",
        f"  Prometheus  {where.prometheus}",
        f"  bench       http://{chain.bench_metrics}/metrics",
    ]
    if not once:
        lines += [
            "",
            "Try next, in another terminal:",
            f"  .venv/bin/tinyfleet devices {state}",
            f"  .venv/bin/tinyfleet agent boards {state}",
            f"  .venv/bin/tinyfleet bench meter {BOARD} --bench {relative}/bench.yaml {state}",
            f"  .venv/bin/tinyfleet mqtt tail {state}",
            f"  .venv/bin/tinyfleet rollout start {MODEL} 1.0.0 --watch {state}",
            "",
            "Ctrl-C ends it and leaves no process behind.",
        ]
    console.print("\n".join(lines), highlight=False, markup=False, soft_wrap=True)


def _take(lock: Lock, folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock.take()
    except Conflict as error:
        raise DemoError(f"a demo runs in {folder} already; end that one (Ctrl-C) first") from error
    except OSError as error:
        raise DemoError(f"cannot use {folder}: {error}; choose another with --folder") from error


def _console() -> Console:
    # A terminal of an old encoding shows a question mark instead of a tick, not a traceback.
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]
    piped = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(width=PIPED_WIDTH if piped else None)
