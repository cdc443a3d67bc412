"""Which boards are there, and what the manager is told of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from pyocd.probe.pydapaccess import DAPAccess
from serial.tools.list_ports_common import ListPortInfo
from tests.unit.agent.fakes import FakeHost, FakeProbes, FlashSession

from tinyfleet.agent.adapters import serial_ports
from tinyfleet.agent.adapters.mqtt import read_credentials
from tinyfleet.agent.cli import cli
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.core.host_devices import ProbeInfo, SerialPort
from tinyfleet.agent.services.inventory import Inventory
from tinyfleet.agent.services.plugged import Plugged, WatchedHost
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.messages import Bench

BENCH = parse_bench(
    """
boards:
  - {name: one, device_type: microbit, probe: qemu-microbit-0001}
  - name: two
    device_type: microbit
    probe: qemu-microbit-0002
    labels: {desk: "3"}
    meter: {kind: simulated, like: lpm01a}
""",
    "b",
)


def test_unknown_until_asked_then_ready_or_absent() -> None:
    inventory = Inventory(BENCH, FakeHost(FakeProbes({"qemu-microbit-0001": FlashSession(bytearray())})))
    assert [s.state for s in inventory.all()] == [BoardState.UNKNOWN, BoardState.UNKNOWN]
    assert inventory.refresh()
    assert [(s.state, s.emulated) for s in inventory.all()] == [
        (BoardState.READY, True),
        (BoardState.ABSENT, True),
    ]
    assert not inventory.refresh()


def test_a_failure_stays_until_the_next_success_or_the_board_goes() -> None:
    probes = FakeProbes({"qemu-microbit-0001": FlashSession(bytearray())})
    inventory = Inventory(BENCH, FakeHost(probes))
    inventory.mark("one", BoardState.FAILED, "ü" * 100)
    inventory.refresh()
    report = decode(Bench, encode(inventory.report(3, ConnState.ONLINE)))
    assert (report.seq, report.state, report.boards[0].state) == (3, ConnState.ONLINE, BoardState.FAILED)
    assert report.boards[0].detail == "ü" * 48
    assert report.boards[1].detail == "no probe qemu-microbit-0002"
    assert (report.boards[1].labels, report.boards[1].meter) == (("desk=3",), "simulated lpm01a")
    assert (report.boards[0].labels, report.boards[0].meter) == (None, None)
    probes.sessions.clear()
    assert inventory.refresh()
    assert inventory.all()[0].state is BoardState.ABSENT


def test_credentials_are_read_and_never_shown(tmp_path: Path) -> None:
    path = tmp_path / "agent.json"
    given = {"id": "a", "host": "127.0.0.1", "port": 1, "prefix": "tf/1", "user": "a", "password": "s3cret"}
    path.write_text(json.dumps(given))
    path.chmod(0o644)
    with pytest.raises(AgentError, match="others may read it; chmod 600"):
        read_credentials(path)
    path.chmod(0o600)
    broker = read_credentials(path)
    assert broker.password == "s3cret"  # noqa: S105
    assert "s3cret" not in repr(broker)
    path.write_text(json.dumps(given | {"port": "s3cret"}))
    with pytest.raises(AgentError, match="holds no credentials") as told:
        read_credentials(path)
    assert "s3cret" not in str(told.value)
    with pytest.raises(AgentError, match="cannot read"):
        read_credentials(tmp_path / "none")


REAL = parse_bench(
    """
boards:
  - name: real
    device_type: microbit
    probe: "9900"
    console: /dev/serial/by-id/console
    meter: {kind: ppk2, port: /dev/serial/by-id/ppk2}
  - {name: far, device_type: x, smp: "udp://10.0.0.1:1337"}
  - {name: by-tool, device_type: x, program: [tool], console: /dev/ttyACM5}
  - {name: over-tcp, device_type: x, program: [tool], console: "socket://10.0.0.1:1"}
