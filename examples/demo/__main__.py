"""The whole chain in one command: `make demo`, or `make demo ONCE=1` to check each step and exit."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from examples.demo.chain import Chain, Tell
from examples.demo.display import Display
from examples.demo.programs import DemoError
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.fleet.core.errors import FleetError
from tinyfleet.fleet.state import Lock

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "demo"

Step = tuple[str, Callable[[Tell], None]]


class Stopped(Exception):
    """Ctrl-C or SIGTERM."""


def steps(chain: Chain) -> list[Step]:
    return [
        ("Fleet: broker, manager, Prometheus", chain.start_fleet),
        ("Bench board (emulated microbit) over SWD", chain.bench),
        ("Two networked nodes (emulated mps2-an386)", chain.start_nodes),
        ("Release 1: signed, rolled out, confirmed", lambda tell: chain.release(1, tell)),
        ("Inferences of release 1 in Prometheus", lambda tell: chain.see_inferences("1.0.0", tell)),
        ("Release 2 replaces it while they run", lambda tell: chain.release(2, tell)),
        ("Inferences of release 2 in Prometheus", lambda tell: chain.see_inferences("2.0.0", tell)),
        ("Release 3, foreign key: refused by the nodes", chain.refuse_foreign),
        ("Nodes go on with release 2", lambda tell: chain.see_inferences("2.0.0", tell)),
    ]


def run_steps(display: Display, todo: list[tuple[int, Step]]) -> None:
    """Runs numbered steps one after another. Raises DemoError naming the step that failed."""
    for index, (title, step) in todo:
        tell = display.begin(index)
        try:
            step(tell)
        except (DemoError, FleetError, AgentError, OSError) as error:
            tell(str(error))
            display.end(index, ok=False)
            raise DemoError(f"{title}: {error}") from error
        display.end(index, ok=True)


def play(chain: Chain, console: Console) -> None:
    """The main job. The bench board works beside the nodes, in a thread of its own."""
    todo = list(enumerate(steps(chain)))
    fleet, bench, nodes = todo[:1], todo[1:2], todo[2:]
    failed: list[DemoError] = []
    with Display(console, [title for _, (title, _) in todo]) as display:

        def work() -> None:
            try:
                run_steps(display, bench)
            except DemoError as error:
                failed.append(error)

        run_steps(display, fleet)
        thread = threading.Thread(target=work, name="bench")
        thread.start()
        try:
            run_steps(display, nodes)
        finally:
            # Its commands are bounded, so this returns even when a step of the nodes failed.
            thread.join()
    if failed:
        raise failed[0]


def summarise(chain: Chain, console: Console, took_s: float) -> None:
    table = Table(title="What happened", title_justify="left", box=None, pad_edge=False)
    for column in ("release", "rollout", ""):
        table.add_column(column)
    for outcome in chain.outcomes:
        table.add_row(outcome.release, outcome.state, outcome.why)
    console.print()
    console.print(table)
    console.print()
    where = chain.endpoints
    first = f"First inference in Prometheus after {chain.first_inference_s:.1f} s"
    console.print(f"{first}, all of it took {took_s:.1f} s. It is up at:", highlight=False)
    console.print(f"  API         {where.api}/api/v1", highlight=False)
    console.print(f"  metrics     {where.api}/metrics", highlight=False)
    console.print(f"  Prometheus  {where.prometheus}", highlight=False)


def invite(console: Console, folder: Path) -> None:
    state = f"--state {os.path.relpath(folder)}"
    console.print("\nTry next, in another terminal:", highlight=False)
    console.print(f"  .venv/bin/tinyfleet devices {state}", highlight=False)
    console.print(f"  .venv/bin/tinyfleet mqtt tail {state}", highlight=False)
    console.print(f"  .venv/bin/tinyfleet rollout start livestock 1.0.0 --watch {state}", highlight=False)
    console.print("\nCtrl-C ends it and leaves no process behind.", highlight=False)


def main() -> int:
    parser = argparse.ArgumentParser(prog="demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="check each step and exit")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="state folder; its content is replaced")
    options = parser.parse_args()
    once, folder = options.once, options.folder.absolute()
    console = Console(soft_wrap=False)

    def stop(*_: object) -> None:
        raise Stopped

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder.with_suffix(".lock"), "a demo")
    chain = Chain(folder)
    try:
        lock.take()
        started = time.monotonic()
        play(chain, console)
        summarise(chain, console, time.monotonic() - started)
        if not once:
            invite(console, folder)
        while not once:
            time.sleep(1)
            chain.check()
    except Stopped:
        console.print("\nstopping")
        return 0 if not once else 130
    except (DemoError, FleetError) as error:
        Console(stderr=True).print(f"demo: {error}", highlight=False, markup=False)
        return 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        chain.stop()
        lock.give_back()
    return 0


if __name__ == "__main__":
    sys.exit(main())
