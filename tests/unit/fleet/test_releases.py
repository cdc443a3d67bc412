"""Releases: signed with the fleet's key, or imported; counters inherited; blobs true to their names."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.fleet.fleet_rig import TYPE, Rig
from tests.unit.wire.test_firmware import SLOT_A, SLOT_B
from tests.unit.wire.test_firmware import binary as firmware_binary

from tinyfleet.agent.core.bridge_firmware import CheckedFirmware, check_firmware
from tinyfleet.fleet.adapters import signer
from tinyfleet.fleet.adapters.blobs import BlobFolder
from tinyfleet.fleet.adapters.signer import ImgtoolSigner, ensure_key, public_der, verify_ecdsa
from tinyfleet.fleet.core.errors import BadInput, Conflict, NotFound, Refused, Unavailable
from tinyfleet.fleet.services.contents import ModelFacts
from tinyfleet.fleet.services.ports import SigningRequest
from tinyfleet.fleet.services.releases import Releases
from tinyfleet.wire.artifact import ArtifactError
from tinyfleet.wire.enums import ArtifactKind, CoreVariant
from tinyfleet.wire.image import read_image
from tinyfleet.wire.image_format import FLAG_RAM_LOAD, FLAG_ROM_FIXED
from tinyfleet.wire.messages import ImageInfo

MODEL = b"MODEL" + bytes(3000)


def read_model(payload: bytes) -> ModelFacts:
    if not payload.startswith(b"MODEL"):
        raise ArtifactError("header", expected="MODEL", actual=payload[:5])
    return ModelFacts(name="gait", version="1.2.3", core=CoreVariant.PORTABLE, abi=1, labels=("x",))


@pytest.fixture
def releases(rig: Rig, tmp_path: Path) -> Releases:
    signer = ImgtoolSigner(tmp_path / "own.pem")
    return Releases(rig.store, rig.clock, rig.blobs, signer, verify_ecdsa, read_model)


def signed(key: Path, version: str = "9.0.0", kind: ArtifactKind = ArtifactKind.MODEL) -> bytes:
    return ImgtoolSigner(key).sign(
        SigningRequest(
            payload=MODEL,
            kind=kind,
            device_type=TYPE,
            version=version,
            security_counter=4,
            core=0,
            abi=1,
        )
    )


def test_a_model_becomes_an_image_a_node_would_take(releases: Releases, rig: Rig, tmp_path: Path) -> None:
    release = releases.create(MODEL, device_type=TYPE)
    (artifact,) = release.artifacts
    assert (release.name, release.version, artifact.labels) == ("gait", "1.2.3", ("x",))
    image = read_image(rig.blobs.get(artifact.blob))
    assert image.payload == MODEL
    assert str(image.header.version) == "1.2.3"
    assert (image.device_type, image.kind, image.core, image.abi) == (TYPE, ArtifactKind.MODEL, 0, 1)
    assert artifact.key_hash == hashlib.sha256(public_der(tmp_path / "own.pem")).digest()
    assert releases.all() == [release]


def test_a_release_never_changes(releases: Releases) -> None:
    releases.create(MODEL, device_type=TYPE)
    with pytest.raises(Conflict, match=r"release gait 1.2.3 exists \(id 1\)"):
        releases.create(MODEL, device_type=TYPE)


def test_the_counter_is_inherited_and_raised_by_a_security_fix_only(
    releases: Releases, tmp_path: Path
) -> None:
    counters = []
    for version, fix in (("1.0.0", False), ("1.0.1", True), ("1.0.2", False)):
        release = releases.create(MODEL, device_type=TYPE, version=version, security_fix=fix)
        counters.append(release.artifacts[0].security_counter)
    releases.take(signed(tmp_path / "foreign.pem"), allow_foreign=True)
    counters.append(releases.create(MODEL, device_type=TYPE, version="2.0.0").artifacts[0].security_counter)
    assert counters == [1, 2, 2, 2], "a stranger's counter is not ours"


@pytest.mark.parametrize(
    ("payload", "options", "words"),
    [
        (b"nonsense", {}, "not a compiled model"),
        (MODEL, {"version": "one"}, "version 'one'"),
        (MODEL, {"name": "a b"}, "release name"),
        (MODEL, {"device_type": "a/b"}, "device type"),
    ],
)
def test_what_cannot_be_released_is_said(
    releases: Releases, payload: bytes, options: dict[str, str], words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        releases.create(payload, **{"device_type": TYPE, **options})  # type: ignore[arg-type]
    assert releases.all() == []


def test_our_own_signature_imports_without_a_word(releases: Releases, tmp_path: Path) -> None:
    release = releases.take(signed(tmp_path / "own.pem"))
    assert (release.version, release.artifacts[0].foreign) == ("9.0.0", False)


def test_a_foreign_one_must_be_allowed(releases: Releases, tmp_path: Path) -> None:
    image = signed(tmp_path / "foreign.pem")
    with pytest.raises(Refused, match="not in this fleet's trust"):
        releases.take(image)
    release = releases.take(image, allow_foreign=True, version="9.9.9")
    assert (release.version, release.artifacts[0].foreign) == ("9.9.9", True)


def test_a_broken_image_is_never_imported(releases: Releases, tmp_path: Path) -> None:
    image = signed(tmp_path / "foreign.pem")
    for at in (0, 100, len(image) - 1):
        broken = bytearray(image)
        broken[at] ^= 1
        with pytest.raises(BadInput):
            releases.take(bytes(broken), allow_foreign=True)
    with pytest.raises(BadInput, match="kind"):
        releases.take(signed(tmp_path / "foreign.pem", kind=ArtifactKind.FIRMWARE), allow_foreign=True)


@pytest.mark.parametrize("version", ["1.0.0\n", "latest", "1.0.0-rc1", "1." + "0" * 40, "..", "٣.0.0"])
def test_a_version_is_one_a_want_can_name(releases: Releases, tmp_path: Path, version: str) -> None:
    with pytest.raises(BadInput, match="version"):
        releases.take(signed(tmp_path / "own.pem"), version=version)
    with pytest.raises(BadInput, match="version"):
        releases.create(MODEL, device_type=TYPE, version=version)
    assert releases.all() == []


def test_an_image_too_large_to_transport_is_bad_input(
    releases: Releases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signer, "MODEL_SLOT_BYTES", 0x400000)
    image = ImgtoolSigner(tmp_path / "own.pem").sign(
        SigningRequest(
            payload=MODEL + bytes(0x200000),
            kind=ArtifactKind.MODEL,
            device_type=TYPE,
            version="1.0.0",
            security_counter=1,
            core=0,
            abi=1,
        )
    )
    with pytest.raises(BadInput, match="2097152"):
        releases.take(image)


def test_the_key_is_private_and_made_once(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "k.pem"
    assert ImgtoolSigner(path).key_hash() == ImgtoolSigner(path).key_hash()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    first = path.read_bytes()
    assert ensure_key(path).read_bytes() == first
    path.write_text("nonsense")
    with pytest.raises(Unavailable, match="restore it"):
        ImgtoolSigner(path).key_hash()


def test_only_the_keys_own_signature_verifies(tmp_path: Path) -> None:
    image = read_image(signed(tmp_path / "a.pem"))
    assert image.key_der is not None
    assert image.signature is not None
    assert image.digest is not None
    assert verify_ecdsa(image.key_der, image.signature, image.digest)
    assert not verify_ecdsa(public_der(ensure_key(tmp_path / "b.pem")), image.signature, image.digest)
    assert not verify_ecdsa(image.key_der, image.signature, bytes(32))
    assert not verify_ecdsa(image.key_der, b"\x30\x00", image.digest)
    assert not verify_ecdsa(b"nonsense", image.signature, image.digest)


def test_blobs_are_what_their_name_says(tmp_path: Path) -> None:
    folder = BlobFolder(tmp_path / "blobs")
    digest = folder.add(b"content")
    assert folder.add(b"content") == digest
    assert folder.get(digest) == b"content"
    assert [path.name for path in (tmp_path / "blobs").iterdir()] == [digest.hex()]
    (tmp_path / "blobs" / digest.hex()).write_bytes(b"c0ntent")
    with pytest.raises(BadInput, match="not what its name says"):
        folder.get(digest)
    assert folder.add(b"content") == digest
    assert folder.get(digest) == b"content", "adding it again mends it"
    with pytest.raises(NotFound):
        folder.get(bytes(32))


def test_a_release_holds_a_model_and_a_firmware_for_each_slot(releases: Releases, rig: Rig) -> None:
    binaries = [firmware_binary(SLOT_A), firmware_binary(SLOT_B)]
    made = releases.create_set(
        [MODEL, *binaries], device_type=TYPE, name="both", version="3.0.0", needs_firmware="1.2.0"
    )
    (stored,) = releases.all()
    assert set(stored.artifacts) == set(made.artifacts)
    model = made.model_for(TYPE)
    assert model is not None and (model.kind, model.version) == (ArtifactKind.MODEL, "1.2.3")
    (need,) = read_image(rig.blobs.get(model.blob)).dependencies
    assert (need.image_id, str(need.version)) == (0, "1.2.0")
    firmwares = [a for a in made.artifacts if a.kind is ArtifactKind.FIRMWARE]
    assert [(a.slot, a.version) for a in firmwares] == [(0, "1.2.300"), (1, "1.2.300")]
    for artifact, binary in zip(firmwares, binaries, strict=True):
        image = read_image(rig.blobs.get(artifact.blob))
        assert image.payload == binary
        assert (image.header.flags, image.header.header_bytes) == (FLAG_ROM_FIXED, 1024)
        assert (image.kind, image.abi, image.device_type) == (ArtifactKind.FIRMWARE, 7, TYPE)
    assert releases.firmware_image("both", None, TYPE) == rig.blobs.get(firmwares[0].blob)
    # What a device gets is for the slot it does not run from, or what it runs already.
    runs = ImageInfo(image=bytes(32), version="1", security_counter=1, slot=0)
    assert made.firmware_for(TYPE, runs) == firmwares[1]
    assert made.firmware_for(TYPE, replace(runs, image=firmwares[0].image)) == firmwares[0]
    assert made.firmware_for(TYPE, replace(runs, slot=1)) == firmwares[0]
    assert made.firmware_for("other", runs) is None


def test_a_firmware_alone_takes_the_releases_version(releases: Releases, rig: Rig) -> None:
    made = releases.create_set([firmware_binary()], device_type=TYPE, version="9.0.0")
    (artifact,) = made.artifacts
    assert (made.name, artifact.version, artifact.slot) == ("firmware", "9.0.0", None)
    image = read_image(rig.blobs.get(artifact.blob))
    assert (image.header.flags, image.header.load_addr) == (FLAG_RAM_LOAD, 0x10000)
    again = releases.take(rig.blobs.get(artifact.blob), name="taken")
    assert again.artifacts[0].image == artifact.image
    with pytest.raises(BadInput, match="two firmwares for"):
        releases.create_set([firmware_binary(), firmware_binary()], device_type=TYPE, version="9.0.1")
    with pytest.raises(BadInput, match="origin of the firmware"):
        releases.create_set([firmware_binary(0x400)], device_type=TYPE, version="9.0.1")
    with pytest.raises(Refused, match="holds no firmware"):
        releases.firmware_image("firmware", None, "other")
    with pytest.raises(NotFound, match="no release nothing"):
        releases.firmware_image("nothing", None, TYPE)


@pytest.mark.parametrize(
    ("device_type", "origin"), [("microbit", 0), ("mps2-an386", 0x2100_0000), ("mps3-an547", 0x1000_0000)]
)
def test_a_bench_app_is_signed_as_who_programs_it_takes_it(
    releases: Releases, rig: Rig, tmp_path: Path, device_type: str, origin: int
) -> None:
    app = firmware_binary(origin, type=device_type.encode())
    release = releases.create_set([app], device_type=TYPE, name="apps", version="9.0.0")
    (artifact,) = release.artifacts
    assert (release.version, artifact.version) == ("9.0.0", "1.2.300"), (
        "it tells no other version than its own"
    )
    data = rig.blobs.get(artifact.blob)
    image = read_image(data)
    assert (image.payload, image.header.header_bytes, image.header.load_addr) == (app, 32, origin)
    checked = check_firmware(
        data,
        artifact.image,
        device_type=device_type,
        counter=1,
        room_bytes=len(app),
        trusted=[artifact.key_hash],
        verify=verify_ecdsa,
        bare=True,
        running=None,
    )
    assert isinstance(checked, CheckedFirmware) and checked.payload == app
    other = SigningRequest(
        payload=app,
        kind=ArtifactKind.FIRMWARE,
        device_type=device_type,
        version="1.2.300",
        security_counter=1,
        abi=7,
        address=origin,
        in_slot=True,
    )
    wrong = ImgtoolSigner(tmp_path / "own.pem").sign(other)
    with pytest.raises(BadInput, match="header of 1024 bytes"):
        releases.take(wrong)
    with pytest.raises(Refused, match="holds a bench app"):
        releases.firmware_image("apps", "9.0.0", device_type)
    taken = releases.take(data, name="again")
    assert taken.artifacts[0].image == artifact.image
