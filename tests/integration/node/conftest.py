"""A real mosquitto, a real node in QEMU, a manager small enough to be read: what the node's tests share."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import paho.mqtt.client as mqtt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion
from tests.models import LIVESTOCK, livestock
from tests.servers import Mosquitto

from tinyfleet.agent.adapters.emulator import HOST_ADDRESS, EmulatedNode, make_blank_flash
from tinyfleet.fleet.adapters.signer import ImgtoolSigner
from tinyfleet.fleet.core.flash import MAPS
from tinyfleet.fleet.services.ports import SigningRequest
from tinyfleet.wire.artifact import ABI
from tinyfleet.wire.blobs import Blob, chunk_topics, cut
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.firmware import place_of, read_facts
from tinyfleet.wire.image import read_image
from tinyfleet.wire.limits import PREFIX
from tinyfleet.wire.memory_map import MPS2_AN386, MPS2_AN500, MemoryMap
from tinyfleet.wire.messages import (
    Birth,
    Conn,
    Event,
    NodeConfig,
    Sample,
    Status,
    Tele,
    Trial,
    Trust,
    Want,
)
from tinyfleet.wire.records import build_replay, encode_record
from tinyfleet.wire.topics import TopicKind, Topics

ROOT = Path(__file__).parents[3]
DEVICE = "node-1"
PASSWORD = "correct horse"  # noqa: S105 - of a broker that lives as long as one test
WINDOW_MS = 40
TIMEOUT_S = 30.0
BROKER_LIMITS = (
    "set_tcp_nodelay true",
    "max_inflight_messages 32",
    "max_queued_messages 2000",
    "max_packet_size 16384",
)

M = TypeVar("M", Birth, Conn, Status, Tele, Event, Sample)
_UP: dict[type[Any], TopicKind] = {
    Birth: TopicKind.BIRTH,
    Conn: TopicKind.CONN,
    Status: TopicKind.STATUS,
    Tele: TopicKind.TELE,
    Event: TopicKind.EVENT,
    Sample: TopicKind.SAMPLE,
}
_CLASSES = {kind: cls for cls, kind in _UP.items()}


class Manager:
    """Publishes what a manager publishes, and remembers what nodes say."""

    def __init__(self, port: int) -> None:
        self._heard: list[tuple[str, Any]] = []
        self._changed = threading.Condition()
        self._up = threading.Event()
        self.topics = Topics()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, protocol=mqtt.MQTTv5)
        self._client.username_pw_set("manager", PASSWORD)
        self._client.max_inflight_messages_set(100)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self.wait_until_connected()

    def wait_until_connected(self) -> None:
        assert self._up.wait(TIMEOUT_S), "the test's manager cannot reach its broker"

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _on_connect(self, client: mqtt.Client, *_: Any) -> None:
        client.subscribe([(topic, 1) for topic in self.topics.up_filters])
        self._up.set()

    def _on_disconnect(self, *_: Any) -> None:
        self._up.clear()

    def _on_message(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        topic = self.topics.parse(message.topic)
        heard = decode(_CLASSES[topic.kind], bytes(message.payload))
        with self._changed:
            self._heard.append((str(topic.device), heard))
            self._changed.notify_all()

    def heard(self, kind: type[M], device: str = DEVICE) -> list[M]:
        with self._changed:
            return [m for d, m in self._heard if d == device and isinstance(m, kind)]

    def wait(
        self,
        kind: type[M],
        condition: Callable[[M], bool] = lambda _: True,
        timeout_s: float = TIMEOUT_S,
        device: str | None = None,
    ) -> M:
        """The first message of this kind, heard already or to come, that fulfils the condition; of any device
        when none is named."""
        end = time.monotonic() + timeout_s
        with self._changed:
            while True:
                for sender, message in self._heard:
                    if isinstance(message, kind) and device in (None, sender) and condition(message):
                        return message
                if not self._changed.wait(end - time.monotonic()):
                    last = [m for _, m in self._heard][-8:]
                    pytest.fail(f"no such {kind.__name__} within {timeout_s:g} s; heard last: {last}")

    def forget(self) -> None:
        with self._changed:
            self._heard.clear()

    def publish(self, messages: dict[str, bytes]) -> None:
        """Retained, and acknowledged by the broker."""
        sent = [self._client.publish(topic, payload, 1, retain=True) for topic, payload in messages.items()]
        for info in sent:
            info.wait_for_publish(TIMEOUT_S)

    def want(self, want: Want | None, device: str = DEVICE) -> None:
        topic = self.topics.device(device, TopicKind.WANT)
        self.publish({topic: b"" if want is None else encode(want)})

    def blob(self, blob: Blob, groups: range | None = None) -> None:
        """All chunks, or those of some groups."""
        chosen = dict(chunk_topics(blob, self.topics))
        if groups is not None:
            chosen = {t: p for t, p in chosen.items() if self.topics.parse(t).group in groups}
        self.publish(chosen)


@dataclass
class Node:
    """An emulated node and its flash file."""

    emulator: EmulatedNode
    flash: Path
    port: int
    key_hashes: tuple[bytes, ...]
    firmware: bytes
    memory: MemoryMap = MPS2_AN386

    def write(self, region: str, data: bytes) -> None:
        with self.flash.open("r+b") as file:
            file.seek(self.memory[region].offset)
            file.write(data)

    def read(self, region: str, size: int) -> bytes:
        with self.flash.open("rb") as file:
            file.seek(self.memory[region].offset)
            return file.read(size)

    def provision(self, **changes: Any) -> None:
        """Trust, configuration, firmware and replay windows into a fresh flash."""
        make_blank_flash(self.flash)
        self.write_records(**changes)
        self.write("firmware_a", self.firmware)

    def write_records(self, **changes: Any) -> None:
        for region, data in self.records(**changes).items():
            self.write(region, data)

    def records(self, **changes: Any) -> dict[str, bytes]:
        """What goes into which region beside the firmware."""
        values: dict[str, Any] = {
            "device": DEVICE,
            "host": HOST_ADDRESS,
            "port": self.port,
            "user": DEVICE,
            "password": PASSWORD.encode(),
            "prefix": PREFIX,
            "keepalive_s": 10,
            "seed": bytes(range(32)),
            "period_s": 1,
            "window_ms": WINDOW_MS,
        } | changes
        return {
            "trust": encode_record(Trust(keys=self.key_hashes)),
            "config_a": encode_record(NodeConfig(**values)),
            "replay": replay_region(),
        }

    def start(self) -> None:
        self.emulator.start()

    def console(self, pattern: str, timeout_s: float = TIMEOUT_S) -> str:
        return self.emulator.wait_for_line(pattern, timeout_s)


def replay_region() -> bytes:
    """The example's recorded windows as the replay region holds them."""
    with np.load(LIVESTOCK / "replay.npz") as stored:
        windows = stored["windows"]
    return build_replay(
        sensor="accelerometer",
        unit="mg",
        rate_mhz=25000,
        samples=windows.shape[1],
        channels=windows.shape[2],
        data=windows.astype("<i2").tobytes(),
    )


