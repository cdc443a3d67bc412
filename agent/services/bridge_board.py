"""A board as the bridge uses it: asked over its console, app and model read and programmed by its probe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tinyfleet.agent.core.bench_image import hashed_bytes, tlvs_bytes
from tinyfleet.agent.core.bridge import Failure
from tinyfleet.agent.core.bridge_app import Firmware, Installed
from tinyfleet.agent.core.bridge_check import SelfTest, firmware_version, result_of, shortened
from tinyfleet.agent.core.errors import BoardSaidNo, ConsoleError
from tinyfleet.agent.core.flash_plan import FlashPlan, plan_flash
from tinyfleet.agent.core.program import Segment
from tinyfleet.agent.services.bridge_ports import HeldModel, Questions
from tinyfleet.agent.services.console_client import (
    HELLO_ATTEMPTS,
    HELLO_TIMEOUT_S,
    INFER_TIMEOUT_S,
    ConsoleClient,
)
from tinyfleet.agent.services.flasher import CONNECT_TIMEOUT_S, READ_TIMEOUT_S, RESET_TIMEOUT_S
from tinyfleet.agent.services.ports import Clock, Console, Probes
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.artifact import decode_artifact
from tinyfleet.wire.enums import ArtifactKind, Result
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.image import read_image, verify_digest
from tinyfleet.wire.image_format import HEADER_BYTES
from tinyfleet.wire.memory_map import ERASED_BYTE, MemoryMap
from tinyfleet.wire.messages import Hello, SlotInfo

R = TypeVar("R")
OPEN_TIMEOUT_S = 10.0
TEST_LIMIT_S = 600.0
BATCH = 32
LOOK_ATTEMPTS = 2
_MARGIN_S = 5.0
_TLV_HEAD_BYTES = 4


class BridgedBoard:
    """Whoever calls holds the board. All raise AgentError: BoardBusyError and NoSuchBoardError where nothing
    was begun."""

    def __init__(
        self,
        worker: BoardWorker,
        probes: Probes,
        clock: Clock,
        memory: MemoryMap,
        *,
        probe: str,
        open_console: Callable[[], Console],
        baud: int,
        program: Callable[[FlashPlan], object],
    ) -> None:
        self._worker = worker
        self._probes = probes
        self._clock = clock
        self._memory = memory
        self._probe = probe
        self._open_console = open_console
        self._baud = baud
        self._program = program

    @property
    def model_bytes(self) -> int:
        """Room for a model's image."""
        return self._memory["model"].size_bytes

    @property
    def goes_back(self) -> bool:
        return False

    def model(self) -> HeldModel:
        """Of the image in its flash; counter 0: there is none, or one without."""
        image = self.image()
        if image is None:
            return HeldModel(0)
        held = read_image(image)
        try:
            plan = decode_artifact(held.payload)
        except WireError:
            plan = None
        return HeldModel(held.security_counter or 0, plan)

    def firmware(self, hello: Hello, known: Installed | None) -> Firmware:
        """By its own word, unless `known` stands in its flash: then it is that image."""
        image, version = None, str(firmware_version(hello))
        if known is not None and known.is_in(self.app()):
            image, version = known.image, known.version
        place = self._memory["app"]
        slot = SlotInfo(kind=ArtifactKind.FIRMWARE, index=0, size_bytes=place.size_bytes, image=image)
        return Firmware(version, image, slot=0, places=(slot,))

    def app(self) -> bytes:
        """All of the app's place in flash."""
        place = self._memory["app"]
        return self._reading(lambda read: read(self._memory.base + place.offset, place.size_bytes))

    def program_firmware(self, data: bytes) -> None:
        """Programs the app's place from its start on, reads it back and resets the board."""
        start = self._memory.base + self._memory["app"].offset
        self._program(plan_flash(self._memory, app=[Segment(start, data)]))

    def test_firmware(self, image: bytes, questions: Questions) -> tuple[Hello, Failure | None]:
        """It was programmed and read back, so one that is not heard does not start. `image` is the agent's to
        remember."""
        return self.test(questions)

    def hello(self, *, patient: bool = True) -> Hello:
        """What the board says of itself now. `patient`: it may just be starting."""
        attempts = HELLO_ATTEMPTS if patient else LOOK_ATTEMPTS
        return self._asked(lambda client, hello: hello, attempts)

    def test(self, questions: Questions) -> tuple[Hello, Failure | None]:
        """Asks what `questions` has for a board with that hello; why it does not pass, if it does not."""
        return self._asked(lambda client, hello: (hello, self._tested(client, hello, questions(hello))))

    def image(self) -> bytes | None:
        """The image in the model's place, as it stands there; None: nothing whole."""
        data = self._reading(self._image)
        try:
            return None if data is None or not verify_digest(read_image(data)) else data
        except WireError:
            return None

    def _image(self, read: Callable[[int, int], bytes]) -> bytes | None:
        start = self._memory.base + self._memory["model"].offset
        reach = hashed_bytes(read(start, HEADER_BYTES), self.model_bytes)
        if reach is None:
            return None
        rest = tlvs_bytes(read(start + reach, _TLV_HEAD_BYTES))
        if rest is None or reach + rest > self.model_bytes:
            return None
        return read(start, reach + rest)

    def _reading(self, work: Callable[[Callable[[int, int], bytes]], R]) -> R:
        """`work` reads flash: (address, bytes)."""
        call = self._worker.call
        session = call("connect", CONNECT_TIMEOUT_S, self._probes.open, self._probe)
        try:
            return work(lambda address, count: call("read", READ_TIMEOUT_S, session.read, address, count))
        finally:
            self._worker.finish("disconnect", RESET_TIMEOUT_S, session.close)

    def program(self, image: bytes | None, over_bytes: int = 0) -> None:
        """Programs the model's place, reads it back and resets the board. None: erases what an image of
        `over_bytes` takes."""
        blank = bytes([ERASED_BYTE]) * max(over_bytes, 1)
        self._program(plan_flash(self._memory, model=blank if image is None else image))

    def _tested(
        self, client: ConsoleClient, hello: Hello, questions: SelfTest | Failure | None
    ) -> Failure | None:
        if questions is None or isinstance(questions, Failure):
            return questions
        call, end_s = self._worker.call, self._clock.monotonic_s() + TEST_LIMIT_S
        try:
            if hello.input_bytes == 0:
                # Refused: every other question is answered by why.
                client.begin([b""], 0)
                call("infer", INFER_TIMEOUT_S + _MARGIN_S, client.advance)
                return Failure(Result.UPDATE_FAILED, "the board takes no input, and does not say why")
            start = 0
            for batch in questions.questions(BATCH):
                client.begin(batch, 0)
                answers = dict(call("infer", INFER_TIMEOUT_S + _MARGIN_S, client.advance))
                while len(answers) < len(batch):
                    answers.update(call("infer", INFER_TIMEOUT_S + _MARGIN_S, client.advance))
                wrong = questions.judge(start, [answers[i] for i in range(len(batch))])
                if wrong is not None:
                    return wrong
                start += len(batch)
                if self._clock.monotonic_s() > end_s:
                    return Failure(
                        Result.UPDATE_FAILED,
                        f"{start} of {questions.count} inferences in {TEST_LIMIT_S:g} s",
                    )
        except BoardSaidNo as error:
            return Failure(result_of(error), shortened(error.what))
        return None

    def _asked(self, ask: Callable[[ConsoleClient, Hello], R], attempts: int = HELLO_ATTEMPTS) -> R:
        call = self._worker.call
        port = call("open console", OPEN_TIMEOUT_S, self._open_console)
        client = ConsoleClient(self._worker.board, port, self._clock, baud=self._baud)
        try:
            hello = call("hello", attempts * HELLO_TIMEOUT_S + _MARGIN_S, client.hello, attempts)
            if hello.ops is None:
                raise ConsoleError(
                    self._worker.board,
                    "hello",
                    "its firmware does not say which ops it has, so nobody could say what runs there",
                    "flash the bench app of this version",
                )
            return ask(client, hello)
        finally:
            self._worker.finish("close console", OPEN_TIMEOUT_S, client.close)
