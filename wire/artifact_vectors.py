"""Golden vectors of a plan (ARTIFACT.md section 7)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

from tinyfleet.wire.artifact_metadata import ArtifactError

VECTORS_MAX: Final = 65535
STEPS_MAX: Final = 65535


@dataclass(frozen=True, slots=True)
class Step:
    """What goes in and what must come out. Several inputs or outputs stand one behind the other."""

    input: bytes
    output: bytes


@dataclass(frozen=True, slots=True)
class Vector:
    """A golden vector: a sequence of steps from reset."""

    steps: tuple[Step, ...]

    @classmethod
    def single(cls, given: bytes, expected: bytes) -> Self:
        return cls((Step(given, expected),))

    @property
    def input(self) -> bytes:
        """Of all steps."""
        return b"".join(step.input for step in self.steps)

    @property
    def output(self) -> bytes:
        """Of the last step."""
        return self.steps[-1].output


def _padded(size: int) -> int:
    return (size + 3) // 4 * 4


def _filled(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)


def encode_vectors(vectors: tuple[Vector, ...]) -> bytes:
    body = b""
    for vector in vectors:
        body += struct.pack("<I", len(vector.steps))
        body += b"".join(_filled(step.input) + _filled(step.output) for step in vector.steps)
    return body


def decode_vectors(content: bytes, count: int, input_bytes: int, output_bytes: int) -> Iterator[Vector]:
    if not 1 <= count <= VECTORS_MAX or len(content) < 4:
        raise ArtifactError("VECTORS", expected=f"1 to {VECTORS_MAX}", actual=(count, len(content)))
    steps = int.from_bytes(content[:4], "little")
    step_bytes = _padded(input_bytes) + _padded(output_bytes)
    size = 4 + steps * step_bytes
    if not 1 <= steps <= STEPS_MAX or len(content) != count * size:
        raise ArtifactError(
            "VECTORS",
            expected=f"{count} of {size} bytes ({steps} steps)",
            actual=f"{len(content)} bytes",
        )
    for i in range(count):
        at = i * size
        if int.from_bytes(content[at : at + 4], "little") != steps:
            raise ArtifactError(f"vector {i}, steps", expected=steps, actual=content[at : at + 4].hex())
        yield Vector(
            tuple(
                _decode_step(content, at + 4 + step * step_bytes, input_bytes, output_bytes)
                for step in range(steps)
            )
        )


def _decode_step(content: bytes, at: int, input_bytes: int, output_bytes: int) -> Step:
    output_at = at + _padded(input_bytes)
    return Step(content[at : at + input_bytes], content[output_at : output_at + output_bytes])