class Workshop:
    """Signs models and firmware."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.owner = self._new_key("owner")
        self.foreign = self._new_key("foreign")

    def _new_key(self, name: str) -> Path:
        path = self._folder / f"{name}.pem"
        private = ec.generate_private_key(ec.SECP256R1())
        path.write_bytes(
            private.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path

    def key_hash(self) -> bytes:
        key = serialization.load_pem_private_key(self.owner.read_bytes(), None)
        return hashlib.sha256(
            key.public_key().public_bytes(
                serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        ).digest()

    def sign(
        self,
        payload: bytes,
        version: str,
        *,
        key: Path | None = None,
        counter: int = 1,
        needs: str | None = None,
        device_type: str = MPS2_AN386.board,
    ) -> bytes:
        plain, signed = self._folder / "plain.bin", self._folder / "signed.bin"
        plain.write_bytes(payload)
        command = [sys.executable, "-m", "imgtool.main", "sign", "--key", str(key or self.owner)]
        command += ["--public-key-format", "full", "--header-size", "0x40", "--pad-header", "--align", "4"]
        command += ["--slot-size", "0x200000", "--version", version, "--security-counter", str(counter)]
        command += [] if needs is None else ["--dependencies", f"(0, {needs})"]
        command += ["--non-bootable", "--custom-tlv", "0xa0", "0x" + device_type.encode().hex()]
        command += ["--custom-tlv", "0xa1", "0x01", "--custom-tlv", "0xa2", "0x00"]
        command += ["--custom-tlv", "0xa3", "0x" + ABI.to_bytes(2, "little").hex(), str(plain), str(signed)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        return signed.read_bytes()

    def sign_firmware(
        self,
        binary: bytes,
        version: str,
        *,
        key: Path | None = None,
        counter: int = 1,
        ops: bytes | None = None,
    ) -> bytes:
        facts = read_facts(binary)
        place = place_of(facts, MAPS[facts.device_type])
        return ImgtoolSigner(key or self.owner).sign(
            SigningRequest(
                payload=binary,
                kind=ArtifactKind.FIRMWARE,
                device_type=facts.device_type,
                version=version,
                security_counter=counter,
                abi=facts.abi,
                ops=facts.ops if ops is None else ops,
                cores=facts.cores,
                address=place.address,
                in_slot=place.slot is not None,
            )
        )


@dataclass(frozen=True)
class Release:
    """A signed model, cut for the broker."""

    image: bytes
    blob: Blob
    digest: bytes
    version: str

    def want(self, generation: int, **changes: Any) -> Want:
        values: dict[str, Any] = {"trial": Trial(inferences=3)} | changes
        model = self.blob.wanted(image=self.digest, version=self.version)
        return Want(generation=generation, model=model, **values)


def release(image: bytes, version: str) -> Release:
    digest = read_image(image).digest
    assert digest is not None
    return Release(image, cut(image), digest, version)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("workshop"))


@pytest.fixture(scope="session")
def first(workshop: Workshop, board: Board) -> Release:
    image = workshop.sign(livestock("v1", vectors=8), "1.0.0", device_type=board.memory.board)
    return release(image, "1.0.0")


@pytest.fixture(scope="session")
def second(workshop: Workshop) -> Release:
    """About 100 KB, most of it golden vectors."""
    return release(workshop.sign(livestock("v2", vectors=214), "2.0.0"), "2.0.0")


@pytest.fixture(scope="session")
def foreign(workshop: Workshop) -> Release:
    return release(workshop.sign(livestock("v2", vectors=8), "3.0.0", key=workshop.foreign), "3.0.0")


@pytest.fixture(scope="session")
def make_release(workshop: Workshop) -> Callable[[bytes, str], Release]:
    return lambda payload, version: release(workshop.sign(payload, version), version)


@dataclass(frozen=True)
class Board:
    """A machine and the firmware that was built for it."""

    memory: MemoryMap
    build: Path

    @property
    def boot_elf(self) -> Path:
        return self.build / "ports" / self.memory.board.replace("-", "_") / "boot.elf"


BOARD = Path(os.environ.get("TINYFLEET_BOARD_BUILD", ROOT / "build/firmware/mps2-an386"))


def built(path: Path) -> Path:
    if not path.is_file():
        pytest.fail(
            f"no firmware at {path}: in firmware/, run "
            "`cmake --preset BOARD && cmake --build --preset BOARD`, or `make setup`"
        )
    return path


AN386 = Board(MPS2_AN386, BOARD)
AN500 = Board(MPS2_AN500, ROOT / "build/firmware/mps2-an500")


@pytest.fixture(scope="session")
def board(request: pytest.FixtureRequest) -> Board:
    """What the node's fixtures are made for; a test asks for another one by indirect parametrisation."""
    chosen: Board = getattr(request, "param", AN386)
    return chosen


