"""The inference runtime on emulated cores: instructions, arena and code size. `make bench-runtime`.

Instruction-timed, not cycles: QEMU counts what a core executes, not how long it takes. Figures of others are
quoted, not measured here: QUOTED says where they come from.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.bench.report import ROOT, Figure, publish
from tinyfleet.model.compiler import ModelSpec, compile_model, describe
from tinyfleet.model.measure import CORES, MeasureCore, Measured, build, folder, measure
from tinyfleet.wire.artifact import decode_artifact
from tinyfleet.wire.artifact_ops import OpCode
from tinyfleet.wire.enums import CoreVariant

QUOTED = (
    "TensorFlow Lite Micro 90b983c2, kernels -O2, on QEMU mps2-an386 (M55: mps3-an547) with -icount shift=0; "
    "not measured here"
)
PUBLIC = {"KWS": "mlperf_kws_dscnn", "IC": "mlperf_ic_resnet8", "AD": "mlperf_ad_toycar"}
LOAD_BAR = 50_000
CODE_BAR_BYTES = 20 * 1024
ARENA_BAR = 1.1


@dataclass(frozen=True)
class Bars:
    """Instructions an inference by model: bars for ours; TFLM's reference kernels and CMSIS-NN as quoted."""

    bars: dict[str, float]
    reference: dict[str, float]
    cmsis_nn: dict[str, float]


_M4_REFERENCE = {"KWS": 43.04e6, "IC": 107.40e6, "AD": 1.952e6}
_M4_CMSIS_NN = {"KWS": 7.697e6, "IC": 29.86e6, "AD": 0.583e6}
_M0_CMSIS_NN = {"KWS": 28.99e6, "IC": 97.56e6, "AD": 1.763e6}
_M55_CMSIS_NN = {"KWS": 1.812e6, "IC": 4.914e6, "AD": 0.150e6}
BARS = {
    "measure-dsp": Bars({"KWS": 5.8e6, "IC": 23e6, "AD": 0.45e6}, _M4_REFERENCE, _M4_CMSIS_NN),
    "measure-mve": Bars(_M55_CMSIS_NN, {}, _M55_CMSIS_NN),
    "measure-portable": Bars({}, _M4_REFERENCE, _M4_CMSIS_NN),
    "measure-m0plus": Bars({name: 0.8 * value for name, value in _M0_CMSIS_NN.items()}, {}, _M0_CMSIS_NN),
}
_DOORS = ("tf_model_", "tf_runtime_")
_KERNEL_PREFIXES = ("tf_kernel_", "tf_packed_", "tf_mve_kernel_")


def models() -> dict[str, bytes]:
    """`.tflite` by short name: the public ones where they are, and the example's."""
    shared = Path(os.environ.get("TINYFLEET_MODELS") or ROOT.parent / "shared" / "models")
    found = {}
    for name, stem in PUBLIC.items():
        path = shared / f"{stem}.tflite"
        if path.is_file():
            found[name] = path.read_bytes()
        else:
            print(
                f"skipped {name}: {path} is absent; TINYFLEET_MODELS names the folder with the public models"
            )
    for path in sorted((ROOT / "examples").glob("*/*.tflite")):
        found[path.stem] = path.read_bytes()
    return found


def plan_of(tflite: bytes, core: CoreVariant) -> bytes:
    """With three golden vectors, so that the board's answers are compared with the twin's."""
    bare = decode_artifact(compile_model(tflite, ModelSpec("bench", "1", core=core)))
    rng = np.random.default_rng(1)
    windows = [rng.integers(-128, 128, bare.input_bytes).astype(np.int8).tobytes() for _ in range(3)]
    return compile_model(tflite, ModelSpec("bench", "1", core=core, golden_inputs=windows))


def profile(label: str, name: str, payload: bytes, got: Measured) -> None:
    table = Table(title=f"{name} on {label}", title_justify="left", box=None, pad_edge=False)
    for column in ("op", "packed", "instructions", "MACs", "instructions/MAC"):
        table.add_column(column, justify="left" if column in ("op", "packed") else "right")
    for op, time in zip(describe(payload).ops, got.ops, strict=True):
        per_mac = f"{time.instructions / op.macs:.2f}" if op.macs else ""
        packed = "yes" if time.variant else ""
        table.add_row(op.name, packed, f"{time.instructions:,}", f"{op.macs:,}", per_mac)
    Console().print(table)


