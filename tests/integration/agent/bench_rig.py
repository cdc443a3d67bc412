"""What the bench's tests share: firmware, models, a broker, programs as a person starts them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from tests.models import LIVESTOCK
from tests.servers import LOOPBACK, TIMEOUT_S, Mosquitto, wait_for

from tinyfleet.wire.codec import decode
from tinyfleet.wire.messages import Bench

ROOT = Path(__file__).resolve().parents[3]
GOLDEN = LIVESTOCK / "golden.npz"
BENCH_ELF = ROOT / "build" / "firmware" / "microbit" / "apps" / "bench" / "bench.elf"
LABELS = ("resting", "grazing", "walking", "running")
BENCH_YAML = """\
agent: agent-1
boards:
  - name: microbit-1
    device_type: microbit
    probe: qemu-microbit-0001
    emulate: microbit
    labels: {desk: "3"}
"""


class Program:
    """`tinyfleet …` as a child, its output in a file."""

    def __init__(self, log: Path, environment: dict[str, str], *arguments: str) -> None:
        self._log = log
        with log.open("wb") as out:
            self._child = subprocess.Popen(
                [sys.executable, "-m", "tinyfleet", *arguments],
                stdout=out,
                stderr=out,
                env=os.environ | environment,
                cwd=log.parent,
            )

    def wait_for(self, text: str) -> None:
        def said() -> bool:
            if self._child.poll() is not None:
                pytest.fail(f"it ended with {self._child.returncode}: {self._log.read_text()}")
            return text in self._log.read_text()

        wait_for(f"{text!r} in {self._log.name}", said)

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        if self._child.poll() is None:
            self._child.send_signal(number)
        try:
            return self._child.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()
            raise


def tinyfleet(folder: Path, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs one command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "tinyfleet", *arguments],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
        env=os.environ | environment,
        cwd=folder,
    )


class Broker:
    """mosquitto on a free port, open to all; `bench` is what came last on the agent's topic."""

    def __init__(self, folder: Path) -> None:
        self._server = Mosquitto(folder)
        self._server.start()
        self._lock = threading.Lock()
        self._seen: list[Bench] = []
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("tf/1/+/bench", 1)
        self._client.on_message = self._take
        self._client.connect(LOOPBACK, self.port)
        self._client.loop_start()

    def _take(self, client: mqtt.Client, userdata: Any, message: mqtt.MQTTMessage) -> None:
        assert message.topic == "tf/1/agent-1/bench"
        with self._lock:
            self._seen.append(decode(Bench, message.payload))

    @property
    def port(self) -> int:
        return self._server.port

    @property
    def bench(self) -> Bench | None:
        with self._lock:
            return self._seen[-1] if self._seen else None

    def forget(self) -> None:
        with self._lock:
            self._seen.clear()

    def credentials(self, path: Path) -> Path:
        """As `tinyfleet agent register --out` writes them."""
        known = {"id": "agent-1", "host": LOOPBACK, "port": self.port, "prefix": "tf/1"}
        path.write_text(json.dumps(known | {"user": "agent-1", "password": "x"}))
        path.chmod(0o600)
        return path

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()
        self._server.end()
