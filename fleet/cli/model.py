"""`tinyfleet model …`: the compiler's door. It needs no running fleet."""

from __future__ import annotations

import click

from tinyfleet.fleet.cli.model_build import build
from tinyfleet.fleet.cli.model_check import check
from tinyfleet.fleet.cli.model_diff import diff
from tinyfleet.fleet.cli.model_inspect import inspect
from tinyfleet.fleet.cli.model_profile import profile


@click.group()
def model() -> None:
    """Compile, inspect, check, profile and compare models."""


for command in (build, inspect, check, profile, diff):
    model.add_command(command)
