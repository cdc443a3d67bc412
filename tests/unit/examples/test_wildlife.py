"""The wildlife example: sounds from a seed, a model from samples to classes, the answers it should give."""

from functools import cache

import numpy as np
import pytest
from examples.wildlife import front_end, generate, golden, network, truth
from tests.unit.model.truth import Truth, wheel

from tinyfleet.fleet.cli.model_card import build
from tinyfleet.model.compiler import describe
from tinyfleet.model.compiler.schema import Builtin
from tinyfleet.model.compiler.tflite import read_tflite
from tinyfleet.model.twin import Twin
from tinyfleet.wire.artifact import OpCode, decode_artifact
from tinyfleet.wire.enums import CoreVariant

HELD_OUT = 60
"""Of the 500 clips, those that are made and heard anew here."""


@cache
def payload() -> bytes:
    return build(golden.HERE / "wildlife.json")


@cache
def held_out() -> generate.Samples:
    """The first HELD_OUT clips in the order they are heard."""
    clips = golden.CLIPS * len(generate.LABELS)
    return np.stack(
        [
            generate.clip(int(k) % len(generate.LABELS), generate.Stream(golden.HELD_OUT_SEED, int(k)))[0]
            for k in golden.order()[:HELD_OUT]
            if k < clips
        ]
    )


def test_a_seed_names_its_clips() -> None:
    once, twice = generate.dataset(5, 2), generate.dataset(5, 2)
    other = generate.dataset(6, 2)
    np.testing.assert_array_equal(once.clips, twice.clips)
    assert not np.array_equal(once.clips, other.clips)
    np.testing.assert_array_equal(generate.dataset(5, 1).clips, once.clips[:5])
    assert once.labels.tolist() == [0, 1, 2, 3, 4] * 2
    with pytest.raises(ValueError, match="1 or more clips"):
        generate.dataset(1, 0)


