"""What nodes keep of their windows, and the windows that they sent up: margins, switches, missed windows,
samples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from tinyfleet.fleet.services.ports import LiveTotal, Tx

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
MODEL_LABELS: Final = ("site", "model", "model_version")


def live_families(tx: Tx, samples_budget_bytes: int) -> Iterator[Family]:
    totals = tx.telemetry.live_totals()
    yield _tenths(
        totals, "tinyfleet_inference_confidence_ratio", "Top score of an inference.", lambda t: t.confidence
    )
    yield _tenths(
        [each for each in totals if any(each.margin)],
        "tinyfleet_inference_margin_ratio",
        "Top score of an inference less the second.",
        lambda t: t.margin,
    )
    yield _counter(
        totals,
        "tinyfleet_class_switches",
        "Windows of another class than the one before them.",
        lambda t: t.switches,
    )
    yield _counter(
        totals,
        "tinyfleet_samples_captured",
        "Raw windows that nodes sent up because they were asked to.",
        lambda t: t.captured,
    )
    yield _counter(
        totals,
        "tinyfleet_samples_skipped",
        "Raw windows that were chosen, but the budget or the link did not let go.",
        lambda t: t.skipped,
    )
    missed = CounterMetricFamily(
        "tinyfleet_windows_missed",
        "Windows that no inference saw: too late, or while a model was on trial.",
        labels=[*MODEL_LABELS, "cause"],
    )
    for each in totals:
        missed.add_metric([*_labels(each), "late"], each.missed - each.paused)
        missed.add_metric([*_labels(each), "trial"], each.paused)
    yield missed
    count, size_bytes = tx.samples.totals()
    for name, value, what in (
        ("samples_stored", count, "Captured windows that are kept."),
        ("samples_stored_bytes", size_bytes, "Bytes of them."),
        ("samples_budget_bytes", samples_budget_bytes, "Bytes that they may have; above it the oldest go."),
    ):
        yield GaugeMetricFamily(f"tinyfleet_{name}", what, value=value)


def _labels(total: LiveTotal) -> list[str]:
    return [total.key.site, total.key.model, total.key.version]


def _counter(totals: list[LiveTotal], name: str, what: str, value: Callable[[LiveTotal], int]) -> Family:
    family = CounterMetricFamily(name, what, labels=MODEL_LABELS)
    for each in totals:
        family.add_metric(_labels(each), value(each))
    return family


def _tenths(
    totals: list[LiveTotal], name: str, what: str, counts: Callable[[LiveTotal], tuple[int, ...]]
) -> Family:
    """A histogram without a sum: nodes count tenths, and what they add up to nobody knows."""
    family = HistogramMetricFamily(name, what, labels=MODEL_LABELS)
    for each in totals:
        buckets, total = [], 0
        for i, count in enumerate(counts(each), 1):
            total += count
            buckets.append((f"{i / 10:.1f}" if i < len(counts(each)) else "+Inf", float(total)))
        family.add_metric(_labels(each), buckets=buckets, sum_value=None)
    return family
