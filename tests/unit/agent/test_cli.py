"""Options that say nothing here are refused, not passed over."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import ANY

import pytest
from click.testing import CliRunner

from tinyfleet.agent.cli import cli


@pytest.mark.parametrize("options", [["--smp-port", "1337"], ["--terminal"]], ids=lambda each: each[0])
def test_what_only_a_networked_node_has_is_refused_without_one(tmp_path: Path, options: list[str]) -> None:
    words = ["bench", "emulate", "--machine", "mps2-an500", *options, "--state", str(tmp_path)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1
    assert "--smp-port and --terminal are of a networked node" in done.output


BENCH = """
boards:
  - {name: b1, device_type: microbit, probe: real-1, console: /dev/none, labels: {desk: "3"}}
  - {name: b2, device_type: microbit, probe: real-2, console: /dev/none2}
"""


def test_a_board_reserved_listed_renewed_and_released(tmp_path: Path) -> None:
    (tmp_path / "bench.yaml").write_text(BENCH)

    def bench(*words: str) -> tuple[int, str]:
        places = ["--bench", str(tmp_path / "bench.yaml"), "--state", str(tmp_path)]
        done = CliRunner().invoke(cli, ["bench", *words, *places])
        return done.exit_code, done.output

    assert bench("reserve", "b1", "--as", "ann", "--for", "1h", "--json") == (0, ANY)
    told = bench("reserve", "b1", "--as", "bob")
    assert told[0] == 1 and "b1 is reserved by ann until " in told[1] and "--wait 10m" in told[1]
    assert bench("renew", "b1", "--as", "bob")[0] == 1
    status, text = bench("list", "--json")
    assert status == 0
    first, second = json.loads(text)
    assert (first["holder"], first["in_use"], first["queue"], first["state"]) == ("ann", None, [], "ABSENT")
    assert (second["holder"], second["until"]) == (None, None)
    assert (
        json.loads(bench("renew", "b1", "--as", "ann", "--for", "2h", "--json")[1])["until"] > first["until"]
    )
    table = bench("list")[1]
    assert all(word in table for word in ("b1", "b2", "ann", "ABSENT"))
    assert bench("release", "b1", "--as", "ann") == (0, "b1: released, it was reserved by ann\n")
    assert bench("release", "b1", "--force")[0] == 1
    assert "none can be used: b1 is ABSENT" in bench("reserve", "--label", "desk=3")[1]
    assert "name either a board or what it must have" in bench("reserve")[1]
    assert bench("reserve", "b1", "--for", "soon")[0] == 2
    assert "1 s to 24 h" in bench("reserve", "b1", "--for", "3d")[1]
    assert "the bench has no board 'b9'" in bench("release", "b9")[1]
