"""What an agent counts, over all its programs and restarts: counters and histograms by name and labels.

METRICS is the whole of it; a name or label that is not there cannot be counted. Prometheus' conventions:
seconds, `_total` is added where it is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

SERIES_MAX: Final = 2000
"""Of all metrics together: what a bench of 32 boards can need several times over."""


@dataclass(frozen=True, slots=True)
class Metric:
    """`bounds`: upper bounds of a histogram's buckets, ascending, the last open one not among them; empty: a
    counter."""

    name: str
    help: str
    labels: tuple[str, ...]
    bounds: tuple[float, ...] = ()


FLASHES: Final = Metric("flashes", "Plans programmed.", ("board", "outcome"))
FLASH_SECONDS: Final = Metric(
    "flash_seconds",
    "From connecting to the last comparison and reset, of plans that succeeded.",
    ("device_type",),
    (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 120),
)
FLASH_BYTES: Final = Metric("flash_bytes", "Bytes of plans that were compared and right.", ("board",))
RUNS: Final = Metric(
    "runs", "Golden sets run; DIFFERENT: bytes were not the host twin's.", ("board", "outcome")
)
RECOVERIES: Final = Metric(
    "recoveries", "Rungs climbed; OK: brought the board back.", ("board", "rung", "outcome")
)
SERIAL_ERRORS: Final = Metric("serial_errors", "Consoles that broke off or could not be opened.", ("board",))
CONSOLE_LOST: Final = Metric(
    "console_lost_lines", "Lines that a slow listener, or a full disk, did not get.", ("board",)
)
METER_SAMPLES: Final = Metric("meter_samples", "Samples of power meters.", ("board", "meter", "simulated"))
METER_LOST: Final = Metric(
    "meter_lost_samples", "Samples that meters took and that did not arrive.", ("board", "meter", "simulated")
)
LEASE_WAIT_SECONDS: Final = Metric(
    "lease_wait_seconds",
    "How long whoever wanted a board waited for it.",
    ("board",),
    (0.01, 1, 10, 60, 600, 3600),
)
PROVISIONED: Final = Metric("provisioned", "Boards that `bench provision` took.", ("outcome",))
BRIDGE_UPDATES: Final = Metric(
    "bridge_updates", "Updates of bridged boards that ended.", ("board", "outcome")
)

METRICS: Final = (
    *(FLASHES, FLASH_SECONDS, FLASH_BYTES, RUNS, RECOVERIES, SERIAL_ERRORS, CONSOLE_LOST),
    *(METER_SAMPLES, METER_LOST, LEASE_WAIT_SECONDS, PROVISIONED, BRIDGE_UPDATES),
)
_BY_NAME: Final = {metric.name: metric for metric in METRICS}


@dataclass(slots=True)
class Series:
    """Values of one metric under one set of labels. `value`: a counter's, or a histogram's sum; `buckets`:
    counts, each bucket for itself, the open one last."""

    value: float = 0.0
    buckets: list[int] = field(default_factory=list)


class Tally:
    """All series; not for two threads at once."""

    def __init__(self) -> None:
        self._series: dict[tuple[str, tuple[str, ...]], Series] = {}
        self.dropped = 0
        """Updates that found no room for another series."""

    def add(self, metric: Metric, labels: Mapping[str, str], amount: float = 1) -> None:
        """Raises ValueError for labels that are not the metric's, a histogram, or a negative amount."""
        if metric.bounds or amount < 0:
            raise ValueError(f"{metric.name} is no counter, or {amount} is negative")
        series = self._of(metric, labels)
        if series is not None:
            series.value += amount

    def observe(self, metric: Metric, labels: Mapping[str, str], value: float) -> None:
        """Raises ValueError for labels that are not the metric's, or a counter."""
        if not metric.bounds:
            raise ValueError(f"{metric.name} is a counter")
        series = self._of(metric, labels)
        if series is not None:
            series.value += value
            series.buckets[sum(value > bound for bound in metric.bounds)] += 1

    def all(self) -> Iterator[tuple[Metric, tuple[str, ...], Series]]:
        """Metric, label values in its order, and values; by metric, then labels."""
        for (name, values), series in sorted(self._series.items()):
            yield _BY_NAME[name], values, series

    def _of(self, metric: Metric, labels: Mapping[str, str]) -> Series | None:
        if set(labels) != set(metric.labels):
            raise ValueError(f"{metric.name} has the labels {metric.labels}, not {tuple(labels)}")
        key = (metric.name, tuple(labels[name] for name in metric.labels))
        if key not in self._series:
            if len(self._series) >= SERIES_MAX:
                self.dropped += 1
                return None
            self._series[key] = Series(buckets=[0] * (len(metric.bounds) + 1) if metric.bounds else [])
        return self._series[key]

    def to_json(self) -> list[dict[str, Any]]:
        return [
            {"metric": metric.name, "labels": list(values), "value": series.value, "buckets": series.buckets}
            for metric, values, series in self.all()
        ]

    @classmethod
    def from_json(cls, document: Any) -> Tally:
        """Series of metrics that are no more are passed over. Raises ValueError when it is no tally."""
        tally = cls()
        try:
            for each in document:
                metric, values = _BY_NAME.get(each["metric"]), each["labels"]
                if metric is None or len(values) != len(metric.labels):
                    continue
                series = tally._of(metric, dict(zip(metric.labels, map(str, values), strict=True)))
                buckets = [int(count) for count in each["buckets"]]
                if series is not None and len(buckets) == len(series.buckets):
                    series.value, series.buckets = float(each["value"]), buckets
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise ValueError(f"no tally: {error!r}") from error
        return tally
