"""Emulated nodes from power-on to their broker, and what they cost the host while nothing is to be done."""

from __future__ import annotations

import contextlib
import os
import statistics
import tempfile
import time
from pathlib import Path

from tests.bench.report import Figure
from tests.integration.node.conftest import (
    AN386,
    BROKER_LIMITS,
    PASSWORD,
    Manager,
    Node,
    Workshop,
    built,
)
from tests.servers import Mosquitto
from tinyfleet.agent.adapters.emulator import EmulatedNode
from tinyfleet.wire.messages import Birth

NODES = 50
STARTS = 7
IDLE_S = 30.0
IDLE_BAR = 0.002
# Reports and keep-alives further apart than the measurement: what is left is being idle.
QUIET = {"period_s": 3600, "keepalive_s": 600}
_TICKS = os.sysconf("SC_CLK_TCK")


def _cpu_s(pid: int) -> float:
    """User and system time of a process, in seconds (proc(5), stat fields 14 and 15)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def starts_and_idle() -> list[Figure]:
    """Median of a start, with the bootloader, DHCP and all; CPU share of each of 50 idle nodes."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tinyfleet-bench-")))
        workshop = Workshop(folder)
        firmware = workshop.sign_firmware(built(AN386.build / "apps/node/node.bin").read_bytes(), "0.1.0")
        names = [f"node-{i}" for i in range(NODES)]
        broker = Mosquitto(
            folder / "broker", {"manager": PASSWORD} | dict.fromkeys(names, PASSWORD), BROKER_LIMITS
        )
        broker.start()
        stack.callback(broker.end)
        manager = Manager(broker.port)
        stack.callback(manager.close)
        nodes = []
        for name in names:
            emulator = EmulatedNode(
                flash=folder / f"{name}.bin", kernel=built(AN386.boot_elf), state_dir=folder / name
            )
            stack.callback(emulator.stop)
            node = Node(emulator, emulator.flash, broker.port, (workshop.key_hash(),), firmware)
            node.provision(device=name, user=name, **QUIET)
            nodes.append(node)

        start_ms = []
        for _ in range(STARTS):
            manager.forget()
            begun = time.monotonic()
            nodes[0].start()
            manager.wait(Birth)
            start_ms.append(1000 * (time.monotonic() - begun))
            nodes[0].emulator.kill()

        manager.forget()
        begun = time.monotonic()
        for node in nodes:
            node.start()
        for name in names:
            manager.wait(Birth, device=name, timeout_s=60)
        all_s = time.monotonic() - begun
        pids = [pid for node in nodes if (pid := node.emulator.pid) is not None]
        before, begun = [_cpu_s(pid) for pid in pids], time.monotonic()
        time.sleep(IDLE_S)
        elapsed = time.monotonic() - begun
        shares = [(_cpu_s(pid) - was) / elapsed for pid, was in zip(pids, before, strict=True)]
    mean = sum(shares) / NODES
    return [
        Figure("starting QEMU to CONNACK, SUBACK and birth", statistics.median(start_ms), "ms (host)"),
        Figure(f"{NODES} nodes started one after another, all at the broker", all_s, "s (host)"),
        Figure(
            f"CPU of an idle node, mean of {NODES}",
            100 * mean,
            "% of a core",
            bar="≤ 0.2 %",
            ok=mean <= IDLE_BAR,
        ),
        Figure(f"CPU of an idle node, most of {NODES}", 100 * max(shares), "% of a core"),
    ]
