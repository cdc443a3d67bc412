"""What an update does to the board: looks at it, keeps what it has, programs and asks it, and puts it back.

Each takes the record as it is, and some answer it as it is to be. Whoever calls holds the board: `holding`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tinyfleet.agent.core.bridge import Event, Failure, Record
from tinyfleet.agent.core.bridge_check import Checked, SelfTest, check, result_of, shortened
from tinyfleet.agent.core.bridge_report import Seen
from tinyfleet.agent.core.errors import AgentError, BoardSaidNo, StepFailed
from tinyfleet.agent.services.bridge_ports import BridgedBoard, BridgeStore, Hold, Next, Terms
from tinyfleet.wire.enums import Result
from tinyfleet.wire.image import Verify, read_image
from tinyfleet.wire.messages import Hello


class BoardKeeper:
    """`seen`: what the board told last; None: it has not been asked, or does not answer."""

    def __init__(
        self, terms: Terms, board: BridgedBoard, name: str, store: BridgeStore, hold: Hold, verify: Verify
    ) -> None:
        self.seen: Seen | None = None
        self.is_held = False
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
        self.seen = self._with_counter(hello)
        if record.adopted:
            return record
        # What it was given before anybody spoke for it must not be gone below.
        return replace(record, adopted=True, counter=max(record.counter, self.seen.counter))

    def checked(self, record: Record, data: bytes) -> Checked | Failure:
        """Whether that artifact may go onto the board; where the board was not asked, without its word."""
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
        if self._board.goes_back:
            return replace(record, kept=True, previous=self._board.hello().model)
        image = self._board.image()
        if image is None:
            return replace(record, kept=True, previous=None)
        self._store.keep_previous(image)
        return replace(record, kept=True, previous=read_image(image).digest)

    def attempt(self, record: Record) -> Next:
        """Programs the board, and asks it. Raises AgentError where it cannot be reached."""
        artifact = self._store.artifact()
        if artifact is None:
            return Event.REJECT, Result.INTEGRITY, "the artifact is not on the agent's disk any more"
        checked = self.checked(record, artifact)
        if isinstance(checked, Failure):
            return Event.REJECT, checked.result, checked.detail
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
        self.seen = Seen(hello, checked.counter, self._board.model_bytes)
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
        self.seen = self._with_counter(hello)

    def _with_counter(self, hello: Hello) -> Seen:
        if self.seen is not None and self.seen.hello.model == hello.model:
            return Seen(hello, self.seen.counter, self._board.model_bytes)
        counter = 0 if hello.model is None else self._board.counter()
        return Seen(hello, counter, self._board.model_bytes)
