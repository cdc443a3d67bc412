"""A node without a network as the bridge uses it: by SMP. It verifies, tries, confirms and goes back by
itself; the agent brings images and asks what became of them."""

from __future__ import annotations

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeVar

from tinyfleet.agent.core.bridge import Failure
from tinyfleet.agent.core.bridge_app import Firmware, Installed
from tinyfleet.agent.core.errors import (
    BoardSaidNo,
    ConsoleError,
    NoSuchBoardError,
    PlanError,
    StepFailed,
    StepTimeout,
)
from tinyfleet.agent.services.bridge_ports import HeldModel, Questions
from tinyfleet.agent.services.ports import Clock, SmpDoors, SmpSession, SmpSlot
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.blobs import TRANSPORTED_MAX_BYTES
from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result, Timing, UpdateState
from tinyfleet.wire.image import read_image
from tinyfleet.wire.messages import Hello, SlotInfo

R = TypeVar("R")
CONNECT_TIMEOUT_S: Final = 15.0
ASK_TIMEOUT_S: Final = 15.0
UPLOAD_TIMEOUT_S: Final = 400.0
TRIAL_S: Final = 120.0
LOOK_S: Final = 0.2
FIRMWARE, MODEL = 0, 1
FIRMWARE_SLOTS: Final = 2
_OPS_WORDS: Final = 8
_ON_TRIAL: Final = (UpdateState.OFFERED, UpdateState.VERIFIED, UpdateState.STAGED, UpdateState.TRIAL)


def _firmware(slots: tuple[SmpSlot, ...], room_bytes: int, counter: int) -> Firmware:
    held = {slot.slot: slot for slot in slots if slot.image == FIRMWARE}
    runs = next((slot for slot in held.values() if slot.active), None)
    places = tuple(
        SlotInfo(
            kind=ArtifactKind.FIRMWARE,
            index=index,
            size_bytes=room_bytes,
            image=held[index].digest if index in held else None,
        )
        for index in range(FIRMWARE_SLOTS if room_bytes and runs is not None else 0)
    )
    if runs is None:
        return Firmware("0.0.0", counter=counter)
    return Firmware(runs.version, runs.digest, counter, runs.slot, places)


