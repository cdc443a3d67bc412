"""What agents tell of their boards: the newest counts, and a will only if its connection was the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.unit.fleet.fleet_rig import Rig

from tinyfleet.fleet.adapters.authority import SERVER, Authority
from tinyfleet.fleet.cli.agent import _notes
from tinyfleet.fleet.core.errors import BadInput, Conflict, NotFound
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.benches import AgentAccess, Benches
from tinyfleet.wire.codec import to_json
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.messages import Bench, Board
from tinyfleet.wire.topics import TopicKind
from tinyfleet.wire.vectors.message_vectors import BENCH_CALIBRATED, BENCH_ENERGY

WILL_AHEAD = 1 << 30


class Users:
    """The broker's user list."""

    def __init__(self) -> None:
        self.last: dict[str, str] = {}
        self.revoked: set[int] = set()
        self.out: list[str] = []

    def apply(self, passwords: dict[str, str], revocations: bytes) -> None:
        self.last = passwords
        self.revoked = {each.serial_number for each in x509.load_pem_x509_crl(revocations)}

    def take_over(self, name: str) -> None:
        self.out.append(name)


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture
def benches(rig: Rig, users: Users, tmp_path: Path) -> Benches:
    authority = Authority(tmp_path / "authority.pem", bytes(32))
    access = Access(rig.store, users, bytes(32), authority)
    stores = (rig.store, rig.clock, access, authority)
    return Benches(*stores, host="127.0.0.1", port=1883, tls_port=8883, prefix="tf/1")


def told(rig: Rig, seq: int, state: ConnState = ConnState.ONLINE, board: str = "b1") -> None:
    boards = (Board(name=board, device_type="microbit", state=BoardState.READY, emulated=True),)
    rig.say("bench1", TopicKind.BENCH, Bench(seq=seq, state=state, boards=boards))


def now(benches: Benches) -> tuple[str | None, list[Any]]:
    (view,) = benches.all()
    return view.state, [board["name"] for board in view.boards]


def test_registering_again_gives_the_same_credentials(benches: Benches, users: Users) -> None:
    first = benches.register("bench1", "lab")
    assert benches.register("bench1", "lab") == first
    assert set(users.last) == {"bench1"}
    assert first.password not in repr(first)
    assert now(benches) == (None, [])


def number(given: AgentAccess) -> int:
    """Of the certificate."""
    assert given.tls is not None
    return x509.load_pem_x509_certificate(given.tls.certificate.encode()).serial_number


def test_by_tls_an_agent_has_a_certificate_in_its_name_and_no_password(
    benches: Benches, users: Users
) -> None:
    given = benches.register("bench1", "lab", host="bench.lab", tls=True)
    assert benches.register("bench1", "lab", host="bench.lab", tls=True) == given, "the same every time"
    assert (given.host, given.port, given.password, given.tls is not None) == ("bench.lab", 8883, "", True)
    assert users.last == {} and users.out == []
    tls = given.tls
    assert tls is not None and tls.server == SERVER and tls.key not in repr(given)
    authority = x509.load_pem_x509_certificate(tls.authority.encode())
    certificate = x509.load_pem_x509_certificate(tls.certificate.encode())
    certificate.verify_directly_issued_by(authority)
    assert certificate.subject.rfc4514_string() == "CN=bench1"
    key = serialization.load_pem_private_key(tls.key.encode(), None)
    assert key.public_key() == certificate.public_key()


def test_what_opened_one_door_opens_nothing_when_the_other_is_taken(benches: Benches, users: Users) -> None:
    plain = benches.register("bench1", "lab")
    by_tls = benches.register("bench1", "lab", tls=True)
    assert users.last == {} and users.out == ["bench1"]
    again = benches.register("bench1", "lab")
    assert users.out == ["bench1", "bench1"] and set(users.last) == {"bench1"}
    assert number(by_tls) in users.revoked
    assert again.password != plain.password
    # And back: another certificate than the one that is on the list.
    assert number(benches.register("bench1", "lab", tls=True)) not in users.revoked


def test_a_certificate_for_some_days_is_another_each_time_and_all_are_revoked(
    benches: Benches, users: Users, rig: Rig
) -> None:
    given = [
        benches.register("bench1", "lab", tls=True),
        *(benches.register("bench1", "lab", tls=True, days=90) for _ in range(2)),
    ]
    numbers = {number(each) for each in given}
    assert len(numbers) == 3 and users.out == []
    assert given[1].tls is not None
    good = x509.load_pem_x509_certificate(given[1].tls.certificate.encode())
    assert (good.not_valid_after_utc - good.not_valid_before_utc).days == 90
    assert 0 <= rig.now_s - good.not_valid_before_utc.timestamp() < 86_400
    with pytest.raises(BadInput, match="say --tls"):
        benches.register("bench1", "lab", days=90)
    benches.revoke("bench1")
    assert numbers <= users.revoked and users.out == ["bench1"]
    assert number(benches.register("bench1", "lab", tls=True)) not in users.revoked


def test_a_revoked_agent_has_no_password_until_it_is_registered_again(benches: Benches, users: Users) -> None:
    before = benches.register("bench1", "lab").password
    benches.revoke("bench1")
    assert users.last == {} and users.out == ["bench1"]
    assert benches.register("bench1", "lab").password != before
    with pytest.raises(NotFound, match="no agent bench2"):
        benches.revoke("bench2")


def test_a_name_belongs_to_one(benches: Benches, rig: Rig) -> None:
    rig.device("d1")
    with pytest.raises(Conflict, match="is a device of this fleet"):
        benches.register("d1", "lab")
    with pytest.raises(BadInput):
        benches.register("a/b", "lab")


def test_the_will_counts_and_the_next_life_after_it(benches: Benches, rig: Rig) -> None:
    benches.register("bench1", "lab")
    told(rig, 5)
    assert now(benches) == ("ONLINE", ["b1"])
    told(rig, 6, board="b2")
    told(rig, 5 + WILL_AHEAD, ConnState.LOST)
    assert now(benches) == ("LOST", ["b1"])
    told(rig, 0, board="b3")
    assert now(benches) == ("ONLINE", ["b3"]), "an agent that started again counts from the beginning"


def test_an_older_will_and_a_repeated_message_change_nothing(benches: Benches, rig: Rig) -> None:
    benches.register("bench1", "lab")
    told(rig, 7)
    told(rig, 6, ConnState.LOST)
    told(rig, 7, board="other")
    assert now(benches) == ("ONLINE", ["b1"])
    assert rig.ingest.counts.duplicate == 2


def test_an_agent_nobody_registered_is_quarantined(rig: Rig) -> None:
    told(rig, 1)
    assert rig.ingest.counts.rejected == 1


def test_a_simulated_energy_is_listed_as_one() -> None:
    by_name = {board.name: to_json(board) for board in BENCH_ENERGY.boards}
    real, made_up = (list(_notes(by_name[name])) for name in ("nrf-1", "microbit-1"))
    assert real == [
        "energy 412.4 ± 7.8 µJ an inference (k = 2, 17 samples lost) by PPK2 D4F1A2, its pin",
    ]
    assert made_up[-1].startswith("simulated energy -0 ± 368934881474191")
    assert made_up[-1].endswith("meter's accuracy unknown) by simulated PPK2 SIMULATED-0001, console times")
    told = [list(_notes(to_json(board)))[-1] for board in BENCH_CALIBRATED.boards]
    assert "17 of 1254914 samples lost) by PPK2 D4F1A2 (calibrated by its maker, R 1031.64/" in told[0]
    assert " by simulated PPK2 SIMULATED-0001 (made up: calibrated by its maker, " in told[1]
