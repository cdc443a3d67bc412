"""The table, SPEC.md, the generated files and the purity of the room agree."""

from __future__ import annotations

import ast
import re
from enum import IntEnum
from pathlib import Path
from typing import Annotated

import pytest

from tinyfleet.wire import c_header, enums, generate, limits
from tinyfleet.wire.image_format import TLV_LENGTHS, Tlv
from tinyfleet.wire.memory_map import MICROBIT, MPS2_AN386, MPS2_AN500, NRF52840, POSIX, STM32L496
from tinyfleet.wire.messages import MESSAGES, STRUCTS
from tinyfleet.wire.table import Key, message, shape_of, table_of

WIRE = Path(generate.__file__).resolve().parent
SPEC = (WIRE / "SPEC.md").read_text(encoding="utf-8")
ALL = (*MESSAGES, *STRUCTS)
# SPEC calls the inner maps by shorter names.
NAMES_IN_SPEC = {
    "image_info": "image",
    "slot_info": "slot",
    "bench_run": "bench run",
    "class_pair": "class pair",
}


def test_generated_files_are_up_to_date() -> None:
    assert generate.main(["--check"]) == 0, "run python -m tinyfleet.wire.generate"


def test_generate_notices_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "wire_keys.h"
    stale.write_text(c_header.c_header().replace("TF_WANT_MODEL = 2", "TF_WANT_MODEL = 3"))
    monkeypatch.setattr(generate, "outputs", lambda: {stale: c_header.c_header()})
    assert generate.main(["--check"]) == 1
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def spec_keys(name: str) -> dict[int, tuple[str, bool]]:
    """Keys of a message as SPEC's text writes them: `?8 model` is optional key 8."""
    if name == "hello":
        text = re.search(r"HELLO` → CBOR \{(.*?)\}", SPEC)
        key = r"(?:, |^)(\?)?(\d+) ([a-z]\w+)"
    else:
        key = r"`(\?)?(\d+) ([a-z]\w+)`"
        text = re.search(rf"{name}` \{{(.*?)\}}", SPEC)
    if text is None:
        # From the bold or slanted name to the next one, or to the end of its paragraph or list.
        text = re.search(rf"^ *\*+{name}\*+(.*?)(?=^ *\*+\w|^#|^$)", SPEC, re.M | re.S)
    assert text is not None, f"SPEC says nothing about {name}"
    # A map in braces inside a message is a message of its own.
    body = text[1] if name == "hello" else re.sub(r"\{.*?\}", "", text[1])
    return {int(number): (label, bool(mark)) for mark, number, label in re.findall(key, body)}


@pytest.mark.parametrize("cls", ALL, ids=lambda cls: shape_of(cls).name)
def test_spec_and_table_have_the_same_keys(cls: type) -> None:
    name = shape_of(cls).name
    table = {row.key: (row.label, row.optional) for row in table_of(cls)}
    spec = spec_keys(NAMES_IN_SPEC.get(name, name))
    if name == "hello":
        # SPEC puts this one in words: "6 golden windows stored".
        table = {key: (label.split("_")[0], optional) for key, (label, optional) in table.items()}
        spec = {key: (label.split("_")[0], optional) for key, (label, optional) in spec.items()}
        spec[3] = ("version", spec[3][1])
    assert spec == table


@pytest.mark.parametrize(
    "enum",
    [cls for cls in c_header.ENUMS if cls not in (enums.RecordKind, enums.FrameType)],
    ids=lambda cls: cls.__name__,
)
def test_spec_and_enumerations_agree(enum: type[IntEnum]) -> None:
    text = re.search(rf"\b{enum.__name__}: (.*?)(?:\.\s|\.$)", SPEC, re.S | re.M)
    assert text is not None
    assert {name: int(value) for name, value in re.findall(r"([A-Z_]{3,}) (\d+)", text[1])} == {
        member.name: member.value for member in enum
    }


