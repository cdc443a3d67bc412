"""`make soak`: power cuts (`kill -9` of QEMU) at random moments of real updates over a real broker.

Firmware, models, and both at once. After every cut the node starts again; every update ends confirmed, or
gone back from where its trial was cut off too often, and is then wanted again.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.integration.node.conftest import (
    BOARD,
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
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import Birth, Want

SETTLED_S = 90.0
# From an update's want to its end it takes a node some 0.7 s here, its start 0.1 s.
KILL_WITHIN_S = 0.9


@dataclass
class Count:
    kills: int = 0
    updates: int = 0
    reverted: int = 0


class Soak:
    def __init__(self, folder: Path, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a seed that is told makes a run repeatable
        self._stack = contextlib.ExitStack()
        workshop = Workshop(folder)
        binary = built(BOARD / "apps/node/node.bin").read_bytes()
        self._firmwares = [release(workshop.sign_firmware(binary, f"0.{i}.0"), f"0.{i}.0") for i in (1, 2)]
        self._models = [
            release(workshop.sign(livestock(f"v{i}", vectors=60), f"{i}.0.0"), f"{i}.0.0") for i in (1, 2)
        ]
        broker = Mosquitto(folder / "broker", {"manager": PASSWORD, DEVICE: PASSWORD}, BROKER_LIMITS)
        broker.start()
        self._stack.callback(broker.end)
        self._manager = Manager(broker.port)
        self._stack.callback(self._manager.close)
        emulator = EmulatedNode(
            flash=folder / "flash.bin",
            kernel=built(BOARD / "ports/mps2_an386/boot.elf"),
            state_dir=folder / "node",
        )
        self._stack.callback(emulator.stop)
        self._node = Node(
            emulator, folder / "flash.bin", broker.port, (workshop.key_hash(),), self._firmwares[0].image
        )
        self._generation = 0
        self.count = Count()

    def __enter__(self) -> Soak:
        self._node.provision(keepalive_s=5)
        self._node.start()
        for each in (*self._firmwares, *self._models):
            self._manager.blob(each.blob)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def run(self, kills: int) -> Iterator[Count]:
        """Updates until so many cuts were made, telling the count after each. AssertionError at a node that
        does not come back, or ends with something else than it should.
        """
        while self.count.kills < kills:
            which = self._random.randrange(3)
            firmware = self._firmwares[(self.count.updates + 1) % 2] if which != 1 else None
            model = self._models[self.count.updates % 2] if which != 0 else None
            while not self._update(firmware, model, self._random.randint(1, 3)):
                self.count.reverted += 1
            self.count.updates += 1
            yield self.count

    def _update(self, firmware: Release | None, model: Release | None, kills: int) -> bool:
        """One want, with cuts on its way. False: gone back from."""
        self._generation += 1
        self._manager.want(
            Want(
                generation=self._generation,
                firmware=firmware and firmware.blob.wanted(image=firmware.digest, version=firmware.version),
                model=model and model.blob.wanted(image=model.digest, version=model.version),
            )
        )
        for _ in range(kills):
            time.sleep(self._random.random() * KILL_WITHIN_S)
            self._node.emulator.kill()
            self.count.kills += 1
            self._manager.forget()
            self._node.start()
        birth = self._manager.wait(
            Birth, lambda b: b.generation == self._generation and b.state >= UpdateState.CONFIRMED, SETTLED_S
        )
        if birth.state is UpdateState.REVERTED:
            assert birth.result is Result.BOOT_FAILED, birth
            return False
        assert birth.state is UpdateState.CONFIRMED, birth
        assert firmware is None or birth.firmware.image == firmware.digest
        assert model is None or (birth.model is not None and birth.model.image == model.digest)
        return True


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tinyfleet-soak-") as folder,
        Soak(Path(folder), options.seed) as soak,
    ):
        for count in soak.run(options.kills):
            print(f"\r{count.kills} kills, {count.updates} updates, {count.reverted} gone back from", end="")
    print(f"\nseed {options.seed}: 0 bricks")
    return 0


if __name__ == "__main__":
    sys.exit(main())
