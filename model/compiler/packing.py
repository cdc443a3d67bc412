"""What packing for a core takes and gives; `packing_dsp` and `packing_mve` do it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.numerics import Multiplier
from tinyfleet.wire.artifact_ops import ConvParams, FullyConnectedParams

Channels = npt.NDArray[np.int64]
"""Something for each output channel."""


@dataclass(frozen=True, slots=True)
class Filters:
    """Weights of a conv-like op with all that scales their sums.

    values: as the model has them, channels along `channels_axis`. bias: folded. scales: one, or one a
    channel. source, output: shapes of the op's input and output.
    """

    values: npt.NDArray[np.int8]
    channels_axis: int
    bias: Channels
    scales: list[Multiplier]
    output_zero: int
    source: tuple[int, ...]
    output: tuple[int, ...]

    @property
    def rows(self) -> npt.NDArray[np.int8]:
        """[channels][taps]."""
        return np.moveaxis(self.values, self.channels_axis, 0).reshape(self.bias.size, -1)

    @property
    def channel_scales(self) -> list[Multiplier]:
        return self.scales if len(self.scales) > 1 else self.scales * self.bias.size


@dataclass(frozen=True, slots=True)
class Packed:
    """An op in the layouts of a core. scratch_bytes: of its temp; 0 where it has none.

    scratch_most: what the temp may grow to where the arena has room beside it.
    """

    params: ConvParams | FullyConnectedParams
    weights: npt.NDArray[np.int8]
    records: Channels
    scratch_bytes: int
    scratch_most: int = 0


def up(value: int, step: int) -> int:
    """The next multiple of `step`."""
    return (value + step - 1) // step * step
