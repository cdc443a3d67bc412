"""`bench scan` proposes a file that the agent takes, whatever is plugged in, and says what it cannot know."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.agent.core.attachments import Lpm01aSpec, Ppk2Spec
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.host_devices import ProbeInfo, SerialPort
from tinyfleet.agent.core.proposal import UNKNOWN, proposal
from tinyfleet.wire.limits import BOARDS_MAX

MICROBIT = ProbeInfo(
    "9900000031864e45002e500800000006000000009796990b", "Arm BBC micro:bit CMSIS-DAP", False, "micro:bit"
)
MICROBIT_PORT = SerialPort(
    "/dev/ttyACM0",
    "Arm BBC micro:bit CMSIS-DAP",
    "/dev/serial/by-id/usb-Arm_BBC_micro:bit_9900-if01",
    0x0D28,
    0x0204,
    MICROBIT.unique_id,
    "1-2:1.1",
)
JLINK = ProbeInfo("683459357", "Segger J-Link OB", False)
JLINK_PORTS = [
    SerialPort(f"/dev/ttyACM{at}", "SEGGER J-Link", None, 0x1366, 0x1051, "000683459357", f"1-3.1:1.{at}")
    for at in (4, 2)
]
PPK2 = SerialPort(
    "/dev/ttyACM7",
    "Nordic Semiconductor PPK2",
    "/dev/serial/by-id/ppk2-if01",
    0x1915,
    0xC00A,
    "C9F2",
    "1-4:1.1",
)
LPM01A = SerialPort(
    "/dev/ttyACM8",
    "STMicroelectronics PowerShield (Virtual ComPort in FS Mode)",
    None,
    0x0483,
    0x5740,
    "F",
    "1-5",
)
EMULATED = ProbeInfo("qemu-mps2-an386-0001", "QEMU mps2-an386", True)
ARDUINO = SerialPort(
    "/dev/ttyACM9", "Arduino Nano 33 BLE", "/dev/serial/by-id/arduino-if00", 0x2341, 0x805A, "A1", "1-6"
)
BUILT_IN = SerialPort("/dev/ttyS0", "ttyS0")


def boards(text: str | None) -> list[tuple[str, str, str | None, str | None]]:
    assert text is not None
    return [(b.name, b.device_type, b.probe, b.console) for b in parse_bench(text, "b").boards]


def test_a_probe_and_the_port_of_the_same_usb_serial_number_are_one_board() -> None:
    text = proposal([MICROBIT, JLINK, EMULATED], [*JLINK_PORTS, MICROBIT_PORT, BUILT_IN])
    assert boards(text) == [
        ("microbit-1", "microbit", MICROBIT.unique_id, MICROBIT_PORT.by_id),
        ("board-1", UNKNOWN, "683459357", "/dev/ttyACM2"),
        ("mps2-an386-1", "mps2-an386", EMULATED.unique_id, None),
    ]
    assert text is not None
    assert "device_type: unknown  # fill in what your releases call it; it is on Segger J-Link OB" in text
    assert "console: /dev/ttyACM2  # has no by-id link" in text


def test_a_name_that_pyocd_gives_a_board_is_asked_about() -> None:
    text = proposal([replace(JLINK, board="nRF52840-DK")], JLINK_PORTS)
    assert boards(text)[0][:2] == ("nrf52840-dk-1", "nrf52840-dk")
    assert "device_type: nrf52840-dk  # is this what your releases call it?" in str(text)


def test_one_port_left_for_one_probe_without_is_a_guess_and_several_are_a_choice() -> None:
    text = proposal([JLINK], [ARDUINO, BUILT_IN])
    assert boards(text)[0][3] == ARDUINO.by_id
    assert "the only one left: is it this board's?" in str(text)
    other = replace(ARDUINO, device="/dev/ttyUSB0", by_id=None, serial=None, location="1-7")
    text = proposal([JLINK, replace(JLINK, unique_id="2")], [ARDUINO, other])
    assert [console for *_, console in boards(text)] == [
        "/dev/serial/by-id/fill-in-1",
        "/dev/serial/by-id/fill-in-2",
    ]
    assert "# A serial port of no probe: /dev/ttyUSB0 (Arduino Nano 33 BLE, 2341:805a, at 1-7)" in str(text)


@pytest.mark.parametrize(
    ("meter", "kind"), [(PPK2, Ppk2Spec), (LPM01A, Lpm01aSpec)], ids=lambda each: str(each)[:12]
)
def test_the_only_meter_goes_to_the_only_board(meter: SerialPort, kind: type) -> None:
    text = proposal([MICROBIT, EMULATED], [MICROBIT_PORT, meter])
    first, second = parse_bench(str(text), "b").boards
    assert isinstance(first.meter, kind) and first.meter.port == meter.path
    assert second.meter is None
    assert first.console == MICROBIT_PORT.path, "a meter's port is nobody's console"


def test_meters_that_could_be_anybodys_are_named_to_be_added() -> None:
    second = replace(PPK2, location="1-4:1.3", by_id="/dev/serial/by-id/ppk2-if03")
    text = proposal([MICROBIT], [MICROBIT_PORT, second, PPK2, LPM01A])
    assert parse_bench(str(text), "b").boards[0].meter is None
    assert "#   meter: {kind: ppk2, port: /dev/serial/by-id/ppk2-if01, mode: ampere}" in str(text)
    assert "#   meter: {kind: lpm01a, port: /dev/ttyACM8}" in str(text)
    assert "ppk2-if03" not in str(text), "a PPK2 has two ports; the first measures"


def test_any_other_port_of_st_is_no_meter() -> None:
    console = replace(LPM01A, description="STMicroelectronics Virtual ComPort")
    assert boards(proposal([], [console])) == [("board-1", UNKNOWN, None, "/dev/ttyACM8")]


def test_boards_without_a_probe_are_their_owners_to_fill_in() -> None:
    text = proposal([], [ARDUINO, PPK2])
    (board,) = parse_bench(str(text), "b").boards
    assert (board.smp, board.console, board.meter is not None) == ("serial", ARDUINO.by_id, True)
    assert "# or `program: [TOOL, ARGUMENT, …]`, what programs it" in str(text)


def test_nothing_is_no_bench() -> None:
    assert proposal([], []) is None
    assert proposal([], [BUILT_IN, PPK2]) is None


def test_more_than_a_bench_holds() -> None:
    probes = [replace(EMULATED, unique_id=f"qemu-microbit-{at:04d}") for at in range(1, BOARDS_MAX + 3)]
    text = proposal(probes, [])
    assert len(boards(text)) == BOARDS_MAX
    assert "# 2 more" in str(text)


TEXT = st.text(max_size=70)
NUMBERS = st.one_of(st.none(), st.integers(0, 0xFFFF))
PROBES = st.builds(ProbeInfo, TEXT, TEXT, st.booleans(), st.one_of(st.none(), TEXT))
PORTS = st.one_of(
    st.sampled_from([MICROBIT_PORT, PPK2, LPM01A, ARDUINO, BUILT_IN, *JLINK_PORTS]),
    st.builds(
        SerialPort,
        st.text(min_size=1, max_size=220),
        TEXT,
        st.one_of(st.none(), st.text(min_size=1, max_size=220)),
        NUMBERS,
        NUMBERS,
        st.one_of(st.none(), TEXT),
        st.one_of(st.none(), TEXT),
    ),
)


@given(
    st.lists(
        PROBES | st.sampled_from([MICROBIT, JLINK, EMULATED]),
        max_size=6,
        unique_by=lambda probe: probe.unique_id,
    ),
    st.lists(PORTS, max_size=6, unique_by=lambda port: port.path),
)
def test_whatever_is_plugged_in_the_proposal_is_a_bench(
    probes: list[ProbeInfo], ports: list[SerialPort]
) -> None:
    text = proposal(probes, ports)
    if text is not None:
        bench = parse_bench(text, "b")
        named = {board.probe for board in bench.boards}
        assert {probe.unique_id for probe in probes if 0 < len(probe.unique_id.encode()) <= 64} <= named
