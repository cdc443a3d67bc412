"""Bytes on air of a model and of a firmware: as they are, compressed, as deltas; and what a cut costs.

One node on QEMU, a real mosquitto, bytes as the node counts them (MQTT both ways, TCP's and IP's own not
among them). The encodings are the manager's own.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.bench.report import Figure
from tests.integration.node.conftest import (
    AN386,
    BROKER_LIMITS,
    DEVICE,
    PASSWORD,
    Manager,
    Node,
    Release,
    Workshop,
    built,
    release,
)
from tests.models import livestock
from tests.servers import Mosquitto
from tinyfleet.agent.adapters.emulator import EmulatedNode
from tinyfleet.fleet.adapters.encodings import Encodings
from tinyfleet.wire.blobs import cut
from tinyfleet.wire.enums import Encoding, UpdateState
from tinyfleet.wire.image import read_image
from tinyfleet.wire.messages import Birth, Status, Want

VECTORS = 214  # make a model of about 100 KB
SAVED_BAR = 0.9
CUT_AFTER_GROUPS = 2


def compressed(made: Release) -> Release:
    packed = Encodings().compress(made.image)
    return replace(made, blob=cut(packed, encoding=Encoding.COMPRESSED, image_bytes=len(made.image)))


def delta(made: Release, base: Release) -> Release:
    covered = base.image[: read_image(base.image).header.hashed_bytes]
    patch = Encodings().delta(made.image, covered)
    return replace(
        made,
        blob=cut(patch, encoding=Encoding.DELTA, image_bytes=len(made.image), base=base.digest),
    )


class Bench:
    """A node that was just provisioned, and what it says of each update."""

    def __init__(self, node: Node, manager: Manager) -> None:
        self._node = node
        self._manager = manager
        self._generation = 0

    def want(self, made: Release, *, firmware: bool = False) -> int:
        self._generation += 1
        named = made.blob.wanted(image=made.digest, version=made.version)
        if firmware:
            self._manager.want(Want(generation=self._generation, firmware=named))
        else:
            self._manager.want(Want(generation=self._generation, model=named))
        return self._generation

    def install(self, made: Release, *, firmware: bool = False) -> int:
        """Bytes on air until it was verified."""
        self._manager.blob(made.blob)
        generation = self.want(made, firmware=firmware)
        return self.cost(generation)

    def cost(self, generation: int) -> int:
        verified = self._told(lambda s: s.generation == generation and s.state >= UpdateState.VERIFIED)
        self._manager.wait(Birth, lambda b: b.generation == generation and b.state is UpdateState.CONFIRMED)
        if verified.transfer is None:
            raise RuntimeError(f"the node told no transfer of generation {generation}: {verified}")
        return verified.transfer.mqtt_rx_bytes + verified.transfer.mqtt_tx_bytes

    def cut(self, made: Release, groups: int) -> tuple[int, int]:
        """Bytes on air after a power cut behind so many groups, and bytes that were missing then."""
        self._manager.blob(made.blob, range(groups + 1))
        generation = self.want(made)
        done = groups * 16 * 1024
        self._told(lambda s: s.generation == generation and s.offset_bytes >= done)
        self._node.emulator.kill()
        self._manager.forget()
        self._manager.blob(made.blob)
        self._node.start()
        return self.cost(generation), len(made.blob.transported) - done

    def _told(self, condition: Callable[[Status], bool]) -> Status:
        return self._manager.wait(Status, condition)


def transfers() -> list[Figure]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyfleet-bench-")))
        workshop = Workshop(folder)
        binary = built(AN386.build / "apps/node/node.bin").read_bytes()
        factory = release(workshop.sign_firmware(binary, "0.1.0"), "0.1.0")
        broker = Mosquitto(folder / "broker", {"manager": PASSWORD, DEVICE: PASSWORD}, BROKER_LIMITS)
        broker.start()
        stack.callback(broker.end)
        manager = Manager(broker.port)
        stack.callback(manager.close)
        emulator = EmulatedNode(
            flash=folder / "flash.bin", kernel=built(AN386.boot_elf), state_dir=folder / "node"
        )
        stack.callback(emulator.stop)
        node = Node(emulator, folder / "flash.bin", broker.port, (workshop.key_hash(),), factory.image)
        node.provision()
        node.start()
        manager.wait(Birth)
        bench = Bench(node, manager)
        return [*_models(bench, workshop), *_firmware(bench, workshop, factory, binary)]


def _models(bench: Bench, workshop: Workshop) -> list[Figure]:
    def model(which: str, version: str, vectors: int = VECTORS) -> Release:
        return release(workshop.sign(livestock(which, vectors=vectors, version=version), version), version)

    # Each with a version of its own: what a slot still holds would cost nothing.
    raw, packed = model("v2", "2.0.0"), compressed(model("v2", "2.0.1"))
    full = bench.install(raw)
    squeezed = bench.install(packed)
    one_more = model("v2", "2.0.2", VECTORS + 1)
    close = bench.install(delta(one_more, packed))
    other = model("v1", "1.0.0")
    far = bench.install(delta(other, one_more))
    again, missing = bench.cut(model("v2", "2.0.3"), CUT_AFTER_GROUPS)
    packed_again, packed_missing = bench.cut(compressed(model("v2", "2.0.4")), CUT_AFTER_GROUPS)
    image = len(raw.image)
    return [
        Figure("model: image", image, "bytes"),
        Figure("model: on air, as it is", full, "bytes"),
        _against("model: on air, compressed", squeezed, full),
        _against("model: on air, delta, one golden vector more", close, full, SAVED_BAR),
        _against(f"model: on air, delta, another network ({len(other.image)} bytes)", far, full),
        Figure("model: on air after a cut at 32 KiB, beyond what was missing", again - missing, "bytes"),
        Figure("likewise, compressed", packed_again - packed_missing, "bytes"),
    ]


def _firmware(bench: Bench, workshop: Workshop, factory: Release, binary: bytes) -> list[Figure]:
    def firmware(version: str, content: bytes) -> Release:
        return release(workshop.sign_firmware(content, version), version)

    raw = firmware("0.2.0", binary)
    full = bench.install(raw, firmware=True)
    packed = compressed(firmware("0.3.0", binary))
    squeezed = bench.install(packed, firmware=True)
    patched = bench.install(delta(firmware("0.4.0", binary), packed), firmware=True)
    return [
        Figure("firmware: image", len(factory.image), "bytes"),
        Figure("firmware: on air, as it is", full, "bytes"),
        _against("firmware: on air, compressed", squeezed, full),
        _against("firmware: on air, delta, the same code under a new version", patched, full, SAVED_BAR),
    ]


def _against(metric: str, value: int, full: int, bar: float | None = None) -> Figure:
    """`bar`: share of the full transfer that must be saved."""
    ratio = value / full
    if bar is None:
        return Figure(metric, value, "bytes", "as it is", ratio)
    return Figure(metric, value, "bytes", "as it is", ratio, f"≤ {1 - bar:.2f}", ratio <= 1 - bar)
