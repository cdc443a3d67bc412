"""The demo's stage: what runs, and the steps of the main job, each checked through a public door."""

from __future__ import annotations

import contextlib
import math
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pyocd_qemu.process import end_stranded

from examples.demo.bench import BENCH_ELF, Bench
from examples.demo.programs import Background, DemoError, Ending, Programs, end_commands
from examples.demo.prometheus import Prometheus
from tinyfleet.agent.adapters.emulator import EmulatedNode
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.fleet.adapters.process import end_leftover
from tinyfleet.fleet.adapters.signer import ImgtoolSigner
from tinyfleet.fleet.api.schemas import RolloutDetailOut
from tinyfleet.fleet.client import FleetClient
from tinyfleet.fleet.config import FILE
from tinyfleet.fleet.services.ports import SigningRequest
from tinyfleet.fleet.state import Endpoints, State
from tinyfleet.wire.artifact import ABI, decode_artifact
from tinyfleet.wire.enums import ArtifactKind, Result

ROOT = Path(__file__).resolve().parents[2]
LIVESTOCK = ROOT / "examples" / "livestock"
BOARD = ROOT / "build" / "firmware" / "mps2-an386-tls"
BOOT_ELF = BOARD / "ports" / "mps2_an386" / "boot.elf"
NODE_BIN = BOARD / "apps" / "node" / "node.bin"
FIRMWARE = "node-firmware"
NODES = ("pasture-1", "pasture-2")
SITE = "pasture"
WAYS = {"RAW": "as it is", "COMPRESSED": "compressed", "DELTA": "as a delta"}
MODEL = "livestock"
# Whatever it is called: nodes have no meter, and the bench board's is simulated and says so.
NODES_ENERGY = '{__name__=~".*(energy|joule).*",simulated!="true"}'
REPORT_PERIOD_S = 1
WINDOW_MS = 250
ROLLOUT_S = 60.0
# A demo begins with nothing, so it empties its folder: only one that bears this file.
MARKER = ".demo"
ELF_MAGIC = b"\x7fELF"
FREE_BYTES_NEEDED = 100_000_000
FREE_BYTES_KEPT = 1_000_000

Tell = Callable[[str], None]


def end_stragglers(folder: Path) -> None:
    """Ends, by pid, what somebody killed by force left running in a demo's state folder."""
    end_commands(folder)
    for pid_file in (folder / "run").glob("*.json"):
        end_leftover(pid_file)
    for board in [*(folder / "nodes").glob("*"), *(folder / "agent" / "boards").glob("*")]:
        end_stranded(board)


def empty_folder(folder: Path) -> None:
    """Makes the state folder anew, ending what a killed demo left running in it.

    Raises DemoError for a folder that no demo made, and a disk without room.
    """
    marker = folder / MARKER
    if folder.exists() and not marker.exists():
        raise DemoError(f"{folder} exists and no demo made it; choose another with --folder")
    end_stragglers(folder)
    try:
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        marker.touch()
    except OSError as error:
        raise DemoError(f"cannot make {folder} anew: {error}; choose another with --folder") from error
    expect_room(folder, FREE_BYTES_NEEDED)


def expect_room(folder: Path, needed_bytes: int) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        raise DemoError(
            f"only {free_bytes // 1_000_000} MB are free on the disk of {folder}; "
            f"make room ({FREE_BYTES_NEEDED // 1_000_000} MB), or choose another with --folder"
        )


def expect_elf(path: Path) -> None:
    """Raises DemoError when there is no firmware: make takes whatever is newer than its sources for built."""
    try:
        with path.open("rb") as file:
            whole = file.read(len(ELF_MAGIC)) == ELF_MAGIC
    except OSError:
        whole = False
    if not whole:
        raise DemoError(f"{path} is no firmware; `make clean`, then the demo again, builds it anew")


