"""What a `.tflite` does not say: name, sensor, labels, golden inputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from tinyfleet.wire.artifact import Baseline, OutputKind
from tinyfleet.wire.enums import CoreVariant

Window = bytes | npt.NDArray[np.signedinteger[Any]]
"""The bytes of all inputs, or the values of one."""
Golden = Window | Sequence[Window]
Raw = npt.NDArray[np.int16] | Sequence[npt.NDArray[np.int16]]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Where the input comes from.

    rate_mhz: sample rate in millihertz. samples x channels must be the elements of the model's input; left
    out, channels is its last dim. raw_scale: real value, as the model was trained on, of one raw i16 step in
    `unit`; None when the model takes no raw sensor values. hop: samples from one window to the next.
    """

    sensor: str = ""
    unit: str = ""
    rate_mhz: int = 0
    samples: int | None = None
    channels: int | None = None
    raw_scale: float | None = None
    hop: int | None = None


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Golden inputs become golden vectors: windows in the model's integers first, then raw i16 windows (need
    `raw_scale`). Where the model keeps state, a golden input is a list of windows: one a step, from reset.

    threshold: score 0..255 from which a result is worth an event.
    """

    name: str
    version: str
    input: InputSpec = field(default_factory=InputSpec)
    output_kind: OutputKind = OutputKind.CLASSES
    labels: tuple[str, ...] = ()
    golden_inputs: Sequence[Golden] = ()
    golden_raw: Sequence[Raw] = ()
    threshold: int | None = None
    output_unit: str | None = None
    baseline: Baseline | None = None
    core: CoreVariant = CoreVariant.PORTABLE
