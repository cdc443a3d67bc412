"""A PPK2's commands and its samples: 100,000 words a second, little-endian.

Bits 0-13 are the converter's value, 14-16 the range, 18-23 a counter, 24-31 eight logic inputs. The counter
makes loss visible: a step of more than one says how many samples are missing, modulo 64. A meter's bytes may
also get lost inside a word; then the counters of words read at another offset step by one again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinyfleet.agent.core.power.ppk2_calibration import ADC_BITS, RANGES, TABLE_ENTRIES
from tinyfleet.agent.core.power.samples import NONE, Bits, Currents, Indices
from tinyfleet.agent.core.power.spikes import SpikeFilter

RATE_HZ: Final = 100_000
LOGIC_INPUTS: Final = 8
COUNTER_STEPS: Final = 64
WORD_BYTES: Final = 4
SUPPLY_MIN_MV: Final = 800
SUPPLY_MAX_MV: Final = 5000
_COUNTER_BIT: Final = 18
_RANGE_AND_COUNTER: Final = 0x3F7
"""Of a word without the converter's bits: three of the range, one without meaning, six of the counter."""
_ALL: Final = 0x3FF
_ONE_ON: Final = 0x10
"""What the next word's range and counter are above one's, in the same range."""
_LOOK: Final = 16
"""Words by which it is told whether the stream is read at the right offset."""
_ALIGNED: Final = 4
"""Of those, so many with the counter one on: a lossy stream. At a wrong offset it is one in 64 by chance."""
_DOUBTFUL: Final = 2
"""Words before and behind a cut that may have been read over it: their counter was right by chance, or it was
another byte that got lost."""
_BEGIN: Final = 8
"""Of those, with which the first word of a stream is believed to be one."""


class Opcode(IntEnum):
    START = 0x06
    STOP = 0x07
    POWER = 0x0C
    REGULATOR = 0x0D
    MODE = 0x11
    METADATA = 0x19
    RESET = 0x20
    USER_GAIN = 0x25


class Mode(IntEnum):
    AMPERE = 1
    SOURCE = 2


def power(on: bool) -> bytes:
    return bytes([Opcode.POWER, on])


def regulator(supply_mv: int) -> bytes:
    """ValueError outside 800 to 5000 mV."""
    if not SUPPLY_MIN_MV <= supply_mv <= SUPPLY_MAX_MV:
        raise ValueError(f"{supply_mv} mV, expected {SUPPLY_MIN_MV} to {SUPPLY_MAX_MV}")
    return bytes([Opcode.REGULATOR, supply_mv >> 8, supply_mv & 0xFF])


def mode(which: Mode) -> bytes:
    return bytes([Opcode.MODE, which])


@dataclass(frozen=True, slots=True)
class Samples:
    """`current_ua` and `logic` [samples]. Before sample `gap_at[i]` at least `gap_lost[i]` are missing: by
    the counter, so that 64, 128 … more would look the same."""

    current_ua: Currents
    logic: Bits
    gap_at: Indices = field(default_factory=lambda: NONE)
    gap_lost: Indices = field(default_factory=lambda: NONE)

    @property
    def lost(self) -> int:
        return int(self.gap_lost.sum())


