"""What of a plan's constants belongs to which op: by the offsets in its parameters."""

from __future__ import annotations

from typing import Final

from tinyfleet.wire.artifact import Artifact, Op, Params, Place
from tinyfleet.wire.artifact_ops import (
    AddParams,
    ArgExtremeParams,
    ConvParams,
    CopyParams,
    FullyConnectedParams,
    GatherParams,
    L2NormalizationParams,
    LogSoftmaxParams,
    MatmulParams,
    MeanParams,
    PoolParams,
    QuantizeParams,
    ResizeParams,
    SoftmaxParams,
    TableParams,
)
from tinyfleet.wire.artifact_recurrent import LstmParams, SvdfParams
from tinyfleet.wire.artifact_signal import (
    ArithmeticParams,
    DelayParams,
    EnergyParams,
    FftParams,
    FilterBankParams,
    FramerParams,
    LogParams,
    NoParams,
    OverlapAddParams,
    PcanParams,
    StackerParams,
    SubtractionParams,
    WindowParams,
)

_FILTERS: Final = ("weights", "bias", "multiplier", "shift")

OFFSETS: Final[dict[type[Params], tuple[str, ...]]] = {
    AddParams: (),
    ArithmeticParams: (),
    ArgExtremeParams: (),
    ConvParams: _FILTERS,
    CopyParams: (),
    DelayParams: (),
    EnergyParams: (),
    FftParams: ("twiddles", "halves"),
    FilterBankParams: ("bands", "shares"),
    FramerParams: (),
    FullyConnectedParams: _FILTERS,
    GatherParams: ("rows", "columns"),
    LogParams: ("bends",),
    L2NormalizationParams: (),
    MatmulParams: ("bias",),
    LogSoftmaxParams: (),
    LstmParams: ("weights", "bias", "sigmoid"),
    MeanParams: (),
    NoParams: (),
    OverlapAddParams: (),
    PcanParams: ("gains",),
    PoolParams: (),
    QuantizeParams: (),
    ResizeParams: ("rows", "columns"),
    SoftmaxParams: (),
    StackerParams: (),
    SubtractionParams: (),
    SvdfParams: ("features", "feature_bias", "times", "bias"),
    TableParams: ("table",),
    WindowParams: (),
}
"""Fields of parameters that are offsets into CONSTANTS (marked @ in ARTIFACT.md)."""


class Constants:
    """The constants of one plan, cut where something begins. Equal tables are stored once, so that a piece
    may belong to several ops; a piece ends with the fillers before the next one."""

    def __init__(self, plan: Artifact) -> None:
        self._plan = plan
        starts = {tensor.offset for tensor in plan.tensors if tensor.place is Place.CONSTANT}
        starts |= {state.initial for state in plan.states if state.initial is not None}
        starts |= {offset for op in plan.ops for offset in offsets_of(op).values()}
        self._cuts = sorted(
            {start for start in starts if start < len(plan.constants)} | {len(plan.constants)}
        )

    def of(self, op: Op) -> dict[str, bytes]:
        """Contents by the field that refers to them; constant operands as `operand N`."""
        found = {name: self._piece(offset) for name, offset in offsets_of(op).items()}
        for i, number in enumerate(op.inputs):
            tensor = self._plan.tensors[number]
            if tensor.place is Place.CONSTANT:
                found[f"operand {i}"] = self._plan.constants[
                    tensor.offset : tensor.offset + tensor.size_bytes
                ]
        return {name: content for name, content in found.items() if content}

    def _piece(self, offset: int) -> bytes:
        end = next((cut for cut in self._cuts if cut > offset), offset)
        return self._plan.constants[offset:end]


def offsets_of(op: Op) -> dict[str, int]:
    return {name: getattr(op.params, name) for name in OFFSETS.get(type(op.params), ())}
