"""The golden set: labelled windows held out from training, and what TensorFlow Lite Micro answers for each.

    python -m examples.livestock.golden

prints the accuracy of both models and their confusion matrices from the committed truth. Nothing is run and
nothing but numpy is needed; `truth.py` is what wrote the answers.

`golden.npz`: `windows` int16 [N, 128, 3] milli-g; `labels` uint8 [N]; `outputs_v1`, `outputs_v2` int8 [N,
4], the softmax in 1/256 with zero point -128. `replay.npz`: `windows` and `labels` alike, for the replay
sensor of emulated boards."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from examples.livestock.generate import LABELS, Windows
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
VERSIONS = ("v1", "v2")

Outputs = NDArray[np.int8]
Labels = NDArray[np.uint8]


class Golden(NamedTuple):
    windows: Windows
    labels: Labels
    outputs: dict[str, Outputs]  # by version


class Replay(NamedTuple):
    windows: Windows
    labels: Labels


def load(path: Path = HERE / "golden.npz") -> Golden:
    """The committed golden set. OSError when the file is absent."""
    with np.load(path, allow_pickle=False) as held:
        outputs = {version: held[f"outputs_{version}"] for version in VERSIONS}
        return Golden(held["windows"], held["labels"], outputs)


def load_replay(path: Path = HERE / "replay.npz") -> Replay:
    """The committed replay set. OSError when the file is absent."""
    with np.load(path, allow_pickle=False) as held:
        return Replay(held["windows"], held["labels"])


def classes(outputs: Outputs) -> NDArray[np.int64]:
    """The class of each output row: the highest score, the first one where two are equal."""
    return np.asarray(np.argmax(outputs, axis=1), dtype=np.int64)


def accuracy(outputs: Outputs, labels: Labels) -> float:
    """Share of rows whose class is the label, 0..1."""
    return float(np.mean(classes(outputs) == labels))


def confusion(outputs: Outputs, labels: Labels) -> NDArray[np.int64]:
    """[4, 4] counts: row the label, column the model's class."""
    table = np.zeros((len(LABELS), len(LABELS)), dtype=np.int64)
    np.add.at(table, (labels.astype(np.int64), classes(outputs)), 1)
    return table


def report(golden: Golden) -> str:
    """Accuracy and confusion matrix of each version as Markdown, the very text that README.md holds."""
    lines = [f"{len(golden.labels)} golden windows.", ""]
    for version, outputs in golden.outputs.items():
        table = confusion(outputs, golden.labels)
        right = int(table.trace())
        lines += [
            f"**{version}: {100 * right / len(golden.labels):.1f} %** ({right} right)",
            "",
            "| label | " + " | ".join(f"said {label}" for label in LABELS) + " | recall |",
            "| --- |" + " ---: |" * (len(LABELS) + 1),
        ]
        for label, row in zip(LABELS, table, strict=True):
            recall = 100 * row[LABELS.index(label)] / row.sum()
            lines.append(f"| {label} | " + " | ".join(str(count) for count in row) + f" | {recall:.1f} % |")
        lines.append("")
    return "\n".join(lines).rstrip()


def main() -> None:
    print(report(load()))


if __name__ == "__main__":
    main()
