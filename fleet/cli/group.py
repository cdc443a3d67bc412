"""The group of commands. Each noun's file is imported when its command is called, so that `--help` is
quick.
"""

from __future__ import annotations

import importlib
from typing import Final

import click

HERE: Final = "tinyfleet.fleet.cli"
COMMANDS: Final[dict[str, tuple[str, str, str]]] = {
    "up": ("up", "up", "Start broker, manager and Prometheus in one state folder."),
    "serve": ("up", "serve", "Run the manager alone, beside a broker that runs already."),
    "health": ("health", "health", "Ask the running manager how it is."),
    "devices": ("device", "devices", "List the devices."),
    "device": ("device", "device", "Provision, set, show and remove devices."),
    "agent": ("agent", "agent", "Register agents (bench hosts) and list their boards."),
    "model": ("model", "model", "Compile, inspect, check, profile and compare models."),
    "release": ("release", "release", "Create, import and list releases."),
    "rollout": ("rollout", "rollout", "Start, watch, list and cancel rollouts."),
    "shadow": ("shadow", "shadow", "Compare a model with the one that runs, on the same windows."),
    "samples": ("samples", "samples", "List, export and remove captured windows."),
    "mqtt": ("mqtt", "mqtt", "Look at what crosses the broker."),
}
"""Command: module, attribute, and one line of help (so that a list needs no import)."""


class LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute, _ = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(f"{HERE}.{module}"), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, _, line) in COMMANDS.items()])


@click.group("fleet", cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
def commands() -> None:
    """The fleet's manager: devices, releases, rollouts."""
