"""What travels: the smallest that a device can decode, made once, tried before it is sent, said openly."""

from __future__ import annotations

import hashlib
import random
import struct
from dataclasses import replace

import pytest
from tests.unit.fleet.fleet_rig import TYPE, Rig, birth

from tinyfleet.fleet.adapters.encodings import Encodings
from tinyfleet.fleet.core.deployment import DeploymentState
from tinyfleet.fleet.core.errors import Refused
from tinyfleet.fleet.core.release import Artifact, Release, Transport, raw
from tinyfleet.fleet.core.rollout import RolloutState
from tinyfleet.fleet.core.transfer import smallest
from tinyfleet.fleet.services import transfers
from tinyfleet.wire.blobs import Reassembler, cut
from tinyfleet.wire.enums import ArtifactKind, Encoding, Result, UpdateState
from tinyfleet.wire.image_format import IMAGE_MAGIC, TLV_INFO_MAGIC, Tlv
from tinyfleet.wire.messages import ImageInfo, SlotInfo, Want
from tinyfleet.wire.topics import TopicKind
from tinyfleet.wire.unpack import unpack

ALL = 0b111
ROOM = 1 << 20
PAYLOAD_BYTES = 30_000


def image_of(payload: bytes, trailer: bytes = b"") -> tuple[bytes, bytes]:
    """An MCUboot image and its digest; `trailer` stands where a signature would, outside of the digest."""
    covered = struct.pack("<IIHHIIBBHII", IMAGE_MAGIC, 0, 32, 0, len(payload), 0, 1, 0, 0, 0, 0) + payload
    digest = hashlib.sha256(covered).digest()
    tlvs = struct.pack("<HH", Tlv.SHA256, 32) + digest
    tlvs += struct.pack("<HH", Tlv.ECDSA_SIG, len(trailer)) + trailer
    return covered + struct.pack("<HH", TLV_INFO_MAGIC, 4 + len(tlvs)) + tlvs, digest


