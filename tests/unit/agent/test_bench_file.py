"""bench.yaml: errors name the line."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyocd_qemu.machines import MACHINES

from tinyfleet.agent.core.attachments import Ppk2Spec, UsbSwitchSpec
from tinyfleet.agent.core.bench_file import Machine, parse_bench
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
        (
            ("name: real", "name: microbit-1"),
            "bench.yaml:8: boards.1.name: two boards have the name 'microbit-1'",
        ),
        (
            ("emulate: microbit", "emulate: microbitt"),
            "bench.yaml:7: boards.0.emulate: expected 'microbit', ",
        ),
        (("labels", "lables"), "bench.yaml:12: boards.1.lables: no such key here; is labels meant"),
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


FULL = """\
metrics: 127.0.0.1:9000
boards:
  - name: real
    device_type: nrf52840-dk
    probe: "683459357"
    console: /dev/serial/by-id/console
    smp: serial
    device: node-7
    labels:
      desk: "3"
      camera: front
    meter:
      kind: ppk2
      port: /dev/serial/by-id/ppk2
      mode: ampere
    switch: {kind: uhubctl, location: "1-2", port: 3}
    known_good:
      firmware: good.elf
  - name: by-tool
    device_type: nano33
    console: /dev/ttyACM1
    program: [bossac, "--port={port}", "{image}"]
    meter: {kind: ina226, bus: 1}
    switch: {kind: command, "on": [relay, "1"], "off": [relay, "0"]}
  - name: pretend
    device_type: microbit
    probe: qemu-microbit-0001
    meter: {kind: simulated, like: lpm01a}
    switch: {kind: emulated}
