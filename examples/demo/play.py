"""The main job, step by step: the bench board works beside the nodes, and the main thread watches all."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from rich.console import Console

from examples.demo.chain import Chain, Tell
from examples.demo.display import Display, Mark
from examples.demo.programs import DemoError, Stopped
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.fleet.core.errors import FleetError
from tinyfleet.wire.errors import WireError

WATCH_S = 0.05

Step = tuple[str, Callable[[Tell], None]]
Lane = list[tuple[int, Step]]


def steps(chain: Chain) -> list[Step]:
    return [
        ("Broker, manager, Prometheus", chain.start_fleet),
        ("Bench board over SWD (emulated)", chain.bench),
        ("Its energy (simulated meter)", chain.bench_energy),
        ("Two nodes online (emulated)", chain.start_nodes),
        ("Release 1 signed and rolled out", lambda tell: chain.release(1, tell)),
        ("Its inferences in Prometheus", lambda tell: chain.see_inferences("1.0.0", tell)),
        ("Release 2 replaces it", lambda tell: chain.release(2, tell)),
        ("Its inferences in Prometheus", lambda tell: chain.see_inferences("2.0.0", tell)),
        ("Release 3, foreign key: refused", chain.refuse_foreign),
        ("Nodes go on with release 2", lambda tell: chain.see_inferences("2.0.0", tell)),
    ]


def play(chain: Chain, console: Console) -> None:
    """Raises DemoError naming the step that failed, Stopped when the chain's `ending` was wanted. Nothing
    that the steps began is still at work then."""
    todo = list(enumerate(steps(chain)))
    with Display(console, [title for _, (title, _) in todo]) as display:
        for lanes in ([todo[:1]], [todo[1:3], todo[3:]]):
            Lanes(chain, display).run(lanes)


class Lanes:
    """Rows of steps, each in a thread of its own. The first failure ends them all."""

    def __init__(self, chain: Chain, display: Display) -> None:
        self._chain = chain
        self._display = display
        self._failures: list[BaseException] = []

    def run(self, lanes: list[Lane]) -> None:
        """Raises the first failure, or Stopped."""
        ending = self._chain.ending
        threads = [threading.Thread(target=self._walk, args=(lane,)) for lane in lanes]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if not ending.wanted:
                try:
                    self._chain.check()
                except DemoError as error:
                    self._fail(error)
            time.sleep(WATCH_S)
        if self._failures:
            raise self._failures[0]
        ending.heed()

    def _walk(self, lane: Lane) -> None:
        for index, (title, step) in lane:
            if self._chain.ending.wanted:
                return
            tell = self._display.begin(index)
            try:
                step(tell)
            except Stopped:
                self._display.end(index, Mark.STOPPED)
                return
            except (DemoError, FleetError, AgentError, WireError, OSError) as error:
                tell(str(error))
                self._display.end(index, Mark.FAILED)
                self._fail(self._cause(DemoError(f"{title}: {error}")))
                return
            except BaseException as error:  # a bug: told by the main thread, once all has been ended
                self._fail(error)
                return
            self._display.end(index, Mark.DONE)

    def _cause(self, error: DemoError) -> DemoError:
        """What died tells more than who missed it."""
        try:
            self._chain.check()
        except DemoError as cause:
            return cause
        return error

    def _fail(self, error: BaseException) -> None:
        self._failures.append(error)
        self._chain.ending.wanted = True
