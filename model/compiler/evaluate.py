"""Ops whose answer is known when the model is compiled: shapes, and arithmetic on constants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Builtin, TensorType
from tinyfleet.model.compiler.slices import strided_slice
from tinyfleet.model.compiler.tflite import ELEMENTS_MAX, TfGraph, TfOp

Array = npt.NDArray[Any]

_DTYPES: Final[dict[TensorType, np.dtype[Any]]] = {
    TensorType.FLOAT32: np.dtype("<f4"),
    TensorType.INT8: np.dtype("i1"),
    TensorType.INT16: np.dtype("<i2"),
    TensorType.INT32: np.dtype("<i4"),
    TensorType.INT64: np.dtype("<i8"),
}
_INTEGERS: Final = (TensorType.INT32, TensorType.INT64)


def _shape(ask: Operands, values: list[Array]) -> Array:
    return np.array(ask.graph.tensors[ask.op.inputs[0]].shape)


def _sliced(ask: Operands, values: list[Array]) -> Array:
    picks = strided_slice(ask, values[0].shape)
    grid = np.ix_(*(range(start, start + count * step, step) for start, count, step in picks))
    return np.asarray(values[0][grid] if picks else values[0])


def _slice(ask: Operands, values: list[Array]) -> Array:
    begin, size = ask.constant_ints(1), ask.constant_ints(2)
    ends = [None if n == -1 else at + n for at, n in zip(begin, size, strict=True)]
    return np.asarray(values[0][tuple(slice(a, e) for a, e in zip(begin, ends, strict=True))])


def _packed(ask: Operands, values: list[Array]) -> Array:
    return np.stack(values, ask.axis(ask.option(1, "i"), values[0].ndim + 1))


def _joined(ask: Operands, values: list[Array]) -> Array:
    return np.concatenate(values, ask.axis(ask.option(0, "i"), values[0].ndim))


def _gathered(ask: Operands, values: list[Array]) -> Array:
    return np.take(values[0], values[1].astype(np.int64), ask.axis(ask.option(0, "i"), values[0].ndim))


def _transposed(ask: Operands, values: list[Array]) -> Array:
    return np.transpose(values[0], ask.constant_ints(1))


def _product(ask: Operands, values: list[Array]) -> Array:
    axes = {ask.axis(axis, values[0].ndim) for axis in ask.constant_ints(1)}
    return np.asarray(np.prod(values[0], tuple(axes)))


def _filled(ask: Operands, values: list[Array]) -> Array:
    shape = ask.constant_ints(0)
    if np.prod(shape, dtype=np.float64) > ELEMENTS_MAX:
        raise ask.refuse(f"it fills {shape}")
    return np.full(shape, values[1])


def _as_it_is(ask: Operands, values: list[Array]) -> Array:
    return values[0]


Evaluator = Callable[[Operands, list[Array]], Array]

MOVES: Final[dict[int, Evaluator]] = {
    Builtin.CONCATENATION: _joined,
    Builtin.EXPAND_DIMS: _as_it_is,
    Builtin.FILL: _filled,
    Builtin.GATHER: _gathered,
    Builtin.PACK: _packed,
    Builtin.RESHAPE: _as_it_is,
    Builtin.SLICE: _slice,
    Builtin.SQUEEZE: _as_it_is,
    Builtin.STRIDED_SLICE: _sliced,
    Builtin.TRANSPOSE: _transposed,
    Builtin.ZEROS_LIKE: lambda ask, values: np.zeros_like(values[0]),
}
"""Right for every type: they only move values."""

ARITHMETIC: Final[dict[int, Evaluator]] = {
    Builtin.ADD: lambda ask, values: values[0] + values[1],
    Builtin.CAST: _as_it_is,
    Builtin.FLOOR_DIV: lambda ask, values: values[0] // values[1],
    Builtin.MAXIMUM: lambda ask, values: np.maximum(values[0], values[1]),
    Builtin.MINIMUM: lambda ask, values: np.minimum(values[0], values[1]),
    Builtin.MUL: lambda ask, values: values[0] * values[1],
    Builtin.NEG: lambda ask, values: -values[0],
    Builtin.REDUCE_PROD: _product,
    Builtin.SUB: lambda ask, values: values[0] - values[1],
}
"""Right for integers without scales."""


def evaluate(graph: TfGraph, op: TfOp) -> Array | None:
    """The constant that `op` makes, in its output's shape and type; None when it is no constant.

    UnsupportedModel when its operands do not fit together.
    """
    if len(op.outputs) != 1 or any(i < 0 for i in op.inputs) or not op.inputs:
        return None
    ask = Operands(graph, op)
    sources, made = [graph.tensors[i] for i in op.inputs], graph.tensors[op.outputs[0]]
    dtype = _DTYPES.get(made.dtype)
    if dtype is None:
        return None
    if op.code == Builtin.SHAPE:
        function: Evaluator = _shape
    elif any(source.data is None for source in sources):
        return None
    elif op.code in MOVES:
        function = MOVES[op.code]
    elif op.code in ARITHMETIC and all(t.dtype in _INTEGERS for t in (*sources, made)):
        function = ARITHMETIC[op.code]
    else:
        return None
    values = [np.asarray(source.data) for source in sources if source.data is not None]
    try:
        with np.errstate(all="ignore"):
            answer = function(ask, values)
    except (ValueError, IndexError, ZeroDivisionError) as error:
        raise ask.refuse(f"its constants do not fit together ({error})") from error
    if answer.size != made.elements:
        raise ask.refuse(f"it makes {answer.shape}, its output is {made.shape}")
    return np.asarray(answer, dtype).reshape(made.shape)
