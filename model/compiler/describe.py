"""What is in a model artifact, from its payload alone: for `model inspect`, the API and the UI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from tinyfleet.model.compiler.memory import Lifetime, live_bytes, lower_bound
from tinyfleet.model.compiler.packing import packed_bytes
from tinyfleet.wire.artifact import Artifact, Metadata, Op, OpCode, Place, Tensor, decode_artifact
from tinyfleet.wire.artifact_ops import (
    PACKED,
    PER_TENSOR,
    ConvParams,
    CopyParams,
    FullyConnectedParams,
    GatherParams,
    MeanParams,
    PoolParams,
    ResizeParams,
    TableParams,
)
from tinyfleet.wire.enums import CoreVariant


@dataclass(frozen=True, slots=True)
class OpSummary:
    """macs: multiply-accumulates; adds or comparisons for ops without weights.

    live_bytes: activations alive while it runs.
    """

    index: int
    name: str
    inputs: tuple[tuple[int, ...], ...]
    output: tuple[int, ...]
    macs: int
    constant_bytes: int
    live_bytes: int


@dataclass(frozen=True, slots=True)
class Summary:
    """arena_bytes: what a node must have; peak_bytes: most that is alive at once; bound_bytes: no memory plan
    of these ops needs less, as far as proven; equal to arena_bytes where none can be smaller."""

    metadata: Metadata
    core: CoreVariant
    payload_bytes: int
    arena_bytes: int
    peak_bytes: int
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

    def table(self) -> str:
        """Plain text: a line for the model, one for each op."""
        meta = self.metadata
        lines = [
            f"{meta.name} {meta.version}: {self.payload_bytes} bytes ({self.constant_bytes} constants, "
            f"{self.vectors} golden vectors), core {self.core.name}",
            f"arena {self.arena_bytes} bytes ({self._proof()}), {self.peak_bytes} alive at once; "
            f"{self.macs} MACs",
            f"{'op':>3} {'name':<18} {'output':<18} {'MACs':>10} {'constants':>10} {'live':>8}",
        ]
        for op in self.ops:
            shape = "x".join(map(str, op.output))
            lines.append(
                f"{op.index:>3} {op.name:<18} {shape:<18} {op.macs:>10} {op.constant_bytes:>10} "
                f"{op.live_bytes:>8}"
            )
        return "\n".join(lines)

    def _proof(self) -> str:
        if self.arena_bytes <= self.bound_bytes:
            return "none is smaller"
        return f"at most {1 - self.bound_bytes / self.arena_bytes:.1%} above the smallest"


def describe(payload: bytes) -> Summary:
    """ArtifactError when the payload is no plan."""
    plan = decode_artifact(payload)
    lives = _lifetimes(plan)
    ops = tuple(
        OpSummary(
            index=i,
            name=op.code.name,
            inputs=tuple(plan.tensors[t].shape for t in op.inputs),
            output=plan.tensors[op.outputs[0]].shape,
            macs=_macs(plan, op),
            constant_bytes=_constant_bytes(plan, op),
            live_bytes=live_bytes(lives, i),
        )
        for i, op in enumerate(plan.ops)
    )
    return Summary(
        metadata=plan.metadata,
        core=plan.core,
        payload_bytes=len(payload),
        arena_bytes=plan.arena_bytes,
        peak_bytes=max((live_bytes(lives, at) for at in range(-1, len(plan.ops) + 1)), default=0),
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


def _lifetimes(plan: Artifact) -> list[Lifetime]:
    """How long each piece of the arena holds something, from the ops alone.

    Names are not in a plan: a read keeps every piece alive that it touches (a reshape is the same memory
    under another tensor, a part of a split lies inside it); a write begins a piece, unless it goes on with
    what is there: in place, or the next part of a tensor that several ops fill.
    """
    lives: list[Lifetime] = []
    current: dict[int, Tensor] = {}

    def touched(record: Tensor) -> list[int]:
        end = record.offset + record.size_bytes
        return [
            number
            for number, piece in current.items()
            if piece.offset < end and record.offset < piece.offset + piece.size_bytes
        ]

    def read(tensor: int, at: int) -> None:
        record = plan.tensors[tensor]
        if record.place is Place.ARENA:
            for number in touched(record):
                lives[number] = replace(lives[number], last=at)

    def write(tensor: int, at: int, *, goes_on: bool) -> None:
        record = plan.tensors[tensor]
        if goes_on:
            read(tensor, at)
            return
        for number in touched(record):
            del current[number]
        current[len(lives)] = record
        lives.append(Lifetime(record.size_bytes, at, at))

    begun: dict[int, int] = {}
    for end in plan.inputs:
        write(end.tensor, -1, goes_on=False)
    for at, op in enumerate(plan.ops):
        for tensor in op.inputs:
            read(tensor, at)
        for tensor in (*op.outputs, *op.temps):
            offsets = [plan.tensors[t].offset for t in op.inputs if plan.tensors[t].place is Place.ARENA]
            in_place = plan.tensors[tensor].offset in offsets
            next_part = op.code is OpCode.COPY and begun.get(tensor) is not None
            write(tensor, at, goes_on=in_place or next_part)
            begun[tensor] = at
    for end in plan.outputs:
        read(end.tensor, len(plan.ops))
    return lives


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
    if isinstance(params, FullyConnectedParams):
        return elements * params.depth
    if isinstance(params, PoolParams):
        return elements * params.kernel_h * params.kernel_w
    if isinstance(params, MeanParams):
        return elements * prod(params.reduced_size)
    return elements


def _constant_bytes(plan: Artifact, op: Op) -> int:
    held = sum(plan.tensors[t].size_bytes for t in op.inputs if plan.tensors[t].place is Place.CONSTANT)
    params = op.params
    if isinstance(params, TableParams):
        return held + 256
    if isinstance(params, GatherParams):
        return held + 2 * (params.output_rows + params.output_columns)
    if isinstance(params, ResizeParams):
        return held + 8 * sum(plan.tensors[op.outputs[0]].shape[1:3])
    if not isinstance(params, ConvParams | FullyConnectedParams):
        return held
    channels = plan.tensors[op.outputs[0]].shape[-1]
    if op.variant == PACKED:
        return held + packed_bytes(op.code, params, channels, plan.tensors[op.inputs[0]].shape)
    if isinstance(params, FullyConnectedParams):
        weights = channels * params.depth
    else:
        depth = 1 if op.code is OpCode.DEPTHWISE_CONV_2D else params.depth
        weights = channels * params.kernel_h * params.kernel_w * depth
    scales = 1 if params.flags & PER_TENSOR else channels
    return held + weights + 4 * channels + 5 * scales
