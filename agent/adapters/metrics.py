"""The agent's own metrics for Prometheus: what its boards are, and what all programs of the bench counted.

What was not measured has no series. Every label set is bounded: boards come from bench.yaml, the rest from
enumerations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol, cast

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from tinyfleet.agent.core.broker import Validity
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.core.tally import METRICS, Metric, Series, Tally
from tinyfleet.agent.services.inventory import BoardStatus
from tinyfleet.agent.services.watch import Rounds
from tinyfleet.wire.enums import BoardState

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
_PREFIX = "tinyfleet_bench_"
_JOIN_S = 5.0
_IDLE_S = 5.0
"""A connection on which nothing comes for so long is ended: its thread would stay otherwise."""


class Links(Protocol):
    """To the manager's broker. `connected` None: the agent works alone."""

    def connected(self) -> bool | None: ...

    def certificates(self) -> Mapping[str, Validity]: ...


class BenchCollector(Collector):
    def __init__(
        self,
        boards: Callable[[], Sequence[BoardStatus]],
        tally: Callable[[], Tally],
        rounds: Callable[[], Rounds],
        links: Links,
    ) -> None:
        self._boards = boards
        self._tally = tally
        self._rounds = rounds
        self._links = links

    def describe(self) -> Iterable[Family]:
        """Nothing: registering must not read files."""
        return []

    def collect(self) -> Iterator[Family]:
        yield from _board_families(self._boards())
        tally = self._tally()
        yield from _tally_families(tally)
        rounds = self._rounds()
        yield CounterMetricFamily(_PREFIX + "rounds", "Rounds of duties done.", value=rounds.count)
        yield GaugeMetricFamily(
            _PREFIX + "round_age_seconds", "Since the last round of duties ended.", value=rounds.age_s
        )
        failing = GaugeMetricFamily(
            _PREFIX + "duty_failing", "Duties that failed in the last round (1).", labels=["duty"]
        )
        for duty in rounds.trouble:
            failing.add_metric([duty], 1.0)
        yield failing
        if (connected := self._links.connected()) is not None:
            yield GaugeMetricFamily(
                _PREFIX + "manager_connected", "Whether the manager's broker is reached (1).", value=connected
            )
        ends = GaugeMetricFamily(
            _PREFIX + "certificate_expiry_timestamp_seconds",
            "When a certificate ends by which the broker is reached.",
            labels=["client"],
        )
        for name, validity in self._links.certificates().items():
            ends.add_metric([name], float(validity.last_s))
        yield ends


def _board_families(boards: Sequence[BoardStatus]) -> Iterator[Family]:
    states = GaugeMetricFamily(
        _PREFIX + "board_state",
        "1 for the state a board is in, 0 for the others.",
        labels=["board", "device_type", "emulated", "state"],
    )
    for board in boards:
        for state in BoardState:
            labels = [board.spec.name, board.spec.device_type, _word(board.emulated), state.name]
            states.add_metric(labels, float(board.state is state))
    yield states
    yield from _energy_families(boards)


def _energy_families(boards: Sequence[BoardStatus]) -> Iterator[Family]:
    """Of each board's last run that a meter measured; `simulated`: made up by a simulated one. A run of an
    earlier version has no calibration."""
    labels = ["board", "device_type", "meter", "windows_by", "simulated"]
    energy = GaugeMetricFamily(
        _PREFIX + "inference_energy_joules", "Of an inference, without idling.", labels=labels
    )
    uncertainty = GaugeMetricFamily(
        _PREFIX + "inference_energy_uncertainty_joules", "Its standard uncertainty.", labels=labels
    )
    calibration = GaugeMetricFamily(
        _PREFIX + "inference_energy_calibration_info",
        "1 for the calibration that the meter of that run told.",
        labels=["board", "meter", "simulated", "calibration"],
    )
    for board in boards:
        run = board.run
        if run is None or run.energy_nj is None or run.energy_by is None:
            continue
        simulated = _word(run.energy_simulated is not False)
        values = [board.spec.name, board.spec.device_type, run.meter or ""]
        values += [run.energy_by.name, simulated]
        energy.add_metric(values, run.energy_nj * 1e-9)
        uncertainty.add_metric(values, (run.energy_uncertainty_nj or 0) * 1e-9)
        if run.calibration is not None:
            calibration.add_metric([board.spec.name, run.meter or "", simulated, run.calibration], 1.0)
    yield from (energy, uncertainty, calibration)


def _tally_families(tally: Tally) -> Iterator[Family]:
    families = {metric: _family(metric) for metric in METRICS}
    for metric, labels, series in tally.all():
        _add(families[metric], metric, labels, series)
    yield from families.values()


def _family(metric: Metric) -> CounterMetricFamily | HistogramMetricFamily:
    kind = HistogramMetricFamily if metric.bounds else CounterMetricFamily
    return kind(_PREFIX + metric.name, metric.help, labels=list(metric.labels))


def _add(
    family: CounterMetricFamily | HistogramMetricFamily, metric: Metric, labels: Sequence[str], series: Series
) -> None:
    if isinstance(family, CounterMetricFamily):
        family.add_metric(labels, series.value)
        return
    total, buckets = 0, []
    for bound, count in zip([*map(str, metric.bounds), "+Inf"], series.buckets, strict=True):
        total += count
        buckets.append((bound, float(total)))
    family.add_metric(labels, buckets, series.value)


def _word(value: bool) -> str:
    return "true" if value else "false"


def registry_of(collector: BenchCollector) -> CollectorRegistry:
    """The bench's metrics and this process's own (memory, CPU, open files)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    ProcessCollector(registry=registry)
    return registry


@contextmanager
def metrics_server(address: str, collector: BenchCollector) -> Iterator[None]:
    """Serves the text format at `address` ("HOST:PORT"). Raises AgentError when the port is not to be had."""
    host, _, port = address.rpartition(":")
    try:
        server, thread = start_http_server(int(port), host, registry_of(collector))
    except (OSError, OverflowError) as error:
        raise AgentError(
            f"cannot serve metrics at {address}: {error}", "change `metrics` in bench.yaml"
        ) from error
    # The library has no option for it; socketserver asks the handler's class.
    handler = cast(type, server.RequestHandlerClass)
    server.RequestHandlerClass = type("Handler", (handler,), {"timeout": _IDLE_S})
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(_JOIN_S)
