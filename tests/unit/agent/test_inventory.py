"""Which boards are there, and what the manager is told of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.unit.agent.fakes import FakeProbes, FlashSession

from tinyfleet.agent.adapters.mqtt import read_credentials
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.inventory import Inventory
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
    inventory = Inventory(BENCH, FakeProbes({"qemu-microbit-0001": FlashSession(bytearray())}))
    assert [s.state for s in inventory.all()] == [BoardState.UNKNOWN, BoardState.UNKNOWN]
    assert inventory.refresh()
    assert [(s.state, s.emulated) for s in inventory.all()] == [
        (BoardState.READY, True),
        (BoardState.ABSENT, False),
    ]
    assert not inventory.refresh()


def test_a_failure_stays_until_the_next_success_or_the_board_goes() -> None:
    probes = FakeProbes({"qemu-microbit-0001": FlashSession(bytearray())})
    inventory = Inventory(BENCH, probes)
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