def speed(core: MeasureCore, name: str, alive: int, got: Measured) -> list[Figure]:
    """`alive`: most bytes of activations at once; the arena holds a packed op's scratch too."""
    if got.equal != got.vectors or got.vectors == 0:
        raise SystemExit(
            f"{name} on {core.label}: {got.vectors - got.equal} of {got.vectors} answers are not the twin's"
        )
    where = f"{name}, {core.label}"
    known = BARS[core.preset]
    run, bar = got.run_instructions, known.bars.get(name)
    verdict = None if bar is None else run <= bar
    in_words = None if bar is None else f"≤ {bar / 1e6:.3g}M"
    unit = "instructions an inference"
    peers = [("TFLM + CMSIS-NN (quoted)", known.cmsis_nn), ("TFLM reference (quoted)", known.reference)]
    ratios = [(peer, run / values[name]) for peer, values in peers if name in values]
    figures = [Figure(where, run, unit, *(ratios[0] if ratios else (None, None)), in_words, verdict)]
    figures += [Figure(where, run, unit, peer, ratio) for peer, ratio in ratios[1:]]
    load = got.load_instructions
    figures.append(
        Figure(f"{where}: load", load, "instructions", bar=f"≤ {LOAD_BAR / 1e6:.2f}M", ok=load <= LOAD_BAR)
    )
    figures.append(
        Figure(
            f"{where}: arena",
            got.arena_bytes,
            "bytes",
            "activations alive at once",
            got.arena_bytes / alive,
            f"≤ {ARENA_BAR} x",
            got.arena_bytes <= ARENA_BAR * alive if name in PUBLIC else None,
        )
    )
    return figures


@dataclass
class Object:
    """Of the runtime's library. sections: bytes by name; made, needed: symbols."""

    sections: dict[str, int] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    needed: set[str] = field(default_factory=set)


def code_bytes(preset: str, used: frozenset[int]) -> dict[str, int]:
    """`.text` and `.rodata` of the objects that hold the runtime's doors and the kernels of these ops, and of
    those that these need."""
    kernels = {
        f"{prefix}{OpCode(code).name.lower().removesuffix('_2d')}"
        for code in used
        for prefix in _KERNEL_PREFIXES
    }
    objects = _objects(folder(preset) / "runtime" / "libtf_runtime.a")
    wanted = kernels | {name for one in objects for name in one.made if name.startswith(_DOORS)}
    linked: list[Object] = []
    while more := [one for one in objects if one not in linked and one.made & wanted]:
        linked += more
        # The tables of a build name all its kernels.
        wanted |= {n for one in more for n in one.needed if not n.startswith(_KERNEL_PREFIXES)}
    total = {".text": 0, ".rodata": 0}
    for one in linked:
        for section, size in one.sections.items():
            for kind in total:
                if section == kind or section.startswith(f"{kind}."):
                    total[kind] += size
    return total


def _tool(*command: str) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.splitlines()


def _objects(library: Path) -> list[Object]:
    """In the archive's order; names of objects are not unique."""
    found: list[Object] = []
    for line in _tool("arm-none-eabi-size", "-A", str(library)):
        words = line.split()
        if "(ex " in line:
            found.append(Object())
        elif len(words) == 3 and words[0].startswith(".") and words[1].isdigit():
            found[-1].sections[words[0]] = int(words[1])
    rest = iter(found)
    for line in _tool("arm-none-eabi-nm", "--extern-only", str(library)):
        words = line.split()
        if line.endswith(":"):
            one = next(rest)
        elif len(words) == 2:
            one.needed.add(words[1])
        elif len(words) == 3:
            one.made.add(words[2])
    return found


def main() -> int:
    sources = models()
    alive = {
        name: describe(plan_of(tflite, CoreVariant.PORTABLE)).activation_bytes
        for name, tflite in sources.items()
    }
    figures: list[Figure] = []
    for core in CORES:
        app = build(core.preset)
        used: set[int] = set()
        for name, tflite in sources.items():
            payload = plan_of(tflite, core.variant)
            if name in PUBLIC:
                used |= {int(code) for code in describe(payload).op_codes}
            got = measure(core, app, payload)
            if name in PUBLIC:
                profile(core.label, name, payload, got)
            figures += speed(core, name, alive[name], got)
        if used:
            sizes = code_bytes(core.preset, frozenset(used))
            total = sum(sizes.values())
            parts = " + ".join(f"{size} {section}" for section, size in sizes.items())
            figures.append(
                Figure(
                    f"code, {core.label}: {parts}",
                    total,
                    "bytes",
                    "TFLM + CMSIS-NN (quoted, 82-87 KB)",
                    total / (82 * 1024),
                    "≤ 20 KB",
                    total <= CODE_BAR_BYTES,
                )
            )
    print(f"Instruction-timed, not cycles. Quoted: {QUOTED}.")
    publish("runtime", "Inference runtime (emulated cores)", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
