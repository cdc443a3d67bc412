from __future__ import annotations

import contextlib
import itertools
import struct
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinyfleet.wire.errors import OutOfBounds, RecordError, WireError
from tinyfleet.wire.memory_map import MICROBIT, MPS2_AN386, MemoryMap
from tinyfleet.wire.messages import NodeConfig, Replay, Trust
from tinyfleet.wire.records import (
    build_golden,
    build_replay,
    decode_record,
    encode_record,
    read_golden,
    read_replay,
    record_bytes,
)
from tinyfleet.wire.vectors.message_vectors import CONFIG, REPLAY, pattern


@given(
    keys=st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=2), rest=st.binary(max_size=40)
)
@settings(deadline=None)
def test_trust_there_and_back(keys: list[bytes], rest: bytes) -> None:
    trust = Trust(keys=tuple(keys))
    flash = encode_record(trust)
    assert len(flash) % 4 == 0
    assert decode_record(Trust, flash + rest) == trust
    assert record_bytes(flash + rest) == len(flash)


@given(
    password=st.binary(max_size=64),
    window=st.none() | st.integers(0, 2**32 - 1),
    device=st.text("ab-_9", min_size=1),
)
@settings(deadline=None)
def test_configuration_there_and_back(password: bytes, window: int | None, device: str) -> None:
    config = NodeConfig(
        device=device[:48],
        host="10.0.2.2",
        port=1883,
        user=device[:48],
        password=password,
        prefix="tf/1",
        keepalive_s=30,
        seed=bytes(range(32)),
        period_s=5,
        window_ms=window,
    )
    assert decode_record(NodeConfig, encode_record(config)) == config


@pytest.mark.parametrize("record", [CONFIG, REPLAY, Trust(keys=(bytes(32),))], ids=lambda r: type(r).__name__)
def test_every_flipped_bit_is_found(record: NodeConfig | Replay | Trust) -> None:
    good = encode_record(record)
    cls: Any = type(record)
    for bit in range(8 * len(good)):
        data = bytearray(good)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(WireError):
            decode_record(cls, bytes(data).ljust(5000, b"\xff"))


def test_every_cut_is_found() -> None:
    """A power cut while the record was written: the rest is erased flash, or the region ends there."""
    good = encode_record(CONFIG)
    for end in range(len(good)):
        for data in (good[:end], good[:end].ljust(4096, b"\xff")):
            if data[: len(good)] == good:
                continue
            with pytest.raises(WireError):
                decode_record(NodeConfig, data)


@given(data=st.binary(max_size=200) | st.binary(max_size=200).map(lambda rest: b"TFR1\x02\x00" + rest))
@settings(deadline=None, max_examples=300)
def test_any_bytes_raise_only_our_errors(data: bytes) -> None:
    with pytest.raises(WireError):
        decode_record(NodeConfig, data)
    with pytest.raises(RecordError):
        read_replay(data)
    with contextlib.suppress(RecordError):
        assert record_bytes(data) % 4 == 0


def test_regions_are_told_apart() -> None:
    with pytest.raises(RecordError, match="record kind"):
        decode_record(Trust, encode_record(CONFIG))
    with pytest.raises(RecordError, match="0xffffffff"):
        decode_record(NodeConfig, b"\xff" * 64)


@given(
    samples=st.integers(1, 40),
    channels=st.integers(1, 6),
    windows=st.integers(1, 8),
    value=st.integers(-(2**15), 2**15 - 1),
)
@settings(deadline=None)
def test_replay_there_and_back(samples: int, channels: int, windows: int, value: int) -> None:
    data = struct.pack("<h", value) * (samples * channels * windows)
    region = build_replay(
        sensor="accelerometer", unit="mg", rate_mhz=25_000, samples=samples, channels=channels, data=data
    )
    assert region[4096:] == data
    replay, again = read_replay(region)
    assert again == data
    assert (replay.samples, replay.channels, replay.windows) == (samples, channels, windows)
    with pytest.raises(RecordError):
        read_replay(region[:-1])


def test_replay_that_cannot_be() -> None:
    def build(samples: int, data: bytes) -> bytes:
        return build_replay(sensor="a", unit="mg", rate_mhz=1, samples=samples, channels=3, data=data)

    room = MPS2_AN386["replay"].size_bytes - 4096
    window = 128 * 3 * 2
    assert build(128, bytes(room // window * window))
    with pytest.raises(RecordError, match="at most"):
        build(128, bytes(room // window * window + window))
    for samples, data in ((128, b""), (128, bytes(window + 2)), (0, bytes(6))):
        with pytest.raises(RecordError, match="multiple"):
            build(samples, data)
    with pytest.raises(OutOfBounds):
        build_replay(sensor="a" * 33, unit="mg", rate_mhz=1, samples=1, channels=1, data=b"\0\0")


@given(windows=st.integers(1, 20), window_bytes=st.integers(1, 400), bit=st.integers(0))
@settings(deadline=None)
def test_golden_there_and_back(windows: int, window_bytes: int, bit: int) -> None:
    data = pattern(windows * window_bytes)
    region = build_golden(data, window_bytes)
    golden, again = read_golden(region.ljust(96 * 1024, b"\xff"))
    assert again == data
    assert (golden.windows, golden.window_bytes) == (windows, window_bytes)
    damaged = bytearray(region)
    damaged[256 + bit // 8 % len(data)] ^= 1 << bit % 8
    with pytest.raises(RecordError, match="golden windows"):
        read_golden(bytes(damaged))
    with pytest.raises(RecordError):
        read_golden(region[:-1])


def test_golden_that_cannot_be() -> None:
    room = (MICROBIT["golden"].size_bytes - 256) // 384 * 384
    assert build_golden(bytes(room), 384)
    for data, window_bytes in ((bytes(room + 384), 384), (b"", 384), (bytes(383), 384), (b"x", 0)):
        with pytest.raises(RecordError):
            build_golden(data, window_bytes)


@pytest.mark.parametrize("board", [MPS2_AN386, MICROBIT], ids=lambda board: board.board)
def test_memory_map_is_sound(board: MemoryMap) -> None:
    regions = board.regions
    for region in regions:
        assert region.offset % board.sector_bytes == 0 == region.size_bytes % board.sector_bytes
    for before, after in itertools.pairwise(regions):
        assert before.end <= after.offset
    assert regions[-1].end == board.size_bytes
    with pytest.raises(KeyError, match="no flash region"):
        _ = board["nowhere"]
