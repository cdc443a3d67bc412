"""What is in a model artifact, from its payload alone: for `model inspect`, the API and the UI."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from tinyfleet.model.compiler.memory import Lifetime, live_bytes
from tinyfleet.wire.artifact import Artifact, Metadata, Op, OpCode, Place, decode_artifact
from tinyfleet.wire.artifact_ops import PER_TENSOR, ConvParams, FullyConnectedParams, MeanParams, PoolParams
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
    """arena_bytes: what a node must have; peak_bytes: the lower bound of any memory plan."""

    metadata: Metadata
    core: CoreVariant
    payload_bytes: int
    arena_bytes: int
    peak_bytes: int
    constant_bytes: int
    macs: int
    ops: tuple[OpSummary, ...]
    op_codes: frozenset[int]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    vectors: int

    def table(self) -> str:
        """Plain text: a line for the model, one for each op."""
        meta = self.metadata
        lines = [
            f"{meta.name} {meta.version}: {self.payload_bytes} bytes ({self.constant_bytes} constants, "
            f"{self.vectors} golden vectors), core {self.core.name}",
            f"arena {self.arena_bytes} bytes, at least {self.peak_bytes} alive at once; {self.macs} MACs",
            f"{'op':>3} {'name':<18} {'output':<18} {'MACs':>10} {'constants':>10} {'live':>8}",
        ]
        for op in self.ops:
            shape = "x".join(map(str, op.output))
            lines.append(
                f"{op.index:>3} {op.name:<18} {shape:<18} {op.macs:>10} {op.constant_bytes:>10} "
                f"{op.live_bytes:>8}"
            )
        return "\n".join(lines)


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
        constant_bytes=len(plan.constants),
        macs=sum(op.macs for op in ops),
        ops=ops,
        op_codes=frozenset(int(op.code) for op in plan.ops),
        input_shape=plan.tensors[plan.input.tensor].shape,
        output_shape=plan.tensors[plan.output.tensor].shape,
        vectors=len(plan.vectors),
    )


def _lifetimes(plan: Artifact) -> list[Lifetime]:
    """How long each piece of the arena holds something, from the ops alone.

    Names are not in a plan: memory read at an offset belongs to whatever was last written there (a reshape is
    the same memory under another tensor), and an output in place goes on with its input's.
    """
    lives: list[Lifetime] = []
    at_offset: dict[int, int] = {}

    def use(tensor: int, at: int, *, writes: bool) -> None:
        record = plan.tensors[tensor]
        if record.place is not Place.ARENA:
            return
        number = at_offset.get(record.offset)
        fresh = number is None or (writes and lives[number].last != at)
        if fresh:
            at_offset[record.offset] = number = len(lives)
            lives.append(Lifetime(record.size_bytes, at, at))
        elif number is not None:
            lives[number] = replace(lives[number], last=at)

    use(plan.input.tensor, -1, writes=True)
    for at, op in enumerate(plan.ops):
        for tensor in op.inputs:
            use(tensor, at, writes=False)
        for tensor in (*op.outputs, *op.temps):
            use(tensor, at, writes=True)
    use(plan.output.tensor, len(plan.ops), writes=False)
    return lives


def _macs(plan: Artifact, op: Op) -> int:
    elements = prod(plan.tensors[op.outputs[0]].shape)
    params = op.params
    if isinstance(params, ConvParams):
        depth = params.depth if op.code is OpCode.CONV_2D else 1
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
    if not isinstance(params, ConvParams | FullyConnectedParams):
        return held
    channels = plan.tensors[op.outputs[0]].shape[-1]
    if isinstance(params, FullyConnectedParams):
        weights = channels * params.depth
    else:
        depth = params.depth if op.code is OpCode.CONV_2D else 1
        weights = channels * params.kernel_h * params.kernel_w * depth
    scales = 1 if params.flags & PER_TENSOR else channels
    return held + weights + 4 * channels + 5 * scales
