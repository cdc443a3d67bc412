"""The agent's commands: `cli` is a click group whose modules are read only when they are needed."""

from __future__ import annotations

import importlib

import click

_COMMANDS = {"bench": "bench", "agent": "agent"}


class _Lazy(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"{__name__}.{_COMMANDS[name]}"), name)
        return command


@click.command(cls=_Lazy)
def cli() -> None:
    """A bench of boards: find, flash, run."""
