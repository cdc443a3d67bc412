"""Joins the recovery of boards with what reaches them; used by main."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

from tinyfleet.agent.adapters.bench_consoles import has_console
from tinyfleet.agent.adapters.emulated_boards import EmulatedBoards
from tinyfleet.agent.adapters.part_files import Files, load_for
from tinyfleet.agent.adapters.probes import PyocdProbes
from tinyfleet.agent.adapters.recovery_files import RecoveryFiles
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec, KnownGood
from tinyfleet.agent.core.boards import Layout, layout_of
from tinyfleet.agent.core.recovery import Condition, Event, Finding, Limits, Patient
from tinyfleet.agent.core.ways import PART_LABEL
from tinyfleet.agent.services.heartbeat import Bedside, Heartbeat
from tinyfleet.agent.services.ladder import Ladder
from tinyfleet.agent.services.ports import Clock, Consoles, Counting
from tinyfleet.agent.services.programming import Programming, Telling
from tinyfleet.agent.services.recovery import BoardUse, Recovery, Told, Ward
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.agent.switching import switch_of

LOG = logging.getLogger(__name__)
_LOOK_S: Final = 0.25


class Recovering:
    """Builds a bench's Recovery."""

    def __init__(
        self, bench: BenchFile, probes: PyocdProbes, emulated: EmulatedBoards, programming: Programming
    ) -> None:
        self._bench = bench
        self._probes = probes
        self._emulated = emulated
        self._programming = programming

    def recovery(
        self,
        folders: Folders,
        workers: Mapping[str, BoardWorker],
        consoles: Consoles,
        leases: BoardUse,
        clock: Clock,
        counting: Counting,
        limits: Limits,
        told: Told,
    ) -> Recovery:
        wards = {spec.name: self._ward(spec, workers[spec.name]) for spec in self._bench.boards}
        heartbeat = Heartbeat(consoles, self._probes, clock)
        records = RecoveryFiles(folders.recoveries)
        return Recovery(wards, heartbeat, records, leases, clock, counting, limits, told)

    def _ward(self, spec: BoardSpec, worker: BoardWorker) -> Ward:
        bed = Bedside(
            board=spec.name,
            console=spec.name if has_console(spec) else None,
            baud=spec.baud,
            probe=spec.probe,
            part=_part(spec),
            worker=worker,
            ear=BoardWorker(f"{spec.name} (heartbeat)"),
        )
        reflash = None
        if spec.known_good is not None:
            reflash = partial(self._reflash, spec, spec.known_good, worker)
        ladder = Ladder(
            bed,
            self._probes,
            switch_of(self._bench, spec, self._emulated),
            reflash,
            partial(self._appear, spec.probe),
            time.sleep,
        )
        return Ward(bed, ladder)

    def _reflash(self, spec: BoardSpec, good: KnownGood, worker: BoardWorker) -> str:
        files = Files(firmware=Path(good.firmware), model=None if good.model is None else Path(good.model))
        report = self._programming.flash(worker, spec, load_for(spec, files).plan, Telling())
        name = Path(good.firmware).name
        return f"programmed with {name}, {report.written} of {report.sectors} sectors differed"

    def _appear(self, probe: str | None, timeout_s: float) -> bool:
        """An emulated board of this program is started again if need be, held in reset when its program
        killed it; another program that runs one does so by itself."""
        end_s = time.monotonic() + timeout_s
        while True:
            if probe is None:
                return True
            self._emulated.revive_one(probe)
            if any(found.unique_id == probe for found in self._probes.all()):
                return True
            if time.monotonic() >= end_s:
                return False
            time.sleep(_LOOK_S)


def _part(spec: BoardSpec) -> str | None:
    """As it is programmed: a device type without a layout of ours is pyOCD's name of a chip."""
    known = layout_of(spec.device_type) is not Layout.PART
    return spec.labels.get(PART_LABEL) or (None if known else spec.device_type)


def log_recovery(board: str, event: Event, patient: Patient, found: Finding) -> None:
    """What an agent tells its log."""
    fine = patient.state in (Condition.ALIVE, Condition.UNKNOWN) or event is Event.BANISHED
    level = logging.INFO if fine else logging.WARNING
    LOG.log(level, "%s: %s, now %s: %s", board, event.name, patient.state.name, found.cause)
