"""The power of a board, switched: what a switch can do, and turning off and on again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from enum import Enum
from typing import Final, Protocol

from tinyfleet.agent.core.errors import AgentError, SwitchRefused

OFF_S: Final = 2.0
"""How long a cycle stays off: a board's capacitors, and those of a hub, hold it up for some 100 ms."""


class PowerAction(Enum):
    ON = "on"
    OFF = "off"
    CYCLE = "cycle"


class PowerSwitch(Protocol):
    """Each call blocks, has a time-out of its own, and returns once the switch was seen to have switched.
    Raises SwitchRefused before anything was switched, SwitchError when it may have been."""

    @property
    def label(self) -> str:
        """What it is, for people: `uhubctl 1-2 port 3`."""

    @property
    def off_s(self) -> float:
        """How long a cycle stays off."""

    def on(self) -> None: ...

    def off(self) -> None: ...


def act(switch: PowerSwitch, action: PowerAction, pause: Callable[[float], object]) -> None:
    """`pause` waits so many seconds. After a cycle that fails half-way, power is asked to be on again."""
    if action is PowerAction.ON:
        switch.on()
    elif action is PowerAction.OFF:
        switch.off()
    else:
        _cycle(switch, pause)


def _cycle(switch: PowerSwitch, pause: Callable[[float], object]) -> None:
    try:
        switch.off()
        pause(switch.off_s)
    except SwitchRefused:
        raise
    except BaseException:
        # A board left without power is worse than one that was not cut off; the first failure is told.
        with contextlib.suppress(AgentError):
            switch.on()
        raise
    switch.on()
