"""The manager's commands: `commands` is a click group whose modules are read only when they are needed."""

from tinyfleet.fleet.cli.group import commands

__all__ = ["commands"]
