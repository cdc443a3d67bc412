"""Brings a node signed images by SMP: only those it does not run; the node itself tries and confirms each."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tinyfleet.agent.core.errors import AgentError, ConsoleError, StepFailed, StepTimeout
from tinyfleet.agent.core.signed_image import SignedImage
from tinyfleet.agent.core.ways import SmpPlan
from tinyfleet.agent.services.flasher import FlashReport, StepProgress
from tinyfleet.agent.services.ports import Clock, SmpDoors, SmpSession, SmpSlot
from tinyfleet.agent.services.steps import PLAN_TIMEOUT_S, Steps
from tinyfleet.agent.services.worker import BoardWorker

CONNECT_TIMEOUT_S: Final = 15.0
ASK_TIMEOUT_S: Final = 15.0
UPLOAD_TIMEOUT_S: Final = 400.0
TRIAL_TIMEOUT_S: Final = 120.0
LOOK_S: Final = 0.5
_FIRMWARE: Final = 0


class SmpFlasher:
    def __init__(self, doors: SmpDoors, clock: Clock, pause: Callable[[float], None]) -> None:
        """`pause` waits between two questions to a node that is at work."""
        self._doors = doors
        self._clock = clock
        self._pause = pause

    def flash(
        self,
        worker: BoardWorker,
        address: str,
        baud: int,
        plan: SmpPlan,
        progress: StepProgress = lambda step, part: None,
        *,
        timeout_s: float = PLAN_TIMEOUT_S,
    ) -> FlashReport:
        """Raises StepFailed (StepTimeout), BoardSaidNo, NoSuchBoardError or BoardBusyError. The connection
        is closed in any case."""
        steps = Steps(worker, self._clock, timeout_s)
        session = steps.call("connect", CONNECT_TIMEOUT_S, self._doors.open, steps.board, address, baud)
        with steps.finishing("disconnect", session.close):
            sent = sum(self._bring(steps, session, image, plan.confirm, progress) for image in plan.images)
        return FlashReport(
            steps.board, plan.size_bytes, len(plan.images), sent, steps.elapsed_s, unit="images"
        )

    def _bring(
        self, steps: Steps, session: SmpSession, image: SignedImage, confirm: bool, progress: StepProgress
    ) -> bool:
        """Whether it had to be brought."""
        progress(f"compare {image.name}", 0.0)
        held = _slot_with(steps.call("compare", ASK_TIMEOUT_S, session.slots), image)
        if held is not None and held.active and held.confirmed:
            return False
        if held is None:
            steps.call(
                "upload",
                UPLOAD_TIMEOUT_S,
                session.upload,
                image.data,
                image.number,
                lambda part: progress(f"send {image.name}", part),
            )
            held = _slot_with(steps.call("read back", ASK_TIMEOUT_S, session.slots), image)
            if held is None:
                raise StepFailed(
                    steps.board,
                    "read back",
                    f"the node holds no {image.name} with digest {image.digest.hex()[:16]}",
                    "send it again; a `want` of the manager's may have taken the slot",
                )
        progress(f"try {image.name}", 0.0)
        if not (held.pending or held.active):
            steps.call("test", ASK_TIMEOUT_S, session.test, image.digest)
        if image.number == _FIRMWARE and not held.active:
            # A board's own USB is gone before it can answer that.
            with suppress(ConsoleError):
                steps.call("reset", ASK_TIMEOUT_S, session.reset)
        limit_s = steps.left_s("trial", TRIAL_TIMEOUT_S)
        steps.call("trial", limit_s + ASK_TIMEOUT_S, self._until_confirmed, steps, session, image, confirm)
        progress(f"try {image.name}", 1.0)
        return True

    def _until_confirmed(self, steps: Steps, session: SmpSession, image: SignedImage, confirm: bool) -> None:
        """Asks until the node runs it for good. It does not answer while it starts."""
        limit_s = steps.left_s("trial", TRIAL_TIMEOUT_S)
        end_s = self._clock.monotonic_s() + limit_s
        last = "it did not answer"
        while self._clock.monotonic_s() < end_s:
            try:
                held = _slot_with(session.slots(), image)
            except AgentError as error:
                # It starts, and its console may have to be there again first.
                last = error.what
            else:
                if held is not None and held.active and held.confirmed:
                    return
                if held is None or not (held.active or held.pending):
                    raise StepFailed(
                        steps.board,
                        "trial",
                        f"the node went back from the {image.name} {image.version}: it was not confirmed",
                        "its console says why: `tinyfleet bench console`",
                    )
                last = "it is on trial"
                if held.active and confirm:
                    # Refused until a node's golden vectors have passed.
                    with suppress(AgentError):
                        session.confirm(image.digest)
            self._pause(LOOK_S)
        raise StepTimeout(
            steps.board,
            "trial",
            f"the {image.name} {image.version} is not confirmed after {limit_s:g} s: {last}",
            "a node confirms when it has reached its broker: is that up?",
        )


def _slot_with(slots: tuple[SmpSlot, ...], image: SignedImage) -> SmpSlot | None:
    return next((s for s in slots if (s.image, s.digest) == (image.number, image.digest)), None)
