"""`python -m tinyfleet.fleet`: the manager's commands alone."""

from tinyfleet.fleet.cli import commands

if __name__ == "__main__":
    commands()
