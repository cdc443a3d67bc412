"""Power cuts of the host simulator: as many as its suites make, and the bricks among them."""

from __future__ import annotations

import re
import subprocess

from tests.bench.report import ROOT, Figure

FIRMWARE = ROOT / "firmware"
SUITES = ROOT / "build" / "firmware" / "host" / "tests"
BUILD_TIMEOUT_S = 900
RUN_TIMEOUT_S = 600
_COUNT = re.compile(r"^(\d+) power cuts, (\d+) bricks$", re.MULTILINE)


def _run(*command: str, timeout_s: float) -> str:
    done = subprocess.run(
        command,
        cwd=FIRMWARE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout[-4000:]}")
    return done.stdout


def power_cuts() -> list[Figure]:
    """Of every host test that cuts power at each flash operation; such a test ends at its first brick."""
    _run("cmake", "--preset", "host", timeout_s=BUILD_TIMEOUT_S)
    _run("cmake", "--build", "--preset", "host", "--parallel", "2", timeout_s=BUILD_TIMEOUT_S)
    figures, total = [], 0
    for suite in sorted(SUITES.glob("test_*_cut")):
        found = _COUNT.search(_run(str(suite), timeout_s=RUN_TIMEOUT_S))
        if found is None:
            raise SystemExit(f"{suite.name} does not say how many power cuts it made")
        cuts, bricks = int(found[1]), int(found[2])
        total += cuts
        figures.append(
            Figure(
                f"power cuts, {suite.name.removeprefix('test_')}",
                cuts,
                "cuts",
                bar="0 bricks",
                ok=bricks == 0,
            )
        )
    return [*figures, Figure("power cuts in the simulator, all", total, "cuts")]
