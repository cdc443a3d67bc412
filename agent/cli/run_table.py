"""A bench run as people read it."""

from __future__ import annotations

from rich.table import Table

from tinyfleet.agent.core.bench_run import RunResult
from tinyfleet.wire.enums import Timing


def run_table(result: RunResult) -> Table:
    kind = "emulated " if result.emulated else ""
    table = Table(title=f"{result.board} ({kind}{result.device_type})", show_header=False)
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
        table.add_row("energy", "not measured: an emulated board has none")
    table.add_row("took", f"{result.elapsed_s:.1f} s")
    return table
