"""Blank boards become devices of a real manager: `bench provision` and `tinyfleet up`, on emulated nodes."""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from pyocd_qemu import registry
from pyocd_qemu.board import CONSOLE_LOG_NAME
from tests.integration.fleet.conftest import RunningFleet
from tests.servers import wait_for

from tinyfleet.agent.adapters.emulated_boards import EmulatedBoards
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.provisioning import Step
from tinyfleet.wire.memory_map import MPS2_AN386
from tinyfleet.wire.messages import NodeConfig
from tinyfleet.wire.records import decode_record

pytestmark = [pytest.mark.qemu, pytest.mark.broker]
ROOT = Path(__file__).resolve().parents[3]
BUILD = ROOT / "build/firmware/mps2-an386-tls"
TYPE = "mps2-an386"
PROBES = ("qemu-mps2-an386-0001", "qemu-mps2-an386-0002")
LIMIT_S = 100


class Bench:
    """Two blank nodes with probes, a manager with a firmware, and the command that joins them."""

    def __init__(self, fleet: RunningFleet, folder: Path) -> None:
        self.fleet = fleet
        self.state = fleet.folder
        self.folders = Folders(self.state)
        self.tokens = folder / "tokens.txt"
        self.file = folder / "bench.yaml"
        self.file.write_text(
            "agent: line\nboards:\n"
            + "".join(
                f"  - {{name: left{n}, device_type: {TYPE}, probe: {p}}}\n" for n, p in enumerate(PROBES)
            )
        )

    def token(self, *options: str) -> None:
        self.tokens.unlink(missing_ok=True)
        words = ("device", "token", "--device-type", TYPE, "--firmware", "node", "--out", str(self.tokens))
        done = self.fleet.cli(*words, *options)
        assert done.returncode == 0, done.stderr
        assert self.tokens.stat().st_mode & 0o077 == 0

    def command(self, *options: str) -> list[str]:
        return [
            *(sys.executable, "-m", "tinyfleet", "bench", "provision", "--tokens", str(self.tokens)),
            *("--bench", str(self.file), "--state", str(self.state), "--json", *options),
        ]

    def provision(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*options), capture_output=True, text=True, timeout=LIMIT_S, check=False
        )

    def flash(self, probe: str) -> bytes:
        return (registry.root() / probe / registry.FLASH_NAME).read_bytes()

    def config(self, probe: str) -> NodeConfig:
        region = MPS2_AN386["config_a"]
        return decode_record(NodeConfig, self.flash(probe)[region.offset : region.end])

    def console(self, probe: str) -> str:
        return (registry.root() / probe / CONSOLE_LOG_NAME).read_text(errors="replace")

    def devices(self) -> list[str]:
        return [each.id for each in self.fleet.client.devices()]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    fleet = RunningFleet(folder / "state", "--no-prometheus")
    made = Bench(fleet, folder)
    binary = BUILD / "apps/node/node.bin"
    assert binary.is_file(), "build the firmware: `make setup`"
    released = fleet.cli(
        *("release", "create", "--firmware", str(binary), "--name", "node", "--version", "1.0.0")
    )
    assert released.returncode == 0, released.stderr
    before = os.environ.get(registry.ROOT_VARIABLE)
    os.environ[registry.ROOT_VARIABLE] = str(folder / "boards")
    try:
        with EmulatedBoards() as boards:
            for probe in PROBES:
                kernel = BUILD / "ports/mps2_an386/boot.elf"
                boards.start(probe, TYPE, kernel=kernel, network=True)
            yield made
    finally:
        fleet.stop()
        os.environ.pop(registry.ROOT_VARIABLE)
        if before is not None:
            os.environ[registry.ROOT_VARIABLE] = before