""",
    "b",
)


@pytest.fixture
def host() -> FakeHost:
    return FakeHost(FakeProbes({"9900": FlashSession(bytearray())}))


@pytest.mark.parametrize("what", ["console", "ppk2"])
def test_any_part_of_a_board_that_is_unplugged_is_noticed_and_named(
    host: FakeHost, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    inventory = Inventory(REAL, host)
    inventory.refresh()
    assert inventory.all()[0].state is BoardState.READY
    host.gone.add(f"/dev/serial/by-id/{what}")
    with caplog.at_level(logging.INFO):
        assert inventory.refresh()
        (status, *_) = inventory.all()
        kind = "meter" if what == "ppk2" else "console"
        assert (status.state, status.detail) == (BoardState.ABSENT, f"no {kind} /dev/serial/by-id/{what}")
        assert inventory.missing("real") == status.detail
        assert not inventory.refresh(), "told once"
        host.gone.clear()
        assert inventory.refresh()
    assert (inventory.all()[0].state, inventory.missing("real")) == (BoardState.READY, None)
    told = [record.getMessage() for record in caplog.records]
    assert told == [f"real is gone: no {kind} /dev/serial/by-id/{what}", "real is there"]


def test_a_probe_whose_number_another_has_is_no_probe_of_the_board(host: FakeHost) -> None:
    """Clones come with one number for all: which of them is the board's, nobody can tell."""
    inventory = Inventory(REAL, host)
    (probe,) = [probe for probe in host.probes.all() if probe.unique_id == REAL.boards[0].probe]
    host.look = lambda: Plugged((probe, probe), ())  # type: ignore[method-assign]
    inventory.refresh()
    status = inventory.all()[0]
    assert status.state is BoardState.ABSENT
    assert status.detail == f"2 probes tell the id {probe.unique_id}: unplug all but the board's"


def test_a_board_of_which_nothing_can_be_looked_for_is_unknown(host: FakeHost) -> None:
    inventory = Inventory(REAL, host)
    inventory.refresh()
    states = {status.spec.name: status.state for status in inventory.all()}
    assert states == {
        "real": BoardState.READY,
        "far": BoardState.UNKNOWN,
        "by-tool": BoardState.READY,
        "over-tcp": BoardState.UNKNOWN,
    }
    host.gone.add("/dev/ttyACM5")
    inventory.refresh()
    assert inventory.all()[2].detail == "no console /dev/ttyACM5"


@pytest.mark.parametrize("state", [BoardState.QUARANTINED, BoardState.RECOVERING, BoardState.FAILED])
def test_what_was_found_out_is_not_forgotten_by_looking(host: FakeHost, state: BoardState) -> None:
    inventory = Inventory(REAL, host)
    inventory.mark("real", state, "why")
    inventory.refresh()
    assert (inventory.all()[0].state, inventory.all()[0].detail) == (state, "why")


def test_what_no_board_has_is_logged_when_it_comes_and_goes(
    host: FakeHost, caplog: pytest.LogCaptureFixture
) -> None:
    host.ports = [SerialPort("/dev/ttyACM5", "known")]
    inventory = Inventory(REAL, host)
    with caplog.at_level(logging.INFO):
        inventory.refresh()
        assert caplog.records == [], "at the start it is no news"
        host.probes.sessions["other"] = FlashSession(bytearray())
        host.ports.append(SerialPort("/dev/ttyUSB0", "FTDI", "/dev/serial/by-id/ftdi"))
        inventory.refresh()
        inventory.refresh()
        del host.probes.sessions["other"]
        inventory.refresh()
    assert [record.getMessage() for record in caplog.records] == [
        "probe other was plugged in; no board of the bench has it",
        "serial port /dev/serial/by-id/ftdi (FTDI) was plugged in; no board of the bench has it",
        "probe other was unplugged",
    ]


