"""Bit-exact with TensorFlow Lite Micro: signal ops over streams of runs, plain integers, whole front ends."""

import os
from pathlib import Path

import numpy as np
import pytest
from tests.unit.model.integer_ops import INTEGER
from tests.unit.model.signal_ops import SIGNAL, Case, audio, whole_front_end
from tests.unit.model.truth import Truth, wheel

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.model.compiler.tflite import TfGraph, read_tflite
from tinyfleet.model.twin import Twin

CASES = 200
SPEC = ModelSpec(name="case", version="1")
MODELS = Path(os.environ.get("TINYFLEET_MODELS") or Path(__file__).resolve().parents[4] / "shared" / "models")


def answers(truth: Truth, twin: Twin, step: list[np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """(ours, theirs) of each output after one run of both."""
    ours = twin.run_all(b"".join(values.tobytes() for values in step))
    theirs = truth.run_each(step, len(ours))
    return [(a, b.astype(a.dtype).reshape(a.shape)) for a, b in zip(ours, theirs, strict=True)]


def compare(case: Case, where: str) -> int:
    """Runs the stream; how many answers said something."""
    truth, twin = Truth(case.tflite), Twin(compile_model(case.tflite, SPEC))
    twin.reset()
    informative = 0
    for number, step in enumerate(case.steps):
        pairs = answers(truth, twin, step)
        for i, (ours, theirs) in enumerate(pairs):
            if i in case.valid and not pairs[case.valid[i]][1].all():
                continue  # TFLM has written nothing there yet
            np.testing.assert_array_equal(ours, theirs, f"{where}, step {number}, output {i}")
            informative += np.unique(ours).size > 2
    return informative


@pytest.mark.parametrize("name", [*SIGNAL, *INTEGER])
def test_single_op(name: str) -> None:
    wheel()
    make = {**SIGNAL, **INTEGER}[name]
    informative = 0
    for seed in range(CASES):
        case = make(np.random.default_rng([seed, sum(name.encode())]))
        informative += compare(case, f"{name}, seed {seed}")
    assert informative > CASES / 2, "most answers were trivial: this compared nothing"


def made_by_ops(graph: TfGraph) -> list[int]:
    """The first tensor of each op that does something: reshapes and casts of the same width do not."""
    made = []
    for op in graph.ops:
        x, y = (graph.tensors[i] for i in (op.inputs[0], op.outputs[0]))
        same_width = op.code == Builtin.CAST and {x.dtype.name, y.dtype.name} == {"INT32", "UINT32"}
        if op.code != Builtin.RESHAPE and not same_width:
            made.append(y.index)
    return made


def test_every_tensor_of_a_front_end() -> None:
    """Seven long streams: what one run remembers shows in the next."""
    for seed in range(7):
        rng = np.random.default_rng([seed, 77])
        tflite = whole_front_end(rng).tflite
        truth, twin = Truth(tflite), Twin(compile_model(tflite, SPEC))
        made = made_by_ops(read_tflite(tflite))
        twin.reset()
        for step in range(40):
            window = audio(rng, twin.input_shape)
            truth.run_each([window], 1)
            for i, ours in twin.trace(window):
                theirs = truth.tensor(made[i]).astype(ours.dtype).reshape(ours.shape)
                np.testing.assert_array_equal(ours, theirs, f"seed {seed}, step {step}, op {i}")


def test_the_public_audio_preprocessor() -> None:
    """examples/micro_speech of tflite-micro: 30 ms of samples to 40 int8 features, with a noise estimate."""
    path = MODELS / "audio_preprocessor_int8.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is absent; TINYFLEET_MODELS names the folder with the public models")
    tflite = path.read_bytes()
    truth, twin = Truth(tflite), Twin(compile_model(tflite, SPEC))
    twin.reset()
    rng = np.random.default_rng(4)
    seen = set()
    for frame in range(400):
        ours, theirs = answers(truth, twin, [audio(rng, (1, 480))])[0]
        np.testing.assert_array_equal(ours, theirs, f"frame {frame}")
        seen.update(ours.tolist())
    assert len(seen) > 100
