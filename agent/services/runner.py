"""Runs a golden set on a board over its console: stored windows by index, the rest streamed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

from tinyfleet.agent.core.bench_run import Answer, RunResult, judge
from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.services.console_client import (
    HELLO_ATTEMPTS,
    HELLO_TIMEOUT_S,
    INFER_TIMEOUT_S,
    ConsoleClient,
)
from tinyfleet.agent.services.energy import EnergyRun
from tinyfleet.agent.services.ports import Clock, Consoles
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.messages import Hello

OPEN_TIMEOUT_S = 10.0
STORE_TIMEOUT_S = 60.0
"""Of a golden set, beside three times what its bytes take on the line."""
_MARGIN_S = 5.0
_BITS_A_BYTE = 10


class Runner:
    def __init__(self, consoles: Consoles, clock: Clock) -> None:
        self._consoles = consoles
        self._clock = clock

    def run(
        self,
        worker: BoardWorker,
        console: str,
        baud: int,
        golden: GoldenSet,
        *,
        emulated: bool,
        kept: Sequence[bytes] = (),
        keep: bool = False,
        model: bytes | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
        on_line: Callable[[str], None] = lambda line: None,
        on_answers: Callable[[bytes, Sequence[Answer]], None] = lambda model, answers: None,
        energy: EnergyRun | None = None,
    ) -> RunResult:
        """`kept`: the golden set that the board's flash should hold, with which `golden` begins, or which
        begins with it; `keep`: stored there where it does not hold it. `model`: the image it must run.
        `emulated`: the probe says so; the board may, too. `on_answers`: gets the image that ran, and all
        answers. `energy`: entered; the result has what it measured.

        Raises StepFailed (StepTimeout, ConsoleError), PlanError, BoardSaidNo, NoSuchBoardError,
        BoardBusyError.
        """
        port = worker.call("open console", OPEN_TIMEOUT_S, self._consoles.open, console, baud)
        client = ConsoleClient(worker.board, port, self._clock, on_line, baud)
        try:
            hello = worker.call("hello", HELLO_ATTEMPTS * HELLO_TIMEOUT_S + _MARGIN_S, client.hello)
            self._check(worker.board, hello, golden, model)
            begun_s = self._clock.monotonic_s()
            held = self._held(worker, client, hello, kept, baud if keep else None)
            stored = _alike(golden.windows, kept[:held])
            answers: dict[int, Answer] = {}
            if energy is not None:
                energy.begin()
                begun_s = self._clock.monotonic_s()
            client.begin(golden.windows, stored)
            while len(answers) < len(golden.windows):
                got = worker.call("infer", INFER_TIMEOUT_S + _MARGIN_S, client.advance)
                answers.update(got)
                progress(len(answers), len(golden.windows))
                if energy is not None:
                    energy.inferred(len(got))
            elapsed_s = self._clock.monotonic_s() - begun_s
            if energy is not None:
                energy.end(len(golden.windows), sum(a.duration_us for a in answers.values()) / 1e6)
        finally:
            worker.finish("close console", OPEN_TIMEOUT_S, client.close)
        ordered = [answers[i] for i in range(len(golden.windows))]
        on_answers(hello.model or b"", ordered)
        is_emulated = emulated or bool(hello.emulated)
        measured, why_not = (None, None) if energy is None else (energy.result, energy.why_not)
        if is_emulated and measured is not None and not measured.simulated:
            measured, why_not = None, "the board is emulated: what the meter measures is none of its"
        return judge(
            golden,
            ordered,
            board=worker.board,
            device_type=hello.device_type,
            emulated=is_emulated,
            model=hello.model or b"",
            version=hello.version or "",
            golden_digest=hashlib.sha256(b"".join(golden.windows)).digest(),
            stored=stored,
            elapsed_s=elapsed_s,
            finished=self._clock.unix_s(),
            energy=measured,
            no_energy=why_not,
        )

    @staticmethod
    def _held(
        worker: BoardWorker, client: ConsoleClient, hello: Hello, kept: Sequence[bytes], baud: int | None
    ) -> int:
        """How many of these windows the board holds, stored at that baud rate, if one is given. An older
        board is believed by its count."""
        if hello.golden_bytes is None or not kept:
            return min(len(kept), hello.golden)
        digest = hashlib.sha256(b"".join(kept)).digest()
        held = worker.call("select", INFER_TIMEOUT_S + _MARGIN_S, client.select, digest)
        if held == 0 and baud is not None:
            line_s = sum(map(len, kept)) * _BITS_A_BYTE / baud
            held = worker.call("keep", STORE_TIMEOUT_S + 3 * line_s, client.keep, kept)
        return held

    @staticmethod
    def _check(board: str, hello: Hello, golden: GoldenSet, model: bytes | None) -> None:
        if model is not None and hello.model != model:
            got = "none" if hello.model is None else hello.model.hex()[:16]
            # The board is well: nobody needs to bring it back.
            raise PlanError(
                f"{board}: hello: the board has model image {got}, expected {model.hex()[:16]}",
                "program it: `tinyfleet bench flash --model`"
                if hello.model is not None
                else f"program it: `tinyfleet bench flash --model`; what was refused is on its console: "
                f"`tinyfleet bench console {board} --tail 20 --no-follow`",
            )
        # A board whose model was refused says 0; its refusal is more to the point and comes with the first
        # window.
        # A window of a model that keeps state may be several inputs.
        if hello.input_bytes != 0 and golden.window_bytes % hello.input_bytes != 0:
            raise PlanError(
                f"{board}: hello: the model takes {hello.input_bytes} bytes, "
                f"the golden set's windows {golden.window_bytes}",
                "use the golden set made for this model",
            )


def _alike(windows: Sequence[bytes], kept: Sequence[bytes]) -> int:
    """How many both begin with."""
    pairs = enumerate(zip(windows, kept, strict=False))
    return next((i for i, (one, other) in pairs if one != other), min(len(windows), len(kept)))
