"""What a PPK2 (Nordic Power Profiler Kit II) says of itself, and what its samples mean by that.

The meter has five ranges, each with a shunt and six constants of its own; the metadata are text lines
`Key: value` that end with END. Sources: Nordic's pc-nrfconnect-ppk and IRNAS' ppk2-api, for the facts alone.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from tinyfleet.agent.core.power.samples import Currents

RANGES: Final = 5
TABLE_ENTRIES: Final = 1 << 17
ADC_BITS: Final = 14
_ADC_STEP: Final = 4
"""A sample holds the converter's value without its two lowest bits."""
_VOLTS_A_STEP: Final = 1.8 / 163840
_MICRO: Final = 1e6

Five = tuple[float, float, float, float, float]
_ZEROS: Final[Five] = (0.0,) * RANGES
_ONES: Final[Five] = (1.0,) * RANGES
END: Final = "END"
_LINE = re.compile(r"^\s*([A-Za-z]+?)([0-4]?)\s*:\s*(\S+)\s*$")


@dataclass(frozen=True, slots=True)
class Ppk2Calibration:
    """Constants a range: shunt `r` in ohms; gain `gs`, `gi`; offset `o` of the converter; `s` of the supply
    voltage; `i` in amperes; the user's gain `ug`. Where the meter tells none, what it is built for."""

    r: Five = (1031.64, 101.65, 10.15, 0.94, 0.043)
    gs: Five = _ONES
    gi: Five = _ONES
    o: Five = _ZEROS
    s: Five = _ZEROS
    i: Five = _ZEROS
    ug: Five = _ONES
    calibrated: bool = False
    vdd_mv: int = 0
    hardware: str = ""

    @property
    def text(self) -> str:
        """For records: whether it was calibrated, and the shunts, by which one meter is told from another."""
        state = "calibrated by its maker" if self.calibrated else "not calibrated"
        return f"{state}, R {'/'.join(f'{r:g}' for r in self.r)} ohm"


def parse_metadata(text: str) -> Ppk2Calibration:
    """`text`: all lines up to END. A value that is missing, not a number or (for a shunt) not above zero
    leaves the default, as the maker's own program does: meters tell `-nan`. ValueError where no line is one
    of metadata: this is no PPK2."""
    told: dict[tuple[str, str], str] = {}
    for line in text.split(END)[0].splitlines():
        match = _LINE.match(line)
        if match is not None:
            told[match[1].upper(), match[2]] = match[3]
    if ("R", "0") not in told:
        raise ValueError(f"no metadata of a PPK2: {text[:60]!r}")
    five = {
        name: _five(name, told, getattr(Ppk2Calibration(), name))
        for name in ("r", "gs", "gi", "o", "s", "i", "ug")
    }
    vdd = _number(told.get(("VDD", "")))
    return Ppk2Calibration(
        **five,
        calibrated=_number(told.get(("CALIBRATED", ""))) not in (None, 0.0),
        vdd_mv=0 if vdd is None else int(vdd),
        hardware=told.get(("HW", ""), ""),
    )


def current_table(calibration: Ppk2Calibration, supply_mv: float) -> Currents:
    """µA for each of a sample's lowest 17 bits: three of the range, 14 of the converter. [131072].

    Ranges that do not exist (5 to 7) read as the last one.
    """
    return sample_current_ua(calibration, supply_mv, np.arange(TABLE_ENTRIES, dtype=np.uint32)).astype(
        np.float32
    )


def sample_current_ua(
    calibration: Ppk2Calibration, supply_mv: float, words: NDArray[np.uint32]
) -> NDArray[np.float64]:
    """What samples mean, before the spike filter, by the formula."""
    kind = np.minimum(words >> ADC_BITS & 7, RANGES - 1)
    adc = (words & (1 << ADC_BITS) - 1).astype(np.float64) * _ADC_STEP
    r, gs, gi, o, s, i, ug = (
        np.array(getattr(calibration, name))[kind] for name in ("r", "gs", "gi", "o", "s", "i", "ug")
    )
    amperes = (adc - o) * (_VOLTS_A_STEP / r)
    corrected: NDArray[np.float64] = ug * (amperes * (gs * amperes + gi) + s * (supply_mv / 1000) + i)
    return corrected * _MICRO


def _five(name: str, told: dict[tuple[str, str], str], default: Five) -> Five:
    values = []
    for index, other in enumerate(default):
        value = _number(told.get((name.upper(), str(index))))
        bad = value is None or (name == "r" and value <= 0)
        values.append(other if bad or value is None else value)
    return (values[0], values[1], values[2], values[3], values[4])


def _number(text: str | None) -> float | None:
    """None for what is no finite number: a meter may say `-nan`."""
    try:
        value = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
