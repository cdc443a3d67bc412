"""The door pyOCD loads through the entry point group `pyocd.probe`."""

from __future__ import annotations

from pyocd.core.plugin import Plugin

from pyocd_qemu import chips
from pyocd_qemu.probe import QemuProbe


class QemuProbePlugin(Plugin):  # type: ignore[misc]  # pyOCD has no types
    def load(self) -> type[QemuProbe]:
        chips.register()
        return QemuProbe

    @property
    def name(self) -> str:
        return "qemu"

    @property
    def description(self) -> str:
        return "Boards emulated by QEMU"