def noise(seed: int) -> bytearray:
    """Compresses by about a half, as far as a small window sees."""
    rng = random.Random(seed)  # noqa: S311 - data for a test, no secret
    words = [rng.randbytes(8) for _ in range(24)]
    return bytearray(b"".join(rng.choice(words) for _ in range(PAYLOAD_BYTES // 8)))


def release(
    rig: Rig,
    version: str,
    payload: bytes,
    kind: ArtifactKind = ArtifactKind.MODEL,
    trailer: bytes = b"s" * 70,
) -> Artifact:
    data, digest = image_of(payload, trailer)
    blob = cut(data)
    artifact = Artifact(
        kind=kind,
        device_type=TYPE,
        image=digest,
        manifest=blob.digest,
        blob=rig.blobs.add(data),
        version=version,
        size_bytes=len(data),
        groups=blob.groups,
        security_counter=1,
        key_hash=bytes(32),
    )
    with rig.store.write() as tx:
        tx.releases.add(Release(id=0, name="demo", version=version, artifacts=(artifact,)))
    return artifact


def releases(rig: Rig) -> tuple[Artifact, Artifact]:
    """Two versions that differ in a few places."""
    first = noise(1)
    second = bytearray(first)
    for at in range(0, len(second), 1000):
        second[at] ^= 0xFF
    return release(rig, "1.0.0", bytes(first)), release(rig, "2.0.0", bytes(second))


def device(
    rig: Rig, name: str, runs: bytes | None = None, decodes: int | None = ALL, room: int = ROOM
) -> None:
    rig.device(name)
    said = birth(image=runs, decodes=decodes, staging_bytes=None if decodes is None else room)
    rig.say(name, TopicKind.BIRTH, said)


def wanted(rig: Rig, name: str) -> Want:
    want = rig.want(name)
    assert want is not None and want.model is not None
    return want


def way(rig: Rig, name: str) -> Transport:
    """What the device's want addresses."""
    model = wanted(rig, name).model
    assert model is not None
    with rig.store.read() as tx:
        found = tx.releases.transport(model.manifest)
    assert found is not None
    assert (model.size_bytes, model.groups, model.image) == (
        found.size_bytes,
        found.groups,
        found.artifact.image,
    )
    return found


def installed(rig: Rig, name: str, base: bytes | None) -> bytes:
    """What a node makes of the chunks that the broker then holds."""
    model = wanted(rig, name).model
    assert model is not None
    node = Reassembler(model)
    while (group := node.group) is not None:
        for index in range(16):
            node.add(group, index, rig.broker.get(rig.topics.chunk(model.manifest, group, index), b""))
    assert node.manifest is not None
    return unpack(node.manifest, node.transported, base)


def test_each_device_gets_the_smallest_that_it_can_decode(rig: Rig) -> None:
    first, second = releases(rig)
    device(rig, "old", first.image)
    device(rig, "empty", None)
    device(rig, "simple", first.image, decodes=0b011)
    device(rig, "raw", first.image, decodes=None)
    device(rig, "narrow", first.image, room=20)
    rig.device("silent")
    summary = rig.rollouts.start("demo", "2.0.0")
    ways = {name: way(rig, name) for name in ("old", "empty", "simple", "raw", "narrow", "silent")}
    assert {name: found.encoding.name for name, found in ways.items()} == {
        "old": "DELTA",
        "empty": "COMPRESSED",
        "simple": "COMPRESSED",
        "raw": "RAW",
        "narrow": "RAW",
        "silent": "RAW",
    }
    assert ways["old"].base == first.image
    assert ways["old"].size_bytes < 1000 < ways["simple"].size_bytes < 25_000
    assert {(c.transport.encoding.name, c.devices) for c in rig.rollouts.carried(summary.id)} == {
        ("RAW", 3),
        ("COMPRESSED", 2),
        ("DELTA", 1),
    }
    rig.publish()
    image = rig.blobs.get(second.blob)
    covered = rig.blobs.get(first.blob)[: 32 + PAYLOAD_BYTES]
    assert all(installed(rig, name, covered) == image for name in ways)


def test_only_what_travels_counts_in_the_budget(small_rig: Rig) -> None:
    rig = small_rig
    first, second = releases(rig)
    device(rig, "d1", first.image)
    device(rig, "d2", first.image, decodes=None)
    rig.rollouts.start("demo", "2.0.0", devices=["d1"])
    with rig.store.read() as tx:
        assert sum(row.size_bytes for row in tx.retained.live_blobs()) == way(rig, "d1").size_bytes < 1000
    rig.rollouts.start("demo", "2.0.0", devices=["d2"])
    third = release(rig, "3.0.0", bytes(noise(3)))
    device(rig, "d3", decodes=None)
    with pytest.raises(Refused, match=f"needs {third.size_bytes} bytes"):
        rig.rollouts.start("demo", "3.0.0", devices=["d3"])
    assert second.size_bytes < 40_000


def test_full_sends_images_as_they_are(rig: Rig) -> None:
    first, second = releases(rig)
    device(rig, "d1", first.image)
    rig.rollouts.start("demo", "2.0.0", full=True)
    assert way(rig, "d1") == raw(second)


def test_each_base_has_its_delta_and_an_unknown_one_none(rig: Rig) -> None:
    first, second = releases(rig)
    third = release(rig, "3.0.0", bytes(noise(1)) + b"3")
    device(rig, "d1", first.image)
    device(rig, "d2", second.image)
    device(rig, "d3", bytes(32))
    rig.rollouts.start("demo", "3.0.0")
    assert [way(rig, name).base for name in ("d1", "d2", "d3")] == [first.image, second.image, None]
    assert way(rig, "d3").encoding is Encoding.COMPRESSED
    assert way(rig, "d1").artifact == third


def test_a_base_signed_again_is_the_same_base(rig: Rig) -> None:
    """The digest does not cover the signature, so a delta must not need it."""
    first, second = releases(rig)
    release(rig, "1.0.1", bytes(noise(1)), trailer=b"z" * 71)
    device(rig, "d1", first.image)
    rig.rollouts.start("demo", "2.0.0")
    rig.publish()
    for version in ("1.0.0", "1.0.1"):
        with rig.store.read() as tx:
            found = tx.releases.named("demo", version)
        assert found is not None
        covered = rig.blobs.get(found.artifacts[0].blob)[: 32 + PAYLOAD_BYTES]
        assert installed(rig, "d1", covered) == rig.blobs.get(second.blob)


def test_firmware_travels_as_a_delta_of_the_firmware(rig: Rig) -> None:
    old = release(rig, "1.0.0", bytes(noise(5)), ArtifactKind.FIRMWARE)
    new = release(rig, "1.1.0", bytes(noise(5)) + b"more", ArtifactKind.FIRMWARE)
    rig.offer = replace(rig.offer, image=new.image)
    slots = tuple(SlotInfo(kind=ArtifactKind.FIRMWARE, index=i, size_bytes=ROOM) for i in (0, 1))
    runs = ImageInfo(image=old.image, version="1.0.0", security_counter=1, slot=0)
    rig.device("d1")
    said = replace(birth(), firmware=runs, slots=slots, decodes=ALL, staging_bytes=ROOM)
    rig.say("d1", TopicKind.BIRTH, said)
    summary = rig.rollouts.start("demo", "1.1.0")
    (carried,) = rig.rollouts.carried(summary.id)
    found = carried.transport
    assert (found.artifact, found.encoding, found.base) == (new, Encoding.DELTA, old.image)
    want = rig.want("d1")
    assert want is not None and want.firmware is not None and want.model is None
    assert (want.firmware.image, want.firmware.manifest) == (new.image, found.manifest)


def test_a_base_that_does_not_match_ends_openly(rig: Rig) -> None:
    first, second = releases(rig)
    device(rig, "d1", first.image)
    begun = rig.rollouts.start("demo", "2.0.0")
    rig.publish()
    rig.status("d1", UpdateState.FAILED, Result.BASE_MISMATCH)
    ended, _, (deployment,) = rig.rollouts.get(begun.id)
    assert (deployment.state, deployment.result) == (DeploymentState.REJECTED, Result.BASE_MISMATCH)
    assert (ended.state, ended.why) == (RolloutState.FAILED, "1 of 1 devices: result 71 BASE_MISMATCH")
    assert rig.want("d1") is None, "nothing else is sent by itself"
    with rig.store.read() as tx:
        assert tx.deployments.history("d1", 1)[0]["transition"] == "QUEUED:REFUSED:REJECTED"
        assert tx.retained.live_blobs() == []
    # The operator's next rollout goes by what the device says now.
    said = birth(image=b"\x11" * 32, decodes=ALL, staging_bytes=ROOM, seq=2, generation=1)
    rig.say("d1", TopicKind.BIRTH, said)
    rig.rollouts.start("demo", "2.0.0")
    assert way(rig, "d1").encoding is Encoding.COMPRESSED
    assert way(rig, "d1").artifact == second


def test_what_is_offered_again_is_picked_again(rig: Rig) -> None:
    """A device that fell back to another image than the delta's base gets what fits it then."""
    first, second = releases(rig)
    device(rig, "d1", first.image)
    rig.rollouts.start("demo", "2.0.0")
    assert way(rig, "d1").encoding is Encoding.DELTA
    rig.status("d1", UpdateState.CONFIRMED, Result.SUCCESS)
    said = birth(image=b"\x11" * 32, decodes=ALL, staging_bytes=ROOM, seq=2, generation=1)
    rig.say("d1", TopicKind.BIRTH, said)
    assert wanted(rig, "d1").generation == 2
    assert way(rig, "d1").encoding is Encoding.COMPRESSED
    assert way(rig, "d1").artifact == second


def test_raw_is_offered_again_as_raw(rig: Rig) -> None:
    first, second = releases(rig)
    device(rig, "d1", first.image)
    rig.rollouts.start("demo", "2.0.0", full=True)
    rig.status("d1", UpdateState.CONFIRMED, Result.SUCCESS)
    said = birth(image=first.image, decodes=ALL, staging_bytes=ROOM, seq=2, generation=1)
    rig.say("d1", TopicKind.BIRTH, said)
    assert wanted(rig, "d1").generation == 2
    assert way(rig, "d1") == raw(second)


class Counting(Encodings):
    def __init__(self) -> None:
        self.calls: list[str] = []

    def compress(self, image: bytes) -> bytes:
        self.calls.append("compress")
        return super().compress(image)

    def delta(self, image: bytes, base: bytes) -> bytes:
        self.calls.append("delta")
        return b"\x04" + super().delta(image, base)[1:]


def test_an_encoding_is_made_once(rig: Rig) -> None:
    counting = Counting()
    rig.rollouts._transfers = transfers.Transfers(rig.blobs, counting, rig.clock)
    first, _ = releases(rig)
    for name in ("d1", "d2"):
        device(rig, name, first.image)
    rig.rollouts.start("demo", "2.0.0", devices=["d1"])
    calls = sorted(counting.calls)
    assert "delta" in calls
    rig.rollouts.start("demo", "2.0.0", devices=["d2"])
    assert sorted(counting.calls) == calls
    assert way(rig, "d1") == way(rig, "d2")


class Wrong(Encodings):
    """Makes what decodes, but to something else."""

    def compress(self, image: bytes) -> bytes:
        return super().compress(bytes(len(image)))

    def delta(self, image: bytes, base: bytes) -> bytes:
        return b"\x04 no patch"


def test_what_does_not_make_the_image_again_is_not_sent(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.rollouts._transfers = transfers.Transfers(rig.blobs, Wrong(), rig.clock)
    first, second = releases(rig)
    device(rig, "d1", first.image)
    rig.rollouts.start("demo", "2.0.0")
    assert way(rig, "d1") == raw(second)
    assert caplog.text.count("does not make it again") == 2


def test_a_lost_file_of_a_base_costs_the_delta_alone(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    first, _ = releases(rig)
    device(rig, "d1", first.image)
    rig.blobs._path(first.blob).unlink()
    rig.rollouts.start("demo", "2.0.0")
    assert way(rig, "d1").encoding is Encoding.COMPRESSED
    assert "no encoding of 2.0.0" in caplog.text


def test_what_saves_nothing_is_not_kept(rig: Rig) -> None:
    release(rig, "1.0.0", random.Random(4).randbytes(5000))  # noqa: S311 - data for a test, no secret
    device(rig, "d1")
    rig.rollouts.start("demo", "1.0.0")
    assert way(rig, "d1").encoding is Encoding.RAW


def test_as_many_deltas_as_a_rollout_may_make(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "BASES_MAX", 1)
    first, second = releases(rig)
    release(rig, "3.0.0", bytes(noise(1)))
    third = release(rig, "4.0.0", bytes(noise(1)) + b"4")
    device(rig, "d1", first.image)
    for name in ("d2", "d3"):
        device(rig, name, second.image)
    rig.rollouts.start("demo", "4.0.0")
    assert [way(rig, name).encoding.name for name in ("d1", "d2", "d3")] == ["COMPRESSED", "DELTA", "DELTA"]
    assert way(rig, "d1").artifact == third


class Slow(Encodings):
    """Each encoding takes as long as a rollout waits for all of them."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig

    def compress(self, image: bytes) -> bytes:
        self._rig.now_s += transfers.MAKE_S + 1
        return super().compress(image)


def test_a_rollout_does_not_wait_for_ever(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.rollouts._transfers = transfers.Transfers(rig.blobs, Slow(rig), rig.clock)
    first, _ = releases(rig)
    device(rig, "d1", first.image)
    rig.rollouts.start("demo", "2.0.0")
    assert way(rig, "d1").encoding is Encoding.COMPRESSED
    assert "take longer than 10 s" in caplog.text


def test_of_two_alike_the_simpler_one() -> None:
    artifact = Artifact(
        kind=ArtifactKind.MODEL,
        device_type=TYPE,
        image=bytes(32),
        manifest=bytes(32),
        blob=bytes(32),
        version="1",
        size_bytes=100,
        groups=1,
        security_counter=1,
        key_hash=bytes(32),
    )
    compressed = replace(raw(artifact), manifest=b"\x01" * 32, encoding=Encoding.COMPRESSED)
    said = birth(decodes=ALL, staging_bytes=ROOM)
    assert smallest(said, [compressed, raw(artifact)]) == raw(artifact)
    assert smallest(said, [raw(artifact), replace(compressed, size_bytes=99)]).size_bytes == 99
    # Each bit of what a birth decodes counts by itself.
    assert smallest(replace(said, decodes=0b101), [raw(artifact), replace(compressed, size_bytes=9)]) == raw(
        artifact
    )
