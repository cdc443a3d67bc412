"""Joins the ways by which boards are programmed with what does it; used by main."""

from __future__ import annotations

import time

from tinyfleet.agent.adapters.bench_consoles import BenchConsoles
from tinyfleet.agent.adapters.smp import SmpLinks
from tinyfleet.agent.adapters.vendor_tools import VendorTools
from tinyfleet.agent.config import Folders
from tinyfleet.agent.services.flasher import Flasher
from tinyfleet.agent.services.ports import Clock, Probes
from tinyfleet.agent.services.programming import Programming
from tinyfleet.agent.services.smp_flasher import SmpFlasher
from tinyfleet.agent.services.tool_flasher import ToolFlasher


def programming(probes: Probes, consoles: BenchConsoles, folders: Folders, clock: Clock) -> Programming:
    return Programming(
        Flasher(probes, clock),
        SmpFlasher(SmpLinks(consoles), clock, time.sleep),
        ToolFlasher(VendorTools(folders.flashes), clock, consoles.lend),
    )
