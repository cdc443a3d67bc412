"""Who calls whom in the runtime as compiled for a board, and how much stack each function takes.

GCC writes it beside an object (-fcallgraph-info=su). A call through a pointer has no name there: from the
files that hand ops to kernels it may reach the doors of every kernel, from any other file any callback that
a kernel hands on.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# The doors of a kernel, by what they are called, that each file goes through.
DISPATCH = {
    "load.c": re.compile(r"(check|in_place|tf_check)(_|\.|$)"),
    "run.c": re.compile(r"run(_|\.|$)"),
}
INDIRECT = "__indirect_call"
PUBLIC = ("tf_model_", "tf_runtime_", "tf_run_op", "tf_next_op")


@dataclass
class Function:
    """`stack_bytes`: None for what is defined elsewhere (the C library, assembly)."""

    name: str
    file: str = ""
    stack_bytes: int | None = None
    fixed: bool = True
    calls: set[str] = field(default_factory=set)


def compile_graph(commands: Path, room: Path, scratch: Path) -> dict[str, Function]:
    """Functions of every C file in `room`, compiled as `commands` (a compile_commands.json) says."""
    for number, entry in enumerate(json.loads(commands.read_text())):
        source = Path(entry["file"])
        if room not in source.parents or source.suffix != ".c":
            continue
        command = shlex.split(entry["command"])
        command[command.index("-o") + 1] = str(scratch / f"{number}.o")
        subprocess.run([*command, "-fcallgraph-info=su"], cwd=entry["directory"], check=True, timeout=60)
    functions: dict[str, Function] = {}
    for graph in sorted(scratch.glob("*.ci")):
        read_graph(graph.read_text(), functions)
    join_pointers(functions)
    return functions


def read_graph(text: str, functions: dict[str, Function]) -> None:
    for title, label in re.findall(r'node: { title: "([^"]+)" label: "([^"]+)"', text):
        function = functions.setdefault(title, Function(title.rsplit(":", 1)[-1]))
        own = re.search(r"\\n([^\\]+?):\d+:\d+\\n(\d+) bytes \((\w+)\)", label)
        if own:
            function.file = Path(own[1]).name
            function.stack_bytes, function.fixed = int(own[2]), own[3] == "static"
    for source, sink in re.findall(r'sourcename: "([^"]+)" targetname: "([^"]+)"', text):
        functions[source].calls.add(sink)


def join_pointers(functions: dict[str, Function]) -> None:
    called = {callee for function in functions.values() for callee in function.calls}
    by_pointer = {
        title
        for title, function in functions.items()
        if title not in called and function.stack_bytes is not None and not function.name.startswith(PUBLIC)
    }
    doors = {title for title in by_pointer if any(d.match(functions[title].name) for d in DISPATCH.values())}
    for function in functions.values():
        if INDIRECT not in function.calls:
            continue
        function.calls.remove(INDIRECT)
        door = DISPATCH.get(function.file)
        if door is None:
            function.calls |= by_pointer - doors
        else:
            function.calls |= {title for title in doors if door.match(functions[title].name)}


def cycle(functions: dict[str, Function]) -> list[str]:
    """Functions that call each other in a ring; empty when there is none."""
    done: set[str] = set()

    def visit(title: str, path: list[str]) -> list[str]:
        if title in path:
            return [*path[path.index(title) :], title]
        if title in done:
            return []
        for callee in sorted(functions[title].calls):
            if ring := visit(callee, [*path, title]):
                return ring
        done.add(title)
        return []

    return next((ring for title in sorted(functions) if (ring := visit(title, []))), [])


def deepest(functions: dict[str, Function], title: str) -> tuple[int, list[str]]:
    """(bytes of stack, the path that takes them) below a function, of a graph without rings."""
    below = [deepest(functions, callee) for callee in sorted(functions[title].calls)]
    bytes_, path = max(below, default=(0, []))
    return bytes_ + (functions[title].stack_bytes or 0), [functions[title].name, *path]


def unfixed(functions: dict[str, Function]) -> Iterator[str]:
    """Functions whose frame is not known when they are compiled: alloca, arrays of variable length."""
    return (function.name for function in functions.values() if not function.fixed)
