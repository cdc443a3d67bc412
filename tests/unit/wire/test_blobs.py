from __future__ import annotations

import hashlib
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfleet.wire.blobs import (
    TRANSPORTED_MAX_BYTES,
    Blob,
    Reassembler,
    chunk_topics,
    cut,
    decode_manifest,
    groups_of,
)
from tinyfleet.wire.errors import BlobError, SectorMismatch, WireError
from tinyfleet.wire.messages import WantedArtifact
from tinyfleet.wire.topics import TopicKind, Topics
from tinyfleet.wire.vectors.message_vectors import pattern

SIZES = [1, 1023, 1024, 1025, 4096, 4097, 16_383, 16_384, 16_385, 40_000, 100_000]


def wanted(blob: Blob) -> WantedArtifact:
    return blob.wanted(image=bytes(32), version="1.0.0")


def fetch(blob: Blob, reassembler: Reassembler, *, shuffle: random.Random | None = None) -> None:
    """As a node does it: group by group, retained chunks in any order, some twice."""
    while (group := reassembler.group) is not None:
        chunks = [chunk for chunk in blob.chunks() if chunk.group == group]
        if shuffle:
            chunks += shuffle.choices(chunks, k=3)
            shuffle.shuffle(chunks)
        whole = [reassembler.add(chunk.group, chunk.index, chunk.data) for chunk in chunks]
        assert any(whole), f"group {group} never became whole"


@pytest.mark.parametrize("size", SIZES)
def test_cut_and_joined_again(size: int) -> None:
    data = pattern(size)
    blob = cut(data)
    reassembler = Reassembler(wanted(blob))
    fetch(blob, reassembler, shuffle=random.Random(size))  # noqa: S311 - a repeatable order, no secret
    assert reassembler.transported == data
    assert reassembler.manifest == blob.manifest


@given(data=st.binary(min_size=1, max_size=6000), seed=st.integers(0, 1000))
@settings(deadline=None, max_examples=40)
def test_any_bytes_cut_and_joined_again(data: bytes, seed: int) -> None:
    blob = cut(data)
    reassembler = Reassembler(wanted(blob))
    fetch(blob, reassembler, shuffle=random.Random(seed))  # noqa: S311 - a repeatable order, no secret
    assert reassembler.transported == data


def test_figures_of_a_blob() -> None:
    data = pattern(100_000)
    blob = cut(data)
    assert blob.groups == 7 == groups_of(len(data))
    assert len(blob.manifest.sectors) == 25 * 16
    assert blob.manifest.sectors[:16] == hashlib.sha256(data[:4096]).digest()[:16]
    assert blob.digest == hashlib.sha256(blob.manifest_bytes).digest()
    chunks = list(blob.chunks())
    assert all(0 < len(chunk.data) <= 1024 and chunk.index < 16 for chunk in chunks)
    assert b"".join(chunk.data for chunk in chunks if chunk.group) == data
    assert len(chunks) == 1 + 98


def test_largest_blob_fits_the_wire() -> None:
    blob = cut(pattern(TRANSPORTED_MAX_BYTES))
    group_0 = [chunk for chunk in blob.chunks() if chunk.group == 0]
    assert len(group_0) == 9 and len(blob.manifest_bytes) <= 8256
    assert blob.groups == 128
    for size in (0, TRANSPORTED_MAX_BYTES + 1):
        with pytest.raises(BlobError):
            cut(bytes(size))


def test_topics_of_a_blob() -> None:
    blob = cut(pattern(20_000))
    parsed = [(Topics().parse(topic), data) for topic, data in chunk_topics(blob)]
    assert [(topic.group, topic.index, data) for topic, data in parsed] == [
        (chunk.group, chunk.index, chunk.data) for chunk in blob.chunks()
    ]
    assert all(topic.kind is TopicKind.BLOB for topic, _ in parsed)
    assert all(topic.startswith("farm/blob/") for topic, _ in chunk_topics(blob, Topics("farm")))


def test_a_flipped_bit_is_found_in_its_sector_and_nothing_of_it_kept() -> None:
    blob = cut(pattern(40_000))
    reassembler = Reassembler(wanted(blob))
    found = None
    for chunk in blob.chunks():
        data = bytearray(chunk.data)
        if (chunk.group, chunk.index) == (2, 6):
            data[500] ^= 4
        try:
            reassembler.add(chunk.group, chunk.index, bytes(data))
        except SectorMismatch as error:
            found = error
            break
    assert found is not None and found.sector == 5
    assert reassembler.offset_bytes == 5 * 4096, "earlier sectors stay, this one is dropped"
    fetch(blob, reassembler)
    assert reassembler.transported == blob.transported


@given(group=st.integers(0, 3), bit=st.integers(0, 8 * 1024 - 1), chunk=st.integers(0, 15))
@settings(deadline=None, max_examples=60)
def test_no_flipped_bit_is_ever_kept(group: int, bit: int, chunk: int) -> None:
    blob = cut(pattern(40_000))
    reassembler = Reassembler(wanted(blob))
    flipped = False
    for one in blob.chunks():
        data = bytearray(one.data)
        if (one.group, one.index) == (group, chunk) and bit // 8 < len(data):
            data[bit // 8] ^= 1 << bit % 8
            flipped = True
        try:
            reassembler.add(one.group, one.index, bytes(data))
        except WireError:
            break
    assert (reassembler.group is None) == (not flipped)
    fetch(blob, reassembler)
    assert reassembler.transported == blob.transported


def test_withdrawn_and_foreign_chunks_are_ignored() -> None:
    blob = cut(pattern(5000))
    reassembler = Reassembler(wanted(blob))
    assert not reassembler.add(0, 0, b"")
    assert not reassembler.add(1, 0, b"later")
    for chunk in blob.chunks():
        if chunk.group == 0:
            reassembler.add(chunk.group, chunk.index, chunk.data)
    assert not any(reassembler.add(1, index, b"") for index in range(16)), "withdrawn while it was fetched"
    fetch(blob, reassembler)
    assert not reassembler.add(1, 0, b"late")
    assert reassembler.transported == blob.transported


def test_chunks_that_cannot_be() -> None:
    blob = cut(pattern(20_000))
    reassembler = Reassembler(wanted(blob))
    with pytest.raises(BlobError, match="group 0"):
        reassembler.add(0, 0, b"not the manifest")
    with pytest.raises(BlobError):
        reassembler.add(0, 16, b"x")
    with pytest.raises(BlobError):
        reassembler.add(0, 0, bytes(1025))
    with pytest.raises(BlobError, match="missing"):
        _ = reassembler.transported
    for chunk in blob.chunks():
        if chunk.group == 0:
            reassembler.add(chunk.group, chunk.index, chunk.data)
    for index in range(15):
        reassembler.add(1, index, bytes(1024))
    with pytest.raises(BlobError, match="group 1"):
        reassembler.add(1, 15, bytes(1023))
    assert reassembler.offset_bytes == 0


def test_an_endless_manifest_is_stopped() -> None:
    reassembler = Reassembler(wanted(cut(b"x")))
    with pytest.raises(BlobError, match="group 0"):
        for index in range(16):
            reassembler.add(0, index, bytes(1024))


def test_manifest_must_be_the_one_of_the_want() -> None:
    blob = cut(pattern(20_000))
    other = WantedArtifact(image=bytes(32), manifest=blob.digest, version="1", groups=1, size_bytes=19_999)
    with pytest.raises(BlobError, match="as wanted"):
        Reassembler(other).add(0, 0, blob.manifest_bytes)
    assert decode_manifest(blob.manifest_bytes) == blob.manifest
