"""How many series of /metrics the totals in the database are: what `series_max` caps."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, func, select

from tinyfleet.fleet.adapters.sql.schema import class_totals, latency_totals, live_totals, shadow_totals

HISTOGRAM_SERIES: Final = 17
LIVE_SERIES: Final = 26
"""Two histograms of 10 buckets with their counts, and what is counted beside them."""
SHADOW_SERIES: Final = 4
"""Of each pair of models at a site."""
_OF_A_ROW: Final = (
    (class_totals, 1),
    (latency_totals, HISTOGRAM_SERIES),
    (live_totals, LIVE_SERIES),
    (shadow_totals, SHADOW_SERIES),
)


def series(connection: Connection) -> int:
    return sum(
        each * int(connection.execute(select(func.count()).select_from(table)).scalar_one())
        for table, each in _OF_A_ROW
    )
