"""What a bench may have beside a board, as bench.yaml names it: power meters and power switches."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Command = Annotated[tuple[Text, ...], Field(min_length=1, max_length=32)]
"""Program and arguments; never a shell's string."""
LogicInput = Annotated[int, Field(ge=0, le=7)]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: str

    @property
    def label(self) -> str:
        """What people are told that it is."""
        return self.kind


class _MeterSpec(_Spec):
    """`accuracy_percent`: its limits of error, by whoever calibrated it; not given: not known, and so no part
    of any uncertainty."""

    accuracy_percent: Annotated[float, Field(gt=0, le=100)] | None = None

    @property
    def accuracy(self) -> float | None:
        return None if self.accuracy_percent is None else self.accuracy_percent / 100


class Ppk2Spec(_MeterSpec):
    """Nordic Power Profiler Kit II. `source`: it feeds the board with `voltage_mv`; `ampere`: it measures
    between supply and board. `window_input`: the logic input on the board's window pin."""

    kind: Literal["ppk2"]
    port: Text
    mode: Literal["source", "ampere"] = "source"
    voltage_mv: Annotated[int, Field(ge=800, le=5000)] = 3000
    window_input: LogicInput | None = None


class Lpm01aSpec(_MeterSpec):
    """ST X-NUCLEO-LPM01A."""

    kind: Literal["lpm01a"]
    port: Text
    voltage_mv: Annotated[int, Field(ge=1800, le=3300)] = 3300
    rate_hz: Annotated[int, Field(ge=1, le=100_000)] = 1000
    window_input: LogicInput | None = None


class Ina226Spec(_MeterSpec):
    """TI INA226: by Linux's hwmon driver (`hwmon`, a folder), or by I2C (`bus` and `address`)."""

    kind: Literal["ina226"]
    hwmon: Text | None = None
    bus: Annotated[int, Field(ge=0, le=255)] | None = None
    address: Annotated[int, Field(ge=0x40, le=0x4F)] = 0x40
    shunt_uohm: Annotated[int, Field(ge=100, le=100_000_000)] = 100_000

    @model_validator(mode="after")
    def _one_way(self) -> Ina226Spec:
        if (self.hwmon is None) == (self.bus is None):
            raise ValueError("an ina226 is read by either `hwmon` or `bus`")
        return self


class JoulescopeSpec(_MeterSpec):
    """Joulescope, by its own package (the extra `joulescope`). No serial number: the only one there."""

    kind: Literal["joulescope"]
    serial: Text | None = None
    window_input: LogicInput | None = None


class SimulatedMeterSpec(_Spec):
    """A meter that speaks the protocol of `like` on a terminal of this host. What it tells is made up.
    `lost_percent` of its samples do not arrive."""

    kind: Literal["simulated"]
    like: Literal["ppk2", "lpm01a"] = "ppk2"
    lost_percent: Annotated[float, Field(ge=0, le=50)] = 0.0

    @property
    def label(self) -> str:
        return f"simulated {self.like}"


MeterSpec = Annotated[
    Ppk2Spec | Lpm01aSpec | Ina226Spec | JoulescopeSpec | SimulatedMeterSpec, Field(discriminator="kind")
]


class UsbSwitchSpec(_Spec):
    """A port of a USB hub that switches power, by uhubctl."""

    kind: Literal["uhubctl"]
    location: Annotated[str, StringConstraints(pattern=r"^[0-9]+(-[0-9]+(\.[0-9]+)*)?$")]
    port: Annotated[int, Field(ge=1, le=32)]


class CommandSwitchSpec(_Spec):
    """A relay or socket by commands of its own."""

    kind: Literal["command"]
    on: Command
    off: Command


class EmulatedSwitchSpec(_Spec):
    """The power of an emulated board: off ends its QEMU as a power cut does."""

    kind: Literal["emulated"]


SwitchSpec = Annotated[UsbSwitchSpec | CommandSwitchSpec | EmulatedSwitchSpec, Field(discriminator="kind")]
