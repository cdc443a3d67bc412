"""What SVDF and LSTM cost: multiply-accumulates and bytes of weights."""

from __future__ import annotations

from math import prod

from tinyfleet.wire.artifact import Artifact, Op
from tinyfleet.wire.artifact_recurrent import LstmParams, SvdfParams
from tinyfleet.wire.artifact_tensors import DTYPE_BYTES

_GATES = 4
_SIGMOID_BYTES = 512


def recurrent_macs(plan: Artifact, op: Op) -> int | None:
    """None for other ops."""
    params, made = op.params, prod(plan.tensors[op.outputs[0]].shape)
    if isinstance(params, SvdfParams):
        return made * params.rank * (params.inputs + params.memory)
    return made * _GATES * (params.inputs + params.units) if isinstance(params, LstmParams) else None


def recurrent_bytes(plan: Artifact, op: Op) -> int | None:
    """None for other ops."""
    params = op.params
    if isinstance(params, SvdfParams):
        filters = params.units * params.rank
        width = DTYPE_BYTES[plan.tensors[op.outputs[1]].dtype]
        return filters * (params.inputs + 4 + width * params.memory) + 4 * params.units
    if isinstance(params, LstmParams):
        return params.units * _GATES * (params.inputs + params.units + 8) + _SIGMOID_BYTES
    return None
