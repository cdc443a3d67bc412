"""What TFLM's signal ops leave unwritten: it holds what was in the arena, and compares with nothing."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.flexbuffer import read_map
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.model.compiler.tflite import TfGraph, TfOp

Mask = npt.NDArray[np.bool_]

_SAME_VALUES: Final = (Builtin.CAST, Builtin.RESHAPE, Builtin.SQUEEZE, Builtin.EXPAND_DIMS)
_MAY_WAIT: Final = ("SignalFramer", "SignalStacker")
"""Their output 1 says whether output 0 was written in this run."""


class Unwritten:
    """Asked for a tensor of the model, and for a run by what that run's outputs say."""

    def __init__(self, graph: TfGraph) -> None:
        self._written: dict[int, Mask] = {}
        self._behind: dict[int, frozenset[int]] = {}
        for op in graph.ops:
            self._add_mask(graph, op)
            if op.custom in _MAY_WAIT and len(op.outputs) == 2:
                self._behind[op.outputs[1]] = _behind(graph, op.outputs[0])

    @property
    def flags(self) -> tuple[int, ...]:
        """Tensors that say whether others were written."""
        return tuple(self._behind)

    def behind(self, flag: int) -> frozenset[int]:
        """What depends on a tensor that was not written."""
        return self._behind[flag]

    def written(self, tensor: int) -> Mask | None:
        """Which of its values, flat; None: all."""
        return self._written.get(tensor)

    def _add_mask(self, graph: TfGraph, op: TfOp) -> None:
        made = graph.tensors[op.outputs[0]] if op.outputs else None
        if made is None or not op.inputs:
            return
        if op.custom == "SignalEnergy":
            values = read_map(op.custom_options, graph.where(op))
            mask = np.zeros(made.elements, np.bool_)
            mask[values.get("start_index", 0) : values.get("end_index", made.elements)] = True
            self._written[made.index] = mask
        elif op.code in _SAME_VALUES and op.inputs[0] in self._written:
            self._written[made.index] = self._written[op.inputs[0]]


def _behind(graph: TfGraph, tensor: int) -> frozenset[int]:
    found = {tensor}
    for op in graph.ops:
        if not found.isdisjoint(op.inputs):
            found.update(op.outputs)
    return frozenset(found)


def masked(values: npt.NDArray[Any], written: Mask | None) -> npt.NDArray[Any]:
    """The values with zeros where nothing was written."""
    return values if written is None else np.where(written.reshape(values.shape), values, 0)
