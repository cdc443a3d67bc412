"""The whole chain in one command: `make demo`, or `make demo ONCE=1` to check each step and exit."""

from __future__ import annotations

import signal
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    # Nothing to end yet: without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from examples.demo.command import main as run

    return run(SIGNALS)


if __name__ == "__main__":
    sys.exit(main())
