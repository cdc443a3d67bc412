"""What nodes do with their windows: which they send whole, and when a class is worth an event."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.errors import BadInput, NotFound
from tinyfleet.fleet.services.ports import Store, Tx
from tinyfleet.fleet.services.wants import OFF, publish_settings
from tinyfleet.wire.messages import Capture, EventRule


class Live:
    def __init__(self, store: Store, wake: Callable[[], None]) -> None:
        self._store = store
        self._wake = wake

    def capture(
        self, name: str, *, classes: Sequence[str], margin_below: float | None, per_day: int, day_bytes: int
    ) -> Device:
        """Asks a device for raw windows: of these classes (labels or numbers; none: any) whose margin is
        below, at most so many windows and bytes a day. Raises NotFound, BadInput.
        """
        with self._store.write() as tx:
            device = _device(tx, name)
            capture = Capture(
                classes=_numbers(tx, device, classes),
                margin_below=None if margin_below is None else _below_in_256(margin_below),
                per_day=per_day,
                day_bytes=day_bytes,
            )
            changed = _change(tx, replace(device, capture=capture))
        # Once it is stored: a publisher that looks before finds nothing, and sleeps.
        self._wake()
        return changed

    def capture_off(self, name: str) -> Device:
        with self._store.write() as tx:
            changed = _change(tx, replace(_device(tx, name), capture=OFF))
        self._wake()
        return changed

    def event_rule(
        self,
        name: str,
        *,
        classes: Sequence[str],
        min_score: float,
        windows: int,
        hits: int,
        hold_off_s: int,
    ) -> Device:
        """Sets when a class is worth an event. Raises NotFound, BadInput."""
        if not 1 <= hits <= windows:
            raise BadInput(
                f"event rule: expected 1 to {windows} hits of {windows} windows, got {hits}; allow more"
            )
        with self._store.write() as tx:
            device = _device(tx, name)
            rule = EventRule(
                classes=_numbers(tx, device, classes),
                min_score=_in_256(min_score),
                windows=windows,
                hits=hits,
                hold_off_s=hold_off_s,
            )
            changed = _change(tx, replace(device, event_rule=rule))
        self._wake()
        return changed


def _change(tx: Tx, device: Device) -> Device:
    tx.devices.put(device)
    publish_settings(tx, device)
    return tx.devices.get(device.id) or device


def _device(tx: Tx, name: str) -> Device:
    device = tx.devices.get(name)
    if device is None:
        raise NotFound(f"no device {name}; see `tinyfleet devices`")
    if device.birth is not None and not device.birth.captures:
        raise BadInput(
            f"{name} runs firmware {device.birth.firmware.version}, which knows no such setting: update it"
        )
    return device


def _in_256(share: float) -> int:
    return min(255, round(share * 256))


def _below_in_256(margin: float) -> int | None:
    """The bound that the same margins are below; None: all of them."""
    bound = math.ceil(margin * 256)
    return None if bound > 255 else bound


def _numbers(tx: Tx, device: Device, classes: Sequence[str]) -> tuple[int, ...] | None:
    """Classes by number. BadInput for a label that the device's model does not have."""
    if not classes:
        return None
    model = None if device.birth is None else device.birth.model
    found = None if model is None or model.image is None else tx.releases.model_of(model.image)
    labels = () if found is None else found[1].labels
    numbers = []
    for text in classes:
        if text in labels:
            numbers.append(labels.index(text))
        elif text.isdecimal() and len(text) <= 3 and int(text) < (len(labels) or 256):
            numbers.append(int(text))
        else:
            known = ", ".join(labels) or "numbers only, for its model is not one of this fleet"
            raise BadInput(f"class {text[:40]!r} of {device.id}: expected one of {known}")
    if len(numbers) > 16:
        raise BadInput(f"classes of {device.id}: expected at most 16, got {len(numbers)}")
    return tuple(dict.fromkeys(numbers))
