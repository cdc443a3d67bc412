"""What crosses the pipes to the process that runs TFLM and back: a line of JSON, then arrays as raw bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def send(stream: IO[bytes], say: dict[str, Any], arrays: Sequence[Array] = ()) -> None:
    forms = [[array.dtype.str, list(array.shape)] for array in arrays]
    stream.write(json.dumps({**say, "arrays": forms}).encode() + b"\n")
    for array in arrays:
        stream.write(np.ascontiguousarray(array).tobytes())
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], list[Array]]:
    """EOFError when the other side has ended."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    said: dict[str, Any] = json.loads(line)
    arrays = []
    for form, shape in said.pop("arrays"):
        dtype = np.dtype(form)
        size = dtype.itemsize * int(np.prod(shape))
        content = stream.read(size)
        if len(content) < size:
            raise EOFError
        arrays.append(np.frombuffer(content, dtype).reshape(shape))
    return said, arrays
