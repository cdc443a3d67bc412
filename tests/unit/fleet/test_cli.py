"""Commands that go wrong say so in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tinyfleet.fleet.cli import commands
from tinyfleet.fleet.cli.common import fail, show_table
from tinyfleet.fleet.cli.grid import plain
from tinyfleet.fleet.cli.mqtt import describe
from tinyfleet.fleet.state import Endpoints, State
from tinyfleet.wire.topics import TopicKind, Topics


@pytest.mark.parametrize("device", ["a/#b", "#", "+", "a/b", ""])
def test_the_tail_takes_a_device_and_no_filter(tmp_path: Path, device: str) -> None:
    state = State(tmp_path)
    state.make()
    ports = {"broker_port": 9, "tls_port": 9, "admin_port": 9}
    state.write_endpoints(
        Endpoints(api="", broker_host="", prefix="tf/1", prometheus=None, node_host="", pid=1, **ports)
    )
    done = CliRunner().invoke(commands, ["mqtt", "tail", "--device", device, "--state", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.startswith("tinyfleet: device id")
    assert done.output.count("\n") == 1


@pytest.mark.parametrize(
    "option", ["--port=0", "--keepalive=4", "--period=0", "--days=0", "--days=10001", "--wait=-1"]
)
def test_a_configuration_out_of_bounds_is_told_its_bounds(tmp_path: Path, option: str) -> None:
    done = CliRunner().invoke(commands, ["device", "rotate", "d1", option, "--state", str(tmp_path)])
    assert done.exit_code == 2
    assert option.partition("=")[0] in done.output and "range" in done.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["capture", "d1", *["--class=1"] * 17, "--per-day=1", "--day-bytes=1"], "classes: "),
        (["capture", "d1", "--margin-below=nan", "--per-day=1", "--day-bytes=1"], "margin_below: "),
        (["event-rule", "d1", *["--class=1"] * 17], "classes: "),
        (["event-rule", "d1", "--min-score=nan"], "min_score: "),
        (["sleep", "d1", "--wake=60", "--awake=nan"], "--awake: expected a number of seconds, got nan"),
        (["sleep", "d1", "--wake=60", "--awake=1"], "awake_ms: "),
    ],
    ids=lambda each: each[0] if isinstance(each, list) else each,
)
def test_orders_out_of_bounds_are_told_in_a_line(tmp_path: Path, words: list[str], told: str) -> None:
    done = CliRunner().invoke(commands, ["device", *words, "--state", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.startswith(f"tinyfleet: {told}") and done.output.count("\n") == 1


def test_what_a_device_says_of_itself_moves_no_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    show_table(("SENSOR", "UNIT"), [("\x1b[2Jaccel\n\x9b1A", "m/s²")])
    with pytest.raises(SystemExit):
        fail("d1 did not keep it: \x1b[2J")
    told = capsys.readouterr()
    assert told.out.splitlines()[1].split() == [r"\x1b[2Jaccel\n\x9b1A", "m/s²"]
    assert told.err == "tinyfleet: d1 did not keep it: \\x1b[2J\n"


def test_a_table_fits_its_screen() -> None:
    cells = [
        ["BOARD", "HELD BY", "STATE", "NOTES"],
        ["one", "-", "READY", "emulated; meter: simulated ppk2"],
        ["two", "-", "READY", "-"],
    ]
    whole = plain(cells, None, "-")
    assert whole[1] == "one    -        READY  emulated; meter: simulated ppk2"
    assert plain(cells, 100, "-") == whole
    assert plain(cells, 48, "-")[0] == "BOARD  STATE  NOTES", "nobody holds one"
    assert plain(cells, 25, "-") == [
        "BOARD  STATE",
        "one    READY",
        "    emulated; meter:",
        "    simulated ppk2",
        "two    READY",
    ]
    assert len(plain(cells, 8, "-")) == 3, "no screen: whole lines"
    assert plain(cells[:1], 8, "-") == ["BOARD  HELD BY  STATE  NOTES"]


def test_the_tail_prints_no_raw_window_even_where_it_cannot_read_it() -> None:
    topics = Topics()
    line = describe(topics, topics.device("d1", TopicKind.SAMPLE), b"\xff\x01\x02", False)
    assert "payload" not in line and line["bytes"] == 3 and line["unreadable"]
    line = describe(topics, topics.device("d1", TopicKind.TELE), b"\xff\x01\x02", False)
    assert line["payload"] == "ff0102"


def test_serve_alone_says_which_ports_it_needs(tmp_path: Path) -> None:
    done = CliRunner().invoke(commands, ["serve", "--state", str(tmp_path)])
    assert done.exit_code == 1
    assert done.output.startswith("tinyfleet: `serve` needs")
    assert "TINYFLEET_ADMIN_PORT" in done.output
    assert done.output.count("\n") == 1
