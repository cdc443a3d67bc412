"""SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND as COPYs; dilation.py folds most of them away.

Sources: tensorflow/lite/kernels/internal/reference/{space_to_batch_nd,batch_to_space_nd}.h. What is padded is
the zero point, as TensorFlow Lite has it; TensorFlow Lite Micro never sets its fill (space_to_batch_nd.cc).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tinyfleet.model.compiler.builder import Builder
from tinyfleet.model.compiler.lower_move import Move, emit_move, strides_of
from tinyfleet.model.compiler.operands import Operands, Quantized
from tinyfleet.model.compiler.schema import Builtin

_FOUR = 4


@dataclass(frozen=True, slots=True)
class Blocks:
    """Along height and width: `block`, and what is padded or cropped before and behind."""

    block: tuple[int, int]
    before: tuple[int, int]
    behind: tuple[int, int]


def read_blocks(ask: Operands, rank: int) -> Blocks:
    """Operands 1 and 2. A tensor of 3 dims has a width of 1."""
    if rank not in (3, _FOUR):
        raise ask.refuse(f"{rank} dims; TFLM takes 3 and 4")
    block, edges = ask.constant_ints(1), ask.constant_ints(2)
    if len(block) != rank - 2 or len(edges) != 2 * len(block) or min(block) < 1 or min(edges) < 0:
        raise ask.refuse(f"blocks {block} and edges {edges} of {rank} dims")
    if rank == 3:
        block, edges = [*block, 1], [*edges, 0, 0]
    return Blocks((block[0], block[1]), (edges[0], edges[2]), (edges[1], edges[3]))


def lower_batch_space(builder: Builder, ask: Operands) -> None:
    """Both ops walk over one grid: a wide tensor in one batch, its blocks' values in many."""
    x, y = ask.value(0), ask.made()
    to_batch = ask.op.code == Builtin.SPACE_TO_BATCH_ND
    blocks = read_blocks(ask, len(x.shape))
    wide, deep = (x, y) if to_batch else (y, x)
    if len(y.shape) != len(x.shape) or not x.fits(y):
        raise ask.refuse(f"{x.tensor} and {y.tensor} differ in dims or quantisation")
    n, *size, c = _four(wide.shape)
    count, *cells, depth = _four(deep.shape)
    whole = [
        dim + before + behind for dim, before, behind in zip(size, blocks.before, blocks.behind, strict=True)
    ]
    grid = [cell * step for cell, step in zip(cells, blocks.block, strict=True)]
    if depth != c or count != n * prod(blocks.block) or whole != grid:
        raise ask.refuse(f"{x.shape} does not become {y.shape} with {blocks}")
    padded = any((*blocks.before, *blocks.behind))
    if not padded:
        _move_all(builder, ask, x, y, blocks, to_batch=to_batch)
        return
    moves = [_move_of(wide.shape, deep.shape, blocks, at) for at in range(prod(blocks.block))]
    fill = y.zero if to_batch else None
    for move in moves:
        if prod(move.size) > 0:
            emit_move(builder, ask, x, y, move if to_batch else _reversed(move), fill)
            fill = None


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape if len(shape) == _FOUR else (*shape[:2], 1, shape[2])


def _move_all(
    builder: Builder, ask: Operands, x: Quantized, y: Quantized, blocks: Blocks, *, to_batch: bool
) -> None:
    """Without edges: one walk over rows and columns of a block, then batches and cells."""
    wide, deep = (_four(tensor.shape) for tensor in ((x, y) if to_batch else (y, x)))
    rows, columns = blocks.block
    of_wide, of_deep = strides_of(wide), strides_of(deep)
    size = (rows, columns, wide[0], deep[1], deep[2], deep[3])
    wide_steps = (of_wide[1], of_wide[2], of_wide[0], rows * of_wide[1], columns * of_wide[2], 1)
    deep_steps = (columns * wide[0] * of_deep[0], wide[0] * of_deep[0], *of_deep)
    steps = (wide_steps, deep_steps) if to_batch else (deep_steps, wide_steps)
    emit_move(builder, ask, x, y, Move(size, *steps))


def _move_of(wide: tuple[int, ...], deep: tuple[int, ...], blocks: Blocks, at: int) -> Move:
    """From wide to deep: the values at one place of all blocks, as far as they are no edge. Perhaps none."""
    wide, deep = _four(wide), _four(deep)
    of_wide, of_deep = strides_of(wide), strides_of(deep)
    places = divmod(at, blocks.block[1])
    cells, wide_first, deep_first = [], 0, at * wide[0] * of_deep[0]
    for axis, (place, block, before) in enumerate(zip(places, blocks.block, blocks.before, strict=True), 1):
        first = max(-(-(before - place) // block), 0)
        last = min((before + wide[axis] - 1 - place) // block, deep[axis] - 1)
        cells.append(max(last - first + 1, 0))
        wide_first += (first * block + place - before) * of_wide[axis]
        deep_first += first * of_deep[axis]
    wide_steps = (of_wide[0], blocks.block[0] * of_wide[1], blocks.block[1] * of_wide[2], 1)
    return Move((wide[0], *cells, wide[3]), wide_steps, of_deep, wide_first, deep_first)


def _reversed(move: Move) -> Move:
    return Move(move.size, move.to_stride, move.from_stride, move.to_first, move.from_first)
