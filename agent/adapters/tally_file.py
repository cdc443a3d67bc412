"""The tally as a file that all programs of one bench add to; `tinyfleet agent run` shows it to Prometheus."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from tinyfleet.agent.adapters.file_lock import take_lock
from tinyfleet.agent.core.tally import Metric, Tally

LOG = logging.getLogger(__name__)


class TallyFile:
    """`services.ports.Counting`. A few times a run: each call reads and writes the whole file under its lock.

    Counting never fails an operation: what cannot be written is logged once. A file that is no tally is put
    aside as `NAME.broken`, and counting begins anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._told = False

    def add(self, metric: Metric, amount: float = 1, **labels: str) -> None:
        self._change(lambda tally: tally.add(metric, labels, amount))

    def observe(self, metric: Metric, value: float, **labels: str) -> None:
        self._change(lambda tally: tally.observe(metric, labels, value))

    def read(self) -> Tally:
        try:
            return Tally.from_json(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Tally()
        except (OSError, ValueError) as error:
            self._tell(error)
            return Tally()

    def _change(self, change: Callable[[Tally], None]) -> None:
        try:
            # A lock of its own: the file itself is replaced at each change.
            with take_lock(self._path.with_suffix(".lock")):
                tally = self._load()
                change(tally)
                partial = self._path.with_suffix(".part")
                partial.write_text(json.dumps(tally.to_json()), encoding="utf-8")
                partial.replace(self._path)
        except OSError as error:
            self._tell(error)

    def _load(self) -> Tally:
        try:
            return Tally.from_json(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return Tally()
        except ValueError as error:
            LOG.warning("%s: %s; counting begins anew", self._path, error)
            self._path.replace(self._path.with_suffix(".broken"))
            return Tally()

    def _tell(self, error: Exception) -> None:
        if not self._told:
            LOG.warning("cannot count in %s: %s", self._path, error)
        self._told = True
