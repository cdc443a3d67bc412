"""Joins the boards for which the agent speaks (`device` in bench.yaml) with what speaks for them; used by
main."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tinyfleet.agent.adapters.bridge_counts import CountsFile
from tinyfleet.agent.adapters.bridge_files import BridgeFiles, read_access
from tinyfleet.agent.adapters.broker_tls import BrokerDoor
from tinyfleet.agent.adapters.device_links import DeviceLink, DeviceLinks
from tinyfleet.agent.adapters.signatures import verify_ecdsa
from tinyfleet.agent.adapters.smp import SmpLinks
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec
from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.boards import memory_map
from tinyfleet.agent.core.bridge_counts import inferences_of
from tinyfleet.agent.core.bridge_report import Place
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.core.flash_plan import FlashPlan
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.services.bridge import DeviceBridge
from tinyfleet.agent.services.bridge_board import BridgedBoard
from tinyfleet.agent.services.bridge_node import BridgedNode
from tinyfleet.agent.services.bridge_ports import Access, Incoming
from tinyfleet.agent.services.bridge_thread import BridgeThread
from tinyfleet.agent.services.ports import Clock, Consoles, Counting, Probes
from tinyfleet.agent.services.worker import BoardWorker

Hold = Callable[[str, Callable[[], object], bool], object]
"""Has a board, by name, to itself while something runs; whether it is over in a moment."""
Program = Callable[[str, FlashPlan], object]
"""Programs a board that is held."""


class Bridges:
    """None until `start`."""

    def __init__(
        self,
        bench: BenchFile,
        folders: Folders,
        probes: Probes,
        consoles: Consoles,
        clock: Clock,
        counting: Counting,
        workers: dict[str, BoardWorker],
        *,
        hold: Hold,
        program: Program,
    ) -> None:
        self._bench = bench
        self._folders = folders
        self._probes = probes
        self._consoles = consoles
        self._smp = SmpLinks(consoles)
        self._clock = clock
        self._counting = counting
        self._workers = workers
        self._hold = hold
        self._program = program
        self._links: DeviceLinks | None = None
        self._running: dict[str, tuple[BridgeThread, DeviceLink]] = {}

    def start(self, credentials: Path) -> None:
        """Speaks for every board that has a `device`, by what stands in DEVICE.json of that folder. Raises
        AgentError, before any of them is heard."""
        boards = [spec for spec in self._bench.boards if spec.device is not None]
        known = [(spec, self._access(spec, credentials / f"{spec.device}.json")) for spec in boards]
        if not known:
            return
        self._links = DeviceLinks()
        self._running = {
            spec.name: self._bridge(spec, access, self._links.link(access)) for spec, access in known
        }
        for bridge, _ in self._running.values():
            bridge.start()

    def look(self, board: str) -> None:
        """Something was done with that board."""
        if board in self._running:
            self._running[board][0].look()

    def count(self, board: str, golden: GoldenSet, model: bytes, answers: Sequence[Answer]) -> None:
        """Inferences that a device did, whoever asked for them. Raises AgentError."""
        spec = self._bench.board(board)
        inferences = inferences_of(golden, answers)
        if spec is None or spec.device is None or not model or not inferences:
            return
        folder = self._folders.bridge / spec.device
        CountsFile(folder).add(BridgeFiles(folder).load().boot, model, golden.classes, inferences)

    def doors(self) -> dict[str, BrokerDoor]:
        """By device."""
        return {link.device: link.door for _, link in list(self._running.values())}

    def stop(self) -> None:
        """Every device says LOST."""
        running, self._running = list(self._running.values()), {}
        for bridge, _ in running:
            bridge.stop()
        for _, link in running:
            link.wait()
        if self._links is not None:
            self._links.stop()
            self._links = None

    def _access(self, spec: BoardSpec, path: Path) -> Access:
        """Raises AgentError where the board cannot be spoken for with it."""
        access, device = read_access(path), spec.device
        terms = access.terms
        if (terms.device, access.agent, terms.device_type) != (device, self._bench.agent, spec.device_type):
            raise AgentError(
                f"{path} is of {terms.device}, a {terms.device_type} of {access.agent}; {spec.name} is "
                f"{device}, a {spec.device_type} of {self._bench.agent}",
                f"register it: `tinyfleet device bridge {device} --agent {self._bench.agent} "
                f"--device-type {spec.device_type} --out {path}`",
            )
        if spec.probe is None and spec.smp is None:
            raise AgentError(
                f"{spec.name} has neither probe nor smp, by which its device {device} would get models",
                "name one of them, or leave `device` out",
            )
        if spec.smp is None:
            memory_map(spec.device_type)
        return access

    def _board(self, spec: BoardSpec, probe: str | None) -> BridgedBoard | BridgedNode:
        worker = self._workers[spec.name]
        if spec.smp is not None or probe is None:
            return BridgedNode(
                worker,
                self._smp,
                self._clock,
                time.sleep,
                # Consoles go by their boards' names, as several programs share them.
                address=spec.name if spec.smp in (None, "serial") else spec.smp,
                baud=spec.baud,
                device_type=spec.device_type,
            )
        return BridgedBoard(
            worker,
            self._probes,
            self._clock,
            memory_map(spec.device_type),
            probe=probe,
            open_console=lambda: self._consoles.open(spec.name, spec.baud),
            baud=spec.baud,
            program=lambda plan: self._program(spec.name, plan),
        )

    def _bridge(self, spec: BoardSpec, access: Access, link: DeviceLink) -> tuple[BridgeThread, DeviceLink]:
        board = self._board(spec, spec.probe)
        folder = self._folders.bridge / access.terms.device

        def made(tell: Callable[[Incoming], None]) -> DeviceBridge:
            return DeviceBridge(
                access.terms,
                Place(self._bench.agent, spec.is_emulated_probe),
                board=board,
                board_name=spec.name,
                link=link,
                tell=tell,
                store=BridgeFiles(folder),
                counts=CountsFile(folder),
                hold=lambda work, brief: self._hold(spec.name, work, brief),
                verify=verify_ecdsa,
                clock=self._clock,
                counting=self._counting,
            )

        return BridgeThread(made), link
