"""The agent, part by part: `make bench-agent`. Ratios are of one run."""

from __future__ import annotations

import sys
from collections.abc import Callable

from tests.bench import agent_console, agent_flash, agent_power
from tests.bench.report import Figure, publish

PARTS: tuple[Callable[[], list[Figure]], ...] = (
    agent_flash.figures,
    agent_console.figures,
    agent_power.figures,
)


def main() -> int:
    figures = [figure for part in PARTS for figure in part()]
    publish("agent", "The agent (emulated boards; host time on this machine's cores)", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
