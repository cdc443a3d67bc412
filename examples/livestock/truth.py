"""Writes golden.npz, replay.npz and MANIFEST: what TensorFlow Lite Micro's reference kernels answer is the
truth.

    python -m examples.livestock.truth --write     after retraining
    python -m examples.livestock.truth             compares the committed answers with the interpreter's

Needs the wheel `tflite-micro==0.dev20261023182759` (the pin matters: it is what "bit-exact" means here).

From a raw window to the model's input, in integers only, as a node does it
(firmware/include/tinyfleet/runtime.h): multiplier, shift = quantise(0.001 / input scale); input =
clamp(zero point + MultiplyByQuantizedMultiplier(raw), -128, 127), with TFLM's double rounding. A float
rounding would differ for a few values in ten thousand; the integer rule is the one that counts."""

import argparse
import hashlib
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
from examples.livestock import generate
from examples.livestock.golden import HERE, VERSIONS, Golden, Outputs, load, report
from numpy.typing import NDArray

GOLDEN_SEED = 2003  # the training script uses 2001 and 2002
REPLAY_SEED = 2004
G_PER_MG = 0.001
MANIFEST_FILES = (
    "golden.npz",
    "labels.txt",
    "livestock_v1.json",
    "livestock_v1.tflite",
    "livestock_v2.json",
    "livestock_v2.tflite",
    "replay.npz",
)


def multiplier_and_shift(value: float) -> tuple[int, int]:
    """`value` > 0 as multiplier / 2^31 x 2^shift, as TFLM's QuantizeMultiplier
    (kernels/internal/quantization_util.cc)."""
    fraction, shift = math.frexp(value)
    multiplier = math.floor(fraction * 2.0**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = multiplier // 2, shift + 1
    return multiplier, shift


def quantise(raw: generate.Windows, scale: float, zero_point: int) -> NDArray[np.int8]:
    """Raw milli-g to the input tensor's int8, same shape; `scale` is the input's, in g.

    The high multiplication rounds halves up, then the right shift rounds again, half away from zero
    (kernels/internal/common.cc).
    """
    multiplier, shift = multiplier_and_shift(G_PER_MG / scale)
    product = (raw.astype(np.int64) << max(shift, 0)) * multiplier
    nudge = np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    doubled = product + nudge
    high = np.where(doubled >= 0, doubled >> 31, -((-doubled) >> 31))  # C's division goes towards zero
    right = max(-shift, 0)
    mask = (1 << right) - 1
    threshold = (mask >> 1) + (high < 0)
    rounded = (high >> right) + ((high & mask) > threshold)
    return np.asarray(np.clip(rounded + zero_point, -128, 127), dtype=np.int8)


class Reference:
    """TFLM's interpreter over one .tflite."""

    def __init__(self, path: Path) -> None:
        from tflite_micro.python.tflite_micro import runtime  # only this script and its test need the wheel

        self._interpreter: Any = runtime.Interpreter.from_file(str(path))
        quantisation = self._interpreter.get_input_details(0)["quantization_parameters"]
        self.scale = float(quantisation["scales"][0])
        self.zero_point = int(quantisation["zero_points"][0])

    def run(self, windows: generate.Windows) -> Outputs:
        """Answers for int16 [N, 128, 3] raw windows: int8 [N, 4]."""
        inputs = quantise(windows, self.scale, self.zero_point)[:, None, :, None, :]
        rows = []
        for one in inputs:
            self._interpreter.set_input(one, 0)
            self._interpreter.invoke()
            rows.append(np.array(self._interpreter.get_output(0)[0], dtype=np.int8))
        return np.stack(rows)


def truth() -> Golden:
    """The golden set made anew: windows from their seed, outputs from the interpreter."""
    made = generate.dataset(GOLDEN_SEED, animals=16, windows=8)
    outputs = {v: Reference(HERE / f"livestock_{v}.tflite").run(made.windows) for v in VERSIONS}
    return Golden(made.windows, made.labels, outputs)


def manifest() -> str:
    """SHA-256 of each artefact, in the form `sha256sum --check MANIFEST` reads."""
    return "".join(f"{hashlib.sha256((HERE / n).read_bytes()).hexdigest()}  {n}\n" for n in MANIFEST_FILES)


def write(golden: Golden) -> None:
    outputs: dict[str, Any] = {f"outputs_{version}": rows for version, rows in golden.outputs.items()}
    np.savez_compressed(HERE / "golden.npz", windows=golden.windows, labels=golden.labels, **outputs)
    replay = generate.dataset(REPLAY_SEED, animals=4, windows=4)
    np.savez_compressed(HERE / "replay.npz", windows=replay.windows, labels=replay.labels)
    (HERE / "MANIFEST").write_text(manifest())


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare or write what the reference interpreter answers.")
    parser.add_argument("--write", action="store_true", help="replace golden.npz, replay.npz and MANIFEST")
    options = parser.parse_args()
    made = truth()
    if options.write:
        write(made)
        print(report(made))
        return
    held = load()
    different = [v for v in VERSIONS if not np.array_equal(held.outputs[v], made.outputs[v])]
    if different or not np.array_equal(held.windows, made.windows):
        what = ", ".join(different) or "windows"
        sys.exit(f"golden.npz: {what} differ from the truth; if that is meant, run with --write")
    print(f"golden.npz: {len(held.labels)} windows, outputs as the reference interpreter gives them")


if __name__ == "__main__":
    main()
