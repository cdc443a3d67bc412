"""What shadow challengers counted beside the models that run. Agreement is not accuracy: nobody says here
which of two models was right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from tinyfleet.fleet.core.shadow import ShadowState
from tinyfleet.fleet.services.ports import ShadowTotal, Tx

LABELS: Final = ("site", "model", "model_version", "challenger", "challenger_version")
COUNTERS: Final[tuple[tuple[str, str, Callable[[ShadowTotal], int]], ...]] = (
    ("windows", "Windows that the running model and its challenger both classified.", lambda t: t.windows),
    (
        "agreements",
        "Of these, windows of the same class; not how often either is right.",
        lambda t: t.agreements,
    ),
    ("skipped", "Windows that a challenger left out to cost the running model none.", lambda t: t.skipped),
    ("missed", "Windows that the running model missed because of a challenger.", lambda t: t.missed),
)


def shadow_families(tx: Tx) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
    totals = tx.shadows.totals()
    for name, what, value in COUNTERS:
        family = CounterMetricFamily(f"tinyfleet_shadow_{name}", what, labels=LABELS)
        for each in totals:
            key = each.key
            labels = [key.site, key.model, key.version, key.challenger, key.challenger_version]
            family.add_metric(labels, value(each))
        yield family
    devices = GaugeMetricFamily("tinyfleet_shadow_devices", "Challengers by state.", labels=["state"])
    states = [shadow.state for shadow in tx.shadows.all()]
    for state in ShadowState:
        devices.add_metric([state.value], states.count(state))
    yield devices
