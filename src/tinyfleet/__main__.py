"""The command `tinyfleet`: joins what the manager and the agent offer, importing either only when it is
called."""

from __future__ import annotations

import codecs
import importlib
import io
import sys

import click

from tinyfleet import __version__

# Each door is a lazy click group of one program; a noun that both know (`agent`) shows the commands of both.
DOORS = {
    "fleet": ("tinyfleet.fleet.cli", "commands"),
    "agent": ("tinyfleet.agent.cli", "cli"),
}


def _door(extra: str) -> click.Group:
    """One program's group. Raises ClickException naming the extra when its packages are not installed."""
    module, attribute = DOORS[extra]
    try:
        group: click.Group = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this command needs {error.name}, which is not installed: pip install 'tinyfleet[{extra}]'"
        ) from error
    return group


class Joined(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        names = [name for extra in DOORS for name in _door(extra).list_commands(ctx)]
        return list(dict.fromkeys(names))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        found = []
        for extra in DOORS:
            command = _door(extra).get_command(ctx, name)
            if command is not None:
                found.append(command)
        if len(found) < 2:
            return found[0] if found else None
        groups = [each for each in found if isinstance(each, click.Group)]
        return click.CommandCollection(name, sources=groups, help=" ".join(g.help or "" for g in groups))


PLAIN = {"µ": "u", "±": "+-", "…": "...", "→": "->", "·": "*"}
"""What stands for a character where the terminal cannot show it; for others a question mark does."""


def _plain(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end]
    return "".join(PLAIN.get(character, "?") for character in text), error.end


def _show_anything() -> None:
    """Output never fails for want of a character, in whatever locale: half a table is worse than a `?`."""
    codecs.register_error("tinyfleet-plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="tinyfleet-plain")


@click.command(cls=Joined, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="tinyfleet")
def main() -> None:
    """Fleets of TinyML devices, hardware in the loop: flash, measure, roll out, watch."""
    _show_anything()


if __name__ == "__main__":
    main()
