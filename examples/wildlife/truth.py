"""Writes golden.npz: what TensorFlow Lite Micro's reference kernels answer is the truth.

    python -m examples.wildlife.truth --write     after retraining
    python -m examples.wildlife.truth             compares the committed answers with the interpreter's

Needs the wheel `tflite-micro==0.dev20261023182759` (the pin matters: it is what "bit-exact" means here). An
interpreter begins a stream anew by being made anew.
"""

import argparse
import sys
from typing import Any

import numpy as np
from examples.wildlife import generate
from examples.wildlife.generate import Samples
from examples.wildlife.golden import (
    CLIPS,
    HELD_OUT_SEED,
    HERE,
    Answers,
    Golden,
    golden_streams,
    heard,
    load,
    order,
    report,
)


class Reference:
    """TFLM's interpreter over the model, as it is at the beginning of a stream."""

    def __init__(self, tflite: bytes) -> None:
        from tflite_micro.python.tflite_micro import runtime  # only this script and its test need the wheel

        self._interpreter: Any = runtime.Interpreter.from_bytes(tflite)

    def run(self, steps: Samples) -> Answers:
        """Answers int8 [steps, 5] for [steps, 400] samples; what it remembers goes on."""
        rows = []
        for step in steps:
            self._interpreter.set_input(step, 0)
            self._interpreter.invoke()
            rows.append(np.array(self._interpreter.get_output(0)[0], np.int8))
        return np.stack(rows)


def truth() -> Golden:
    """The golden set made anew: clips from their seed, answers from the interpreter."""
    tflite = (HERE / "wildlife.tflite").read_bytes()
    held_out = generate.dataset(HELD_OUT_SEED, CLIPS)
    picked = order()
    reference = Reference(tflite)
    answers = []
    for begins, steps in heard(held_out.clips[picked]):
        if begins:
            reference = Reference(tflite)
        answers.append(reference.run(steps)[-1])
    streams = golden_streams(held_out)
    return Golden(
        np.stack(answers),
        held_out.labels[picked],
        held_out.above_db[picked].astype(np.float32),
        streams,
        np.arange(len(streams), dtype=np.uint8),
        np.stack([Reference(tflite).run(one[..., 0]) for one in streams]),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare or write what the reference interpreter answers.")
    parser.add_argument("--write", action="store_true", help="replace golden.npz")
    options = parser.parse_args()
    made = truth()
    if options.write:
        np.savez_compressed(HERE / "golden.npz", **made._asdict())
        print(report(made))
        return
    held = load()
    different = [
        name for name, a, b in zip(Golden._fields, held, made, strict=True) if not np.array_equal(a, b)
    ]
    if different:
        sys.exit(
            f"golden.npz: {', '.join(different)} differ from the truth; if that is meant, run with --write"
        )
    print(f"golden.npz: {len(held.labels)} clips, answers as the reference interpreter gives them")


if __name__ == "__main__":
    main()
