"""Inferences counted on a bridged board: every program of the bench adds to one file, the agent tells it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tinyfleet.agent.adapters.file_lock import take_lock
from tinyfleet.agent.core.bridge_counts import Counted, Inference, count
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.wire.limits import CONFIDENCE_BUCKETS, LATENCY_BUCKETS
from tinyfleet.wire.messages import Tele

NAME = "counts.json"


class CountsFile:
    """`services.bridge_ports.Counts`, in the folder of one device."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME

    def add(self, boot: int, model: bytes, classes: int, inferences: Sequence[Inference]) -> None:
        """Raises AgentError when it cannot be written."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with take_lock(self._path.with_suffix(".lock")):
                counted = count(self._load(), boot, model, classes, inferences)
                partial = self._path.with_suffix(".part")
                partial.write_text(json.dumps(_to_json(counted)), encoding="utf-8")
                partial.replace(self._path)
        except OSError as error:
            raise AgentError(f"cannot count in {self._path}: {error}", "is there room?") from error

    def tele(self, seq: int, uptime_ms: int) -> Tele | None:
        counted = self._load()
        return None if counted is None else counted.tele(seq, uptime_ms)

    def _load(self) -> Counted | None:
        """None, too, for what is no such file: counting begins anew, in another epoch than any before."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            counted = Counted(
                boot=int(document["boot"]),
                epoch=int(document["epoch"]),
                model=bytes.fromhex(document["model"]),
                classes=tuple(map(int, document["classes"])),
                latency=tuple(map(int, document["latency"])),
                latency_sum_us=int(document["latency_sum_us"]),
                confidence=tuple(map(int, document["confidence"])),
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None
        whole = (len(counted.latency), len(counted.confidence)) == (LATENCY_BUCKETS, CONFIDENCE_BUCKETS)
        return counted if whole else None


def _to_json(counted: Counted) -> dict[str, object]:
    return {
        "boot": counted.boot,
        "epoch": counted.epoch,
        "model": counted.model.hex(),
        "classes": counted.classes,
        "latency": counted.latency,
        "latency_sum_us": counted.latency_sum_us,
        "confidence": counted.confidence,
    }
