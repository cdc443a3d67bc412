"""The runtime's objects, as boards link them: nothing that two models side by side would share, nothing that
small cores lack. Looked at with the compiler's own tools, whatever the sources say."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.unit.firmware.call_graph import compile_graph, cycle, deepest, unfixed

ROOT = Path(__file__).resolve().parents[3]
ROOM = ROOT / "firmware" / "runtime"
BUILDS = ROOT / "build" / "firmware"
PRESETS = ("mps2-an386", "microbit")

# From the C library and the compiler's own: copying, and integer arithmetic that a core may lack. No memory,
# no floats (__aeabi_f…, __aeabi_d…), no files.
OUTSIDE = re.compile(
    r"memcpy|memset|memcmp|memmove|__aeabi_(u?idiv(mod)?|u?ldivmod|lmul|llsl|llsr|lasr|u?lcmp|mem\w+)|"
    r"__gnu_thumb1_case_\w+|__clzsi2|__ctzsi2|__popcountsi2"
)
FLOAT_INSTRUCTION = re.compile(r"\tv\w+\.(f16|f32|f64)\b|\tvmsr|\tvmrs")
STACK_BYTES_MAX = 1024


@pytest.fixture(scope="module", params=PRESETS)
def build(request: pytest.FixtureRequest) -> Path:
    """A board's build folder: `make setup` has built it."""
    folder = BUILDS / str(request.param)
    if not (folder / "runtime" / "libtf_runtime.a").is_file():
        pytest.fail(f"{folder} has no runtime; `make setup` builds it")
    return folder


def tool(name: str, *arguments: str | Path) -> str:
    command = [f"arm-none-eabi-{name}", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def symbols(build: Path) -> list[tuple[str, str]]:
    """(type letter of nm, name) of every object in the library."""
    lines = tool("nm", build / "runtime" / "libtf_runtime.a").splitlines()
    return [(words[-2], words[-1]) for words in map(str.split, lines) if len(words) >= 2]


def test_nothing_can_be_written(build: Path) -> None:
    """Data (D, d), zeroed (B, b), common (C) and small data: a global is shared by all models."""
    assert [name for kind, name in symbols(build) if kind in "DdBbCGgSs"] == []
    sections = tool("size", "-A", build / "runtime" / "libtf_runtime.a")
    written = re.findall(r"^\.(?:data|bss)\S*\s+([1-9]\d*)", sections, re.MULTILINE)
    assert written == []


def test_nothing_comes_from_elsewhere(build: Path) -> None:
    found = symbols(build)
    own = {name for kind, name in found if kind != "U"}
    wanted = {name for kind, name in found if kind == "U"} - own
    assert {name for name in wanted if not OUTSIDE.fullmatch(name)} == set()


def test_no_instruction_is_of_floats(build: Path) -> None:
    code = tool("objdump", "-d", "--no-show-raw-insn", build / "runtime" / "libtf_runtime.a")
    assert "<tf_model_run>" in code
    assert [line for line in code.splitlines() if FLOAT_INSTRUCTION.search(line)] == []


def test_nothing_calls_itself_and_the_stack_is_known(build: Path, tmp_path: Path) -> None:
    functions = compile_graph(build / "compile_commands.json", ROOM, tmp_path)
    assert cycle(functions) == [], (
        "recursion, or a call through a pointer that call_graph.py knows too little of"
    )
    assert list(unfixed(functions)) == []
    for title in ("tf_model_load", "tf_model_run", "tf_model_vector_passes"):
        stack_bytes, path = deepest(functions, title)
        print(f"{build.name}: {title} takes {stack_bytes} bytes of stack: {' > '.join(path)}")
        assert 0 < stack_bytes <= STACK_BYTES_MAX, path
        # A graph that misses the kernels would show nothing.
        assert len(path) >= 3, path
