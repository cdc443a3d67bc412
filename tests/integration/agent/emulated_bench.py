"""The bench app on an emulated board, its model put into memory by QEMU: no probe, no flash that stays."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from types import TracebackType

import pytest
from tests.integration.agent.bench_rig import ROOT
from tests.models import LIVESTOCK

from tinyfleet.agent.core.bench_image import wrap_model
from tinyfleet.agent.core.boards import memory_map
from tinyfleet.model.compiler import ModelSpec, compile_model
from tinyfleet.model.device_types import core_of

MACHINES = ("mps2-an386", "mps2-an500", "mps3-an547")
PRESETS = {machine: f"bench-{machine}" for machine in MACHINES}
SHARED = Path(os.environ.get("TINYFLEET_MODELS") or ROOT.parent / "shared" / "models")
MLPERF = {"kws01": "mlperf_kws_dscnn", "ic01": "mlperf_ic_resnet8", "ad01": "mlperf_ad_toycar"}
# mps2-an500 has the app and the kernels of mps2-an386: one of these models will do.
MLPERF_RUNS = [(n, m) for m in MACHINES for n in MLPERF if m != "mps2-an500" or n == "kws01"]


def mlperf_model(name: str) -> bytes:
    """The `.tflite` of a benchmark; the test is skipped where it is not there."""
    path = SHARED / f"{MLPERF[name]}.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is absent; TINYFLEET_MODELS names the folder with MLPerf's models")
    return path.read_bytes()


def example_model() -> bytes:
    return (LIVESTOCK / "livestock_v1.tflite").read_bytes()


def plan_of(tflite: bytes, device_type: str) -> bytes:
    return compile_model(tflite, ModelSpec("under-test", "1.0.0", core=core_of(device_type)))


class EmulatedBench:
    """A context manager: QEMU runs inside it. `console` is the address of its serial line."""

    def __init__(self, machine: str, payload: bytes, folder: Path, app: str = "bench") -> None:
        self.machine = machine
        self.console = ""
        self._folder = folder
        memory = memory_map(machine)
        (folder / "model.img").write_bytes(wrap_model(payload, machine))
        elf = ROOT / "build" / "firmware" / PRESETS[machine] / "apps" / "bench" / f"{app}.elf"
        if not elf.is_file():
            pytest.fail(f"there is no {elf}: build the firmware with `make setup`")
        address = memory.base + memory["model"].offset
        self._arguments = [
            *("qemu-system-arm", "-M", machine, "-nodefaults", "-display", "none", "-monitor", "none"),
            *("-icount", "shift=6", "-kernel", str(elf)),
            *("-device", f"loader,file=model.img,addr={address:#x},force-raw=on"),
            *("-global", f"armv7m.init-nsvtor={memory.base:#x}") * machine.startswith("mps2-"),
            *("-chardev", "socket,id=c,host=127.0.0.1,port=0,server=on,wait=on,nodelay=on"),
            *("-serial", "chardev:c"),
        ]

    def __enter__(self) -> EmulatedBench:
        self._child = subprocess.Popen(
            self._arguments,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._child.stdout is not None
        said = self._child.stdout.readline()
        port = re.search(r"127\.0\.0\.1:(\d+)", said)
        if port is None:
            self._child.kill()
            pytest.fail(f"QEMU said {said!r}")
        self.console = f"socket://127.0.0.1:{port[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.communicate(timeout=10)
