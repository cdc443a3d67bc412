"""What is counted on a bridged board: as a node counts, by every program of the bench, told by the agent."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from tests.models import livestock
from tests.unit.agent.bridge_rig import Rig, digest_of, payload, signed

from tinyfleet.agent.adapters.bridge_counts import CountsFile
from tinyfleet.agent.bridging import Bridges
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import BenchFile, parse_bench
from tinyfleet.agent.core.bench_image import bench_image
from tinyfleet.agent.core.bench_run import Answer
from tinyfleet.agent.core.bridge_counts import Inference, count, inferences_of
from tinyfleet.agent.core.errors import AgentError, PlanError
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.main import Agent
from tinyfleet.wire.codec import encode
from tinyfleet.wire.messages import Tele

MODEL, OTHER = b"\1" * 32, b"\2" * 32


def test_counts_are_cumulative_and_an_epoch_is_a_models() -> None:
    first = count(None, 3, MODEL, 4, [Inference(1, 255, 90), Inference(3, 0, 100)])
    both = count(first, 9, MODEL, 4, [Inference(1, 128, 3_000_000)])
    tele = both.tele(7, 1000)
    encode(tele)
    assert (tele.boot, tele.epoch, tele.seq, tele.inferences) == (3, 1, 7, 3), "the boot of the epoch's begin"
    assert tele.classes == (0, 2, 0, 1)
    assert (tele.latency[0], tele.latency[14], tele.latency_sum_us) == (2, 1, 3_000_190)
    assert (tele.confidence[0], tele.confidence[5], tele.confidence[9]) == (1, 1, 1)
    assert sum(tele.latency) == sum(tele.confidence) == sum(tele.classes) == tele.inferences
    other = count(both, 9, OTHER, 4, [Inference(0, 1, 1)])
    assert (other.boot, other.epoch, other.classes) == (9, 2, (1, 0, 0, 0))
    assert count(other, 9, OTHER, 5, []).epoch == 3, "another number of classes is another epoch, too"


def test_class_and_score_are_those_of_a_node() -> None:
    """Held against the node's own code, as the golden file's reader has them from it."""
    import numpy as np

    from tinyfleet.model.twin import Twin

    twin = Twin(livestock("v1", vectors=4))
    scores = tuple(map(int, twin.scores(np.arange(-128, 128, dtype=np.int8))))
    golden = GoldenSet((b"x",), classes=4, scores=scores)
    answers = [Answer(bytes([0x80, 0x7F, 0x80, 0x80]), 5), Answer(bytes([0, 0, 0x80, 0x80]), 6)]
    assert inferences_of(golden, answers) == (Inference(1, 255, 5), Inference(0, 128, 6))
    assert inferences_of(GoldenSet((b"x",), classes=0, scores=scores), answers) == ()
    assert inferences_of(GoldenSet((b"x",), classes=4), answers) == (), "wider values have no such table"
    assert inferences_of(GoldenSet((b"x",), classes=65, scores=scores), answers) == ()


def test_programs_add_to_one_file_and_nothing_is_lost(tmp_path: Path) -> None:
    assert CountsFile(tmp_path).tele(1, 1) is None

    def work() -> None:
        for _ in range(25):
            CountsFile(tmp_path).add(1, MODEL, 2, [Inference(1, 9, 9)])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    tele = CountsFile(tmp_path).tele(1, 1)
    assert tele is not None and tele.inferences == 100
    (tmp_path / "counts.json").write_text("[]")
    assert CountsFile(tmp_path).tele(1, 1) is None


def test_they_are_told_each_period_and_of_the_model_that_runs(tmp_path: Path) -> None:
    rig = Rig(tmp_path / "d1")
    image = signed(payload("1"))
    rig.board.flash = bench_image(image, "microbit", "image").data
    counts = CountsFile(rig.folder)

    def teles() -> list[Tele]:
        return [message for _, message in rig.broker.said if isinstance(message, Tele)]

    rig.begin()
    rig.bridge._counts = counts
    counts.add(1, OTHER, 2, [Inference(0, 1, 1)])
    rig.later(30)
    assert teles() == [], "what another model did is not this one's"
    counts.add(1, digest_of(image), 2, [Inference(0, 1, 1)])
    rig.later(41)
    told = teles()
    assert len(told) == 4, "each period of 10 s"
    assert {tele.inferences for tele in told} == {1}
    assert [tele.seq for tele in told] == sorted({tele.seq for tele in told})
    rig.clock.now_s += 10
    rig.begin()
    rig.bridge._counts = counts
    rig.later(11)
    assert teles()[-1].seq > told[-1].seq, "the manager takes it for newer, also after a restart"


def bench(more: str, agent: str = "bench-1") -> BenchFile:
    return parse_bench(f"agent: {agent}\nboards:\n  - {{name: one, device: d1, {more}}}\n", "b")


def credentials(folder: Path) -> Path:
    known = {
        **{"device": "d1", "agent": "bench-1", "device_type": "microbit", "host": "127.0.0.1", "port": 9},
        **{"prefix": "tf/1", "user": "d1", "password": "x", "keepalive_s": 15, "period_s": 1},
        "trust": ["00" * 32],
    }
    path = folder / "d1.json"
    path.write_text(json.dumps(known))
    path.chmod(0o600)
    return path


BY_PROBE = "device_type: microbit, probe: qemu-microbit-0001"


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (bench("device_type: mps2-an386, probe: qemu-mps2-an386-0001"), "one is d1, a mps2-an386 of bench-1"),
        (bench(BY_PROBE, agent="bench-2"), "tinyfleet device bridge d1 --agent bench-2"),
        (bench("device_type: microbit, console: /dev/null, program: [x]"), "neither probe nor smp"),
    ],
    ids=["type", "agent", "way"],
)
def test_what_does_not_fit_is_told_before_anybody_is_heard(
    tmp_path: Path, found: BenchFile, told: str
) -> None:
    credentials(tmp_path)
    with Agent(found, Folders(tmp_path / "state")) as agent:
        assert isinstance(agent._bridges, Bridges)
        with pytest.raises((AgentError, PlanError), match=told):
            agent._bridges.start(tmp_path)


def test_a_bench_without_devices_starts_nothing(tmp_path: Path) -> None:
    found = parse_bench(f"boards:\n  - {{name: one, {BY_PROBE}}}\n", "b")
    with Agent(found, Folders(tmp_path)) as agent:
        agent._bridges.start(tmp_path)
        agent._bridges.look("one")
        assert not [each.name for each in threading.enumerate() if each.name == "mqtt-devices"]