def test_singers_are_where_they_should_be() -> None:
    """Most of a song's power lies in its band; nothing is clipped away."""
    bands = {1: (1500, 7700), 2: (350, 5000), 3: (3400, 5800), 4: (3800, 7700)}
    made = generate.dataset(9, 6)
    hertz = np.fft.rfftfreq(generate.SAMPLES // 2, 1 / generate.RATE_HZ)
    for label, (low, high) in bands.items():
        loud = (made.labels == label) & (made.above_db > 10)
        for one in made.clips[loud, generate.SAMPLES // 2 :]:
            power = np.abs(np.fft.rfft(one.astype(np.float64))) ** 2
            inside = power[(hertz >= low) & (hertz <= high)].sum() / power.sum()
            assert inside > 0.8, (generate.LABELS[label], inside)


def test_the_filter_bank_shares_each_energy_between_two_channels() -> None:
    bank = front_end.filter_bank()
    shares = np.array(bank.rising) + np.array(bank.falling)
    assert set(shares.tolist()) <= {2**front_end.WEIGHT_BITS - 1, 2**front_end.WEIGHT_BITS}
    assert bank.end_bin <= front_end.BINS
    assert sum(bank.widths) == bank.end_bin - bank.first_bin == len(bank.rising)
    assert len(bank.widths) == front_end.CHANNELS + 1


def test_gradients_are_those_of_the_loss() -> None:
    rng = np.random.default_rng(3)
    net = network.build(rng, 5)
    for layer in net.layers:
        layer.weights, layer.bias = layer.weights.astype(np.float64), layer.bias + 0.1
    x, labels = rng.normal(size=(3, 10, 8, 1)), np.array([0, 1, 2])

    def loss() -> float:
        odds = network.softmax(net.forward(x))  # type: ignore[arg-type]  # doubles, for small differences
        return float(-np.log(odds[np.arange(3), labels]).mean())

    odds = network.softmax(net.forward(x))  # type: ignore[arg-type]
    odds[np.arange(3), labels] -= 1
    net.backward(odds / 3)
    for values, gradient in zip(net.parameters(), net.all_gradients(), strict=True):
        at = np.unravel_index(int(np.argmax(np.abs(gradient))), gradient.shape)
        kept, step = values[at], 1e-3
        values[at] = kept + step
        above = loss()
        values[at] = kept - step
        below = loss()
        values[at] = kept
        assert (above - below) / (2 * step) == pytest.approx(gradient[at], rel=0.05, abs=2e-4)


def test_the_twin_answers_held_out_clips_as_the_truth() -> None:
    """From the generator's samples to the class, through streams without a reset."""
    held, twin = golden.load(), Twin(payload())
    for k, (begins, steps) in enumerate(golden.heard(held_out())):
        if begins:
            twin.reset()
        answers = [twin.run_raw(step) for step in steps]
        np.testing.assert_array_equal(answers[-1].reshape(-1), held.held_out_answers[k], f"clip {k}")


def test_the_twin_answers_every_step_of_the_golden_streams_as_the_truth() -> None:
    held, twin = golden.load(), Twin(payload())
    for steps, outputs in zip(held.windows, held.outputs, strict=True):
        twin.reset()
        answers = np.stack([twin.run_raw(step).reshape(-1) for step in steps])
        np.testing.assert_array_equal(answers, outputs)
    assert golden.classes(held.outputs[:, -1]).tolist() == held.labels.tolist()


def test_the_accuracy_is_as_written() -> None:
    held = golden.load()
    readme = (golden.HERE / "README.md").read_text()
    told = readme.split("<!-- report -->\n")[1].split("\n<!-- end of report -->")[0]
    assert told == golden.report(held)
    assert golden.confusion(held).trace() / len(held.held_out_labels) > 0.9


@pytest.mark.parametrize("core", [CoreVariant.PORTABLE, CoreVariant.DSP], ids=lambda core: core.name)
def test_every_tensor_is_the_wheels(core: CoreVariant) -> None:
    wheel()
    tflite = (golden.HERE / "wildlife.tflite").read_bytes()
    graph = read_tflite(tflite)
    made = [op.outputs[0] for op in graph.ops if op.code != Builtin.RESHAPE]
    twin = Twin(build(golden.HERE / "wildlife.json", core))
    bank = front_end.filter_bank()
    for steps in golden.load().windows[::2]:
        reference = Truth(tflite)
        twin.reset()
        for number, step in enumerate(steps):
            reference.run_each([step.reshape(-1)], 1)
            for i, ours in twin.trace(twin.quantize(step)):
                theirs = reference.tensor(made[i]).astype(ours.dtype).reshape(ours.shape)
                if twin.plan.ops[i].code is OpCode.ENERGY:  # TFLM leaves the rest as it was
                    ours, theirs = (one[bank.first_bin : bank.end_bin] for one in (ours, theirs))
                np.testing.assert_array_equal(ours, theirs, f"step {number}, op {i}")


def test_committed_answers_are_the_reference_interpreters() -> None:
    wheel()
    held = golden.load()
    tflite = (golden.HERE / "wildlife.tflite").read_bytes()
    reference = truth.Reference(tflite)
    for k, (begins, steps) in enumerate(golden.heard(held_out()[:20])):
        if begins:
            reference = truth.Reference(tflite)
        np.testing.assert_array_equal(reference.run(steps)[-1], held.held_out_answers[k])
    for steps, outputs in zip(held.windows, held.outputs, strict=True):
        np.testing.assert_array_equal(truth.Reference(tflite).run(steps[..., 0]), outputs)


def test_it_is_small_and_knows_what_it_is() -> None:
    summary = describe(payload())
    assert summary.arena_bytes < 8 * 1024
    assert summary.payload_bytes < 32 * 1024
    meta = summary.metadata
    assert (meta.samples, meta.channels, meta.hop) == (400, 1, 400)
    assert meta.rate_mhz == 1000 * generate.RATE_HZ
    assert meta.labels == generate.LABELS
    plan = decode_artifact(payload())
    assert len(plan.vectors) == 3
    assert {len(vector.steps) for vector in plan.vectors} == {6}
