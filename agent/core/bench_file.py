"""bench.yaml: which boards a bench has, and how each is reached. Errors name the line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tinyfleet.agent.core.attachments import (
    Command,
    CommandSwitchSpec,
    Ina226Spec,
    JoulescopeSpec,
    MeterSpec,
    SwitchSpec,
    Text,
    UsbSwitchSpec,
)
from tinyfleet.agent.core.yaml_file import Misplaced, parse_yaml
from tinyfleet.wire.limits import BOARD_LABELS_MAX, BOARDS_MAX

LIMIT_BYTES = 64 * 1024
_EDIT = "correct the file; `tinyfleet bench scan` proposes one"
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
Machine = Literal["microbit", "mps2-an386", "mps2-an500", "mps3-an547"]
"""What QEMU emulates; pyocd_qemu.machines has the same."""
Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,48}$")]


def _bytes_at_most(limit: int) -> AfterValidator:
    """Texts on the wire are bounded in bytes of UTF-8."""

    def check(text: str) -> str:
        if len(text.encode()) > limit:
            raise ValueError(f"{len(text.encode())} bytes, expected at most {limit}")
        return text

    return AfterValidator(check)


Label = Annotated[str, StringConstraints(min_length=1), _bytes_at_most(32)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownGood(_Model):
    """What a board is programmed with when nothing else brings it back; files, relative to bench.yaml."""

    firmware: Text
    model: Text | None = None


class BoardSpec(_Model):
    """`probe` is pyOCD's unique id. `console` is a port or URL for pyserial; an emulated board's is known
    to its emulator. `emulate` names the machine the agent starts for it. `smp`: "serial" (on the console) or
    `udp://HOST:PORT`. `program`: a vendor's tool, with {image} and {port} in its arguments. `device`: the
    fleet's device that the agent speaks for, as the board has no network."""

    name: Name
    device_type: Annotated[str, StringConstraints(min_length=1), _bytes_at_most(32)]
    probe: Annotated[str, StringConstraints(min_length=1), _bytes_at_most(64)] | None = None
    console: Text | None = None
    baud: Annotated[int, Field(ge=300, le=12_000_000)] = 115_200
    emulate: Machine | None = None
    smp: Annotated[str, StringConstraints(pattern=r"^(serial|udp://[A-Za-z0-9._-]+:[0-9]{1,5})$")] | None = (
        None
    )
    program: Command | None = None
    meter: MeterSpec | None = None
    switch: SwitchSpec | None = None
    known_good: KnownGood | None = None
    device: Id | None = None
    labels: Annotated[dict[Name, Label], Field(max_length=BOARD_LABELS_MAX)] = {}

    @property
    def is_emulated_probe(self) -> bool:
        return self.probe is not None and self.probe.startswith("qemu-")

    @model_validator(mode="after")
    def _reachable(self) -> BoardSpec:
        if self.probe is None and self.smp is None and self.program is None:
            raise ValueError("nothing programs it: name its probe, smp or program")
        if self.emulate is not None and not self.is_emulated_probe:
            raise ValueError("an emulated board's probe is qemu-MACHINE-0001 or the like")
        if self.is_emulated_probe and self.meter is not None and self.meter.kind != "simulated":
            raise ValueError("an emulated board draws no current: its meter can only be of kind simulated")
        by_network = self.smp is not None and self.smp.startswith("udp://")
        if self.console is None and not self.is_emulated_probe and not by_network:
            raise ValueError("console is missing (only an emulated board's console is known without)")
        return self


class BenchFile(_Model):
    """`manager` names the JSON file of credentials that `tinyfleet agent register` wrote; none: work
    alone. `metrics`: where Prometheus reads the agent's own metrics; none: nowhere."""

    agent: Id = "agent"
    manager: Text | None = None
    metrics: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]+:[0-9]{1,5}$")] | None = None
    boards: Annotated[tuple[BoardSpec, ...], Field(min_length=1, max_length=BOARDS_MAX)]

    @model_validator(mode="after")
    def _distinct(self) -> BenchFile:
        seen: set[tuple[str, object]] = set()
        for at, board in enumerate(self.boards):
            for key, what, value in _own(board):
                if (what, value) in seen:
                    raise Misplaced(f"two boards have the {what} {value!r}", "boards", at, *key)
                seen.add((what, value))
        return self

    def board(self, name: str) -> BoardSpec | None:
        return next((board for board in self.boards if board.name == name), None)


def _own(board: BoardSpec) -> Iterator[tuple[tuple[str, ...], str, object]]:
    """What no two boards can have: where it stands, what it is, and the value."""
    for what in ("name", "probe", "device"):
        if (value := getattr(board, what)) is not None:
            yield (what,), what, value
    port = getattr(board.meter, "port", None)
    for key, path in ((("console",), board.console), (("meter", "port"), port)):
        if path is not None:
            yield key, "port", path
    if isinstance(board.switch, UsbSwitchSpec):
        yield ("switch",), "switched USB port", f"{board.switch.location} port {board.switch.port}"
    if isinstance(board.switch, CommandSwitchSpec):
        yield ("switch",), "switch-off command", " ".join(board.switch.off)
    if isinstance(board.meter, Ina226Spec):
        place = board.meter.hwmon or f"bus {board.meter.bus} address {board.meter.address:#x}"
        yield ("meter",), "meter", f"ina226 {place}"
    if isinstance(board.meter, JoulescopeSpec):
        yield ("meter",), "meter", f"joulescope {board.meter.serial or '(the only one)'}"


def parse_bench(text: str, name: str) -> BenchFile:
    """Raises BenchFileError with every fault as `file:line: what`."""
    return parse_yaml(BenchFile, text, name, limit_bytes=LIMIT_BYTES, hint=_EDIT)
