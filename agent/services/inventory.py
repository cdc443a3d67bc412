"""Which boards of the bench are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec
from tinyfleet.agent.services.ports import ProbeInfo, Probes
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.messages import Bench, BenchRun, Board

_DETAIL_BYTES = 96


@dataclass(frozen=True, slots=True)
class BoardStatus:
    """What is known of one board; `detail` says why it is not READY."""

    spec: BoardSpec
    state: BoardState = BoardState.UNKNOWN
    emulated: bool = False
    detail: str | None = None
    run: BenchRun | None = None

    def to_message(self) -> Board:
        return Board(
            name=self.spec.name,
            device_type=self.spec.device_type,
            state=self.state,
            emulated=self.emulated,
            probe=self.spec.probe,
            detail=None if self.detail is None else _shortened(self.detail),
            run=self.run,
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

    def all(self) -> list[BoardStatus]:
        return list(self._statuses.values())

    def report(self, seq: int, state: ConnState) -> Bench:
        return Bench(seq=seq, state=state, boards=tuple(s.to_message() for s in self._statuses.values()))


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
