"""`tinyfleet device capture` and `tinyfleet device event-rule`: what a device does with its windows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinyfleet.fleet.cli.common import client, fail, one_line_errors, order_of, state_option

if TYPE_CHECKING:
    from tinyfleet.fleet.api.schemas import LiveOut

classes_option = click.option(
    "--class", "classes", multiple=True, help="Label or number; may be given several times. None: any class."
)


def _say(done: LiveOut, what: str) -> None:
    click.echo(f"{done.device}: {what} (generation {done.generation})")


@click.command()
@click.argument("name")
@classes_option
@click.option(
    "--margin-below",
    type=click.FloatRange(0, 1, min_open=True),
    help="Only windows whose top score is less than this above the second.",
)
@click.option("--per-day", type=click.IntRange(1, 100_000), help="Windows at most in 24 hours.")
@click.option("--day-bytes", type=click.IntRange(1, 1 << 31), help="Bytes of them at most.")
@click.option("--off", is_flag=True, help="Send no more windows.")
@state_option
@one_line_errors
def capture(
    name: str,
    classes: tuple[str, ...],
    margin_below: float | None,
    per_day: int | None,
    day_bytes: int | None,
    off: bool,
    state: Path,
) -> None:
    """Ask device NAME for raw windows of its sensor, for labelling and retraining.

    It sends none unless asked. Windows are raw data and may show what people do: ask for as few as you need,
    and see `tinyfleet samples` for what is kept and how it is forgotten.
    """
    from tinyfleet.fleet.api.schemas import CaptureIn

    if off:
        if classes or margin_below is not None or per_day is not None or day_bytes is not None:
            fail("--off stands alone: it asks for no windows")
        with client(state) as fleet:
            _say(fleet.capture_off(name), "sends no windows from now on")
        return
    if per_day is None or day_bytes is None:
        fail("name a budget by --per-day and --day-bytes, or --off")
    order = order_of(
        CaptureIn, classes=list(classes), margin_below=margin_below, per_day=per_day, day_bytes=day_bytes
    )
    with client(state) as fleet:
        done = fleet.capture(name, order)
    of = f" of {', '.join(classes)}" if classes else ""
    below = "" if margin_below is None else f" with a margin below {margin_below:g}"
    _say(done, f"sends windows{of}{below}, at most {per_day} and {day_bytes} bytes a day")


@click.command("event-rule")
@click.argument("name")
@classes_option
@click.option("--min-score", type=click.FloatRange(0, 1), default=0.0, show_default=True)
@click.option(
    "--windows", type=click.IntRange(1, 32), default=1, show_default=True, help="Of the last so many…"
)
@click.option("--hits", type=click.IntRange(1, 32), default=1, show_default=True, help="…so many must agree.")
@click.option(
    "--hold-off",
    "hold_off_s",
    type=click.IntRange(0, 86_400),
    default=10,
    show_default=True,
    help="Seconds between two events.",
)
@state_option
@one_line_errors
def event_rule(
    name: str,
    classes: tuple[str, ...],
    min_score: float,
    windows: int,
    hits: int,
    hold_off_s: int,
    state: Path,
) -> None:
    """Say when device NAME tells of a class. Without options: of any change of class, as it does at first."""
    from tinyfleet.fleet.api.schemas import EventRuleIn

    order = order_of(
        EventRuleIn,
        classes=list(classes),
        min_score=min_score,
        windows=windows,
        hits=hits,
        hold_off_s=hold_off_s,
    )
    with client(state) as fleet:
        done = fleet.event_rule(name, order)
    of = ", ".join(classes) if classes else "any class"
    _say(
        done,
        f"tells of {of} seen in {hits} of {windows} windows with a score of {min_score:g} or more, "
        f"{hold_off_s} s apart",
    )
