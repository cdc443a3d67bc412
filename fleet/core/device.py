"""A unit with an identity, known to the fleet."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from tinyfleet.fleet.core.errors import BadInput
from tinyfleet.fleet.core.liveness import Evidence
from tinyfleet.fleet.core.order import Order, newer, newer_number
from tinyfleet.wire.limits import DEVICE_ID_PATTERN, RESERVED_IDS
from tinyfleet.wire.messages import Birth, Capture, EventRule

LABEL_PATTERN: Final = "[A-Za-z0-9][A-Za-z0-9_.-]{0,31}"
"""Sites, device types and release names: short, and safe as a metric label, file name and URL part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """`generation` is the highest one given to, or acted on by, this device; `credential` numbers its
    password.

    `device_type` is the registered one until a birth says otherwise. `capture` and `event_rule` are what it
    was told to do with its windows, None: nothing.
    """

    id: str
    site: str
    device_type: str
    evidence: Evidence
    generation: int = 0
    credential: int = 1
    birth: Birth | None = None
    born_s: float | None = None
    registered_s: float = 0.0
    capture: Capture | None = None
    event_rule: EventRule | None = None

    @property
    def birth_order(self) -> Order | None:
        return None if self.birth is None else (self.birth.boot, self.birth.seq)


def check_device_id(text: str) -> str:
    """The id itself. Raises BadInput when it is no device id (SPEC section 2)."""
    if not re.fullmatch(DEVICE_ID_PATTERN, text) or text in RESERVED_IDS:
        reserved = " or ".join(sorted(RESERVED_IDS))
        raise BadInput(
            f"device id {text[:60]!r}: expected 1 to 48 of A-Z a-z 0-9 _ - and not {reserved}; choose another"
        )
    return text


def check_label(what: str, text: str) -> str:
    """The text itself. Raises BadInput unless it is a short label."""
    if not re.fullmatch(LABEL_PATTERN, text):
        raise BadInput(
            f"{what} {text[:60]!r}: expected 1 to 32 of A-Z a-z 0-9 _ . - beginning with a letter or digit"
        )
    return text


def fold_birth(device: Device, birth: Birth, now_s: float) -> Device | None:
    """The device after a birth; None when the birth is not newer than the one stored (the broker repeats
    itself).

    A generation above ours (a database restored from a backup) raises ours.
    """
    if not newer((birth.boot, birth.seq), device.birth_order):
        return None
    ahead = newer_number(birth.generation, device.generation)
    return replace(
        device,
        birth=birth,
        born_s=now_s,
        device_type=birth.device_type,
        generation=birth.generation if ahead else device.generation,
        evidence=replace(
            device.evidence,
            period_s=birth.period_s or device.evidence.period_s,
            wake_s=wake_s_of(birth),
        ),
    )


def wake_s_of(birth: Birth | None) -> int | None:
    """How often a device wakes, by its birth; None: it does not sleep, or nobody knows."""
    return None if birth is None or birth.sleep is None or birth.sleep.wake_s == 0 else birth.sleep.wake_s


def forget_past(device: Device) -> Device:
    """The device as if never heard of, keeping its identity: its flash was made new, so its counts begin
    again.
    """
    blank = Evidence(period_s=device.evidence.period_s, keepalive_s=device.evidence.keepalive_s)
    return replace(device, birth=None, born_s=None, evidence=blank)
