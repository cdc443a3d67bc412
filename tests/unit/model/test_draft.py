"""Pieces lie in their wholes, unless that would make the arena larger."""

import numpy as np
import pytest
from tests.unit.model.op_parts import constant
from tests.unit.model.tflite_writer import NONE, O, T, options, write_tflite

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.compiler.draft import Draft, Drafts
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import OpCode, decode_artifact

STEP, ZERO = 0.05, 3
ROW = 16


def t(*shape: int) -> T:
    return T(shape, STEP, ZERO)


def early_and_late(late_rows: int, fat_rows: int) -> bytes:
    """The input is widened and narrowed again; what was there before it joins what came out of it."""
    tensors = [
        t(1, ROW),
        t(1, ROW),  # 1: early
        constant(fat_rows, ROW),
        t(fat_rows, ROW),  # 3, 4: fat, of two ops that cannot work in place
        t(fat_rows, ROW),
        constant(0),
        constant(0, 0),
        constant(late_rows, ROW),
        t(late_rows, ROW),  # 8: late
        t(1 + late_rows, ROW),  # 9: joined
        t(1 + late_rows, ROW),
    ]
    ops = [
        O(101, (0,), (1,)),
        O(130, (0, 2), (3,)),
        O(105, (3, 5), (4,)),
        O(65, (4, 6, 7), (8,)),
        O(2, (1, 8), (9,), options(10, 0, ("b", NONE))),
        O(101, (9,), (10,)),
    ]
    return write_tflite(tensors, ops, [0], [10])


def copies(plan: bytes) -> int:
    return sum(op.code is OpCode.COPY for op in decode_artifact(plan).ops)


def test_what_waits_long_is_copied_where_its_whole_would_cost_arena(monkeypatch: pytest.MonkeyPatch) -> None:
    source = early_and_late(late_rows=60, fat_rows=64)
    plan = compile_model(source, ModelSpec("chosen", "1"))

    def together(self: Drafts) -> Draft:
        return self.make(frozenset())

    monkeypatch.setattr(Drafts, "best", together)
    joined = compile_model(source, ModelSpec("joined", "1"))
    # Two fat tensors and the early row; joined, the whole lives from that row on.
    assert decode_artifact(plan).arena_bytes == (2 * 64 + 1) * ROW
    assert decode_artifact(joined).arena_bytes >= (2 * 64 + 61) * ROW
    assert copies(plan) > copies(joined)
    for seed in range(5):
        window = np.random.default_rng(seed).integers(-128, 128, ROW).astype(np.int8)
        assert np.array_equal(Twin(plan).run(window), Twin(joined).run(window))
