"""What is in a model artifact, from its payload alone: for `model inspect`, the API and the UI."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from tinyfleet.model.compiler import packing_dsp, packing_mve
from tinyfleet.model.compiler.describe_recurrent import recurrent_bytes, recurrent_macs
from tinyfleet.model.compiler.describe_signal import signal_macs, table_bytes
from tinyfleet.model.compiler.memory import Lifetime, live_bytes, lower_bound
from tinyfleet.model.compiler.occupancy import Role, occupancy
from tinyfleet.wire.artifact import Artifact, Metadata, Op, OpCode, Place, decode_artifact
from tinyfleet.wire.artifact_ops import (
    NO_CONSTANTS,
    PER_TENSOR,
    PLAIN,
    ConvParams,
    CopyParams,
    FullyConnectedParams,
    GatherParams,
    MatmulParams,
    MeanParams,
    PoolParams,
    ResizeParams,
    TableParams,
)
from tinyfleet.wire.enums import CoreVariant


@dataclass(frozen=True, slots=True)
class OpSummary:
    """macs: multiply-accumulates; adds or comparisons for ops without weights.

    output_bytes: activations that it makes; live_bytes: those alive while it runs; constant_bytes: its
    weights and tables in flash. tensor: the plan's number of the one it makes. packed: in the core's layout.
    """

    index: int
    name: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    macs: int
    constant_bytes: int
    output_bytes: int
    live_bytes: int
    tensor: int
    packed: bool


@dataclass(frozen=True, slots=True)
class Summary:
    """arena_bytes: what a node must have; peak_bytes: most that is alive at once; activation_bytes: the same
    without scratch; bound_bytes: no memory plan of these ops needs less, as far as proven; equal to
    arena_bytes where none can be smaller."""

    metadata: Metadata
    core: CoreVariant
    payload_bytes: int
    arena_bytes: int
    peak_bytes: int
    activation_bytes: int
    bound_bytes: int
    constant_bytes: int
    macs: int
    ops: tuple[OpSummary, ...]
    op_codes: frozenset[int]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    inputs: int
    outputs: int
    vectors: int


def describe(payload: bytes) -> Summary:
    """ArtifactError when the payload is no plan."""
    plan = decode_artifact(payload)
    pieces = occupancy(plan)
    lives = [piece.lifetime for piece in pieces]
    activations = [piece.lifetime for piece in pieces if piece.role is not Role.SCRATCH]
    ops = tuple(
        OpSummary(
            index=i,
            name=op.code.name,
            inputs=tuple(plan.tensors[t].shape for t in op.inputs),
            output=plan.tensors[op.outputs[0]].shape,
            macs=_macs(plan, op),
            constant_bytes=_constant_bytes(plan, op),
            output_bytes=sum(plan.tensors[t].size_bytes for t in op.outputs),
            live_bytes=live_bytes(lives, i),
            tensor=op.outputs[0],
            packed=op.variant != PLAIN,
        )
        for i, op in enumerate(plan.ops)
    )
    return Summary(
        metadata=plan.metadata,
        core=plan.core,
        payload_bytes=len(payload),
        arena_bytes=plan.arena_bytes,
        peak_bytes=_most(lives),
        activation_bytes=_most(activations),
        bound_bytes=lower_bound(lives, plan.arena_bytes),
        constant_bytes=len(plan.constants),
        macs=sum(op.macs for op in ops),
        ops=ops,
        op_codes=frozenset(int(op.code) for op in plan.ops),
        input_shape=plan.tensors[plan.input.tensor].shape,
        output_shape=plan.tensors[plan.output.tensor].shape,
        inputs=len(plan.inputs),
        outputs=len(plan.outputs),
        vectors=len(plan.vectors),
    )


def _most(lives: list[Lifetime]) -> int:
    """Bytes alive when most are."""
    return max((live_bytes(lives, life.first) for life in lives), default=0)


def _macs(plan: Artifact, op: Op) -> int:
    elements = prod(plan.tensors[op.outputs[0]].shape)
    params = op.params
    if op.code is OpCode.TRANSPOSE_CONV and isinstance(params, ConvParams):
        sources = prod(plan.tensors[op.inputs[0]].shape)
        return sources * params.kernel_h * params.kernel_w * plan.tensors[op.outputs[0]].shape[-1]
    if isinstance(params, CopyParams):
        return prod(params.size)
    if isinstance(params, ConvParams):
        depth = 1 if op.code is OpCode.DEPTHWISE_CONV_2D else params.depth
        return elements * params.kernel_h * params.kernel_w * depth
    if isinstance(params, FullyConnectedParams | MatmulParams):
        return elements * params.depth
    if isinstance(params, PoolParams):
        return elements * params.kernel_h * params.kernel_w
    if isinstance(params, MeanParams):
        return elements * prod(params.reduced_size)
    known = recurrent_macs(plan, op)
    known = signal_macs(plan, op) if known is None else known
    return elements if known is None else known


def _constant_bytes(plan: Artifact, op: Op) -> int:
    held = sum(plan.tensors[t].size_bytes for t in op.inputs if plan.tensors[t].place is Place.CONSTANT)
    params = op.params
    recurrent = recurrent_bytes(plan, op)
    if recurrent is not None:
        return held + recurrent
    if isinstance(params, TableParams):
        return held + 256
    if isinstance(params, GatherParams):
        return held + 2 * (params.output_rows + params.output_columns)
    if isinstance(params, MatmulParams):
        return held + (0 if params.bias == NO_CONSTANTS else 4 * params.columns)
    if isinstance(params, ResizeParams):
        return held + 8 * sum(plan.tensors[op.outputs[0]].shape[1:3])
    if not isinstance(params, ConvParams | FullyConnectedParams):
        return held + table_bytes(plan, op)
    channels = plan.tensors[op.outputs[0]].shape[-1]
    if op.variant != PLAIN:
        packed_bytes = packing_mve.packed_bytes if op.variant == CoreVariant.MVE else packing_dsp.packed_bytes
        return held + packed_bytes(op.code, params, channels, plan.tensors[op.inputs[0]].shape)
    if isinstance(params, FullyConnectedParams):
        weights = channels * params.depth
    else:
        depth = 1 if op.code is OpCode.DEPTHWISE_CONV_2D else params.depth
        weights = channels * params.kernel_h * params.kernel_w * depth
    scales = 1 if params.flags & PER_TENSOR else channels
    return held + weights + 4 * channels + 5 * scales
