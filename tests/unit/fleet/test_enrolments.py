"""One-time tokens: used once, by who has the key, and a device only when it was heard."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.unit.fleet.fleet_rig import TYPE, Rig, birth
from tests.unit.fleet.test_registry import CONNECTION, NoBroker

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.fleet.adapters.sql.store import SqlStore
from tinyfleet.fleet.core import enrolment
from tinyfleet.fleet.core.enrolment import TABLE, TokenEffect, TokenEvent, TokenState, parse_valid
from tinyfleet.fleet.core.errors import BadInput, Conflict, NoSuchToken, NotFound, Refused
from tinyfleet.fleet.core.liveness import DeviceState
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.benches import Benches
from tinyfleet.fleet.services.configurations import Change, Configurations
from tinyfleet.fleet.services.enrolments import Enrolled, Enrolments, TokenOrder
from tinyfleet.fleet.services.registry import Registry
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import ConfigReport, Conn, NodeConfig, Trust
from tinyfleet.wire.records import decode_record
from tinyfleet.wire.topics import TopicKind

TLS = replace(CONNECTION, tls_port=8883)
HOUR = TokenOrder(valid_s=3600)


class Board:
    """A board with a key of its own."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())

    def csr(self, key: ec.EllipticCurvePrivateKey | None = None) -> bytes:
        builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
        made = builder.sign(key or self.key, hashes.SHA256())
        return made.public_bytes(serialization.Encoding.DER)


