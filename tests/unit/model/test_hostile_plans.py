"""Broken plans: the node's loader under ASan and UBSan, and Python's reader beside it."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.unit.model.many import many
from tests.unit.model.remembering import remembering, windows
from tests.unit.model.signal_ops import whole_front_end
from tests.unit.model.single_ops import chain

from tinyfleet.model.compiler import InputSpec, ModelSpec, compile_model
from tinyfleet.model.twin import PlanRefused, Twin
from tinyfleet.model.twin.library import runtime_sources
from tinyfleet.wire.artifact import Artifact, ArtifactError, Op, Place, decode_artifact, encode_artifact
from tinyfleet.wire.artifact_ops import CopyParams, MeanParams, OpCode
from tinyfleet.wire.enums import CoreVariant
from tinyfleet.wire.errors import WireError

ROOT = Path(__file__).resolve().parents[3]
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


@pytest.fixture(scope="module", params=list(CoreVariant), ids=lambda core: core.name)
def plan(request: pytest.FixtureRequest) -> bytes:
    rng = np.random.default_rng(3)
    golden = [rng.integers(-128, 128, 96).astype(np.int8) for _ in range(2)]
    spec = ModelSpec(
        name="chain",
        version="1.2.3",
        input=InputSpec("imu", "mg", 25_000, 48, 2, raw_scale=0.001),
        labels=("rest", "graze", "walk"),
        golden_inputs=golden,
        core=request.param,
    )
    return compile_model(chain(rng), spec)


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runtime and hostile.c, compiled with sanitizers."""
    runtime = ROOT / "firmware" / "runtime"
    return compiled(tmp_path_factory.mktemp("hostile") / "hostile", runtime_sources(runtime), SANITIZE)


