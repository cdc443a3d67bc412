"""The main job: a model is released, rolled out to nodes, and what they infer is counted."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.servers import wait_for

pytestmark = pytest.mark.broker


def test_a_release_reaches_every_node_and_their_inferences_are_counted(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    nodes = [fleet.node("node1"), fleet.node("node2")]
    payload = make_model("1.0.0")
    release = fleet.client.create_release(payload, device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("the rollout to succeed", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")

    (signed,) = (path.read_bytes() for path in fleet.state.blobs.iterdir())
    for node in nodes:
        assert node.flash.data == signed
        assert node.flash.image is not None
        assert node.flash.image.hex() == release.artifacts[0].image
    for node in nodes:
        node.infer((4, 3, 2, 1))
    line = 'tinyfleet_inferences_total{class="resting",model="demo",model_version="1.0.0",site="test"} 8.0'
    wait_for("both nodes' inferences", lambda: line in fleet.client.metrics())
    text = fleet.client.metrics()
    assert (
        'tinyfleet_inference_duration_seconds_count{model="demo",model_version="1.0.0",site="test",'
        'timing="instructions"} 20.0' in text
    )
    assert f'tinyfleet_rollout_devices{{rollout="{rollout.id}",state="SUCCEEDED"}} 2.0' in text
    assert 'tinyfleet_devices{site="test",state="ONLINE"} 2.0' in text
    assert "_created" not in text
    assert "energy" not in text, "an emulator has no meter: energy is absent, not zero"


def test_a_second_release_replaces_the_first_and_its_chunks_are_cleared(
    fleet: Any, make_model: Callable[..., bytes]
) -> None:
    node = fleet.node("node1")
    for version in ("1.0.0", "1.1.0"):
        fleet.client.create_release(make_model(version), device_type="mps2-an386")
        rollout = fleet.client.start_rollout("demo", version)
        wait_for(
            f"{version} to succeed", lambda number=rollout.id: fleet.rollout_state(number) == "SUCCEEDED"
        )
        assert node.flash.version == version
    first, second = (each.artifacts[0].manifest for each in fleet.client.releases())
    wait_for("nothing to be pending", lambda: fleet.client.health().pending == 0)
    seen = fleet.cli("mqtt", "tail", "--chunks", "--seconds", "1").stdout
    from tinyfleet.wire.topics import blob_name

    assert blob_name(bytes.fromhex(second)) in seen
    assert blob_name(bytes.fromhex(first)) not in seen


def test_a_foreign_signature_is_refused_by_the_nodes_and_the_rollout_says_why(
    fleet: Any, make_model: Callable[..., bytes], tmp_path: Path
) -> None:
    nodes = [fleet.node("node1"), fleet.node("node2")]
    fleet.client.create_release(make_model("1.0.0"), device_type="mps2-an386")
    good = fleet.client.start_rollout("demo")
    wait_for("release 1", lambda: fleet.rollout_state(good.id) == "SUCCEEDED")
    image = sign_by_stranger(tmp_path, make_model("3.0.0"))

    refused = fleet.cli("release", "import", "--image", str(image))
    assert refused.returncode == 1
    assert "not in this fleet's trust" in refused.stderr
    assert refused.stderr.count("\n") == 1

    taken = fleet.cli("release", "import", "--image", str(image), "--allow-foreign")
    assert taken.returncode == 0, taken.stderr
    assert "warning" in taken.stderr
    begun = fleet.client.start_rollout("demo", "3.0.0")
    wait_for("the rollout to fail", lambda: fleet.rollout_state(begun.id) == "FAILED")
    detail = fleet.client.rollout(begun.id)
    assert detail.rollout.why == "2 of 2 devices: result 73 SIGNATURE"
    assert {each.state for each in detail.deployments} == {"REJECTED"}
    for node in nodes:
        assert node.flash.version == "1.0.0", "the nodes go on with what they ran"
    watched = fleet.cli("rollout", "watch", str(begun.id))
    assert watched.returncode == 1
    assert "result 73 SIGNATURE" in watched.stderr


def sign_by_stranger(folder: Path, payload: bytes) -> Path:
    """An image that is right in everything but its key."""
    from tinyfleet.fleet.adapters.signer import ImgtoolSigner
    from tinyfleet.fleet.services.ports import SigningRequest
    from tinyfleet.wire.artifact import ABI
    from tinyfleet.wire.enums import ArtifactKind

    image = folder / "foreign.bin"
    image.write_bytes(
        ImgtoolSigner(folder / "foreign.pem").sign(
            SigningRequest(
                payload=payload,
                kind=ArtifactKind.MODEL,
                device_type="mps2-an386",
                version="3.0.0",
                security_counter=1,
                core=0,
                abi=ABI,
            )
        )
    )
    return image


def test_prometheus_takes_the_exposition(fleet: Any, make_model: Callable[..., bytes]) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")
    node = fleet.node("node1")
    fleet.client.create_release(make_model(), device_type="mps2-an386")
    rollout = fleet.client.start_rollout("demo")
    wait_for("the rollout", lambda: fleet.rollout_state(rollout.id) == "SUCCEEDED")
    node.infer()
    wait_for("inferences", lambda: "tinyfleet_inferences_total{" in fleet.client.metrics())
    checked = subprocess.run(
        [promtool, "check", "metrics"],
        input=fleet.client.metrics(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert checked.stdout + checked.stderr == ""
