"""What a power meter tells, as people see it: a curve that grows, and the figures of the whole."""

from __future__ import annotations

from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tinyfleet.agent.cli.chart import amperes, chart
from tinyfleet.agent.core.power.samples import Meter
from tinyfleet.agent.core.power.trace import Trace

HEIGHT: Final = 9
_LABELS: Final = 10
_FRAME: Final = 4
SIMULATED: Final = "SIMULATED: what it tells is made up"


class MeterView:
    """Drawn as wide as the terminal is."""

    def __init__(self, board: str, meter: Meter, trace: Trace) -> None:
        self._board = board
        self._meter = meter
        self._trace = trace

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(options.max_width - _LABELS - _FRAME, 20)
        trace = self._trace
        spans = [
            (float(low), float(high)) if count else None
            for low, high, count in zip(trace.low_ua, trace.high_ua, trace.counts, strict=True)
        ]
        lines, axis = chart(spans, width, HEIGHT)
        drawn = Text()
        for row, line in enumerate(lines):
            label = "" if axis is None or row % 4 else amperes(axis.value(1 - row / (HEIGHT - 1)))
            drawn.append(f"{label:>{_LABELS - 2}} ", style="dim")
            drawn.append("┤" if label else "│", style="dim")
            drawn.append(f"{line}\n", style="cyan")
        seconds = f"{trace.seconds:g} s" + (", logarithmic" if axis is not None and axis.logarithmic else "")
        drawn.append(f"{'':>{_LABELS - 1}}└0 s{seconds:─>{max(width - 4, 4)}}", style="dim")
        title = f"{self._board}: {self._meter.label}"
        style = "yellow" if self._meter.simulated else "green"
        yield Panel(
            Group(self._figures(), drawn),
            title=title,
            subtitle=SIMULATED if self._meter.simulated else None,
            border_style=style,
            padding=(0, 1),
        )

    def _figures(self) -> Table:
        trace = self._trace
        table = Table.grid(padding=(0, 3))
        least, most = (trace.least_ua, trace.most_ua) if trace.samples else (0.0, 0.0)
        table.add_row(
            Text(f"now {amperes(trace.now_ua)}", style="bold"),
            f"least {amperes(least)}",
            f"mean {amperes(trace.mean_ua)}",
            f"most {amperes(most)}",
            Text(f"lost {trace.lost}", style="red" if trace.lost else "dim"),
        )
        return table


def summary(board: str, meter: Meter, trace: Trace) -> Table:
    table = Table(title=f"{board}: {meter.label}", show_header=False)
    if meter.simulated:
        table.add_row("simulated", "what it tells is made up", style="yellow")
    seconds = max(trace.end_s, 1e-9)
    table.add_row(
        "current",
        f"{amperes(trace.least_ua)} least, {amperes(trace.mean_ua)} mean, {amperes(trace.most_ua)} most",
    )
    table.add_row("power", f"{trace.energy_uj / seconds / 1000:.4g} mW mean")
    table.add_row("charge", f"{trace.charge_uc:.4g} µC, {trace.charge_uc / 3600:.3g} µAh")
    table.add_row("energy", f"{trace.energy_uj:.4g} µJ in {seconds:.2f} s")
    least = "at least " if trace.lost and meter.counts_modulo else ""
    table.add_row("samples", f"{trace.samples} at {meter.rate_hz:g} a second, {least}{trace.lost} lost")
    table.add_row("window pin", f"{trace.edges} falling edges")
    table.add_row("calibration", meter.calibration)
    return table


def as_json(board: str, meter: Meter, trace: Trace) -> dict[str, Any]:
    return {
        "board": board,
        "simulated": meter.simulated,
        "meter": meter.name,
        "serial": meter.serial,
        "calibration": meter.calibration,
        "accuracy": meter.accuracy,
        "rate_hz": meter.rate_hz,
        "seconds": round(trace.end_s, 6),
        "samples": trace.samples,
        "lost": trace.lost,
        "edges": trace.edges,
        "current_ua": {"min": trace.least_ua, "mean": trace.mean_ua, "max": trace.most_ua},
        "charge_uc": trace.charge_uc,
        "energy_uj": trace.energy_uj,
    }
