"""Dashboards and alerts against what the code declares, and a real Prometheus with a fleet's figures."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from dashboards import build
from prometheus_client.exposition import generate_latest
from tests.servers import LOOPBACK, free_port, wait_for
from tests.unit.fleet.fleet_rig import Rig, birth, tele

from tinyfleet.agent.adapters.metrics import BenchCollector, registry_of
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.broker import Validity
from tinyfleet.agent.core.tally import METRICS, Tally
from tinyfleet.agent.services.inventory import BoardStatus
from tinyfleet.agent.services.watch import Rounds
from tinyfleet.fleet.adapters.prometheus.alerts import RULES, RUNBOOK, rules_file
from tinyfleet.fleet.adapters.prometheus.metrics import FleetCollector, exposition
from tinyfleet.fleet.adapters.prometheus.server import write_configuration
from tinyfleet.wire.enums import BoardState
from tinyfleet.wire.messages import Comparison, Sample
from tinyfleet.wire.topics import TopicKind
from tinyfleet.wire.vectors.message_vectors import BENCH_CALIBRATED

ROOT = Path(__file__).parents[3]
VARIABLES = {"live.json": ["source", "site", "model"], "bench.json": ["source", "instance", "board"]}
STEP_S = 60
STEPS = 8
NAME = re.compile(r"\btinyfleet_[a-z0-9_]+")


def queries(board: dict[str, Any]) -> list[str]:
    return [target["expr"] for panel in board["panels"] for target in panel["targets"]]


def boards() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(text) for path, text in build.outputs().items()}


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.store.close()


def scrapes(rig: Rig) -> list[tuple[float, str]]:
    """What `/metrics` said, minute by minute, of a device that works: (time, text)."""
    rig.device("d1", site="north")
    image = rig.release(labels=("rest", "walk")).image
    rig.live.capture("d1", classes=(), margin_below=None, per_day=9, day_bytes=9999)
    challenger = rig.release("2.0.0", labels=("rest", "walk")).image
    rig.say("d1", TopicKind.BIRTH, birth(image=image, arena_bytes=9999, shadow_bytes=9999))
    rig.shadows.start("demo", "2.0.0")
    collector = FleetCollector(rig.store, rig.clock, rig.ingest.counts, dict, lambda: 0, 4096)
    taken = []
    for step in range(1, STEPS + 1):
        counts = tele(image, 30 * step, 10 * step, seq=step)
        rig.say(
            "d1",
            TopicKind.TELE,
            replace(
                counts,
                confidence=(0,) * 4 + (10 * step,) + (0,) * 4 + (30 * step,),
                margin=(5 * step,) * 2 + (0,) * 7 + (30 * step,),
                switches=4 * step,
                dropped=3 * step,
                paused=step,
                captured=step,
                skipped=2 * step,
                shadow=Comparison(
                    **{"model": challenger, "run": 1, "windows": 30 * step, "agreements": 29 * step},
                    **{"skipped": step, "missed": step, "pairs": (), "rest": step},
                ),
            ),
        )
        sample = Sample(
            **{"boot": 1, "seq": step, "part": 0, "parts": 1, "uptime_ms": step, "model": image, "class_": 0},
            **{"scores": b"", "sensor": "s", "unit": "u", "rate_mhz": 1, "samples": 4, "channels": 1},
            **{"offset": 0, "data": bytes(8)},
        )
        rig.say("d1", TopicKind.SAMPLE, sample)
        rig.now_s += STEP_S
        taken.append((rig.now_s, exposition(collector).decode()))
    return taken


class Links:
    def connected(self) -> bool:
        return True

    def certificates(self) -> dict[str, Validity]:
        return {"lab-1": Validity(0, 90 * 86_400)}


def bench_scrapes(now_s: float) -> list[tuple[float, str]]:
    """What an agent's `/metrics` said in the same minutes, with the labels that Prometheus adds."""
    board = BoardSpec(name="one", device_type="microbit", probe="qemu-microbit-0001")
    tally, taken = Tally(), []
    statuses = [BoardStatus(board, BoardState.READY, emulated=True, run=BENCH_CALIBRATED.boards[0].run)]
    trouble = Rounds(9, 0.5, {"inventory": "USB went away"})
    collector = BenchCollector(lambda: statuses, lambda: tally, lambda: trouble, Links())
    for step in range(STEPS):
        for metric in METRICS:
            labels = {name: name for name in metric.labels} | {"board": "one", "outcome": "DIFFERENT"}
            labels = {name: labels[name] for name in metric.labels}
            if metric.bounds:
                tally.observe(metric, labels, 0.15)
            else:
                tally.add(metric, labels, 2)
        text = generate_latest(registry_of(collector)).decode()
        text = re.sub(
            r"^([a-z_0-9]+)(?:{(.*)})? ", r'\1{job="tinyfleet-agent",instance="a:1",\2} ', text, flags=re.M
        )
        taken.append((now_s - (STEPS - 1 - step) * STEP_S, text.replace(",} ", "} ")))
    return taken


def test_what_is_committed_is_what_the_code_makes() -> None:
    assert build.main(["--check"]) == 0, "run python -m dashboards.build"


