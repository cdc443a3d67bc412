"""The model artifact: reader and writer of the payload that ARTIFACT.md describes.

`encode_artifact` lays a plan out, `decode_artifact` takes it apart again and refuses what a node would refuse
for its structure: every offset, size, count and dim. What an op does with its shapes is checked by the node's
own loader, which the compiler runs over everything it builds (`tinyfleet.model.twin`).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum
from math import prod
from typing import Final

from tinyfleet.wire.artifact_metadata import (
    ArtifactError,
    Baseline,
    Metadata,
    OutputKind,
    decode_metadata,
    encode_metadata,
)
from tinyfleet.wire.artifact_ops import (
    SHIFT_MAX,
    SHIFT_MIN,
    OpCode,
    Params,
    op_form,
)
from tinyfleet.wire.artifact_tensors import (
    ALIGN,
    ENDPOINT_DTYPES,
    RECORDS_MAX,
    Dtype,
    Place,
    State,
    Tensor,
    decode_states,
    decode_tensors,
    encode_state,
    encode_tensor,
    limits,
)
from tinyfleet.wire.artifact_vectors import Step, Vector, decode_vectors, encode_vectors
from tinyfleet.wire.enums import CoreVariant

__all__ = [
    "ABI",
    "Artifact",
    "ArtifactError",
    "Baseline",
    "Dtype",
    "Endpoint",
    "Metadata",
    "Op",
    "OpCode",
    "OutputKind",
    "Params",
    "Place",
    "Section",
    "State",
    "Step",
    "Tensor",
    "Vector",
    "decode_artifact",
    "encode_artifact",
]

ABI: Final = 2
MAGIC: Final = 0x31504654
SECTIONS_MAX: Final = 16
PAYLOAD_BYTES_MAX: Final = 2**28
ENDPOINTS_MAX: Final = 32

_HEADER: Final = struct.Struct("<IHHIII12x")
_SECTION: Final = struct.Struct("<IIII")
_OP: Final = struct.Struct("<BBHBBBB")
_ENDPOINT: Final = struct.Struct("<HHiii")


class Section(IntEnum):
    METADATA = 1
    TENSORS = 2
    OPS = 3
    INPUTS = 4
    OUTPUTS = 5
    CONSTANTS = 6
    VECTORS = 7
    STATE = 8


@dataclass(frozen=True, slots=True)
class Op:
    """Tensors are indices into the tensor table."""

    code: OpCode
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    params: Params
    temps: tuple[int, ...] = ()
    variant: int = 0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An input (raw multiplier and shift) or an output (score multiplier and shift)."""

    tensor: int
    zero_point: int
    multiplier: int
    shift: int


@dataclass(frozen=True, slots=True)
class Artifact:
    core: CoreVariant
    arena_bytes: int
    metadata: Metadata
    tensors: tuple[Tensor, ...]
    ops: tuple[Op, ...]
    input: Endpoint
    output: Endpoint
    constants: bytes
    vectors: tuple[Vector, ...] = ()
    more_inputs: tuple[Endpoint, ...] = ()
    more_outputs: tuple[Endpoint, ...] = ()
    states: tuple[State, ...] = ()

    @property
    def inputs(self) -> tuple[Endpoint, ...]:
        return (self.input, *self.more_inputs)

    @property
    def outputs(self) -> tuple[Endpoint, ...]:
        return (self.output, *self.more_outputs)

    @property
    def input_bytes(self) -> int:
        """Of all inputs together."""
        return sum(self.tensors[end.tensor].size_bytes for end in self.inputs)

    @property
    def output_bytes(self) -> int:
        """Of all outputs together."""
        return sum(self.tensors[end.tensor].size_bytes for end in self.outputs)