def compiled(program: Path, sources: list[Path], options: tuple[str, ...]) -> Path:
    """hostile.c with these sources of the runtime."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc: broken plans were not tried under sanitizers")
    include = f"-I{ROOT / 'firmware' / 'include'}"
    driver = str(Path(__file__).with_name("hostile.c"))
    command = [compiler, "-std=gnu11", "-O1", "-g", *options, include, "-o", str(program), driver]
    subprocess.run([*command, *map(str, sources)], check=True, timeout=120)
    return program


def test_no_broken_plan_leaves_its_bounds(plan: bytes, hostile: Path, tmp_path: Path) -> None:
    path = tmp_path / "plan"
    path.write_bytes(plan)
    done = subprocess.run(
        [str(hostile), str(path), "60000"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    arena_bytes = decode_artifact(plan).arena_bytes
    *doors, counts = done.stdout.splitlines()
    assert doors == [
        *("name=chain", "version=1.2.3", "sensor=imu", "unit=mg"),
        *("label=rest", "label=graze", "label=walk"),
        *("window=25000 48 2", f"bytes=96 3 {arena_bytes}", "ops=8 vectors=2 kind=0"),
    ]
    found = re.fullmatch(r"tried (\d+) loaded (\d+)", counts)
    assert found is not None
    tried, loaded = int(found[1]), int(found[2])
    assert tried > 60000 + 6 * len(plan)
    assert loaded > 1000, "nearly all were refused: the kernels never ran"
    assert tried - loaded > 1000


def test_no_broken_plan_of_the_other_ops_leaves_its_bounds(hostile: Path, tmp_path: Path) -> None:
    """Several inputs and outputs, and the ops that `chain` has not."""
    rng = np.random.default_rng(4)
    payload = compile_model(many(rng), ModelSpec("many", "1", golden_inputs=[bytes(128), b"\x11" * 128]))
    path = tmp_path / "plan"
    path.write_bytes(payload)
    done = subprocess.run(
        [str(hostile), str(path), "30000"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = re.fullmatch(r"tried (\d+) loaded (\d+)", done.stdout.splitlines()[-1])
    assert found is not None
    tried, loaded = int(found[1]), int(found[2])
    assert loaded > 1000, "nearly all were refused: the kernels never ran"
    assert tried - loaded > 1000


def test_no_broken_front_end_leaves_its_bounds(hostile: Path, tmp_path: Path) -> None:
    """Every signal op, its tables and its state."""
    path = tmp_path / "plan"
    path.write_bytes(front_end())
    done = subprocess.run(
        [str(hostile), str(path), "30000"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = re.fullmatch(r"tried (\d+) loaded (\d+)", done.stdout.splitlines()[-1])
    assert found is not None
    tried, loaded = int(found[1]), int(found[2])
    assert loaded > 1000, "nearly all were refused: the kernels never ran"
    assert tried - loaded > 1000


def test_no_broken_plan_that_remembers_leaves_its_bounds(hostile: Path, tmp_path: Path) -> None:
    """Every kind of state, tensors of 16 bits, golden vectors of several steps."""
    rng = np.random.default_rng(5)
    steps = [windows(rng, 3) for _ in range(2)]
    path = tmp_path / "plan"
    path.write_bytes(compile_model(remembering(rng), ModelSpec("remembering", "1", golden_inputs=steps)))
    done = subprocess.run(
        [str(hostile), str(path), "30000"], capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    found = re.fullmatch(r"tried (\d+) loaded (\d+)", done.stdout.splitlines()[-1])
    assert found is not None
    tried, loaded = int(found[1]), int(found[2])
    assert loaded > 1000, "nearly all were refused: the kernels never ran"
    assert tried - loaded > 1000


def test_a_build_without_signal_ops_refuses_them_and_runs_others(plan: bytes, tmp_path: Path) -> None:
    runtime = ROOT / "firmware" / "runtime"
    sources = [path for path in runtime_sources(runtime) if path != runtime / "signal" / "with.c"]
    slim = compiled(tmp_path / "slim", [*sources, runtime / "signal" / "without.c"], ("-w",))
    for payload, status in ((front_end(), 4), (plan, 0)):
        path = tmp_path / "plan"
        path.write_bytes(payload)
        done = subprocess.run([str(slim), str(path), "0"], capture_output=True, timeout=60, check=False)
        assert done.returncode == status


def front_end() -> bytes:
    case = whole_front_end(np.random.default_rng(6))
    steps = [b"".join(values.tobytes() for values in step) for step in case.steps]
    return compile_model(case.tflite, ModelSpec("front end", "1", golden_inputs=[steps]))


def test_python_reader_refuses_with_its_own_errors(plan: bytes) -> None:
    refused = 0
    for at in range(len(plan)):
        for flip in (0x01, 0x80, 0xFF):
            broken = plan[:at] + bytes([plan[at] ^ flip]) + plan[at + 1 :]
            try:
                decode_artifact(broken)
            except WireError:
                refused += 1
    assert refused > 500
    for cut in range(len(plan)):
        with pytest.raises(ArtifactError):
            decode_artifact(plan[:cut])


def test_refusal_names_status_and_place(plan: bytes) -> None:
    arena_at = 12
    small = plan[:arena_at] + (16).to_bytes(4, "little") + plan[arena_at + 4 :]
    with pytest.raises(ArtifactError, match="tensor 0, offset"):
        Twin(small)
    decoded = decode_artifact(plan)
    weights_at = plan.index(decoded.ops[0].params.encode())
    far = plan[:weights_at] + (1 << 20).to_bytes(4, "little") + plan[weights_at + 4 :]
    with pytest.raises(PlanRefused, match="MALFORMED"):
        Twin(far)


def test_no_op_goes_over_its_tensors_more_than_once(plan: bytes) -> None:
    """With strides of 0 a loop may be long and stay inside its tensors: a node would hang, not fault."""
    mean = decode_artifact(plan)
    at, op = next((i, op) for i, op in enumerate(mean.ops) if isinstance(op.params, MeanParams))
    idle = replace(op.params, reduced_size=(2**12, 2**12, 1), reduced_stride=(0, 0, 0))
    refused(mean, at, replace(op, params=idle))
    many_ops = decode_artifact(compile_model(many(np.random.default_rng(4)), ModelSpec("many", "1")))
    at, op = next((i, op) for i, op in enumerate(many_ops.ops) if isinstance(op.params, CopyParams))
    idle_copy = replace(
        op.params, size=(2**12, 2**12, 1, 1, 1, 1), input_stride=(0,) * 6, output_stride=(0,) * 6
    )
    refused(many_ops, at, replace(op, params=idle_copy))


@pytest.mark.parametrize(
    ("code", "changed"),
    [
        (OpCode.ADD, {"left_shift": 19}),
        (OpCode.ADD, {"a_shift": 1}),
        (OpCode.ADD, {"b_shift": -32}),
        (OpCode.ADD, {"out_shift": 1}),
        (OpCode.ADD, {"out_multiplier": -1}),
        (OpCode.CONV_2D, {"depth": 3}),
        (OpCode.CONV_2D, {"flags": 2}),
        (OpCode.DEPTHWISE_CONV_2D, {"depth": 2}),
        (OpCode.DEPTHWISE_CONV_2D, {"kernel_h": 4}),
    ],
    ids=str,
)
def test_parameters_that_a_kernel_counts_on(code: OpCode, changed: dict[str, int]) -> None:
    plan, at = plan_with(code)
    refused(plan, at, replace(plan.ops[at], params=replace(plan.ops[at].params, **changed)))


@pytest.mark.parametrize("code", [OpCode.CONV_2D, OpCode.DEPTHWISE_CONV_2D])
def test_scratch_holds_what_a_kernel_puts_there(code: OpCode) -> None:
    plan, at = plan_with(code)
    (temp,) = plan.ops[at].temps
    less = replace(plan.tensors[temp], shape=(plan.tensors[temp].size_bytes - 1,))
    refused(replace(plan, tensors=(*plan.tensors[:temp], less, *plan.tensors[temp + 1 :])), at, plan.ops[at])


def test_a_depthwise_input_lies_in_the_arena() -> None:
    """Taps in the padding are in the arena, at places relative to the input."""
    plan, at = plan_with(OpCode.DEPTHWISE_CONV_2D)
    constant = replace(plan.tensors[plan.ops[at].inputs[0]], place=Place.CONSTANT, offset=0)
    plan = replace(
        plan,
        tensors=(*plan.tensors, constant),
        constants=plan.constants + bytes(constant.size_bytes),
    )
    refused(plan, at, replace(plan.ops[at], inputs=(len(plan.tensors) - 1,)))


@pytest.mark.parametrize(
    "changed",
    [{"stride_w": 65535}, {"kernel_w": 2, "dilation_w": 65000}],
    ids=["stride", "dilation"],
)
def test_steps_of_a_packed_window_are_products_of_large_numbers(
    changed: dict[str, int], hostile: Path, tmp_path: Path
) -> None:
    """Two numbers of 16 bits, whose product has 32: a signed one would overflow."""
    depth = 40000
    (tmp_path / "plan").write_bytes(encode_artifact(wide_convolution(depth, changed)))
    done = subprocess.run(
        [str(hostile), str(tmp_path / "plan"), "once"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.splitlines()[-1] == "tried 1 loaded 1"


def test_a_packed_scale_is_not_negative() -> None:
    """The product of two INT32_MIN saturates on one machine and wraps on another."""
    plan = wide_convolution(16, {})
    records = np.frombuffer(plan.constants[-48:], np.int32).copy()
    records[4] = -(2**31)
    with pytest.raises(PlanRefused, match="MALFORMED"):
        Twin(encode_artifact(replace(plan, constants=plan.constants[:-48] + records.tobytes())))


def test_the_least_difference_of_a_log_softmax_has_one_below_it() -> None:
    corpus = ROOT / "firmware" / "tests" / "fuzz" / "corpus" / "plan"
    plan = decode_artifact((corpus / "log_softmax.plan").read_bytes())
    (op,) = plan.ops
    Twin(encode_artifact(replace(plan, ops=(replace(op, params=replace(op.params, diff_min=1 - 2**31)),))))
    refused(plan, 0, replace(op, params=replace(op.params, diff_min=-(2**31))))


def wide_convolution(depth: int, changed: dict[str, int]) -> Artifact:
    """A convolution packed for MVE, of one pixel of so many channels to one of one."""
    spec = ModelSpec("chain", "1", core=CoreVariant.MVE)
    plan = decode_artifact(compile_model(chain(np.random.default_rng(3)), spec))
    (op,) = (op for op in plan.ops if op.code is OpCode.CONV_2D)
    params = replace(op.params, kernel_h=1, kernel_w=1, stride_h=1, stride_w=1, pad_top=0, pad_left=0)
    params = replace(params, depth=depth, weights=0, **changed)
    taps = -(-params.kernel_w * depth // 16) * 16
    records = np.repeat(np.array([0, 1, -1], np.int32), 4)
    shapes = ((1, 1, 1, depth), (1, 1, 1, 1), (taps,))
    offsets = (0, depth + 16, depth + 32)
    tensors = [
        replace(plan.tensors[0], offset=offset // 16 * 16, shape=shape)
        for offset, shape in zip(offsets, shapes, strict=True)
    ]
    return replace(
        plan,
        metadata=replace(plan.metadata, samples=1, channels=depth),
        arena_bytes=(depth + 48 + taps) // 16 * 16,
        tensors=tuple(tensors),
        ops=(replace(op, inputs=(0,), outputs=(1,), temps=(2,), params=replace(params, bias=4 * taps)),),
        input=replace(plan.input, tensor=0),
        output=replace(plan.output, tensor=1),
        constants=bytes(4 * taps) + records.tobytes(),
    )


def plan_with(code: OpCode) -> tuple[Artifact, int]:
    """A chain's plan and the number of its first op of this code."""
    plan = decode_artifact(compile_model(chain(np.random.default_rng(3)), ModelSpec("chain", "1")))
    return plan, next(i for i, op in enumerate(plan.ops) if op.code is code)


def refused(plan: Artifact, at: int, op: Op) -> None:
    broken = replace(plan, ops=(*plan.ops[:at], op, *plan.ops[at + 1 :]))
    with pytest.raises(PlanRefused, match="MALFORMED"):
        Twin(encode_artifact(broken))
