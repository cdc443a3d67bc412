"""What the tests of emulated boards with a probe share: machines, sessions, small programs."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pyocd.core.helpers import ConnectHelper
from pyocd.flash.loader import FlashLoader
from pyocd_qemu.board import Board

# Where flash is, where code runs from, where data is; and the core.
PLACES = {
    "microbit": (0, 0, 0x20000000, "Cortex-M0"),
    "mps2-an386": (0x21000000, 0x21000000, 0x20000000, "Cortex-M4"),
    "mps2-an500": (0x60000000, 0x60000000, 0x20000000, "Cortex-M7"),
    "mps3-an547": (0x70000000, 0x10000000, 0x30000000, "Cortex-M55"),
}
UNDEFINED = b"\xff" * 64


def faulting(machine: str, handler: int | None = None) -> bytes:
    """A program whose first instruction is none. `handler` is HardFault's vector: that instruction, unless
    given, so that the fault's handler faults itself."""
    _, code, data, _ = PLACES[machine]
    vector = code + 0x101 if handler is None else handler
    vectors = struct.pack("<4I", data + 0x2000, code + 0x101, vector, vector)
    return vectors.ljust(0x100, b"\xff") + UNDEFINED


@contextmanager
def session(board: Board, **options: Any) -> Iterator[Any]:
    opened = ConnectHelper.session_with_chosen_probe(
        unique_id=board.unique_id,
        blocking=False,
        return_first=True,
        options={"connect_mode": "halt", "no_config": True, **options},
    )
    assert opened is not None
    with opened:
        yield opened


def program(opened: Any, address: int, data: bytes) -> None:
    loader = FlashLoader(opened, progress=lambda part: None, chip_erase="sector")
    loader.add_data(address, data)
    loader.commit()
