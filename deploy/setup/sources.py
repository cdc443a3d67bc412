"""Fetches lwIP and BearSSL through the machine's own apt sources, without root or touching the system.

Only the upstream archives are taken, each pinned by SHA-256; `TINYFLEET_LWIP` and `TINYFLEET_BEARSSL`
name other copies.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path

from report import SetupError, run


@dataclass(frozen=True)
class Source:
    """One upstream archive: Debian source package, the archive's name and hash, and what overrides it."""

    package: str
    version: str
    archive: str
    sha256: str
    folder: str
    variable: str
    proof: str


SOURCES = (
    Source(
        package="lwip",
        version="2.1.3+dfsg1-2",
        archive="lwip_2.1.3+dfsg1.orig.tar.xz",
        sha256="0a8276d09fc4e97bbba2f953d74af2388fc2195ea156be9d7589e297a68fde24",
        folder="lwip",
        variable="TINYFLEET_LWIP",
        proof="src/include/lwip/init.h",
    ),
    Source(
        package="bearssl",
        version="0.6+dfsg.1-3",
        archive="bearssl_0.6+dfsg.1.orig.tar.xz",
        sha256="102a625bd8f6155260867a50c508df8d8c3f796985dd744df1a68e5cd1a79004",
        folder="bearssl",
        variable="TINYFLEET_BEARSSL",
        proof="inc/bearssl.h",
    ),
)


def folder_of(source: Source, deps: Path) -> Path:
    """Where the firmware build finds this source: the user's copy, or ours below `deps`."""
    given = os.environ.get(source.variable)
    return Path(given) if given else deps / source.folder


def missing(deps: Path) -> list[Source]:
    """Sources not in place yet. Raises SetupError when a variable points to something else."""
    absent = []
    for source in SOURCES:
        folder = folder_of(source, deps)
        stamp = folder / ".sha256"
        if source.variable in os.environ:
            if not (folder / source.proof).is_file():
                raise SetupError(
                    f"{source.variable}={folder} has no {source.proof}",
                    f"point it to the unpacked {source.package} sources, or unset it",
                )
        elif not stamp.is_file() or stamp.read_text() != source.sha256:
            absent.append(source)
    return absent


def fetch(sources: list[Source], deps: Path) -> None:
    """Downloads, checks and unpacks `sources` below `deps`. Raises SetupError; leaves nothing half done."""
    deps.mkdir(parents=True, exist_ok=True)
    apt = deps / "apt"
    try:
        options = _private_apt(apt)
        # A third-party source without deb-src makes `update` fail although Debian's own part worked.
        with contextlib.suppress(SetupError):
            run(["apt-get", *options, "-qq", "update"], _other_copy(), apt)
        wanted = [f"{s.package}={s.version}" for s in sources]
        run(["apt-get", *options, "-qq", "source", "--download-only", *wanted], _other_copy(), apt)
        for source in sources:
            _unpack(source, apt / source.archive, deps)
    finally:
        shutil.rmtree(apt, ignore_errors=True)


def _private_apt(apt: Path) -> list[str]:
    """A state folder of our own whose sources are the machine's, read as deb-src."""
    shutil.rmtree(apt, ignore_errors=True)
    parts = apt / "sources"
    for folder in (parts, apt / "lists" / "partial", apt / "cache" / "archives" / "partial"):
        folder.mkdir(parents=True)
    system = Path("/etc/apt")
    lists = [system / "sources.list", *sorted((system / "sources.list.d").glob("*"))]
    for path in lists:
        if not path.is_file() or path.suffix not in (".list", ".sources"):
            continue
        text = path.read_text()
        if path.suffix == ".sources":
            lines = ["Types: deb-src" if x.lower().startswith("types:") else x for x in text.splitlines()]
        else:
            lines = ["deb-src" + x[3:] for x in text.splitlines() if x.startswith(("deb ", "deb\t"))]
        (parts / path.name).write_text("\n".join(lines) + "\n")
    settings = {
        "Dir::Etc::SourceList": "/dev/null",
        "Dir::Etc::SourceParts": parts,
        "Dir::State::Lists": apt / "lists",
        "Dir::Cache": apt / "cache",
        "APT::Sandbox::User": "",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def _other_copy() -> str:
    pins = " and ".join(f"{s.variable} (version {s.version.split('+')[0]})" for s in SOURCES)
    return f"unpack the sources yourself and set {pins}"


def _unpack(source: Source, archive: Path, deps: Path) -> None:
    if not archive.is_file():
        raise SetupError(f"apt-get brought no {archive.name}", _other_copy())
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != source.sha256:
        raise SetupError(
            f"{archive.name} has SHA-256 {found}, expected {source.sha256}; it is not used", _other_copy()
        )
    staging = deps / f"{source.folder}.part"
    shutil.rmtree(staging, ignore_errors=True)
    with tarfile.open(archive) as tar:
        top = {name.split("/")[0] for name in tar.getnames()}
        # Debian 12's Python 3.11.2 has no filters; the archive's hash was checked above.
        tar.extraction_filter = getattr(tarfile, "data_filter", lambda member, path: member)
        tar.extractall(staging)  # noqa: S202 - pinned by hash
    (only,) = top
    final = deps / source.folder
    shutil.rmtree(final, ignore_errors=True)
    (staging / only).rename(final)
    staging.rmdir()
    if not (final / source.proof).is_file():
        raise SetupError(f"{archive.name} has no {source.proof}", _other_copy())
    (final / ".sha256").write_text(source.sha256)
