"""Two versions of the example model side by side on an emulated node: command line, node, metrics."""

from __future__ import annotations

import numpy as np
import pytest
from click.testing import CliRunner
from examples.demo.chain import Chain
from tests.e2e.conftest import NODE, TYPE
from tests.models import LIVESTOCK, livestock
from tests.servers import wait_for

from tinyfleet.fleet.api.schemas import ShadowOut
from tinyfleet.fleet.cli.shadow import NOTE, shadow
from tinyfleet.model.twin import Twin

pytestmark = [pytest.mark.qemu, pytest.mark.broker, pytest.mark.timeout(180)]

WINDOWS = 64
SETTLED_S = 60.0


def roll_out(chain: Chain, version: str) -> str:
    with chain.client() as client:
        begun = client.start_rollout("livestock", version)
        wait_for("the rollout's end", lambda: client.rollout(begun.id).rollout.state != "RUNNING", SETTLED_S)
        return client.rollout(begun.id).rollout.state


def tell(chain: Chain, *arguments: str, status: int = 0) -> str:
    """Output of `tinyfleet shadow …`."""
    done = CliRunner().invoke(shadow, [*arguments, "--state", str(chain.folder)])
    assert done.exit_code == status, done.output
    return done.output


def view(chain: Chain) -> ShadowOut:
    with chain.client() as client:
        return client.shadow(NODE)


def disagreements() -> dict[tuple[str, str], int]:
    """What the host twins say of the recorded windows, where they differ."""
    labels = (LIVESTOCK / "labels.txt").read_text().split()
    with np.load(LIVESTOCK / "replay.npz") as stored:
        windows = stored["windows"]
    twins = [Twin(livestock(which, vectors=0)) for which in ("v1", "v2")]
    found: dict[tuple[str, str], int] = {}
    for window in windows:
        said = tuple(labels[int(np.argmax(twin.run_raw(window)))] for twin in twins)
        if said[0] != said[1]:
            found[said[0], said[1]] = found.get((said[0], said[1]), 0) + 1
    return found


def test_a_challenger_is_compared_stopped_and_promoted(chain: Chain) -> None:
    with chain.client() as client:
        for which, version in (("v1", "1.0.0"), ("v2", "2.0.0")):
            payload = livestock(which, vectors=4, version=version)
            client.create_release(payload, device_type=TYPE, name="livestock")
        large = bytearray(livestock("v2", vectors=4, version="3.0.0"))
        large[12:16] = (65_520).to_bytes(4, "little")  # its arena: alone it would fit
        client.create_release(bytes(large), device_type=TYPE, name="livestock")
    assert roll_out(chain, "1.0.0") == "SUCCEEDED"

    refused = tell(chain, "start", "livestock", "3.0.0", status=1)
    assert "64 ARENA_TOO_SMALL" in refused and "912 bytes (running) and 65520 (challenger)" in refused
    console = chain.nodes[0].console()
    assert tell(chain, "start", "livestock", "2.0.0").count("QUEUED") == 1
    wait_for("the challenger", lambda: view(chain).state == "RUNNING", SETTLED_S)
    assert chain.nodes[0].console()[len(console) :].count("update: OFFERED") == 1, "3.0.0 was never sent"

    # Whole recordings, and a part of one: each disagreement was counted as often as it was met.
    wait_for("windows", lambda: view(chain).windows >= WINDOWS, SETTLED_S)
    seen, twins = view(chain), disagreements()
    whole = seen.windows // WINDOWS
    pairs = {(pair.active, pair.challenger): pair.windows for pair in seen.pairs}
    assert pairs.keys() <= twins.keys()
    for pair, times in twins.items():
        assert whole * times <= pairs.get(pair, 0) <= (whole + 1) * times
    assert seen.agreements + sum(pairs.values()) == seen.windows
    assert (seen.skipped, seen.missed, seen.rest) == (0, 0, 0)
    shown = tell(chain, "show", NODE)
    assert NOTE in shown and "livestock 2.0.0" in shown and "CHALLENGER SAID" in shown
    with chain.client() as client:
        text = client.metrics()
        assert client.device(NODE).device.model_version == "1.0.0"
    labels = 'challenger="livestock",challenger_version="2.0.0",model="livestock",model_version="1.0.0"'
    assert f"tinyfleet_shadow_agreements_total{{{labels}" in text

    assert "STOPPED" in tell(chain, "stop")
    chain.nodes[0].wait_for_line("shadow: ended", SETTLED_S)
    tell(chain, "start", "livestock", "2.0.0")
    wait_for("the challenger again", lambda: view(chain).state == "RUNNING", SETTLED_S)
    console = chain.nodes[0].console()
    assert console.count("update: DOWNLOADING") == console[: console.index("shadow: ended")].count(
        "update: DOWNLOADING"
    )

    assert roll_out(chain, "2.0.0") == "SUCCEEDED"
    promoted = chain.nodes[0].console()[len(console) :]
    assert "update: TRIAL" in promoted and "DOWNLOADING" not in promoted
    assert (view(chain).state, view(chain).detail) == ("EVICTED", "rollout 2 took its place")
    with chain.client() as client:
        events = [event["text"] for event in client.device(NODE).events if event["kind"] == "LOG"]
    assert any("an update ended the shadow challenger" in text for text in events)
