"""Types of a model's tensors that a plan can hold; which of them an op takes is the op's matter."""

from __future__ import annotations

from typing import Final

from tinyfleet.model.compiler.schema import TensorType
from tinyfleet.wire.artifact import Dtype
from tinyfleet.wire.artifact_tensors import DTYPE_BYTES

DTYPES: Final = {
    TensorType.INT8: Dtype.INT8,
    TensorType.BOOL: Dtype.INT8,
    TensorType.INT16: Dtype.INT16,
    TensorType.INT32: Dtype.INT32,
    TensorType.UINT8: Dtype.UINT8,
    TensorType.UINT32: Dtype.UINT32,
    TensorType.INT64: Dtype.INT64,
    TensorType.UINT64: Dtype.UINT64,
}


def width_of(dtype: TensorType) -> int:
    """Bytes of a value."""
    return DTYPE_BYTES[DTYPES[dtype]]
