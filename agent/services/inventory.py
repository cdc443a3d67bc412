"""Which boards of the bench are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec
from tinyfleet.agent.core.errors import NoSuchBoardError
from tinyfleet.agent.services.leases import Held
from tinyfleet.agent.services.ports import ProbeInfo, Probes
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.messages import Bench, BenchRun, Board

_DETAIL_BYTES = 96
_GONE = (BoardState.ABSENT, BoardState.QUARANTINED)


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """What is known of one board; `detail` says why it is not READY."""

    spec: BoardSpec
    state: BoardState = BoardState.UNKNOWN
    emulated: bool = False
    detail: str | None = None
    run: BenchRun | None = None
    lease: Held | None = None

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
            labels=tuple(f"{name}={value}" for name, value in self.spec.labels.items()) or None,
            meter=None if self.spec.meter is None else self.spec.meter.label,
        )


class Inventory:
    """Statuses by board name. Never opens a probe: what is plugged in is asked of the host only."""

    def __init__(self, bench: BenchFile, probes: Probes) -> None:
        self._probes = probes
        self._statuses = {spec.name: BoardStatus(spec) for spec in bench.boards}

    def refresh(self) -> bool:
        """Asks which probes are there; whether anything changed."""
        found = {probe.unique_id: probe for probe in self._probes.all()}
        before = dict(self._statuses)
        for name, status in before.items():
            self._statuses[name] = _seen(status, found)
        return before != self._statuses

    def mark(self, name: str, state: BoardState, detail: str | None = None) -> None:
        self._statuses[name] = replace(self._statuses[name], state=state, detail=detail)

    def keep_run(self, name: str, run: BenchRun) -> bool:
        """Whether it is another than the last one kept."""
        changed = self._statuses[name].run != run
        self._statuses[name] = replace(self._statuses[name], run=run)
        return changed

    def keep_leases(self, leases: Sequence[Held]) -> None:
        for held in leases:
            self._statuses[held.board] = replace(self._statuses[held.board], lease=held)

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


def _seen(status: BoardStatus, found: Mapping[str, ProbeInfo]) -> BoardStatus:
    if status.spec.probe is None:
        return status
    probe = found.get(status.spec.probe)
    if probe is None:
        return replace(status, state=BoardState.ABSENT, detail=f"no probe {status.spec.probe}")
    kept = status.state in (BoardState.BUSY, BoardState.FAILED)
    state, detail = (status.state, status.detail) if kept else (BoardState.READY, None)
    return replace(status, state=state, detail=detail, emulated=probe.emulated)


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
