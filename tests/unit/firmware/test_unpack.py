"""What the manager's libraries encode, the node's own C and the host's reader decode, to the byte."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cffi import FFI
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyfleet.fleet.adapters.encodings import Encodings
from tinyfleet.wire.blobs import cut
from tinyfleet.wire.enums import Encoding, Result
from tinyfleet.wire.errors import BlobError
from tinyfleet.wire.unpack import NUMBER_MAX, pack_number, unpack
from tinyfleet.wire.vectors.index import HERE as VECTORS

FIRMWARE = Path(__file__).resolve().parents[3] / "firmware"
TIMEOUT_S = 60
DECLARATIONS = """
typedef struct { uint32_t encoding; const uint8_t *data; uint32_t length; const uint8_t *base;
                 uint32_t base_bytes; uint32_t image_bytes; } tf_packed_t;
uint32_t tf_unpack_open(void *unpack, const tf_packed_t *packed);
uint32_t tf_unpack_read(void *unpack, uint8_t *out, uint32_t capacity);
"""
STATE_BYTES = 4096  # more than the C needs
quick = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

noise = st.binary(max_size=400)
runs = st.builds(lambda byte, count: byte * count, st.binary(min_size=1, max_size=3), st.integers(0, 300))
images = st.lists(st.one_of(noise, runs), min_size=1, max_size=8).map(b"".join).filter(bool)


@st.composite
def versions(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """An image, and one with some of its parts moved, changed or dropped."""
    parts = draw(st.lists(st.one_of(noise, runs), min_size=1, max_size=6))
    kept = draw(st.permutations(parts + draw(st.lists(noise, max_size=2))))
    after = bytearray(b"".join(kept))
    for at in draw(st.lists(st.integers(0, max(len(after) - 1, 0)), max_size=5)):
        if after:
            after[at] ^= 0x11
    return b"".join(parts), bytes(after) or b"x"


class Node:
    """The C decoders, pulled in pieces as the update engine does."""

    def __init__(self, library: Path) -> None:
        self.ffi = FFI()
        self.ffi.cdef(DECLARATIONS)
        self.c: Any = self.ffi.dlopen(str(library))

    def unpack(self, encoding: Encoding, data: bytes, base: bytes, image_bytes: int, piece: int) -> bytes:
        """What comes out, which may be less than asked for."""
        held = (self.ffi.from_buffer(data), self.ffi.from_buffer(base))
        packed = self.ffi.new(
            "tf_packed_t *", [int(encoding), held[0], len(data), held[1], len(base), image_bytes]
        )
        state, out, made = self.ffi.new(f"uint8_t[{STATE_BYTES}]"), self.ffi.new("uint8_t[]", piece), b""
        if self.c.tf_unpack_open(state, packed) != Result.SUCCESS:
            return b""
        while got := self.c.tf_unpack_read(state, out, piece):
            made += bytes(self.ffi.buffer(out, got))
        return made


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Node:
    library = tmp_path_factory.mktemp("unpack") / "unpack.so"
    sources = [str(FIRMWARE / "ota" / name) for name in ("unpack.c", "heatshrink.c")]
    flags = ("-std=c11", "-O1", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror")
    checks = ("-fsanitize=undefined", "-fno-sanitize-recover=all", "-static-libubsan")
    subprocess.run(
        ["gcc", *flags, *checks, f"-I{FIRMWARE / 'include'}", "-o", str(library), *sources],
        check=True,
        timeout=TIMEOUT_S,
    )
    return Node(library)


@quick
@given(image=images, piece=st.integers(1, 5000))
def test_what_is_compressed_comes_back(node: Node, image: bytes, piece: int) -> None:
    packed = Encodings().compress(image)
    manifest = cut(packed, encoding=Encoding.COMPRESSED, image_bytes=len(image)).manifest
    assert unpack(manifest, packed) == image
    assert node.unpack(Encoding.COMPRESSED, packed, b"", len(image), piece) == image


@quick
@given(pair=versions(), piece=st.integers(1, 5000))
def test_a_delta_makes_the_image_of_its_base(node: Node, pair: tuple[bytes, bytes], piece: int) -> None:
    base, image = pair
    patch = Encodings().delta(image, base)
    manifest = cut(patch, encoding=Encoding.DELTA, image_bytes=len(image), base=bytes(32)).manifest
    assert unpack(manifest, patch, base) == image
    assert node.unpack(Encoding.DELTA, patch, base, len(image), piece) == image


@quick
@given(pair=versions(), at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7), cut_at=st.floats(0, 1))
def test_damage_is_the_same_to_both(
    node: Node, pair: tuple[bytes, bytes], at: float, bit: int, cut_at: float
) -> None:
    base, image = pair
    whole = bytearray(Encodings().delta(image, base))
    whole[int(at * len(whole))] ^= 1 << bit
    patch = bytes(whole[: max(1, int(cut_at * len(whole)))])
    manifest = cut(patch, encoding=Encoding.DELTA, image_bytes=len(image), base=bytes(32)).manifest
    made = node.unpack(Encoding.DELTA, patch, base, len(image), 1000)
    assert len(made) <= len(image)
    try:
        assert unpack(manifest, patch, base) == made
    except BlobError:
        assert len(made) < len(image)


@quick
@given(st.binary(max_size=300), st.binary(max_size=60), st.integers(1, 500))
def test_any_bytes_are_the_same_to_both(node: Node, data: bytes, base: bytes, image_bytes: int) -> None:
    for encoding, transported in (
        (Encoding.COMPRESSED, b"\x44" + data),
        (Encoding.DELTA, b"\x04" + pack_number(image_bytes) + b"\x44\x80\x00" + data),
    ):
        under = base if encoding is Encoding.DELTA else None
        manifest = cut(transported, encoding=encoding, image_bytes=image_bytes).manifest
        made = node.unpack(encoding, transported, base, image_bytes, 77)
        try:
            assert unpack(manifest, transported, under) == made
        except BlobError:
            assert len(made) < image_bytes


@given(st.integers(-NUMBER_MAX, NUMBER_MAX))
def test_numbers_are_at_most_five_bytes(value: int) -> None:
    assert 1 <= len(pack_number(value)) <= 5


@pytest.mark.parametrize("value", [NUMBER_MAX + 1, -NUMBER_MAX - 1])
def test_larger_numbers_are_a_callers_bug(value: int) -> None:
    with pytest.raises(ValueError, match="31 bits"):
        pack_number(value)


GOLDEN = [
    ("image_8_4.heatshrink", Encoding.COMPRESSED),
    ("image_9_5.heatshrink", Encoding.COMPRESSED),
    ("base_to_image_9_8.detools", Encoding.DELTA),
    ("image_7_3.heatshrink", Encoding.COMPRESSED),
    ("base_to_image_8_7.detools", Encoding.DELTA),
    ("base_to_image_5_3.detools", Encoding.DELTA),
]


@pytest.mark.parametrize(("name", "encoding"), GOLDEN)
def test_what_the_public_tools_made_is_read(node: Node, name: str, encoding: Encoding) -> None:
    folder = VECTORS / "transfer"
    base, image, data = ((folder / file).read_bytes() for file in ("base.bin", "image.bin", name))
    digest = bytes(32) if encoding is Encoding.DELTA else None
    manifest = cut(data, encoding=encoding, image_bytes=len(image), base=digest).manifest
    assert unpack(manifest, data, base) == image
    assert node.unpack(encoding, data, base, len(image), 4096) == image


def test_ours_are_no_longer_than_those_of_the_public_tools() -> None:
    folder = VECTORS / "transfer"
    base, image = ((folder / file).read_bytes() for file in ("base.bin", "image.bin"))
    assert len(Encodings().compress(image)) <= (folder / "image_8_4.heatshrink").stat().st_size
    assert len(Encodings().delta(image, base)) <= (folder / "base_to_image_9_8.detools").stat().st_size
