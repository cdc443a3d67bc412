"""`tinyfleet bench emulate`: emulated boards and nodes."""

from __future__ import annotations

from pathlib import Path

import click

from tinyfleet.agent.cli.common import (
    FILE,
    fail,
    json_option,
    one_line_errors,
    state_option,
    until_stopped,
)
from tinyfleet.agent.config import Folders


@click.command()
@click.option(
    "--machine",
    type=click.Choice(["microbit", "mps2-an386", "mps2-an500", "mps3-an547"]),
    default="microbit",
    show_default=True,
)
@click.option("--count", type=click.IntRange(1, 32), default=1, show_default=True, help="How many.")
@click.option("--flash", type=FILE, help="mps2-*: the node's flash, a file; made when absent.")
@click.option("--kernel", type=FILE, help="mps2-*, mps3-*: a bootloader (boot.elf) in ROM.")
@click.option("--network", is_flag=True, help="mps2-*: the boards have a network card, too.")
@click.option(
    "--smp-port", type=click.IntRange(1, 65535), help="mps2-*: UDP port here that leads to the node's SMP."
)
@click.option("--terminal", is_flag=True, help="mps2-*: the node's console is a terminal, too.")
@json_option
@state_option
@one_line_errors
def emulate(
    machine: str,
    count: int,
    flash: Path | None,
    kernel: Path | None,
    network: bool,
    smp_port: int | None,
    terminal: bool,
    as_json: bool,
    folders: Folders,
) -> None:
    """Run emulated boards until Ctrl-C.

    With --flash and --kernel, one networked node that starts like a deployed one. Without --flash, boards for
    pyOCD: what is programmed is kept. With --kernel and --network these are nodes with a debug probe.
    """
    from tinyfleet.agent.adapters.emulator import MACHINES
    from tinyfleet.agent.cli import emulation

    if flash is not None and kernel is None:
        fail("a networked node needs both --flash and --kernel")
    if flash is None and (smp_port is not None or terminal):
        fail("--smp-port and --terminal are of a networked node: give its --flash and --kernel, too")
    with until_stopped() as stop:
        if flash is not None and kernel is not None:
            if machine not in MACHINES or count != 1:
                fail(f"--flash and --kernel go with one --machine {' or '.join(MACHINES)}")
            emulation.node(machine, flash, kernel, folders, stop, smp_port, terminal)
        else:
            emulation.boards(machine, count, folders, stop, kernel, network, as_json)
