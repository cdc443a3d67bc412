"""`tinyfleet up` and the commands, as a person uses them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers import processes_of, wait_for

from tinyfleet.wire.memory_map import MPS2_AN386
from tinyfleet.wire.messages import NodeConfig, Trust
from tinyfleet.wire.records import decode_record, read_replay

pytestmark = pytest.mark.broker


def command(*arguments: str, path: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        [sys.executable, "-m", "tinyfleet.fleet", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=environment,
    )


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_it_is_private_and_leaves_nothing_behind(run_fleet: Callable[..., Any]) -> None:
    fleet = run_fleet()
    assert len(processes_of(fleet.folder)) == 4
    for secret in (*(fleet.folder / "secrets").iterdir(), *(fleet.folder / "broker").glob("*")):
        if secret.is_file():
            assert secret.stat().st_mode & 0o077 == 0, f"{secret} can be read by others"
    endpoints = fleet.state.endpoints()
    assert endpoints.prometheus is not None
    assert fleet.stop() == 0
    assert not processes_of(fleet.folder)
    assert not (fleet.folder / "endpoints.json").exists()


def test_ports_stay_the_same_because_nodes_know_them(run_fleet: Callable[..., Any]) -> None:
    fleet = run_fleet("--no-prometheus")
    before = fleet.state.endpoints()
    fleet.stop()
    fleet.start()
    after = fleet.state.endpoints()
    assert (before.api, before.broker_port) == (after.api, after.broker_port)


def test_a_second_one_on_the_same_folder_is_refused(shared_fleet: Any) -> None:
    said = one_line(command("up", "--state", str(shared_fleet.folder), "--no-prometheus"))
    assert "is in use by `tinyfleet up`" in said
    assert shared_fleet.state.endpoints().pid == shared_fleet.process.pid, (
        "the first one's addresses still stand"
    )
    shared_fleet.healthy()


def test_a_port_in_use_is_named_with_its_option(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = one_line(command("up", "--state", str(tmp_path / "s"), "--broker-port", str(port)))
    assert f"port {port} of 127.0.0.1 cannot be used" in said
    assert "--broker-port" in said
    assert not processes_of(tmp_path / "s")


def test_a_missing_program_is_named_with_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tinyfleet.fleet import up
    from tinyfleet.fleet.core.errors import Unavailable

    monkeypatch.setattr(up.shutil, "which", lambda *_args, **_options: None)
    with pytest.raises(Unavailable, match=r"mosquitto is not installed.*apt-get install"):
        up._tool("mosquitto")


def test_what_a_killed_up_leaves_is_cleared_by_the_next(run_fleet: Callable[..., Any]) -> None:
    fleet = run_fleet("--no-prometheus")
    fleet.process.kill()
    fleet.process.wait()
    fleet.start()
    fleet.healthy()
    wait_for("one of each", lambda: len(processes_of(fleet.folder)) == 3)


@pytest.mark.parametrize("name", ["mosquitto", "manager"])
def test_a_program_that_dies_is_started_again(fleet: Any, name: str) -> None:
    fleet.kill(name)
    fleet.healthy()


def test_an_end_while_starting_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "s"
    process = subprocess.Popen(
        [sys.executable, "-m", "tinyfleet.fleet", "up", "--state", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for("the broker to be there", lambda: (folder / "run" / "mosquitto.json").exists())
    process.send_signal(signal.SIGTERM)
    assert process.wait(15) == 0
    assert not processes_of(folder)


def test_provisioning_by_command_writes_a_flash_that_a_node_can_use(
    shared_fleet: Any, tmp_path: Path
) -> None:
    import numpy as np

    windows = np.arange(2 * 8 * 3, dtype=np.int16).reshape(2, 8, 3)
    np.savez(tmp_path / "replay.npz", windows=windows)
    (tmp_path / "card.json").write_text('{"sensor": "accelerometer", "unit": "mg", "rate_mhz": 25000}')
    flash = tmp_path / "flash.bin"
    arguments = (
        *("device", "provision", "node1", "--flash", str(flash), "--site", "meadow"),
        *("--replay", str(tmp_path / "replay.npz"), "--replay-card", str(tmp_path / "card.json")),
    )
    done = shared_fleet.cli(*arguments)
    assert done.returncode == 0, done.stderr
    data = flash.read_bytes()
    assert len(data) == MPS2_AN386.size_bytes
    assert flash.stat().st_mode & 0o077 == 0
    trust = decode_record(Trust, data)
    assert trust.keys[0].hex() == _key(shared_fleet)
    config = decode_record(NodeConfig, data[MPS2_AN386["config_a"].offset :])
    assert (config.device, config.host) == ("node1", "10.0.2.2")
    assert config.port == shared_fleet.state.endpoints().broker_port
    region = MPS2_AN386["replay"]
    record, content = read_replay(data[region.offset : region.end])
    assert (record.windows, record.samples, record.channels) == (2, 8, 3)
    assert content == windows.astype("<i2").tobytes()

    again = shared_fleet.cli(*arguments)
    assert "nothing, it was all there" in again.stdout
    assert flash.read_bytes() == data

    broken = bytearray(data)
    broken[40] ^= 1
    flash.write_bytes(broken)
    refused = shared_fleet.cli(*arguments)
    assert "written once" in one_line(refused)
    assert flash.read_bytes() == broken


def _key(fleet: Any) -> str:
    import hashlib

    from tinyfleet.fleet.adapters.signer import public_der

    return hashlib.sha256(public_der(fleet.state.signing_key)).hexdigest()


def test_changes_need_the_token_and_reading_does_not(fleet: Any) -> None:
    import httpx

    from tinyfleet.fleet.client import ApiError, FleetClient

    address = fleet.state.endpoints().api
    with FleetClient(address) as reader:
        assert reader.devices() == []
        with pytest.raises(ApiError) as caught:
            reader.register_agent("bench1")
    assert caught.value.status == 401
    with FleetClient(address, "wrong") as guesser, pytest.raises(ApiError):
        guesser.register_agent("bench1")
    answer = httpx.get(f"{address}/api/v1/devices", headers={"Host": "evil.example"})
    assert answer.status_code == 400, "another name for this address is another site's page"


def test_without_a_fleet_every_command_says_so_in_one_line(tmp_path: Path) -> None:
    for arguments in (("devices",), ("release", "list"), ("rollout", "watch", "1"), ("mqtt", "tail")):
        said = one_line(command(*arguments, "--state", str(tmp_path / "none")))
        assert "no fleet runs in" in said
        assert "tinyfleet up" in said


def test_mqtt_tail_decodes_what_it_sees(shared_fleet: Any) -> None:
    import json

    node = shared_fleet.node("node1")
    done = shared_fleet.cli("mqtt", "tail", "--count", "2", "--device", "node1")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    topics = {line["topic"]: line for line in lines}
    prefix = node.config.prefix
    assert topics[f"{prefix}/node1/birth"]["message"]["device_type"] == "mps2-an386"
    assert topics[f"{prefix}/node1/conn"]["message"]["state"] == "ONLINE"


def test_an_agent_registers_and_its_boards_are_listed(shared_fleet: Any) -> None:
    from paho.mqtt import publish
    from paho.mqtt.enums import MQTTProtocolVersion

    from tinyfleet.wire.codec import encode
    from tinyfleet.wire.enums import ConnState
    from tinyfleet.wire.limits import BENCH_MAX_BYTES
    from tinyfleet.wire.messages import Bench

    given = shared_fleet.client.register_agent("bench1", "lab")
    # As large as 32 boards may be, and the same as the will: the broker must take that in one packet.
    boards = tuple(_large_board(f"b{at}") for at in range(1, 33))
    told = encode(Bench(seq=1, state=ConnState.ONLINE, boards=boards))
    assert len(told) > 0.7 * BENCH_MAX_BYTES
    topic = f"{given.prefix}/bench1/bench"
    publish.single(
        topic,
        told,
        qos=1,
        retain=True,
        will={"topic": topic, "payload": told, "qos": 1, "retain": True},
        port=given.port,
        hostname=given.host,
        client_id=given.user,
        auth={"username": given.user, "password": given.password},
        protocol=MQTTProtocolVersion.MQTTv5,
    )
    wait_for("the board", lambda: shared_fleet.client.agents()[0].boards)
    (agent,) = shared_fleet.client.agents()
    assert agent.site == "lab"
    assert [board["name"] for board in agent.boards] == [f"b{at}" for at in range(1, 33)]
    assert agent.boards[0]["reserved_by"] == "ci-7"
    (line,) = [each for each in shared_fleet.cli("agent", "boards").stdout.splitlines() if " b1 " in each]
    for word in ("bench1", "QUARANTINED", "ci-7", "recovered 3 times, last tried: quarantine", "desk0=xx"):
        assert word in line


def _large_board(name: str) -> Any:
    from tinyfleet.wire.enums import BoardState
    from tinyfleet.wire.messages import Board

    return Board(
        name=name,
        device_type="microbit",
        state=BoardState.QUARANTINED,
        emulated=False,
        probe="p" * 64,
        detail="d" * 96,
        reserved_by="ci-7",
        reserved_until=1_700_000_000,
        recoveries=3,
        labels=tuple(f"desk{at}={'x' * 55}" for at in range(16)),
        meter="m" * 48,
        rung="quarantine",
    )
