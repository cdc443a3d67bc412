"""Trains the wildlife model and writes it: numpy alone, no TensorFlow.

    python -m examples.wildlife.train examples/wildlife/wildlife.tflite

Features come from the front end itself, compiled and run by the node's own code on this machine
(model/twin), over streams of ten clips without a reset: what the model remembers from the clip before is
part of what it learns with. The same seed gives the same bytes where numpy's sums are the same; another
machine's may differ in their last bits. Takes about three minutes on one core.
"""

import argparse
from pathlib import Path

import numpy as np
from examples.wildlife import generate
from examples.wildlife.front_end import CHANNELS, FEATURE_SCALE, HOP, ROWS
from examples.wildlife.network import Array, build, softmax, train
from examples.wildlife.quantise import features_model, whole_model
from numpy.typing import NDArray

from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.twin import Twin

TRAIN_SEED = 3001
TUNE_SEED = 3002  # clips on which training is judged while it is made; the held-out set has a third seed
CLIPS, TUNE_CLIPS = 500, 60
EPOCHS = 20
STREAM = 10
STEPS = generate.SAMPLES // HOP
LISTENED = (68, 72, 76, 80)
"""Steps of a clip after which its features are taken: the sound is in its second half."""


def features(made: generate.Dataset, steps: tuple[int, ...]) -> tuple[Array, NDArray[np.uint8]]:
    """Features [N x steps, ROWS, CHANNELS, 1] as floats, and labels."""
    twin = Twin(compile_model(features_model(), ModelSpec("features", "1")))
    order = np.random.default_rng(1).permutation(len(made.clips))
    found, labels = [], []
    for number, k in enumerate(order):
        if number % STREAM == 0:
            twin.reset()
        for step in range(STEPS):
            row = twin.run(made.clips[k, step * HOP : (step + 1) * HOP])
            if step + 1 in steps:
                found.append(row.reshape(ROWS, CHANNELS, 1))
                labels.append(made.labels[k])
    values = (np.stack(found).astype(np.float32) + 128) * np.float32(FEATURE_SCALE)
    return values, np.array(labels, np.uint8)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the wildlife model.")
    parser.add_argument("output", type=Path, help="where the .tflite goes")
    options = parser.parse_args()
    x, labels = features(generate.dataset(TRAIN_SEED, CLIPS), LISTENED)
    tune, tune_labels = features(generate.dataset(TUNE_SEED, TUNE_CLIPS), (STEPS,))
    rng = np.random.default_rng(7)
    network = build(rng, len(generate.LABELS))
    train(network, x, labels, EPOCHS, rng)
    said = softmax(network.forward(tune)).argmax(1)
    print(f"float network, {len(tune)} clips for tuning: {(said == tune_labels).mean():.1%}")
    sample = x[rng.permutation(len(x))[:1000]]
    written = options.output.write_bytes(whole_model(network, sample))
    print(f"{options.output}: {written} bytes, {sum(p.size for p in network.parameters())} parameters")


if __name__ == "__main__":
    main()