@pytest.fixture(scope="module")
def provisioned(bench: Bench) -> subprocess.CompletedProcess[str]:
    """What the command said as it made devices of both boards."""
    bench.token("--count", "2", "--site", "barn")
    done = bench.provision("--count", "2")
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def killed_at(bench: Bench) -> Callable[[Step, str], None]:
    """Runs the command for a board and kills it, without a word, as it begins a step."""

    def kill(step: Step, board: str) -> None:
        kept = bench.folders.provisioning / f"{board}.json"
        child = subprocess.Popen(
            bench.command("--boards", board), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        try:

            def begun() -> bool:
                assert child.poll() is None, child.communicate()
                try:
                    return bool(json.loads(kept.read_text())["step"] == step.value)
                except (OSError, ValueError):
                    return False

            wait_for(f"{board} to be at {step.value}", begun)
        finally:
            child.send_signal(signal.SIGKILL)
            child.communicate(timeout=10)

    return kill


def holders(folder: Path, secret: bytes) -> list[Path]:
    """Files that hold these bytes: as they are, as hex, as base64."""
    encoded = base64.b64encode(secret).rstrip(b"=")
    forms = (secret, secret.hex().encode(), secret.hex().upper().encode(), encoded[:-1])
    found = []
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if any(form in data for form in forms):
                found.append(path)
    return found


def test_blank_boards_become_devices_and_their_keys_are_nowhere_else(
    bench: Bench, provisioned: subprocess.CompletedProcess[str]
) -> None:
    done = provisioned
    told = json.loads(done.stdout)["boards"]
    assert [each["outcome"] for each in told] == ["NEW", "NEW"]
    assert sorted(each["device"] for each in told) == bench.devices()
    for board, probe in zip(told, PROBES, strict=True):
        config = bench.config(probe)
        assert (config.device, config.password, board["serial"]) == (board["device"], b"", probe)
        assert config.tls is not None and any(config.tls.key) and any(config.seed)
        known = bench.fleet.client.device(config.device).device
        assert (known.state, known.site, known.emulated) == ("ONLINE", "barn", True)
        # The key, the seed: in the board's own flash, and in no other file of bench, manager and broker.
        flash = registry.root() / probe / registry.FLASH_NAME
        for secret in (config.tls.key, config.seed):
            assert secret not in (done.stdout + done.stderr).encode()
            assert secret.hex() not in done.stdout + done.stderr
            assert holders(bench.state, secret) == []
            assert holders(registry.root(), secret) == [flash]
            assert holders(bench.tokens.parent, secret) == [flash]
        for path in map(Path, board["label"]):
            assert path.stat().st_size > 500
        assert config.device in Path(board["label"][0]).read_text()
    words = bench.tokens.read_text().split()
    for word in words:
        assert holders(bench.state, word.encode()) == []

    # The tokens are spent: for the same boards, and for any other.
    again = bench.provision("--boards", "left0")
    assert again.returncode == 1 and "left0: TOKEN: no token is left" in again.stderr
    assert {each.state for each in bench.fleet.client.tokens()} == {"USED"}


@pytest.mark.parametrize("step", [Step.RECORDS, Step.BIRTH], ids=lambda s: s.value)
def test_cut_off_anywhere_a_run_ends_right_and_is_the_devices_replacement(
    bench: Bench, provisioned: object, killed_at: Callable[[Step, str], None], step: Step
) -> None:
    before = bench.config(PROBES[0])
    name = before.device
    assert before.tls is not None
    bench.token("--replaces", name)
    killed_at(step, "left0")
    done = bench.provision("--boards", "left0")
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)["boards"]
    assert (told["device"], told["outcome"]) == (name, "RESUMED")
    after = bench.config(PROBES[0])
    assert after.tls is not None and after.device == name
    assert after.tls.key != before.tls.key and after.seed != before.seed
    assert (after.sequence or 0) > (before.sequence or 0)
    for secret in (after.tls.key, after.seed):
        assert holders(bench.state, secret) == []
    wait_for("it to be there", lambda: bench.fleet.client.device(name).device.state == "ONLINE")
    assert bench.devices().count(name) == 1 and len(bench.devices()) == 2
    revoked = x509.load_pem_x509_crl((bench.fleet.state.broker / "revoked.pem").read_bytes())
    numbers = {each.serial_number for each in revoked}
    assert x509.load_der_x509_certificate(before.tls.certificate).serial_number in numbers
    assert x509.load_der_x509_certificate(after.tls.certificate).serial_number not in numbers


def test_its_certificate_is_renewed_over_the_air(bench: Bench, provisioned: object) -> None:
    """For the key that nobody but the board has."""
    name = bench.config(PROBES[1]).device
    done = bench.fleet.cli("device", "rotate", name, "--days", "30", "--wait", "30")
    assert done.returncode == 0 and "IN_USE" in done.stdout, done.stdout + done.stderr


def test_a_board_that_belongs_to_somebody_is_not_touched(bench: Bench, provisioned: object) -> None:
    bench.token()
    before = bench.flash(PROBES[0])
    done = bench.provision("--boards", "left0")
    assert done.returncode == 1
    assert "of this fleet already" in done.stderr and "--replaces" in done.stderr
    assert bench.config(PROBES[0]) == decode_record(
        NodeConfig, before[MPS2_AN386["config_a"].offset : MPS2_AN386["config_a"].end]
    )


def test_an_expired_token_and_one_that_is_none_are_refused(bench: Bench, provisioned: object) -> None:
    bench.token("--valid", "1s")
    wait_for("it to expire", lambda: bench.fleet.client.tokens()[0].state == "EXPIRED")
    done = bench.provision("--boards", "left1")
    assert done.returncode == 1 and "no token is left" in done.stderr
    bench.tokens.write_text("tfe_" + "x" * 43 + "\n")
    done = bench.provision("--boards", "left1")
    assert done.returncode == 1 and "left1: TOKEN: the manager says" in done.stderr