def encode_artifact(plan: Artifact) -> bytes:
    """The payload, read back once: ArtifactError when the plan is not one that `decode_artifact` accepts."""
    sections: list[tuple[Section, bytes, int]] = [
        (Section.METADATA, encode_metadata(plan.metadata), 1),
        (Section.TENSORS, b"".join(encode_tensor(t) for t in plan.tensors), len(plan.tensors)),
        (Section.OPS, b"".join(_encode_op(op) for op in plan.ops), len(plan.ops)),
        (Section.INPUTS, b"".join(map(_encode_endpoint, plan.inputs)), len(plan.inputs)),
        (Section.OUTPUTS, b"".join(map(_encode_endpoint, plan.outputs)), len(plan.outputs)),
        (Section.CONSTANTS, plan.constants, 1),
    ]
    if plan.vectors:
        sections.append((Section.VECTORS, encode_vectors(plan.vectors), len(plan.vectors)))
    if plan.states:
        sections.append((Section.STATE, b"".join(map(encode_state, plan.states)), len(plan.states)))
    body = bytearray()
    table = bytearray()
    start = _HEADER.size + _SECTION.size * len(sections)
    for kind, content, count in sections:
        body += bytes(-(start + len(body)) % ALIGN)
        table += _SECTION.pack(kind, start + len(body), len(content), count)
        body += content
    header = _HEADER.pack(MAGIC, ABI, plan.core, start + len(body), plan.arena_bytes, len(sections))
    payload = bytes(header + table + body)
    back = decode_artifact(payload)
    for i, (vector, read) in enumerate(zip(plan.vectors, back.vectors, strict=True)):
        if vector != read:
            sizes = sorted({(len(step.input), len(step.output)) for step in vector.steps})
            raise ArtifactError(
                f"vector {i}, input and output bytes",
                expected=(back.input_bytes, back.output_bytes),
                actual=sizes,
            )
    return payload


def decode_artifact(payload: bytes) -> Artifact:
    """The plan in `payload`. ArtifactError says which record does not add up."""
    core, arena_bytes, section_count = _decode_header(payload)
    spans = _decode_sections(payload, section_count)
    metadata = decode_metadata(spans[Section.METADATA][0])
    constants = spans[Section.CONSTANTS][0]
    tensors = tuple(decode_tensors(*spans[Section.TENSORS], arena_bytes, len(constants)))
    ops = tuple(_decode_ops(*spans[Section.OPS], len(tensors), core))
    source, *more_inputs = _decode_endpoints("INPUTS", *spans[Section.INPUTS], tensors)
    sink, *more_outputs = _decode_endpoints("OUTPUTS", *spans[Section.OUTPUTS], tensors)
    plan = Artifact(
        core,
        arena_bytes,
        metadata,
        tensors,
        ops,
        source,
        sink,
        constants,
        more_inputs=tuple(more_inputs),
        more_outputs=tuple(more_outputs),
    )
    window = prod(tensors[source.tensor].shape)
    if metadata.samples * metadata.channels != window:
        raise ArtifactError(
            "metadata, samples x channels", expected=window, actual=metadata.samples * metadata.channels
        )
    if Section.VECTORS in spans:
        vectors = decode_vectors(*spans[Section.VECTORS], plan.input_bytes, plan.output_bytes)
        plan = replace(plan, vectors=tuple(vectors))
    if Section.STATE in spans:
        states = decode_states(*spans[Section.STATE], tensors, len(constants))
        plan = replace(plan, states=tuple(states))
    return plan


def _decode_header(payload: bytes) -> tuple[CoreVariant, int, int]:
    if not _HEADER.size <= len(payload) <= PAYLOAD_BYTES_MAX:
        raise ArtifactError(
            "payload", expected=f"{_HEADER.size} to {PAYLOAD_BYTES_MAX} bytes", actual=f"{len(payload)} bytes"
        )
    magic, abi, core, size, arena_bytes, count = _HEADER.unpack_from(payload)
    if magic != MAGIC:
        raise ArtifactError("header, magic", expected=f"{MAGIC:#010x}", actual=f"{magic:#010x}")
    if abi != ABI:
        raise ArtifactError("header, abi", expected=ABI, actual=abi)
    if core not in CoreVariant.__members__.values():
        raise ArtifactError("header, core", expected="a CoreVariant", actual=core)
    if size != len(payload):
        raise ArtifactError("header, payload_bytes", expected=len(payload), actual=size)
    if arena_bytes % ALIGN:
        raise ArtifactError("header, arena_bytes", expected=f"a multiple of {ALIGN}", actual=arena_bytes)
    if count > SECTIONS_MAX or _HEADER.size + count * _SECTION.size > len(payload):
        raise ArtifactError("header, sections", expected=f"at most {SECTIONS_MAX}, inside", actual=count)
    return CoreVariant(core), arena_bytes, count


