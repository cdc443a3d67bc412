"""What is wrong with a value in a YAML file, in words for whoever wrote it: pydantic's own are for
programmers."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from pydantic_core import ErrorDetails

_SHOWN: Final = 60
Context = Mapping[str, Any]

_EXPECTED: Final[Mapping[str, Callable[[Context], str]]] = {
    "string_type": lambda ctx: "text",
    "string_pattern_mismatch": lambda ctx: f"text like {ctx['pattern'].strip('^$')}",
    "string_too_long": lambda ctx: f"at most {ctx['max_length']} characters",
    "int_type": lambda ctx: "a whole number",
    "int_parsing": lambda ctx: "a whole number",
    "int_from_float": lambda ctx: "a whole number",
    "float_type": lambda ctx: "a number",
    "float_parsing": lambda ctx: "a number",
    "greater_than": lambda ctx: f"more than {ctx['gt']:g}",
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']:g}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']:g}",
    "literal_error": lambda ctx: ctx["expected"],
    "model_type": lambda ctx: "keys with values",
    "dict_type": lambda ctx: "keys with values",
    "tuple_type": lambda ctx: "a list",
    "too_long": lambda ctx: f"at most {ctx['max_length']} entries",
    "too_short": lambda ctx: f"at least {ctx['min_length']} entries",
}


def in_words(fault: ErrorDetails, keys: Collection[str]) -> str:
    """One line. `keys`: all that the file may have anywhere, to tell which one was meant."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "missing":
        return "missing"
    if kind == "union_tag_not_found":
        return f"its {context['discriminator']} is missing"
    if kind == "union_tag_invalid":
        return (
            f"expected {context['expected_tags']} as its {context['discriminator']}, got '{context['tag']}'"
        )
    if kind == "extra_forbidden":
        close = difflib.get_close_matches(str(fault["loc"][-1]), keys, 1)
        return "no such key here" + (f"; is {close[0]} meant?" if close else "")
    if kind == "invalid_key":
        return "expected text as the key; put it in quotes"
    if kind == "string_too_short":
        return "empty"
    if kind in _EXPECTED:
        quote = kind == "string_type" and isinstance(fault["input"], int | float)
        return f"expected {_EXPECTED[kind](context)}, got {_shown(fault['input'])}" + (
            "; put it in quotes" if quote else ""
        )
    return re.sub(r"^Value error, ", "", fault["msg"])


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
