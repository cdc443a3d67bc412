"""Captured windows as a file that numpy opens without pickles."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tinyfleet.fleet.core.errors import BadInput

if TYPE_CHECKING:
    from tinyfleet.fleet.api.schemas import SampleOut


def write_npz(path: Path, windows: Sequence[SampleOut]) -> int:
    """Writes the windows, whole or not at all; how many. Arrays, one entry a window where not said:

    windows int16 [n][samples][channels] in `unit`; predicted int16 (number of the class on top); scores
    float32 [n][classes], 0..1; margin float32 (NaN: none); device, model (image digest in hex),
    model_version text; time_s float64 (when it came, since the epoch); boot, seq, uptime_ms int64. Of all of
    them: labels text [classes], sensor and unit text, rate_hz float64.

    Raises BadInput when there are none, or they do not go into one array.
    """
    import numpy as np

    if not windows:
        raise BadInput("there are no such windows; see `tinyfleet samples list`")
    first = windows[0]
    for each in windows:
        for what in ("sensor", "unit", "rate_hz", "samples", "channels", "labels"):
            if getattr(each, what) != getattr(first, what):
                raise BadInput(
                    f"windows {first.id} and {each.id} differ in {what} ({getattr(first, what)} and "
                    f"{getattr(each, what)}): choose by --model or --device"
                )
        if len(each.scores) != len(first.scores):
            raise BadInput(f"windows {first.id} and {each.id} have other classes: choose by --model")
    data = b"".join(base64.b64decode(each.window or "") for each in windows)
    arrays = {
        "windows": np.frombuffer(data, "<i2").reshape(len(windows), first.samples, first.channels),
        "predicted": np.array([each.class_number for each in windows], np.int16),
        "scores": np.array([each.scores for each in windows], np.float32),
        "margin": np.array([np.nan if each.margin is None else each.margin for each in windows], np.float32),
        "device": np.array([each.device for each in windows]),
        "model": np.array([each.model for each in windows]),
        "model_version": np.array([each.model_version or "" for each in windows]),
        "time_s": np.array([each.at_s for each in windows], np.float64),
        "boot": np.array([each.boot for each in windows], np.int64),
        "seq": np.array([each.seq for each in windows], np.int64),
        "uptime_ms": np.array([each.uptime_ms for each in windows], np.int64),
        "labels": np.array(first.labels, np.str_),
        "sensor": np.array(first.sensor),
        "unit": np.array(first.unit),
        "rate_hz": np.array(first.rate_hz, np.float64),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".npz")
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return len(windows)
