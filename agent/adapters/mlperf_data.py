"""Evaluation sets: MLPerf Tiny's folders (`y_labels.csv` and its files), and golden sets (.npz)."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt

from tinyfleet.agent.adapters.array_file import read_arrays
from tinyfleet.agent.core.bench_image import bench_image
from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.core.mlperf_run import Sample
from tinyfleet.agent.services.mlperf_runner import MlperfSet
from tinyfleet.wire.artifact import Artifact, decode_artifact

LABELS_NAME: Final = "y_labels.csv"
FILE_MAX_BYTES: Final = 16 * 1024 * 1024
_PRINTED: Final = 0.001
"""Results come with three decimals."""
_UNSIGNED: Final = ("ic01", "vww01")
_REAL: Final = "ad01"
_GIVE: Final = "give --data another folder, as mlcommons/tiny has them in evaluation/datasets"


class Slices(Sequence[bytes]):
    """Windows of `size` bytes, `stride` apart, over one file: an anomaly's file has 196 of them."""

    def __init__(self, data: bytes, size: int, stride: int) -> None:
        self._data = data
        self._size = size
        self._starts = range(0, len(data) - size + 1, stride)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, at: int) -> bytes: ...
    @overload
    def __getitem__(self, at: slice) -> list[bytes]: ...
    def __getitem__(self, at: int | slice) -> bytes | list[bytes]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        start = self._starts[at]
        return self._data[start : start + self._size]


def folder_set(folder: Path, count: int | None = None) -> MlperfSet:
    """The first `count` files that `y_labels.csv` names, in `folder` or in the one of the board's benchmark
    below it. Files are read when the board has said which. Raises PlanError naming file and line."""
    tables = {
        path.parent for path in (folder / LABELS_NAME, *folder.glob(f"*/{LABELS_NAME}")) if path.is_file()
    }
    if not tables:
        raise PlanError(f"{folder} has no {LABELS_NAME}", _GIVE)

    def inputs_for(benchmark: str) -> list[Sample]:
        where = folder if folder in tables else folder / benchmark
        if where not in tables:
            raise PlanError(f"{folder} has no set of {benchmark!r}", _GIVE)
        return _samples(where, count)

    digest = hashlib.sha256()
    for table in sorted(tables):
        digest.update(_read(table / LABELS_NAME))
    return MlperfSet(inputs_for, labelled=True, golden=digest.digest())


def _samples(folder: Path, count: int | None) -> list[Sample]:
    path = folder / LABELS_NAME
    samples: list[Sample] = []
    rows = csv.reader(_read(path).decode("utf-8", errors="replace").splitlines())
    for number, row in enumerate(rows, 1):
        if len(samples) == count:
            break
        if not row:
            continue
        try:
            name, label = row[0].strip(), int(row[2])
            size, stride = (int(row[3]), int(row[4])) if len(row) > 4 else (0, 0)
        except (IndexError, ValueError) as error:
            raise PlanError(f"{path}:{number}: expected file,classes,class[,bytes,stride]", _GIVE) from error
        file = (folder / name).resolve()
        if not file.is_relative_to(folder.resolve()):
            raise PlanError(f"{path}:{number}: {name} is outside of {folder}", _GIVE)
        data = _read(file)
        inputs: Sequence[bytes] = Slices(data, size, stride) if size > 0 and stride > 0 else (data,)
        if not inputs or not inputs[0]:
            raise PlanError(f"{file} has {len(data)} bytes, expected at least {max(size, 1)}", _GIVE)
        samples.append(Sample(name, label, inputs))
    return samples


