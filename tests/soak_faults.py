"""What goes wrong on a bench, done to it on purpose: see soak_bench.py."""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from pyocd_qemu import registry
from pyocd_qemu.errors import QemuError
from pyocd_qemu.qmp import QmpLink

from tinyfleet.agent.adapters.power.simulated import SimulatedMeter
from tinyfleet.agent.adapters.power.simulated_ppk2 import SimulatedPpk2
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import AgentError, MeterError
from tinyfleet.agent.main import Agent
from tinyfleet.agent.services.ports import Clock

SABOTEUR_S = 20.0
BRANCH_TO_ITSELF, UNDEFINED = b"\xfe\xe7", b"\x00\xde"


class Cable:
    """Of the simulated meter, which can be pulled and plugged."""

    def __init__(self) -> None:
        self._device: SimulatedPpk2 | None = None
        self._pulled = False

    def open(self, board: BoardSpec, clock: Clock) -> SimulatedMeter:
        """In place of agent.metering.open_meter, whose simulated meters nobody can pull."""
        if self._pulled:
            raise MeterError(board.name, "open meter", "it is not there", "plug it in")
        self._device = SimulatedPpk2()
        return SimulatedMeter(self._device, board.name, clock)

    def pull(self) -> None:
        self._pulled = True
        if self._device is not None:
            self._device.close()

    def plug(self) -> None:
        self._pulled = False


class Sabotage:
    """Each kind comes up once in a while, in an order that `chance` decides; `faults` counts them. The boards
    are qemu-microbit-0001 and on."""

    def __init__(self, agent: Agent, boards: Sequence[str], cable: Cable, chance: random.Random) -> None:
        self._agent = agent
        self._boards = boards
        self._meter = cable
        self._random = chance
        self._order: list[str] = []
        self.faults: Counter[str] = Counter()

    def act(self) -> None:
        """Something, to somebody."""
        acts: dict[str, Callable[[str], None]] = {
            "board killed": self._kill,
            "port vanished": self._vanish,
            "core halted": self._halt,
            "firmware hangs": lambda board: self._overwrite(board, BRANCH_TO_ITSELF),
            "firmware is garbage": lambda board: self._overwrite(board, UNDEFINED),
            "meter unplugged": lambda board: self._unplug_meter(),
            "disk full": lambda board: self._fill_disk(),
        }
        if not self._order:
            self._order = self._random.sample(list(acts), len(acts))
        kind = self._order.pop()
        board = self._random.choice(self._boards)
        time.sleep(self._random.random() * 3.0)
        self.faults[kind] += 1
        acts[kind](board)

    def _board_folder(self, board: str) -> Path:
        return registry.root() / f"qemu-microbit-{self._boards.index(board) + 1:04d}"

    def _kill(self, board: str) -> None:
        """SIGKILL of its QEMU."""
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self._board_folder(board) / "qemu.pid").read_text()), signal.SIGKILL)

    def _vanish(self, board: str) -> None:
        """The host does not see probe and console for a few seconds."""
        entry = self._board_folder(board) / registry.ENTRY_NAME
        hidden = entry.with_suffix(".hidden")
        with contextlib.suppress(FileNotFoundError):
            entry.replace(hidden)
            time.sleep(4.0)
            if not entry.exists():
                hidden.replace(entry)
        hidden.unlink(missing_ok=True)

    def _halt(self, board: str) -> None:
        """Its core stands still, as with a clock that stopped."""
        with contextlib.suppress(QemuError, OSError):
            link = QmpLink(self._board_folder(board) / "qmp.sock")
            try:
                link.command("stop")
            finally:
                link.close()

    def _overwrite(self, board: str, instruction: bytes) -> None:
        """Most of the app becomes one instruction, once whoever uses the board has done."""
        spec = self._agent.spec(board)
        program = {address: instruction * 512 for address in range(0x1000, 0x8000, 1024)}
        with contextlib.suppress(AgentError), self._agent.leases.use(board, "sabotage", SABOTEUR_S):
            session = self._agent.probes.open(spec.probe or "")
            try:
                session.program(program, lambda part: None)
            finally:
                session.close()

    def _unplug_meter(self) -> None:
        self._meter.pull()
        time.sleep(3.0)
        self._meter.plug()

    def _fill_disk(self) -> None:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        try:
            time.sleep(4.0)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
