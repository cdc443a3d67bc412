"""The emulated boards of a bench: started, watched, ended. Any pyOCD on the host finds them while they
run."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pyocd_qemu import registry
from pyocd_qemu.board import Board
from pyocd_qemu.errors import QemuError
from pyocd_qemu.process import OWNER_NAME, end_stranded

from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import EmulatorError, NoSuchBoardError, SwitchError, SwitchRefused

LOG = logging.getLogger(__name__)
POWER_NAME: Final = "power"
"""In a board's folder once it was switched: `off`, or `on` until whichever program runs it has started it."""
_OFF: Final = "off"
_ON: Final = "on"
_SWITCHED_S: Final = 15.0
_POLL_S: Final = 0.02
BENCH_ICOUNT_SHIFT: Final = 6
NODE_ICOUNT_SHIFT: Final = 1
TEND_PERIOD_S: Final = 10.0
_SHORT_LIFE_S: Final = 10.0
# More than a bootloader's tries of a new firmware.
_SHORT_LIVES: Final = 5


def use_folder(folder: Path) -> Path:
    """Where emulated boards live in this process and those it starts: `folder`, unless the environment
    names one."""
    os.environ.setdefault(registry.ROOT_VARIABLE, str(folder.absolute()))
    return registry.root()


class EmulatedBoards:
    """Boards by probe id. A context manager: leaving it stops them all."""

    def __init__(self) -> None:
        self._boards: dict[str, Board] = {}
        self._tended_s: dict[str, float] = {}
        self._held_at_start: dict[str, str] = {}
        self._revived_s: dict[str, float] = {}
        self._short_lives: dict[str, int] = {}
        # A switch is used by whoever recovers a board, beside the thread that watches all of them.
        self._lock = threading.RLock()

    def start(
        self,
        unique_id: str,
        machine: str,
        *,
        kernel: Path | None = None,
        network: bool = False,
        smp_port: int | None = None,
    ) -> str:
        """Starts a board, with the flash it had and its power on; answers its console's address. Raises
        EmulatorError.

        `kernel` (a bootloader in ROM), `network` and `smp_port` make an `mps2-*` board a networked node, as
        fast as EmulatedNode is.
        """
        networked = network or smp_port is not None
        with self._lock, _translated():
            board = Board(
                unique_id,
                machine,
                icount_shift=NODE_ICOUNT_SHIFT if networked else BENCH_ICOUNT_SHIFT,
                kernel=kernel,
                network=network,
                smp_port=smp_port,
            )
            _power_file(unique_id).unlink(missing_ok=True)
            board.start()
            if board.held is not None:
                self._held_at_start[unique_id] = f"{board.held}; {_started(board)}"
            self._boards[unique_id] = board
            return board.console_url

    def owns(self, unique_id: str) -> bool:
        return unique_id in self._boards

    def revive(self) -> dict[str, str]:
        """Starts boards again whose QEMU died, held in reset: what they ran may have killed it. (A bootloader
        in ROM runs: it knows what to do about a program that fails; but not for ever, where that does not
        help.) Answers what happened, by probe id.
        Boards without power stay off; those that have it again start as boards do. Cuts logs that have grown
        long, and saves what programs wrote to their flash. Raises EmulatorError for one that does not start,
        once all have been tried."""
        causes, failures = {}, []
        for unique_id in list(self._boards):
            try:
                cause = self.revive_one(unique_id)
            except EmulatorError as error:
                failures.append(error)
                continue
            if cause is not None:
                causes[unique_id] = cause
        if failures:
            raise failures[0]
        return causes

    def revive_one(self, unique_id: str) -> str | None:
        """As `revive`, for one board."""
        with self._lock:
            board = self._boards.get(unique_id)
            power = _power(unique_id)
            if board is None or power == _OFF:
                return None
            cause = self._held_at_start.pop(unique_id, None)
            try:
                board.check()
                self._tend(unique_id, board)
            except OSError as error:
                raise EmulatorError(
                    f"board {unique_id}: cannot save its flash or cut its logs: {error}",
                    f"make room below {board.folder}",
                ) from error
            except QemuError as error:
                goes_on = self._goes_on(unique_id)
                with _translated():
                    fell = _restarted(board, run=power == _ON or (board.has_bootloader and goes_on))
                # Who had its power cut has not died.
                died = fell if power == _ON else error.what
                cause = None if died is None else f"{died}; {_started(board)}"
            if power == _ON:
                _power_file(unique_id).unlink(missing_ok=True)
            return cause

    def _goes_on(self, unique_id: str) -> bool:
        """Whether it may run again by itself: not when it has died a few times in a row, soon each time."""
        now_s = time.monotonic()
        short = unique_id in self._revived_s and now_s - self._revived_s[unique_id] < _SHORT_LIFE_S
        self._revived_s[unique_id] = now_s
        self._short_lives[unique_id] = self._short_lives.get(unique_id, 0) + 1 if short else 0
        return self._short_lives[unique_id] < _SHORT_LIVES

    def _tend(self, unique_id: str, board: Board) -> None:
        now_s = time.monotonic()
        if now_s - self._tended_s.get(unique_id, 0.0) >= TEND_PERIOD_S:
            self._tended_s[unique_id] = now_s
            board.trim_logs()
            board.save()

    def stop(self) -> None:
        """Ends every board; their flash is kept."""
        with self._lock:
            while self._boards:
                unique_id, board = self._boards.popitem()
                try:
                    board.stop()
                except OSError as error:
                    # QEMU has ended; the other boards' have to, too.
                    LOG.warning("%s: what it wrote to its flash last is not kept: %s", unique_id, error)

    def __enter__(self) -> EmulatedBoards:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class EmulatedSwitch:
    """`services.power_switch.PowerSwitch`: off is SIGKILL of the board's QEMU, as a power cut.

    The switch is a file in the board's folder, so that any program of the same user can turn it; the one that
    runs the board starts it again when it finds `on` there.
    """

    off_s = 0.0

    def __init__(self, board: str, unique_id: str, boards: EmulatedBoards) -> None:
        self._board = board
        self._id = unique_id
        self._boards = boards

    @property
    def label(self) -> str:
        return "emulated"

    def off(self) -> None:
        folder = registry.root() / self._id
        ours = self._boards.owns(self._id)
        if registry.find(self._id) is None and not ours and not self._has_owner():
            raise self._nobody("power off")
        try:
            _power_file(self._id).write_text(_OFF)
        except OSError as error:
            raise SwitchRefused(self._board, "power off", str(error), "is there room on the disk?") from error
        end_stranded(folder)
        if not _within(_SWITCHED_S, lambda: not registry.is_locked(folder / registry.LOCK_NAME)):
            raise SwitchError(self._board, "power off", "its QEMU still runs", f"see {folder}")

    def on(self) -> None:
        if not self._boards.owns(self._id) and not self._has_owner():
            raise self._nobody("power on")
        try:
            # Whoever runs the board must not take this for a QEMU that died of its program.
            _power_file(self._id).write_text(_ON)
            self._boards.revive_one(self._id)
        except OSError as error:
            raise SwitchError(self._board, "power on", str(error), "is there room on the disk?") from error
        except EmulatorError as error:
            raise SwitchError(self._board, "power on", error.what, error.hint) from error
        if not _within(_SWITCHED_S, lambda: registry.find(self._id) is not None):
            raise SwitchError(
                self._board,
                "power on",
                f"whoever runs it did not start it within {_SWITCHED_S:g} s",
                "see that program's log",
            )

    def _has_owner(self) -> bool:
        return registry.is_locked(registry.root() / self._id / OWNER_NAME)

    def _nobody(self, step: str) -> SwitchRefused:
        return SwitchRefused(
            self._board,
            step,
            f"no program runs the emulated board {self._id}",
            "start it: `tinyfleet agent run`, or `tinyfleet bench emulate`",
        )


