"""Joins the leases of a bench with its boards' hardware; used by main."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinyfleet.agent.adapters.lease_files import LeaseFiles
from tinyfleet.agent.adapters.usb_lock import lock_usb
from tinyfleet.agent.adapters.usb_sysfs import SYSFS, USB, usb_node
from tinyfleet.agent.config import Claim
from tinyfleet.agent.core.bench_file import BenchFile
from tinyfleet.agent.services.leases import BoardLeases
from tinyfleet.agent.services.ports import Clock, Counting


def leases_of(
    bench: BenchFile, table: LeaseFiles, counting: Counting, clock: Clock, claim: Claim
) -> BoardLeases:
    """Of one holder; those of one program share the table. Raises LeaseError."""
    return BoardLeases(
        *(table, claim.holder, counting, clock), on_wait=claim.on_wait, hardware=hardware_of(bench)
    )


def hardware_of(
    bench: BenchFile, sysfs: Path = SYSFS, dev: Path = USB
) -> Callable[[str], Callable[[], None]]:
    """Locks a board's probe for the whole host, by the board's name. An emulated one has its own lock."""

    def take(name: str) -> Callable[[], None]:
        board = bench.board(name)
        real = board is not None and board.probe is not None and not board.is_emulated_probe
        node = usb_node(board.probe or "", sysfs, dev) if board is not None and real else None
        return (lambda: None) if node is None else lock_usb(name, node)

    return take
