"""The want that the broker holds for a device: what outlives a rollout in it, and changes beside one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.services.live import with_settings
from tinyfleet.fleet.services.ports import RetainedKind, Tx
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.messages import Want

LASTING: Final = ("config", "sleep")


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


def amend_want(tx: Tx, device: Device, **changes: Any) -> None:
    """Changes parts of a want that are not about an update, beside whatever else is wanted."""
    held = tx.retained.get(RetainedKind.WANT, device.id)
    live = held is not None and held.live
    standing = standing_want(tx, device.id)
    if standing is None:
        # The generation that the device may have acted on already: then it changes nothing else.
        standing = with_settings(Want(generation=device.generation or 1), device)
        tx.devices.put(replace(device, generation=standing.generation))
    tx.retained.put(
        RetainedKind.WANT,
        device.id,
        live=True,
        payload=encode(replace(standing, **changes)),
        names=held.names if held is not None and live else "",
        also=held.also if held is not None and live else "",
    )