def running_boards() -> list[str]:
    """The probe ids of the emulated boards that run on this host."""
    return [entry.unique_id for entry in registry.running_boards()]


def console_of(unique_id: str) -> str:
    """The console's address of a running emulated board. Raises NoSuchBoardError."""
    entry = registry.find(unique_id)
    if entry is None:
        raise NoSuchBoardError(
            f"no emulated board {unique_id} runs",
            "start it: `tinyfleet agent run`, or `tinyfleet bench emulate`",
        )
    return entry.console_url


def console_address(spec: BoardSpec) -> str:
    """Of a board's console, now: as bench.yaml names it, or the emulator knows. Raises NoSuchBoardError."""
    if spec.console is not None:
        return spec.console
    if spec.probe is None:
        raise NoSuchBoardError(
            f"{spec.name} has neither console nor probe in bench.yaml", "name them: `tinyfleet bench scan`"
        )
    return console_of(spec.probe)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except QemuError as error:
        raise EmulatorError(error.what, error.hint) from error


def _restarted(board: Board, *, run: bool) -> str | None:
    """Why it is held in reset although it was to run: what its flash holds ended QEMU before it was up, and
    would do so at every start. Raises QemuError."""
    board.restart(run=run)
    return board.held


def _started(board: Board) -> str:
    how = "running" if board.runs else "held in reset: program it, or switch its power"
    return f"started again with the flash it had, {how}"


def _power_file(unique_id: str) -> Path:
    return registry.root() / unique_id / POWER_NAME


def _power(unique_id: str) -> str | None:
    try:
        return _power_file(unique_id).read_text()
    except OSError:
        return None


def _within(timeout_s: float, condition: Callable[[], bool]) -> bool:
    end_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() >= end_s:
            return False
        time.sleep(_POLL_S)
    return True