class Door:
    """The services as `main` joins them."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.rig = rig
        self.broker = NoBroker()
        self.authority = Authority(folder / "authority.pem", bytes(32))
        self.access = access = Access(rig.store, self.broker, bytes(32), self.authority)
        self.registry = Registry(
            rig.store,
            rig.clock,
            rig.rollouts,
            access,
            trusted_keys=lambda: (bytes(32),),
            certificates=self.authority,
        )
        self.configurations = Configurations(rig.store, rig.clock, rig.rollouts, self.authority)
        self.enrolments = Enrolments(
            rig.store,
            rig.clock,
            access,
            self.authority,
            trusted_keys=lambda: (bytes(32),),
            connection=TLS,
            firmware=lambda release, version, device_type: b"image",
            wake=rig.rollouts.wake,
        )

    def word(self, **order: object) -> str:
        ((word, _),) = self.enrolments.make(replace(HOUR, **order))  # type: ignore[arg-type]
        return word

    def enrol(self, word: str, board: Board, name: str | None = "d1", again: bool = False) -> Enrolled:
        return self.enrolments.enrol(word, name=name, device_type=TYPE, csr=board.csr(), again=again)

    def heard(self, given: Enrolled, boot: int = 1) -> None:
        self.born(given.token.device or "", given.token.sequence or 0, boot)

    def born(self, name: str, sequence: int, boot: int) -> None:
        self.rig.say(name, TopicKind.CONN, Conn(boot=boot, conn=1, state=ConnState.ONLINE))
        self.rig.say(name, TopicKind.BIRTH, birth(config=ConfigReport(sequence=sequence), boot=boot))

    def names(self) -> list[str]:
        return [view.device.id for view in self.registry.all()]

    def serial(self, given: Enrolled) -> int:
        return x509.load_der_x509_certificate(given.chain[0]).serial_number

    def state(self, word: str) -> TokenState:
        return self.enrolments.offer(word).token.state


@pytest.fixture
def door(rig: Rig, tmp_path: Path) -> Iterator[Door]:
    yield Door(rig, tmp_path)


def test_the_table_says_what_happens_in_every_state() -> None:
    assert set(TABLE) == set(product(TokenState, TokenEvent))
    ended = {TokenState.USED, TokenState.EXPIRED, TokenState.REVOKED}
    for (state, event), (after, effect) in TABLE.items():
        if state in ended:
            assert after is state, "what has ended never lives again"
            assert effect in (TokenEffect.NOTHING, TokenEffect.REFUSE)
        if event is TokenEvent.ENROL:
            assert (effect is TokenEffect.REFUSE) == (state in ended)
        # A certificate that was given is never left behind.
        if state is TokenState.PENDING and after in (TokenState.EXPIRED, TokenState.REVOKED):
            assert effect is TokenEffect.SHUT_OUT
        assert (after is TokenState.USED and state is not after) == (effect is TokenEffect.REGISTER)


def test_a_board_becomes_a_device_with_its_first_birth(door: Door) -> None:
    word, board = door.word(site="barn"), Board()
    given = door.enrol(word, board)
    assert door.names() == [] and door.state(word) is TokenState.PENDING
    with pytest.raises(NotFound, match="d1 is PENDING"):
        door.registry.get("d1")
    config = decode_record(NodeConfig, given.config)
    assert (config.device, config.port, config.password) == ("d1", 8883, b"")
    assert config.seed == bytes(32) and config.tls is not None and config.tls.key == bytes(32)
    assert decode_record(Trust, given.trust).keys == (bytes(32),)
    certificate = x509.load_der_x509_certificate(given.chain[0])
    assert certificate.public_key() == board.key.public_key()
    assert certificate.subject.rfc4514_string() == "CN=d1"
    certificate.verify_directly_issued_by(x509.load_der_x509_certificate(given.chain[1]))

    door.heard(given)
    (view,) = door.registry.all()
    assert (view.device.id, view.device.site, view.state) == ("d1", "barn", DeviceState.ONLINE)
    assert view.device.credential == given.token.credential
    assert door.state(word) is TokenState.USED
    assert door.broker.passwords == {} and door.serial(given) not in door.broker.revoked


def test_only_the_birth_with_what_was_given_counts(door: Door) -> None:
    given = door.enrol(door.word(), Board())
    for report in (None, ConfigReport(sequence=0), ConfigReport(sequence=2)):
        door.rig.say("d1", TopicKind.BIRTH, birth(config=report))
        assert door.names() == []
    with door.rig.store.read() as tx:
        assert all("is PENDING" in str(row["reason"]) for row in tx.quarantine.all(9))
    door.heard(given)
    assert door.names() == ["d1"]


def test_what_the_last_board_left_at_the_broker_goes_at_once(door: Door) -> None:
    door.heard(door.enrol(door.word(), Board()))
    door.rig.publish()
    door.rig.broker["tf/1/d1/birth"] = b"the old board's, retained"
    woken = door.rig.woken
    door.enrol(door.word(device="d1", replaces=True), Board(), None)
    assert door.rig.woken > woken
    door.rig.publish()
    assert "tf/1/d1/birth" not in door.rig.broker


def test_only_a_token_that_lives_brings_a_firmware(door: Door) -> None:
    word = door.word(device_type=TYPE, release="demo")
    assert door.enrolments.offer(word).firmware == b"image"
    door.rig.now_s += 3600
    offer = door.enrolments.offer(word)
    assert (offer.firmware, offer.token.state) == (None, TokenState.EXPIRED)


def test_a_name_that_waits_for_its_device_is_taken(door: Door) -> None:
    door.enrol(door.word(), Board())
    stores = (door.rig.store, door.rig.clock, door.access, door.authority)
    benches = Benches(*stores, host="h", port=1, tls_port=2, prefix="tf/1")
    with pytest.raises(Conflict, match="is a device"):
        benches.register("d1", "s")
    for change in (door.registry.revoke, door.registry.remove):
        with pytest.raises(NotFound, match=r"d1 is PENDING.* token-revoke 1"):
            change("d1")


def test_a_token_is_good_once(door: Door) -> None:
    word, board = door.word(), Board()
    door.heard(door.enrol(word, board))
    for again in (board, Board()):
        with pytest.raises(Refused, match="is USED"):
            door.enrol(word, again)
    with pytest.raises(Refused, match="is USED"):
        door.enrol(word, Board(), "d2")


def test_until_then_the_same_device_may_come_with_another_key(door: Door) -> None:
    word, board = door.word(), Board()
    first = door.enrol(word, board)
    assert door.enrol(word, board) == first, "the answer was lost: it is the same one"
    with pytest.raises(Refused, match="is for d1, not for d2"):
        door.enrol(word, Board(), "d2")
    with pytest.raises(Conflict, match="in use for another board"):
        door.enrol(word, Board(), None)
    second = door.enrol(word, Board(), None, again=True)
    assert second.token.device == "d1" and second.token.credential != first.token.credential
    assert door.broker.revoked == {door.serial(first)} and "d1" in door.broker.taken_over
    door.rig.say("d1", TopicKind.BIRTH, birth(config=ConfigReport(sequence=first.token.sequence or 0)))
    assert door.names() == []
    door.heard(second)
    assert door.names() == ["d1"]


def test_expired_and_unknown_words_are_none(door: Door) -> None:
    word = door.word()
    door.rig.now_s += 3601
    with pytest.raises(Refused, match="is EXPIRED"):
        door.enrol(word, Board())
    for wrong in ("tfe_" + "x" * 43, word[:-1], ""):
        with pytest.raises(NoSuchToken):
            door.enrol(wrong, Board())


def test_a_device_that_is_never_heard_leaves_nothing_behind(door: Door) -> None:
    word = door.word(valid_s=1)
    given = door.enrol(word, Board())
    door.rig.now_s += enrolment.PENDING_S - 1
    door.enrolments.expire()
    assert door.state(word) is TokenState.PENDING
    given = door.enrol(word, Board(), again=True)  # which does not keep it alive
    door.rig.now_s += 1
    door.enrolments.expire()
    assert door.state(word) is TokenState.EXPIRED
    assert door.serial(given) in door.broker.revoked
    door.heard(given)
    assert door.names() == []


def test_a_token_is_taken_back(door: Door) -> None:
    word = door.word()
    given = door.enrol(word, Board())
    (token,) = door.enrolments.all()
    assert door.enrolments.revoke(token.id).state is TokenState.REVOKED
    assert door.serial(given) in door.broker.revoked and "d1" in door.broker.taken_over
    with pytest.raises(Refused, match="is REVOKED"):
        door.enrol(word, Board())
    with pytest.raises(NotFound):
        door.enrolments.revoke(99)
    used = door.word()
    door.heard(door.enrol(used, Board()))
    with pytest.raises(Conflict, match="is USED"):
        door.enrolments.revoke(door.enrolments.offer(used).token.id)


def test_a_known_device_is_replaced_only_by_a_token_that_says_so(door: Door) -> None:
    first = door.enrol(door.word(), Board())
    door.heard(first, boot=57)
    with pytest.raises(Conflict, match="d1 is registered"):
        door.enrol(door.word(), Board())
    with pytest.raises(Conflict, match="d1 is registered"):
        door.word(device="d1")
    second = door.enrol(door.word(device="d1", replaces=True), Board(), None)
    assert door.serial(first) in door.broker.revoked and door.names() == ["d1"]
    # The broker publishes the will of the one it threw out: of a boot that is far ahead of the new one's.
    door.rig.say("d1", TopicKind.CONN, Conn(boot=57, conn=1, state=ConnState.LOST))
    door.heard(second, boot=1)
    (view,) = door.registry.all()
    assert (view.state, view.device.credential) == (DeviceState.ONLINE, second.token.credential)


def test_a_device_with_a_password_is_replaced_and_its_password_good_no_more(door: Door) -> None:
    door.registry.provision("d1", site="s", device_type=TYPE, connection=CONNECTION)
    assert "d1" in door.broker.passwords
    door.heard(door.enrol(door.word(device="d1", replaces=True), Board(), None))
    assert door.broker.passwords == {} and "d1" in door.broker.taken_over


def test_a_certificate_is_renewed_for_the_key_that_the_device_alone_has(door: Door) -> None:
    board = Board()
    given = door.enrol(door.word(), board)
    door.heard(given)
    door.configurations.rotate("d1", Change(days=30))
    want = door.rig.want("d1")
    assert want is not None and want.config is not None and want.config.tls is not None
    renewed = x509.load_der_x509_certificate(want.config.tls.certificate or b"")
    assert renewed.public_key() == board.key.public_key()
    door.registry.revoke("d1")
    assert {door.serial(given), renewed.serial_number} <= door.broker.revoked


def test_provisioning_it_by_hand_gives_it_a_key_of_the_fleet(door: Door) -> None:
    given = door.enrol(door.word(), Board())
    with pytest.raises(Conflict, match="is being provisioned by a token"):
        door.registry.provision("d1", site="s", device_type=TYPE, connection=replace(TLS, tls=True))
    door.heard(given)
    done = door.registry.provision("d1", site="s", device_type=TYPE, connection=replace(TLS, tls=True))
    config = decode_record(NodeConfig, done.config)
    assert config.tls is not None and config.tls.key != bytes(32)
    assert door.serial(given) in door.broker.revoked


def test_who_removes_a_device_ends_its_replacement(door: Door) -> None:
    door.heard(door.enrol(door.word(), Board()))
    word = door.word(device="d1", replaces=True)
    given = door.enrol(word, Board(), None)
    door.registry.remove("d1")
    assert door.state(word) is TokenState.REVOKED and door.serial(given) in door.broker.revoked
    door.heard(given)
    assert door.names() == []


def test_a_request_that_is_none(door: Door) -> None:
    board, other = Board(), Board()
    good = board.csr()
    forged = good.replace(_point(board.key), _point(other.key))
    p384 = other.csr(ec.generate_private_key(ec.SECP384R1()))
    for csr in (b"", b"x", good[:-1], good[:-3] + b"\0\0\0", forged, p384, good + bytes(4096)):
        with pytest.raises(BadInput, match="certificate request"):
            door.enrolments.enrol(door.word(), name="d1", device_type=TYPE, csr=csr)
    assert door.names() == [] and door.broker.passwords == {}


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    encoding, form = serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    return key.public_key().public_bytes(encoding, form)


def test_what_a_token_may_be(door: Door) -> None:
    for order in (
        TokenOrder(valid_s=1, count=0),
        TokenOrder(valid_s=1, site="no site!"),
        TokenOrder(valid_s=1, device_type="toaster"),
        TokenOrder(valid_s=1, device="../x"),
        TokenOrder(valid_s=1, device="d1", count=2),
        TokenOrder(valid_s=1, replaces=True),
        TokenOrder(valid_s=1, release="demo"),
    ):
        with pytest.raises(BadInput):
            door.enrolments.make(order)
    with pytest.raises(NotFound):
        door.enrolments.make(TokenOrder(valid_s=1, device="d1", replaces=True))
    with pytest.raises(Refused, match=r"for boards mps2-an500"):
        door.enrol(door.word(device_type="mps2-an500"), Board())
    assert len(door.enrolments.make(TokenOrder(valid_s=1, count=3))) == 3
    named = door.enrol(door.word(), Board(), None).token.device
    assert named is not None and named.startswith("mps2-an386-")
    for text in ("", "1", "h", "-1h", "0s", "31d", "1.5h", "1h "):
        with pytest.raises(BadInput, match="expected a time"):
            parse_valid(text)
    assert [parse_valid(text) for text in ("90s", "15m", "1h", "2d")] == [90, 900, 3600, 172_800]


def test_no_word_is_kept(door: Door, tmp_path: Path) -> None:
    word = door.word()
    door.heard(door.enrol(word, Board()))
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert word.encode() not in path.read_bytes(), path


def test_a_database_of_schema_5_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    SqlStore(path).close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE tokens")
        # As that version wrote it: without a key.
        connection.execute("INSERT INTO meta VALUES ('enrolment/d1', '{\"tls\": true, \"sequence\": 3}')")
        connection.execute("UPDATE meta SET value = '5' WHERE key = 'schema'")
    store = SqlStore(path)
    with store.read() as tx:
        assert tx.tokens.all(9) == [] and tx.tokens.pending() == {}
        held = tx.enrolments.get("d1")
        assert (held.tls, held.sequence, held.key) == (True, 3, None)
    store.close()
