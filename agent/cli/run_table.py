"""A bench run as people read it."""

from __future__ import annotations

import math

from rich.table import Table
from rich.text import Text

from tinyfleet.agent.core.bench_run import RunResult
from tinyfleet.agent.core.energy import COVERAGE, Energy
from tinyfleet.wire.enums import EnergyWindow, Timing


def run_table(result: RunResult) -> Table:
    kind = "emulated " if result.emulated else ""
    made_up = ", energy simulated" if result.energy is not None and result.energy.simulated else ""
    table = Table(title=f"{result.board} ({kind}{result.device_type}{made_up})", show_header=False)
    table.add_row("model", f"{result.version}, image {result.model.hex()[:16]}")
    table.add_row("golden set", f"{result.windows} windows, {result.stored} of them in the board's flash")
    if result.compared:
        same = result.compared - result.different
        table.add_row("same bytes as the host twin", f"{same} of {result.compared}")
    for difference in result.differences:
        table.add_row(
            f"  window {difference.window}",
            f"expected {difference.expected.hex()}, got {difference.got.hex()}",
        )
    if result.accuracy is not None:
        table.add_row("accuracy", f"{100 * result.accuracy:.1f} % ({result.correct} of {result.labelled})")
    table.add_row("latency", f"{result.latency_median_us} us median, {result.latency_max_us} us at most")
    if result.timing is Timing.INSTRUCTIONS:
        table.add_row("", "emulated, instruction-timed: no cycle model")
    if result.energy is not None:
        add_energy(table, result.energy)
    elif result.no_energy is not None:
        table.add_row("energy", Text.assemble(("not measured", "red"), f": {result.no_energy}"))
    elif result.emulated:
        table.add_row("energy", "not measured: an emulated board has none")
    table.add_row("took", f"{result.elapsed_s:.1f} s")
    return table


def add_energy(table: Table, energy: Energy) -> None:
    """Rows of an inference's energy; each figure of a simulated meter says that it is made up."""
    made_up = ("simulated, made up: " if energy.simulated else "", "yellow")
    expanded = COVERAGE * energy.uncertainty_uj
    missing = "" if energy.accuracy_known else ", without the meter's own accuracy, which is not known"
    table.add_row(
        "energy an inference",
        Text.assemble(made_up, f"{rounded(energy.energy_uj, expanded)} µJ (k = {COVERAGE:g}{missing})"),
    )
    table.add_row(
        "  without idling of",
        Text.assemble(made_up, f"{energy.idle.before_uw:.4g} µW before, {energy.idle.after_uw:.4g} µW after"),
    )
    by = "the window pin's edges" if energy.by is EnergyWindow.EDGE else "times on the console"
    count = (
        f"{energy.windows} windows of {energy.window_s * 1000:.4g} ms" if energy.windows > 1 else "1 window"
    )
    least = "at least " if energy.lost_at_least else ""
    lost = f"{least}{energy.lost} of {energy.samples + energy.lost} samples lost"
    table.add_row("  measured", Text.assemble(made_up, f"{count} by {by}; {lost}"))
    table.add_row("  meter", f"{energy.meter.label}, {energy.meter.calibration}")
    if energy.note is not None:
        table.add_row("  note", energy.note)


def rounded(value: float, uncertainty: float) -> str:
    """Both to the second digit of the uncertainty (GUM 7.2.6)."""
    digits = 1 - math.floor(math.log10(uncertainty)) if uncertainty > 0 else 6
    decimals = min(max(digits, 0), 6)
    return f"{value:.{decimals}f} ± {uncertainty:.{decimals}f}"
