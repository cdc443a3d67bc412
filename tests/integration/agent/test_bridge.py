"""A board without a network in a fleet: the manager, a broker and an agent as people start them, an emulated
microbit behind SWD and its console."""

from __future__ import annotations

import json
import signal
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyocd_qemu import registry
from tests.integration.agent.bench_rig import BENCH_ELF, GOLDEN, Program, tinyfleet
from tests.integration.fleet.conftest import RunningFleet
from tests.models import livestock
from tests.servers import wait_for

from tinyfleet.agent.adapters.emulator import EmulatedNode, make_blank_flash
from tinyfleet.fleet.adapters.signer import ImgtoolSigner
from tinyfleet.fleet.services.ports import SigningRequest
from tinyfleet.wire.artifact import ABI
from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.firmware import FACTS_OFFSET

pytestmark = [pytest.mark.qemu, pytest.mark.broker, pytest.mark.timeout(240)]
BENCH_APP = BENCH_ELF.with_suffix(".bin")
DEVICE, BOARD = "barn-1", "microbit-1"
BENCH = f"""\
agent: bench-1
manager: agent.json
boards:
  - name: {BOARD}
    device_type: microbit
    probe: qemu-microbit-0001
    emulate: microbit
    device: {DEVICE}
"""


class Bench:
    """A fleet, and the agent of one of its boards."""

    def __init__(self, folder: Path, fleet: RunningFleet) -> None:
        self.folder = folder
        self.fleet = fleet
        self.environment = {"TINYFLEET_STATE": str(folder / "state"), "PYTHONUNBUFFERED": "1"}
        self.agent: Program | None = None
        (folder / "bench.yaml").write_text(BENCH)
        credentials, device = folder / "agent.json", folder / f"{DEVICE}.json"
        kind = ("--agent", "bench-1", "--device-type", "microbit", "--site", "barn", "--period", "1")
        for command in (
            ("agent", "register", "bench-1", "--tls", "--out", str(credentials)),
            ("device", "bridge", DEVICE, *kind, "--tls", "--out", str(device)),
        ):
            done = self.fleet.cli(*command)
            assert done.returncode == 0, done.stderr

    def start(self) -> None:
        self.agent = Program(self.folder / "agent.log", self.environment, "agent", "run")
        self.agent.wait_for("watching")

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        if self.agent is not None:
            self.agent.end(number)
        self.agent = None

    def run(self, *arguments: str) -> str:
        done = tinyfleet(self.folder, self.environment, "bench", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def device(self) -> dict[str, object]:
        return self.fleet.client.device(DEVICE).device.model_dump()

    def runs(self) -> tuple[object, object, object]:
        """Image and version of its app, and its model."""
        birth = self.fleet.client.device(DEVICE).birth
        assert birth is not None
        return birth["firmware"].get("image"), birth["firmware"]["version"], self.device()["model"]

    def is_now(self, state: str) -> None:
        wait_for(f"{DEVICE} to be {state}", lambda: self.device()["state"] == state)

    def release(self, version: str) -> str:
        """The image's digest."""
        made = self.fleet.client.create_release(livestock(version, vectors=4), device_type="microbit")
        return made.artifacts[0].image

    def rolled_out(self, version: str | None = None, name: str = "livestock") -> int:
        return self.fleet.client.start_rollout(name, version).id

    def newest(self) -> str:
        return max(self.fleet.client.releases(), key=lambda each: each.id).version

    def path_of(self, rollout: int) -> list[str]:
        """The update's states, as the manager stored them."""
        transitions = self.fleet.client.device(DEVICE).transitions
        return [each["update"] for each in transitions if each["rollout"] == rollout and each["update"]][::-1]

    def is_deferred(self, rollout: int, why: str) -> None:
        def there() -> bool:
            (deployment,) = self.fleet.client.rollout(rollout).deployments
            return deployment.update == "DEFERRED" and why in deployment.detail

        wait_for(f"rollout {rollout} to wait as the board is {why}", there)

    def recorded(self) -> str:
        """The update's state as it is on the agent's disk."""
        path = self.folder / "state" / "agent" / "bridge" / DEVICE / "record.json"
        return str(json.loads(path.read_text())["state"])

    def inferences(self) -> float:
        lines = self.fleet.client.metrics().splitlines()
        found = [line for line in lines if line.startswith("tinyfleet_inferences_total{")]
        return sum(float(line.rpartition(" ")[2]) for line in found)

    def ends(self, rollout: int, state: str) -> None:
        wait_for(f"rollout {rollout} to be {state}", lambda: self.fleet.rollout_state(rollout) == state)


def later(app: bytes, patch: int, says: int | None = None) -> bytes:
    """The bench app as another version of itself; `says`: what it says of itself once it runs."""
    told = patch if says is None else says
    changed = bytearray(app.replace(b"bench 0.1.0", b"bench 0.1.%d" % told))
    struct.pack_into("<H", changed, FACTS_OFFSET + 26, patch)
    return bytes(changed)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    fleet = RunningFleet(tmp_path_factory.mktemp("fleet") / "state", "--no-prometheus")
    yield fleet
    fleet.stop()


@pytest.fixture
def bench(tmp_path: Path, fleet: RunningFleet, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    if not BENCH_ELF.is_file():
        pytest.fail(f"there is no {BENCH_ELF}: build the firmware with `make setup`")
    monkeypatch.delenv(registry.ROOT_VARIABLE, raising=False)
    bench = Bench(tmp_path, fleet)
    yield bench
    bench.end()


def test_a_board_without_a_network_gets_releases_like_any_device(bench: Bench, tmp_path: Path) -> None:
    bench.start()
    bench.run("flash", BOARD, "--firmware", str(BENCH_ELF))
    bench.is_now("ONLINE")
    found = bench.device()
    assert (found["via"], found["emulated"], found["site"], found["model"]) == ("bench-1", True, "barn", None)
    listed = bench.fleet.cli("devices").stdout
    assert "microbit (emulated, bridged by bench-1)" in listed

    v1 = bench.release("v1")
    first = bench.rolled_out()
    bench.ends(first, "SUCCEEDED")
    assert bench.device()["model"] == v1
    assert bench.path_of(first) == ["OFFERED", "DOWNLOADING", "VERIFIED", "STAGED", "TRIAL", "CONFIRMED"]

    # Whoever runs inferences on it: they are the device's.
    signed = next(p for p in bench.fleet.state.blobs.iterdir() if bytes.fromhex(v1) in p.read_bytes())
    ran = bench.run(
        *("run", BOARD, "--model", str(signed), "--golden", str(GOLDEN), "--windows", "20", "--json")
    )
    assert json.loads(ran)["model"] == v1
    wait_for("20 inferences", lambda: bench.inferences() == 20)
    assert 'tinyfleet_bridged_devices{agent="bench-1",state="ONLINE"} 1.0' in bench.fleet.client.metrics()

    image = tmp_path / "foreign.bin"
    image.write_bytes(
        ImgtoolSigner(tmp_path / "foreign.pem").sign(
            SigningRequest(
                payload=livestock("v2", vectors=4),
                kind=ArtifactKind.MODEL,
                device_type="microbit",
                version="9.0.0",
                security_counter=1,
                core=0,
                abi=ABI,
            )
        )
    )
    taken = bench.fleet.cli("release", "import", "--image", str(image), "--allow-foreign")
    assert taken.returncode == 0, taken.stderr
    foreign = bench.rolled_out("9.0.0")
    bench.ends(foreign, "FAILED")
    assert bench.fleet.client.rollout(foreign).rollout.why == "1 of 1 devices: result 73 SIGNATURE"
    assert bench.device()["model"] == v1, "nothing was flashed"

    # Its app, too; one that is not what was signed is taken back.
    app = BENCH_APP.read_bytes()
    apps = bench.fleet.client.create_release_set([later(app, 1)], device_type="microbit", name="apps")
    good = bench.rolled_out(name="apps")
    bench.ends(good, "SUCCEEDED")
    assert bench.path_of(good) == ["OFFERED", "DOWNLOADING", "VERIFIED", "STAGED", "TRIAL", "CONFIRMED"]
    newer = (apps.artifacts[0].image, "0.1.1", v1)
    assert bench.runs() == newer
    bench.fleet.client.create_release_set([later(app, 2, says=1)], device_type="microbit", name="apps")
    bad = bench.rolled_out("0.1.2", name="apps")
    bench.ends(bad, "FAILED")
    assert bench.fleet.client.rollout(bad).rollout.why == "1 of 1 devices: result 77 BOOT_FAILED"
    assert bench.runs() == newer, "the board has the app before"

    # Somebody has the board; then the agent dies, before the trial and in it.
    bench.run("reserve", BOARD, "--for", "10m", "--as", "ann")
    v2 = bench.release("v2")
    second = bench.rolled_out(bench.newest())
    bench.is_deferred(second, "reserved by ann")
    bench.end(signal.SIGKILL)
    bench.is_now("LOST")
    bench.start()
    bench.run("release", BOARD, "--as", "ann")
    wait_for("the trial", lambda: bench.recorded() in ("TRIAL", "CONFIRMED"))
    bench.end(signal.SIGKILL)
    bench.start()
    bench.ends(second, "SUCCEEDED")
    bench.is_now("ONLINE")
    assert bench.device()["model"] == v2
    bench.end()
    bench.is_now("LOST")


FIRMWARE = BENCH_ELF.parents[3] / "mps2-an386"
OFF_THE_NET = ("--node-host", "10.0.2.99")
BARN = ("--agent", "bench-2", "--device-type", "mps2-an386", "--period", "1")
NODE_BENCH = """\
agent: bench-2
manager: agent.json
boards:
  - {{name: node-1, device_type: mps2-an386, smp: serial, console: {console}, device: barn-2}}
"""


def test_a_node_without_a_network_gets_releases_by_smp(tmp_path: Path, fleet: RunningFleet) -> None:
    """Its own engine verifies, tries and confirms; its broker is nowhere."""
    kernel = FIRMWARE / "ports" / "mps2_an386" / "boot.elf"
    flash, credentials = tmp_path / "flash.bin", tmp_path / "agent.json"
    make_blank_flash(flash)
    node = EmulatedNode(flash=flash, kernel=kernel, state_dir=tmp_path / "node", typing=True)
    environment = {"TINYFLEET_STATE": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1"}
    agent: Program | None = None
    try:
        for command in (
            ("release", "create", "--firmware", str(FIRMWARE / "apps/node/node.bin"), "--name", "fw"),
            ("device", "provision", "barn-2", "--flash", str(flash), *("--firmware", "fw"), *OFF_THE_NET),
            ("agent", "register", "bench-2", "--out", str(credentials)),
            ("device", "bridge", "barn-2", *BARN, "--out", str(tmp_path / "barn-2.json")),
        ):
            done = fleet.cli(*command)
            assert done.returncode == 0, done.stderr
        node.start()
        (tmp_path / "bench.yaml").write_text(NODE_BENCH.format(console=node.tty()))
        agent = Program(tmp_path / "agent.log", environment, "agent", "run")
        agent.wait_for("watching")
        wait_for("it to be online", lambda: fleet.client.device("barn-2").device.state == "ONLINE")
        birth = fleet.client.device("barn-2").birth
        assert birth is not None
        assert (birth["via"], birth["emulated"], birth.get("model")) == ("bench-2", True, None)
        made = fleet.client.create_release(
            livestock("v1", vectors=4), device_type="mps2-an386", name="byline"
        )
        rollout = fleet.client.start_rollout("byline").id
        wait_for("the rollout to end", lambda: fleet.rollout_state(rollout) != "RUNNING")
        assert fleet.rollout_state(rollout) == "SUCCEEDED", fleet.client.rollout(rollout)
        model = made.artifacts[0].image
        assert fleet.client.device("barn-2").device.model == model

        # Firmware, too: no broker ever hears it, so the agent does, once its golden vectors have passed.
        binary = (FIRMWARE / "apps/node/node.bin").read_bytes()
        fleet.client.create_release_set([binary], device_type="mps2-an386", name="fw", version="0.2.0")
        rollout = fleet.client.start_rollout("fw", "0.2.0").id
        wait_for("the rollout to end", lambda: fleet.rollout_state(rollout) != "RUNNING", 60)
        assert fleet.rollout_state(rollout) == "SUCCEEDED", fleet.client.rollout(rollout)
        device = fleet.client.device("barn-2").device
        assert (device.firmware_version, device.model) == ("0.2.0", model)
        assert "connected" not in (tmp_path / "node" / "console.log").read_text()
    finally:
        if agent is not None:
            agent.end()
        node.kill()
