"""Captured windows: taken in with bounds, listed, exported and forgotten.

They are raw sensor data, and may show what people do: nothing is stored that was not asked for, nothing
longer than `keep_s`, and reading them takes the same token as changing the fleet.
"""

from __future__ import annotations

from dataclasses import dataclass

from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.errors import BadInput, NotFound
from tinyfleet.fleet.core.samples import check_part
from tinyfleet.fleet.services.ports import Clock, SampleFilter, Store, StoredWindow, Tx
from tinyfleet.wire.messages import Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleBounds:
    budget_bytes: int
    keep_s: float


def is_wanted(device: Device) -> bool:
    return device.capture is not None and device.capture.per_day > 0


def take_sample(tx: Tx, device: Device, sample: Sample, bounds: SampleBounds, now_s: float) -> bool:
    """Stores a part, or the window it makes whole. False: its window is there already.

    Raises SampleError when the part cannot be one.
    """
    check_part(sample)
    if tx.samples.known(device.id, sample):
        return False
    window = tx.samples.add_part(device.id, sample, now_s)
    if window is not None:
        tx.samples.add(window)
        tx.samples.keep(bounds.budget_bytes, now_s - bounds.keep_s)
    return True


@dataclass(frozen=True, slots=True)
class SampleView:
    """A window with what the fleet knows of the model that saw it."""

    stored: StoredWindow
    model: str | None
    version: str | None
    labels: tuple[str, ...]


class Samples:
    def __init__(self, store: Store, clock: Clock, bounds: SampleBounds) -> None:
        self._store = store
        self._clock = clock
        self._bounds = bounds

    def newest(self, wanted: SampleFilter, limit: int) -> list[SampleView]:
        self.expire()
        with self._store.read() as tx:
            return [_view(tx, stored) for stored in tx.samples.newest(wanted, limit)]

    def after(self, wanted: SampleFilter, limit: int) -> list[SampleView]:
        """Oldest first, for whoever takes them all, page by page."""
        self.expire()
        with self._store.read() as tx:
            return [_view(tx, stored) for stored in tx.samples.find(wanted, limit)]

    def remove(self, device: str | None) -> int:
        """Forgets the windows of a device, or all (None). Raises NotFound when the device has none."""
        with self._store.write() as tx:
            count = tx.samples.remove(device)
            if device is not None and count == 0 and tx.devices.get(device) is None:
                raise NotFound(f"no device {device}, and no samples of one; see `tinyfleet samples list`")
        return count

    def expire(self) -> None:
        """What is too old goes, though nothing new came that would have pushed it out."""
        since_s = self._clock() - self._bounds.keep_s
        with self._store.read() as tx:
            too_old = tx.samples.any_before(since_s)
        if too_old:
            with self._store.write() as tx:
                tx.samples.keep(self._bounds.budget_bytes, since_s)


def image_of(text: str) -> bytes:
    """A model's image digest in hex. BadInput."""
    try:
        digest = bytes.fromhex(text)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise BadInput(f"model {text[:80]!r}: expected the 64 hex digits of an image")
    return digest


def _view(tx: Tx, stored: StoredWindow) -> SampleView:
    found = tx.releases.model_of(stored.window.model)
    if found is None:
        return SampleView(stored, None, None, ())
    return SampleView(stored, found[0], found[1].version, found[1].labels)
