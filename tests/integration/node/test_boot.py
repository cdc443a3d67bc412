"""The node starts, says who it is, and finds its broker again."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from tests.models import livestock

from tinyfleet.wire.enums import ConnState, PowerSource, Result, Timing, UpdateState
from tinyfleet.wire.messages import Birth, Conn

pytestmark = [pytest.mark.qemu, pytest.mark.broker]


def test_without_records_it_says_so_and_rests(bare_node: Any) -> None:
    bare_node.start()
    bare_node.console("boot: stopped: no trust record")
    assert bare_node.emulator.is_alive()


def test_without_a_configuration_it_says_so_and_rests(bare_node: Any) -> None:
    bare_node.provision()
    bare_node.write("config_a", b"\xff" * 512)
    bare_node.start()
    bare_node.console("config record at 0x018000: there is none")
    bare_node.console("stopped: not provisioned")
    assert bare_node.emulator.is_alive()


def test_nothing_starts_that_the_trusted_key_did_not_sign(
    bare_node: Any, workshop: Any, node_binary: bytes
) -> None:
    bare_node.firmware = workshop.sign_firmware(node_binary, "0.1.0", key=workshop.foreign)
    bare_node.provision()
    bare_node.start()
    bare_node.console("boot: slot A: signed by a key that is not in the trust record")
    bare_node.console("boot: stopped: no firmware that may start")
    assert bare_node.emulator.is_alive()


def test_a_damaged_configuration_falls_back_to_the_other(bare_node: Any, manager: Any) -> None:
    bare_node.provision()
    good = bare_node.read("config_a", 512)
    bare_node.write("config_a", good[:40] + bytes([good[40] ^ 1]) + good[41:])
    bare_node.write("config_b", good)
    bare_node.start()
    bare_node.console("config record at 0x010000: its checksum differs")
    manager.wait(Birth)


def test_birth_says_what_the_node_is(bare_node: Any, manager: Any) -> None:
    bare_node.provision()
    bare_node.start()
    birth = manager.wait(Birth)
    assert (birth.boot, birth.seq, birth.generation) == (1, 0, 0)
    assert (birth.state, birth.result) == (UpdateState.IDLE, Result.INITIAL)
    assert (birth.device_type, birth.sensor, birth.period_s) == ("mps2-an386", "replay", 1)
    assert birth.emulated and birth.timing is Timing.INSTRUCTIONS and birth.power is PowerSource.MAINS
    assert birth.model is None
    assert [s.size_bytes for s in birth.slots] == [0x200000, 0x200000, 0x100000, 0x100000]
    assert birth.arena_bytes == 64 * 1024
    assert manager.wait(Conn, lambda c: c.state is ConnState.ONLINE).conn == 1

    bare_node.emulator.kill()
    manager.wait(Conn, lambda c: c.state is ConnState.LOST and c.conn == 1)
    manager.forget()
    bare_node.start()
    assert manager.wait(Birth, lambda b: b.boot == 2)


def test_it_comes_back_after_its_broker(bare_node: Any, broker: Any, manager: Any) -> None:
    bare_node.provision()
    bare_node.start()
    assert manager.wait(Birth).seq == 0
    broker.end(signal.SIGKILL)
    bare_node.console("mqtt: connection lost")
    manager.forget()
    broker.start()
    manager.wait_until_connected()
    conn = manager.wait(Conn, lambda c: c.state is ConnState.ONLINE)
    assert conn.boot == 1 and conn.conn > 1
    assert manager.wait(Birth).seq > 0  # at each connect, though nothing has changed


def test_a_wrong_password_is_told_and_tried_again(bare_node: Any) -> None:
    bare_node.provision(password=b"guess")
    bare_node.start()
    bare_node.console(r"mqtt: broker refused \(0x87\); again in \d+ ms")
    bare_node.emulator.wait_for_line(r"mqtt: broker refused", 20, count=3)


def test_a_model_that_cannot_run_is_not_claimed(bare_node: Any, manager: Any, workshop: Any) -> None:
    """Signed, in its slot, for another sample rate: what a slot holds, not what runs."""
    image = workshop.sign(livestock("v1", vectors=1, rate_mhz=50_000), "1.0.0")
    bare_node.provision()
    bare_node.write("model_a", image)
    bare_node.start()
    bare_node.console("model: 1.0.0 in slot 0 cannot run: result 66")
    birth = manager.wait(Birth)
    assert birth.model is None
    assert birth.slots[0].image is not None
