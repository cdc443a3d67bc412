"""The last bench run of each board, as files: whoever ran it, `tinyfleet agent run` tells the manager."""

from __future__ import annotations

import json
from pathlib import Path

from tinyfleet.agent.core.bench_run import RunResult
from tinyfleet.agent.core.energy import wire_fields
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import BoardState, ConnState, Timing
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.messages import Bench, BenchRun, Board


class RunStore:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, result: RunResult) -> None:
        """Raises AgentError when it cannot be written."""
        path = self._path(result.board)
        partial = path.with_suffix(".part")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(result.to_json(), indent=1))
            partial.replace(path)
        except OSError as error:
            raise AgentError(f"cannot keep the result in {path}: {error}", "is there room?") from error

    def last(self, board: str) -> BenchRun | None:
        """The board's last run; None when there is none that can be read."""
        try:
            kept = json.loads(self._path(board).read_text())
            run = BenchRun(
                model=bytes.fromhex(kept["model"]),
                version=kept["version"],
                windows=kept["windows"],
                labelled=kept["labelled"],
                correct=kept["correct"],
                compared=kept["compared"],
                different=kept["different"],
                latency_median_us=kept["latency_us"]["median"],
                latency_max_us=kept["latency_us"]["max"],
                timing=Timing[kept["timing"]],
                finished=kept["finished"],
                golden=bytes.fromhex(kept["golden"]),
                # A run of an earlier version has none, nor has one without a meter.
                **(wire_fields(kept["energy"]) if kept.get("energy") else {}),
            )
            # What cannot be told would keep all of the bench from being told.
            told = Board(name="b", device_type="", state=BoardState.READY, emulated=False, run=run)
            encode(Bench(seq=0, state=ConnState.ONLINE, boards=(told,)))
        except (OSError, ValueError, KeyError, TypeError, WireError):
            return None
        return run

    def _path(self, board: str) -> Path:
        return self._folder / f"{board}.json"
