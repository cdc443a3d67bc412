"""Which boards of the bench are there."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec
from tinyfleet.agent.core.errors import NoSuchBoardError
from tinyfleet.agent.core.recovery import Condition, Patient
from tinyfleet.agent.services.leases import Held
from tinyfleet.agent.services.plugged import Host, Plugged
from tinyfleet.agent.services.recovery import HOLDER
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.messages import Bench, BenchRun, Board

LOG = logging.getLogger(__name__)
_DETAIL_BYTES = 96
_GONE = (BoardState.ABSENT, BoardState.QUARANTINED)
_LASTING = (BoardState.BUSY, BoardState.FAILED)
"""What being plugged in does not change."""
_IN_CARE = (BoardState.RECOVERING, BoardState.QUARANTINED)
"""What being unplugged does not change, either: a power cycle unplugs a board."""


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """What is known of one board; `detail` says why it is not READY."""

    spec: BoardSpec
    state: BoardState = BoardState.UNKNOWN
    emulated: bool = False
    detail: str | None = None
    run: BenchRun | None = None
    lease: Held | None = None
    recoveries: int = 0
    rung: str | None = None

    def to_message(self) -> Board:
        return Board(
            name=self.spec.name,
            device_type=self.spec.device_type,
            state=self.state,
            emulated=self.emulated,
            probe=self.spec.probe,
            detail=None if self.detail is None else _shortened(self.detail),
            run=self.run,
            reserved_by=None if self.lease is None else self.lease.holder,
            reserved_until=None if self.lease is None else self.lease.until_unix_s,
            recoveries=self.recoveries or None,
            rung=self.rung,
            labels=tuple(f"{name}={value}" for name, value in self.spec.labels.items()) or None,
            meter=None if self.spec.meter is None else self.spec.meter.label,
        )


class Inventory:
    """Statuses by board name. Opens nothing: what is plugged in is asked of the host only."""

    def __init__(self, bench: BenchFile, host: Host) -> None:
        self._host = host
        self._statuses = {spec.name: BoardStatus(spec) for spec in bench.boards}
        self._strangers: dict[str, str] | None = None

    def refresh(self) -> bool:
        """Asks what is plugged in; whether anything changed, which is logged, too."""
        plugged = self._host.look()
        before = dict(self._statuses)
        for name, status in before.items():
            self._statuses[name] = self._seen(status, plugged)
            _log(status, self._statuses[name])
        self._greet(plugged)
        return before != self._statuses

    def missing(self, name: str) -> str | None:
        """What of the board is not plugged in now."""
        return _missing(self._statuses[name].spec, self._host.look(), self._host.has)

    def _seen(self, status: BoardStatus, plugged: Plugged) -> BoardStatus:
        spec = status.spec
        if (spec.probe is None and not _paths(spec)) or status.state in _IN_CARE:
            return status
        missing = _missing(spec, plugged, self._host.has)
        if missing is not None:
            return replace(status, state=BoardState.ABSENT, detail=missing, emulated=spec.is_emulated_probe)
        emulated = any(probe.emulated for probe in plugged.probes if probe.unique_id == spec.probe)
        state, detail = (
            (status.state, status.detail) if status.state in _LASTING else (BoardState.READY, None)
        )
        return replace(status, state=state, detail=detail, emulated=emulated)

    def _greet(self, plugged: Plugged) -> None:
        """Logs what no board of the bench has, when it comes and when it goes."""
        mine = {spec.probe for spec in (status.spec for status in self._statuses.values())}
        paths = {os.path.realpath(path) for each in self._statuses.values() for _, path in _paths(each.spec)}
        now = {
            probe.unique_id: f"probe {probe.unique_id}"
            for probe in plugged.probes
            if probe.unique_id not in mine
        }
        now |= {
            port.device: f"serial port {port.path} ({port.description})"
            for port in plugged.ports
            if os.path.realpath(port.device) not in paths
        }
        for key, what in now.items():
            if self._strangers is not None and key not in self._strangers:
                LOG.info("%s was plugged in; no board of the bench has it", what)
        for key, what in (self._strangers or {}).items():
            if key not in now:
                LOG.info("%s was unplugged", what)
        self._strangers = now

    def mark(self, name: str, state: BoardState, detail: str | None = None) -> None:
        self._statuses[name] = replace(self._statuses[name], state=state, detail=detail)

    def keep_run(self, name: str, run: BenchRun) -> bool:
        """Whether it is another than the last one kept."""
        changed = self._statuses[name].run != run
        self._statuses[name] = replace(self._statuses[name], run=run)
        return changed

    def keep_leases(self, leases: Sequence[Held]) -> None:
        for held in leases:
            if held.holder == HOLDER:
                # A heartbeat is asked for every half minute; that a board is brought back is its state.
                held = replace(held, holder=None, what=None)
            self._statuses[held.board] = replace(self._statuses[held.board], lease=held)

    def keep_recovery(self, name: str, patient: Patient) -> None:
        """What the records say of its recovery, in whatever program that goes on."""
        status = self._statuses[name]
        rung = None if patient.rung is None else patient.rung.name
        status = replace(status, recoveries=patient.recoveries, rung=rung)
        state = _in_care(patient)
        if state is not None and (status.state is not BoardState.BUSY or patient.climbing):
            status = replace(status, state=state, detail=patient.reason)
        elif state is None and status.state in _IN_CARE:
            status = replace(status, state=BoardState.UNKNOWN, detail=None)
        self._statuses[name] = status

    def all(self) -> list[BoardStatus]:
        """A board that another program uses is BUSY; what it finds there is its own to say."""
        return [_used(status) for status in self._statuses.values()]

    def report(self, seq: int, state: ConnState) -> Bench:
        return Bench(seq=seq, state=state, boards=tuple(s.to_message() for s in self.all()))


def _used(status: BoardStatus) -> BoardStatus:
    used = status.lease is not None and status.lease.what is not None
    if not used or status.state not in (BoardState.READY, BoardState.UNKNOWN):
        return status
    return replace(status, state=BoardState.BUSY)


def _missing(spec: BoardSpec, plugged: Plugged, has: Callable[[str], bool]) -> str | None:
    count = sum(probe.unique_id == spec.probe for probe in plugged.probes)
    if spec.probe is not None and count == 0:
        return f"no probe {spec.probe}"
    if count > 1:
        return f"{count} probes tell the id {spec.probe}: unplug all but the board's"
    return next((f"no {what} {path}" for what, path in _paths(spec) if not has(path)), None)


def _paths(spec: BoardSpec) -> list[tuple[str, str]]:
    """What must be there as a file, and what it is to the board."""
    meter = spec.meter
    console = None if spec.console is None or "://" in spec.console else spec.console
    bus = getattr(meter, "bus", None)
    paths = [
        ("console", console),
        ("meter", getattr(meter, "port", None)),
        ("meter", getattr(meter, "hwmon", None)),
        ("meter", None if bus is None else f"/dev/i2c-{bus}"),
    ]
    return [(what, path) for what, path in paths if path is not None]


def _log(before: BoardStatus, now: BoardStatus) -> None:
    gone, was_gone = now.state is BoardState.ABSENT, before.state is BoardState.ABSENT
    if gone and not was_gone:
        word = "not there" if before.state is BoardState.UNKNOWN else "gone"
        LOG.warning("%s is %s: %s", now.spec.name, word, now.detail)
    elif gone and now.detail != before.detail:
        LOG.warning("%s: %s", now.spec.name, now.detail)
    elif was_gone and not gone:
        LOG.info("%s is there", now.spec.name)


def _in_care(patient: Patient) -> BoardState | None:
    if patient.state is Condition.QUARANTINED:
        return BoardState.QUARANTINED
    hangs = patient.climbing or patient.state in (Condition.WEDGED, Condition.PAUSED)
    return BoardState.RECOVERING if hangs else None


def _shortened(text: str) -> str:
    """At most 96 bytes of UTF-8, cut between characters."""
    return text.encode()[:_DETAIL_BYTES].decode(errors="ignore")


def boards_with(statuses: Sequence[BoardStatus], labels: Sequence[str]) -> list[str]:
    """The boards that are there and have all the labels (`NAME=VALUE`). Raises NoSuchBoardError."""
    known = {status.spec.name: {f"{n}={v}" for n, v in status.spec.labels.items()} for status in statuses}
    fits = [status for status in statuses if known[status.spec.name].issuperset(labels)]
    if not fits:
        told = sorted(set().union(*known.values()))
        raise NoSuchBoardError(
            f"no board of the bench has {' and '.join(labels)}",
            f"its labels are {', '.join(told)}" if told else "bench.yaml gives none of them `labels`",
        )
    there = [status.spec.name for status in fits if status.state not in _GONE]
    if not there:
        why = "; ".join(f"{each.spec.name} is {each.state.name}: {each.detail}" for each in fits)
        raise NoSuchBoardError(
            f"of the boards with {' and '.join(labels)} none can be used: {why}",
            "plug one in, or look at `tinyfleet bench list`",
        )
    return there
