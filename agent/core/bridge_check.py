"""What a networked node checks by itself, for a board that cannot: whose an image is, whether it fits, and
whether the board answers its golden vectors as it should."""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from tinyfleet.agent.core.bench_image import bench_image
from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.bridge import Failure
from tinyfleet.agent.core.errors import BoardSaidNo
from tinyfleet.wire.artifact import Artifact, decode_artifact
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.enums import ArtifactKind, CoreVariant, Result
from tinyfleet.wire.errors import ImageError, WireError
from tinyfleet.wire.image import Accepts, ImageVersion, Verify, check_image, read_image
from tinyfleet.wire.limits import FRAME_BODY_MAX
from tinyfleet.wire.messages import Hello, Trial

DETAIL_BYTES: Final = 96
_RESULT_HEAD_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Checked:
    """An image that may go onto the board. `data`: as a bench board takes it, without key and signature; its
    digest is that of the signed one."""

    digest: bytes
    counter: int
    data: bytes = field(repr=False)
    plan: Artifact = field(repr=False)


def check(
    data: bytes,
    wanted: bytes,
    *,
    device_type: str,
    hello: Hello | None,
    room_bytes: int,
    trusted: Collection[bytes],
    verify: Verify,
    counter: int,
) -> Checked | Failure:
    """Whether the board may get the image `data`, in a node's order (SPEC section 7), and then whether it
    can run it, by its hello. None: it cannot be asked now, and says itself what does not fit.
    `counter`: the lowest security counter it takes."""
    accepts = Accepts(
        kind=ArtifactKind.MODEL,
        device_type=device_type,
        security_counter=counter,
        cores=frozenset(CoreVariant) if hello is None else frozenset({CoreVariant.PORTABLE, hello.core}),
        abi=None if hello is None else hello.abi,
        firmware=None if hello is None else firmware_version(hello),
    )
    try:
        image = read_image(data)
        digest = check_image(image, trusted=trusted, verify=verify, accepts=accepts)
        if not hmac.compare_digest(digest, wanted):
            return Failure(Result.INTEGRITY, "the artifact is another image than the wanted one")
        plan = decode_artifact(image.payload)
    except ImageError as error:
        return Failure(error.result, shortened(str(error)))
    except WireError as error:
        return Failure(Result.INTEGRITY, shortened(str(error)))
    bare = bench_image(data, device_type, "the artifact").data
    if len(bare) > room_bytes:
        return Failure(Result.NO_FLASH, f"the image has {len(bare)} bytes, the board room for {room_bytes}")
    unfit = None if hello is None else _unfit(plan, hello)
    return unfit or Checked(digest, image.security_counter or 0, bare, plan)


def firmware_version(hello: Hello) -> ImageVersion:
    """Of the app: what its hello calls itself ends in it."""
    found = re.search(r"(\d{1,3})\.(\d{1,3})\.(\d{1,5})", hello.app)
    major, minor, revision = (0, 0, 0) if found is None else (int(part) for part in found.groups())
    return ImageVersion(major, minor, revision, 0)


def _unfit(plan: Artifact, hello: Hello) -> Failure | None:
    for at, op in enumerate(plan.ops):
        if not _has(hello.ops or b"", op.code):
            return Failure(Result.OP_MISSING, f"the board lacks {op.code.name}: op {at}")
    if plan.arena_bytes > hello.arena_bytes:
        return Failure(
            Result.ARENA_TOO_SMALL,
            f"the model needs an arena of {plan.arena_bytes} bytes, the board has {hello.arena_bytes}",
        )
    return None


def _has(ops: bytes, code: OpCode) -> bool:
    return code // 8 < len(ops) and bool(ops[code // 8] >> code % 8 & 1)


class SelfTest:
    """A trial as a list of questions: each golden vector, then again until `trial` has its inferences. What
    the line cannot carry (`questions` is empty then) the board has answered to itself when it started: it
    says no to everything else if a vector was wrong."""

    def __init__(self, plan: Artifact, hello: Hello, trial: Trial | None) -> None:
        self._limit_us = None if trial is None else trial.latency_us
        self._vectors = [v for v in plan.vectors if _askable(plan, hello, len(v.input))]
        self.count = max(len(self._vectors), 0 if trial is None else trial.inferences)
        if not self._vectors:
            self.count = 0

    def questions(self, size: int) -> Iterator[list[bytes]]:
        """Inputs, at most `size` at once."""
        for start in range(0, self.count, size):
            end = min(start + size, self.count)
            yield [self._vectors[i % len(self._vectors)].input for i in range(start, end)]

    def judge(self, start: int, answers: Sequence[Answer]) -> Failure | None:
        """Of the questions from `start` on, the first that was not answered as it should be."""
        for at, answer in enumerate(answers, start):
            wanted = self._vectors[at % len(self._vectors)].output
            if answer.output != wanted:
                return Failure(
                    Result.GOLDEN_FAILED,
                    f"golden vector {at % len(self._vectors)}: expected {wanted[:8].hex()}, "
                    f"got {answer.output[:8].hex()}",
                )
            if self._limit_us is not None and answer.duration_us > self._limit_us:
                return Failure(
                    Result.LATENCY_LIMIT,
                    f"an inference took {answer.duration_us} us, expected at most {self._limit_us}",
                )
        return None


def _askable(plan: Artifact, hello: Hello, input_bytes: int) -> bool:
    single = not plan.more_inputs and not plan.more_outputs
    # An input may fill a frame, and larger ones what LOAD takes.
    fits = input_bytes <= max(FRAME_BODY_MAX, hello.load_bytes or 0)
    return single and fits and plan.output_bytes <= FRAME_BODY_MAX - _RESULT_HEAD_BYTES


def result_of(error: BoardSaidNo) -> Result:
    """What a board said; UPDATE_FAILED for a number that is none of ours."""
    return Result(error.result) if error.result in set(Result) else Result.UPDATE_FAILED


def shortened(text: str) -> str:
    """At most what a status' detail holds, in bytes of UTF-8, cut between characters."""
    return text.encode()[:DETAIL_BYTES].decode(errors="ignore")
