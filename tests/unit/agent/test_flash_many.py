"""Several boards at once: which are meant, and that one's failure is its own."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.unit.agent.fakes import FakeProbes, FlashSession

from tinyfleet.agent import main
from tinyfleet.agent.adapters.part_files import Files, load_for
from tinyfleet.agent.cli import cli
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.boards import Layout
from tinyfleet.agent.core.errors import AgentError, StepFailed
from tinyfleet.agent.core.flash_plan import FlashPlan, NodePlan
from tinyfleet.agent.core.part_plan import PartPlan
from tinyfleet.agent.services.flasher import FlashReport
from tinyfleet.agent.services.programming import flash_all
from tinyfleet.wire.memory_map import MICROBIT

YAML = """\
boards:
  - {name: one, device_type: microbit, probe: qemu-microbit-0001, labels: {shelf: top}}
  - {name: two, device_type: microbit, probe: qemu-microbit-0002, labels: {shelf: top, row: '2'}}
  - {name: three, device_type: microbit, probe: qemu-microbit-0003}
"""
SECONDS = 20


def report(board: str) -> FlashReport:
    return FlashReport(board, 1, 1, 1, 0.0)


def test_boards_are_done_side_by_side_and_fail_alone() -> None:
    meet = threading.Barrier(3, timeout=SECONDS)

    def good(board: str) -> Callable[[], FlashReport]:
        def do() -> FlashReport:
            meet.wait()
            return report(board)

        return do

    def bad() -> FlashReport:
        meet.wait()
        raise StepFailed("b", "program", "worn", "replace it")

    done = flash_all({"a": good("a"), "b": bad, "c": good("c")})
    assert list(done) == ["a", "b", "c"]
    assert isinstance(done["b"], AgentError)
    assert (done["a"], done["c"]) == (report("a"), report("c"))


def test_no_more_at_once_than_said_and_a_bug_is_not_a_failed_board() -> None:
    lock, running, most = threading.Lock(), 0, 0
    two = threading.Barrier(2, timeout=SECONDS)

    def do() -> FlashReport:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        two.wait()
        with lock:
            running -= 1
        return report("x")

    assert len(flash_all({str(n): do for n in range(6)}, at_once=2)) == 6
    assert most == 2

    def broken() -> FlashReport:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        flash_all({"a": broken, "b": lambda: report("b")})


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two of the three boards are plugged in."""
    names = ("qemu-microbit-0001", "qemu-microbit-0003")
    probes = FakeProbes({name: FlashSession(bytearray(b"\xff" * MICROBIT.size_bytes)) for name in names})
    monkeypatch.setattr(main, "PyocdProbes", lambda: probes)
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    (tmp_path / "bench.yaml").write_text(YAML)
    (tmp_path / "app.bin").write_bytes(bytes(range(256)) * 20)
    return tmp_path


def flash(bench: Path, *words: str) -> tuple[int, str, str]:
    said = CliRunner().invoke(
        cli,
        [
            *("bench", "flash", *words, "--bench", str(bench / "bench.yaml"), "--state", str(bench)),
            *("--firmware", str(bench / "app.bin"), "--address", "0x400"),
        ],
    )
    return said.exit_code, said.stdout, said.stderr


def test_the_status_says_that_one_failed_and_the_others_are_done(bench: Path) -> None:
    code, out, err = flash(bench, "--all")
    assert code == 1
    assert out.count("5 of 5 sectors") == 2 and out.count("FAILED") == 1
    assert "tinyfleet: two: no probe qemu-microbit-0002; plug it in" in err
    code, out, _ = flash(bench, "--all", "--json")
    told = json.loads(out)
    assert (code, told["failed"]) == (1, 1)
    assert [board["board"] for board in told["boards"]] == ["one", "two", "three"]
    assert [board.get("written") for board in told["boards"]] == [0, None, 0]
    assert told["boards"][1]["next"] == "plug it in"


@pytest.mark.parametrize(
    ("words", "boards"),
    [
        (["one"], ["one"]),
        (["three", "one"], ["one", "three"]),
        (["one", "--label", "shelf=top"], ["one", "two"]),
        (["--label", "shelf=top", "--label", "row=2"], ["two"]),
    ],
)
def test_boards_by_name_and_label(bench: Path, words: list[str], boards: list[str]) -> None:
    _, out, _ = flash(bench, *words, "--json")
    told = json.loads(out)
    assert [board["board"] for board in told.get("boards", [told])] == boards


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ([], "name boards, or --all of one, two, three"),
        (["four"], "the bench has no board 'four'; it has one, two, three"),
        (["--label", "shelf=low"], "no board has shelf=low"),
        (["--label", "shelf"], "expected NAME=VALUE"),
        (["one", "--by", "smp"], "one has no smp in bench.yaml; it is programmed by: probe"),
        (
            ["one", "--layout", "node"],
            "no flash layout of a networked node is known for device type 'microbit'",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused(bench: Path, words: list[str], complaint: str) -> None:
    code, _, err = flash(bench, *words)
    assert code == 1
    assert complaint in err


def test_the_chip_by_its_label_is_asked_for_in_every_layout(bench: Path) -> None:
    def part(layout: Layout, **more: object) -> str | None:
        spec = BoardSpec.model_validate({"name": "b", "probe": "p", "console": "c"} | more)
        files = Files(
            firmware=bench / "app.bin", address=0x8000000 if more["device_type"] == "stm32l496" else 0
        )
        plan = load_for(spec, files, layout=layout).plan
        assert isinstance(plan, FlashPlan | NodePlan | PartPlan)
        return plan.part

    label = {"labels": {"part": "stm32l496zg"}}
    assert part(Layout.BENCH, device_type="microbit") is None, "its probe knows"
    assert part(Layout.BENCH, device_type="microbit", **label) == "stm32l496zg"
    assert part(Layout.NODE, device_type="stm32l496", **label) == "stm32l496zg"
    assert part(Layout.NODE, device_type="nrf52840") == "nrf52840"
    assert part(Layout.PART, device_type="lpc1768") == "lpc1768"
    assert part(Layout.PART, device_type="mine", **label) == "stm32l496zg"
