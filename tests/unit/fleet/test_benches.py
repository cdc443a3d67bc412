"""What agents tell of their boards: the newest counts, and a will only if its connection was the last one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.fleet.fleet_rig import Rig

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.fleet.cli.agent import _notes
from tinyfleet.fleet.core.errors import BadInput, Conflict
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.benches import Benches
from tinyfleet.wire.codec import to_json
from tinyfleet.wire.enums import BoardState, ConnState
from tinyfleet.wire.messages import Bench, Board
from tinyfleet.wire.topics import TopicKind
from tinyfleet.wire.vectors.message_vectors import BENCH_ENERGY

WILL_AHEAD = 1 << 30


class Users:
    """The broker's user list."""

    def __init__(self) -> None:
        self.last: dict[str, str] = {}

    def apply(self, passwords: dict[str, str], revocations: bytes) -> None:
        self.last = passwords

    def take_over(self, name: str) -> None:
        raise AssertionError("nobody is revoked here")


@pytest.fixture
def users() -> Users:
    return Users()


@pytest.fixture
def benches(rig: Rig, users: Users, tmp_path: Path) -> Benches:
    authority = Authority(tmp_path / "authority.pem", bytes(32))
    access = Access(rig.store, users, bytes(32), authority)
    return Benches(rig.store, rig.clock, access, host="127.0.0.1", port=1883, prefix="tf/1")


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
        "energy 412.35 ± 7.8 µJ an inference (k = 2, 17 samples lost) by PPK2 D4F1A2, its pin",
    ]
    assert made_up[-1].startswith("simulated energy -0.005 ± ")
    assert made_up[-1].endswith("meter's accuracy unknown) by simulated PPK2 SIMULATED-0001, console times")
