"""What our dashboards are made of: panels of one size and look, variables, the board itself."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models.dashboard import Dashboard, DataSourceRef, VariableHide, VariableRefresh

SOURCE: Final = DataSourceRef(type_val="prometheus", uid="${source}")
ROW: Final = 8
HALF: Final = 12


def panel(title: str, what: str, unit: str, *queries: tuple[str, str]) -> timeseries.Panel:
    drawn = (
        timeseries.Panel()
        .title(title)
        .description(what)
        .datasource(SOURCE)
        .unit(unit)
        .min(0)
        .height(ROW)
        .span(HALF)
        .line_width(1)
        .fill_opacity(10)
        .legend(
            common.VizLegendOptions()
            .display_mode(looks.LegendDisplayMode.LIST)
            .placement(looks.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    )
    for number, (expr, legend) in enumerate(queries):
        query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(ord("A") + number))
        drawn = drawn.with_target(query.datasource(SOURCE))
    return drawn


def stacked(drawn: timeseries.Panel) -> timeseries.Panel:
    return drawn.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL)).fill_opacity(60)


def variable(name: str, label: str, metric: str) -> dashboard.QueryVariable:
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .query(f"label_values({metric}, {name})")
        .datasource(SOURCE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
        .multi(True)
        .include_all(True)
    )


def board(
    title: str,
    uid: str,
    about: str,
    variables: list[dashboard.QueryVariable],
    panels: list[timeseries.Panel],
) -> Dashboard:
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .tags(["tinyfleet"])
        .description(about)
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .editable()
        .with_variable(
            dashboard.DatasourceVariable("source")
            .label("Data source")
            .type("prometheus")
            .hide(VariableHide.DONT_HIDE)
        )
    )
    for each in variables:
        made = made.with_variable(each)
    for number, drawn in enumerate(panels, 1):
        made = made.with_panel(drawn.id(number))
    return made.build()