def raw_set(path: Path, count: int | None = None) -> MlperfSet:
    """`windows` of an .npz as they are (int8, uint8 or float32 [n, …]), `labels` where it has them: for
    firmware whose model is not at hand. Raises PlanError."""
    windows, labels = read_arrays(path)
    if windows.dtype not in (np.int8, np.uint8, np.float32) or windows.ndim < 2 or len(windows) == 0:
        raise PlanError(
            f"{path}: windows are {windows.dtype} of shape {windows.shape}, "
            "expected int8, uint8 or float32 [n, …]",
            "raw sensor values need their model: give --model, too",
        )
    inputs = [row.tobytes() for row in windows[:count]]
    known = [0] * len(inputs) if labels is None else labels
    samples = [Sample(f"{i}", known[i], (data,)) for i, data in enumerate(inputs)]
    digest = hashlib.sha256(b"".join(inputs)).digest()
    return MlperfSet(lambda benchmark: samples, labelled=labels is not None, golden=digest)


def model_set(path: Path, model: Path, device_type: str, count: int | None = None) -> MlperfSet:
    """The golden set at `path` for the model at `model`, as that device type runs it. Raises PlanError."""
    from tinyfleet.agent.adapters.golden_file import (
        load_golden,
    )  # the host twin's compiler, only where needed

    image = bench_image(_read(model), device_type, model.name)
    return golden_set(load_golden(path, image.payload), image.payload, image.digest or b"", count)


def golden_set(golden: GoldenSet, payload: bytes, digest: bytes, count: int | None = None) -> MlperfSet:
    """A golden set for a board that should run the model with that payload and image digest: its answers
    are known."""
    plan = decode_artifact(payload)
    chosen = golden.first(count or len(golden.windows))
    labels = chosen.labels or (0,) * len(chosen.windows)

    def inputs_for(benchmark: str) -> list[Sample]:
        told = _as_told(plan, benchmark)
        return [
            Sample(f"{i}", label, (told(window),))
            for i, (window, label) in enumerate(zip(chosen.windows, labels, strict=True))
        ]

    return MlperfSet(
        inputs_for,
        labelled=chosen.labels is not None,
        golden=hashlib.sha256(b"".join(chosen.windows)).digest(),
        expected=None if chosen.expected is None else TwinAnswers(plan, chosen.expected),
        model=digest,
        version=plan.metadata.version,
    )


@dataclass(frozen=True, slots=True)
class TwinAnswers:
    """`services.mlperf_runner.Expected`: the host twin's."""

    plan: Artifact
    outputs: tuple[bytes, ...]

    def output(self, benchmark: str, results: Sequence[float]) -> bytes | None:
        """Outputs of more than a byte a value, or with steps as small as what is printed, cannot be told;
        nor can an anomaly's, which is told by its error. Empty: no output of this model prints so."""
        scale, zero = float(np.float32(self.plan.metadata.output_scale)), self.plan.output.zero_point
        if benchmark == _REAL or scale < 2 * _PRINTED or len(self.outputs[0]) != _values(self.plan):
            return None
        if len(results) != len(self.outputs[0]):
            return b""
        steps = [round(value / scale) for value in results]
        off = max(abs(step * scale - value) for step, value in zip(steps, results, strict=True))
        if off > 0.51 * _PRINTED + 1e-6 or not all(-128 <= step + zero <= 127 for step in steps):
            return b""
        return bytes((step + zero) & 0xFF for step in steps)

    def of(self, index: int) -> bytes:
        return self.outputs[index]


def _values(plan: Artifact) -> int:
    shape = plan.tensors[plan.output.tensor].shape
    return int(np.prod(shape))


def _as_told(plan: Artifact, benchmark: str) -> Callable[[bytes], bytes]:
    """What firmware of that benchmark takes for the model's int8 input."""
    if benchmark in _UNSIGNED:
        return lambda window: bytes(byte ^ 0x80 for byte in window)
    if benchmark == _REAL:
        scale, zero = np.float32(plan.metadata.input_scale), plan.input.zero_point

        def real(window: bytes) -> bytes:
            steps: npt.NDArray[Any] = np.frombuffer(window, np.int8).astype(np.float32) - zero
            return (steps * scale).astype("<f4").tobytes()

        return real
    return lambda window: window


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > FILE_MAX_BYTES:
            raise PlanError(f"{path} has more than {FILE_MAX_BYTES} bytes", _GIVE)
        return path.read_bytes()
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror}", _GIVE) from error
