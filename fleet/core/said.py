"""What is heard of a device that has been asked for something: events of deployments and challengers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinyfleet.fleet.core.fit import Misfit
from tinyfleet.wire.enums import UpdateState
from tinyfleet.wire.messages import Birth, Status

BUSY: Final = frozenset(
    {
        *(UpdateState.OFFERED, UpdateState.DEFERRED, UpdateState.DOWNLOADING, UpdateState.PAUSED),
        *(UpdateState.VERIFIED, UpdateState.STAGED, UpdateState.TRIAL),
    }
)
"""An update goes on."""


@dataclass(frozen=True, slots=True)
class Reported:
    status: Status


@dataclass(frozen=True, slots=True)
class Born:
    """Only births newer than the one stored come here."""

    birth: Birth


@dataclass(frozen=True, slots=True)
class Tick:
    pass


@dataclass(frozen=True, slots=True)
class DeviceGone:
    pass


@dataclass(frozen=True, slots=True)
class Unfit:
    """Found before anything was offered; the `want` of an earlier rollout stays as it is."""

    misfit: Misfit
