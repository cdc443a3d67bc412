"""Raw windows that devices sent up, put together from their parts (SPEC section 3, sample)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tinyfleet.wire.messages import Sample

VALUE_BYTES: Final = 2
WINDOW_MAX_BYTES: Final = 255 * 1024
"""What 255 parts of a node can hold; more is no window of ours."""


class SampleError(Exception):
    """Parts no honest node sends. The message says what was expected and what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """One window. `data` is i16 little-endian [samples][channels] in `unit`; scores and margin in 1/256."""

    device: str
    boot: int
    seq: int
    uptime_ms: int
    model: bytes
    class_: int
    scores: bytes
    margin: int | None
    sensor: str
    unit: str
    rate_mhz: int
    samples: int
    channels: int
    data: bytes
    at_s: float


def check_part(sample: Sample) -> None:
    """Raises SampleError unless the part can be one of its window."""
    size = sample.samples * sample.channels * VALUE_BYTES
    if not 0 < size <= WINDOW_MAX_BYTES:
        raise SampleError(f"window: expected 1 to {WINDOW_MAX_BYTES} bytes, got {size}")
    if sample.part >= sample.parts:
        raise SampleError(f"part: expected less than {sample.parts}, got {sample.part}")
    if sample.offset + len(sample.data) > size:
        raise SampleError(
            f"part {sample.part}: expected to end at byte {size} at the latest, "
            f"got {sample.offset + len(sample.data)}"
        )
    last = sample.part == sample.parts - 1
    if last != (sample.offset + len(sample.data) == size) or (sample.part == 0) != (sample.offset == 0):
        raise SampleError(f"part {sample.part} of {sample.parts} does not stand where such a part must")


def assemble(device: str, sample: Sample, parts: Mapping[int, tuple[int, bytes]], at_s: float) -> Window:
    """The window of which `sample` is a part and `parts` (number -> offset, bytes) are all. SampleError when
    they leave a gap, lie over each other, or are of windows of two sizes.
    """
    data = b""
    for number in range(sample.parts):
        offset, piece = parts[number]
        if offset != len(data):
            raise SampleError(f"part {number}: expected at byte {len(data)}, got {offset}")
        data += piece
    size = sample.samples * sample.channels * VALUE_BYTES
    if len(data) != size:
        raise SampleError(f"window: expected {size} bytes, as its last part says, got {len(data)}")
    return Window(
        device=device,
        boot=sample.boot,
        seq=sample.seq,
        uptime_ms=sample.uptime_ms,
        model=sample.model,
        class_=sample.class_,
        scores=sample.scores,
        margin=sample.margin,
        sensor=sample.sensor,
        unit=sample.unit,
        rate_mhz=sample.rate_mhz,
        samples=sample.samples,
        channels=sample.channels,
        data=data,
        at_s=at_s,
    )
