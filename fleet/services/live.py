"""What nodes do with their windows: settings that travel in `want`, beside what should run.

A node takes them from a want of the generation it has, so a change publishes the same want again with other
settings: no update, and no rollout notices.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.errors import BadInput, NotFound
from tinyfleet.fleet.services.ports import RetainedKind, Store, Tx
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.messages import Capture, EventRule, Want

U32: Final = 1 << 32
OFF: Final = Capture(per_day=0, day_bytes=0)
DEFAULT_RULE: Final = EventRule(min_score=0, windows=1, hits=1, hold_off_s=10)
"""What a node does that was never told otherwise."""


def with_settings(want: Want, device: Device) -> Want:
    return replace(want, capture=device.capture, event_rule=device.event_rule)


def has_settings(device: Device) -> bool:
    """Whether a want without artifacts has something to say to it."""
    return device.capture not in (None, OFF) or device.event_rule not in (None, DEFAULT_RULE)


def publish_settings(tx: Tx, device: Device) -> None:
    """The want that is out, with the device's settings; where none is, one that names nothing to run."""
    held = tx.retained.get(RetainedKind.WANT, device.id)
    if held is not None and held.live:
        want = with_settings(decode(Want, held.payload), device)
        tx.retained.put(
            RetainedKind.WANT,
            device.id,
            live=True,
            payload=encode(want),
            names=held.names,
            also=held.also,
        )
        return
    generation = (device.generation + 1) % U32 or 1
    tx.devices.put(replace(device, generation=generation))
    want = with_settings(Want(generation=generation, period_s=device.evidence.period_s), device)
    tx.retained.put(RetainedKind.WANT, device.id, live=True, payload=encode(want))


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