"""


def test_the_example() -> None:
    path = Path(__file__).resolve().parents[3] / "examples" / "bench.yaml"
    boards = {board.name: board for board in parse_bench(path.read_text(), path.name).boards}
    assert set(boards) == {"microbit-emulated", "nrf-1", "nano-1", "gateway-1"}
    switch = boards["nrf-1"].switch
    assert isinstance(switch, UsbSwitchSpec) and switch.location == "1-2"
    assert boards["nano-1"].labels == {"desk": "3"}


def test_a_whole_bench() -> None:
    real, by_tool, pretend = parse_bench(FULL, "b").boards
    assert real.labels == {"desk": "3", "camera": "front"}
    assert isinstance(real.meter, Ppk2Spec) and (real.meter.mode, real.meter.label) == ("ampere", "ppk2")
    assert isinstance(real.switch, UsbSwitchSpec) and (real.switch.location, real.switch.port) == ("1-2", 3)
    assert real.known_good is not None and real.known_good.firmware == "good.elf"
    assert by_tool.program == ("bossac", "--port={port}", "{image}")
    assert pretend.meter is not None and pretend.meter.label == "simulated lpm01a"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (("127.0.0.1:9000", "9000"), "b:1: metrics: "),
        (("smp: serial", "smp: udp://host"), "b:7: boards.0.smp: "),
        (("device: node-7", "device: node/7"), "b:8: boards.0.device: "),
        (("      camera: front", "      came ra: front"), "b:11: boards.0.labels.came ra"),
        (("kind: ppk2", "kind: ppk3"), "b:13: boards.0.meter: expected 'ppk2', .* as its 'kind', got 'ppk3'"),
        (("mode: ampere", "mode: amper"), "b:15: boards.0.meter.mode: "),
        (("mode: ampere", "voltage_mv: 6000"), "b:15: boards.0.meter.voltage_mv: .*5000"),
        (("mode: ampere", "shunt: 1"), "b:15: boards.0.meter.shunt: no such key"),
        (("      port: /dev/serial/by-id/ppk2\n", ""), "b:13: boards.0.meter.port: missing"),
        (('location: "1-2"', 'location: "1-2;reboot"'), "b:16: boards.0.switch.location: "),
        (
            ("firmware: good.elf", "firmwares: good.elf"),
            "b:18: boards.0.known_good.firmwares: no such key here",
        ),
        (
            ('program: [bossac, "--port={port}", "{image}"]', "program: bossac -p {port}"),
            "b:22: boards.1.program: ",
        ),
        (("bus: 1", "bus: 1, hwmon: /sys"), "b:23: boards.1.meter: an ina226 is read by either"),
        (("kind: ina226, bus: 1", "kind: ppk2, port: /dev/ttyACM1"), "b:23: .*two boards have the port"),
        (
            ("console: /dev/ttyACM1", "console: /dev/serial/by-id/ppk2"),
            "b:21: boards.1.console: two boards have the port",
        ),
        (
            (
                'switch: {kind: command, "on": [relay, "1"], "off": [relay, "0"]}',
                'switch: {kind: uhubctl, location: "1-2", port: 3}',
            ),
            "b:24: boards.1.switch: two boards have the switched USB port '1-2 port 3'",
        ),
        (('"off": [relay, "0"]', '"off": relay 0'), "b:24: boards.1.switch.off: "),
        # Whoever switched one off would switch off its neighbour.
        (
            ("switch: {kind: emulated}", 'switch: {kind: command, "on": [relay, "2"], "off": [relay, "0"]}'),
            "b:29: boards.2.switch: two boards have the switch-off command 'relay 0'",
        ),
        (
            (
                "    device_type: microbit\n    probe: qemu-microbit-0001\n"
                "    meter: {kind: simulated, like: lpm01a}\n    switch: {kind: emulated}\n",
                "    device_type: x\n    probe: '1'\n    console: /dev/c\n"
                "    meter: {kind: ina226, bus: 1}\n",
            ),
            "b:29: boards.2.meter: two boards have the meter 'ina226 bus 1 address 0x40'",
        ),
        (("like: lpm01a", "like: joulescope"), "b:28: boards.2.meter.like: "),
    ],
)
def test_faults_of_what_hangs_on_a_board_name_their_line(change: tuple[str, str], complaint: str) -> None:
    assert change[0] in FULL
    with pytest.raises(BenchFileError, match=complaint):
        parse_bench(FULL.replace(*change), "b")


def test_no_more_boards_than_a_message_holds() -> None:
    boards = "".join(f"  - {{name: b{at}, device_type: x, probe: qemu-x-{at:04d}}}\n" for at in range(33))
    assert len(parse_bench("boards:\n" + boards.rpartition("  - ")[0], "b").boards) == 32
    with pytest.raises(BenchFileError, match=r"b:2: boards: .* at most 32"):
        parse_bench("boards:\n" + boards, "b")


def test_on_and_off_are_words() -> None:
    bare = parse_bench(FULL.replace('"on":', "on:").replace('"off":', "off:"), "b")
    assert bare == parse_bench(FULL, "b")


def test_a_fault_says_what_was_expected_and_what_is_there() -> None:
    wrong = (
        FULL.replace('"683459357"', "683459357")
        .replace("bus: 1", "bus: one")
        .replace("[bossac", "[1, bossac")
    )
    with pytest.raises(BenchFileError) as told:
        parse_bench(wrong, "b")
    assert told.value.what.splitlines() == [
        "b:5: boards.0.probe: expected text, got 683459357; put it in quotes",
        "b:22: boards.1.program.0: expected text, got 1; put it in quotes",
        "b:23: boards.1.meter.bus: expected a whole number, got 'one'",
    ], "by line, and nothing that only follows"
    for text, fault in {
        "- 1": "b:1: expected keys with values, got a list of 1",
        "boards: {x: 1}": "b:1: boards: expected a list, got keys with values",
        "agent: a": "b:1: boards: missing",
        "boards: []": "b:1: boards: expected at least 1 entries, got an empty list",
        "boards:\n-\n": "b:2: boards.0: expected keys with values, got nothing",
    }.items():
        with pytest.raises(BenchFileError) as told:
            parse_bench(text, "b")
        assert told.value.what == fault


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


def test_the_machines_are_those_of_the_emulator() -> None:
    assert set(get_args(Machine)) == set(MACHINES)
