"""What signal ops cost: multiply-accumulates and bytes of tables."""

from __future__ import annotations

from math import prod

import numpy as np

from tinyfleet.wire.artifact import Artifact, Op
from tinyfleet.wire.artifact_signal import (
    LOG_BENDS,
    PCAN_GAINS,
    FftParams,
    FilterBankParams,
    LogParams,
    PcanParams,
)
from tinyfleet.wire.artifact_tensors import DTYPE_BYTES


def table_bytes(plan: Artifact, op: Op) -> int:
    """Of its own tables in CONSTANTS; 0 for an op that has none."""
    params = op.params
    if isinstance(params, FftParams):
        width = DTYPE_BYTES[plan.tensors[op.inputs[0]].dtype]
        return width * (2 * (params.length // 2) + 2 * (params.length // 4))
    if isinstance(params, FilterBankParams):
        return 4 * (prod(plan.tensors[op.outputs[0]].shape) + 1) + 4 * _shares(plan, op, params)
    if isinstance(params, PcanParams):
        return 2 * PCAN_GAINS
    return 2 * LOG_BENDS if isinstance(params, LogParams) else 0


def signal_macs(plan: Artifact, op: Op) -> int | None:
    """None for ops that do something once for each output."""
    params = op.params
    if isinstance(params, FilterBankParams):
        return 2 * _shares(plan, op, params)
    if not isinstance(params, FftParams):
        return None
    size = params.length // 2
    turned = sum(size - size // radix for radix in params.radix if radix) + size // 2
    shape = max((plan.tensors[op.inputs[0]].shape, plan.tensors[op.outputs[0]].shape), key=prod)
    return prod(shape[:-1]) * 4 * turned


def _shares(plan: Artifact, op: Op, params: FilterBankParams) -> int:
    bands = prod(plan.tensors[op.outputs[0]].shape) + 1
    table = np.frombuffer(plan.constants[params.bands : params.bands + 4 * bands], "<u2")
    return int(table[1::2].sum())
