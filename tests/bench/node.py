"""The node: size, start, idling, bytes on air, power cuts. `make bench-node`."""

from __future__ import annotations

import sys

from tests.bench.node_cuts import power_cuts
from tests.bench.node_idle import starts_and_idle
from tests.bench.node_size import sizes
from tests.bench.node_transfer import transfers
from tests.bench.report import publish


def main() -> int:
    figures = [*sizes(), *starts_and_idle(), *transfers(), *power_cuts()]
    publish("node", "The node (emulated mps2-an386; its clock counts instructions)", figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