def _decode_sections(payload: bytes, count: int) -> dict[int, tuple[bytes, int]]:
    """Content and count by kind; kinds this version does not know are there too and mean nothing."""
    spans: dict[int, tuple[bytes, int]] = {}
    end = _HEADER.size + count * _SECTION.size
    last_kind = 0
    for i in range(count):
        kind, offset, size, records = _SECTION.unpack_from(payload, _HEADER.size + i * _SECTION.size)
        if kind <= last_kind:
            raise ArtifactError(f"section {i}, kind", expected=f"above {last_kind}", actual=kind)
        if offset % ALIGN or offset < end or offset + size > len(payload):
            raise ArtifactError(
                f"section {i}",
                expected=f"{ALIGN}-byte aligned inside {end}..{len(payload)}",
                actual=(offset, size),
            )
        last_kind, end = kind, offset + size
        spans[kind] = (payload[offset:end], records)
    optional = (Section.VECTORS, Section.STATE)
    missing = [s.name for s in Section if s not in optional and s not in spans]
    if missing:
        raise ArtifactError("sections", expected="METADATA to CONSTANTS", actual=f"no {', '.join(missing)}")
    return spans


def _encode_op(op: Op) -> bytes:
    tensors = (*op.inputs, *op.outputs, *op.temps)
    names = struct.pack(f"<{len(tensors)}H", *tensors)
    body = names + bytes(-len(names) % 4) + op.params.encode()
    counts = (len(op.inputs), len(op.outputs), len(op.temps))
    return _OP.pack(op.code, op.variant, _OP.size + len(body), *counts, 0) + body


def _decode_ops(content: bytes, count: int, tensors: int, core: CoreVariant) -> Iterator[Op]:
    if count > RECORDS_MAX:
        raise ArtifactError("OPS", expected=f"at most {RECORDS_MAX}", actual=count)
    at = 0
    for i in range(count):
        where = f"op {i}"
        if at + _OP.size > len(content):
            raise ArtifactError(where, expected="a record", actual="the section's end")
        code, variant, size, n_in, n_out, n_temp, reserved = _OP.unpack_from(content, at)
        if code not in OpCode.__members__.values():
            raise ArtifactError(f"{where}, code", expected="an op of this version", actual=code)
        form = op_form(OpCode(code), variant, core)
        if form is None:
            raise ArtifactError(f"{where}, variant", expected="one of this op and core", actual=variant)
        total = n_in + n_out + n_temp
        params_at = at + _OP.size + (2 * total + 3) // 4 * 4
        end = params_at + form.params.LAYOUT.size
        counts = (n_in, n_out, n_temp, reserved)
        if counts != (form.inputs, form.outputs, form.temps, 0) or at + size != end or end > len(content):
            raise ArtifactError(f"{where} ({OpCode(code).name})", expected=form, actual=(counts, size))
        names = struct.unpack_from(f"<{total}H", content, at + _OP.size)
        if max(names) >= tensors:
            raise ArtifactError(f"{where}, tensors", expected=f"below {tensors}", actual=names)
        yield Op(
            OpCode(code),
            names[:n_in],
            names[n_in : n_in + n_out],
            form.params.decode(content[params_at:end]),
            names[n_in + n_out :],
            variant,
        )
        at = end
    if at != len(content):
        raise ArtifactError("OPS", expected=f"{at} bytes for {count} ops", actual=f"{len(content)} bytes")


def _encode_endpoint(end: Endpoint) -> bytes:
    return _ENDPOINT.pack(end.tensor, 0, end.zero_point, end.multiplier, end.shift)


def _decode_endpoints(
    name: str, content: bytes, count: int, tensors: tuple[Tensor, ...]
) -> Iterator[Endpoint]:
    if not 1 <= count <= ENDPOINTS_MAX or len(content) != count * _ENDPOINT.size:
        expected = f"1 to {ENDPOINTS_MAX} records of {_ENDPOINT.size}"
        raise ArtifactError(name, expected=expected, actual=(count, len(content)))
    for record in _ENDPOINT.iter_unpack(content):
        yield _decode_endpoint(name, record, tensors)


def _decode_endpoint(name: str, record: tuple[int, ...], tensors: tuple[Tensor, ...]) -> Endpoint:
    number, _, zero_point, multiplier, shift = record
    tensor = tensors[number] if number < len(tensors) else None
    if tensor is None or tensor.place is not Place.ARENA or tensor.dtype not in ENDPOINT_DTYPES:
        raise ArtifactError(
            f"{name}, tensor", expected="an INT8, INT16 or INT32 tensor in the arena", actual=number
        )
    low, high = limits(tensor.dtype)
    if not low <= zero_point <= high or multiplier < 0 or not SHIFT_MIN <= shift <= SHIFT_MAX:
        raise ArtifactError(
            f"{name}, scaling",
            expected=f"zero point of {tensor.dtype.name}, multiplier >= 0",
            actual=(zero_point, multiplier, shift),
        )
    return Endpoint(number, zero_point, multiplier, shift)
