"""The plans that the fuzz search starts from: each loads, runs, and every op of the runtime is in one."""

from pathlib import Path

import pytest
from tests.fuzz.corpus import CORPUS

from tinyfleet.model.twin import Twin, runtime_ops
from tinyfleet.wire.artifact_ops import PACKED_FORMS, PLAIN

SEEDS = sorted(CORPUS.glob("*.plan"))
MEND = "`python -m tests.fuzz.corpus` writes the plans anew"


@pytest.fixture(scope="module")
def twins() -> list[Twin]:
    return [Twin(path.read_bytes()) for path in SEEDS]


def test_every_op_is_in_a_seed(twins: list[Twin]) -> None:
    codes = {int(op.code) for twin in twins for op in twin.plan.ops}
    assert codes == runtime_ops(), MEND


def test_every_packing_is_in_a_seed(twins: list[Twin]) -> None:
    """A kernel of a packing is exercised by a plan of its core, beside that of the portable one."""
    packed = {(twin.plan.core, op.code) for twin in twins for op in twin.plan.ops if op.variant != PLAIN}
    assert packed == {(core, code) for core, forms in PACKED_FORMS.items() for code in forms}, MEND


def test_seeds_are_sound_and_small(twins: list[Twin]) -> None:
    for path, twin in zip(SEEDS, twins, strict=True):
        assert twin.plan.vectors, path.name
        assert twin.failed_vector() is None, f"{path.name}: {MEND}"
        assert path.stat().st_size < 8192, path.name
    assert sum(path.stat().st_size for path in every_kept()) < 400_000


def every_kept() -> list[Path]:
    return [path for path in CORPUS.rglob("*") if path.is_file()]
