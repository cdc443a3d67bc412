"""Who has which board, as people and programs read it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from tinyfleet.agent.services.inventory import BoardStatus
from tinyfleet.agent.services.leases import Held

_DAY_S = 86_400


def until(held: Held) -> str:
    """The end of a reservation, by the clock on the wall; with its day, when that is not near."""
    if held.until_unix_s is None:
        return ""
    form = "%H:%M:%S" if held.until_unix_s - time.time() < _DAY_S / 2 else "%a %H:%M"
    return time.strftime(form, time.localtime(held.until_unix_s))


def as_json(held: Held) -> dict[str, Any]:
    return {
        "board": held.board,
        "holder": held.holder,
        "until": held.until_unix_s,
        "in_use": held.what,
        "queue": list(held.waiting),
    }


def board_json(status: BoardStatus) -> dict[str, Any]:
    spec = status.spec
    lease = {} if status.lease is None else as_json(status.lease)
    return lease | {
        "board": spec.name,
        "device_type": spec.device_type,
        "state": status.state.name,
        "emulated": status.emulated,
        "detail": status.detail,
        "labels": dict(spec.labels),
    }


def table(statuses: Sequence[BoardStatus]) -> Table:
    shown = Table()
    for column in ("board", "state", "holder", "until", "queue"):
        # Narrow terminals: what is long goes on in the next line, and no column is squeezed out.
        shown.add_column(column, overflow="fold", no_wrap=column == "until", min_width=len(column))
    for status in statuses:
        held = status.lease
        why = status.detail or ("emulated" if status.emulated else "")
        holder = "" if held is None or held.holder is None else held.holder
        if held is not None and held.what is not None:
            holder += f" ({held.what})"
        shown.add_row(
            Text(status.spec.name),
            Text(status.state.name).append(f"\n{why}" if why else "", "dim"),
            Text(holder),
            "" if held is None else until(held),
            Text("" if held is None else "\n".join(held.waiting)),
        )
    return shown
