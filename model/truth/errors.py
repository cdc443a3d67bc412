"""What can stop a comparison with TensorFlow Lite Micro.

TruthError            TFLM cannot run this model, or its process ended; the message holds its last words
└── WheelMissing      the wheel is not installed; the message says how to install it
"""

from __future__ import annotations


class TruthError(Exception):
    """Root of the tree."""


class WheelMissing(TruthError):
    pass
