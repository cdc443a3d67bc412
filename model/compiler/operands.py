"""What lowering asks of an op's operands, with refusals that name op, index and tensor."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tinyfleet.model.compiler.dtypes import DTYPES, width_of
from tinyfleet.model.compiler.errors import UnsupportedModel
from tinyfleet.model.compiler.numerics import INT8_MAX, INT8_MIN, activation_range
from tinyfleet.model.compiler.schema import Activation, TensorType
from tinyfleet.model.compiler.tflite import TfGraph, TfOp, TfTensor

Number = TypeVar("Number", bound=IntEnum)


@dataclass(frozen=True, slots=True)
class Quantized:
    """An activation: real = (q - zero) x scale."""

    tensor: TfTensor
    scale: np.float32
    zero: int

    @property
    def index(self) -> int:
        return self.tensor.index

    @property
    def shape(self) -> tuple[int, ...]:
        return self.tensor.shape

    @property
    def dtype(self) -> TensorType:
        return self.tensor.dtype

    @property
    def width(self) -> int:
        """Bytes of a value."""
        return width_of(self.tensor.dtype)

    def fits(self, other: Quantized) -> bool:
        """Whether equal numbers mean equal values."""
        return (self.dtype, self.scale, self.zero) == (other.dtype, other.scale, other.zero)


@dataclass(frozen=True, slots=True)
class Operands:
    """One op of the graph, asked for its operands and options."""

    graph: TfGraph
    op: TfOp

    @property
    def where(self) -> str:
        return self.graph.where(self.op)

    def refuse(self, why: str) -> UnsupportedModel:
        return UnsupportedModel(f"{self.where}: {why}")

    def count(self, inputs: tuple[int, ...]) -> None:
        """The op has one of these numbers of inputs, and one output."""
        if len(self.op.inputs) not in inputs or len(self.op.outputs) != 1:
            raise self.refuse(
                f"{len(self.op.inputs)} inputs and {len(self.op.outputs)} outputs, expected {inputs} and 1"
            )

    def activation(self, number: int) -> Quantized:
        return self._quantized(self._input(number))

    def output(self, number: int = 0) -> Quantized:
        return self._quantized(self._output(number))

    def value(self, number: int) -> Quantized:
        """An input of any type that a plan holds; one that is not quantised means its own numbers."""
        return self._any(self._input(number))

    def made(self, number: int = 0) -> Quantized:
        """An output of any type that a plan holds."""
        return self._any(self._output(number))

    def axis(self, value: int, rank: int) -> int:
        """An axis that may count from the end."""
        if not -rank <= value < rank:
            raise self.refuse(f"axis {value} of {rank} dims")
        return value + rank if value < 0 else value

    def weights(self, number: int) -> TfTensor:
        """A constant int8 tensor with symmetric scales, one or one a channel."""
        tensor = self._input(number)
        if tensor.data is None or tensor.dtype is not TensorType.INT8:
            state = "computed" if tensor.data is None else tensor.dtype.name
            raise self.refuse(
                f"weights {tensor} are {state}; expected constant int8 (quantise the whole model)"
            )
        if tensor.scales.size == 0 or bool(np.any(tensor.zero_points != 0)):
            raise self.refuse(f"weights {tensor} are not symmetric int8 (zero points must be 0)")
        return tensor

    def is_symmetric_constant(self, number: int) -> bool:
        """Whether an int8 operand is what `weights` takes; others are activations."""
        tensor = self._input(number)
        computed = tensor.data is None or bool(np.any(tensor.zero_points != 0))
        return not (computed and tensor.dtype is TensorType.INT8 and tensor.scales.size == 1)

    def bias(self, number: int, channels: int) -> npt.NDArray[np.int64]:
        """The int32 bias; zeros when the operand is absent."""
        if number >= len(self.op.inputs) or self.op.inputs[number] < 0:
            return np.zeros(channels, np.int64)
        tensor = self._input(number)
        if tensor.data is None or tensor.dtype is not TensorType.INT32 or tensor.elements != channels:
            raise self.refuse(
                f"bias {tensor} is {tensor.dtype.name} {tensor.shape}; expected {channels} constant int32"
            )
        return tensor.data.reshape(-1).astype(np.int64)

    def constant_ints(self, number: int) -> list[int]:
        tensor = self._input(number)
        if tensor.data is None or tensor.dtype not in (TensorType.INT32, TensorType.INT64):
            raise self.refuse(f"{tensor} must be constant int32 or int64")
        return [int(v) for v in tensor.data.reshape(-1)]

    def option(self, number: int, layout: str, default: int = 0) -> int:
        return default if self.op.options is None else self.op.options.integer(number, layout, default)

    def real_option(self, number: int) -> float:
        """A float option; 0 when absent, as the schema's default."""
        return 0.0 if self.op.options is None else float(self.op.options.scalar(number, "f", 0.0))

    def choice(self, number: int, kind: type[Number]) -> Number:
        value = self.option(number, "b")
        if value not in kind.__members__.values():
            raise self.refuse(f"{kind.__name__} {value} is unknown")
        return kind(value)

    def positive(self, name: str, value: int, most: int = 2**16 - 1) -> int:
        if not 1 <= value <= most:
            raise self.refuse(f"{name} is {value}, expected 1 to {most}")
        return value

    def clamp(self, number: int, output: Quantized) -> tuple[int, int]:
        """Range of the fused activation in option `number`."""
        activation = self.choice(number, Activation)
        if activation in (Activation.TANH, Activation.SIGN_BIT):
            raise self.refuse(f"fused activation {activation.name}; make it an op of its own")
        return activation_range(activation, output.scale, output.zero)

    def _input(self, number: int) -> TfTensor:
        if number >= len(self.op.inputs) or self.op.inputs[number] < 0:
            raise self.refuse(f"input {number} is missing")
        return self.graph.tensors[self.op.inputs[number]]

    def _output(self, number: int) -> TfTensor:
        if number >= len(self.op.outputs):
            raise self.refuse(f"output {number} is missing")
        return self.graph.tensors[self.op.outputs[number]]

    def _any(self, tensor: TfTensor) -> Quantized:
        if tensor.dtype is TensorType.INT8 and tensor.scales.size:
            return self._quantized(tensor)
        if tensor.dtype not in DTYPES:
            raise self._not_int8(tensor)
        if tensor.scales.size > 1:
            raise self.refuse(f"{tensor} has {tensor.scales.size} scales; an activation has at most one")
        if tensor.scales.size == 0:
            return Quantized(tensor, np.float32(1.0), 0)
        return Quantized(tensor, np.float32(tensor.scales[0]), int(tensor.zero_points[0]))

    def _not_int8(self, tensor: TfTensor) -> UnsupportedModel:
        return self.refuse(
            f"{tensor} is {tensor.dtype.name}; this runtime takes int8 activations: convert with full "
            "integer quantisation (a representative dataset, inference_input_type and "
            "inference_output_type int8)"
        )

    def _quantized(self, tensor: TfTensor) -> Quantized:
        if tensor.dtype is not TensorType.INT8:
            raise self._not_int8(tensor)
        if tensor.scales.size != 1:
            raise self.refuse(f"{tensor} has {tensor.scales.size} scales; an int8 activation has one")
        zero = int(tensor.zero_points[0])
        if not INT8_MIN <= zero <= INT8_MAX:
            raise self.refuse(f"{tensor} has zero point {zero}, expected {INT8_MIN} to {INT8_MAX}")
        return Quantized(tensor, np.float32(tensor.scales[0]), zero)
