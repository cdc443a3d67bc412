"""The want that the broker holds for a device: what should run, what outlives a rollout, and settings.

A node takes settings from a want of the generation it has, so a change publishes the same want again with
other settings: no update, and no rollout notices.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.order import U32
from tinyfleet.fleet.services.ports import RetainedKind, Tx
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.messages import Capture, EventRule, Want

LASTING: Final = ("config", "sleep")
OFF: Final = Capture(per_day=0, day_bytes=0)
DEFAULT_RULE: Final = EventRule(min_score=0, windows=1, hits=1, hold_off_s=10)
"""What a node does that was never told otherwise."""


def standing_want(tx: Tx, device: str) -> Want | None:
    held = tx.retained.get(RetainedKind.WANT, device)
    return None if held is None or not held.live else decode(Want, held.payload)


def lasting(want: Want | None) -> dict[str, Any]:
    """What the next want has to repeat: parts that are not about an update."""
    values = {} if want is None else {name: getattr(want, name) for name in LASTING}
    return {name: value for name, value in values.items() if value is not None}


def period_s_of(want: Want | None, device: Device) -> int:
    """How often a device is to report: as was asked for over the air, which it may not have told yet."""
    asked = None if want is None or want.config is None else want.config.period_s
    return device.evidence.period_s if asked is None else asked


def with_settings(want: Want, device: Device) -> Want:
    return replace(want, capture=device.capture, event_rule=device.event_rule)


def has_settings(device: Device) -> bool:
    """Whether a want without artifacts has something to say to it."""
    return device.capture not in (None, OFF) or device.event_rule not in (None, DEFAULT_RULE)


def next_generation(tx: Tx, device: Device) -> int:
    """A generation above every one before; never 0, which is that of a device nothing was wanted of."""
    generation = (device.generation + 1) % U32 or 1
    tx.devices.put(replace(device, generation=generation))
    return generation


def replace_want(tx: Tx, device: str, want: Want) -> None:
    """Puts a want in the place of the one that is out. The blobs that one named stay named."""
    held = tx.retained.get(RetainedKind.WANT, device)
    names, also = (held.names, held.also) if held is not None and held.live else ("", "")
    tx.retained.put(RetainedKind.WANT, device, live=True, payload=encode(want), names=names, also=also)


def publish_settings(tx: Tx, device: Device) -> None:
    """The want that is out, with the device's settings; where none is, one that names nothing to run."""
    want = standing_want(tx, device.id)
    if want is None:
        want = Want(generation=next_generation(tx, device), period_s=device.evidence.period_s)
    replace_want(tx, device.id, with_settings(want, device))


def amend_want(tx: Tx, device: Device, **changes: Any) -> None:
    """Changes parts of a want that are not about an update, beside whatever else is wanted."""
    want = standing_want(tx, device.id)
    if want is None:
        # The generation that the device may have acted on already: then it changes nothing else.
        want = with_settings(Want(generation=device.generation or 1), device)
        tx.devices.put(replace(device, generation=want.generation))
    replace_want(tx, device.id, replace(want, **changes))
