"""The held-out clips and golden streams: what TensorFlow Lite Micro answers for each, and what that is
worth.

    python -m examples.wildlife.golden

prints accuracy, confusion matrix and recall by loudness from the committed answers. Nothing is run and
nothing but numpy is needed; `truth.py` is what wrote them.

`golden.npz`: `held_out_answers` int8 [500, 5], the softmax in 1/256 with zero point -128 after the last
step of each held-out clip; `held_out_labels` uint8 [500]; `held_out_above_db` float32 [500]; `windows`
int16 [5, 40, 400, 1], 1 s of each class from a reset, their `labels` uint8 [5] and `outputs` int8 [5, 40,
5]. The held-out clips themselves (32 MB) come from the generator and HELD_OUT_SEED.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from examples.wildlife import generate
from examples.wildlife.front_end import HOP
from examples.wildlife.generate import LABELS, Samples
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
HELD_OUT_SEED = 3003  # train.py uses 3001 and 3002
CLIPS = 100
STREAM = 10
"""Clips that are heard one after the other without a reset."""
STEPS = generate.SAMPLES // HOP
LOUDNESS_DB = (3.0, 10.0)
CLEAR_DB = 15.0

Answers = NDArray[np.int8]


class Golden(NamedTuple):
    held_out_answers: Answers
    held_out_labels: NDArray[np.uint8]
    held_out_above_db: NDArray[np.float32]
    windows: Samples
    labels: NDArray[np.uint8]
    outputs: Answers


def load(path: Path = HERE / "golden.npz") -> Golden:
    """The committed set. OSError when the file is absent."""
    with np.load(path, allow_pickle=False) as held:
        return Golden(**{name: held[name] for name in Golden._fields})


def order() -> NDArray[np.int64]:
    """In which order the held-out clips are heard: classes mixed, ten to a stream."""
    return np.argsort(np.random.PCG64(HELD_OUT_SEED).random_raw(CLIPS * len(LABELS)), kind="stable")


def heard(clips: Samples) -> Iterator[tuple[bool, Samples]]:
    """(whether the stream begins anew, the steps [80, 400]) of each clip."""
    for number, one in enumerate(clips):
        yield number % STREAM == 0, one.reshape(STEPS, HOP)


def golden_streams(held_out: generate.Dataset) -> Samples:
    """Of each class the first clip that is easily heard: its second half, in which the sound is."""
    clear = (held_out.above_db > CLEAR_DB) | (held_out.labels == 0)
    first = [int(np.argmax(clear & (held_out.labels == label))) for label in range(len(LABELS))]
    parts = held_out.clips[first, generate.SAMPLES // 2 :]
    return np.asarray(parts.reshape(len(LABELS), -1, HOP, 1), np.int16)


def classes(answers: Answers) -> NDArray[np.int64]:
    """The class of each answer: the highest score, the first one where two are equal."""
    return np.asarray(np.argmax(answers, axis=-1), np.int64)


def confusion(golden: Golden) -> NDArray[np.int64]:
    """[5, 5] counts: row the label, column the model's class."""
    table = np.zeros((len(LABELS), len(LABELS)), np.int64)
    np.add.at(table, (golden.held_out_labels.astype(np.int64), classes(golden.held_out_answers)), 1)
    return table


def report(golden: Golden) -> str:
    """Markdown, the very text that README.md holds."""
    table = confusion(golden)
    right, clips = int(table.trace()), len(golden.held_out_labels)
    lines = [
        f"{clips} held-out clips: **{100 * right / clips:.1f} %** ({right} right).",
        "",
        "| label | " + " | ".join(f"said {label}" for label in LABELS) + " | recall |",
        "| --- |" + " ---: |" * (len(LABELS) + 1),
    ]
    for label, row in zip(LABELS, table, strict=True):
        recall = 100 * row[LABELS.index(label)] / row.sum()
        lines.append(f"| {label} | " + " | ".join(str(count) for count in row) + f" | {recall:.1f} % |")
    return "\n".join([*lines, "", *_by_loudness(golden)])


def _by_loudness(golden: Golden) -> list[str]:
    hit = classes(golden.held_out_answers) == golden.held_out_labels
    sung = golden.held_out_labels > 0
    low, high = LOUDNESS_DB
    bands: list[tuple[str, Any]] = [
        (f"below {low:.0f} dB", golden.held_out_above_db < low),
        (
            f"{low:.0f} to {high:.0f} dB",
            (golden.held_out_above_db >= low) & (golden.held_out_above_db < high),
        ),
        (f"{high:.0f} dB and more", golden.held_out_above_db >= high),
    ]
    lines = ["| animal above the background | clips | recall |", "| --- | ---: | ---: |"]
    for name, band in bands:
        mine = hit[sung & band]
        lines.append(f"| {name} | {len(mine)} | {100 * mine.mean():.1f} % |")
    return lines


def main() -> None:
    print(report(load()))


if __name__ == "__main__":
    main()
