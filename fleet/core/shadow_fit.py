"""Whether a challenger can run beside the model that runs, by the device's own word and both models' needs.

Asked before anything is sent: one that does not fit costs no byte on air.
"""

from __future__ import annotations

from tinyfleet.fleet.core.fit import Answers, Misfit, ModelNeeds, misfit
from tinyfleet.wire.enums import Result
from tinyfleet.wire.messages import Birth


def misfit_beside(
    challenger: ModelNeeds, image: bytes, active: ModelNeeds | None, birth: Birth | None
) -> Misfit | None:
    """The first reason why `challenger` (its digest `image`) cannot be compared with the `active` model
    there, or not run at all; None: nothing is known against it. `active` None: it is not a model of this
    fleet, so its classes and input are not known here, and the node checks them.
    """
    if birth is None:
        return _unsupported("it was never heard of: nothing is known of its room")
    if birth.shadow_bytes is None:
        return _unsupported(f"its firmware {birth.firmware.version} runs no challengers")
    if birth.model is None:
        return Misfit(Result.UPDATE_FAILED, "no model runs there that a challenger could be compared with")
    if birth.model.image == image:
        return Misfit(Result.UPDATE_FAILED, "the challenger is the model that runs there")
    alone = misfit(challenger, birth)
    if alone is not None:
        return alone
    if active is None:
        if challenger.arena_bytes <= birth.shadow_bytes:
            return None
        return Misfit(
            Result.ARENA_TOO_SMALL,
            f"the challenger needs an arena of {challenger.arena_bytes} bytes, "
            f"the model that runs leaves {birth.shadow_bytes} of {birth.arena_bytes}",
        )
    both = active.arena_bytes + challenger.arena_bytes
    if both > birth.arena_bytes:
        return Misfit(
            Result.ARENA_TOO_SMALL,
            f"arenas of {active.arena_bytes} bytes (running) and {challenger.arena_bytes} (challenger) are "
            f"{both}, the node has {birth.arena_bytes}",
        )
    return _incomparable(challenger.answers, active.answers)


def _incomparable(challenger: Answers | None, active: Answers | None) -> Misfit | None:
    if challenger is None or active is None:
        return None
    if challenger.input != active.input:
        return Misfit(
            Result.INPUT_MISMATCH,
            f"the challenger takes {challenger.input}, the model that runs there {active.input}",
        )
    if not (challenger.classes and active.classes):
        return _unsupported("agreement is of classes: both models must have at least two")
    if challenger.labels != active.labels:
        return _unsupported(
            f"the challenger names classes {', '.join(challenger.labels)}, "
            f"the model that runs there {', '.join(active.labels)}"
        )
    return None


def _unsupported(detail: str) -> Misfit:
    return Misfit(Result.UNSUPPORTED_TYPE, detail)
