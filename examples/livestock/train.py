"""Trains and quantises the two livestock models. Needs TensorFlow (`pip install '.[train]'`); nothing else
in the house does.

    python -m examples.livestock.train v1 examples/livestock/livestock_v1.tflite

The same seed gives a model of the same structure and about the same accuracy, not the same bytes:
TensorFlow's sums differ between machines. After retraining, `golden.py --write` must record the new truth.

Input of both: (128, 1, 3), a window seen as an image one pixel wide, in g, clipped to +-2 g. The clip is a
choice: int8 then has steps of 15.7 mg, fine enough for a ruminating jaw; a run is recognised well before 2
g.

- v1: a first try. Two convolutions, max pooling, a dense layer that sees where in the window something
  happened. Trained on a pilot herd of 6 animals.
- v2: depthwise-separable blocks with a residual, average pooling and a mean over time. Trained on 48
  animals."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import keras  # type: ignore[import-not-found,unused-ignore]  # only in the training environment
import numpy as np
import tensorflow as tf  # type: ignore[import-untyped,import-not-found,unused-ignore]  # likewise
from examples.livestock import generate
from numpy.typing import NDArray

CLIP_G = 2.0
TRAIN_SEED = 2001
TUNE_SEED = 2002  # windows on which training watches itself; the golden set has a third seed
HERDS = {"v1": (8, 40), "v2": (48, 48)}  # animals, windows of each activity for each animal
EPOCHS = {"v1": 30, "v2": 20}
BATCH = 64

Features = NDArray[np.float32]


def features(windows: generate.Windows) -> Features:
    """Windows int16 [N, 128, 3] in milli-g to float32 [N, 128, 1, 3] in g, clipped to +-CLIP_G."""
    in_g = windows.astype(np.float32) / np.float32(1000.0)
    return np.asarray(np.clip(in_g, -CLIP_G, CLIP_G)[:, :, None, :], dtype=np.float32)


def build_v1(keras_input: Any) -> Any:
    x = keras.layers.Conv2D(8, (5, 1), strides=(2, 1), padding="same", activation="relu")(keras_input)
    x = keras.layers.MaxPooling2D((2, 1))(x)
    x = keras.layers.Conv2D(12, (5, 1), padding="same", activation="relu")(x)
    x = keras.layers.MaxPooling2D((4, 1))(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(24, activation="relu")(x)
    return keras.layers.Dense(len(generate.LABELS), activation="softmax")(x)


def _separable(x: Any, channels: int) -> Any:
    """Depthwise over 7 samples, then pointwise to `channels`; batch normalisation folds into both."""
    x = keras.layers.DepthwiseConv2D((7, 1), padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.Conv2D(channels, (1, 1), use_bias=False)(x)
    return keras.layers.BatchNormalization()(x)


def build_v2(keras_input: Any) -> Any:
    x = keras.layers.Conv2D(24, (9, 1), strides=(2, 1), padding="same", use_bias=False)(keras_input)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.ReLU()(keras.layers.Add()([x, _separable(x, 24)]))
    x = keras.layers.MaxPooling2D((2, 1))(x)
    x = keras.layers.ReLU()(_separable(x, 48))
    x = keras.layers.ReLU()(keras.layers.Add()([x, _separable(x, 48)]))
    x = keras.layers.AveragePooling2D((2, 1))(x)
    x = keras.layers.ReLU()(_separable(x, 64))
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    x = keras.layers.Dense(32, activation="relu")(x)
    return keras.layers.Dense(len(generate.LABELS), activation="softmax")(x)


BUILDERS = {"v1": build_v1, "v2": build_v2}


def train(version: str) -> Any:
    """A trained Keras model of `version`, with the weights of its best epoch on the tuning windows."""
    animals, windows = HERDS[version]
    herd = generate.dataset(TRAIN_SEED, animals, windows)
    tune = generate.dataset(TUNE_SEED, 12, 12)
    keras_input = keras.Input((generate.SAMPLES, 1, generate.CHANNELS), batch_size=None)
    model = keras.Model(keras_input, BUILDERS[version](keras_input))
    steps = EPOCHS[version] * (len(herd.labels) // BATCH + 1)
    model.compile(
        optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
    )
    best = keras.callbacks.ModelCheckpoint(
        f"build/livestock_{version}.weights.h5",
        monitor="val_accuracy",
        save_best_only=True,
        save_weights_only=True,
    )
    model.fit(
        features(herd.windows),
        herd.labels,
        batch_size=BATCH,
        epochs=EPOCHS[version],
        validation_data=(features(tune.windows), tune.labels),
        callbacks=[best],
        verbose=2,
    )
    model.load_weights(best.filepath)
    return model


def quantise(model: Any, version: str) -> bytes:
    """The trained model as an int8 .tflite with int8 input and output and a batch of one, fixed."""
    fixed_input = keras.Input((generate.SAMPLES, 1, generate.CHANNELS), batch_size=1)
    fixed = keras.Model(fixed_input, BUILDERS[version](fixed_input))
    fixed.set_weights(model.get_weights())
    sample = features(generate.dataset(TRAIN_SEED, HERDS[version][0], 8).windows)

    def representative() -> Iterator[list[Features]]:
        # The first spans the whole range: the input scale is then 4 g / 255 whatever the sample holds.
        yield [np.linspace(-CLIP_G, CLIP_G, sample[0].size, dtype=np.float32).reshape((1, *sample[0].shape))]
        for one in sample[:400]:
            yield [one[None]]

    converter = tf.lite.TFLiteConverter.from_keras_model(fixed)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def main() -> None:
    parser = argparse.ArgumentParser(description="Train one version of the livestock model.")
    parser.add_argument("version", choices=sorted(BUILDERS))
    parser.add_argument("output", type=Path, help="where the .tflite goes")
    options = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(2)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(11)
    Path("build").mkdir(exist_ok=True)
    model = train(options.version)
    written = options.output.write_bytes(quantise(model, options.version))
    print(f"{options.output}: {written} bytes, {model.count_params()} parameters")


if __name__ == "__main__":
    main()
