"""A bench.yaml for what is plugged in: whole and valid, and what cannot be known is named where it stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import yaml

from tinyfleet.agent.core.boards import DEVICE_TYPES
from tinyfleet.agent.core.host_devices import ProbeInfo, SerialPort, same_serial
from tinyfleet.wire.limits import BOARDS_MAX

UNKNOWN: Final = "unknown"
_PPK2: Final = (0x1915, 0xC00A)
_ST_VCP: Final = (0x0483, 0x5740)
"""Of every virtual port of ST's library: only its name tells the LPM01A."""
_PROBE_BYTES: Final = 64
_PATH_CHARS: Final = 200
_PLAIN: Final = re.compile(r"/[A-Za-z0-9_./-]+|[a-z]+[a-z0-9]*(-[a-z0-9]+)+|microbit|unknown")


@dataclass(frozen=True, slots=True)
class _Meter:
    kind: str
    port: SerialPort

    @property
    def line(self) -> str:
        """As YAML. Of what a PPK2 can do, the one that feeds nothing."""
        more = ", mode: ampere" if self.kind == "ppk2" else ""
        return f"meter: {{kind: {self.kind}, port: {_quoted(self.port.path)}{more}}}"

    @property
    def note(self) -> str:
        return (
            "measures only; `mode: source` feeds the board with voltage_mv"
            if self.kind == "ppk2"
            else "feeds the board with voltage_mv, 3300 where nothing is said"
        )


def meter_kind(port: SerialPort) -> str | None:
    """`ppk2` or `lpm01a`, by what the USB device says of itself."""
    if (port.vid, port.pid) == _PPK2:
        return "ppk2"
    if (port.vid, port.pid) == _ST_VCP and "powershield" in port.description.lower():
        return "lpm01a"
    return None


def console_of_probe(probe: ProbeInfo, ports: Iterable[SerialPort]) -> SerialPort | None:
    """The first serial port of the USB device that the probe is, by serial number."""
    same = [port for port in ports if port.serial and same_serial(port.serial, probe.unique_id)]
    return min(same, key=lambda port: (port.location or "", port.device), default=None)


def proposal(probes: Sequence[ProbeInfo], ports: Sequence[SerialPort]) -> str | None:
    """The text of a bench.yaml; None when there is nothing that a board could be reached by."""
    usable = [probe for probe in probes if 0 < len(probe.unique_id.encode()) <= _PROBE_BYTES]
    ports = [port for port in ports if port.vid is not None and len(port.path) <= _PATH_CHARS]
    meters = _meters(ports)
    metered = {meter.port.usb_path or meter.port.device for meter in meters}
    consoles: dict[str, SerialPort | None] = {}
    for probe in usable:
        if not _emulated(probe):
            free = [port for port in ports if port not in consoles.values()]
            consoles[probe.unique_id] = console_of_probe(probe, free)
    taken = {port.usb_path or port.device for port in consoles.values() if port is not None} | metered
    left = _one_a_device(port for port in ports if (port.usb_path or port.device) not in taken)
    without = [unique_id for unique_id, port in consoles.items() if port is None]
    guess = left[0] if len(without) == 1 and len(left) == 1 else None
    boards: list[list[str]] = []
    names: set[str] = set()
    for probe in usable:
        console = consoles.get(probe.unique_id)
        lines = _type_lines(
            names, probe.board if not _emulated(probe) else _machine(probe), probe.description
        )
        lines.append(f"probe: {_quoted(probe.unique_id)}")
        if console is not None:
            lines.append(_console(console))
        elif not _emulated(probe) and guess is not None:
            lines.append(_console(guess) + "  # the only one left: is it this board's?")
        elif not _emulated(probe):
            lines.append(
                f"console: /dev/serial/by-id/fill-in-{without.index(probe.unique_id) + 1}"
                "  # fill in its serial port"
            )
        boards.append(lines)
    if not usable:
        # Boards without a probe: what they are programmed by, only their owner knows.
        for port in left:
            lines = _type_lines(names, None, port.description)
            lines.append(_console(port))
            lines.append("smp: serial  # or `program: [TOOL, ARGUMENT, …]`, what programs it")
            boards.append(lines)
        left = []
    if not boards:
        return None
    real = [lines for probe, lines in zip(usable, boards, strict=False) if not _emulated(probe)] or (
        [] if usable else boards
    )
    if len(real) == len(meters) == 1:
        real[0].append(f"{meters[0].line}  # the only meter: is it this board's? It {meters[0].note}")
        meters = []
    text = [
        "# Proposed by `tinyfleet bench scan`: look at what stands behind each #.",
        "agent: agent-1",
        "boards:",
    ]
    for lines in boards[:BOARDS_MAX]:
        text += [f"  {'-' if at == 0 else ' '} {line}" for at, line in enumerate(lines)]
    if len(boards) > BOARDS_MAX:
        text.append(f"# {len(boards) - BOARDS_MAX} more: a bench has up to {BOARDS_MAX} boards.")
    for meter in meters:
        text.append(f"# A meter: to the board it is wired to, add this. It {meter.note}.")
        text.append(f"#   {meter.line}")
    if guess is None:
        text += [f"# A serial port of no probe: {_words(port)}" for port in left]
    return "\n".join(text) + "\n"


