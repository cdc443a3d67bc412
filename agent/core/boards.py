"""What the agent can program: per device type, where the app, the model and the golden set lie in flash."""

from __future__ import annotations

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.wire.memory_map import MICROBIT, MPS2_AN386_BENCH, MPS3_AN547, MemoryMap

_MAPS = {"microbit": MICROBIT, "mps2-an386": MPS2_AN386_BENCH, "mps3-an547": MPS3_AN547}


def memory_map(device_type: str) -> MemoryMap:
    """Raises PlanError for a device type whose flash layout is not known."""
    try:
        return _MAPS[device_type]
    except KeyError:
        raise PlanError(
            f"no flash layout is known for device type {device_type!r}",
            f"known are: {', '.join(sorted(_MAPS))}",
        ) from None