def test_probes_are_listed_when_something_came_or_went_and_seldom_else() -> None:
    """Listing asks every USB device for its name, also one that is being flashed."""
    listed, usb = 0, [("1-1",)]

    class Counting(FakeProbes):
        def all(self) -> list[ProbeInfo]:
            nonlocal listed
            listed += 1
            return super().all()

    now_s = 100.0

    def watched(probes: FakeProbes, usb: Callable[[], object]) -> WatchedHost:
        return WatchedHost(probes, usb, list, lambda path: True, lambda: now_s)

    def listings(host: WatchedHost, looks: int) -> int:
        """One look a second."""
        nonlocal now_s, listed
        listed = 0
        for _ in range(looks):
            host.look()
            now_s += 1.0
        return listed

    host = watched(Counting({"9900": FlashSession(bytearray())}), lambda: usb[0])
    assert [probe.unique_id for probe in host.look().probes] == ["9900"]
    assert listings(host, 10) == 5, "udev lets us in a little later"
    assert listings(host, 60) == 1, "once a minute"
    usb[0] = ("1-1", "1-2")
    assert listings(host, 10) == 5
    blind = watched(Counting({}), lambda: None)
    assert listings(blind, 10) == 10, "where USB tells nothing, asking is the only way"


def test_serial_ports_have_their_link_and_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device, bare = tmp_path / "ttyACM0", tmp_path / "ttyS0"
    for path in (device, bare):
        path.touch()
    links = tmp_path / "by-id"
    links.mkdir()
    for name in ("usb-b", "usb-a"):
        (links / name).symlink_to(device)
    usb, plain = ListPortInfo(str(device)), ListPortInfo(str(bare))
    usb.vid, usb.pid, usb.serial_number, usb.location = 0x1915, 0xC00A, "C9F2", "1-4:1.1"
    usb.manufacturer, usb.product = "Nordic", "PPK2"
    monkeypatch.setattr(serial_ports.list_ports, "comports", lambda: [plain, usb])
    first, second = serial_ports.serial_ports(links)
    assert first == SerialPort(
        str(device), "Nordic PPK2", str(links / "usb-a"), 0x1915, 0xC00A, "C9F2", "1-4:1.1"
    )
    assert (first.path, first.usb_id, first.usb_path) == (str(links / "usb-a"), "1915:c00a:C9F2", "1-4")
    assert (second.path, second.usb_id, second.usb_path) == (str(bare), None, None)


def test_a_scan_opens_nothing_and_proposes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A DAPLink by pyOCD's own list; its number says what it sits on, and opening it is never tried."""
    serial = "9900" + "0" * 44

    class Link:
        vidpid, vendor_name, product_name = (0x0D28, 0x0204), "Arm", "DAPLink"

        def get_unique_id(self) -> str:
            return serial

        def open(self) -> None:
            raise AssertionError("it was opened")

    usb = ListPortInfo("/dev/ttyACM0")
    usb.vid, usb.pid, usb.serial_number, usb.location = 0x0D28, 0x0204, serial, "1-2:1.1"
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    monkeypatch.setattr(serial_ports.list_ports, "comports", lambda: [usb])
    monkeypatch.setattr(DAPAccess, "get_connected_devices", staticmethod(lambda: [Link()]))
    done = CliRunner().invoke(cli, ["bench", "scan", "--state", str(tmp_path)])
    (board,) = parse_bench(done.stdout, "b").boards
    assert (board.name, board.device_type, board.probe) == ("microbit-1", "microbit", serial)
    assert board.console == "/dev/ttyACM0"
    assert "Arm DAPLink" in done.stderr
    told = json.loads(CliRunner().invoke(cli, ["bench", "scan", "--json", "--state", str(tmp_path)]).stdout)
    assert told["probes"][0]["console"] == "/dev/ttyACM0"
    assert (told["ports"][0]["usb_id"], told["proposal"]) == (f"0d28:0204:{serial}", done.stdout)
