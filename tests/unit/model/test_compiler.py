"""What the compiler refuses and how it says so; what it makes of a whole small model."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from tests.unit.model.single_ops import chain
from tests.unit.model.tflite_writer import (
    FLOAT32,
    INT32,
    NONE,
    SAME,
    TANH,
    O,
    T,
    add_options,
    conv_options,
    fully_connected_options,
    softmax_options,
    write_tflite,
)

from tinyfleet.model.compiler import (
    CompileError,
    InputSpec,
    ModelSpec,
    SpecError,
    TfliteError,
    UnsupportedModel,
    compile_model,
    describe,
    lower,
)
from tinyfleet.model.twin import Twin, TwinBuildError, library, runtime_ops
from tinyfleet.wire.artifact import (
    ArtifactError,
    Baseline,
    OpCode,
    OutputKind,
    Step,
    Vector,
    decode_artifact,
    encode_artifact,
)

SPEC = ModelSpec(name="chain", version="1")


@pytest.fixture(scope="module")
def source() -> bytes:
    return chain(np.random.default_rng(3))


def test_unsupported_ops_are_named_with_index_and_tensor() -> None:
    tensors = [T((1, 4), 0.1, 0), T((1, 4), 0.1, 0, name="soft"), T((1, 4), 0.1, 0, name="powered/")]
    ops = [O(13, (0,), (1,)), O(78, (0, 1), (2,))]
    with pytest.raises(UnsupportedModel) as refusal:
        lower(write_tflite(tensors, ops, [0], [2]), SPEC)
    text = str(refusal.value)
    assert "op 0 LOCAL_RESPONSE_NORMALIZATION (tensor 1 'soft1')" in text
    assert "op 1 POW (tensor 2 'powered/2')" in text
    assert "It has ABS, ADD, " in text


def test_custom_op_is_named() -> None:
    tensors = [T((1, 4), 0.1, 0), T((1, 4), 0.1, 0)]
    with pytest.raises(UnsupportedModel, match="op 0 CUSTOM ethos-u"):
        lower(write_tflite(tensors, [O(32, (0,), (1,), custom="ethos-u")], [0], [1]), SPEC)


def dense(**changes: object) -> bytes:
    """A FULLY_CONNECTED model with one thing changed."""
    weights = changes.get("weights", T((2, 4), 0.1, 0, data=np.ones((2, 4))))
    window = changes.get("window", T((1, 4), 0.1, 0))
    output = changes.get("output", T((1, 2), 0.1, 0))
    bias = changes.get("bias", T((2,), 0.01, 0, INT32, [1, 2]))
    options = changes.get("options", fully_connected_options(NONE))
    return write_tflite([window, output, weights, bias], [O(9, (0, 2, 3), (1,), options)], [0], [1])


@pytest.mark.parametrize(
    ("tflite", "says"),
    [
        (
            dense(window=T((1, 4), dtype=FLOAT32)),
            "tensor 0 't0', an input or output of the model, is FLOAT32",
        ),
        (
            dense(weights=T((2, 4), dtype=FLOAT32, data=np.ones((2, 4)))),
            "are FLOAT32; expected constant int8",
        ),
        (dense(weights=T((2, 4), [0.1, 0.2], 3, data=np.ones((2, 4)))), "not symmetric"),
        (dense(weights=T((3, 4), 0.1, 0, data=np.ones((3, 4)))), "do not fit the output"),
        (dense(weights=T((2, 3), 0.1, 0, data=np.ones((2, 3)))), "is not 1 rows of 3"),
        (dense(bias=T((3,), 0.01, 0, INT32, [1, 2, 3])), "expected 2 constant int32"),
        (dense(bias=T((2,), 0.01, 0)), "the file is damaged"),
        (dense(window=T((1, 4), 0.1, 200)), "has zero point 200, expected -128 to 127"),
        (dense(output=T((1, 2), 1e-30, 0)), "scales are broken"),
        (dense(options=fully_connected_options(TANH)), "op 0 FULLY_CONNECTED .* fused activation TANH"),
    ],
)
def test_refusals_say_what_is_wrong(tflite: bytes, says: str) -> None:
    with pytest.raises(CompileError, match=says):
        lower(tflite, SPEC)


def test_wrong_shapes_are_refused() -> None:
    weights = T((3, 3, 3, 2), 0.1, 0, data=np.ones((3, 3, 3, 2)))
    tensors = [T((1, 8, 8, 2), 0.1, 0), T((1, 8, 7, 3), 0.1, 0), weights]
    tflite = write_tflite(tensors, [O(3, (0, 2), (1,), conv_options(SAME, 1, 1, NONE))], [0], [1])
    with pytest.raises(UnsupportedModel, match=r"output \(1, 8, 7, 3\), expected \(1, 8, 8, 3\)"):
        lower(tflite, SPEC)


def test_softmax_of_another_scale_is_refused() -> None:
    tensors = [T((1, 4), 0.1, 0), T((1, 4), 0.1, 0)]
    with pytest.raises(UnsupportedModel, match="int8 SOFTMAX has 1/256 and -128"):
        lower(write_tflite(tensors, [O(25, (0,), (1,), softmax_options(1.0))], [0], [1]), SPEC)


def test_an_operand_that_nobody_makes_is_refused() -> None:
    tensors = [T((1, 4), 0.1, 0), T((1, 4), 0.1, 0), T((1, 4), 0.1, 0)]
    with pytest.raises(TfliteError, match="expected a tensor made before, got tensor 2"):
        lower(write_tflite(tensors, [O(0, (0, 2), (1,), add_options(NONE))], [0], [1]), SPEC)


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 64, b"\xff" * 64, b"PK\3\4" + b"\0" * 60])
def test_other_files_are_refused(data: bytes) -> None:
    with pytest.raises(TfliteError, match=r"not a \.tflite"):
        lower(data, SPEC)


def test_a_damaged_file_never_crashes(source: bytes) -> None:
    """Every byte changed, every 7th truncation: a plan or a refusal of ours, nothing else."""
    outcomes = {"made": 0, "refused": 0}
    for at in range(len(source)):
        for flip in (0x01, 0xFF):
            broken = bytearray(source)
            broken[at] ^= flip
            try:
                lower(bytes(broken), SPEC)
                outcomes["made"] += 1
            except (CompileError, ArtifactError):
                outcomes["refused"] += 1
    for cut in range(0, len(source), 7):
        with pytest.raises(CompileError):
            lower(source[:cut], SPEC)
    assert min(outcomes.values()) > 100


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (ModelSpec("m", "1", labels=("a", "b")), "2 labels for 3 outputs"),
        (ModelSpec("m", "1", InputSpec(samples=5, channels=2)), "5 x 2"),
        (ModelSpec("m", "1", InputSpec(raw_scale=-1.0)), "raw_scale"),
        (ModelSpec("m", "1", InputSpec(raw_scale=1e9)), "raw_scale"),
        (ModelSpec("m", "1", golden_inputs=(b"123",)), "golden input 0 has 3 bytes, the model takes 96"),
        (ModelSpec("m", "1", golden_raw=(np.zeros(96, np.int16),)), "golden_raw needs input.raw_scale"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(source: bytes, spec: ModelSpec, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        compile_model(source, spec)


@pytest.mark.parametrize("name", ["", "x" * 49, "\N{OX}" * 13])
def test_a_name_that_does_not_fit_is_refused(source: bytes, name: str) -> None:
    with pytest.raises(ArtifactError, match=r"metadata, name \(key 0\)"):
        compile_model(source, ModelSpec(name, "1"))


def test_whole_model(source: bytes) -> None:
    rng = np.random.default_rng(1)
    raw = rng.integers(-3000, 3000, (2, 48, 2)).astype(np.int16)
    spec = ModelSpec(
        name="livestock",
        version="2.0.1",
        input=InputSpec("imu", "mg", 25_000, 48, 2, raw_scale=0.001, hop=24),
        labels=("rest", "graze", "walk"),
        golden_inputs=[rng.integers(-128, 128, 96).astype(np.int8)],
        golden_raw=list(raw),
        threshold=200,
        output_unit="",
        baseline=Baseline(10, (5, 3, 2), (0,) * 9 + (10,)),
    )
    payload = compile_model(source, spec)
    plan = decode_artifact(payload)
    assert plan.metadata.source == hashlib.sha256(source).digest()
    assert plan.metadata.labels == spec.labels
    assert plan.metadata.baseline == spec.baseline
    assert (plan.metadata.samples, plan.metadata.channels, plan.metadata.hop) == (48, 2, 24)
    assert plan.metadata.output_kind is OutputKind.CLASSES
    assert encode_artifact(plan) == payload
    twin = Twin(payload)
    assert len(plan.vectors) == 3
    assert twin.failed_vector() is None
    assert plan.vectors[1].input == twin.quantize(raw[0]).tobytes()
    np.testing.assert_array_equal(twin.run_raw(raw[1]).tobytes(), plan.vectors[2].output)


def test_a_wrong_golden_vector_is_found(source: bytes) -> None:
    spec = ModelSpec("m", "1", golden_inputs=[bytes(96), b"\x7f" * 96])
    plan = decode_artifact(compile_model(source, spec))
    good, bad = plan.vectors
    wrong = bytes([bad.output[0] ^ 1]) + bad.output[1:]
    changed = replace(plan, vectors=(good, Vector.single(bad.input, wrong)))
    assert Twin(encode_artifact(changed)).failed_vector() == 1
    # One of several steps is enough.
    step, end = good.steps[0], bad.steps[0]
    longer = replace(plan, vectors=(Vector((step, end)), Vector((end, step))))
    assert Twin(encode_artifact(longer)).failed_vector() is None
    longer = replace(plan, vectors=(Vector((step, end)), Vector((Step(end.input, wrong), step))))
    assert Twin(encode_artifact(longer)).failed_vector() == 1


def test_golden_inputs_are_sequences_of_one_length(source: bytes) -> None:
    windows = [bytes(96), b"\x7f" * 96, np.zeros(96, np.int8)]
    plan = decode_artifact(compile_model(source, ModelSpec("m", "1", golden_inputs=[windows, windows[::-1]])))
    assert [len(vector.steps) for vector in plan.vectors] == [3, 3]
    assert plan.vectors[1].output == plan.vectors[0].steps[0].output
    for wrong in ([windows, windows[:2]], [windows, bytes(96)], [[]]):
        with pytest.raises(SpecError, match="the same number, 1 or more"):
            compile_model(source, ModelSpec("m", "1", golden_inputs=wrong))


def test_raw_values_are_scaled_as_the_model_was_trained(source: bytes) -> None:
    """Input scale 0.05, zero point -3: real value = raw x 0.001."""
    twin = Twin(compile_model(source, ModelSpec("m", "1", InputSpec(raw_scale=0.001))))
    raw = np.linspace(-32768, 32767, 96).astype(np.int16)
    expected = np.clip(np.rint(raw * 0.001 / np.float32(0.05)) - 3, -128, 127)
    assert np.abs(twin.quantize(raw) - expected).max() <= 1
    assert np.mean(twin.quantize(raw) == expected) > 0.95


def test_scores_are_in_256ths(source: bytes) -> None:
    twin = Twin(compile_model(source, SPEC))
    outputs = np.arange(-128, 128).astype(np.int8)
    np.testing.assert_array_equal(twin.scores(outputs), np.arange(256))


def test_describe(source: bytes) -> None:
    summary = describe(compile_model(source, SPEC))
    assert [op.name for op in summary.ops] == [
        *("CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MEAN"),
        *("FULLY_CONNECTED", "SOFTMAX"),
    ]
    assert summary.ops[0].macs == 8 * 6 * 4 * 3 * 3 * 2
    assert summary.ops[0].output == (1, 8, 6, 4)
    assert summary.ops[0].live_bytes == 96 + 192 + 18, "a window is scratch"
    assert summary.ops[1].live_bytes == 192 + 192 + 9 * 4 + 4, "so are the places of taps and a line of zeros"
    assert summary.ops[2].live_bytes == 192 + 192, "the sum is made in place"
    assert (summary.activation_bytes, summary.peak_bytes) == (384, 424)
    assert summary.bound_bytes == summary.arena_bytes
    assert summary.arena_bytes == 432
    assert summary.op_codes <= runtime_ops()


def test_runtime_has_every_op_of_the_format() -> None:
    assert runtime_ops() == {int(code) for code in OpCode}


def test_no_compiler_is_a_clear_error(
    source: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setattr(library.shutil, "which", lambda _: None)
    monkeypatch.setattr(library, "_cache_folder", lambda _: tmp_path)
    with pytest.raises(TwinBuildError, match="apt-get install gcc"):
        library.build_library()


def test_twin_refuses_a_window_of_another_size_or_type(source: bytes) -> None:
    twin = Twin(compile_model(source, SPEC))
    with pytest.raises(ValueError, match="the window has 95 bytes, chain takes 96"):
        twin.run(bytes(95))
    with pytest.raises(ValueError, match="a window of chain is int8, not float32"):
        twin.run(np.zeros(96, np.float32))


def test_two_plans_side_by_side(source: bytes) -> None:
    """No globals: runs of two models do not disturb each other."""
    first, second = (Twin(compile_model(source, ModelSpec(name, "1"))) for name in ("a", "b"))
    rng = np.random.default_rng(5)
    windows = rng.integers(-128, 128, (6, 96)).astype(np.int8)
    alone = first.run_many(windows)
    for i, window in enumerate(windows):
        second.run(windows[-1 - i])
        np.testing.assert_array_equal(first.run(window), alone[i])
