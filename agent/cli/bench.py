"""`tinyfleet bench …`: boards on this host. A module a command, read only when it is needed."""

from __future__ import annotations

import click

from tinyfleet.agent.cli.common import Lazy

_MODULES = {
    "scan": "bench_scan",
    "emulate": "bench_emulate",
    "flash": "bench_flash",
    "run": "bench_run",
    "provision": "bench_provision",
    "power": "bench_power",
    "meter": "bench_meter",
    "console": "bench_console",
    "list": "bench_list",
    "reserve": "bench_reserve",
    "renew": "bench_renew",
    "release": "bench_release",
    "mlperf": "bench_mlperf",
    "recover": "bench_recover",
    "history": "bench_history",
    "quarantine": "bench_quarantine",
    "unquarantine": "bench_unquarantine",
}


@click.command(cls=Lazy, modules=_MODULES)
def bench() -> None:
    """Boards on this host: find, emulate, program, run."""
