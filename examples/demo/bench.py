"""The demo's bench: an agent with one board, which it programs over SWD and compares with the host twin.

A simulated PPK2 stands for its power meter: what it tells is made up, and each door must say so.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from examples.demo.programs import Background, DemoError, Programs
from examples.demo.prometheus import Prometheus
from tinyfleet.agent.adapters.power.simulated import PPK2_MV
from tinyfleet.agent.adapters.power.simulated_profile import Shape
from tinyfleet.agent.cli.run_table import rounded
from tinyfleet.agent.core.energy import COVERAGE
from tinyfleet.fleet.client import FleetClient
from tinyfleet.fleet.state import choose_port

ROOT = Path(__file__).resolve().parents[2]
LIVESTOCK = ROOT / "examples" / "livestock"
BENCH_ELF = ROOT / "build" / "firmware" / "microbit" / "apps" / "bench" / "bench.elf"
AGENT = "barn-bench"
BOARD = "bench-1"
METER = "simulated PPK2"
MADE_UP = "simulated, made up:"
ENERGY_SERIES = "tinyfleet_bench_inference_energy_joules"
RUN_S = 120.0
TOLD_S = 20.0
LOOPBACK = "127.0.0.1"


class Bench:
    """One agent and its board, in the state folder of the fleet it tells."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._state = programs.state
        self._agent: Background | None = None
        self.result: dict[str, Any] = {}
        """Of the bench run, as its command tells it."""
        self.metrics = ""
        """Where Prometheus finds the agent's."""

    @contextlib.contextmanager
    def address(self) -> Iterator[None]:
        """Keeps a free address for the agent's metrics from everybody else as long as it lasts: Prometheus
        must be told before there is an agent."""
        port = choose_port("metrics", LOOPBACK, 0, None)
        with socket.socket() as kept:
            kept.bind((LOOPBACK, port))
            self.metrics = f"{LOOPBACK}:{port}"
            yield

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.stop()

    def check(self) -> None:
        """Raises DemoError when the agent has ended."""
        if self._agent is not None:
            self._agent.check()

    def play(self, tell: Callable[[str], None]) -> None:
        """Finds the board, programs it, reads it back, and compares its inferences byte for byte."""
        state, run_json = self._state, self._programs.run_json
        tell("the agent looks for its board")
        bench = state / "bench.yaml"
        bench.write_text(self._file())
        credentials = state / "agent" / "credentials.json"
        self._programs.run("agent", "register", AGENT, "--tls", "--out", credentials)
        self._agent = Background(
            "tinyfleet agent run",
            ["agent", "run", "--bench", bench, "--credentials", credentials],
            state / "agent.log",
            state,
        )
        # Compiled while it starts.
        plan = state / "bench.plan"
        card = LIVESTOCK / "livestock_v2.json"
        self._programs.run("model", "build", card, "--device-type", "microbit", "--out", plan)
        self._programs.wait_until(self._told, 30, "the board in the manager's list of boards")
        tell("programming firmware, model and windows over SWD, reading all of it back")
        files = ("--model", plan, "--golden", LIVESTOCK / "golden.npz", "--bench", bench)
        flashed = run_json("bench", "flash", BOARD, "--firmware", BENCH_ELF, *files)
        size = f"{flashed['size_bytes'] // 1024} KiB programmed and read back"
        tell(f"{size}; it infers the golden windows, a simulated meter beside it")
        result = self.result = run_json("bench", "run", BOARD, *files, "--energy", timeout_s=RUN_S)
        if not result["exact"]:
            raise DemoError(f"{result['different']} of {result['windows']} windows differ from the host twin")
        tell(
            f"{size}; {result['windows']} windows equal the host twin byte for byte; "
            f"accuracy {result['accuracy']:.1%}"
        )

    def see_energy(self, prometheus: Prometheus | None, tell: Callable[[str], None]) -> None:
        """The run's energy must be that of what the simulated meter pretends, and called simulated in the
        result, by the manager and by Prometheus (None: there is none)."""
        energy = self.result.get("energy")
        if energy is None:
            raise DemoError(f"the run has no energy: {self.result['no_energy']}")
        if not (energy["simulated"] and energy["meter"]["label"].startswith(METER)):
            raise DemoError("the run's record does not say that its energy is simulated")
        value_uj, expanded_uj = energy["energy_uj"], COVERAGE * energy["uncertainty_uj"]
        pulse_uj = Shape().energy_uj(PPK2_MV)
        if abs(value_uj - pulse_uj) > max(expanded_uj, 0.005 * pulse_uj):
            raise DemoError(f"{value_uj:.2f} µJ an inference, but the simulated pulse has {pulse_uj:.2f}")
        by = "edges of the window pin" if energy["windows_by"] == "EDGE" else "times on the console"
        figure = f"{rounded(value_uj, expanded_uj)} µJ an inference (k = {COVERAGE:g})"
        figure += f", {energy['windows']} windows by {by}"
        lost = f"{energy['lost']} of {energy['samples'] + energy['lost']} samples lost"
        tell(f"{MADE_UP} {figure}; waiting for manager and Prometheus")
        self._programs.wait_until(
            lambda: self._energy_told(value_uj), TOLD_S, "the energy in the manager's record"
        )
        if prometheus is not None:
            self._programs.wait_until(
                lambda: self._energy_scraped(prometheus), TOLD_S, "the energy in Prometheus"
            )
        tell(f"{MADE_UP} {figure}; {lost}; called simulated by manager and Prometheus, too")

    def _file(self) -> str:
        return f"""\
agent: {AGENT}
metrics: {self.metrics}
boards:
  - name: {BOARD}
    device_type: microbit
    probe: qemu-microbit-0001
    emulate: microbit
    meter: {{kind: simulated, like: ppk2}}
"""

    def _told(self) -> bool:
        return self._board() is not None

    def _board(self) -> dict[str, Any] | None:
        """As the manager knows it."""
        with FleetClient.of_state(self._state) as client:
            boards = (board for agent in client.agents() for board in agent.boards)
            return next((board for board in boards if board["name"] == BOARD), None)

    def _energy_told(self, value_uj: float) -> bool:
        """Raises DemoError when it is not called simulated."""
        run = (self._board() or {}).get("run") or {}
        if "energy_nj" not in run:
            return False
        if not (run["energy_simulated"] and run["meter"].startswith(METER)):
            raise DemoError(f"the manager does not call the energy simulated: {run}")
        return bool(run["energy_nj"] == round(value_uj * 1000))

    def _energy_scraped(self, prometheus: Prometheus) -> bool:
        """Raises DemoError when it is not called simulated."""
        series = prometheus.query(f'{ENERGY_SERIES}{{board="{BOARD}"}}')
        if any(labels["simulated"] != "true" or METER not in labels["meter"] for labels, _ in series):
            raise DemoError(f"Prometheus does not call the energy simulated: {series}")
        return bool(series)
