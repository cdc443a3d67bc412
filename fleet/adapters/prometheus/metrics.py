"""`/metrics`: fleet aggregates only, so its size does not depend on the number of devices.

Everything is read from the database when it is asked for: the counters survive a restart of the manager.
What was not measured (energy without a meter) has no series at all, never a zero.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from tinyfleet.fleet.adapters.prometheus.live import live_families
from tinyfleet.fleet.adapters.prometheus.shadows import shadow_families
from tinyfleet.fleet.core.deployment import DeploymentState
from tinyfleet.fleet.core.liveness import DeviceState, state_of
from tinyfleet.fleet.services.ingest import IngestCounts
from tinyfleet.fleet.services.ports import Clock, LatencyTotal, Store, Tx
from tinyfleet.wire.limits import LATENCY_BOUNDS_US

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
ROLLOUTS_SHOWN: Final = 10
Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


class FleetCollector(Collector):
    def __init__(
        self,
        store: Store,
        clock: Clock,
        counts: IngestCounts,
        links: Callable[[], dict[str, bool]],
        dropped: Callable[[], int | None],
        samples_budget_bytes: int,
    ) -> None:
        """`links` says which of our own connections to the broker stand.

        `dropped` is how many messages the broker threw away, None while it has not told;
        `samples_budget_bytes` what captured windows may take.
        """
        self._store = store
        self._clock = clock
        self._counts = counts
        self._links = links
        self._dropped = dropped
        self._samples_budget_bytes = samples_budget_bytes

    def describe(self) -> Iterable[Family]:
        """Nothing: registering must not read the database."""
        return []

    def collect(self) -> Iterator[Family]:
        with self._store.read() as tx:
            yield from _inferences(tx)
            yield from live_families(tx, self._samples_budget_bytes)
            yield from shadow_families(tx)
            yield from _devices(tx, self._clock())
            yield _rollouts(tx)
        yield from self._ingest()
        connected = GaugeMetricFamily(
            "tinyfleet_broker_connected", "Whether the manager's client is connected (1).", labels=["client"]
        )
        for client, up in self._links().items():
            connected.add_metric([client], float(up))
        yield connected
        if (dropped := self._dropped()) is not None:
            yield CounterMetricFamily(
                "tinyfleet_broker_messages_dropped",
                "Messages the broker threw away because a queue was full.",
                value=dropped,
            )

    def _ingest(self) -> Iterator[Family]:
        counts = self._counts
        for name, value, what in (
            ("ingest_messages", counts.messages, "Messages taken in from devices."),
            ("ingest_rejected", counts.rejected, "Messages put into quarantine."),
            ("ingest_late", counts.late, "Snapshots older than the one stored."),
            ("ingest_clock_skew", counts.clock_skew, "Snapshots of a device whose clock runs ahead."),
            ("ingest_sample_parts", counts.samples, "Parts of captured windows taken in."),
            ("ingest_duplicate", counts.duplicate, "Messages that came again."),
            ("series_dropped", counts.series_dropped, "Updates without a series: there are too many."),
        ):
            yield CounterMetricFamily(f"tinyfleet_{name}", what, value=value)


def exposition(collector: FleetCollector) -> bytes:
    """The text format. One registry a scrape: nothing is registered globally."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    return generate_latest(registry)


def _inferences(tx: Tx) -> Iterator[Family]:
    classes, latencies = tx.telemetry.totals()
    inferences = CounterMetricFamily(
        "tinyfleet_inferences",
        "Inferences the fleet reported, by the class that scored highest.",
        labels=["site", "model", "model_version", "class"],
    )
    for each in classes:
        inferences.add_metric([each.key.site, each.key.model, each.key.version, each.label], each.count)
    yield inferences
    durations = HistogramMetricFamily(
        "tinyfleet_inference_duration_seconds",
        "Time of one inference on the node; timing says whether its clock is wall time or an emulator's.",
        labels=["site", "model", "model_version", "timing"],
    )
    for latency in latencies:
        key = latency.key
        durations.add_metric(
            [key.site, key.model, key.version, key.timing],
            buckets=list(_cumulative(latency)),
            sum_value=latency.sum_us / 1e6,
        )
    yield durations


def _cumulative(latency: LatencyTotal) -> Iterator[tuple[str, float]]:
    """Ours count each bucket alone, Prometheus' count everything up to a bound."""
    total = 0
    bounds = [repr(bound / 1e6) for bound in LATENCY_BOUNDS_US] + ["+Inf"]
    for bound, count in zip(bounds, latency.buckets, strict=True):
        total += count
        yield bound, float(total)


def _devices(tx: Tx, now_s: float) -> Iterator[Family]:
    devices = tx.devices.all()
    counts = Counter((device.site, state_of(device.evidence, now_s)) for device in devices)
    family = GaugeMetricFamily("tinyfleet_devices", "Devices by state.", labels=["site", "state"])
    for site in sorted({device.site for device in devices}):
        for state in DeviceState:
            family.add_metric([site, state.value], counts[site, state])
    yield family
    bridged = Counter(
        (device.birth.via, state_of(device.evidence, now_s))
        for device in devices
        if device.birth is not None and device.birth.via is not None
    )
    if not bridged:
        return
    family = GaugeMetricFamily(
        "tinyfleet_bridged_devices",
        "Devices without a network, by the agent that speaks for them.",
        labels=["agent", "state"],
    )
    for agent in sorted({agent for agent, _ in bridged}):
        for state in DeviceState:
            family.add_metric([agent, state.value], bridged[agent, state])
    yield family


def _rollouts(tx: Tx) -> Family:
    family = GaugeMetricFamily(
        "tinyfleet_rollout_devices", "Devices of the newest rollouts by state.", labels=["rollout", "state"]
    )
    for summary in tx.rollouts.all(ROLLOUTS_SHOWN):
        for state in DeploymentState:
            count = sum(wave.counts.get(state, 0) for wave in summary.waves)
            family.add_metric([str(summary.id), state.value], count)
    return family
