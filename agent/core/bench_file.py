"""bench.yaml: which boards a bench has, and how each is reached. Errors name the line."""

from __future__ import annotations

import re
from typing import Annotated, Any

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from tinyfleet.agent.core.errors import BenchFileError

LIMIT_BYTES = 64 * 1024
BOARDS_MAX = 8
_EDIT = "correct the file; `tinyfleet bench scan` proposes one"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,48}$")]


def _bytes_at_most(limit: int) -> AfterValidator:
    """Texts on the wire are bounded in bytes of UTF-8."""

    def check(text: str) -> str:
        if len(text.encode()) > limit:
            raise ValueError(f"{len(text.encode())} bytes, expected at most {limit}")
        return text

    return AfterValidator(check)


Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BoardSpec(_Model):
    """`probe` is pyOCD's unique id. `console` is a port or URL for pyserial; an emulated board's is known
    to its emulator. `emulate` names the machine the agent starts for it."""

    name: Name
    device_type: Annotated[str, StringConstraints(min_length=1), _bytes_at_most(32)]
    probe: Annotated[str, StringConstraints(min_length=1), _bytes_at_most(64)]
    console: Text | None = None
    baud: Annotated[int, Field(ge=300, le=12_000_000)] = 115_200
    emulate: Text | None = None
    labels: dict[str, str] = {}

    @model_validator(mode="after")
    def _reachable(self) -> BoardSpec:
        if self.console is None and not self.probe.startswith("qemu-"):
            raise ValueError("console is missing (only an emulated board's console is known without)")
        return self


class BenchFile(_Model):
    """`manager` names the JSON file of credentials that `tinyfleet agent register` wrote; none: work
    alone."""

    agent: Id = "agent"
    manager: Text | None = None
    boards: Annotated[tuple[BoardSpec, ...], Field(min_length=1, max_length=BOARDS_MAX)]

    @model_validator(mode="after")
    def _distinct(self) -> BenchFile:
        for what in ("name", "probe"):
            values = [getattr(board, what) for board in self.boards]
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"two boards have the {what} {twice!r}")
        return self

    def board(self, name: str) -> BoardSpec | None:
        return next((board for board in self.boards if board.name == name), None)


def parse_bench(text: str, name: str) -> BenchFile:
    """Raises BenchFileError with every fault as `file:line: what`."""
    if len(text) > LIMIT_BYTES:
        raise BenchFileError(f"{name}: {len(text)} characters, expected at most {LIMIT_BYTES}", _EDIT)
    root, document = _load(text, name)
    try:
        return BenchFile.model_validate(document)
    except ValidationError as error:
        faults = [_fault(root, fault["loc"], fault["msg"], name) for fault in error.errors()]
        raise BenchFileError("\n".join(faults), _EDIT) from error


def _load(text: str, name: str) -> tuple[yaml.Node, Any]:
    try:
        # An alias can make a small file huge; a bench needs none.
        for token in yaml.scan(text, yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken):
                line = token.start_mark.line + 1
                raise BenchFileError(f"{name}:{line}: an alias (*{token.value}), expected none", _EDIT)
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                raise BenchFileError(f"{name}:1: an empty file, expected a list of boards", _EDIT)
            _refuse_doubles(root, name)
            return root, loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BenchFileError(f"{name}:{line}: a character that no text file holds", _EDIT) from error
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        problem = getattr(error, "problem", None) or "not YAML"
        raise BenchFileError(f"{name}:{line}: {problem}", _EDIT) from error
    except ValueError as error:
        # PyYAML lets those of numbers and dates through, which it takes "2000-99-99" for.
        raise BenchFileError(f"{name}:1: {error}", _EDIT) from error


def _refuse_doubles(node: yaml.Node, name: str) -> None:
    """YAML lets the last of two equal keys win without a word."""
    if isinstance(node, yaml.MappingNode):
        seen = set()
        for key, value in node.value:
            if key.value in seen:
                line = key.start_mark.line + 1
                raise BenchFileError(
                    f"{name}:{line}: the key {key.value!r} stands here for the second time", _EDIT
                )
            seen.add(key.value)
            _refuse_doubles(value, name)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubles(item, name)


def _fault(root: yaml.Node, place: tuple[int | str, ...], message: str, name: str) -> str:
    node = root
    for step in place:
        below = _below(node, step)
        if below is None:
            break
        node = below
    where = ".".join(str(step) for step in place)
    what = re.sub(r"^Value error, ", "", message)
    return f"{name}:{node.start_mark.line + 1}: {where + ': ' if where else ''}{what}"


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
