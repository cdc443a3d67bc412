"""What nodes see, and how sure they are: classes, switches, margins, missed windows, captured samples."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.panels import board, panel, stacked, variable

CHOSEN: Final = 'site=~"$site",model=~"$model"'
BY: Final = "site, model, model_version"
NAME: Final = "{{model}} {{model_version}} at {{site}}"
BY_PAIR: Final = "model, model_version, challenger, challenger_version"
PAIR: Final = "{{challenger}} {{challenger_version}} beside {{model}} {{model_version}}"
SWITCHES: Final = "tinyfleet_class_switches_total"
INFERENCES: Final = "tinyfleet_inferences_total"
AGREEMENTS: Final = "tinyfleet_shadow_agreements_total"
COMPARED: Final = "tinyfleet_shadow_windows_total"
MARGIN: Final = "tinyfleet_inference_margin_ratio_bucket"
CONFIDENCE: Final = "tinyfleet_inference_confidence_ratio_bucket"


def _rate(metric: str, more: str = "", by: str = BY) -> str:
    return f"sum by ({by}) (rate({metric}{{{CHOSEN}{more}}}[$__rate_interval]))"


def _below(metric: str, bound: str) -> str:
    """Share of inferences below a bound of a histogram."""
    part, whole = _rate(metric, f',le="{bound}"'), _rate(metric, ',le="+Inf"')
    return f"{part} / {whole}"


def _panels() -> list[timeseries.Panel]:
    return [
        stacked(
            panel(
                "Inferences by class",
                "The class on top of each inference.",
                "ops",
                (_rate(INFERENCES, by="class"), "{{class}}"),
            )
        ),
        panel(
            "Switch rate",
            "Share of windows of another class than the one before; what wavers more has drifted.",
            "percentunit",
            (f"{_rate(SWITCHES)} / {_rate(INFERENCES)}", NAME),
        ),
        panel(
            "Undecided",
            "Share of inferences whose top score is less than 0.1 or 0.2 above the second.",
            "percentunit",
            (_below(MARGIN, "0.1"), f"margin < 0.1: {NAME}"),
            (_below(MARGIN, "0.2"), f"margin < 0.2: {NAME}"),
        ),
        panel(
            "Unsure",
            "Share of inferences whose top score is below 0.5.",
            "percentunit",
            (_below(CONFIDENCE, "0.5"), NAME),
        ),
        panel(
            "Median margin",
            "Half of the inferences have a larger one. Nodes count tenths; above 0.9 it says 0.9.",
            "percentunit",
            (f"histogram_quantile(0.5, {_rate(MARGIN, by=f'{BY}, le')})", NAME),
        ),
        stacked(
            panel(
                "Missed windows",
                "late: inference or sample line too slow; trial: a new model's golden vectors ran.",
                "ops",
                (_rate("tinyfleet_windows_missed_total", by="cause"), "{{cause}}"),
            )
        ),
        panel(
            "Captured windows",
            "Raw windows that nodes sent as asked, and those that budget or link kept back.",
            "ops",
            (_rate("tinyfleet_samples_captured_total", by="site"), "sent from {{site}}"),
            (_rate("tinyfleet_samples_skipped_total", by="site"), "kept back at {{site}}"),
        ),
        panel(
            "Windows kept by the manager",
            "Above the budget the oldest are forgotten; `tinyfleet samples` lists and exports them.",
            "bytes",
            ("tinyfleet_samples_stored_bytes", "kept"),
            ("tinyfleet_samples_budget_bytes", "budget"),
        ),
        panel(
            "Agreement with a shadow challenger",
            "Windows of which both models named the same class. No accuracy: which was right is open.",
            "percentunit",
            (f"{_rate(AGREEMENTS, by=BY_PAIR)} / {_rate(COMPARED, by=BY_PAIR)}", PAIR),
        ),
        panel(
            "What challengers leave out, and cost",
            "skipped: windows that a challenger left out for want of time; missed: by the running model.",
            "ops",
            (_rate("tinyfleet_shadow_skipped_total", by=BY_PAIR), f"skipped: {PAIR}"),
            (_rate("tinyfleet_shadow_missed_total", by=BY_PAIR), f"missed: {PAIR}"),
        ),
    ]


def build() -> Dashboard:
    return board(
        "What nodes see",
        "tinyfleet-live",
        "docs/live.md says what each figure is; docs/runbook.md what to do when it alerts.",
        [variable("site", "Site", INFERENCES), variable("model", "Model", INFERENCES)],
        _panels(),
    )
