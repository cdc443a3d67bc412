"""What can stop a measurement."""

from __future__ import annotations


class MeasureError(Exception):
    """QEMU, a compiler or the firmware's sources are missing, or the run did not come to its end; the message
    says what to do."""
