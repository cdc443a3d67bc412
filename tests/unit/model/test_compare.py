"""Two models side by side, and one against TFLM: what is the same, what differs and where."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.model import stream_ops
from tests.unit.model.single_ops import chain
from tests.unit.model.tflite_writer import (
    FLOAT32,
    NONE,
    UINT8,
    O,
    T,
    fully_connected_options,
    options,
    reshape_options,
    softmax_options,
    write_tflite,
)
from tests.unit.model.truth import wheel

from tinyfleet.model.compare import (
    InputError,
    check,
    compare_outputs,
    converted,
    given_sequences,
    pair_ops,
    random_sequences,
    update_cost,
    vector_sequences,
)
from tinyfleet.model.compare.constants import OFFSETS, Constants
from tinyfleet.model.compiler import InputSpec, ModelSpec, compile_model
from tinyfleet.model.compiler.compile import lower_named
from tinyfleet.model.truth import Tflm, TruthError
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import decode_artifact, encode_artifact
from tinyfleet.wire.artifact_ops import OP_FORMS, PACKED_FORMS
from tinyfleet.wire.blobs import chunk_topics, cut
from tinyfleet.wire.enums import CoreVariant

PORTABLE = ModelSpec("m", "1")
SPECS = (PORTABLE, ModelSpec("m", "1", core=CoreVariant.DSP))


def dense(
    bias: int = 0, outputs: int = 3, scale: float = 0.1, activation: int = NONE, extra: bool = False
) -> bytes:
    """A FULLY_CONNECTED of 8 inputs, then SOFTMAX, perhaps a TANH between them."""
    rng = np.random.default_rng(2)
    tensors = [
        T((1, 8), scale, 3, name="window"),
        T((1, outputs), 0.25, 0, name="sums"),
        T((outputs, 8), 0.02, 0, data=rng.integers(-90, 90, (outputs, 8))),
        T((outputs,), scale * 0.02, 0, 2, [bias, *range(1, outputs)]),
        T((1, outputs), 1 / 256, -128, name="scores"),
        T((1, outputs), 0.25, 0, name="between"),
    ]
    ops = [O(9, (0, 2, 3), (1,), fully_connected_options(activation))]
    if extra:
        ops += [O(28, (1,), (5,)), O(25, (5,), (4,), softmax_options(1.0))]
    else:
        ops += [O(25, (1,), (4,), softmax_options(1.0))]
    return write_tflite(tensors, ops, [0], [4])


def twin_of(tflite: bytes, **changes: object) -> Twin:
    return Twin(compile_model(tflite, replace(PORTABLE, **changes)))  # type: ignore[arg-type]


def test_every_record_of_the_format_says_what_of_it_are_offsets() -> None:
    packed = [form for forms in PACKED_FORMS.values() for form in forms.values()]
    kinds = {form.params for form in (*OP_FORMS.values(), *packed)}
    assert kinds == OFFSETS.keys(), (
        "model/compare/constants.py lists the fields that ARTIFACT.md marks with @"
    )


def test_constants_are_cut_where_something_begins() -> None:
    plan = decode_artifact(compile_model(chain(np.random.default_rng(3)), PORTABLE))
    constants = Constants(plan)
    pieces = constants.of(plan.ops[0])
    assert list(pieces) == ["weights", "bias", "multiplier", "shift"]
    assert len(pieces["weights"]) - 4 * 3 * 3 * 2 in range(16)
    assert len(pieces["bias"]) == 16


def test_the_same_model_has_no_changes() -> None:
    plan = decode_artifact(compile_model(dense(), PORTABLE))
    pairs = pair_ops(plan, plan)
    assert [(pair.a, pair.b, pair.changes) for pair in pairs] == [(0, 0, ()), (1, 1, ())]
    assert pairs[0].weights is not None
    assert pairs[0].weights[0] == 0


def test_changed_weights_are_counted() -> None:
    a, b = (decode_artifact(compile_model(dense(bias), PORTABLE)) for bias in (0, 1))
    first, second = pair_ops(a, b)
    assert first.weights is not None
    assert first.weights[0] == 1, "one byte of one bias"
    assert first.changes == (f"1 of {first.weights[1]} B of constants",)
    assert second.changes == ()


def test_inserted_and_reshaped_ops_are_paired_by_name() -> None:
    a = decode_artifact(compile_model(dense(), PORTABLE))
    b = decode_artifact(compile_model(dense(outputs=5, extra=True), PORTABLE))
    pairs = pair_ops(a, b)
    assert [(pair.a, pair.b) for pair in pairs] == [(0, 0), (None, 1), (1, 2)]
    assert "output 1x3 -> 1x5" in pairs[0].changes
    assert "constants of another size" in pairs[0].changes
    assert [(pair.a, pair.b) for pair in pair_ops(b, a)] == [(0, 0), (1, None), (2, 1)]


def test_a_changed_activation_and_scaling_are_said() -> None:
    a, b = (decode_artifact(compile_model(model, PORTABLE)) for model in (dense(), dense(activation=1)))
    assert pair_ops(a, b)[0].changes == ("act_min -128 -> 0",)
    c = decode_artifact(compile_model(dense(scale=0.2), PORTABLE))
    assert any("constants" in change for change in pair_ops(a, c)[0].changes)


def test_packed_and_plain_are_not_compared_byte_by_byte() -> None:
    a, b = (decode_artifact(compile_model(dense(), spec)) for spec in SPECS)
    pair = pair_ops(a, b)[0]
    assert pair.weights is None
    assert "plain -> packed" in pair.changes


def test_outputs_of_a_biased_model_flip() -> None:
    a, b = twin_of(dense()), twin_of(dense(bias=4000))
    fed = random_sequences(a.plan, 60, 1)
    found = compare_outputs(a, b, fed, converted(fed, a, b))
    assert found.steps == 60
    assert found.agreeing is not None
    assert 0 < found.agreeing < 60
    assert sum(found.flips.values()) == 60 - found.agreeing
    assert all(flip[1] == 0 for flip in found.flips), "all flips are towards the class that was pushed"
    sequence, step, element = found.largest_at
    before, after = (int(t.run([*fed[sequence][step]]).reshape(-1)[element]) for t in (a, b))
    assert found.largest == pytest.approx((after - before) / 256)
    same = compare_outputs(a, a, fed, fed)
    assert (same.equal, same.agreeing, same.largest, same.flips) == (60, 60, 0.0, {})


def test_inputs_are_converted_to_the_other_scale() -> None:
    a, b = twin_of(dense(scale=0.1)), twin_of(dense(scale=0.2))
    fed = random_sequences(a.plan, 8, 1)
    other = converted(fed, a, b)
    for one, two in zip(fed, other, strict=True):
        real = (one[0][0].astype(float) - 3) * 0.1
        again = (two[0][0].astype(float) - 3) * 0.2
        assert np.abs(real - again).max() <= 0.1 + 1e-6


def test_models_of_other_shapes_are_not_compared() -> None:
    a, b = twin_of(dense()), twin_of(dense(outputs=5))
    fed = random_sequences(a.plan, 2, 1)
    with pytest.raises(InputError, match="outputs are 1 x 3 and 1 x 5"):
        compare_outputs(a, b, fed, fed)
    with pytest.raises(InputError, match="inputs are 1x8 and 1x8x6x2"):
        converted(fed, a, twin_of(chain(np.random.default_rng(3))))


def test_random_windows_are_of_many_kinds_and_repeat() -> None:
    plan = twin_of(dense()).plan
    first, again = (random_sequences(plan, 12, 5) for _ in range(2))
    assert all((x[0][0] == y[0][0]).all() for x, y in zip(first, again, strict=True))
    widths = {int(np.ptp(sequence[0][0].astype(int))) for sequence in first}
    assert 0 in widths
    assert max(widths) > 150
    assert random_sequences(plan, 12, 6)[0][0][0].tolist() != first[0][0][0].tolist()


def test_given_windows_may_be_integers_real_or_raw() -> None:
    twin = twin_of(dense(), input=InputSpec(raw_scale=0.01))
    real = np.linspace(-2, 2, 16, dtype=np.float32).reshape(2, 8)
    (one,), (two,) = given_sequences(twin, [real], [0.1])
    assert one[0].tolist() == [[int(v) for v in np.rint(real[0].astype(float) / 0.1) + 3]]
    assert two[0].dtype == np.int8
    raw = given_sequences(twin, [(real * 100).astype(np.int16)], [0.1], raw=True)
    assert np.abs(raw[0][0][0].astype(int) - one[0]).max() <= 1
    whole = given_sequences(twin, [np.arange(16).reshape(2, 8)], [0.1])
    assert whole[1][0][0].tolist() == [list(range(8, 16))]


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((2, 7), np.int8), r"has 14 values \(2, 7\); expected windows of 8"),
        (np.zeros((0, 8), np.int8), "has 0 values"),
        (np.full((1, 8), 300), "is int64; expected int8, or floats"),
        (np.zeros((1, 8), bool), "is bool; expected int8"),
    ],
)
def test_given_windows_that_do_not_fit_are_refused(array: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        given_sequences(twin_of(dense()), [array], [0.1])


def test_two_arrays_for_one_input_are_refused() -> None:
    zeros = np.zeros((1, 8), np.int8)
    with pytest.raises(InputError, match="2 arrays of inputs, the model has 1"):
        given_sequences(twin_of(dense()), [zeros, zeros], [0.1, 0.1])


def test_golden_vectors_are_read_back() -> None:
    windows = [np.full((1, 8), value, np.int8) for value in (1, 2)]
    plan = decode_artifact(compile_model(dense(), replace(PORTABLE, golden_inputs=windows)))
    assert [int(sequence[0][0][0, 0]) for sequence in vector_sequences(plan)] == [1, 2]


def test_the_cost_of_an_update_is_what_is_published() -> None:
    image = bytes(range(256)) * 100
    cost = update_cost(image, b"")
    messages = list(chunk_topics(cut(image)))
    assert (cost.image_bytes, cost.messages, cost.is_signed) == (25_600, len(messages), True)
    plain = sum(len(topic) + len(data) for topic, data in messages)
    assert cost.wire_bytes == plain + 8 * len(messages)


def edges() -> bytes:
    """uint8 in, float out, with a reshape and a table on the way."""
    tensors = [
        T((2, 4), 0.05, 130, UINT8, name="image"),
        T((2, 4), 0.05, 2, name="quantised"),
        T((1, 8), 0.05, 2, name="flat"),
        T((1, 8), 1 / 128, 0, name="squashed"),
        T((1, 8), dtype=FLOAT32, name="real"),
    ]
    ops = [
        O(114, (0,), (1,)),
        O(22, (1,), (2,), reshape_options((1, 8))),
        O(28, (2,), (3,)),
        O(6, (3,), (4,)),
    ]
    return write_tflite(tensors, ops, [0], [4])


def parts() -> bytes:
    """Two functions of one window beside each other in every pixel: several ops fill one tensor."""
    tensors = [
        T((1, 3, 3, 3), 0.05, 2, name="window"),
        T((1, 3, 3, 3), 1 / 128, 0, name="tanh"),
        T((1, 3, 3, 6), 0.05, 2, name="both"),
        T((1, 3, 3, 6), 1 / 128, 0, name="squashed"),
        T((1, 3, 3, 3), 0.05, 2, name="bent"),
    ]
    ops = [
        O(28, (0,), (1,)),
        O(19, (0,), (4,)),
        O(2, (0, 4), (2,), options(10, 3, ("b", NONE))),
        O(28, (2,), (3,)),
    ]
    return write_tflite(tensors, ops, [0], [3, 1])


MODELS = {
    "parts": parts(),
    "chain": chain(np.random.default_rng(3)),
    "dense": dense(extra=True),
    "edges": edges(),
}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.core.name)
@pytest.mark.parametrize("name", MODELS)
def test_sound_models_are_equal_to_tflm(name: str, spec: ModelSpec) -> None:
    wheel()
    tflite = MODELS[name]
    payload = compile_model(tflite, spec)
    fed = random_sequences(decode_artifact(payload), 7, 3)
    found = check(tflite, payload, lower_named(tflite, spec)[1], fed)
    assert (found.first, found.sequences, found.steps) == (None, 7, 1)
    made = {tensor for op in decode_artifact(payload).ops for tensor in op.outputs}
    assert found.tensors >= len(made)


def stream() -> bytes:
    """A delay line of four windows: what comes out is what went in three steps before."""
    graph = stream_ops.Graph(np.random.default_rng(1), 0.05, 3)
    given = graph.given((1, 1, 1, 8))
    handle = graph.variable("line", (1, 3, 1, 8))
    joined = graph.joined(graph.read(handle, (1, 3, 1, 8)), graph.changed(given), 1)
    graph.assign(handle, graph.end(joined, 1, 3))
    graph.outputs.append(graph.changed(joined))
    return graph.write()


def test_a_model_with_state_runs_several_steps_from_reset() -> None:
    wheel()
    tflite = stream()
    payload = compile_model(tflite, PORTABLE)
    plan = decode_artifact(payload)
    numbers = lower_named(tflite, PORTABLE)[1]
    found = check(tflite, payload, numbers, random_sequences(plan, 5, 3))
    assert (found.first, found.sequences, found.steps) == (None, 5, 12)
    forgetful = replace(plan, states=tuple(replace(s, initial=None, fill=77) for s in plan.states))
    found = check(tflite, encode_artifact(forgetful), numbers, random_sequences(plan, 5, 3, steps=2))
    assert found.first is not None
    assert (found.first.sequence, found.first.step, found.steps, found.differing) == (0, 0, 2, 5)
    assert found.first.ours != found.first.theirs


def test_given_windows_of_a_model_with_state_are_sequences() -> None:
    twin = twin_of(stream())
    windows = np.arange(6 * 8, dtype=np.int8).reshape(6, 1, 1, 8)
    assert [len(each) for each in given_sequences(twin, [windows], [0.05])] == [6]
    assert [len(each) for each in given_sequences(twin, [windows.reshape(2, 3, 8)], [0.05])] == [3, 3]
    assert [len(each) for each in given_sequences(twin, [windows[0]], [0.05])] == [1]
    golden = replace(PORTABLE, golden_inputs=[list(windows), list(windows[::-1])])
    plan = decode_artifact(compile_model(stream(), golden))
    back = vector_sequences(plan)
    assert [len(each) for each in back] == [6, 6]
    assert (back[1][0][0] == windows[5]).all()


def test_answers_of_models_with_state_are_compared_step_by_step() -> None:
    a = twin_of(stream())
    fed = random_sequences(a.plan, 3, 2, steps=5)
    found = compare_outputs(a, twin_of(stream()), fed, fed)
    assert (found.steps, found.equal) == (15, 15)


def test_the_first_tensor_that_differs_is_named() -> None:
    """The plan is another model's: its bias is larger by one step of the sums."""
    wheel()
    tflite, other = dense(extra=True), dense(bias=900, extra=True)
    payload = compile_model(other, PORTABLE)
    fed = random_sequences(decode_artifact(payload), 6, 3)
    found = check(tflite, payload, lower_named(tflite, PORTABLE)[1], fed)
    first = found.first
    assert first is not None
    assert (first.op, first.op_name, first.tensor, first.name) == (0, "FULLY_CONNECTED", 1, "sums1")
    assert (first.differing, first.values, first.place) == (1, 3, (0, 0))
    assert first.ours - first.theirs == first.largest > 0
    assert 0 < found.differing <= 6


