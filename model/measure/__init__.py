"""A plan alone on an emulated core: how many instructions each op takes.

profile(core_of_device("mps2-an386"), payload).ops
"""

from tinyfleet.model.measure.cores import CORES, MeasureCore, core_of_device
from tinyfleet.model.measure.errors import MeasureError
from tinyfleet.model.measure.firmware import build, folder, ready
from tinyfleet.model.measure.profile import OpProfile, Profile, profile
from tinyfleet.model.measure.run import Measured, OpTime, measure

__all__ = [
    "CORES",
    "MeasureCore",
    "MeasureError",
    "Measured",
    "OpProfile",
    "OpTime",
    "Profile",
    "build",
    "core_of_device",
    "folder",
    "measure",
    "profile",
    "ready",
]