def test_spec_and_limits_agree() -> None:
    section = SPEC.split("## 6. Latency buckets")[1].split("## 7")[0]
    bounds = re.search(r"open: ([\d, ]+), \+Inf", section)
    assert bounds is not None
    assert tuple(int(bound) for bound in bounds[1].split(", ")) == limits.LATENCY_BOUNDS_US
    assert limits.LATENCY_BUCKETS == 15
    for number, tlv in ((f"0x{tlv.value:02X}", tlv) for tlv in Tlv):
        assert re.search(rf"^\| {number} {tlv.name} \|", SPEC, re.M | re.I), tlv
    assert TLV_LENGTHS[Tlv.SHA256] == (32, 32)


def test_spec_and_memory_map_agree() -> None:
    rows = re.findall(r"^\| (0x[0-9a-f]{6})(?:, (0x[0-9a-f]{6}))? \| (.*?) \|", SPEC, re.M)
    starts = {int(offset, 16) for row in rows for offset in row[:2] if offset}
    regions = {region.offset for region in MPS2_AN386.regions}
    # The second half of "2 x" rows follows the first.
    assert starts <= regions
    seconds = ("state_b", "boot_b", "config_state_b", "config_b")
    assert regions - starts == {MPS2_AN386[name].offset for name in seconds}
    assert MPS2_AN500.regions == MPS2_AN386.regions
    for board in (MPS2_AN386, MPS2_AN500):
        assert re.search(rf"`{board.board}` \((flash )?at {board.base:#010x}", SPEC), board.board
    lines = re.search(r"Memory map of `posix`.*\n.*", SPEC)
    assert lines is not None
    starts = {int(at, 16) for at in re.findall(r"0x[0-9a-f]{6}", lines[0])}
    assert starts == {region.offset for region in POSIX.regions}
    lines = re.search(r"Memory map of `nrf52840`.*\n.*", SPEC)
    assert lines is not None and NRF52840.regions == STM32L496.regions and "`stm32l496`" in lines[0]
    starts = {int(at, 16) for at in re.findall(r"0x[0-9a-f]{5}\b", lines[0])}
    assert starts == {region.offset for region in NRF52840.regions}
    line = re.search(r"Memory map of `microbit`.*", SPEC)
    assert line is not None
    found = [(int(at, 16), int(kib) * 1024) for at, kib in re.findall(r"(0x\w+), (\d+) KiB", line[0])]
    assert found == [(region.offset, region.size_bytes) for region in MICROBIT.regions]


def test_keys_are_unique_and_no_c_name_is_used_twice() -> None:
    header = c_header.c_header()
    names = re.findall(r"^#define (TF_\w+)|^    (TF_\w+) =", header, re.M)
    flat = [first or second for first, second in names]
    assert len(flat) == len(set(flat))
    assert "TF_BIRTH_BOOT = 0," in header and "TF_RESULT_SIGNATURE = 73," in header


def test_a_table_with_a_key_twice_is_a_bug() -> None:
    class Twice:
        first: Annotated[bool, Key(1)]
        second: Annotated[bool, Key(1)]

    class Unbounded:
        text: Annotated[str, Key(0)]

    class Keyless:
        flag: bool

    for cls, text in ((Twice, "unique"), (Unbounded, "bounds"), (Keyless, "exactly one Key")):
        marked = message("x", section="3", max_bytes=1)(cls)
        # The annotations are strings that only this function can resolve.
        marked.__annotations__ = {
            name: eval(hint, globals())  # noqa: S307 - our own annotation
            for name, hint in marked.__annotations__.items()
        }
        with pytest.raises(ValueError, match=text):
            table_of(marked)


PURE = sorted(path for path in WIRE.glob("*.py") if path.name != "generate.py")
FORBIDDEN = {
    *("asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "serial", "shutil", "socket"),
    *("sqlite3", "subprocess", "sys", "tempfile", "threading", "time", "datetime", "cryptography"),
}


@pytest.mark.parametrize("path", PURE, ids=lambda path: path.stem)
def test_the_room_is_pure(path: Path) -> None:
    """Bytes in, values out: no file, clock, network, randomness, cryptography package, or assert."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not {name.split(".")[0] for name in names} & FORBIDDEN, path
        assert not isinstance(node, ast.Assert), f"{path}: assert"
        assert not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open")
