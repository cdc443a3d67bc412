"""bench.yaml: errors name the line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import BenchFileError

GOOD = """\
agent: lab-1
manager: agent.json
boards:
  - name: microbit-1
    device_type: microbit
    probe: qemu-microbit-0001
    emulate: microbit
  - name: real
    device_type: microbit
    probe: 9900000031864e45002e500800000006000000009796990b
    console: /dev/ttyACM0
    labels: {desk: "3"}
"""


def test_a_good_file() -> None:
    bench = parse_bench(GOOD, "bench.yaml")
    assert [board.name for board in bench.boards] == ["microbit-1", "real"]
    real = bench.board("real")
    assert real is not None
    assert (real.console, real.baud, real.labels) == ("/dev/ttyACM0", 115_200, {"desk": "3"})
    assert bench.board("none") is None


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("name: real", "name: re al"), "bench.yaml:8: boards.1.name: "),
        (("    console: /dev/ttyACM0\n", ""), "bench.yaml:8: boards.1: console is missing"),
        (("name: real", "name: microbit-1"), "two boards have the name 'microbit-1'"),
        (("labels", "lables"), "bench.yaml:12: boards.1.lables: Extra inputs"),
        (("    probe: qemu-microbit-0001\n", ""), "bench.yaml:4: boards.0: nothing programs it"),
        (
            ("agent: lab-1", "agent: lab-1\nagent: lab-2"),
            "bench.yaml:2: the key 'agent' stands here for the second",
        ),
        (("manager: agent.json", "manager: [a, b"), "bench.yaml:3: "),
        (("lab-1", "&x lab-1\nmanager: *x\nboards:"), r"bench.yaml:2: an alias \(\*x\)"),
        (("agent: lab-1", "agent: 'über'"), "bench.yaml:1: agent: "),
        (
            ('desk: "3"', f"desk: {'x' * 33}"),
            "bench.yaml:12: boards.1.labels.desk: 33 bytes, expected at most 32",
        ),
    ],
)
def test_faults_name_their_line(change: tuple[str, str], complaint: str) -> None:
    with pytest.raises(BenchFileError, match=complaint):
        parse_bench(GOOD.replace(*change), "bench.yaml")


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(BenchFileError) as told:
        parse_bench(GOOD.replace("lab-1", "la b").replace("emulate:", "emulates:"), "b")
    assert "b:1: agent: " in told.value.what
    assert "b:7: boards.0.emulates: " in told.value.what


@pytest.mark.parametrize(
    "text",
    ["", "boards: []", "- 1", "3", "a: !!python/object:os.system {}", "boards: " + "[" * 3000, "2000-99-99"],
)
def test_other_yaml_is_refused(text: str) -> None:
    with pytest.raises(BenchFileError, match=r"^b:1: "):
        parse_bench(text, "b")


def test_size_is_bounded() -> None:
    with pytest.raises(BenchFileError, match="expected at most 65536"):
        parse_bench(GOOD + "#" * 65536, "b")


@given(st.text(max_size=200))
def test_any_text_is_refused_or_read(text: str) -> None:
    try:
        parse_bench(text, "b")
    except BenchFileError as error:
        assert error.what.startswith("b:")
