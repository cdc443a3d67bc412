"""SPACE_TO_BATCH_ND, a convolution, BATCH_TO_SPACE_ND: one dilated convolution, where that is proven equal.

Cutting an image into blocks and convolving each place of the blocks by itself is what a dilated convolution
does, provided that the convolution steps by 1, is not dilated and pads nothing of its own. What the first op
pads is the dilated one's padding; what the last crops before is that much less of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from tinyfleet.model.compiler.lower_batch import Blocks, read_blocks
from tinyfleet.model.compiler.operands import Operands
from tinyfleet.model.compiler.schema import Builtin, Padding
from tinyfleet.model.compiler.tflite import Dilation, TfGraph, TfOp, TfTensor

_CONVOLUTIONS: Final = {Builtin.CONV_2D: (4, 5), Builtin.DEPTHWISE_CONV_2D: (5, 6)}
"""Field numbers of dilation_w and dilation_h."""
_SHAPES: Final = (Builtin.EXPAND_DIMS, Builtin.RESHAPE, Builtin.SQUEEZE)


@dataclass(frozen=True, slots=True)
class _Chain:
    """The ops in order; a convolution over lines stands between two ops that only change the shape."""

    cut: TfOp
    before: TfOp | None
    conv: TfOp
    behind: TfOp | None
    join: TfOp

    @property
    def ops(self) -> tuple[TfOp, ...]:
        return tuple(
            op for op in (self.cut, self.before, self.conv, self.behind, self.join) if op is not None
        )


def with_dilation(graph: TfGraph) -> TfGraph:
    for op in graph.ops:
        if op.code == Builtin.SPACE_TO_BATCH_ND:
            chain = _chain(graph, op)
            graph = graph if chain is None else _dilated(graph, chain)
    return graph


def _chain(graph: TfGraph, cut: TfOp) -> _Chain | None:
    """What follows, each op the only user of the one before. None: something else does."""
    ops = [cut]
    while ops[-1].code != Builtin.BATCH_TO_SPACE_ND:
        made = ops[-1].outputs[0]
        users = [op for op in graph.ops if made in op.inputs]
        if len(users) != 1 or users[0].inputs[0] != made or made in graph.outputs or len(ops) > 4:
            return None
        ops.append(users[0])
    codes = [op.code for op in ops]
    if len(ops) == 3 and codes[1] in _CONVOLUTIONS:
        return _Chain(cut, None, ops[1], None, ops[2])
    shaped = len(ops) == 5 and codes[1] in _SHAPES and codes[2] in _CONVOLUTIONS and codes[3] in _SHAPES
    return _Chain(cut, ops[1], ops[2], ops[3], ops[4]) if shaped else None


def _dilated(graph: TfGraph, chain: _Chain) -> TfGraph:
    """The graph with the chain as one convolution; as it is where they are not equal."""
    source, sink = graph.tensors[chain.cut.inputs[0]], graph.tensors[chain.join.outputs[0]]
    same = _alike(source, graph.tensors[chain.cut.outputs[0]]) and _alike(
        sink, graph.tensors[chain.join.inputs[0]]
    )
    cut, join = _blocks(graph, chain.cut), _blocks(graph, chain.join)
    if not same or cut is None or join is None or cut.block != join.block or not _is_plain(graph, chain.conv):
        return graph
    pads = (cut.before[0] - join.before[0], cut.before[1] - join.before[1])
    if min(pads) < 0:
        return graph
    if chain.before is None or chain.behind is None:
        image, made = source, sink
        dilation = Dilation(*cut.block, *pads)
        ops = [replace(chain.conv, inputs=(source.index, *chain.conv.inputs[1:]), outputs=(sink.index,))]
        tensors = graph.tensors
    else:
        across = _line_axis(graph, chain)
        if across is None:
            return graph
        dilation = Dilation(cut.block[0], 1, pads[0], 0)
        if across == 2:
            dilation = Dilation(1, cut.block[0], 0, pads[0])
        image = _lines(source, graph.tensors[chain.conv.inputs[0]], across, len(graph.tensors))
        made = _lines(sink, graph.tensors[chain.conv.outputs[0]], across, len(graph.tensors) + 1)
        ops = [
            replace(chain.before, inputs=(source.index, *chain.before.inputs[1:]), outputs=(image.index,)),
            replace(chain.conv, inputs=(image.index, *chain.conv.inputs[1:]), outputs=(made.index,)),
            replace(chain.behind, inputs=(made.index, *chain.behind.inputs[1:]), outputs=(sink.index,)),
        ]
        tensors = (*graph.tensors, image, made)
    if not _windows_fit(graph, chain.conv, image, made, dilation):
        return graph
    ops = [replace(op, dilation=dilation) if op.code in _CONVOLUTIONS else op for op in ops]
    return replace(graph, tensors=tensors, ops=_spliced(graph.ops, chain.ops, ops))


def _blocks(graph: TfGraph, op: TfOp) -> Blocks | None:
    constant = all(graph.tensors[i].data is not None for i in op.inputs[1:])
    return read_blocks(Operands(graph, op), len(graph.tensors[op.inputs[0]].shape)) if constant else None


def _is_plain(graph: TfGraph, conv: TfOp) -> bool:
    """Steps of 1, no dilation, no padding of its own."""
    ask = Operands(graph, conv)
    filters = graph.tensors[conv.inputs[1]]
    ones = [ask.option(number, "i", 1) for number in (1, 2, *_CONVOLUTIONS[Builtin(conv.code)])]
    pads = ask.option(0, "b") != Padding.VALID and len(filters.shape) == 4 and filters.shape[1:3] != (1, 1)
    return ones == [1, 1, 1, 1] and not pads


def _alike(a: TfTensor, b: TfTensor) -> bool:
    return (a.dtype, list(a.scales), list(a.zero_points)) == (b.dtype, list(b.scales), list(b.zero_points))


def _line_axis(graph: TfGraph, chain: _Chain) -> int | None:
    """Which axis of the convolution's images the lines lie along."""
    cut, image = graph.tensors[chain.cut.outputs[0]].shape, graph.tensors[chain.conv.inputs[0]].shape
    made, join = graph.tensors[chain.conv.outputs[0]].shape, graph.tensors[chain.join.inputs[0]].shape
    if len(cut) != 3 or len(join) != 3:
        return None
    for axis, one in ((2, 1), (1, 2)):
        if image == _with_one(cut, one) and made == _with_one(join, one):
            return axis
    return None


