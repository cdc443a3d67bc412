"""Benches: what their boards are in, what was programmed and run, what had to be brought back."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.panels import board, panel, stacked, variable

STATE: Final = "tinyfleet_bench_board_state"
CHOSEN: Final = 'instance=~"$instance"'
BOARD: Final = CHOSEN + ',board=~"$board"'
SECONDS: Final = "tinyfleet_bench_flash_seconds"
WAITS: Final = "tinyfleet_bench_lease_wait_seconds"
ENERGY: Final = "tinyfleet_bench_inference_energy"
WHOSE: Final = "{{board}}: {{meter}} (simulated: {{simulated}})"


def _bound(sign: str) -> str:
    return f"{ENERGY}_joules{{{BOARD}}} {sign} 2 * {ENERGY}_uncertainty_joules{{{BOARD}}}"


def _per_hour(metric: str, by: str) -> str:
    return f"sum by ({by}) (increase({metric}{{{BOARD}}}[1h]))"


def _quantile(share: str, metric: str, by: str) -> str:
    return f"histogram_quantile({share}, sum by ({by}, le) (increase({metric}_bucket{{{CHOSEN}}}[6h])))"


def _panels() -> list[timeseries.Panel]:
    return [
        stacked(
            panel(
                "Boards by state",
                "What the agent knows of each board of its bench.yaml.",
                "short",
                (f"sum by (state) ({STATE}{{{BOARD}}})", "{{state}}"),
            )
        ),
        panel(
            "Rungs climbed, an hour",
            "What was done to bring boards back. Often: a bad cable, supply or flash.",
            "short",
            (_per_hour("tinyfleet_bench_recoveries_total", "board, rung"), "{{board}}: {{rung}}"),
        ),
        panel(
            "Bench runs, an hour",
            "OK: every byte as the host twin's; DIFFERENT: not so; FAILED: no result.",
            "short",
            (_per_hour("tinyfleet_bench_runs_total", "outcome"), "{{outcome}}"),
        ),
        panel(
            "Plans programmed, an hour",
            "FAILED: the error names board, step and cause.",
            "short",
            (_per_hour("tinyfleet_bench_flashes_total", "outcome"), "{{outcome}}"),
        ),
        panel(
            "Time to program a board",
            "Half of the plans of the last six hours, and nine in ten, took no longer.",
            "s",
            (_quantile("0.5", SECONDS, "device_type"), "half: {{device_type}}"),
            (_quantile("0.9", SECONDS, "device_type"), "nine in ten: {{device_type}}"),
        ),
        panel(
            "Waiting for a board",
            "Nine in ten reservations of the last six hours waited no longer.",
            "s",
            (_quantile("0.9", WAITS, "board"), "{{board}}"),
        ),
        panel(
            "Consoles, an hour",
            "Ports that broke off or could not be opened, and lines that a slow listener did not get.",
            "short",
            (_per_hour("tinyfleet_bench_serial_errors_total", "board"), "errors: {{board}}"),
            (_per_hour("tinyfleet_bench_console_lost_lines_total", "board"), "lost lines: {{board}}"),
        ),
        panel(
            "Energy of an inference",
            "Of each board's last run that a meter measured, without idling, ± 2 standard uncertainties. "
            "Simulated: made up by a simulated meter.",
            "joule",
            (f"{ENERGY}_joules{{{BOARD}}}", WHOSE),
            (_bound("+"), f"+ 2 u, {WHOSE}"),
            (_bound("-"), f"- 2 u, {WHOSE}"),
        ),
        panel(
            "Samples that meters lost",
            "Share of the samples of a power meter that did not arrive; simulated: no meter measured.",
            "percentunit",
            (
                f"{_per_hour('tinyfleet_bench_meter_lost_samples_total', 'board, meter, simulated')} / "
                f"{_per_hour('tinyfleet_bench_meter_samples_total', 'board, meter, simulated')}",
                WHOSE,
            ),
        ),
        panel(
            "Age of an agent's last round",
            "A round of duties takes about a second; one that hangs grows old until the watchdog ends it.",
            "s",
            (f"tinyfleet_bench_round_age_seconds{{{CHOSEN}}}", "{{instance}}"),
        ),
        panel(
            "Memory of the agent",
            "Resident; it stays flat over weeks.",
            "bytes",
            (f'process_resident_memory_bytes{{job="tinyfleet-agent",{CHOSEN}}}', "{{instance}}"),
        ),
    ]


def build() -> Dashboard:
    return board(
        "Benches",
        "tinyfleet-bench",
        "docs/agent.md says what each figure is; docs/runbook.md what to do when it alerts.",
        [variable("instance", "Agent", STATE), variable("board", "Board", STATE)],
        _panels(),
    )
