"""Emulated boards and nodes in the foreground."""

from __future__ import annotations

import threading
from pathlib import Path

from rich.table import Table

from tinyfleet.agent.adapters.emulated_boards import EmulatedBoards, use_folder
from tinyfleet.agent.adapters.emulator import EmulatedNode
from tinyfleet.agent.cli.common import meanwhile, out, show_json
from tinyfleet.agent.config import Folders

WATCH_S = 0.5


def boards(
    machine: str,
    count: int,
    folders: Folders,
    stop: threading.Event,
    kernel: Path | None = None,
    network: bool = False,
    as_json: bool = False,
) -> None:
    """Starts boards qemu-MACHINE-0001 and on, and again those whose QEMU dies, until `stop`."""
    root = use_folder(folders.boards)
    with EmulatedBoards() as running:
        ids = [f"qemu-{machine}-{number:04d}" for number in range(1, count + 1)]
        consoles = {each: running.start(each, machine, kernel=kernel, network=network) for each in ids}
        if as_json:
            show_json([{"probe": probe, "console": console} for probe, console in consoles.items()])
        else:
            table = Table(title="emulated boards")
            for column in ("probe", "console"):
                table.add_column(column, no_wrap=True)
            for row in consoles.items():
                table.add_row(*row)
            out.print(table)
        meanwhile.print("Their time counts instructions: no cycle model.")
        meanwhile.print(
            f"pyOCD finds them: PYOCD_QEMU_DIR={root} pyocd list", highlight=False, soft_wrap=True
        )
        meanwhile.print("Ctrl-C ends them; what was programmed is kept")
        while not stop.wait(WATCH_S):
            for cause in running.revive().values():
                meanwhile.print(cause, soft_wrap=True)


def node(
    machine: str,
    flash: Path,
    kernel: Path,
    folders: Folders,
    stop: threading.Event,
    smp_port: int | None = None,
    terminal: bool = False,
) -> None:
    """Runs a networked node and shows its console until `stop`, or until it dies (EmulatorError)."""
    emulator = EmulatedNode(
        flash=flash,
        kernel=kernel,
        state_dir=folders.nodes / flash.stem,
        machine=machine,
        udp_port=smp_port,
        typing=terminal,
    )
    with emulator as running:
        if terminal:
            meanwhile.print(f"its console is {running.tty()}, too", highlight=False)
        meanwhile.print(
            f"node {running.name}, console in {running.console_path}; Ctrl-C ends it", soft_wrap=True
        )
        shown = 0
        while not stop.wait(WATCH_S):
            text = running.console()
            out.print(text[shown:], end="", highlight=False, soft_wrap=True)
            shown = 0 if running.trim_console() else len(text)
            running.check()