def _with_one(shape: tuple[int, ...], at: int) -> tuple[int, ...]:
    return (*shape[:at], 1, *shape[at:])


def _lines(lines: TfTensor, pattern: TfTensor, across: int, index: int) -> TfTensor:
    """`lines` as images of one row or one column, named as the convolution's tensor."""
    shape = _with_one(lines.shape, 3 - across)
    return replace(pattern, index=index, shape=shape)


def _windows_fit(graph: TfGraph, conv: TfOp, image: TfTensor, made: TfTensor, dilation: Dilation) -> bool:
    """Every window starts before the image's end, and none lies in the padding alone: what the node takes."""
    kernel = graph.tensors[conv.inputs[1]].shape[1:3]
    steps, pads = (dilation.height, dilation.width), (dilation.pad_top, dilation.pad_left)
    return all(
        pad < (taps - 1) * step + 1 and out - 1 < size + pad
        for size, out, taps, step, pad in zip(
            image.shape[1:3], made.shape[1:3], kernel, steps, pads, strict=True
        )
    )


def _spliced(ops: tuple[TfOp, ...], gone: tuple[TfOp, ...], new: list[TfOp]) -> tuple[TfOp, ...]:
    """`new` where the last of `gone` was: all that they need is there by then."""
    numbers = {op.index for op in gone}
    spliced: list[TfOp] = []
    for op in ops:
        if op.index == gone[-1].index:
            spliced += new
        elif op.index not in numbers:
            spliced.append(op)
    return tuple(spliced)
