"""Writes what the searches start from: `python -m tests.fuzz.corpus`. Here, plans; `parsers` has the others.

One for each random model of one op that the exactness tests know (every module tests/unit/model/*_ops.py
with a table OPS), packed ones beside them, and three models with everything. A new op is there as soon as its
table has it; tests/unit/model/test_fuzz_corpus.py fails until this has run.
"""

from __future__ import annotations

import contextlib
import importlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from tests.fuzz import parsers
from tests.unit.model import many, remembering, signal_ops, single_ops
from tinyfleet.model.compiler import CompileError, InputSpec, ModelSpec, compile_model
from tinyfleet.wire.artifact import ABI, decode_artifact
from tinyfleet.wire.artifact_ops import PLAIN
from tinyfleet.wire.enums import CoreVariant

ROOT = Path(__file__).resolve().parents[2]
HARNESSES = ROOT / "firmware" / "tests" / "fuzz"
CORPUS = HARNESSES / "corpus" / "plan"
FOUND = CORPUS / "found"
TRIES = 15
ABI_AT = 4

Make = Callable[[np.random.Generator], bytes]


def generators() -> dict[str, Make]:
    """Random models of one op, by name."""
    found: dict[str, Make] = {}
    for path in sorted((ROOT / "tests" / "unit" / "model").glob("*_ops.py")):
        table = getattr(importlib.import_module(f"tests.unit.model.{path.stem}"), "OPS", {})
        found.update(table)
    return found


def seeds() -> Iterator[tuple[str, bytes]]:
    """(name, plan) of every seed; the same each time for the same compiler."""
    for name, make in generators().items():
        yield from of_cores(name, make)
    yield from of_cores("all-chain", single_ops.chain, tries=1)
    yield from of_cores("all-many", many.many, tries=1)
    yield from of_cores("all-remembering", remembering.remembering, tries=1)
    yield from of_cores("all-signal", lambda rng: signal_ops.whole_front_end(rng).tflite, tries=1)


def of_cores(name: str, make: Make, tries: int = TRIES) -> Iterator[tuple[str, bytes]]:
    """The middling of a few plans by size; where a core packs something in it, that of the core beside it."""
    for core in CoreVariant:
        plans = [plan for seed in range(tries) if (plan := plan_of(name, make, seed, core)) is not None]
        if plans:
            suffix = "" if core is CoreVariant.PORTABLE else f"-{core.name.lower()}"
            yield f"{name}{suffix}.plan", sorted(plans, key=len)[len(plans) // 2]


def plan_of(name: str, make: Make, seed: int, core: CoreVariant) -> bytes | None:
    """None for a core that is not built or packs nothing here, and a model that the compiler refuses."""
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    model = make(rng)
    labels = ("rest", "graze", "walk") if name == "all-chain" else ()
    for raw_scale in (0.01, None):  # not every input's scale takes raw values
        spec = ModelSpec(name[:48], "1", InputSpec("imu", "mg", 25_000, raw_scale=raw_scale), core=core)
        with contextlib.suppress(CompileError):
            plan = decode_artifact(compile_model(model, spec))
            if core is not CoreVariant.PORTABLE and all(op.variant == PLAIN for op in plan.ops):
                return None
            steps = 3 if plan.states else 1
            golden = [[rng.bytes(plan.input_bytes) for _ in range(steps)] for _ in range(2)]
            return compile_model(model, replace(spec, labels=labels, golden_inputs=golden))
    return None


def write(name: str, inputs: Iterable[tuple[str, bytes]]) -> None:
    """The inputs of one harness anew; those found by searches stay."""
    folder = HARNESSES / "corpus" / name
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    sizes = [(folder / file).write_bytes(content) for file, content in inputs]
    print(f"{name}: {len(sizes)} inputs, {sum(sizes)} bytes")


def carry_over() -> None:
    """Plans that searches found take on the ABI of today: else they would be refused for that alone."""
    for path in FOUND.glob("*"):
        found = path.read_bytes()
        if len(found) >= ABI_AT + 2:
            path.write_bytes(found[:ABI_AT] + ABI.to_bytes(2, "little") + found[ABI_AT + 2 :])


if __name__ == "__main__":
    write("plan", seeds())
    carry_over()
    for harness in (
        parsers.mqtt,
        parsers.wire,
        parsers.image,
        parsers.console,
        parsers.feed,
        parsers.smp,
        parsers.unpack,
        parsers.ring,
        parsers.bench,
        parsers.tls,
        parsers.sntp,
    ):
        write(harness.__name__, harness())
