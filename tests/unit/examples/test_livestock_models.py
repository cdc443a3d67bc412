"""The example's models compile and fit the smallest board; the host twin answers every golden window as
TensorFlow Lite Micro does, byte for byte.
"""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from examples.livestock import generate, golden, truth

from tinyfleet.fleet.cli.model_card import build, read_card
from tinyfleet.model.compiler import Summary, describe
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import OpCode, decode_artifact, encode_artifact
from tinyfleet.wire.artifact_ops import ConvParams, FullyConnectedParams

# Emulated micro:bit: 16 KB of RAM for everything, 96 KiB of flash for a model, a Cortex-M0 at 16 MHz.
MAX_PAYLOAD_BYTES = 80_000
MAX_ARENA_BYTES = 7 * 1024
MAX_MACS = 1_500_000

FIRST_OPS = {
    OpCode.CONV_2D,
    OpCode.DEPTHWISE_CONV_2D,
    OpCode.FULLY_CONNECTED,
    OpCode.MAX_POOL_2D,
    OpCode.AVERAGE_POOL_2D,
    OpCode.MEAN,
    OpCode.SOFTMAX,
    OpCode.ADD,
}

each_version = pytest.mark.parametrize("version", golden.VERSIONS)


@cache
def payload(version: str) -> bytes:
    return build(golden.HERE / f"livestock_{version}.json")


def summary(version: str) -> Summary:
    return describe(payload(version))


@each_version
def test_twin_answers_every_golden_window_as_the_truth(version: str) -> None:
    held = golden.load()
    twin = Twin(payload(version))
    answers = np.stack([twin.run_raw(window).reshape(-1) for window in held.windows])
    np.testing.assert_array_equal(answers, held.outputs[version])


@each_version
def test_the_golden_set_notices_one_wrong_weight_of_any_layer(version: str) -> None:
    plan = decode_artifact(payload(version))
    held = golden.load()
    for op in plan.ops:
        if not isinstance(op.params, ConvParams | FullyConnectedParams):
            continue
        constants = bytearray(plan.constants)
        constants[op.params.weights] ^= 0x40
        twin = Twin(encode_artifact(replace(plan, constants=bytes(constants))))
        answers = np.stack([twin.run_raw(window).reshape(-1) for window in held.windows])
        assert not np.array_equal(answers, held.outputs[version]), op.code.name


@each_version
def test_node_quantises_raw_windows_by_the_written_rule(version: str) -> None:
    """The runtime's C and the script's numpy are two writings of one rule: tried on every i16 value."""
    twin = Twin(payload(version))
    meta = summary(version).metadata
    zero_point = decode_artifact(payload(version)).input.zero_point
    every = np.arange(-32768, 32768, dtype=np.int32).astype(np.int16)
    rows = np.resize(every, (171, generate.SAMPLES, generate.CHANNELS))
    taken = np.stack([twin.quantize(row).reshape(row.shape) for row in rows])
    np.testing.assert_array_equal(taken, truth.quantise(rows, meta.input_scale, zero_point))


@each_version
def test_model_uses_only_the_first_ops(version: str) -> None:
    assert summary(version).op_codes <= FIRST_OPS


def test_the_two_models_use_all_the_first_ops() -> None:
    """RESHAPE, the ninth, is in v1's file and costs no op in the plan."""
    assert summary("v1").op_codes | summary("v2").op_codes == FIRST_OPS


@each_version
def test_model_fits_a_board_with_16_kb_of_ram(version: str) -> None:
    found = summary(version)
    assert found.payload_bytes <= MAX_PAYLOAD_BYTES
    assert found.arena_bytes <= MAX_ARENA_BYTES
    assert found.macs <= MAX_MACS


@each_version
def test_readme_says_what_the_plan_needs(version: str) -> None:
    found = summary(version)
    column = golden.VERSIONS.index(version) + 2
    rows = [row.split(" | ") for row in (golden.HERE / "README.md").read_text().splitlines()]
    said = {row[0].removeprefix("| "): row[column - 1].removesuffix(" |") for row in rows if len(row) == 3}
    assert said["plan, 8 golden vectors included"] == f"{found.payload_bytes:,} bytes"
    assert said["arena"] == f"{found.arena_bytes:,} bytes"
    assert said["multiply-accumulates, and adds of ops without weights"] == f"{found.macs:,}"


@each_version
def test_card_says_what_the_generator_makes(version: str) -> None:
    card = read_card(golden.HERE / f"livestock_{version}.json")
    assert tuple(card.labels) == generate.LABELS
    assert (card.samples, card.channels) == (generate.SAMPLES, generate.CHANNELS)
    assert card.rate_mhz == round(generate.RATE_HZ * 1000)
    assert card.raw_scale == truth.G_PER_MG
    assert (card.name, card.version) == ("livestock", f"{version[1:]}.0.0")


@each_version
def test_embedded_vectors_speak_of_every_class(version: str) -> None:
    """A trial on the node that only ever saw one class would prove little."""
    vectors = decode_artifact(payload(version)).vectors
    answers = np.array([np.frombuffer(vector.output, np.int8) for vector in vectors])
    assert set(golden.classes(answers).tolist()) == set(range(len(generate.LABELS)))


@each_version
def test_twin_is_as_good_on_the_replay_windows(version: str) -> None:
    """Other animals than the golden ones, so only about as good: 64 windows are one in 64 apart."""
    held = golden.load_replay()
    twin = Twin(payload(version))
    outputs = np.stack([twin.run_raw(window) for window in held.windows])
    on_golden = golden.load()
    wanted = golden.accuracy(on_golden.outputs[version], on_golden.labels)
    got = golden.accuracy(outputs.reshape(len(held.labels), -1), held.labels)
    assert abs(got - wanted) < 0.1
