"""Reader and writer of the payload: round trips, and what the writer will not let out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.wire.artifact import (
    Artifact,
    ArtifactError,
    Baseline,
    Dtype,
    Endpoint,
    Metadata,
    Op,
    OutputKind,
    Place,
    State,
    Tensor,
    Vector,
    decode_artifact,
    encode_artifact,
)
from tinyfleet.wire.artifact_metadata import decode_metadata, encode_metadata
from tinyfleet.wire.artifact_ops import OP_FORMS

PLAN = decode_artifact((Path(__file__).with_name("frozen") / "chain_abi2.plan").read_bytes())
COUNTS = st.integers(0, 2**32 - 1)


def texts(most: int, least: int = 0) -> st.SearchStrategy[str]:
    """Text that fits in `most` bytes of UTF-8."""
    return st.text(st.characters(codec="utf-8"), min_size=least, max_size=most).filter(
        lambda text: len(text.encode()) <= most
    )


METADATA = st.builds(
    Metadata,
    name=texts(12, 1),
    version=texts(12, 1),
    sensor=texts(8),
    unit=texts(4),
    rate_mhz=COUNTS,
    samples=st.integers(0, 65535),
    channels=st.integers(0, 65535),
    output_kind=st.sampled_from(OutputKind),
    labels=st.lists(texts(8), max_size=8).map(tuple),
    source=st.binary(min_size=32, max_size=32),
    input_scale=st.floats(2**-100, 2**100, width=32),
    output_scale=st.floats(2**-100, 2**100, width=32),
    compiler=texts(8),
    hop=st.none() | COUNTS,
    threshold=st.none() | st.integers(0, 255),
    output_unit=st.none() | texts(4),
    baseline=st.none()
    | st.builds(
        Baseline,
        COUNTS,
        st.lists(COUNTS, max_size=8).map(tuple),
        st.lists(COUNTS, min_size=10, max_size=10).map(tuple),
    ),
)


@given(METADATA)
def test_metadata_comes_back(metadata: Metadata) -> None:
    assert decode_metadata(encode_metadata(metadata)) == metadata


@pytest.mark.parametrize("code", OP_FORMS)
@given(data=st.data())
def test_parameters_come_back(code: int, data: st.DataObject) -> None:
    layout = OP_FORMS[code].params.LAYOUT  # type: ignore[index]
    kinds = {"I": (0, 2**32 - 1), "i": (-(2**31), 2**31 - 1), "H": (0, 65535), "h": (-32768, 32767)}
    kinds["B"] = (0, 255)
    numbers = "".join(
        letter * int(count or 1) for count, letter in _split(layout.format.removeprefix("<")) if letter != "x"
    )
    record = layout.pack(*(data.draw(st.integers(*kinds[letter])) for letter in numbers))
    assert OP_FORMS[code].params.decode(record).encode() == record  # type: ignore[index]


def _split(layout: str) -> list[tuple[str, str]]:
    parts, count = [], ""
    for letter in layout:
        if letter.isdigit():
            count += letter
        else:
            parts.append((count, letter))
            count = ""
    return parts


def changed(**what: object) -> Artifact:
    return replace(PLAN, **what)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("plan", "says"),
    [
        (changed(arena_bytes=368), "offset: expected 16-byte aligned inside 368"),
        (changed(arena_bytes=385), "arena_bytes"),
        (changed(input=Endpoint(99, 0, 0, 0)), "INPUTS, tensor"),
        (changed(output=Endpoint(0, 0, -1, 0)), "OUTPUTS, scaling"),
        (changed(output=Endpoint(0, 0, 1, 31)), "OUTPUTS, scaling"),
        (changed(metadata=replace(PLAN.metadata, samples=47)), "samples x channels"),
        (changed(ops=(replace(PLAN.ops[0], inputs=(99,)),)), "op 0, tensors"),
        (changed(ops=(replace(PLAN.ops[0], variant=1),)), "op 0"),
        (changed(vectors=(Vector.single(bytes(95), bytes(3)),)), "vector 0, input and output bytes"),
        (changed(vectors=(Vector(()),)), "VECTORS: expected 1 of 4 bytes"),
        (changed(vectors=(*PLAN.vectors, Vector(PLAN.vectors[0].steps * 2))), "VECTORS"),
        (changed(states=(State(99),)), "state 0, tensor"),
        (changed(states=(State(0, initial=2),)), "state 0, initial"),
        (changed(states=(State(0, initial=2**20),)), "state 0, initial"),
        (changed(tensors=(Tensor(8, Place.ARENA, Dtype.INT8, (1,)),)), "tensor 0, offset"),
        (changed(tensors=(Tensor(0, Place.CONSTANT, Dtype.INT8, (2**20,)),)), "tensor 0, offset"),
        (changed(tensors=(Tensor(0, Place.ARENA, Dtype.INT8, (0,)),)), "tensor 0, dims"),
    ],
)
def test_the_writer_lets_nothing_out_that_the_reader_refuses(plan: Artifact, says: str) -> None:
    with pytest.raises(ArtifactError, match=says):
        encode_artifact(plan)


def test_ops_keep_their_operands() -> None:
    add = next(op for op in PLAN.ops if len(op.inputs) == 2)
    assert isinstance(add, Op)
    assert PLAN.tensors[add.outputs[0]].offset in {PLAN.tensors[i].offset for i in add.inputs}


def test_input_and_output_sizes() -> None:
    assert PLAN.input_bytes == int(np.prod((1, 8, 6, 2)))
    assert PLAN.output_bytes == 3


def test_sequences_and_state_come_back() -> None:
    sequence = Vector(PLAN.vectors[0].steps * 3)
    plan = changed(vectors=(sequence, sequence), states=(State(1, -7), State(2, 0, 16)))
    assert decode_artifact(encode_artifact(plan)) == plan
    assert (len(sequence.input), len(sequence.output)) == (3 * PLAN.input_bytes, PLAN.output_bytes)


def test_wide_values() -> None:
    plan = changed(tensors=(*PLAN.tensors, Tensor(8, Place.CONSTANT, Dtype.UINT64, (2,))))
    assert decode_artifact(encode_artifact(plan)).tensors[-1].size_bytes == 16
    plan = changed(tensors=(*PLAN.tensors, Tensor(4, Place.CONSTANT, Dtype.INT64, (2,))))
    with pytest.raises(ArtifactError, match="8-byte aligned"):
        encode_artifact(plan)
