"""The PPK2's samples: current by the formula, loss by the counter, bytes lost inside words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tinyfleet.agent.core.power.ppk2 import Mode, Ppk2Decoder, Samples, mode, power, regulator
from tinyfleet.agent.core.power.ppk2_calibration import (
    Ppk2Calibration,
    current_table,
    parse_metadata,
    sample_current_ua,
)
from tinyfleet.agent.core.power.sample_clock import SampleClock

METADATA = """Calibrated: 1
R0: 1003.35
R1: 101.58
R2: 10.30
R3: 0.96
R4: -nan
GS0: 0
GS1: 112.7
GS2: 15.4
GI0: 1
GI1: 0.97
O0: 112.9
O1: 75.4
S3: 0.0000625
I3: -0.000137
UG0: 1.01
VDD: 3300
HW: 9173
mode: 2
IA: 56
END
"""
CALIBRATION = parse_metadata(METADATA)
TABLE = current_table(CALIBRATION, 3000)


def words(
    ranges: NDArray[np.integer], adc: NDArray[np.integer], logic: NDArray[np.integer]
) -> NDArray[np.uint32]:
    counter = np.arange(len(adc)) % 64
    upper = ranges.astype(np.int64) << 14 | counter << 18 | logic.astype(np.int64) << 24
    return (adc.astype(np.int64) | upper).astype("<u4")


def stream(count: int, seed: int = 1, hold: int = 100) -> NDArray[np.uint32]:
    rng = np.random.default_rng(seed)
    # There is no range 5 to 7: the meter's own program takes them for the last one.
    ranges = np.repeat(rng.integers(0, 8, count // hold + 1), hold)[:count]
    return words(ranges, rng.integers(0, 1 << 14, count), rng.integers(0, 256, count))


def decode(data: bytes, sizes: list[int] | None = None) -> tuple[Samples, Ppk2Decoder]:
    """In pieces of these sizes, over and over."""
    decoder = Ppk2Decoder(TABLE)
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        pieces.append(decoder.feed(data[at : at + size]))
        at, turn = at + size, turn + 1
    pieces.append(decoder.flush())
    starts = np.cumsum([0, *(len(p.current_ua) for p in pieces)])
    return (
        Samples(
            np.concatenate([p.current_ua for p in pieces]),
            np.concatenate([p.logic for p in pieces]),
            np.concatenate([p.gap_at + start for p, start in zip(pieces, starts, strict=False)]),
            np.concatenate([p.gap_lost for p in pieces]),
        ),
        decoder,
    )


def filtered_one_by_one(current: NDArray[np.float64], ranges: NDArray[np.integer]) -> NDArray[np.float64]:
    """The spike filter as it is told: a sample at a time."""
    fast = slow = float(current[0])
    before, left, since = int(ranges[0]), 0, 0
    out = []
    for value, kind in zip(current.tolist(), ranges.tolist(), strict=True):
        held = fast, slow
        fast += 0.18 * (value - fast)
        slow += 0.06 * (value - slow)
        shown = value
        if kind != before:
            left, since = 3, 0
        elif left:
            since += 1
        if left:
            if kind == 4 and since < 2:
                fast, slow = held
            shown = slow if kind == 4 else fast
            left -= 1
        before = kind
        out.append(shown)
    return np.array(out)


def test_metadata_as_a_meter_tells_it() -> None:
    assert CALIBRATION.calibrated
    assert CALIBRATION.vdd_mv == 3300
    assert CALIBRATION.r[:4] == (1003.35, 101.58, 10.30, 0.96)
    assert CALIBRATION.r[4] == Ppk2Calibration().r[4], "-nan is no number: what the meter is built for"
    assert CALIBRATION.gs == (0, 112.7, 15.4, 1, 1)
    assert "calibrated by its maker" in CALIBRATION.text
    assert parse_metadata("R0: 0\nR1: -nan\nEND").r == Ppk2Calibration().r, "a shunt of 0 divides by it"
    with pytest.raises(ValueError, match="no metadata of a PPK2"):
        parse_metadata("PowerShield > ack\nEND")


def test_commands() -> None:
    assert regulator(3300) == bytes([0x0D, 0x0C, 0xE4])
    assert power(True) + power(False) == bytes([0x0C, 1, 0x0C, 0])
    assert mode(Mode.SOURCE) == bytes([0x11, 2])
    with pytest.raises(ValueError, match="799 mV"):
        regulator(799)


def test_a_sample_by_hand() -> None:
    """Range 1, converter 1000: r = (4000 - 75.4) x (1.8 / 163840) / 101.58 A, then gain and voltage."""
    r = (4000 - 75.4) * (1.8 / 163840) / 101.58
    expected_ua = 1e6 * (1 * (r * (112.7 * r + 0.97) + 0 * 3.0 + 0))
    assert sample_current_ua(CALIBRATION, 3000, np.array([1 << 14 | 1000], np.uint32))[0] == pytest.approx(
        expected_ua, rel=1e-12
    )
    assert TABLE[1 << 14 | 1000] == pytest.approx(expected_ua, rel=1e-6)
    # Range 3: the supply's voltage adds S, and I is added always.
    r = 4000 * (1.8 / 163840) / 0.96
    told = sample_current_ua(CALIBRATION, 3000, np.array([3 << 14 | 1000], np.uint32))[0]
    assert told == pytest.approx(1e6 * (r * (r + 1) + 0.0000625 * 3.0 - 0.000137), rel=1e-12)
    assert TABLE[7 << 14 | 5] == TABLE[4 << 14 | 5], "there is no range 7"


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 1000),
    count=st.integers(1, 3000),
    hold=st.sampled_from([1, 2, 3, 4, 7, 500]),
    sizes=st.lists(st.integers(90, 5000), min_size=1, max_size=5),
)
def test_every_sample_is_as_by_the_formula_however_the_bytes_come(
    seed: int, count: int, hold: int, sizes: list[int]
) -> None:
    sent = stream(count, seed, hold)
    got, decoder = decode(sent.tobytes(), sizes)
    raw = sample_current_ua(CALIBRATION, 3000, sent)
    ranges = np.minimum(sent >> 14 & 7, 4)
    np.testing.assert_allclose(got.current_ua, filtered_one_by_one(raw, ranges), rtol=2e-5, atol=1e-3)
    np.testing.assert_array_equal(got.logic, sent >> 24)
    assert (decoder.received, decoder.lost, decoder.resyncs) == (count, 0, 0)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    part=st.sampled_from([0.001, 0.01, 0.2]),
    sizes=st.lists(st.integers(300, 9000), min_size=1, max_size=4),
)
def test_every_lost_sample_is_found_and_counted(seed: int, part: float, sizes: list[int]) -> None:
    sent = stream(6000, seed)
    kept = np.random.default_rng(seed).random(len(sent)) >= part
    # Before the first and behind the last nobody can know; a last few without neighbours are not believed.
    kept[0], kept[-20:] = True, True
    got, decoder = decode(sent[kept].tobytes(), sizes)
    assert decoder.received == kept.sum()
    assert decoder.lost == got.lost == (~kept).sum()
    steps = np.diff(np.flatnonzero(kept))
    np.testing.assert_array_equal(got.gap_at, np.flatnonzero(steps > 1) + 1)
    np.testing.assert_array_equal(got.gap_lost, steps[steps > 1] - 1)


def test_a_loss_of_64_and_more_is_told_as_what_the_counter_shows() -> None:
    sent = stream(1000)
    _, decoder = decode(np.delete(sent, range(500, 500 + 64 + 5)).tobytes())
    assert decoder.lost == 5, "at least"


@settings(max_examples=60, deadline=None)
@given(
    at=st.integers(800, 2800),
    bytes_lost=st.integers(1, 200).filter(lambda n: n % 4),
    sizes=st.lists(st.integers(90, 5000), min_size=1, max_size=4),
    seed=st.integers(0, 50),
)
def test_bytes_lost_inside_a_word(at: int, bytes_lost: int, sizes: list[int], seed: int) -> None:
    """Nothing that was read over the cut comes out, and what is missing is counted."""
    sent = stream(1000, seed)
    data = sent.tobytes()
    got, decoder = decode(data[:at] + data[at + bytes_lost :], sizes)
    assert decoder.resyncs == 1
    assert decoder.received + decoder.lost == len(sent)
    positions = np.arange(decoder.received)
    for where, lost in zip(got.gap_at.tolist(), got.gap_lost.tolist(), strict=True):
        positions[where:] += lost
    np.testing.assert_array_equal(got.logic, (sent >> 24)[positions])
    assert decoder.lost <= bytes_lost // 4 + 7


def test_a_stream_that_begins_inside_a_word() -> None:
    got, decoder = decode(stream(500).tobytes()[3:])
    assert decoder.received == 497
    np.testing.assert_array_equal(got.logic, (stream(500) >> 24)[3:])


def test_noise_is_passed_over() -> None:
    noise = np.random.default_rng(3).integers(0, 256, 40_001, dtype=np.uint8).tobytes()
    _, decoder = decode(noise, [4096])
    assert decoder.received == 0
    got, decoder = decode(noise + stream(500).tobytes(), [4096])
    assert decoder.received == 498
    assert decoder.passed_bytes > 39_000
    assert len(got.current_ua) == 498


@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(
        st.one_of(
            st.binary(max_size=300),
            st.builds(
                lambda count, seed: stream(count, seed).tobytes(), st.integers(0, 80), st.integers(0, 9)
            ),
        ),
        max_size=6,
    ),
    sizes=st.lists(st.integers(1, 700), min_size=1, max_size=3),
)
def test_whatever_comes_is_samples_or_passed_over(parts: list[bytes], sizes: list[int]) -> None:
    data = b"".join(parts)
    got, decoder = decode(data, sizes)
    assert decoder.received == len(got.current_ua) == len(got.logic)
    assert 4 * decoder.received + decoder.passed_bytes <= len(data)
    assert np.isfinite(got.current_ua).all()
    assert (got.gap_at < decoder.received).all()
    assert (got.gap_lost >= 0).all() and (got.gap_lost < 64).all()


def test_a_byte_at_a_time() -> None:
    sent = stream(300, hold=7)
    got, decoder = decode(np.delete(sent, [40, 41, 200]).tobytes(), [1])
    whole, _ = decode(np.delete(sent, [40, 41, 200]).tobytes())
    assert (decoder.received, decoder.lost) == (297, 3)
    np.testing.assert_allclose(got.current_ua, whole.current_ua, rtol=1e-6)


def test_a_short_stream_and_none() -> None:
    assert decode(b"")[1].received == 0
    assert decode(stream(1).tobytes())[1].received == 1
    assert decode(stream(2).tobytes() + b"\x01")[1].received == 2
    with pytest.raises(ValueError, match="expected 131072 entries"):
        Ppk2Decoder(np.zeros(5, np.float32))


def test_the_clock_sees_what_the_counter_cannot() -> None:
    """Reads a millisecond apart, late by up to 3 ms; after 4 s 6,400 samples are lost: 100 x 64."""
    rng = np.random.default_rng(5)
    clock = SampleClock(100_000)
    noticed, taken = [], 0
    for millisecond in range(9000):
        lost = 6400 if millisecond >= 4000 else 0
        count = (millisecond + 1) * 100 - lost - taken
        if count <= 0:
            continue
        taken += count
        noticed.append(clock.add(count, 50 + (millisecond + 1) / 1000 + rng.random() * 0.003))
    assert sum(noticed) == 6400
    assert clock.count == 900_000
    assert clock.time_of(0) == pytest.approx(50, abs=0.001)


def test_a_busy_host_and_a_meter_with_another_clock_are_no_loss() -> None:
    clock = SampleClock(100_000)
    noticed = 0
    for read in range(2000):
        taken_s = (read + 1) * 0.01
        late_s = 0.4 if 700 <= read < 740 else 0.0005
        noticed += clock.add(1000, taken_s * (1 + 200e-6) + late_s)
    assert noticed == 0
    with pytest.raises(ValueError, match="no samples"):
        SampleClock(1).time_of(0)
