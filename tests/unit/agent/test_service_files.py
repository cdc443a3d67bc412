"""The files by which a bench host runs the agent: they name what there is, and open nothing to everybody."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

from click.testing import CliRunner

from tinyfleet.agent.cli import cli
from tinyfleet.agent.core.health import ROUND_MAX_S
from tinyfleet.agent.core.tally import METRICS

ROOT = Path(__file__).parents[3]
UNIT = ROOT / "deploy" / "systemd" / "tinyfleet-agent.service"
RULES = ROOT / "deploy" / "udev" / "60-tinyfleet.rules"
# udev(7): one match or assignment.
ITEM = re.compile(r'^[A-Z_]+(\{[A-Za-z_/.]+\})?(==|!=|=|\+=|:=)"[^"]*"$')


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def test_the_unit_starts_what_there_is() -> None:
    words = shlex.split(unit()["ExecStart"])
    assert Path(words[0]).name == "tinyfleet"
    told = CliRunner().invoke(cli, [*words[1:3], "--help"]).output
    assert {word for word in words if word.startswith("--")} <= set(re.findall(r"--[a-z]+", told))


def test_the_watchdog_is_slower_than_what_health_calls_hanging() -> None:
    assert unit()["Type"] == "notify"
    assert float(unit()["WatchdogSec"]) > ROUND_MAX_S


def test_the_rules_are_rules_and_open_nothing_to_everybody() -> None:
    lines = [line for line in RULES.read_text().splitlines() if line and not line.startswith("#")]
    for line in lines:
        for item in re.findall(r'(?:[^,"]|"[^"]*")+', line):
            assert ITEM.match(item.strip()), line
    labels = set(re.findall(r'LABEL="(\w+)"', "\n".join(lines)))
    assert set(re.findall(r'GOTO="(\w+)"', "\n".join(lines))) == labels
    modes = re.findall(r'MODE="(\d+)"', "\n".join(lines))
    assert modes == ["0660"]


def test_each_metric_is_explained() -> None:
    page = (ROOT / "docs" / "agent.md").read_text()
    for metric in METRICS:
        name = metric.name if metric.bounds else f"{metric.name}_total"
        assert f"`{name}`" in page, name
