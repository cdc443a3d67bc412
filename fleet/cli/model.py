"""`tinyfleet model …`: the compiler's door. It needs no running fleet."""

from __future__ import annotations

import click


@click.group()
def model() -> None:
    """Compile and inspect models."""