class Chain:
    """Owns everything the demo starts; `stop` ends it all."""

    def __init__(
        self,
        folder: Path,
        nodes: Sequence[str] = NODES,
        *,
        with_prometheus: bool = True,
        ending: Ending | None = None,
    ) -> None:
        self.folder = folder
        self.names = tuple(nodes)
        self.ending = ending or Ending()
        self._programs = Programs(folder, self.ending)
        self.first_inference_s = float("nan")
        self._began_s = time.monotonic()
        self._stack = contextlib.ExitStack()
        self._with_prometheus = with_prometheus
        self._nodes: list[EmulatedNode] = []
        self._fleet: Background | None = None
        self._bench = Bench(self._programs)
        self._prometheus: Prometheus | None = None

    def stop(self) -> None:
        """Ends all of it; nothing of another demo, which may have the folder."""
        self._stack.close()

    def check(self) -> None:
        """Raises DemoError when something that should run does not, or the disk is full."""
        if self.folder.exists():
            expect_room(self.folder, FREE_BYTES_KEPT)
        if self._fleet is not None:
            self._fleet.check()
        self._bench.check()
        try:
            for node in self._nodes:
                node.check()
        except AgentError as error:
            raise DemoError(str(error)) from error

    @property
    def nodes(self) -> tuple[EmulatedNode, ...]:
        """Those started so far."""
        return tuple(self._nodes)

    @property
    def endpoints(self) -> Endpoints:
        return State(self.folder).endpoints()

    @property
    def prometheus(self) -> Prometheus:
        if self._prometheus is None:
            address = self.endpoints.prometheus
            if address is None:
                raise DemoError("this fleet runs without Prometheus")
            self._prometheus = Prometheus(address)
            self._stack.callback(self._prometheus.close)
        return self._prometheus

    @contextlib.contextmanager
    def client(self) -> Iterator[FleetClient]:
        with FleetClient.of_state(self.folder) as client:
            yield client

    @property
    def bench_metrics(self) -> str:
        """Address of the agent's metrics."""
        return self._bench.metrics

    def bench(self, tell: Tell) -> None:
        self._stack.callback(self._bench.stop)
        self._bench.play(tell)

    def bench_energy(self, tell: Tell) -> None:
        self._bench.see_energy(self.prometheus if self._with_prometheus else None, tell)

    # Steps: each tells its progress, returns nothing, raises DemoError.

    def start_fleet(self, tell: Tell) -> None:
        tell("mosquitto, manager and Prometheus on free loopback ports")
        for elf in (BOOT_ELF, BENCH_ELF):
            expect_elf(elf)
        empty_folder(self.folder)
        # Last of all: an agent that was killed leaves its board running.
        self._stack.callback(end_stragglers, self.folder)
        monitoring = ("--scrape-interval", "1") if self._with_prometheus else ("--no-prometheus",)
        with self._bench.address():
            (self.folder / FILE).write_text(f'agents = "{self._bench.metrics}"\n')
            self._fleet = Background(
                "tinyfleet up",
                ["up", "--state", self.folder, *monitoring],
                self.folder / "up.log",
                self.folder,
            )
            self._stack.callback(self._fleet.stop)
            path = self.folder / "endpoints.json"
            self._programs.wait_until(path.exists, 30, "`tinyfleet up`")
        tell(f"API {self.endpoints.api}, broker port {self.endpoints.broker_port}")

    def start_nodes(self, tell: Tell) -> None:
        tell("the nodes' firmware, signed with the fleet's new key")
        self._programs.run("release", "create", "--firmware", NODE_BIN, "--name", FIRMWARE)
        for name in self.names:
            tell(f"{name}: keys, configuration, firmware and recorded windows into its flash")
            flash = self.folder / "nodes" / name / "flash.bin"
            self._programs.run(
                *("device", "provision", name, "--flash", flash, "--site", SITE, "--firmware", FIRMWARE),
                *("--period", str(REPORT_PERIOD_S), "--window-ms", str(WINDOW_MS), "--tls"),
                *("--replay", LIVESTOCK / "replay.npz", "--replay-card", LIVESTOCK / "livestock_v1.json"),
            )
            node = EmulatedNode(flash=flash, kernel=BOOT_ELF, state_dir=flash.parent, name=name)
            try:
                node.start()
            except AgentError as error:
                raise DemoError(str(error)) from error
            self._stack.callback(node.stop)
            self._nodes.append(node)
        with self.client() as client:
            self._programs.wait_until(
                lambda: sum(each.state == "ONLINE" for each in client.devices()) == len(self.names),
                30,
                "both nodes ONLINE",
            )
            firmware = {each.firmware_version for each in client.devices()}
        tell(f"{' and '.join(self.names)} online, firmware {', '.join(sorted(filter(None, firmware)))}")

    def release(self, number: int, tell: Tell) -> None:
        """Compiles and signs version `number` of the example and rolls it out until both nodes confirm."""
        version = f"{number}.0.0"
        tell("compiling and signing")
        plan = self.folder / f"{MODEL}-{version}.plan"
        card = LIVESTOCK / f"livestock_v{number}.json"
        self._programs.run("model", "build", card, "--out", plan)
        made = self._programs.run_json("release", "create", "--model", plan)
        detail = self.rollout(version, tell)
        if detail.rollout.state != "SUCCEEDED":
            raise DemoError(f"rollout of {version} is {detail.rollout.state}: {detail.rollout.why}")
        self._expect_model(made["artifacts"][0]["image"])
        size = made["artifacts"][0]["size_bytes"]
        sent = ", ".join(f"{each.size_bytes} on air {WAYS[each.encoding]}" for each in detail.transfers)
        tell(f"{len(self.names)} of {len(self.names)} nodes CONFIRMED {version}, {size} bytes each, {sent}")

    def see_inferences(self, version: str, tell: Tell) -> None:
        """Waits until Prometheus holds inferences of `version` that grow, with latencies and no energy."""
        tell(f"asking Prometheus at {self.endpoints.prometheus}")
        count = f'tinyfleet_inferences_total{{model="{MODEL}",model_version="{version}"}}'
        self._programs.wait_until(
            lambda: self.prometheus.total(count) > 0, 20, f"inferences of {version} in Prometheus"
        )
        if math.isnan(self.first_inference_s):
            self.first_inference_s = time.monotonic() - self._began_s
        before = self.prometheus.total(count)
        self._programs.wait_until(
            lambda: self.prometheus.total(count) > before, 20, f"more inferences of {version}"
        )
        series = self.prometheus.query("tinyfleet_inference_duration_seconds_count")
        if not series or any(labels.get("timing") != "instructions" for labels, _ in series):
            raise DemoError('latency series are absent or lack timing="instructions"')
        if energy := self.prometheus.query(NODES_ENERGY):
            raise DemoError(f"Prometheus has energy of nodes although they have no meter: {energy}")
        tell(f"{self.prometheus.total(count):.0f} inferences of {version}; latency counts instructions")

    def refuse_foreign(self, tell: Tell) -> None:
        """Rolls out an image signed by a key of somebody else; the nodes must refuse it and go on."""
        tell("signing version 3 with a key that no node trusts")
        with self.client() as client:
            before = {each.id: each.model for each in client.devices()}
        payload = (self.folder / f"{MODEL}-2.0.0.plan").read_bytes()
        image = ImgtoolSigner(self.folder / "foreign" / "signing.pem").sign(
            SigningRequest(
                payload=payload,
                version="3.0.0",
                security_counter=0,
                device_type="mps2-an386",
                kind=ArtifactKind.MODEL,
                core=decode_artifact(payload).core,
                abi=ABI,
            )
        )
        path = self.folder / "foreign" / "image.bin"
        path.write_bytes(image)
        self._programs.run("release", "import", "--image", path, "--allow-foreign")
        detail = self.rollout("3.0.0", tell)
        results = {each.result_code for each in detail.deployments}
        if detail.rollout.state != "FAILED" or results != {int(Result.SIGNATURE)}:
            raise DemoError(
                f"rollout 3 is {detail.rollout.state} with results {results}, expected FAILED and 73"
            )
        with self.client() as client:
            after = {each.id: each.model for each in client.devices()}
        if after != before:
            raise DemoError(f"after the refusal the nodes run {after}, expected {before}")
        tell(f"rollout FAILED: {detail.rollout.why}; both still run 2.0.0")

    # How a step looks at the world.

    def rollout(self, version: str, tell: Tell, *options: str) -> RolloutDetailOut:
        begun = self._programs.run_json("rollout", "start", MODEL, version, *options)
        with self.client() as client:
            detail = client.rollout(begun["id"])

            def ended() -> bool:
                nonlocal detail
                detail = client.rollout(begun["id"])
                tell(", ".join(f"{each.device} {each.update or each.state}" for each in detail.deployments))
                return detail.rollout.state != "RUNNING"

            self._programs.wait_until(ended, ROLLOUT_S, f"the end of the rollout of {version}")
        return detail

    def _expect_model(self, image: str) -> None:
        with self.client() as client:
            self._programs.wait_until(
                lambda: all(each.model == image for each in client.devices()),
                10,
                "both births with the new model",
            )