def _meters(ports: Iterable[SerialPort]) -> list[_Meter]:
    known = [(kind, port) for port in ports if (kind := meter_kind(port)) is not None]
    first = _one_a_device(port for _, port in known)
    return [_Meter(kind, port) for kind, port in known if port in first]


def _one_a_device(ports: Iterable[SerialPort]) -> list[SerialPort]:
    """Of each USB device the first port."""
    first: dict[str, SerialPort] = {}
    for port in sorted(ports, key=lambda port: (port.location or "", port.device)):
        first.setdefault(port.usb_path or port.device, port)
    return list(first.values())


def _emulated(probe: ProbeInfo) -> bool:
    """As bench.yaml tells them: by their ids."""
    return probe.emulated and probe.unique_id.startswith("qemu-")


def _machine(probe: ProbeInfo) -> str:
    return probe.unique_id.removeprefix("qemu-").rpartition("-")[0]


def _type_lines(names: set[str], board: str | None, description: str) -> list[str]:
    """Name and device type; `board` is what the board is called, where that is known."""
    slug = _slug(board or "")
    known = next((kind for kind in DEVICE_TYPES if _letters(kind) == _letters(slug)), None)
    kind = known or slug
    stem = (kind or "board")[:26].strip("-")
    name = next(f"{stem}-{number}" for number in range(1, len(names) + 2) if f"{stem}-{number}" not in names)
    names.add(name)
    if known is not None:
        return [f"name: {_quoted(name)}", f"device_type: {_quoted(known)}"]
    what = f"it is on {_comment(description)}" if description else "its USB says nothing of it"
    if kind:
        return [
            f"name: {_quoted(name)}",
            f"device_type: {_quoted(kind)}  # is this what your releases call it?",
        ]
    return [f"name: {_quoted(name)}", f"device_type: {UNKNOWN}  # fill in what your releases call it; {what}"]


def _console(port: SerialPort) -> str:
    note = "" if port.by_id else "  # has no by-id link: another name after the next plug"
    return f"console: {_quoted(port.path)}{note}"


def _words(port: SerialPort) -> str:
    parts = (port.description, port.usb_id, f"at {port.usb_path}" if port.usb_path else None)
    return _comment(f"{port.path} ({', '.join(part for part in parts if part)})")


def _quoted(text: str) -> str:
    """As a YAML scalar: a serial number of digits is no number."""
    if _PLAIN.fullmatch(text):
        return text
    return yaml.safe_dump(text, default_style='"', width=10_000).rstrip("\n")


def _comment(text: str) -> str:
    """What a USB device says of itself, fit to stand behind a #."""
    return "".join(each if each.isprintable() else "?" for each in text)[:120]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:32].strip("-")


def _letters(text: str) -> str:
    return text.replace("-", "")
