"""What an update does to the board: looks at it, keeps what it has, programs and asks it, and puts it back.

Each takes the record as it is, and some answer it as it is to be. Whoever calls holds the board: `holding`.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import replace

from tinyfleet.agent.core.bridge import Event, Failure, Record
from tinyfleet.agent.core.bridge_app import Installed
from tinyfleet.agent.core.bridge_check import (
    Checked,
    SelfTest,
    check,
    firmware_version,
    result_of,
    shortened,
)
from tinyfleet.agent.core.bridge_firmware import CheckedFirmware, check_firmware
from tinyfleet.agent.core.bridge_report import Seen
from tinyfleet.agent.core.errors import AgentError, BoardSaidNo, ConsoleError, CoreLockedUp, StepFailed
from tinyfleet.agent.services.bridge_ports import BridgedBoard, BridgeStore, HeldModel, Hold, Next, Terms
from tinyfleet.wire.artifact import Artifact
from tinyfleet.wire.enums import ArtifactKind, Result
from tinyfleet.wire.image import Verify, read_image
from tinyfleet.wire.messages import Hello


class BoardKeeper:
    """`seen`: what the board told last; None: it has not been asked, or does not answer."""

    def __init__(
        self, terms: Terms, board: BridgedBoard, name: str, store: BridgeStore, hold: Hold, verify: Verify
    ) -> None:
        self.seen: Seen | None = None
        self.is_held = False
        self._sure = False
        self._terms = terms
        self._board = board
        self._name = name
        self._store = store
        self._hold = hold
        self._verify = verify

    def holding(self, work: Callable[[], None], *, brief: bool = False) -> None:
        """Raises what `work` raises, and BoardBusyError where the board is not to be had."""

        def held() -> None:
            self.is_held = True
            try:
                work()
            finally:
                self.is_held = False

        self._hold(held, brief)

    def see(self, record: Record) -> Record:
        """Asks the board who it is. Raises AgentError when it does not answer, or is another."""
        hello = self._board.hello(patient=False)
        if hello.device_type != self._terms.device_type:
            raise StepFailed(
                self._name,
                "hello",
                f"the board is a {hello.device_type}, registered as {self._terms.device_type}",
                "register it again, or name another board in bench.yaml",
            )
        self._take(record, hello)
        if record.adopted or self.seen is None:
            return record
        # What it was given before anybody spoke for it must not be gone below.
        return replace(record, adopted=True, counter=max(record.counter, self.seen.counter))

    def doubt(self) -> None:
        """Somebody else had the board: what stands in its flash is to be read again."""
        self._sure = False

    def checked(self, record: Record, data: bytes) -> Checked | CheckedFirmware | Failure:
        """Whether that artifact may go onto the board; where the board was not asked, without its word."""
        if record.kind is ArtifactKind.FIRMWARE:
            return self._checked_firmware(record, data)
        return self._checked_model(record, data)

    def _checked_firmware(self, record: Record, data: bytes) -> CheckedFirmware | Failure:
        if record.wanted is None:
            raise RuntimeError("nothing is wanted")
        seen = self.seen
        # What comes with a model of its own may drop the one that runs now.
        keeps = seen is not None and seen.runs is not None and record.next is None
        return check_firmware(
            data,
            record.wanted.image,
            device_type=self._terms.device_type,
            counter=record.firmware_counter,
            room_bytes=None if seen is None else seen.firmware.room_bytes,
            trusted=self._terms.trust,
            verify=self._verify,
            bare=not self._board.goes_back,
            running=seen.plan if keeps and seen is not None else None,
        )

    def _checked_model(self, record: Record, data: bytes) -> Checked | Failure:
        if record.wanted is None:
            raise RuntimeError("nothing is wanted")
        return check(
            data,
            record.wanted.image,
            device_type=self._terms.device_type,
            hello=None if self.seen is None else self.seen.hello,
            room_bytes=self._board.model_bytes,
            trusted=self._terms.trust,
            verify=self._verify,
            counter=record.counter,
        )

    def back_up(self, record: Record) -> Record:
        """Has on disk what the board goes back to."""
        if record.kept:
            return record
        if record.kind is ArtifactKind.FIRMWARE:
            return self._back_up_firmware(record)
        if self._board.goes_back:
            return replace(record, kept=True, previous=self._board.hello().model)
        image = self._board.image()
        if image is None:
            return replace(record, kept=True, previous=None)
        self._store.keep_previous(image)
        return replace(record, kept=True, previous=read_image(image).digest)

    def _back_up_firmware(self, record: Record) -> Record:
        hello = self._board.hello()
        self._take(record, hello)
        ran = None if self.seen is None else self.seen.runs
        if self._board.goes_back:
            image = None if self.seen is None else self.seen.firmware.image
            return replace(record, kept=True, previous=image, ran=ran)
        app = self._board.app()
        self._store.keep_previous(app)
        return replace(record, kept=True, previous=hashlib.sha256(app).digest(), ran=ran)

    def attempt(self, record: Record) -> tuple[Record, Next]:
        """Programs the board, and asks it. Raises AgentError where it cannot be reached."""
        artifact = self._store.artifact()
        if artifact is None:
            return record, (
                Event.REJECT,
                Result.INTEGRITY,
                "the artifact is not on the agent's disk any more",
            )
        checked = self.checked(record, artifact)
        if isinstance(checked, Failure):
            return record, (Event.REJECT, checked.result, checked.detail)
        if isinstance(checked, CheckedFirmware):
            return self._try_firmware(record, checked, artifact)
        return record, self._try_model(record, checked, artifact)

    def _try_firmware(self, record: Record, checked: CheckedFirmware, artifact: bytes) -> tuple[Record, Next]:
        goes_back = self._board.goes_back
        # Until it says so itself, nobody knows what runs there.
        self.seen, self._sure = None, False
        # What the board says of its model after it: the plan is read while the former app runs.
        plan = None if goes_back or record.ran is None or record.next is not None else self._plan(record.ran)

        def questions(hello: Hello) -> SelfTest | Failure | None:
            if hello.device_type != self._terms.device_type:
                return Failure(Result.BOOT_FAILED, f"the board says it is a {hello.device_type}")
            if firmware_version(hello).release != checked.version.release:
                return Failure(Result.BOOT_FAILED, f"the board says it runs {hello.app}")
            if plan is None:
                return None
            if hello.model != record.ran:
                return Failure(Result.BOOT_FAILED, "the board does not find its model any more")
            return SelfTest(plan, hello, None)

        try:
            self._board.program_firmware(artifact if goes_back else checked.payload)
        except BoardSaidNo as error:
            return record, (Event.REJECT, result_of(error), shortened(error.what))
        except CoreLockedUp as error:
            if error.step != "reset":
                raise
            return record, (Event.REJECT, Result.BOOT_FAILED, shortened(error.what))
        try:
            hello, failure = self._board.test_firmware(checked.digest, questions)
        except ConsoleError as error:
            if error.step != "hello":
                raise
            # It was read back as programmed, and reset: it does not start.
            return record, (Event.REJECT, Result.BOOT_FAILED, shortened(error.what))
        if failure is not None:
            return record, (Event.REJECT, failure.result, failure.detail)
        if not goes_back:
            content = hashlib.sha256(checked.payload).digest()
            app = Installed(checked.digest, str(checked.version), content, len(checked.payload))
            record = replace(record, app=app)
        self._take(record, hello)
        return record, (Event.PASSED if record.next is None else Event.HALFWAY, Result.SUCCESS, "")

    def _plan(self, model: bytes) -> Artifact:
        """Of the model that ran. Raises AgentError when it is not in flash any more: a firmware's trial does
        not touch it."""
        held = self._board.model()
        if held.plan is None:
            raise StepFailed(
                self._name, "read", f"model {model.hex()[:16]} is not in flash any more", "roll it out again"
            )
        return held.plan

    def _try_model(self, record: Record, checked: Checked, artifact: bytes) -> Next:
        try:
            self._board.program(artifact if self._board.goes_back else checked.data)
        except BoardSaidNo as error:
            return Event.REJECT, result_of(error), shortened(error.what)

        def questions(hello: Hello) -> SelfTest | Failure:
            if hello.model is not None and hello.model != checked.digest:
                return Failure(Result.BOOT_FAILED, f"the board says it has model {hello.model.hex()[:16]}")
            return SelfTest(checked.plan, hello, record.trial)

        hello, failure = self._board.test(questions)
        if failure is None and hello.model != checked.digest:
            got = "none" if hello.model is None else hello.model.hex()[:16]
            failure = Failure(Result.BOOT_FAILED, f"the board says it has model {got}")
        if failure is not None:
            return Event.REJECT, failure.result, failure.detail
        self._take(record, hello, HeldModel(checked.counter, checked.plan))
        return Event.PASSED, Result.SUCCESS, ""

    def restore(self, record: Record) -> Next:
        """After a trial that did not pass. Raises AgentError as `put_back`."""
        failure = record.failure
        if failure is None:
            raise RuntimeError("no trial failed")
        self.put_back(record)
        return Event.RESTORED, failure.result, failure.detail

    def put_back(self, record: Record) -> None:
        """Raises AgentError when the board does not have then what it had before."""
        kind = record.owed_kind if record.owed else record.kind
        if kind is ArtifactKind.FIRMWARE:
            self._put_firmware_back(record)
            return
        previous = None
        keeps = self._board.goes_back or record.previous is None
        if not keeps and (previous := self._store.previous()) is None:
            raise AgentError(
                f"what {self._name} had before is not on the agent's disk any more", "roll a model out to it"
            )
        self._board.program(previous, self._board.model_bytes)
        hello = self._board.hello()
        if hello.model != record.previous:
            got = "none" if hello.model is None else hello.model.hex()[:16]
            raise StepFailed(
                self._name, "going back", f"the board says it has model {got}", "see its console"
            )
        self._take(record, hello)

    def _put_firmware_back(self, record: Record) -> None:
        self.seen, self._sure = None, False
        if not self._board.goes_back:
            app = self._store.previous()
            if app is None or not hmac.compare_digest(hashlib.sha256(app).digest(), record.previous or b""):
                raise AgentError(
                    f"the app that {self._name} had before is not on the agent's disk any more",
                    "flash one: `tinyfleet bench flash`",
                )
            self._board.program_firmware(app)
        hello = self._board.hello()
        if record.ran is not None and hello.model != record.ran:
            got = "none" if hello.model is None else hello.model.hex()[:16]
            raise StepFailed(
                self._name, "going back", f"the board says it has model {got}", "see its console"
            )
        self._take(record, hello)
        seen = self.seen
        if self._board.goes_back and seen is not None and seen.firmware.image != record.previous:
            raise StepFailed(
                self._name, "going back", f"the node runs {seen.firmware.version}", "see its console"
            )

    def _take(self, record: Record, hello: Hello, model: HeldModel | None = None) -> None:
        """What the board told is what is seen. Its flash is read where that says something new of it, or
        somebody else had it."""
        before = self.seen if self._sure else None
        if model is None:
            if before is not None and before.hello.model == hello.model:
                model = HeldModel(before.counter, before.plan)
            else:
                model = HeldModel(0) if hello.model is None else self._board.model()
        if before is not None and before.hello.app == hello.app and not self._board.goes_back:
            firmware = before.firmware
        else:
            firmware = self._board.firmware(hello, record.app)
        room_bytes = self._board.model_bytes
        self.seen = Seen(hello, model.counter, room_bytes, firmware, model.plan)
        self._sure = True
