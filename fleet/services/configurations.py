"""Configurations that are changed over the air: what is wanted of a device, and what it made of it."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.errors import BadInput, NotFound
from tinyfleet.fleet.core.order import newer_number
from tinyfleet.fleet.services.ports import Certificates, Clock, Store, Tx
from tinyfleet.fleet.services.rollouts import Rollouts
from tinyfleet.fleet.services.wants import amend_want, standing_want
from tinyfleet.wire.enums import Result
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.messages import ConfigChange


class ConfigurationState(Enum):
    UNKNOWN = "UNKNOWN"
    """Its birth says nothing of configurations: an older firmware, or none heard yet."""
    IN_USE = "IN_USE"
    PENDING = "PENDING"
    """Not reported yet: the device is away, or tries it."""
    REFUSED = "REFUSED"
    """Tried and not kept; the device is back with the one before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """`wanted` and `in_use` are sequence numbers, 0: as provisioned. `result` and `detail` are of the last
    one that the device refused, None when it refused none.
    """

    state: ConfigurationState
    wanted: int
    in_use: int | None
    refused: int | None
    result: Result | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What an operator asks for; None: as it is. `days`: how long the certificate is good, None: as long as
    its authority.
    """

    host: str | None = None
    port: int | None = None
    keepalive_s: int | None = None
    period_s: int | None = None
    sntp: str | None = None
    days: int | None = None


class Configurations:
    def __init__(self, store: Store, clock: Clock, rollouts: Rollouts, certificates: Certificates) -> None:
        self._store = store
        self._clock = clock
        self._rollouts = rollouts
        self._certificates = certificates

    def rotate(self, name: str, change: Change) -> Configuration:
        """Wants another configuration of a device; one by TLS gets another certificate for its key, too.

        Raises NotFound; BadInput: a value out of bounds, or nothing to change.
        """
        with self._store.write() as tx:
            device = tx.devices.get(name)
            if device is None:
                raise NotFound(f"no device {name}; see `tinyfleet devices`")
            enrolment = tx.enrolments.get(name)
            if not enrolment.tls and all(value is None for value in _values(change).values()):
                raise BadInput(
                    f"{name} has no certificate to rotate: say what else of its configuration to change"
                )
            if not enrolment.tls and change.days is not None:
                raise BadInput(
                    f"{name} has no certificate to be good for {change.days} days: leave them out, or "
                    "provision it by TLS"
                )
            sequence = enrolment.sequence + 1
            tx.enrolments.put(name, replace(enrolment, sequence=sequence))
            today = datetime.datetime.fromtimestamp(self._clock(), datetime.UTC).date()
            tls = (
                self._certificates.renewed(
                    name, device.credential, sequence, today, change.days, enrolment.key
                )
                if enrolment.tls
                else None
            )
            named = {key: value for key, value in _values(change).items() if value is not None}
            wanted = replace(_pending(tx, device), **named, sequence=sequence, tls=tls)
            period = {} if change.period_s is None else {"period_s": change.period_s}
            try:
                amend_want(tx, device, config=wanted, **period)
            except WireError as error:
                raise BadInput(str(error)) from error
            view = configuration_of(tx, device)
        self._rollouts.wake()
        return view


def _values(change: Change) -> dict[str, Any]:
    return {
        "host": change.host,
        "port": change.port,
        "keepalive_s": change.keepalive_s,
        "period_s": change.period_s,
        "sntp": change.sntp,
    }


def _pending(tx: Tx, device: Device) -> ConfigChange:
    """What was asked for before and not answered yet: the device may never see it alone."""
    standing = standing_want(tx, device.id)
    change = None if standing is None else standing.config
    state = configuration_of(tx, device).state
    if change is None or state not in (ConfigurationState.PENDING, ConfigurationState.UNKNOWN):
        return ConfigChange(sequence=0)
    return change


def configuration_of(tx: Tx, device: Device) -> Configuration:
    """What is wanted, and what the device's last birth says of it."""
    standing = standing_want(tx, device.id)
    change = None if standing is None else standing.config
    report = None if device.birth is None else device.birth.config
    if report is None:
        state = ConfigurationState.UNKNOWN
    elif change is None or not newer_number(change.sequence, report.sequence):
        state = ConfigurationState.IN_USE
    elif report.refused == change.sequence:
        state = ConfigurationState.REFUSED
    else:
        state = ConfigurationState.PENDING
    in_use = None if report is None else report.sequence
    return Configuration(
        state=state,
        wanted=change.sequence if change is not None else in_use or 0,
        in_use=in_use,
        refused=None if report is None else report.refused,
        result=None if report is None else report.result,
        detail=None if report is None else report.detail,
    )
