"""What can go wrong with an emulated board.

QemuError
├── QemuStartError     QEMU could not be started, or died while starting
├── QemuDiedError      QEMU ended although nobody asked it to
├── BoardBusyError     another process runs this board, or another client holds its probe
└── LinkError          a socket to QEMU broke, timed out or answered nonsense
    └── LockupError    it broke as the program locked up the core, which ends QEMU
"""

from __future__ import annotations


class QemuError(Exception):
    """Root. `what` says what happened to which board, `hint` what to do next."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}; {hint}")
        self.what = what
        self.hint = hint


class QemuStartError(QemuError):
    pass


class QemuDiedError(QemuError):
    pass


class BoardBusyError(QemuError):
    pass


class LinkError(QemuError):
    pass


class LockupError(LinkError):
    """`complaint` is QEMU's."""

    def __init__(self, complaint: str) -> None:
        super().__init__(
            f"its program locked up the core, which ends QEMU ({complaint})",
            "the flash is kept; whoever runs the board starts it again, held in reset: program another one",
        )
