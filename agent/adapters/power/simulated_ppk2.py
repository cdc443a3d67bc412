"""A simulated PPK2 on a terminal: it speaks the real protocol, and what it measures is made up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinyfleet.agent.adapters.power.pty_device import PtyDevice
from tinyfleet.agent.adapters.power.simulated_profile import Profile, Shape
from tinyfleet.agent.core.power.ppk2 import RATE_HZ, SUPPLY_MIN_MV, Opcode
from tinyfleet.agent.core.power.ppk2_calibration import ADC_BITS, RANGES, current_table, parse_metadata

SERIAL: Final = "SIMULATED-PPK2"
WINDOW_INPUT: Final = 0
METADATA: Final = """Calibrated: 1
R0: 1003.3500
R1: 101.5800
R2: 10.3000
R3: 0.9600
R4: -nan
GS0: 0.0000
GS1: 112.7000
GS2: 15.4000
GS3: 0.0002
GS4: -nan
GI0: 1.0000
GI1: 0.9700
GI2: 0.9600
GI3: 0.9500
GI4: 0.9600
O0: 112.9000
O1: 75.4000
O2: 64.6000
O3: 50.5000
O4: 87.2000
S0: 0.0000
S1: 0.0000
S2: 0.0000
S3: 0.0000
S4: 0.0000
I0: 0.0000
I1: 0.0000
I2: 0.0000
I3: 0.0000
I4: 0.0000
UG0: 1.00
UG1: 1.00
UG2: 1.00
UG3: 1.00
UG4: 1.00
VDD: 3000
HW: SIMULATED
mode: 2
IA: 56
END
"""
_LENGTHS: Final[dict[int, int]] = {
    Opcode.POWER: 2,
    Opcode.REGULATOR: 3,
    Opcode.MODE: 2,
    Opcode.USER_GAIN: 6,
}
_RANGE_FULL: Final = 15_000
"""Above that value of the converter the next range measures."""
_NOISE: Final = 2.0
_CHUNK: Final = 5000


class SimulatedPpk2(PtyDevice):
    """`drop`: of a number of samples to be sent, which are lost on the way: bools [samples]. `sent` and
    `dropped` count them."""

    def __init__(
        self,
        shape: Shape | None = None,
        drop: Callable[[int], NDArray[np.bool_]] | None = None,
        seed: int = 1,
    ) -> None:
        super().__init__("simulated-ppk2")
        self.profile = Profile(RATE_HZ, shape or Shape())
        self._drop = drop
        self._random = np.random.default_rng(seed)
        self._heard = b""
        self._supply_mv = SUPPLY_MIN_MV
        self._powered = False
        self._since_s: float | None = None
        self._taken = 0
        self._rows = np.zeros((RANGES, 1 << ADC_BITS))
        self.sent = 0
        self.dropped = 0

    def hear(self, data: bytes) -> None:
        self._heard += data
        while self._heard:
            length = _LENGTHS.get(self._heard[0], 1)
            if len(self._heard) < length:
                return
            self._command(self._heard[:length])
            self._heard = self._heard[length:]

    def tick(self, now_s: float) -> None:
        if self._since_s is None:
            return
        due = int((now_s - self._since_s) * RATE_HZ) - self._taken
        while due > 0:
            count = min(due, _CHUNK)
            self._send(count)
            due -= count

    def _command(self, command: bytes) -> None:
        if command[0] == Opcode.METADATA:
            self.say(METADATA.encode("ascii"))
        elif command[0] == Opcode.START:
            table = current_table(parse_metadata(METADATA), self._supply_mv)
            self._rows = table.reshape(-1, 1 << ADC_BITS)[:RANGES].astype(np.float64)
            self._since_s, self._taken = time.monotonic(), 0
        elif command[0] in (Opcode.STOP, Opcode.RESET):
            self._since_s = None
        elif command[0] == Opcode.REGULATOR:
            self._supply_mv = command[1] << 8 | command[2]
        elif command[0] == Opcode.POWER:
            self._powered = bool(command[1])

    def _send(self, count: int) -> None:
        current, high = self.profile.take(count)
        if not self._powered:
            current = np.zeros(count)
        counter = (np.arange(self._taken, self._taken + count) % 64).astype(np.uint32)
        words = self._words(current) | counter << 18 | high.astype(np.uint32) << (24 + WINDOW_INPUT)
        self._taken += count
        if self._drop is not None:
            lost = self._drop(count)
            words = words[~lost]
            self.dropped += int(lost.sum())
        self.sent += len(words)
        self.say(words.astype("<u4").tobytes())

    def _words(self, current_ua: NDArray[np.float64]) -> NDArray[np.uint32]:
        """Range and converter's value that mean these currents, with noise that has no mean."""
        values, which = np.unique(current_ua, return_inverse=True)
        ranges = np.minimum(np.searchsorted(self._rows[:, _RANGE_FULL], values), RANGES - 1)
        scale = np.arange(1 << ADC_BITS)
        exact = np.array(
            [np.interp(value, self._rows[kind], scale) for value, kind in zip(values, ranges, strict=True)]
        )
        noisy = np.rint(exact[which] + self._random.normal(0, _NOISE, len(current_ua)))
        adc = np.clip(noisy, 0, (1 << ADC_BITS) - 1).astype(np.uint32)
        words: NDArray[np.uint32] = adc | ranges[which].astype(np.uint32) << np.uint32(ADC_BITS)
        return words
