"""Power switches of boards: ports of USB hubs by uhubctl, relays by commands of their own.

`services.power_switch.PowerSwitch`; an emulated board's switch is with the emulated boards.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from tinyfleet.agent.core import uhubctl
from tinyfleet.agent.core.attachments import CommandSwitchSpec, UsbSwitchSpec
from tinyfleet.agent.core.errors import SwitchError, SwitchRefused
from tinyfleet.agent.services.power_switch import OFF_S

TIMEOUT_S: Final = 15.0
_TAIL: Final = 200


class UsbHubSwitch:
    """`objection` says why the port must not be cut off now, if anything: see core.usb_tree."""

    off_s = OFF_S

    def __init__(self, board: str, spec: UsbSwitchSpec, objection: Callable[[], str | None]) -> None:
        self._board = board
        self._spec = spec
        self._objection = objection

    @property
    def label(self) -> str:
        return f"uhubctl {self._spec.location} port {self._spec.port}"

    def on(self) -> None:
        self._switch(on=True)

    def off(self) -> None:
        objection = self._objection()
        if objection is not None:
            raise SwitchRefused(
                self._board,
                "power off",
                f"{self.label} is not switched: {objection}",
                "correct `switch` in bench.yaml, or give the board a port of its own",
            )
        self._switch(on=False)

    def _switch(self, *, on: bool) -> None:
        step = "power on" if on else "power off"
        output = _run(self._board, step, uhubctl.arguments(self._spec.location, self._spec.port, on=on))
        fault = uhubctl.fault(output, self._spec.port, on=on)
        if fault is not None:
            raise SwitchError(
                self._board, step, fault, "does this hub switch its ports? `uhubctl` lists those that do"
            )


class CommandSwitch:
    """A command that ends with status 0 has switched; nothing else is known of a relay."""

    off_s = OFF_S

    def __init__(self, board: str, spec: CommandSwitchSpec) -> None:
        self._board = board
        self._spec = spec

    @property
    def label(self) -> str:
        return f"command {self._spec.off[0]}"

    def on(self) -> None:
        _run(self._board, "power on", self._spec.on)

    def off(self) -> None:
        _run(self._board, "power off", self._spec.off)


def _run(board: str, step: str, command: Sequence[str]) -> str:
    """What the command printed. Raises SwitchError."""
    shown = " ".join(command)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError as error:
        raise SwitchRefused(
            board,
            step,
            f"there is no {command[0]} on this host",
            "install it, or correct `switch` in bench.yaml",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise SwitchError(
            board, step, f"`{shown}` did not end within {TIMEOUT_S:g} s", "try the command by hand"
        ) from error
    except OSError as error:
        raise SwitchRefused(board, step, f"`{shown}`: {error}", "try the command by hand") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        said = " ".join(output.split())[-_TAIL:] or "nothing"
        hint = "may this user switch USB ports? docs/recovery.md" if "permission" in said.lower() else ""
        raise SwitchError(
            board,
            step,
            f"`{shown}` ended with status {done.returncode}; it said: {said}",
            hint or "try the command by hand",
        )
    return output
