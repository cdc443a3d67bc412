"""A run of MLPerf Tiny as people read it."""

from __future__ import annotations

from rich.table import Table

from tinyfleet.agent.core.mlperf_run import BENCHMARKS, MlperfResult, Mode


def mlperf_table(result: MlperfResult) -> Table:
    run = result.run
    kind = "emulated " if run.emulated else ""
    table = Table(title=f"{run.board} ({kind}{run.device_type}): {result.mode.value}", show_header=False)
    table.add_row("device", f"{result.name}, {result.profile}")
    table.add_row("benchmark", result.benchmark or "not told")
    known = BENCHMARKS.get(result.benchmark)
    if run.accuracy is not None:
        asked = "" if known is None else f"; {100 * known.quality:g} % asked for"
        part = f"{run.correct} of {run.labelled}"
        table.add_row("top-1", f"{100 * run.accuracy:.1f} % ({part}){asked}")
    if result.auc is not None and known is not None:
        table.add_row("AUC", f"{result.auc:.3f}; {known.quality:g} asked for")
    if run.compared:
        table.add_row(
            "same bytes as the host twin",
            f"{run.compared - run.different} of {run.compared}, by what was printed",
        )
    for difference in run.differences:
        got = difference.got.hex() or "no output of this model"
        table.add_row(f"  input {difference.window}", f"expected {difference.expected.hex()}, got {got}")
    for number, window in enumerate(result.windows, 1):
        energy = window.energy_per_inference_uj
        table.add_row(
            f"  window {number}",
            f"{window.inferences} inferences, {window.duration_us / 1e6:.3f} s, {window.throughput:.4g} inf/s"
            + ("" if energy is None else f", {energy:.4g} uJ/inf"),
        )
    if result.throughput is not None:
        table.add_row("median", f"{result.throughput:.4g} inferences/s")
    if result.energy_uj is not None:
        table.add_row("median energy", f"{result.energy_uj:.4g} uJ an inference, idling included")
        table.add_row("  meter", f"{result.meter}, {result.calibration}")
    elif result.mode is not Mode.ENERGY:
        table.add_row("energy", "not measured")
    table.add_row("latency", f"{run.latency_median_us} us median, {run.latency_max_us} us at most")
    for objection in result.objections:
        table.add_row("no score", objection)
    table.add_row("took", f"{run.elapsed_s:.1f} s")
    return table