@pytest.mark.parametrize("name", sorted(boards()))
def test_a_dashboard_is_well_formed(name: str) -> None:
    board = boards()[name]
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids)) > 0
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert panel["datasource"]["uid"] == "${source}", panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"] and panel["description"], panel["title"]
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells
    assert [v["name"] for v in board["templating"]["list"]] == VARIABLES[name]


def test_dashboards_and_rules_name_only_what_the_code_declares(rig: Rig) -> None:
    declared = set(NAME.findall(scrapes(rig)[-1][1] + bench_scrapes(0)[-1][1]))
    named = {name for board in boards().values() for query in queries(board) for name in NAME.findall(query)}
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    # A recorded name has colons; what stands before the first is no metric.
    plain = [re.sub(r"tinyfleet:[a-z_:0-9]+", "", rule["expr"]) for rule in rules]
    named |= {name for expr in plain for name in NAME.findall(expr)}
    assert len(named) >= 9 and not named - declared
    recorded = {rule["record"] for rule in rules if "record" in rule}
    used = {name for rule in rules for name in re.findall(r"tinyfleet:[a-z_:0-9]+", rule["expr"])}
    assert used == recorded


def test_the_exposition_and_the_rules_are_taken_by_promtool(rig: Rig, tmp_path: Path) -> None:
    text = scrapes(rig)[-1][1]
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=30, check=False
    )
    assert checked.returncode == 0, checked.stderr
    (tmp_path / "rules.yml").write_text(rules_file())
    shutil.copy(ROOT / "dashboards" / "tests" / "alerts.yml", tmp_path)
    for what in (["check", "rules", "rules.yml"], ["test", "rules", "alerts.yml"]):
        done = subprocess.run(
            ["promtool", *what], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_and_has_its_heading() -> None:
    alerts = [rule["alert"] for group in RULES["groups"] for rule in group["rules"] if "alert" in rule]
    tests = (ROOT / "dashboards" / "tests" / "alerts.yml").read_text()
    headings = re.findall(r"^## (\w+)$", (ROOT / RUNBOOK).read_text(), re.M)
    for alert in alerts:
        assert alert in headings, f"{RUNBOOK} has no heading {alert}"
        asked = tests.split(f"alertname: {alert}\n")[1:]
        assert any("exp_alerts: []" in each.split("alertname")[0] for each in asked), f"{alert}: not fired?"
        assert any("exp_labels" in each.split("alertname")[0] for each in asked), f"{alert}: fired?"


@pytest.fixture
def prometheus(rig: Rig, tmp_path: Path) -> Iterator[tuple[str, float]]:
    """A server that has the fleet's last minutes: its address, and now."""
    taken = scrapes(rig)
    now_s = taken[-1][0]
    lines = [
        f"{line} {at_s:.3f}"
        for at_s, text in (*taken, *bench_scrapes(now_s))
        for line in text.splitlines()
        if line and not line.startswith("#")
    ]
    folder = tmp_path / "prometheus"
    write_configuration(folder, f"{LOOPBACK}:1", [f"{LOOPBACK}:2"], 60)
    (folder / "past.om").write_text("\n".join([*lines, "# EOF", ""]))
    subprocess.run(
        ["promtool", "tsdb", "create-blocks-from", "openmetrics", folder / "past.om", folder / "data"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    port = free_port()
    command = [
        *("prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"),
        *(f"--web.listen-address={LOOPBACK}:{port}", "--storage.tsdb.retention.time=100y"),
    ]
    with (tmp_path / "prometheus.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            address = f"http://{LOOPBACK}:{port}"
            wait_for("Prometheus", lambda: ready(address))
            yield address, now_s
        finally:
            server.terminate()
            server.wait(20)


def ready(address: str) -> bool:
    try:
        return httpx.get(f"{address}/-/ready", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False


def test_every_panel_has_data_of_a_fleet_that_works(prometheus: tuple[str, float]) -> None:
    address, now_s = prometheus
    values = {}
    for name, board in boards().items():
        for panel in board["panels"]:
            for target in panel["targets"]:
                asked = target["expr"].replace("$__rate_interval", "5m")
                asked = re.sub(r"\$(site|model|instance|board)", ".+", asked)
                query = {"query": asked, "time": str(now_s)}
                answer = httpx.get(f"{address}/api/v1/query", params=query, timeout=10).json()
                assert answer["status"] == "success", f"{name}: {panel['title']}: {answer}"
                result = answer["data"]["result"]
                assert result, f"{name}: {panel['title']} has no data: {asked}"
                values[panel["title"], target["refId"]] = float(result[0]["value"][1])
    assert values["Switch rate", "A"] == pytest.approx(0.1)
    assert values["Undecided", "A"] == pytest.approx(0.125)
    assert values["Undecided", "B"] == pytest.approx(0.25)
    assert values["Unsure", "A"] == pytest.approx(0.25)
    assert values["Windows kept by the manager", "B"] == 4096
    energy = [values["Energy of an inference", query] for query in "ABC"]
    assert energy == pytest.approx([412.35e-6, 420.15e-6, 404.55e-6])
    rules = httpx.get(f"{address}/api/v1/rules", timeout=10).json()["data"]["groups"]
    assert {rule["name"] for group in rules for rule in group["rules"]} >= {"TinyfleetClassSwitching"}
