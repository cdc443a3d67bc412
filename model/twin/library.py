"""The node's runtime, compiled for this machine and opened through cffi.

The library is built once per state of its sources: its file name is their hash. A file in the cache is
replaced atomically, so that two processes may build at the same time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from cffi import FFI

BUILD_TIMEOUT_S: Final = 120
_FLAGS: Final = ("-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=default")
_DECLARATIONS: Final = """
uint32_t tf_twin_model_bytes(void);
uint32_t tf_twin_load(void *model, const uint8_t *payload, uint32_t size);
uint32_t tf_twin_where(const void *model);
uint32_t tf_twin_step(const void *model, uint32_t at, uint8_t *arena);
void tf_model_reset(const void *model, uint8_t *arena);
uint32_t tf_model_run(const void *model, uint8_t *arena, uint32_t arena_bytes);
void tf_model_quantize(const void *model, const int16_t *raw, void *input);
uint8_t tf_model_score(const void *model, int32_t output);
bool tf_model_vector_passes(const void *model, uint8_t *arena, uint32_t arena_bytes, uint32_t i);
void tf_runtime_ops(uint8_t *bitmap);
"""


class TwinBuildError(RuntimeError):
    """The runtime could not be compiled here; the message says what to install or what the compiler said."""


@cache
def open_library() -> tuple[FFI, Any]:
    """cffi's interface and the library, built when the cache has none for these sources. TwinBuildError."""
    ffi = FFI()
    ffi.cdef(_DECLARATIONS)
    return ffi, ffi.dlopen(str(build_library()))


def runtime_sources(room: Path) -> list[Path]:
    """The C files of `firmware/runtime` that make the host's build: every core's plans, and all ops."""
    cores, slim = room / "cores", room / "signal" / "without.c"
    return sorted(
        path for path in room.rglob("*.c") if path != slim and (path.parent != cores or path.name == "host.c")
    )


def build_library() -> Path:
    root = Path(__file__).resolve().parents[2]
    room = root / "firmware" / "runtime"
    sources = sorted([*runtime_sources(room), Path(__file__).resolve().with_name("shim.c")])
    headers = sorted([*room.rglob("*.h"), root / "firmware" / "include" / "tinyfleet" / "runtime.h"])
    if not room.is_dir():
        raise TwinBuildError(f"no runtime sources in {room}; the host twin needs a checkout of the project")
    digest = hashlib.sha256(" ".join(_FLAGS).encode())
    for path in (*sources, *headers):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    library = _cache_folder(root) / f"runtime-{digest.hexdigest()[:24]}.so"
    if not library.exists():
        _compile(sources, (room, root / "firmware" / "include"), library)
    return library


def _cache_folder(root: Path) -> Path:
    """The checkout's build folder, or the user's cache where the checkout is read-only."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    for folder in (root / "build" / "twin", Path(caches) / "tinyfleet" / "twin"):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    raise TwinBuildError(
        f"neither {root / 'build'} nor {caches} can be written; the host twin is built there"
    )


def _compile(sources: list[Path], includes: tuple[Path, ...], library: Path) -> None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise TwinBuildError(
            "no C compiler (gcc or cc) on PATH; the host twin is the node's own C code: "
            "install one (Debian: apt-get install gcc libc6-dev) and try again"
        )
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        fresh = Path(folder) / library.name
        options = [*_FLAGS, *(f"-I{include}" for include in includes), "-o", str(fresh)]
        try:
            done = subprocess.run(
                [compiler, *options, *map(str, sources)],
                capture_output=True,
                text=True,
                timeout=BUILD_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TwinBuildError(f"{compiler} did not end within {BUILD_TIMEOUT_S} s") from error
        if done.returncode != 0:
            raise TwinBuildError(f"{compiler} could not build the runtime:\n{done.stderr.strip()}")
        fresh.replace(library)
