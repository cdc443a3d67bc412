"""Options that say nothing here are refused, not passed over."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from tinyfleet.agent.cli import cli


@pytest.mark.parametrize("options", [["--smp-port", "1337"], ["--terminal"]], ids=lambda each: each[0])
def test_what_only_a_networked_node_has_is_refused_without_one(tmp_path: Path, options: list[str]) -> None:
    words = ["bench", "emulate", "--machine", "mps2-an500", *options, "--state", str(tmp_path)]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 1
    assert "--smp-port and --terminal are of a networked node" in done.output
