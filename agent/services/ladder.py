"""The rungs, as they are climbed. Only this board's probe, switch and flash are touched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tinyfleet.agent.core.errors import AgentError, StepFailed
from tinyfleet.agent.core.recovery import Condition
from tinyfleet.agent.services.heartbeat import Bedside, Cores
from tinyfleet.agent.services.power_switch import PowerAction, PowerSwitch, act

RESET_TIMEOUT_S: Final = 20.0
APPEAR_S: Final = 20.0
"""Until a probe whose power came back is seen again."""
FREE_S: Final = 5.0
"""Until a call that hung in a probe ends once the probe's power was cut."""


@dataclass(frozen=True, slots=True)
class Climbed:
    """`said`: what was done, or why the rung was skipped."""

    done: bool
    said: str


class Ladder:
    """`switch` and `reflash` are None for a board that has none; `appear` waits until the host sees the
    probe, at most so many seconds, and says whether it does."""

    def __init__(
        self,
        bed: Bedside,
        cores: Cores,
        switch: PowerSwitch | None,
        reflash: Callable[[], str] | None,
        appear: Callable[[float], bool],
        pause: Callable[[float], object],
    ) -> None:
        self._bed = bed
        self._cores = cores
        self._switch = switch
        self._reflash = reflash
        self._appear = appear
        self._pause = pause

    def climb(self, rung: Condition) -> Climbed:
        """Raises AgentError: the rung was tried and failed."""
        if rung is Condition.SOFT_RESET:
            return self._reset(under_connect=False)
        if rung is Condition.UNDER_CONNECT:
            return self._reset(under_connect=True)
        if rung is Condition.POWER_CYCLE:
            return self._power_cycle()
        if rung is Condition.REFLASH:
            return self._write_known_good()
        raise ValueError(f"{rung} is no rung")

    def is_unplugged(self) -> bool:
        """Its probe is not there, and no switch could bring it back: there is nothing to try."""
        return self._switch is None and self._bed.probe is not None and not self._seen()

    def _reset(self, *, under_connect: bool) -> Climbed:
        probe = self._bed.probe
        if probe is None:
            return Climbed(False, "it has no probe")
        hindrance = self._hindrance()
        if hindrance is not None:
            return Climbed(False, hindrance)
        step = "reset under connect" if under_connect else "soft reset"
        self._bed.worker.call(
            step,
            RESET_TIMEOUT_S,
            lambda: self._cores.reset(probe, self._bed.part, under_connect=under_connect),
        )
        return Climbed(True, step)

    def _power_cycle(self) -> Climbed:
        if self._switch is None:
            return Climbed(False, "it has no power switch")
        act(self._switch, PowerAction.CYCLE, self._pause)
        # A transfer that hung in the probe has lost its peer. Until its call has ended, no other one may
        # touch the probe.
        freed = self._bed.worker.wait_until_free(FREE_S)
        if self._bed.probe is not None and not self._appear(APPEAR_S):
            raise StepFailed(
                self._bed.board,
                "power cycle",
                f"its probe {self._bed.probe} was not seen again within {APPEAR_S:g} s",
                "does it have power? check cable and hub",
            )
        if not freed:
            raise StepFailed(
                self._bed.board,
                "power cycle",
                "a call hangs in its probe even so",
                "start the agent anew: the call ends with its program",
            )
        return Climbed(True, f"power off and on by {self._switch.label}")

    def _write_known_good(self) -> Climbed:
        if self._reflash is None:
            return Climbed(False, "bench.yaml names no known_good for it")
        hindrance = self._hindrance()
        if hindrance is not None:
            return Climbed(False, hindrance)
        return Climbed(True, self._reflash())

    def _hindrance(self) -> str | None:
        """Why its probe cannot be used now; never two calls on one probe."""
        if self._bed.worker.hangs():
            return "an earlier call hangs in its probe"
        if self._bed.probe is not None and not self._seen():
            return f"its probe {self._bed.probe} is not there"
        return None

    def _seen(self) -> bool:
        try:
            return self._appear(0.0)
        except AgentError:
            return False
