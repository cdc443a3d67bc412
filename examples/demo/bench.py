"""The demo's bench: an agent with one board, which it programs over SWD and compares with the host twin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from examples.demo.programs import Background, DemoError, tinyfleet, tinyfleet_json, wait_until
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

    def __init__(self, state: Path) -> None:
        self._state = state
        self._bench = state / "bench.yaml"
        self._agent: Background | None = None

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.stop()

    def play(self, tell: Callable[[str], None]) -> None:
        """Finds the board, programs it, reads it back, and compares its inferences byte for byte."""
        state, bench = self._state, self._bench
        tell("the agent looks for its board")
        bench.write_text(BENCH_FILE)
        credentials = state / "agent" / "credentials.json"
        tinyfleet("agent", "register", AGENT, "--out", credentials, state=state)
        self._agent = Background(
            "tinyfleet agent run",
            ["agent", "run", "--bench", bench, "--credentials", credentials],
            state / "agent.log",
            state,
        )
        wait_until(self._told, 30, "the board in the manager's list of boards")
        tell("programming firmware, model and golden windows over SWD, reading all of it back")
        plan = state / "bench.plan"
        tinyfleet("model", "build", LIVESTOCK / "livestock_v2.json", "--out", plan, state=state)
        golden = LIVESTOCK / "golden.npz"
        files = ("--model", plan, "--golden", golden, "--bench", bench)
        flashed = tinyfleet_json("bench", "flash", BOARD, "--firmware", BENCH_ELF, *files, state=state)
        tell(f"{flashed['size_bytes']} bytes programmed and read back; it infers the golden windows")
        result = tinyfleet_json("bench", "run", BOARD, *files, state=state, timeout_s=RUN_S)
        if not result["exact"]:
            raise DemoError(f"{result['different']} of {result['windows']} windows differ from the host twin")
        tell(
            f"{flashed['size_bytes'] // 1024} KiB over SWD, read back; {result['windows']} windows equal the "
            f"host twin byte for byte; accuracy {result['accuracy']:.1%}"
        )

    def _told(self) -> bool:
        if self._agent is not None:
            self._agent.check()
        with FleetClient.of_state(self._state) as client:
            return any(board["name"] == BOARD for agent in client.agents() for board in agent.boards)