class BridgedNode:
    """`services.bridge_ports.BridgedBoard`. Whoever calls holds the board. All raise AgentError."""

    def __init__(
        self,
        worker: BoardWorker,
        doors: SmpDoors,
        clock: Clock,
        pause: Callable[[float], None],
        *,
        address: str,
        baud: int,
        device_type: str,
    ) -> None:
        """`pause` waits between two questions to a node that is at work."""
        # Until it was asked: what no artifact exceeds.
        self._model_bytes = TRANSPORTED_MAX_BYTES
        self._firmware = Firmware("0.0.0")
        self._worker = worker
        self._doors = doors
        self._clock = clock
        self._pause = pause
        self._address = address
        self._baud = baud
        self._device_type = device_type

    @property
    def model_bytes(self) -> int:
        return self._model_bytes

    @property
    def goes_back(self) -> bool:
        return True

    def hello(self, *, patient: bool = True) -> Hello:
        """What the node says by SMP, as a bench board would say it. Its device type is the registered one:
        SMP does not tell it, and the node itself refuses images for another."""
        return self._with(self._hello)

    def model(self) -> HeldModel:
        """With the lowest counter that it takes."""
        return self._with(
            lambda session: HeldModel(self._ask(lambda: session.statistics("node"))["security_counter"])
        )

    def firmware(self, hello: Hello, known: Installed | None) -> Firmware:
        """As it told with its hello."""
        return self._firmware

    def image(self) -> bytes | None:
        """What it runs stays in its other slot; nothing is read."""
        return None

    def program(self, image: bytes | None, over_bytes: int = 0) -> None:
        """Sends the signed image, and begins its trial. None: nothing, as the node goes back by itself."""
        if image is not None:
            data = image
            self._with(lambda session: self._bring(session, data, MODEL))

    def test(self, questions: Questions) -> tuple[Hello, Failure | None]:
        """Waits for the end of the node's own trial. Its golden vectors are its own affair."""
        return self._with(self._tried)

    def app(self) -> bytes:
        raise RuntimeError("a node keeps its former firmware itself")

    def program_firmware(self, data: bytes) -> None:
        """Sends the signed image, and begins its trial: the node's bootloader starts it."""
        self._with(lambda session: self._bring(session, data, FIRMWARE))

    def test_firmware(self, image: bytes, questions: Questions) -> tuple[Hello, Failure | None]:
        """Waits for the end of the trial by bootloader and node. The node waits for its broker's answer, and
        will never hear it: that SMP hears it stands for that, once its golden vectors have passed."""
        return self._with(lambda session: self._started(session, image))

    def _bring(self, session: SmpSession, image: bytes, number: int) -> None:
        digest = read_image(image).digest
        if digest is None:
            raise PlanError(f"an image without a digest for {self._worker.board}", "sign it again")
        held = self._slot_of(session, number, digest)
        if held is None:
            self._worker.call("upload", UPLOAD_TIMEOUT_S, session.upload, image, number, lambda part: None)
        if held is None or not (held.active or held.pending):
            self._ask(lambda: session.test(digest))
        if number == FIRMWARE and (held is None or not held.active):
            # A board's own USB is gone before it can answer that.
            with suppress(ConsoleError):
                self._ask(session.reset)

    def _started(self, session: SmpSession, digest: bytes) -> tuple[Hello, Failure | None]:
        end_s = self._clock.monotonic_s() + TRIAL_S
        last = "it did not answer"
        while self._clock.monotonic_s() < end_s:
            try:
                ended = self._ended(session, digest)
                if ended is not None:
                    return self._hello(session), ended[0]
                last = "it is on trial"
            except (StepFailed, NoSuchBoardError) as error:
                # It does not answer while it starts, and its console may go and come with that.
                last = error.what
            self._pause(LOOK_S)
        raise StepTimeout(
            self._worker.board,
            "trial",
            f"no end within {TRIAL_S:g} s: {last}",
            "its console says what it does",
        )

    def _ended(self, session: SmpSession, digest: bytes) -> tuple[Failure | None] | None:
        """None: it goes on."""
        state, result = self._state_of(self._ask(lambda: session.statistics("node")))
        held = self._slot_of(session, FIRMWARE, digest)
        runs = held is not None and held.active
        if runs and held is not None and held.confirmed:
            return (None,)
        if runs:
            # Refused until its vectors have passed; one that failed goes back by a reset.
            with suppress(BoardSaidNo):
                self._ask(lambda: session.confirm(digest))
            return None
        if state in _ON_TRIAL:
            return None
        return (Failure(result, f"the node says {state.name}"),)

    def _tried(self, session: SmpSession) -> tuple[Hello, Failure | None]:
        end_s = self._clock.monotonic_s() + TRIAL_S
        while self._clock.monotonic_s() < end_s:
            told = self._ask(lambda: session.statistics("node"))
            state, result = self._state_of(told)
            if state not in _ON_TRIAL:
                confirmed = state is UpdateState.CONFIRMED
                failure = None if confirmed else Failure(result, f"the node says {state.name}")
                return self._hello(session), failure
            self._pause(LOOK_S)
        raise StepTimeout(
            self._worker.board, "trial", f"no end within {TRIAL_S:g} s", "its console says what it does"
        )

    def _state_of(self, told: dict[str, int]) -> tuple[UpdateState, Result]:
        try:
            return UpdateState(told["update_state"]), Result(told["update_result"])
        except (KeyError, ValueError) as error:
            raise ConsoleError(
                self._worker.board, "trial", f"its statistics are another version's: {error}", "update it"
            ) from error

    def _slot_of(self, session: SmpSession, number: int, digest: bytes) -> SmpSlot | None:
        slots = self._ask(session.slots)
        return next((slot for slot in slots if (slot.image, slot.digest) == (number, digest)), None)

    def _hello(self, session: SmpSession) -> Hello:
        runtime = self._ask(lambda: session.statistics("runtime"))
        told = self._ask(lambda: session.statistics("node"))
        slots = self._ask(session.slots)
        firmware = next((slot for slot in slots if slot.image == FIRMWARE and slot.active), None)
        model = next((slot for slot in slots if slot.image == MODEL and slot.active), None)
        try:
            self._model_bytes = runtime["model_bytes"]
            # Firmware of before does not tell: it is not offered another then.
            room_bytes = runtime.get("firmware_bytes", 0)
            self._firmware = _firmware(slots, room_bytes, told.get("firmware_counter", 0))
            ops = struct.pack(f"<{_OPS_WORDS}I", *(runtime[f"ops_{i}"] for i in range(_OPS_WORDS)))
            return Hello(
                app=f"node {'0.0.0' if firmware is None else firmware.version}",
                device_type=self._device_type,
                model=None if model is None else model.digest,
                version=None if model is None else model.version,
                # A model that it does not run is not active.
                input_bytes=0 if model is None else 1,
                output_bytes=0,
                golden=0,
                arena_bytes=runtime["arena_bytes"],
                abi=runtime["abi"],
                core=CoreVariant(runtime["core"]),
                emulated=bool(runtime["emulated"]) or runtime["timing"] == Timing.INSTRUCTIONS,
                ops=ops,
            )
        except (KeyError, ValueError, struct.error) as error:
            raise ConsoleError(
                self._worker.board,
                "hello",
                f"its statistics do not say what it can run: {error}",
                "flash a node firmware of this version",
            ) from error

    def _ask(self, question: Callable[[], R]) -> R:
        return self._worker.call("ask", ASK_TIMEOUT_S, question)

    def _with(self, work: Callable[[SmpSession], R]) -> R:
        worker = self._worker
        session = worker.call(
            "connect", CONNECT_TIMEOUT_S, self._doors.open, worker.board, self._address, self._baud
        )
        try:
            return work(session)
        finally:
            worker.finish("disconnect", CONNECT_TIMEOUT_S, session.close)
