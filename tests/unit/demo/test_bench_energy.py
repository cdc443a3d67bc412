"""The demo's energy is a simulated meter's: it fails where a door does not say so, or tells another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from examples.demo import bench
from examples.demo.bench import BOARD, Bench
from examples.demo.programs import DemoError, Ending, Programs

RUN = {
    "exact": True,
    "energy": {
        "simulated": True,
        "energy_uj": 122.4,
        "uncertainty_uj": 0.05,
        "windows": 512,
        "windows_by": "EDGE",
        "lost": 0,
        "samples": 800_000,
        "meter": {"label": "simulated PPK2 SIMULATED-PPK2"},
    },
}
TOLD = {"energy_nj": 122_400, "energy_simulated": True, "meter": "simulated PPK2 SIMULATED-PPK2"}
SCRAPED = {"simulated": "true", "meter": "simulated PPK2 SIMULATED-PPK2", "board": BOARD}


class Doors:
    """What the run's record, the manager and Prometheus say."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.run: dict[str, Any] = deepcopy(RUN)
        self.told: dict[str, Any] = dict(TOLD)
        self.scraped = dict(SCRAPED)
        self.said: list[str] = []
        self._bench = Bench(Programs(folder, Ending()))
        monkeypatch.setattr(bench.FleetClient, "of_state", self._client)
        monkeypatch.setattr(bench, "TOLD_S", 0.05)

    def see(self) -> str:
        self._bench.result = self.run
        prometheus: Any = SimpleNamespace(query=lambda _: [(self.scraped, 122.4e-6)] if self.scraped else [])
        self._bench.see_energy(prometheus, self.said.append)
        return self.said[-1]

    @contextmanager
    def _client(self, state: Path) -> Iterator[Any]:
        agents = [SimpleNamespace(boards=[{"name": "other"}, {"name": BOARD, "run": self.told}])]
        yield SimpleNamespace(agents=lambda: agents)


@pytest.fixture
def doors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Doors:
    return Doors(tmp_path, monkeypatch)


def test_the_energy_is_told_with_its_uncertainty_and_how_it_was_made(doors: Doors) -> None:
    assert doors.see() == (
        "simulated, made up: 122.40 ± 0.10 µJ an inference (k = 2), 512 windows by edges of the window pin; "
        "0 of 800000 samples lost; called simulated by manager and Prometheus, too"
    )


def test_no_door_may_pass_it_off_as_measured(doors: Doors) -> None:
    doors.run["energy"]["simulated"] = False
    with pytest.raises(DemoError, match="the run's record does not say that its energy is simulated"):
        doors.see()
    doors.run = deepcopy(RUN)
    doors.told["energy_simulated"] = False
    with pytest.raises(DemoError, match="the manager does not call the energy simulated"):
        doors.see()
    doors.told = TOLD | {"meter": "PPK2 C0FFEE"}
    with pytest.raises(DemoError, match="the manager does not call the energy simulated"):
        doors.see()
    doors.told = dict(TOLD)
    doors.scraped["simulated"] = "false"
    with pytest.raises(DemoError, match="Prometheus does not call the energy simulated"):
        doors.see()


def test_an_energy_that_is_absent_or_another_fails(doors: Doors) -> None:
    doors.scraped = {}
    with pytest.raises(DemoError, match="the energy in Prometheus did not happen"):
        doors.see()
    doors.told = {}
    with pytest.raises(DemoError, match="the energy in the manager's record did not happen"):
        doors.see()
    doors.run["energy"]["energy_uj"] = 130.0
    with pytest.raises(DemoError, match=r"130\.00 µJ an inference, but the simulated pulse has 122\.40"):
        doors.see()
    doors.run = {"no_energy": "the meter was too slow"}
    with pytest.raises(DemoError, match="the run has no energy: the meter was too slow"):
        doors.see()
