"""Enumerations of the wire (SPEC section 4, record kinds of section 8, frame types of section 9).

Numbers never change meaning; a reader refuses a number it does not know.
"""

from __future__ import annotations

from enum import IntEnum


class UpdateState(IntEnum):
    IDLE = 0
    OFFERED = 1
    DEFERRED = 2
    DOWNLOADING = 3
    PAUSED = 4
    VERIFIED = 5
    STAGED = 6
    TRIAL = 7
    CONFIRMED = 8
    REVERTED = 9
    FAILED = 10
    SHADOW = 11
    """What was wanted runs, and a challenger beside the model."""


class ConnState(IntEnum):
    ONLINE = 1
    ASLEEP = 2
    LOST = 3


class PowerSource(IntEnum):
    MAINS = 0
    BATTERY = 1
    USB = 2


class Timing(IntEnum):
    """What a node's latencies mean: wall time, or an emulator's instruction count."""

    WALL = 0
    INSTRUCTIONS = 1


class ClockSource(IntEnum):
    """Where a node has the time of day from."""

    NONE = 0
    SNTP = 1
    MANAGER = 2
    SYSTEM = 3


class CoreVariant(IntEnum):
    PORTABLE = 0
    DSP = 1
    MVE = 2


class ArtifactKind(IntEnum):
    FIRMWARE = 0
    MODEL = 1


class EventKind(IntEnum):
    INFERENCE = 0
    LOG = 1
    CRASH = 2


class EnergyWindow(IntEnum):
    """How it was told when a board inferred, for the meter's samples of that time. EDGE: by its window pin,
    on one of the meter's logic inputs. TIMESTAMP: by times told on the console, as the host's clock saw them.
    """

    EDGE = 0
    TIMESTAMP = 1


class BoardState(IntEnum):
    """What the agent knows of a board. UNKNOWN: not asked since the agent started."""

    UNKNOWN = 0
    READY = 1
    BUSY = 2
    FAILED = 3
    ABSENT = 4
    RECOVERING = 5
    QUARANTINED = 6


class Encoding(IntEnum):
    """How transported bytes become the installed image (SPEC section 5)."""

    RAW = 0
    COMPRESSED = 1
    DELTA = 2


class Result(IntEnum):
    """0 to 9 are LwM2M object 5 resource 5; ours begin at 64."""

    INITIAL = 0
    SUCCESS = 1
    NO_FLASH = 2
    NO_RAM = 3
    CONNECTION_LOST = 4
    INTEGRITY = 5
    UNSUPPORTED_TYPE = 6
    INVALID_URI = 7
    UPDATE_FAILED = 8
    UNSUPPORTED_PROTOCOL = 9
    ARENA_TOO_SMALL = 64
    OP_MISSING = 65
    INPUT_MISMATCH = 66
    GOLDEN_FAILED = 67
    BATTERY = 68
    BUDGET = 69
    DOWNGRADE = 70
    BASE_MISMATCH = 71
    EXPIRED = 72
    SIGNATURE = 73
    SLOW_SOURCE = 74
    LATENCY_LIMIT = 75
    ENERGY_LIMIT = 76
    BOOT_FAILED = 77


class SmpDoor(IntEnum):
    """What SMP over UDP may do on a node; nobody is asked who he is there. READ: look, and echo."""

    OFF = 0
    READ = 1
    FULL = 2


class RecordKind(IntEnum):
    TRUST = 1
    CONFIG = 2
    REPLAY = 3
    GOLDEN = 4
    FEED = 9


class FrameType(IntEnum):
    """Console frames. A reply is the request with bit 7 set; ERROR is a reply by itself."""

    HELLO = 0x01
    INFER = 0x02
    GOLDEN = 0x03
    LOAD = 0x04
    RUN = 0x05
    SELECT = 0x06
    SWEEP = 0x07
    STORE = 0x08
    PUT = 0x0A
    ERASE = 0x0B
    EXPECT = 0x0C
    SAMPLES = 0x10
    ERROR = 0x7F
