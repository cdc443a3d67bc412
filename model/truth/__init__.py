"""TensorFlow Lite Micro's own answers, tensor by tensor, from the PyPI wheel `tflite-micro`.

with Tflm(tflite) as tflm:
    tflm.run([window])
    tflm.tensor(7)
"""

from tinyfleet.model.truth.errors import TruthError, WheelMissing
from tinyfleet.model.truth.tflm import PINNED, Tflm, wheel_version

__all__ = ["PINNED", "Tflm", "TruthError", "WheelMissing", "wheel_version"]
