"""Writes the vectors: `python -m tinyfleet.wire.vectors.make [--images]`.

Vectors are frozen: a change of bytes that are already committed is a change of the wire and needs a new
vector, a version and a line in SPEC.md instead. Without --images the images stay as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

from tinyfleet.wire.codec import to_json
from tinyfleet.wire.vectors import image_vectors, message_refusals, message_vectors, record_vectors
from tinyfleet.wire.vectors.index import HEADER, HERE, Vector, read_index
from tinyfleet.wire.vectors.message_vectors import Made

_IMAGES = ("image_", "trust_of_images")


def stable() -> dict[Path, bytes]:
    """Path under this folder and content of each file that never changes: all but images and index."""
    files: dict[Path, bytes] = {}
    for (stem, _, _, data, _), message in message_vectors.accepted():
        files[Path("accept", f"{stem}.bin")] = data
        text = json.dumps(to_json(message), indent=1, ensure_ascii=True)
        files[Path("accept", f"{stem}.json")] = f"{text}\n".encode()
    for place, (stem, _, _, data, _) in _others():
        files[Path(place, f"{stem}.bin")] = data
    return files


def sums() -> str:
    """SHA-256 of every vector, as `sha256sum` writes and checks it: signed images cannot be built again."""
    files = sorted(path for place in ("accept", "reject", "transfer") for path in (HERE / place).iterdir())
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(HERE)}\n" for path in files
    )


def stable_rows() -> list[Vector]:
    rows = [_row("accept", made) for made, _ in message_vectors.accepted()]
    return rows + [_row(place, made) for place, made in _others()]


def _others() -> list[tuple[str, Made]]:
    return [
        *(("reject", made) for made in message_refusals.rejected()),
        *message_vectors.topics(),
        *(("accept", made) for made in record_vectors.accepted()),
        *(("reject", made) for made in record_vectors.rejected()),
    ]


def _row(place: str, made: Made) -> Vector:
    stem, kind, expected, _, note = made
    return Vector(place, f"{stem}.bin", kind, expected, note or "-")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tinyfleet.wire.vectors.make", description=__doc__)
    parser.add_argument("--images", action="store_true", help="sign the images again, with fresh keys")
    options = parser.parse_args(arguments)
    for path, data in stable().items():
        (HERE / path).write_bytes(data)
    if options.images:
        images = []
        with tempfile.TemporaryDirectory() as folder:
            for place, made in image_vectors.made(Path(folder)):
                row = _row(place, made)
                row.path.write_bytes(made[3])
                images.append(row)
    else:
        images = [row for row in read_index() if row.file.startswith(_IMAGES)]
    rows = sorted([*stable_rows(), *images], key=lambda row: (row.set, row.kind, row.file))
    text = "\n".join(["# " + "\t".join(HEADER), *(row.row for row in rows)]) + "\n"
    (HERE / "index.tsv").write_text(text, encoding="utf-8")
    (HERE / "SHA256SUMS").write_text(sums(), encoding="utf-8")
    print(f"{len(rows)} vectors")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
