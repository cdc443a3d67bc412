"""What the tests of emulated boards with a probe share: machines, sessions, small programs."""

from __future__ import annotations

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
