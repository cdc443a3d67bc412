"""An update of 100 KB over MQTT to one emulated node: time and bytes as the node counts them.

`make bench`. Bytes do not depend on the machine; the time is the node's own, which counts instructions, from
OFFERED until the last sector is in flash (verifying the signature comes after).
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from examples.demo.chain import NODES, Chain
from examples.demo.programs import Background, DemoError, wait_until

from tests.bench.report import Figure, publish
from tests.models import livestock

ARTIFACT_BYTES = 100_000
PAYLOAD_BAR = 0.9
VERSION = "100.0.0"


def artifact() -> bytes:
    """The example's model with as many golden windows as make it 100 KB: the node tries each of them."""

    def build(windows: int) -> bytes:
        return livestock("v2", vectors=windows, version=VERSION)

    each = len(build(2)) - len(build(1))
    return build(1 + (ARTIFACT_BYTES - len(build(1))) // each)


def transfer_of(log: Path) -> dict[str, Any] | None:
    """The `transfer` of the status that told VERIFIED, from what `mqtt tail` printed."""
    for line in log.read_text().splitlines():
        if "{" not in line:
            continue
        message = json.loads(line).get("message") or {}
        if message.get("state") == "VERIFIED" and "transfer" in message:
            return {"size_bytes": message["size_bytes"], **message["transfer"]}
    return None


def measure(folder: Path) -> dict[str, Any]:
    chain = Chain(folder, NODES[:1])
    try:
        chain.start_fleet(lambda _: None)
        chain.start_nodes(lambda _: None)
        log = folder / "tail.log"
        tail = Background("tinyfleet mqtt tail", ["mqtt", "tail", "--device", NODES[0]], log, folder)
        try:
            wait_until(lambda: "/birth" in log.read_text(), 20, "a tail of messages")
            with chain.client() as client:
                client.create_release(artifact(), device_type="mps2-an386")
            outcome = chain.rollout(VERSION, lambda _: None, "--full").rollout
            if outcome.state != "SUCCEEDED":
                raise DemoError(f"the update is {outcome.state}: {outcome.why}")
            wait_until(
                lambda: transfer_of(log) is not None, 20, "a status VERIFIED with its transfer figures"
            )
        finally:
            tail.stop()
        found = transfer_of(log)
        assert found is not None
        return found
    finally:
        chain.stop()


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="tinyfleet-bench-") as folder:
        got = measure(Path(folder) / "state")
    size = got["size_bytes"]
    mqtt = got["mqtt_rx_bytes"] + got["mqtt_tx_bytes"]
    ip = got["ip_rx_bytes"] + got["ip_tx_bytes"]
    elapsed_s = got["elapsed_ms"] / 1000
    figures = [
        Figure("artifact", size, "bytes"),
        Figure("offered to last sector in flash", elapsed_s, "s (emulated, instruction-timed)"),
        Figure("MQTT bytes both ways", mqtt, "bytes"),
        Figure(
            "payload of MQTT bytes", size / mqtt, "ratio", None, None, "≥ 0.90", size / mqtt >= PAYLOAD_BAR
        ),
        Figure("IP bytes both ways", ip, "bytes"),
        Figure("payload of IP bytes", size / ip, "ratio"),
    ]
    publish("update", "An update of 100 KB, one node (emulated mps2-an386)", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