@pytest.fixture(scope="session")
def boot_elf(board: Board) -> Path:
    return built(board.boot_elf)


@pytest.fixture(scope="session")
def node_binary(board: Board) -> bytes:
    return built(board.build / "apps/node/node.bin").read_bytes()


@pytest.fixture(scope="session")
def firmware(workshop: Workshop, node_binary: bytes) -> bytes:
    """The node's firmware as it comes from the factory: a signed image."""
    return workshop.sign_firmware(node_binary, "0.1.0")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path / "broker", {"manager": PASSWORD, DEVICE: PASSWORD}, BROKER_LIMITS)
    server.start()
    yield server
    server.end()


@pytest.fixture
def manager(broker: Mosquitto) -> Iterator[Manager]:
    client = Manager(broker.port)
    yield client
    client.close()


@pytest.fixture
def bare_node(
    boot_elf: Path, workshop: Workshop, firmware: bytes, broker: Mosquitto, tmp_path: Path, board: Board
) -> Iterator[Node]:
    """A node with an erased flash, not started."""
    flash = tmp_path / "flash.bin"
    make_blank_flash(flash)
    machine = board.memory.board
    emulator = EmulatedNode(
        flash=flash,
        kernel=boot_elf,
        state_dir=tmp_path / "node",
        machine=machine,
        sample_line=True,
    )
    yield Node(emulator, flash, broker.port, (workshop.key_hash(),), firmware, board.memory)
    emulator.stop()
    sys.stdout.write(f"--- console of the node\n{emulator.console(since_start=False)}")


@pytest.fixture
def node(bare_node: Node, workshop: Workshop, manager: Manager) -> Node:
    """Provisioned, started, and known to the manager."""
    bare_node.provision()
    bare_node.start()
    manager.wait(Birth)
    return bare_node
