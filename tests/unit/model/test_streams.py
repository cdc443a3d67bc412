"""Bit-exact with TensorFlow Lite Micro over several runs: models that remember something."""

from dataclasses import replace

import numpy as np
import pytest
from tests.unit.model import recurrent_ops, stream_ops
from tests.unit.model.remembering import remembering, windows
from tests.unit.model.tflite_writer import O, options, write_tflite
from tests.unit.model.truth import Truth, wheel

from tinyfleet.model.compiler import ModelSpec, TfliteError, UnsupportedModel, compile_model, describe
from tinyfleet.model.compiler.compile import lower_named
from tinyfleet.model.compiler.tflite import read_tflite
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import Vector, decode_artifact, encode_artifact

CASES = 250
STEPS = 5
SPEC = ModelSpec(name="case", version="1")


def variable_tensors(tflite: bytes) -> dict[int, int]:
    """Variable tensors of the source, and the plan's number of each."""
    _, numbers = lower_named(tflite, SPEC)
    source = read_tflite(tflite).tensors
    return {i: number for i, number in numbers.items() if i < len(source) and source[i].is_variable}


OPS = {**stream_ops.OPS, **recurrent_ops.OPS}


@pytest.mark.parametrize("name", OPS)
def test_stream(name: str) -> None:
    wheel()
    informative = 0
    for seed in range(CASES):
        rng = np.random.default_rng([seed, sum(name.encode())])
        tflite = OPS[name](rng)
        truth, twin = Truth(tflite), Twin(compile_model(tflite, SPEC))
        plan, kept = twin.plan, variable_tensors(tflite)
        windows = [rng.integers(-128, 128, plan.input_bytes).astype(np.int8) for _ in range(STEPS)]
        expected = [truth.run_all(window, len(plan.inputs), len(plan.outputs)) for window in windows]
        for again in range(2):
            for step, window in enumerate(windows):
                for i, (ours, theirs) in enumerate(zip(twin.run_all(window), expected[step], strict=True)):
                    where = f"{name}, seed {seed}, step {step}, output {i}, time {again}"
                    np.testing.assert_array_equal(ours, theirs.reshape(ours.shape), where)
                    informative += np.unique(ours).size > 2
            for index, number in kept.items():
                theirs, ours = truth.tensor(index), twin.tensor(number)
                np.testing.assert_array_equal(ours, theirs.reshape(ours.shape), f"{name}, seed {seed}, state")
            twin.reset()
        assert plan.states, "nothing is remembered"
    assert informative > CASES / 4, "most answers were saturated: this compared nothing"


def test_every_kind_of_state_in_one_model() -> None:
    rng = np.random.default_rng(7)
    tflite = remembering(rng)
    steps = windows(rng, 8)
    twin = Twin(compile_model(tflite, ModelSpec("m", "1", golden_inputs=[steps])))
    assert len(twin.plan.states) == 5
    assert twin.failed_vector() is None
    wheel()
    truth = Truth(tflite)
    twin.reset()
    for step in steps:
        ours = twin.run(step)
        np.testing.assert_array_equal(ours, truth.run(step).reshape(ours.shape))


def line(shape: tuple[int, ...], new: int) -> stream_ops.Graph:
    """A delay line along axis 1 whose joined values are read behind the assignment."""
    graph = stream_ops.Graph(np.random.default_rng(0), 0.05, 3)
    given = graph.given((shape[0], new, *shape[2:]))
    handle = graph.variable("line", shape)
    whole = graph.joined(graph.read(handle, shape), graph.changed(given), 1)
    graph.assign(handle, graph.end(whole, 1, shape[1]))
    graph.outputs.append(graph.changed(whole))
    return graph


def test_a_delay_line_is_one_move_in_the_memory_of_what_is_joined() -> None:
    """10 and 2 lines of 32 bytes: 384 hold the state, too."""
    summary = describe(compile_model(line((1, 10, 1, 32), 2).write(), SPEC))
    assert [op.name for op in summary.ops] == ["TABLE", "TABLE", "COPY"]
    assert summary.arena_bytes == 384 + 384


def test_golden_vectors_are_streams_from_reset() -> None:
    rng = np.random.default_rng(3)
    tflite = line((1, 4, 1, 16), 1).write()
    steps = [rng.integers(-128, 128, 16).astype(np.int8) for _ in range(6)]
    payload = compile_model(tflite, ModelSpec("m", "1", golden_inputs=[steps, steps[::-1]]))
    twin = Twin(payload)
    assert [len(vector.steps) for vector in twin.plan.vectors] == [6, 6]
    assert twin.failed_vector() is None
    assert twin.failed_vector() is None, "each begins with a reset"
    shuffled = replace(twin.plan, vectors=(Vector(twin.plan.vectors[0].steps[1:]),))
    assert Twin(encode_artifact(shuffled)).failed_vector() == 0, "from reset another step gives other answers"


def test_what_a_reset_restores_is_what_call_once_assigned() -> None:
    for seed in range(4):
        graph = stream_ops.Graph(np.random.default_rng(seed), 0.1, -5)
        given = graph.given((1, 1, 1, 16))
        handle = graph.variable("kept", (1, 1, 1, 16))
        graph.outputs.append(graph.changed(graph.read(handle, (1, 1, 1, 16))))
        graph.assign(handle, given)
        plan = decode_artifact(compile_model(graph.write(), SPEC))
        (state,) = plan.states
        tensors, _ = graph.beginning
        if tensors:
            assert state.initial is not None
            content = plan.constants[state.initial : state.initial + 16]
            assert content == tensors[1].data.astype(np.int8).tobytes()
        else:
            assert (state.initial, state.fill) == (None, -5)


def test_state_that_no_run_reads_is_left_out() -> None:
    graph = stream_ops.Graph(np.random.default_rng(1), 0.1, 0)
    given = graph.given((1, 1, 1, 16))
    graph.assign(graph.variable("unread", (1, 1, 1, 16)), given)
    graph.outputs.append(graph.changed(given))
    plan = decode_artifact(compile_model(graph.write(), SPEC))
    assert not plan.states
    assert [op.code.name for op in plan.ops] == ["TABLE"]


def test_a_variable_that_nobody_assigns_is_refused() -> None:
    graph = stream_ops.Graph(np.random.default_rng(1), 0.1, 0)
    graph.given((1, 1, 1, 16))
    graph.outputs.append(graph.changed(graph.read(graph.variable("lost", (1, 1, 1, 16)), (1, 1, 1, 16))))
    graph.beginning = ([], [])
    with pytest.raises(UnsupportedModel, match=r"op 1 READ_VARIABLE .*: variable lost is never assigned"):
        compile_model(graph.write(), SPEC)


def test_call_once_may_only_assign_what_is_known() -> None:
    graph = stream_ops.Graph(np.random.default_rng(1), 0.1, 0)
    given = graph.given((1, 1, 1, 16))
    handle = graph.variable("kept", (1, 1, 1, 16))
    graph.outputs.append(graph.read(handle, (1, 1, 1, 16)))
    graph.assign(handle, given)
    graph.beginning[0][1].data = None
    with pytest.raises(TfliteError, match=r"op 1 ASSIGN_VARIABLE, inputs"):
        compile_model(graph.write(), SPEC)
    graph.ops.insert(0, O(stream_ops.CALL_ONCE, (), (), options(103, 7)))
    with pytest.raises(TfliteError, match="op 0 CALL_ONCE, subgraph: expected 1 to 1, got 7"):
        compile_model(
            write_tflite(graph.tensors, graph.ops, graph.inputs, graph.outputs, [([], [], [], [])]), SPEC
        )
