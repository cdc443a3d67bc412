"""The measuring firmware: built from the checkout, once for each core; it takes any plan from memory."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tinyfleet.model.measure.cores import MeasureCore
from tinyfleet.model.measure.errors import MeasureError

ROOT: Final = Path(__file__).resolve().parents[2]
FIRMWARE: Final = ROOT / "firmware"
BUILD_TIMEOUT_S: Final = 180
_SHOWN: Final = 4000
_SOURCES: Final = ("CMakeLists.txt", "CMakePresets.json", "cmake", "include", "runtime", "apps", "ports")


def folder(preset: str) -> Path:
    return ROOT / "build" / "firmware" / preset


def ready(core: MeasureCore) -> Path:
    """The app for a core; built only when it is absent or older than its sources. MeasureError."""
    app = _app(core.preset)
    if not FIRMWARE.is_dir():
        raise MeasureError(
            f"no firmware sources in {FIRMWARE}: measuring needs a checkout of the project, run it from there"
        )
    if app.is_file() and app.stat().st_mtime_ns > _changed_ns():
        return app
    return build(core.preset)


def build(preset: str) -> Path:
    """The app of a CMake preset `measure-…`, built anew where sources changed. MeasureError."""
    for tool in ("cmake", "arm-none-eabi-gcc"):
        if shutil.which(tool) is None:
            raise MeasureError(
                f"{tool} is not on PATH; the measuring firmware is built with it: run `make setup`, or "
                "install cmake and gcc-arm-none-eabi"
            )
    with _alone(preset):
        for command in (["cmake", "--preset", preset], ["cmake", "--build", "--preset", preset]):
            _run(command)
    app = _app(preset)
    app.touch()  # a build that found nothing to do leaves the time of the last one
    return app


def _app(preset: str) -> Path:
    return folder(preset) / "apps" / "measure" / "measure.elf"


def _changed_ns() -> int:
    """When a source was last written."""
    newest = 0
    for name in _SOURCES:
        path = FIRMWARE / name
        files = (path, *path.rglob("*")) if path.is_dir() else (path,)
        newest = max(newest, *(file.stat().st_mtime_ns for file in files if file.is_file()))
    return newest


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=FIRMWARE, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise MeasureError(f"{' '.join(command)} did not end within {BUILD_TIMEOUT_S} s") from error
    if done.returncode != 0:
        raise MeasureError(
            f"{' '.join(command)} failed (in {FIRMWARE}):\n{(done.stdout + done.stderr)[-_SHOWN:].strip()}"
        )


@contextmanager
def _alone(preset: str) -> Iterator[None]:
    """One build of a preset at a time: two would write the same objects."""
    folder(preset).mkdir(parents=True, exist_ok=True)
    with (folder(preset) / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
