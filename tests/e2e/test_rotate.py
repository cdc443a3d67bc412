"""`device rotate` and `device revoke` of a node that runs: by TLS, through manager and broker."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result
from examples.demo.chain import Chain
from tests.e2e.conftest import NODE
from tests.servers import free_port, wait_for

from tinyfleet.fleet.cli.group import commands

pytestmark = [pytest.mark.qemu, pytest.mark.broker, pytest.mark.timeout(180)]


def command(chain: Chain, *arguments: str) -> Result:
    return CliRunner().invoke(commands, ["device", *arguments, "--state", str(chain.folder)])


def test_a_node_takes_a_new_certificate_and_not_a_broker_that_is_none(chain: Chain) -> None:
    done = command(chain, "rotate", NODE, "--days", "30", "--period", "2", "--wait", "30")
    assert done.exit_code == 0, done.output
    assert done.output == f"configuration 1 of {NODE}: IN_USE\n"
    with chain.client() as client:
        shown = client.device(NODE)
        assert (shown.configuration.wanted, shown.configuration.in_use) == (1, 1)
        assert shown.device.period_s == 2

    done = command(chain, "rotate", NODE, "--port", str(free_port()), "--wait", "60")
    assert done.exit_code == 1
    assert f"{NODE} did not keep configuration 2: connection lost" in done.output
    with chain.client() as client:
        wait_for("the node to be back", lambda: client.device(NODE).device.state == "ONLINE")
        assert client.device(NODE).configuration.in_use == 1

    done = command(chain, "revoke", NODE, "--yes")
    assert done.exit_code == 0, done.output
    chain.nodes[0].wait_for_line("tls: the broker refused", 30)
