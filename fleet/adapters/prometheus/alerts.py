"""What Prometheus watches for: recording rules and alerts, each with its heading in docs/runbook.md.

Shares over an hour are held against the day before, and only where an hour has enough inferences to tell a
change from chance: beyond three times what a binomial share scatters.
"""

from __future__ import annotations

import json
from typing import Any, Final

BY: Final = "site, model, model_version"
ENOUGH: Final = 100
"""Inferences an hour needs before it is compared with anything."""
RUNBOOK: Final = "docs/runbook.md"


def _share(part: str, window: str, offset: str = "") -> str:
    whole = f"sum by ({BY}) (increase(tinyfleet_inferences_total[{window}]{offset}))"
    return f"sum by ({BY}) (increase({part}[{window}]{offset})) / {whole}"


def _recorded(name: str, part: str) -> list[dict[str, Any]]:
    return [
        {"record": f"tinyfleet:{name}:ratio_1h", "expr": _share(part, "1h")},
        {"record": f"tinyfleet:{name}:ratio_1d_before", "expr": _share(part, "1d", " offset 1h")},
    ]


def _risen(name: str) -> str:
    """Half as much again as the day before, and more than chance."""
    now, before = f"tinyfleet:{name}:ratio_1h", f"tinyfleet:{name}:ratio_1d_before"
    count = f"sum by ({BY}) (increase(tinyfleet_inferences_total[1h]))"
    scatter = f"3 * sqrt({before} * (1 - {before}) / {count})"
    return f"{now} > 1.5 * {before} and {now} > {before} + {scatter} and {count} >= {ENOUGH}"


def _alert(name: str, expr: str, hold: str, summary: str) -> dict[str, Any]:
    return {
        "alert": name,
        "expr": expr,
        "for": hold,
        "labels": {"severity": "warning"},
        "annotations": {"summary": summary, "runbook": f"{RUNBOOK}#{name.lower()}"},
    }


def _of_board(function: str, metric: str) -> str:
    return f"sum by (instance, board) ({function}(tinyfleet_bench_{metric}))"


BENCH_STATE: Final = "tinyfleet_bench_board_state"
BENCH_BOARD: Final = "{{ $labels.board }} at {{ $labels.instance }}"
_LATE: Final = f'sum by ({BY}) (rate(tinyfleet_windows_missed_total{{cause="late"}}[10m]))'
_SEEN: Final = f"sum by ({BY}) (rate(tinyfleet_inferences_total[10m]))"
_OF: Final = "{{ $labels.model }} {{ $labels.model_version }} at {{ $labels.site }}"

RULES: Final[dict[str, Any]] = {
    "groups": [
        {
            "name": "tinyfleet_live",
            "rules": [
                *_recorded("class_switches", "tinyfleet_class_switches_total"),
                *_recorded("small_margins", 'tinyfleet_inference_margin_ratio_bucket{le="0.1"}'),
                _alert(
                    "TinyfleetWindowsMissed",
                    f"{_LATE} / ({_SEEN} + {_LATE}) > 0.05",
                    "10m",
                    f"{_OF} misses {{{{ $value | humanizePercentage }}}} of its windows",
                ),
                _alert(
                    "TinyfleetClassSwitching",
                    _risen("class_switches"),
                    "30m",
                    f"{_OF} changes its mind more often than the day before",
                ),
                _alert(
                    "TinyfleetMarginsSmall",
                    _risen("small_margins"),
                    "30m",
                    f"{_OF} is undecided more often than the day before",
                ),
                _alert(
                    "TinyfleetSampleStoreFull",
                    "tinyfleet_samples_stored_bytes / tinyfleet_samples_budget_bytes > 0.95",
                    "10m",
                    "captured windows fill their budget: the oldest are forgotten for new ones",
                ),
            ],
        },
        {
            "name": "tinyfleet_bench",
            "rules": [
                _alert(
                    "TinyfleetAgentDown",
                    'up{job="tinyfleet-agent"} == 0 or tinyfleet_bench_round_age_seconds > 60',
                    "5m",
                    "the agent at {{ $labels.instance }} is gone, or hangs",
                ),
                _alert(
                    "TinyfleetDutyFailing",
                    "max by (instance, duty) (tinyfleet_bench_duty_failing) == 1",
                    "15m",
                    "the agent at {{ $labels.instance }} cannot do one of its duties: {{ $labels.duty }}",
                ),
                _alert(
                    "TinyfleetCertificateEnds",
                    "min by (instance, client) (tinyfleet_bench_certificate_expiry_timestamp_seconds) "
                    "- time() < 14 * 86400",
                    "0m",
                    "the certificate of {{ $labels.client }} at {{ $labels.instance }} ends within two weeks",
                ),
                _alert(
                    "TinyfleetBoardQuarantined",
                    f'{BENCH_STATE}{{state="QUARANTINED"}} == 1',
                    "5m",
                    f"{BENCH_BOARD} is in quarantine: nothing brought it back",
                ),
                _alert(
                    "TinyfleetBoardAbsent",
                    f'{BENCH_STATE}{{state="ABSENT"}} == 1',
                    "15m",
                    f"{BENCH_BOARD} is not plugged in",
                ),
                _alert(
                    "TinyfleetBoardRecoversOften",
                    f"""{_of_board("increase", 'recoveries_total{outcome="OK"}[6h]')} > 5""",
                    "0m",
                    f"{BENCH_BOARD} had to be brought back {{{{ $value | humanize }}}} times in six hours",
                ),
                _alert(
                    "TinyfleetMeterLosesSamples",
                    f"{_of_board('rate', 'meter_lost_samples_total[30m]')} > "
                    f"0.001 * {_of_board('rate', 'meter_samples_total[30m]')}",
                    "10m",
                    f"the meter of {BENCH_BOARD} loses more than one sample in a thousand",
                ),
                _alert(
                    "TinyfleetBenchRunDiffers",
                    f"""{_of_board("increase", 'runs_total{outcome="DIFFERENT"}[1d]')} > 0""",
                    "0m",
                    f"a bench run on {BENCH_BOARD} gave other bytes than the host twin",
                ),
            ],
        },
    ]
}


def rules_file() -> str:
    """JSON is YAML, so nothing else is needed to write it."""
    return json.dumps(RULES, indent=2) + "\n"
