"""The bridge as the manager and the board meet it, without a thread: every road of an update."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.agent.bridge_rig import (
    APP_ROOM_BYTES,
    NOON,
    STRANGER,
    VECTORS,
    Rig,
    bare,
    digest_of,
    failed,
    payload,
    signed,
)

from tinyfleet.agent.adapters.bridge_files import BridgeFiles, read_access
from tinyfleet.agent.core.errors import AgentError, BoardBusyError, NoSuchBoardError
from tinyfleet.agent.services.bridge_ports import Look
from tinyfleet.wire.blobs import cut
from tinyfleet.wire.enums import ArtifactKind, Encoding, PowerSource, Result, Timing, UpdateState
from tinyfleet.wire.messages import ConfigChange, Trial, Want

S = UpdateState
OLD, NEW = signed(payload("1")), signed(payload("2"))
FORWARD = [S.OFFERED, S.DOWNLOADING, S.VERIFIED, S.STAGED, S.TRIAL]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """A board that runs OLD."""
    rig = Rig(tmp_path / "d1")
    rig.board.flash = bare(OLD)
    rig.begin()
    return rig


def test_the_birth_says_what_the_board_said(rig: Rig) -> None:
    birth = rig.broker.births[-1]
    assert (birth.via, birth.emulated, birth.device_type) == ("bench-1", True, "microbit")
    assert birth.model is not None
    assert (birth.model.image, birth.model.security_counter) == (digest_of(OLD), 1)
    assert (birth.firmware.version, birth.timing, birth.power) == (
        *("0.1.0", Timing.INSTRUCTIONS),
        PowerSource.MAINS,
    )
    assert birth.decodes is None and birth.shadow_bytes is None and birth.captures is None
    rooms = [(slot.kind, slot.size_bytes) for slot in birth.slots]
    assert rooms == [(ArtifactKind.MODEL, rig.board.model_bytes), (ArtifactKind.FIRMWARE, APP_ROOM_BYTES)]
    assert (birth.boot, birth.seq, birth.state) == (1, 1, S.IDLE)
    rig.restart()
    assert rig.broker.births[-1].boot == 2


def test_a_release_is_fetched_tried_and_confirmed(rig: Rig) -> None:
    rig.send(rig.broker.offer(1, NEW, trial=Trial(inferences=5)))
    assert rig.told == [*FORWARD, S.CONFIRMED]
    assert rig.board.flash == bare(NEW), "as a bench board takes it: without key and signature"
    last = rig.broker.statuses[-1]
    assert (last.result, last.generation, last.offset_bytes) == (Result.SUCCESS, 1, len(NEW))
    assert len(rig.board.asked) == 5, "the vectors, and again until the trial has its inferences"
    assert set(rig.board.asked) == {vector.input for vector in VECTORS}
    birth = rig.broker.births[-1]
    assert birth.model is not None
    assert (birth.model.image, birth.state, birth.generation) == (digest_of(NEW), S.CONFIRMED, 1)
    assert sorted(path.name for path in rig.folder.iterdir()) == ["record.json"], "nothing is left over"
    assert rig.tallied.ended == ["CONFIRMED"]


def test_progress_is_told_by_the_group(rig: Rig) -> None:
    large = signed(payload("3", filler=7000))
    rig.board.model_bytes = 1 << 20
    rig.send(rig.broker.offer(1, signed(payload("4", filler=60_000))))
    offsets = [s.offset_bytes for s in rig.broker.statuses if s.state is S.DOWNLOADING]
    assert offsets[0] == 0 and offsets == sorted(offsets) and len(offsets) > 2
    rig.send(rig.broker.offer(2, large))
    assert rig.told[-1] is S.CONFIRMED


@pytest.mark.parametrize(
    ("image", "result"),
    [
        (signed(payload("2"), key=STRANGER), Result.SIGNATURE),
        (signed(payload("2"), key=None), Result.SIGNATURE),
        (signed(payload("2"), counter=0), Result.DOWNGRADE),
        (signed(payload("2"), device_type="other"), Result.UNSUPPORTED_TYPE),
        (signed(payload("2", arena_bytes=4096)), Result.ARENA_TOO_SMALL),
        (signed(payload("2", filler=9000)), Result.NO_FLASH),
        (signed(b"no plan"), Result.INTEGRITY),
    ],
    ids=lambda each: each.name if isinstance(each, Result) else "",
)
def test_what_must_not_be_installed_never_reaches_the_board(rig: Rig, image: bytes, result: Result) -> None:
    rig.send(rig.broker.offer(1, image))
    assert rig.told == [S.OFFERED, S.DOWNLOADING, S.FAILED]
    assert rig.broker.statuses[-1].result is result
    assert rig.broker.statuses[-1].detail
    assert (rig.board.programmed, rig.board.flash) == (0, bare(OLD))
    assert rig.broker.births[-1].result is result


def test_a_changed_signature_is_none(rig: Rig) -> None:
    damaged = bytearray(NEW)
    damaged[-3] ^= 1
    rig.send(rig.broker.offer(1, bytes(damaged)))
    assert rig.broker.statuses[-1].result is Result.SIGNATURE


def test_an_op_that_the_board_lacks(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from tinyfleet.agent.core import bridge_check
    from tinyfleet.wire.artifact import OpCode

    class Op:
        code = OpCode.SOFTMAX

    decoded = bridge_check.decode_artifact

    def with_op(content: bytes) -> object:
        plan = decoded(content)
        return replace(plan, ops=(Op(),))  # type: ignore[arg-type]

    monkeypatch.setattr(bridge_check, "decode_artifact", with_op)
    rig.send(rig.broker.offer(1, NEW))
    assert rig.broker.statuses[-1].result is Result.OP_MISSING
    assert "SOFTMAX" in (rig.broker.statuses[-1].detail or "")


def test_a_counter_is_raised_by_confirming_alone(rig: Rig) -> None:
    fixed = signed(payload("2"), counter=5)
    rig.board.answers_wrong.add(digest_of(fixed))
    rig.send(rig.broker.offer(1, fixed))
    assert rig.told[-1] is S.REVERTED
    rig.send(rig.broker.offer(2, signed(payload("3"), counter=1)))
    assert rig.told[-1] is S.CONFIRMED, "a trial that failed leaves the way back open"
    rig.board.answers_wrong.clear()
    rig.send(rig.broker.offer(3, fixed))
    rig.send(rig.broker.offer(4, signed(payload("3"), counter=4)))
    assert rig.broker.statuses[-1].result is Result.DOWNGRADE
    rig.restart()
    rig.send(rig.broker.offer(5, signed(payload("4"), counter=4)))
    assert rig.broker.statuses[-1].result is Result.DOWNGRADE, "restarts change nothing"


def test_a_board_that_had_a_model_before_is_not_taken_below_it(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.board.flash = bare(signed(payload("1"), counter=9))
    rig.begin()
    rig.send(rig.broker.offer(1, signed(payload("2"), counter=8)))
    assert rig.broker.statuses[-1].result is Result.DOWNGRADE


@pytest.mark.parametrize("result", [Result.ARENA_TOO_SMALL, Result.OP_MISSING, Result.GOLDEN_FAILED])
def test_what_the_board_refuses_is_taken_back(rig: Rig, result: Result) -> None:
    rig.board.refuses[digest_of(NEW)] = result
    rig.send(rig.broker.offer(1, NEW))
    assert rig.told == [*FORWARD, S.REVERTED]
    assert rig.broker.statuses[-1].result is result
    assert rig.board.flash == bare(OLD)
    birth = rig.broker.births[-1]
    assert birth.model is not None and birth.model.image == digest_of(OLD)
    assert any("REVERTED" in note for note in rig.broker.notes)


def test_a_golden_vector_that_is_answered_otherwise_reverts(rig: Rig) -> None:
    rig.board.answers_wrong.add(digest_of(NEW))
    rig.send(rig.broker.offer(1, NEW))
    assert (rig.broker.statuses[-1].state, rig.broker.statuses[-1].result) == (
        *(S.REVERTED,),
        Result.GOLDEN_FAILED,
    )
    assert rig.board.flash == bare(OLD)


def test_a_trial_that_is_too_slow_reverts(rig: Rig) -> None:
    rig.send(rig.broker.offer(1, NEW, trial=Trial(inferences=1, latency_us=999)))
    assert rig.broker.statuses[-1].result is Result.LATENCY_LIMIT
    rig.send(rig.broker.offer(2, NEW, trial=Trial(inferences=1, latency_us=1000)))
    assert rig.told[-1] is S.CONFIRMED


def test_a_board_without_a_model_goes_back_to_none(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.begin()
    assert rig.broker.births[-1].model is None
    rig.board.answers_wrong.add(digest_of(NEW))
    rig.send(rig.broker.offer(1, NEW))
    assert rig.told[-1] is S.REVERTED
    assert rig.board.digest is None
    assert rig.broker.births[-1].model is None


def test_what_runs_already_is_confirmed_at_once(rig: Rig) -> None:
    rig.send(rig.broker.offer(1, OLD))
    assert rig.told == [S.CONFIRMED]
    assert rig.board.programmed == 0


def test_what_an_agent_cannot_bring_is_refused_whole(rig: Rig) -> None:
    want = rig.broker.offer(1, NEW)
    rig.send(replace(want, shadow=want.model))
    assert (rig.told, rig.broker.statuses[-1].result) == ([S.FAILED], Result.UNSUPPORTED_TYPE)
    assert rig.board.programmed == 0


def test_an_encoding_that_was_not_claimed_is_refused(rig: Rig) -> None:
    blob = cut(NEW, encoding=Encoding.COMPRESSED, image_bytes=len(NEW))
    rig.broker.blobs[blob.digest] = blob
    rig.send(Want(generation=1, model=blob.wanted(image=digest_of(NEW), version="1")))
    assert rig.broker.statuses[-1].result is Result.UNSUPPORTED_PROTOCOL


def test_another_image_than_the_wanted_one_is_refused(rig: Rig) -> None:
    want = rig.broker.offer(1, NEW)
    assert want.model is not None
    rig.send(replace(want, model=replace(want.model, image=bytes(32))))
    assert rig.broker.statuses[-1].result is Result.INTEGRITY


def test_damaged_chunks_are_told_and_asked_for_again(rig: Rig) -> None:
    rig.broker.damage = lambda group, data: data if group == 0 else data[:-1] + b"?"
    rig.send(rig.broker.offer(1, NEW))
    last = rig.broker.statuses[-1]
    assert (last.state, last.result) == (S.DOWNLOADING, Result.INTEGRITY), "the manager publishes them again"
    rig.broker.damage = lambda group, data: data
    rig.later(2)
    assert rig.told[-1] is S.CONFIRMED


def test_chunks_that_stay_damaged_fail_it(rig: Rig) -> None:
    rig.broker.damage = lambda group, data: data if group == 0 else data[:-1] + b"?"
    rig.send(rig.broker.offer(1, NEW))
    rig.later(30)
    last = rig.broker.statuses[-1]
    assert (last.state, last.result) == (S.FAILED, Result.INTEGRITY)
    assert len([s for s in rig.broker.statuses if s.result is Result.INTEGRITY]) == 6


def test_a_broker_that_has_nothing_pauses_it_until_the_want_comes_again(rig: Rig) -> None:
    rig.broker.silent = True
    rig.send(rig.broker.offer(1, NEW))
    rig.later(25)
    assert (rig.told[-1], rig.broker.statuses[-1].result) == (S.PAUSED, Result.CONNECTION_LOST)
    rig.broker.silent = False
    rig.send(rig.broker.want)
    assert rig.told[-1] is S.CONFIRMED


def test_a_broken_connection_pauses_it(rig: Rig) -> None:
    rig.broker.silent = True
    rig.send(rig.broker.offer(1, NEW))
    rig.disconnect()
    assert rig.record.state is S.DOWNLOADING
    rig.broker.silent = False
    rig.later(5)
    assert rig.told[-1] is S.DOWNLOADING, "nothing is fetched, nothing is told"
    rig.connect()
    assert rig.told[-1] is S.CONFIRMED


def test_before_its_time_it_waits_and_after_its_deadline_it_fails(rig: Rig) -> None:
    rig.send(rig.broker.offer(1, NEW, not_before=NOON + 130))
    assert (rig.told[-1], rig.broker.statuses[-1].detail) == (S.DEFERRED, "before its time")
    rig.later(40)
    assert rig.told[-1] is S.CONFIRMED
    rig.send(rig.broker.offer(2, OLD, deadline=NOON + 100))
    assert (rig.told[-1], rig.broker.statuses[-1].result) == (S.FAILED, Result.EXPIRED)


def test_a_want_that_is_withdrawn_ends_it(rig: Rig) -> None:
    rig.send(rig.broker.offer(1, NEW, not_before=NOON + 1000))
    rig.send(None)
    assert rig.told[-1] is S.IDLE
    rig.later(2000)
    assert rig.board.programmed == 0


def test_a_reserved_board_is_waited_for_and_the_manager_knows(rig: Rig) -> None:
    rig.busy = BoardBusyError("one: reserved by ann until 12:00", "wait")
    rig.send(rig.broker.offer(1, NEW))
    assert rig.told == [S.OFFERED, S.DOWNLOADING, S.VERIFIED, S.STAGED, S.DEFERRED]
    assert rig.broker.statuses[-1].detail == "one: reserved by ann until 12:00"
    told = len(rig.broker.statuses)
    rig.later(60)
    assert len(rig.broker.statuses) == told, "it is told once"
    rig.busy = None
    rig.later(10)
    assert rig.told[-2:] == [S.TRIAL, S.CONFIRMED]


def test_a_wire_that_comes_off_in_a_trial_is_tried_again(rig: Rig) -> None:
    rig.send(rig.broker.offer(1, NEW, not_before=NOON + 105))
    rig.board.fails = [failed("connect")]
    rig.later(6)
    assert rig.told[-1] is S.DEFERRED, "nothing was begun"
    rig.later(6)
    assert rig.told[-1] is S.CONFIRMED


def test_a_trial_that_fails_on_the_way_thrice_goes_back(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    program = rig.board.program

    def flaky(image: bytes | None, over_bytes: int = 0) -> None:
        if image == bare(NEW):
            rig.board.flash = b"half"
            raise failed()
        program(image, over_bytes)

    monkeypatch.setattr(rig.board, "program", flaky)
    rig.send(rig.broker.offer(1, NEW))
    assert rig.told[-1] is S.TRIAL
    assert "wire came off" in (rig.broker.statuses[-1].detail or "")
    rig.later(30)
    assert (rig.told[-1], rig.broker.statuses[-1].result) == (S.REVERTED, Result.UPDATE_FAILED)
    assert rig.board.flash == bare(OLD)


def test_a_board_that_cannot_go_back_is_put_right_when_it_can(rig: Rig) -> None:
    rig.board.answers_wrong.add(digest_of(NEW))
    program, broken = rig.board.program, [True]

    def only_forward(image: bytes | None, over_bytes: int = 0) -> None:
        if image != bare(NEW) and broken:
            raise failed()
        program(image, over_bytes)

    rig.board.program = only_forward  # type: ignore[method-assign]
    rig.send(rig.broker.offer(1, NEW))
    rig.later(60)
    last = rig.broker.statuses[-1]
    assert (last.state, last.result) == (S.FAILED, Result.GOLDEN_FAILED)
    assert "could not go back" in (last.detail or "")
    birth = rig.broker.births[-1]
    assert birth.model is not None and birth.model.image == digest_of(NEW), "what it says is what there is"
    rig.restart()
    broken.clear()
    rig.later(70)
    assert rig.board.flash == bare(OLD)
    assert any("has again what it had" in note for note in rig.broker.notes)
    assert not rig.record.owed
    assert sorted(path.name for path in rig.folder.iterdir()) == ["record.json"]


def test_a_newer_want_in_a_trial_is_acted_on_after_it(rig: Rig) -> None:
    rig.send(rig.broker.offer(1, NEW, not_before=NOON + 103))
    rig.busy = None
    rig.board.fails = []
    rig.board.gone = None
    third = signed(payload("3"))
    original = rig.board.test

    def interrupted(questions: object) -> object:
        rig.board.test = original  # type: ignore[method-assign]
        raise failed("infer")

    rig.board.test = interrupted  # type: ignore[method-assign, assignment]
    rig.later(6)
    assert rig.told[-1] is S.TRIAL
    rig.send(rig.broker.offer(2, third))
    assert rig.told[-1] is S.TRIAL
    rig.later(10)
    assert rig.told[-7:] == [S.CONFIRMED, *FORWARD, S.CONFIRMED]
    assert rig.board.flash == bare(third)


def test_a_board_that_goes_is_lost_and_comes_back_with_a_birth(rig: Rig) -> None:
    births = len(rig.broker.births)
    rig.board.gone = NoSuchBoardError("no probe", "plug it in")
    rig.later(70)
    assert not rig.broker.up, "its connection ends, with LOST"
    rig.board.gone = None
    rig.later(70)
    rig.connect()
    assert len(rig.broker.births) > births


def test_a_board_that_is_another_is_not_spoken_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    rig = Rig(tmp_path)
    hello = rig.board.hello
    rig.board.hello = lambda **_: replace(hello(), device_type="mps2-an386")  # type: ignore[method-assign]
    rig.bridge.begin()
    assert rig.broker.births == []
    assert rig.bridge is not None


def test_somebody_flashes_the_board_and_the_manager_hears_of_it(rig: Rig) -> None:
    rig.board.flash = bare(signed(payload("by hand"), counter=0, key=None))
    rig.bridge.take(Look())
    rig.settle()
    birth = rig.broker.births[-1]
    assert birth.model is not None
    assert birth.model.image == rig.board.digest
    assert birth.model.security_counter == 0


def test_a_device_without_counts_is_heard_all_the_same(rig: Rig) -> None:
    before = len(rig.broker.births)
    rig.later(100)
    heard = len(rig.broker.births) - before
    assert 5 <= heard <= 8, "every keep-alive"
    assert len({birth.seq for birth in rig.broker.births}) == len(rig.broker.births)


def test_a_configuration_change_is_refused_in_the_birth(rig: Rig) -> None:
    rig.send(Want(generation=0, config=ConfigChange(sequence=2, port=99)))
    config = rig.broker.births[-1].config
    assert config is not None
    assert (config.refused, config.result) == (2, Result.UNSUPPORTED_TYPE)


def test_three_kills_in_a_row_in_one_trial_go_back(rig: Rig) -> None:
    class InTest(BaseException):
        pass

    def dies(questions: object) -> object:
        raise InTest

    whole = rig.board.test
    rig.board.test = dies  # type: ignore[method-assign, assignment]
    with pytest.raises(InTest):
        rig.send(rig.broker.offer(1, NEW))
    for _ in range(2):
        with pytest.raises(InTest):
            rig.restart()
    rig.board.test = whole  # type: ignore[method-assign]
    rig.restart()
    assert rig.record.state is S.REVERTED
    assert rig.record.result is Result.UPDATE_FAILED
    assert rig.board.flash == bare(OLD)


def test_an_artifact_that_was_changed_on_disk_does_not_reach_the_board(rig: Rig) -> None:
    rig.busy = BoardBusyError("one: reserved", "wait")
    rig.send(rig.broker.offer(1, NEW))
    assert rig.told[-1] is S.DEFERRED
    BridgeFiles(rig.folder).keep_artifact(signed(payload("evil"), key=STRANGER))
    rig.busy = None
    rig.later(10)
    assert (rig.told[-1], rig.broker.statuses[-1].result) == (S.REVERTED, Result.SIGNATURE)
    assert rig.board.flash == bare(OLD)
    assert rig.board.programmed == 0


def test_a_record_that_cannot_be_read_is_not_written_over(rig: Rig) -> None:
    path = rig.folder / "record.json"
    kept = path.read_text()
    path.write_text("{}")
    again = rig.made()
    with pytest.raises(AgentError, match="--fresh"):
        again.begin()
    births = len(rig.broker.births)
    rig.bridge = again
    for _ in range(3):
        rig.clock.now_s += 70
        with pytest.raises(AgentError):
            again.tick()
    assert (path.read_text(), len(rig.broker.births)) == ("{}", births)
    path.write_text(kept)
    rig.clock.now_s += 70
    again.tick()
    rig.connect()
    assert rig.broker.births[-1].boot == 2


def test_files_are_their_owners_alone(tmp_path: Path) -> None:
    files = BridgeFiles(tmp_path / "b" / "d1")
    files.keep_artifact(b"x")
    assert stat.S_IMODE((tmp_path / "b" / "d1").stat().st_mode) == 0o700


CREDENTIALS = (
    '{"device": "d1", "agent": "a", "device_type": "microbit", "host": "127.0.0.1", "port": 1, "prefix": '
    '"tf/1", "user": "d1", "password": "secret", "keepalive_s": 15, "period_s": 1, "trust": ["' + "00" * 32
)


def test_credentials(tmp_path: Path) -> None:
    path = tmp_path / "d1.json"
    with pytest.raises(AgentError, match="tinyfleet device bridge d1"):
        read_access(path)
    path.write_text(CREDENTIALS + '"]}')
    path.chmod(0o644)
    with pytest.raises(AgentError, match="chmod 600"):
        read_access(path)
    path.chmod(0o600)
    access = read_access(path)
    assert access.terms.trust == (bytes(32),)
    assert "secret" not in repr(access)
    path.write_text(CREDENTIALS)
    with pytest.raises(AgentError) as told:
        read_access(path)
    assert "secret" not in str(told.value)
