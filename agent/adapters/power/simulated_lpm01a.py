"""A simulated LPM01A on a terminal: it speaks the real protocol, and what it measures is made up."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinyfleet.agent.adapters.power.pty_device import PtyDevice
from tinyfleet.agent.adapters.power.simulated_profile import Profile, Shape
from tinyfleet.agent.core.power.lpm01a import DONE, PROMPT

SERIAL: Final = "SIMULATED-LPM01A"
_FINE: Final = 10
"""Steps of the profile a sample: energy is what adds up between two samples."""
_STAMP_S: Final = 1.0
_DIGITS: Final = 4
_SETTINGS: Final = (
    *("htc", "hrc", "lcd", "acqtime", "trigdelay", "trigsrc", "eventsrc", "output", "format"),
    *("acqmode", "funcmode", "pwrend"),
)
SHAPE: Final = Shape(low_s=0.001)


class SimulatedLpm01a(PtyDevice):
    """`drop`: of a number of samples to be sent, which are lost on the way: bools [samples]. `sent` and
    `dropped` count them."""

    def __init__(self, shape: Shape = SHAPE, drop: Callable[[int], NDArray[np.bool_]] | None = None) -> None:
        super().__init__("simulated-lpm01a")
        self._shape = shape
        self._drop = drop
        self._heard = b""
        self._rate_hz = 100
        self._supply_mv = 3300
        self._powered = False
        self._since_s: float | None = None
        self._taken = 0
        self._event = 0
        self._was_high = True
        self.profile = Profile(self._rate_hz * _FINE, shape)
        self.sent = 0
        self.dropped = 0

    def hear(self, data: bytes) -> None:
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            words = line.decode("ascii", errors="replace").split()
            if words:
                self._command(words)

    def tick(self, now_s: float) -> None:
        if self._since_s is None:
            return
        due = int((now_s - self._since_s) * self._rate_hz) - self._taken
        if due > 0:
            self._send(due)

    def _command(self, words: list[str]) -> None:
        text, name = " ".join(words), words[0]
        answer: list[str] = []
        if name == "powershield":
            answer = [f"PowerShield present: {SERIAL}"]
        elif name == "version":
            answer = ["1.0.6"]
        elif name == "freq":
            self._rate_hz = round(float(words[1].replace("k", "e3")))
            self.profile = Profile(self._rate_hz * _FINE, self._shape)
        elif name == "volt":
            self._supply_mv = int(words[1].removesuffix("m"))
        elif name == "pwr":
            self._powered = words[1] == "on"
        elif name == "start":
            self._since_s, self._taken = time.monotonic(), 0
        elif name == "stop" and self._since_s is not None:
            self._since_s = None
            self._line(f"{PROMPT} ack stop")
            self._line(f"{PROMPT} {DONE}")
            return
        elif name not in _SETTINGS:
            self._line(f"{PROMPT} error {text}")
            return
        for line in (f"{PROMPT} ack {text}", *answer):
            self._line(line)

    def _send(self, count: int) -> None:
        current, high = self.profile.take(count * _FINE)
        if not self._powered:
            current = np.zeros(count * _FINE)
        volts = self._supply_mv / 1000
        joules = current.reshape(count, _FINE).mean(axis=1) * 1e-6 * volts / self._rate_hz
        falls = (~high & np.concatenate([[self._was_high], high[:-1]])).reshape(count, _FINE).any(axis=1)
        self._was_high = bool(high[-1])
        lost = np.zeros(count, bool) if self._drop is None else self._drop(count)
        for energy, fell, gone in zip(joules.tolist(), falls.tolist(), lost.tolist(), strict=True):
            if self._taken % round(_STAMP_S * self._rate_hz) == 0:
                milliseconds = self._taken * 1000 // self._rate_hz
                self._line(f"TimeStamp: {milliseconds // 1000:03}s {milliseconds % 1000:03}ms, buff 00%")
            if fell:
                self._line(f"event {self._event} ris")
                self._event += 1
            if not gone:
                self._line(_number(energy))
            self._taken += 1
        self.sent += int((~lost).sum())
        self.dropped += int(lost.sum())

    def _line(self, text: str) -> None:
        self.say(f"{text}\r\n".encode("ascii"))


def _number(value: float) -> str:
    """Four digits and a power of ten."""
    if value <= 0:
        return "0000-09"
    exponent = math.floor(math.log10(value)) - _DIGITS + 1
    digits = round(value / 10.0**exponent)
    if digits == 10**_DIGITS:
        digits, exponent = digits // 10, exponent + 1
    return f"{digits:0{_DIGITS}}{exponent:+03}"
