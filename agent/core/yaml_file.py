"""YAML files that people write: read strictly, and every fault named by `file:line`."""

from __future__ import annotations

import re
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tinyfleet.agent.core.errors import BenchFileError
from tinyfleet.agent.core.yaml_words import in_words

M = TypeVar("M", bound=BaseModel)


class Misplaced(ValueError):
    """For a validator that knows better than its field where the fault is: `place` below that field."""

    def __init__(self, message: str, *place: int | str) -> None:
        super().__init__(message)
        self.place = place


def parse_yaml(model: type[M], text: str, name: str, *, limit_bytes: int, hint: str) -> M:
    """`text` as a `model`. Raises BenchFileError with every fault as `name:line: what`; `hint` ends it."""
    if len(text) > limit_bytes:
        raise BenchFileError(f"{name}: {len(text)} characters, expected at most {limit_bytes}", hint)
    root, document = _load(text, name, hint)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        keys = _keys(model)
        faults = sorted(
            _fault(root, (*fault["loc"], *_below_field(fault)), in_words(fault, keys))
            for fault in _original(error.errors())
        )
        raise BenchFileError("\n".join(f"{name}:{line}: {what}" for line, what in faults), hint) from error


def _original(faults: list[ErrorDetails]) -> list[ErrorDetails]:
    """Without those that only follow: a list is called too short when its entries are wrong."""
    places = [fault["loc"] for fault in faults]
    return [
        fault
        for fault in faults
        if fault["type"] != "too_short"
        or not any(place[: len(fault["loc"])] == fault["loc"] != place for place in places)
    ]


def _keys(model: type[BaseModel]) -> set[str]:
    """Every key that such a file may have somewhere."""
    schema = model.model_json_schema()
    models = (schema, *schema.get("$defs", {}).values())
    return {key for each in models for key in each.get("properties", {})}


class _Loader(yaml.SafeLoader):
    """As YAML 1.2 has it: `on`, `off`, `yes` and `no` are words."""

    yaml_implicit_resolvers = {
        first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:bool"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool", re.compile("^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")
)


def _load(text: str, name: str, hint: str) -> tuple[yaml.Node, Any]:
    try:
        # An alias can make a small file huge; a bench needs none.
        for token in yaml.scan(text, yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                line = token.start_mark.line + 1
                raise BenchFileError(f"{name}:{line}: an alias (*{token.value}), expected none", hint)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise BenchFileError(f"{name}:1: an empty file", hint)
            _refuse_doubles(root, name, hint)
            return root, loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BenchFileError(f"{name}:{line}: a character that no text file holds", hint) from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(error, "problem", None) or "not YAML"
        raise BenchFileError(f"{name}:{line}: {problem}", hint) from error
    except ValueError as error:
        # PyYAML lets those of numbers and dates through, which it takes "2000-99-99" for.
        raise BenchFileError(f"{name}:1: {error}", hint) from error


def _refuse_doubles(node: yaml.Node, name: str, hint: str) -> None:
    """YAML lets the last of two equal keys win without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise BenchFileError(
                    f"{name}:{line}: the key {key.value!r} stands here for the second time", hint
                )
            seen.add(key.value)
            _refuse_doubles(value, name, hint)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubles(item, name, hint)


def _fault(root: yaml.Node, place: tuple[int | str, ...], what: str) -> tuple[int, str]:
    """Line and words."""
    node = root
    steps = []
    for step in place:
        if _is_kind(node, step):
            continue  # of a meter or switch: a step to pydantic, and none in the file
        steps.append(str(step))
        node = _below(node, step) or node
    where = ".".join(steps)
    return node.start_mark.line + 1, f"{where + ': ' if where else ''}{what}"


def _below_field(fault: ErrorDetails) -> tuple[int | str, ...]:
    error = fault.get("ctx", {}).get("error")
    return error.place if isinstance(error, Misplaced) else ()


def _is_kind(node: yaml.Node, step: int | str) -> bool:
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return any(key.value == "kind" and value.value == step for key, value in pairs)


def _below(node: yaml.Node, step: int | str) -> yaml.Node | None:
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item: yaml.Node = node.value[step]
        return item
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                # The key, where the value is a scalar on its line or a block below it.
                found: yaml.Node = value if isinstance(value, yaml.CollectionNode) else key
                return found
    return None
