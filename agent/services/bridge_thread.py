"""A bridged board's thread: what comes, one after the other, and the time in between."""

from __future__ import annotations

import contextlib
import functools
import logging
import queue
import threading
from collections.abc import Callable

from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.bridge import DeviceBridge
from tinyfleet.agent.services.bridge_ports import Incoming, Look, Stop

LOG = logging.getLogger(__name__)
QUEUE_MAX = 512
END_S = 10.0


class BridgeThread:
    """`made` gets where the link tells what comes. `start`, then it runs by itself until `stop`."""

    def __init__(self, made: Callable[[Callable[[Incoming], None]], DeviceBridge]) -> None:
        self._queue: queue.Queue[Incoming] = queue.Queue(QUEUE_MAX)
        self._bridge = made(self.tell)
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"bridge-{self._bridge.device}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def look(self) -> None:
        """Somebody did something with the board."""
        self.tell(Look())

    def stop(self) -> None:
        """The device says LOST. A trial that is under way goes on with the next start."""
        try:
            self._queue.put_nowait(Stop())
        except queue.Full:
            # What waits there is not taken any more.
            self._ending.set()
        self._thread.join(END_S)

    def tell(self, incoming: Incoming) -> None:
        """From any thread; what there is no room for is lost, as on a network."""
        try:
            self._queue.put_nowait(incoming)
        except queue.Full:
            LOG.warning("%s: more comes than is taken", self._bridge.device)

    def _run(self) -> None:
        bridge = self._bridge
        self._safely(bridge.begin)
        while not self._ending.is_set():
            incoming: Incoming | None = None
            with contextlib.suppress(queue.Empty):
                incoming = self._queue.get(timeout=bridge.patience_s())
            if isinstance(incoming, Stop):
                break
            if incoming is not None:
                self._safely(functools.partial(bridge.take, incoming))
            self._safely(bridge.tick)
        bridge.close()

    def _safely(self, work: Callable[[], None]) -> None:
        """Nothing ends the thread."""
        try:
            work()
        except AgentError as error:
            self._bridge.troubled(str(error))
        except Exception:
            LOG.exception("%s: the bridge failed", self._bridge.device)
