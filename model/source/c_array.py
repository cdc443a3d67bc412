"""A `.tflite` that was written out as a C array, as `xxd -i`, TensorFlow's and Arduino's tools do.

What is read: any brace list of integers, decimal or hexadecimal, signed too, between comments and whatever
alignment a tool puts around it. Of several arrays, the one that is a `.tflite` (TFL3 at byte 4) is meant.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from tinyfleet.model.compiler.schema import IDENTIFIER
from tinyfleet.model.source.errors import SourceError

TEXT_MAX_BYTES: Final = 2**27
_SNIFFED: Final = 4096
_LEAST: Final = 16
"""Numbers below which a brace list is no model."""
_OTHERS_SHOWN: Final = 8
_DECLARATION_MAX: Final = 400
"""Characters of a declaration that are looked at for its name."""

_COMMENTS: Final = re.compile(r'"(?:\\.|[^"\\\n])*"|//[^\n]*|/\*.*?(?:\*/|\Z)', re.DOTALL)
_LIST: Final = re.compile(r"\{([\s0-9a-fA-FxXuUlL,+-]*)\}")
_NUMBER: Final = re.compile(r"([+-]?)(0[xX][0-9a-fA-F]+|\d+)[uUlL]*")
_ARRAY: Final = re.compile(r"([A-Za-z_]\w*)\s*\[")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")


@dataclass(frozen=True, slots=True)
class CArray:
    name: str
    content: bytes


def is_c_text(data: bytes) -> bool:
    """Whether this reads like source text with a brace list."""
    head = data[:_SNIFFED]
    return bool(head) and b"\0" not in head and b"{" in data[: 2**20]


def read_c_array(data: bytes) -> CArray:
    """The one array that is a `.tflite`. SourceError when there is none, or more than one."""
    if len(data) > TEXT_MAX_BYTES:
        raise SourceError(f"{len(data)} bytes of source text; at most {TEXT_MAX_BYTES} are read")
    others: list[str] = []
    found = list(_arrays(data.decode("utf-8", "replace"), others))
    if len(found) == 1:
        return found[0]
    if not found:
        held = f"; its arrays are {', '.join(others)}" if others else ""
        raise SourceError(
            f"no array in this source text is a .tflite (TFL3 at byte 4){held}: give the file that holds the "
            "model's bytes, or the .tflite itself"
        )
    raise SourceError(
        f"{len(found)} arrays in this source text are models: {', '.join(a.name for a in found)}; leave one "
        "of them in the file"
    )


def _arrays(text: str, others: list[str]) -> Iterator[CArray]:
    """Those that are models; names of the rest go to `others`."""
    text = _COMMENTS.sub(" ", text)
    for match in _LIST.finditer(text):
        numbers = match.group(1)
        start = [_value(number) for number, _ in zip(_NUMBER.finditer(numbers), range(8), strict=False)]
        if bytes(value & 0xFF for value in start[4:]) != IDENTIFIER:
            if len(others) < _OTHERS_SHOWN and numbers.count(",") >= _LEAST:
                others.append(_name(text, match.start()))
            continue
        name = _name(text, match.start())
        values = np.array([_value(number) for number in _NUMBER.finditer(numbers)], np.int64)
        wrong = values[(values < -128) | (values > 255)]
        if wrong.size:
            raise SourceError(
                f"array {name} holds {wrong[0]}, which is no byte: a model is an array of bytes"
            )
        yield CArray(name, values.astype(np.uint8).tobytes())


def _name(text: str, at: int) -> str:
    """Of the array whose brace opens at `at`."""
    declaration = re.split(r"[;{}]", text[max(0, at - _DECLARATION_MAX) : at].rstrip("{= \t\r\n"))[-1]
    names = _ARRAY.findall(declaration) or _WORD.findall(declaration)
    return names[-1] if names else "without a name"


def _value(number: re.Match[str]) -> int:
    digits = number.group(2)
    base = 16 if digits[:2] in ("0x", "0X") else 10
    # Larger ones are refused anyway; a run of digits without end is not to be counted out.
    value = int(digits[:18], base)
    return -value if number.group(1) == "-" else value
