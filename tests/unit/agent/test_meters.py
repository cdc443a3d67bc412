"""Meters on terminals that speak the real protocols, on files, on a bus, and behind a package's interface."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.servers import wait_for

from tinyfleet.agent.adapters.clock import SystemClock
from tinyfleet.agent.adapters.power.ina226 import Ina226, by_hwmon, by_i2c
from tinyfleet.agent.adapters.power.joulescope import RATE_HZ, Joulescope
from tinyfleet.agent.adapters.power.lpm01a import Lpm01a
from tinyfleet.agent.adapters.power.port import MeterPort
from tinyfleet.agent.adapters.power.ppk2 import BAUD, Ppk2
from tinyfleet.agent.adapters.power.pty_device import PtyDevice
from tinyfleet.agent.adapters.power.simulated import SimulatedMeter, dropping
from tinyfleet.agent.adapters.power.simulated_lpm01a import SimulatedLpm01a
from tinyfleet.agent.adapters.power.simulated_ppk2 import SimulatedPpk2
from tinyfleet.agent.core.energy import Integral
from tinyfleet.agent.core.errors import BoardBusyError, MeterError
from tinyfleet.agent.core.power.lpm01a import Edge, LineReader, Reply, Sample, Stamp, setup
from tinyfleet.agent.core.power.lpm01a_blocks import LpmBlocks
from tinyfleet.agent.core.power.samples import Block
from tinyfleet.agent.services.power_ports import PowerMeter

CLOCK = SystemClock()


def measure(meter: PowerMeter, seconds: float, begun: Callable[[], None] = lambda: None) -> Integral:
    """From start to stop."""
    integral = Integral()
    meter.supply(True)
    meter.start()
    begun()
    end_s = time.monotonic() + 10
    while integral.end_s < seconds and time.monotonic() < end_s:
        block = meter.read(0.1)
        if block is not None:
            integral.feed(block)
    meter.stop()
    return integral


def mean_ua(integral: Integral, supply_mv: float) -> float:
    return integral.at(integral.end_s).energy_uj / (supply_mv / 1000) / integral.end_s


def test_a_ppk2_that_loses_samples_is_counted_to_the_last() -> None:
    rng, masks = np.random.default_rng(4), []

    def drop(count: int) -> NDArray[np.bool_]:
        masks.append(rng.random(count) < 0.001)
        return masks[-1]

    device = SimulatedPpk2(drop=drop)
    meter = SimulatedMeter(device, "b1", CLOCK)
    try:
        assert meter.meter.simulated
        assert "simulated" in meter.meter.name and "SIMULATED" in meter.meter.serial
        assert "made up" in meter.meter.calibration
        integral = measure(meter, 0.8)
        # Which of those that were sent came last: what is behind it was not read any more.
        sent = np.flatnonzero(~np.concatenate(masks))[: integral.samples]
        assert integral.lost == sent[-1] - sent[0] + 1 - len(sent) > 50
        assert integral.unplaced == 0
        assert mean_ua(integral, 3000) == pytest.approx(device.profile.shape.idle_ua, rel=0.002)
        again = measure(meter, 0.1)
        assert again.samples > 9000, "it starts again"
    finally:
        meter.close()


def test_an_lpm01a_that_loses_lines_is_counted_by_its_stamps() -> None:
    device = SimulatedLpm01a(drop=dropping(0.05))
    meter = SimulatedMeter(device, "b1", CLOCK)
    try:
        assert meter.meter.serial == "SIMULATED-LPM01A"
        integral = measure(meter, 2.1, lambda: meter.inferred(20))
        assert integral.unplaced > 50
        assert integral.samples + integral.lost == pytest.approx(2100, abs=100)
        assert len(integral.edges) == 40
    finally:
        meter.close()


def test_a_board_without_power_draws_nothing() -> None:
    device = SimulatedPpk2()
    meter = SimulatedMeter(device, "b1", CLOCK)
    try:
        meter.supply(False)
        meter.start()
        wait_for("samples", lambda: device.sent > 5000)
        block = meter.read(1)
        assert block is not None
        # Range 0 reads a little below nothing: its offset, which the meter's own constants take away.
        assert abs(float(block.current_ua.mean())) < 1.0
        meter.stop()
    finally:
        meter.close()


@pytest.mark.parametrize("device", [SimulatedPpk2, SimulatedLpm01a])
def test_a_meter_that_is_unplugged(device: type[SimulatedPpk2 | SimulatedLpm01a]) -> None:
    meter = SimulatedMeter(device(), "b1", CLOCK)
    meter.supply(True)
    meter.start()
    meter.device.close()
    with pytest.raises(MeterError, match=r"b1: meter read: /dev/\S+ broke off.*unplugged"):
        for _ in range(50):
            meter.read(0.1)
    with pytest.raises(MeterError):
        meter.stop()


class Mute(PtyDevice):
    """Says what it is given, whatever is asked."""

    def __init__(self, answer: bytes) -> None:
        super().__init__("mute")
        self._answer = answer

    def hear(self, data: bytes) -> None:
        self.say(self._answer)

    def tick(self, now_s: float) -> None:
        pass


@pytest.fixture
def mute(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bytes], Mute]]:
    monkeypatch.setattr("tinyfleet.agent.adapters.power.ppk2._ANSWER_S", 0.3)
    monkeypatch.setattr("tinyfleet.agent.adapters.power.lpm01a._ANSWER_S", 0.3)
    made: list[Mute] = []

    def make(answer: bytes) -> Mute:
        made.append(Mute(answer))
        made[-1].start()
        return made[-1]

    yield make
    for device in made:
        device.close()


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "answered nothing within 0.3 s; is it that kind of meter"),
        (b"hello\r\n", "answered b'hello"),
        (b"no numbers\nEND\n", "no metadata of a PPK2"),
    ],
)
def test_what_is_no_ppk2(mute: Callable[[bytes], Mute], answer: bytes, complaint: str) -> None:
    address = mute(answer).address
    for _ in range(2):  # the port is free again
        with pytest.raises(MeterError, match=complaint):
            Ppk2(MeterPort("b1", address, BAUD), CLOCK, supply_mv=3000, source=True, window_input=None)


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"", "b1: meter htc: .*answered nothing within 0.3 s; .*an LPM01A's"),
        (b"PowerShield > error htc\r\n", "the meter refused: error htc"),
    ],
)
def test_what_is_no_lpm01a(mute: Callable[[bytes], Mute], answer: bytes, complaint: str) -> None:
    address = mute(answer).address
    for rate_hz, told in ((1000, complaint), (3, "3 Hz, expected one of 1, 2, 5")):
        with pytest.raises(MeterError, match=told):
            Lpm01a(MeterPort("b1", address, BAUD), CLOCK, supply_mv=3300, rate_hz=rate_hz, edges=False)


def test_a_port_that_is_not_there_or_somebody_elses(mute: Callable[[bytes], Mute]) -> None:
    with pytest.raises(MeterError, match="b1: meter open: cannot open /dev/none"):
        MeterPort("b1", "/dev/none", BAUD)
    port = MeterPort("b1", mute(b"").address, BAUD)
    try:
        with pytest.raises(BoardBusyError, match="in use by another program"):
            MeterPort("b1", port.address, BAUD)
    finally:
        port.close()


LINES = (
    b"PowerShield > ack start\r\nTimeStamp: 001s 000ms, buff 07%\r\n6409-07\r\n\r\n"
    b"event 3 ris\r\n1200-10\r\n40-07\r\nPowerShield > Acquisition completed\r\n"
)
ITEMS = [
    Reply("ack start"),
    Stamp(1.0, 7),
    Sample(6409e-7),
    Edge(3),
    Sample(1200e-10),
    Sample(None),
    Reply("Acquisition completed"),
]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_lines_of_an_lpm01a_however_they_come(sizes: list[int]) -> None:
    reader, items, at, turn = LineReader(), [], 0, 0
    while at < len(LINES):
        size = sizes[turn % len(sizes)]
        items += reader.feed(LINES[at : at + size])
        at, turn = at + size, turn + 1
    assert [repr(item) for item in items] == [repr(item) for item in ITEMS]


def test_what_an_lpm01a_is_told() -> None:
    assert setup(1800, 1000)[-2:] == ("freq 1k", "volt 1800m")
    assert setup(3300, 500)[-2] == "freq 500"
    with pytest.raises(ValueError, match="1799 mV"):
        setup(1799, 1000)


def test_samples_that_an_lpm01a_did_not_send() -> None:
    blocks = LpmBlocks(rate_hz=10, supply_mv=2000, edges=True)
    samples = [Sample(2e-7)] * 10
    first = blocks.take([Stamp(0, 0), *samples[:9], Sample(None), Edge(0)], zero_s=5.0)
    assert first is not None and first.edges is not None
    np.testing.assert_allclose(first.current_ua, 1.0)
    assert (first.lost, len(first.edges), first.zero_s) == (0, 0, 5.0), "what comes behind is not known yet"
    second = blocks.take([*samples, Stamp(3.0, 0), Sample(2e-7)], zero_s=5.0)
    assert second is not None and second.edges is not None
    assert (second.gap_at.tolist(), second.gap_lost.tolist()) == ([0], [1])
    assert (second.unplaced, second.edges.tolist()) == (10, [0])
    assert (blocks.lost, blocks.place) == (11, 31)
    assert blocks.take([Reply("x")], zero_s=5.0) is None


def files(folder: Path, **values: str) -> Path:
    known = {"name": "ina226", "shunt_resistor": "100000", "update_interval": "5"}
    known |= {"curr1_input": "12", "in1_input": "3300"} | values
    for name, value in known.items():
        (folder / name).write_text(f"{value}\n")
    return folder


def first_block(meter: Ina226) -> Block:
    meter.supply(True)
    meter.start()
    block = meter.read(0.1)
    assert block is not None
    meter.stop()
    meter.close()
    return block


def test_an_ina226_by_hwmon(tmp_path: Path) -> None:
    meter = by_hwmon("b1", files(tmp_path), 0.02)
    assert (meter.meter.name, meter.meter.rate_hz, meter.meter.accuracy) == ("INA226", 200, 0.02)
    block = first_block(meter)
    assert set(block.current_ua.tolist()) == {12_000.0}
    assert set(np.asarray(block.supply_mv).tolist()) == {3300.0}
    assert len(block.current_ua) + block.lost == pytest.approx(10, abs=8)
    (tmp_path / "curr1_input").unlink()
    meter.start()
    with pytest.raises(MeterError, match="b1: meter read: the INA226 is gone"):
        meter.read(0.1)


def test_what_is_no_ina226(tmp_path: Path) -> None:
    with pytest.raises(MeterError, match="is a k10temp, expected one of ina226"):
        by_hwmon("b1", files(tmp_path, name="k10temp"), None)
    with pytest.raises(MeterError, match="is no INA226's"):
        by_hwmon("b1", tmp_path / "none", None)
    with pytest.raises(MeterError, match="no INA226 at 0x40 of I2C bus 250"):
        by_i2c("b1", 250, 0x40, 100_000, None)


class Chip:
    """An INA226's registers at the other end of a socket."""

    def __init__(self, **registers: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.handle = os.dup(theirs.fileno())
        theirs.close()
        self._socket = ours
        self.written: list[bytes] = []
        self.registers = {0x01: 0xFFD8, 0x02: 2640, 0xFE: 0x5449, 0xFF: 0x2260} | {
            int(name[1:], 16): value for name, value in registers.items()
        }
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        with self._socket:
            while told := self._socket.recv(8):
                if len(told) == 1:
                    self._socket.send(self.registers[told[0]].to_bytes(2, "big"))
                else:
                    self.written.append(told)

    def join(self) -> None:
        self._thread.join(10)
        assert not self._thread.is_alive()


def test_an_ina226_by_i2c() -> None:
    chip = Chip()
    meter = by_i2c("b1", 1, 0x40, 100_000, None, device=lambda: chip.handle)
    block = first_block(meter)
    # -40 steps of 2.5 uV over 0.1 ohm; 2640 steps of 1.25 mV.
    assert set(block.current_ua.tolist()) == {-1000.0}
    assert set(np.asarray(block.supply_mv).tolist()) == {3300.0}
    chip.join()
    assert chip.written == [bytes([0x00, 0x41, 0x27])]
    other = Chip(rFF=0x2270)
    with pytest.raises(MeterError, match="it says maker 0x5449, die 0x2270"):
        by_i2c("b1", 1, 0x40, 100_000, None, device=lambda: other.handle)
    other.join()


class FakeScope:
    """As the package's devices: 1 MS/s, samples by number, NaN where some are missing."""

    device_serial_number = "001234"

    def __init__(self) -> None:
        self.parameters: dict[str, Any] = {}
        self.calls: list[str] = []
        self.sample_id_range: tuple[int | None, int | None] = (None, None)
        self.current = np.full(10_000, 0.002)
        self.current[100:110] = self.current[4999] = np.nan
        self.gpi = np.ones(10_000)
        self.gpi[2000:2005] = 0

    @property
    def stream_buffer(self) -> FakeScope:
        return self

    def parameter_set(self, name: str, value: Any) -> None:
        self.parameters[name] = value

    def samples_get(self, begin: int, end: int, fields: list[str]) -> dict[str, Any]:
        voltage = np.full(10_000, 3.0)
        told = {"current": self.current, "voltage": voltage, "current_lsb": self.gpi}
        return {"signals": {name: {"value": told[name][begin:end]} for name in fields}}

    def open(self) -> None:
        self.calls.append("open")

    def start(self) -> None:
        self.calls.append("start")

    def stop(self) -> None:
        self.calls.append("stop")

    def close(self) -> None:
        self.calls.append("close")


def test_a_joulescope_by_its_packages_interface() -> None:
    scope = FakeScope()
    meter = Joulescope("b1", CLOCK, serial=None, window_input=0, scan=lambda: [scope])
    meter.supply(True)
    meter.start()
    assert meter.read(0.01) is None
    integral = Integral()
    for end in (5000, 7000, 7001):
        scope.sample_id_range = (0 if end < 7000 else 5500, end)
        block = meter.read(0.1)
        assert block is not None
        integral.feed(block)
    meter.stop()
    meter.close()
    # Ten and one were NaN, 500 were overwritten before they were read.
    assert (integral.samples, integral.lost) == (7001 - 511, 511)
    assert integral.end_s == pytest.approx(7001 / RATE_HZ)
    assert integral.at(integral.end_s).energy_uj == pytest.approx(2000 * 3 * 7001 / RATE_HZ)
    assert [mark.at_s for mark in integral.edges] == pytest.approx([2000 / RATE_HZ])
    assert scope.parameters["current_lsb"] == "gpi0"
    assert scope.parameters["i_range"] == "auto"
    assert scope.calls == ["open", "start", "stop", "close"]
    assert (meter.meter.serial, meter.meter.simulated) == ("001234", False)


def test_a_joulescope_that_is_not_there() -> None:
    with pytest.raises(MeterError, match=r"b1: meter open: LookupError: .*there: 001234; wanted: 7"):
        Joulescope("b1", CLOCK, serial="7", window_input=None, scan=lambda: [FakeScope()])
    with pytest.raises(MeterError, match="it has no input 5"):
        Joulescope("b1", CLOCK, serial=None, window_input=5, scan=lambda: [FakeScope()])

    class Stubborn(FakeScope):
        def parameter_set(self, name: str, value: Any) -> None:
            raise RuntimeError("not now")

    stubborn = Stubborn()
    with pytest.raises(MeterError, match="b1: meter setup: RuntimeError: not now"):
        Joulescope("b1", CLOCK, serial=None, window_input=None, scan=lambda: [stubborn])
    assert stubborn.calls == ["open", "close"]

    def missing() -> list[Any]:
        raise ImportError("No module named 'joulescope'")

    with pytest.raises(MeterError, match=r"install tinyfleet\[joulescope\]"):
        Joulescope("b1", CLOCK, serial=None, window_input=None, scan=missing)
