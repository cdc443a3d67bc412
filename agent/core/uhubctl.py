"""uhubctl's arguments, and what it prints (its source, version 2.5: `print_port_status`).

uhubctl ends with status 0 whether or not a port switched, so that only its second look at the port counts.
A USB 3 hub is two hubs to the host, switched both: what is fed by either is not off.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_HUB = re.compile(r"^(?P<when>Current|New) status for hub (?P<hub>\S+) \[")
_PORT = re.compile(r"^ +Port (?P<port>\d+): [0-9a-f]{4}(?P<words>[^\[]*)")


@dataclass(frozen=True, slots=True)
class PortPower:
    """A port as uhubctl saw it after switching."""

    hub: str
    on: bool


def arguments(location: str, port: int, *, on: bool) -> list[str]:
    """The other half of a USB 3 hub is found by uhubctl itself."""
    return ["uhubctl", "-l", location, "-p", str(port), "-a", "on" if on else "off"]


def ports_after(output: str, port: int) -> list[PortPower]:
    """The port after switching, in each hub that was switched; empty when uhubctl told none."""
    found: list[PortPower] = []
    hub: str | None = None
    for line in output.splitlines():
        heading, state = _HUB.match(line), _PORT.match(line)
        if heading is not None:
            hub = heading["hub"] if heading["when"] == "New" else None
        elif state is not None and hub is not None and int(state["port"]) == port:
            found.append(PortPower(hub, "power" in state["words"].split()))
    return found


def fault(output: str, port: int, *, on: bool) -> str | None:
    """Why the output does not say that the port is as wanted; None when it does."""
    found = ports_after(output, port)
    if not found:
        last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "nothing")
        return f"uhubctl did not tell the port's state; it said: {last}"
    wrong = [each.hub for each in found if each.on is not on]
    # One half of a USB 3 hub is enough to feed a board, and both are needed to cut it off.
    if wrong and not (on and len(wrong) < len(found)):
        return f"port {port} of hub {', '.join(wrong)} is still {'off' if on else 'on'}"
    return None