class Ppk2Decoder:
    """Bytes of any size in, samples out, some words behind: the newest are held back until it is sure that
    they were read at the right offset.

    `received` and `lost` samples so far; `resyncs`: how often bytes had got lost inside a word; what was
    read over them counts as lost. `passed_bytes`: how many were passed over meanwhile.
    """

    def __init__(self, table_ua: Currents) -> None:
        """`table_ua`: see current_table."""
        if table_ua.shape != (TABLE_ENTRIES,):
            raise ValueError(f"a table of {table_ua.shape}, expected {TABLE_ENTRIES} entries")
        self._table = table_ua
        self._spikes = SpikeFilter()
        self._rest = b""
        self._head: int | None = None
        self._searching = True
        self.received = 0
        self.lost = 0
        self.resyncs = 0
        self.passed_bytes = 0

    def feed(self, data: bytes | bytearray | memoryview) -> Samples:
        return self._decode(bytes(data), final=False)

    def flush(self) -> Samples:
        """What was held back; the stream has ended."""
        return self._decode(b"", final=True)

    def _decode(self, data: bytes, final: bool) -> Samples:
        stream = self._rest + data if self._rest else data
        pieces: list[Samples] = []
        at = 0
        while True:
            if self._searching:
                at, found = self._find(stream, at, final)
                if not found:
                    break
            words = np.frombuffer(stream, "<u4", (len(stream) - at) // WORD_BYTES, at)
            piece, taken = self._take(words, final)
            at += taken * WORD_BYTES
            pieces.append(piece)
            if not self._searching:
                break
        self._rest = stream[at:]
        samples = pieces[0] if len(pieces) == 1 else _joined(pieces)
        self.received += len(samples.current_ua)
        self.lost += samples.lost
        return samples

    def _find(self, stream: bytes, at: int, final: bool) -> tuple[int, bool]:
        """Where words begin, at or behind `at`, and whether that is known."""
        begun = self._head is None and self.passed_bytes == 0
        if len(stream) - at < (_LOOK + 2) * WORD_BYTES and not (final and begun):
            return (len(stream), False) if final else (at, False)
        best = len(stream)
        for offset in range(WORD_BYTES):
            count = (len(stream) - at - offset) // WORD_BYTES
            if count < 1:
                continue
            heads = _heads(np.frombuffer(stream, "<u4", count, at + offset))
            good = _is_next(heads[:-1], heads[1:])
            if offset == 0 and begun and good[:_LOOK].sum() * _LOOK >= _BEGIN * min(_LOOK, len(good)):
                best = at
                break
            sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(good, dtype=np.int64)])
            whole = np.flatnonzero(sums[_LOOK:] - sums[:-_LOOK] == _LOOK) if len(sums) > _LOOK else NONE
            if len(whole):
                best = min(best, at + offset + (int(whole[0]) + _DOUBTFUL) * WORD_BYTES)
        if best < len(stream):
            self.resyncs += best != at or not begun
            self.passed_bytes += best - at
            self._searching = False
            return best, True
        # No words in all this; its end may be the beginning of some.
        end = len(stream) if final else len(stream) - (_LOOK + 1) * WORD_BYTES
        self.passed_bytes += end - at
        return end, False

    def _take(self, words: NDArray[np.uint32], final: bool) -> tuple[Samples, int]:
        """The samples of the words that are beyond doubt, and how many those are. Where the stream goes on
        at another offset, `_searching` is set."""
        count = max(len(words) - (0 if final else _DOUBTFUL), 0)
        heads = _heads(words)
        head = int(heads[0]) - _ONE_ON if self._head is None and len(heads) else self._head or 0
        line = np.concatenate([np.array([head & _ALL], np.uint16), heads])
        if (((line[1:] - line[:-1]) & _ALL) == _ONE_ON).all():
            return self._samples(words[:count], heads[:count], None), count
        good = _is_next(line[:-1], line[1:])
        if good.all():
            return self._samples(words[:count], heads[:count], (NONE, NONE)), count
        breaks = np.flatnonzero(~good).astype(np.int64)
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(good, dtype=np.int64)])
        last = np.minimum(breaks + 1 + _LOOK, len(words))
        seen = last - (breaks + 1)
        decided = (seen == _LOOK) | final
        aligned = (sums[last] - sums[breaks + 1]) * _LOOK >= _ALIGNED * seen
        unsure = np.flatnonzero(~(decided & aligned))
        if len(unsure):
            count = min(count, max(int(breaks[unsure[0]]) - _DOUBTFUL, 0))
            self._searching = bool(decided[unsure[0]])
        gap_at = breaks[breaks < count]
        step = _steps(line[gap_at], line[gap_at + 1])
        gaps = (gap_at, (step.astype(np.int64) - 1) % COUNTER_STEPS)
        return self._samples(words[:count], heads[:count], gaps), count

    def _samples(
        self, words: NDArray[np.uint32], heads: NDArray[np.uint16], gaps: tuple[Indices, Indices] | None
    ) -> Samples:
        current = self._table.take(words & (TABLE_ENTRIES - 1), mode="clip")
        if len(words):
            ranges = None
            if gaps is not None or self._head is None:
                ranges = np.minimum(heads & 7, RANGES - 1).astype(np.uint8)
            self._spikes.apply(current, ranges)
            self._head = int(heads[-1])
        logic = words.view(np.uint8)[WORD_BYTES - 1 :: WORD_BYTES].copy()
        return Samples(current, logic, *(gaps or (NONE, NONE)))


def _heads(words: NDArray[np.uint32]) -> NDArray[np.uint16]:
    """Range and counter of each word."""
    return (words >> np.uint32(ADC_BITS)).astype(np.uint16) & np.uint16(_RANGE_AND_COUNTER)


def _steps(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> NDArray[np.uint16]:
    shift = _COUNTER_BIT - ADC_BITS
    return ((other >> shift) - (one >> shift)) & np.uint16(COUNTER_STEPS - 1)


def _is_next(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> NDArray[np.bool_]:
    good: NDArray[np.bool_] = _steps(one, other) == 1
    return good


def _joined(pieces: list[Samples]) -> Samples:
    if not pieces:
        return Samples(np.zeros(0, np.float32), np.zeros(0, np.uint8))
    starts = np.cumsum([0, *(len(piece.current_ua) for piece in pieces[:-1])])
    return Samples(
        np.concatenate([piece.current_ua for piece in pieces]),
        np.concatenate([piece.logic for piece in pieces]),
        np.concatenate([piece.gap_at + start for piece, start in zip(pieces, starts, strict=True)]),
        np.concatenate([piece.gap_lost for piece in pieces]),
    )
