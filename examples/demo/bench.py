"""The demo's bench: an agent with one board, which it programs over SWD and compares with the host twin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from examples.demo.programs import Background, DemoError, Programs
from tinyfleet.fleet.client import FleetClient

ROOT = Path(__file__).resolve().parents[2]
LIVESTOCK = ROOT / "examples" / "livestock"
BENCH_ELF = ROOT / "build" / "firmware" / "microbit" / "apps" / "bench" / "bench.elf"
AGENT = "barn-bench"
BOARD = "bench-1"
RUN_S = 120.0
BENCH_FILE = f"""\
agent: {AGENT}
boards:
  - name: {BOARD}
    device_type: microbit
    probe: qemu-microbit-0001
    emulate: microbit
"""


class Bench:
    """One agent and its board, in the state folder of the fleet it tells."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs
        self._state = programs.state
        self._agent: Background | None = None

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
        bench.write_text(BENCH_FILE)
        credentials = state / "agent" / "credentials.json"
        self._programs.run("agent", "register", AGENT, "--out", credentials)
        self._agent = Background(
            "tinyfleet agent run",
            ["agent", "run", "--bench", bench, "--credentials", credentials],
            state / "agent.log",
            state,
        )
        self._programs.wait_until(self._told, 30, "the board in the manager's list of boards")
        tell("programming firmware, model and windows over SWD, reading all of it back")
        plan = state / "bench.plan"
        card = LIVESTOCK / "livestock_v2.json"
        self._programs.run("model", "build", card, "--device-type", "microbit", "--out", plan)
        files = ("--model", plan, "--golden", LIVESTOCK / "golden.npz", "--bench", bench)
        flashed = run_json("bench", "flash", BOARD, "--firmware", BENCH_ELF, *files)
        size = f"{flashed['size_bytes'] // 1024} KiB programmed and read back"
        tell(f"{size}; it infers the golden windows")
        result = run_json("bench", "run", BOARD, *files, timeout_s=RUN_S)
        if not result["exact"]:
            raise DemoError(f"{result['different']} of {result['windows']} windows differ from the host twin")
        tell(
            f"{size}; {result['windows']} windows equal the host twin byte for byte; "
            f"accuracy {result['accuracy']:.1%}"
        )

    def _told(self) -> bool:
        with FleetClient.of_state(self._state) as client:
            return any(board["name"] == BOARD for agent in client.agents() for board in agent.boards)
