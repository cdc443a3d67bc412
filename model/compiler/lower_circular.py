"""CIRCULAR_BUFFER, TFLM's own custom op: the last rows of a stream. Source: micro/kernels/circular_buffer.cc.

There the output is a variable that turns in place. Here it is what a streaming convolution makes of a state:
the rows kept and the new one joined, the end of that kept.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Final

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.emitted import Piece
from tinyfleet.model.compiler.flexbuffer import read_map
from tinyfleet.model.compiler.lower_move import Move, emit_move
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.tflite import TfGraph

CIRCULAR_BUFFER: Final = "CIRCULAR_BUFFER"
_EVERY_RUN: Final = (5, 13, 25)
"""Rows of buffers that TFLM lets run each time where the model does not say how often."""


def with_circular_buffers(graph: TfGraph) -> TfGraph:
    """Their outputs are made anew in each run: they are no state themselves."""
    made = {i for op in graph.ops if op.custom == CIRCULAR_BUFFER for i in op.outputs}
    tensors = tuple(replace(t, is_variable=False) if t.index in made else t for t in graph.tensors)
    return replace(graph, tensors=tensors)


def lower_circular(builder: Builder, ask: Operands) -> None:
    ask.count((1,))
    x, y = ask.activation(0), ask.output()
    if len(y.shape) != 4 or x.shape != (y.shape[0], 1, *y.shape[2:]) or y.shape[0] != 1:
        raise ask.refuse(f"{x.shape} to {y.shape}; expected [1, 1, …] to [1, rows, …]")
    if not x.fits(y):
        raise ask.refuse("input and output are quantised differently; it only keeps values")
    rows, row = y.shape[1], prod(y.shape[2:])
    _expect_every_run(ask, rows)
    if rows == 1:
        builder.alias(x.index, y.index)
        return
    kept, tail = (_like(builder, y, (rows - 1) * row) for _ in range(2))
    builder.keep(kept.index, fill=y.zero)
    size = (rows - 1) * row
    emit_move(builder, ask, kept, y, _run(size), pieces=(Piece(kept.index, y.index, 0, (x.index,)),))
    end = Piece(x.index, y.index, size, (kept.index,))
    emit_move(builder, ask, x, y, Move((row,), (1,), (1,), 0, size), pieces=(end,))
    emit_move(builder, ask, y, tail, replace(_run(size), from_first=row))
    builder.emit_copy(tail.index, kept.index)


def _expect_every_run(ask: Operands, rows: int) -> None:
    options = read_map(ask.op.custom_options, ask.where) if ask.op.custom_options else {}
    cycles = options.get("cycles_max", 0)
    if cycles <= 0:
        cycles = 1 if rows in _EVERY_RUN else 2
    if cycles != 1:
        raise ask.refuse(
            f"it lets what follows run once in {cycles} times, which a plan does not; convert the model with "
            "a stride of 1 in time"
        )


def _run(size: int) -> Move:
    return Move((size,), (1,), (1,))


def _like(builder: Builder, y: Quantized, elements: int) -> Quantized:
    index = builder.new(y.dtype, (elements,))
    return replace(y, tensor=replace(y.tensor, index=index, shape=(elements,), data=None))