def test_a_broken_record_is_found_behind_equal_ops() -> None:
    """The last op alone is wrong: everything before it is equal."""
    wheel()
    tflite = dense(extra=True)
    plan = decode_artifact(compile_model(tflite, PORTABLE))
    softmax = replace(plan.ops[-1].params, multiplier=plan.ops[-1].params.multiplier // 2)  # type: ignore[call-arg, attr-defined]
    broken = replace(plan, ops=(*plan.ops[:-1], replace(plan.ops[-1], params=softmax)))
    found = check(
        tflite, encode_artifact(broken), lower_named(tflite, PORTABLE)[1], random_sequences(plan, 6, 3)
    )
    assert found.first is not None
    assert (found.first.op_name, found.first.name) == ("SOFTMAX", "scores4")


def test_a_model_that_tflm_lacks_an_op_for_is_said() -> None:
    wheel()
    tensors = [T((1, 4), 0.1, 0), T((1, 4), 0.1, 0)]
    with pytest.raises(TruthError, match=r"cannot load this model: .*POW"):
        Tflm(write_tflite(tensors, [O(78, (0, 0), (1,))], [0], [1]))


def test_a_crash_of_tflm_is_an_error_of_ours() -> None:
    """An index that the graph has not would end the process: it ends the other one."""
    wheel()
    with Tflm(dense()) as tflm:
        tflm.run([np.zeros((1, 8), np.int8)])
        with pytest.raises(ValueError, match="tensor 99 of 6"):
            tflm.tensor(99)
        with pytest.raises(TruthError, match=r"ended \(status -?\d+\) while it was to tensor"):
            tflm._ask({"do": "tensor", "index": 10**6})
