"""A board's way to a device: cut off at every moment, failed at every place, and no key left behind."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tests.images import new_key
from tests.unit.agent.provisioning_rig import IMAGE, SPEC, Bench, CutOff, NodeBoard, firmware_for
from tests.unit.fleet.fleet_rig import Rig

from tinyfleet.agent.adapters.provisioning_files import ProvisioningFiles
from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.errors import AgentError, BoardBusyError, NoSuchBoardError, StepFailed
from tinyfleet.agent.core.provisioning import LOCKS, ORDER, Step, Way
from tinyfleet.agent.services.provisioning_job import fingerprint
from tinyfleet.fleet.core.enrolment import TokenState
from tinyfleet.wire.memory_map import MPS2_AN386, NRF52840


@pytest.fixture
def bench(rig: Rig, tmp_path: Path) -> Bench:
    return Bench(rig, tmp_path)


@pytest.fixture
def rig(tmp_path: Path):  # type: ignore[no-untyped-def]
    made = Rig(tmp_path)
    yield made
    made.store.close()


def test_a_blank_board_goes_through_every_step(bench: Bench) -> None:
    word = bench.door.word()
    done = bench.run(word, name="d1")
    assert (done.device, done.way, done.serial, done.emulated) == ("d1", Way.NEW, SPEC.probe, True)
    assert [step for step, _ in bench.said] == [s for s in ORDER if s not in (Step.LOCK, Step.DONE)]
    about = dict(bench.said)
    assert about[Step.BOOTLOADER] == "skipped: it lies in the emulator's ROM, not in flash"
    config = bench.proven()
    assert bench.board.content(MPS2_AN386["firmware_a"].offset, len(IMAGE)) == IMAGE
    # Read back was all but key and seed, and nothing that was kept or told names them.
    assert config.tls is not None
    for secret in (config.tls.key, config.seed):
        assert not any(secret in seen for seen in bench.board.seen)
        assert not any(secret in buffer for buffer in bench.board.given), "a buffer was not overwritten"
        for path in bench.folder.rglob("*"):
            assert not path.is_file() or secret not in path.read_bytes()
        assert secret.hex() not in str(bench.said) + str(done) + json.dumps(done.to_json())
    kept = (bench.folder / "provisioning/b1.json").read_text()
    assert word not in kept and fingerprint(word) in kept
    (made,) = bench.identities
    assert not any(made.key) and not any(made.seed)


def fresh(folder: Path, way: Way) -> tuple[Bench, str]:
    """A bench with a blank board, or one that is device d1 already, and the token for it."""
    folder.mkdir()
    bench = Bench(Rig(folder), folder)
    if way is Way.NEW:
        return bench, bench.door.word()
    bench.run(bench.door.word(), name="d1")
    bench.board.boots = 0
    return bench, bench.door.word(device="d1", replaces=True)


def moments(folder: Path, way: Way) -> list[int]:
    """All of a run; erasing is the same thing many times over, of which the ends are enough."""
    bench, word = fresh(folder, way)
    bench.world.steps.clear()
    bench.run(word, name="d1")
    bench.rig.store.close()
    steps = bench.world.steps
    erasing = [at for at, step in enumerate(steps) if step is Step.ERASE]
    return [at for at in range(len(steps)) if at not in erasing[2:-2]]


@pytest.mark.parametrize("way", [Way.NEW, Way.REPLACEMENT], ids=lambda way: way.value)
def test_cut_off_at_any_moment_the_next_run_ends_right(tmp_path: Path, way: Way) -> None:
    """Every read, write, question and answer is the last one once."""
    every = moments(tmp_path / "whole", way)
    assert len(every) > 20
    for at in every:
        bench, word = fresh(tmp_path / str(at), way)
        before = None if way is Way.NEW else bench.board.config()
        bench.world.left = at
        with pytest.raises(CutOff):
            bench.run(word, name="d1")
        bench.world.left = None
        for made in bench.identities:
            assert not any(made.key) and not any(made.seed)
        registered = before is not None or bench.door.state(word) is TokenState.USED
        assert bench.door.names() == (["d1"] if registered else [])
        done = bench.run(word, name="d1")
        assert done.device == "d1" and bench.door.names() == ["d1"]
        assert bench.door.state(word) is TokenState.USED
        config = bench.proven()
        assert before is None or (config.tls != before.tls and config.seed != before.seed)
        bench.rig.store.close()


@pytest.mark.parametrize(
    ("region", "step", "asked"),
    [
        ("events", Step.ERASE, 0),
        ("firmware_a", Step.FIRMWARE, 0),
        ("config_a", Step.READ_BACK, 1),
        ("trust", Step.RECORDS, 1),
    ],
)
def test_a_board_whose_flash_fails_is_named_and_not_registered(
    bench: Bench, region: str, step: Step, asked: int
) -> None:
    bench.board.worn = MPS2_AN386[region].offset
    bench.board.sectors[bench.board.worn] = bytes(4096)
    if region == "trust":
        del bench.board.sectors[bench.board.worn]
    if region == "config_a":
        # Erasing finds it already; what fails only when it is written is found after it.
        bench.board.worn = None
    word = bench.door.word()
    if region == "config_a":
        spoil = bench.board.program

        def spoiled(sectors, progress):  # type: ignore[no-untyped-def]
            spoil(sectors, progress)
            at = MPS2_AN386["config_a"].offset
            held = bench.board.sectors.get(at, b"")
            if held[:4] == b"TFR1":
                bench.board.sectors[at] = held[:20] + b"\0" + held[21:]

        bench.board.program = spoiled  # type: ignore[method-assign]
    with pytest.raises(StepFailed) as caught:
        bench.run(word, name="d1")
    error = caught.value
    assert (error.board, error.step) == ("b1", step.value)
    assert region in error.cause and "worn or protected" in error.hint
    assert bench.enrolled == asked and bench.door.names() == [] and bench.board.boots == 0
    kept = json.loads((bench.folder / "provisioning/b1.json").read_text())
    assert kept["step"] == step.value and region in kept["failed"]


def test_what_failed_first_is_told_though_the_probe_cannot_be_closed_either(bench: Bench) -> None:
    def gone(*_: object) -> None:
        raise StepFailed("probe-1", "program", "the probe went away", "plug it in")

    bench.board.program = bench.board.close = gone  # type: ignore[method-assign]
    bench.board.sectors[MPS2_AN386["events"].offset] = bytes(4096)
    with pytest.raises(StepFailed) as caught:
        bench.run(bench.door.word(), name="d1")
    assert (caught.value.board, caught.value.step) == ("b1", Step.ERASE.value)


def test_a_board_that_is_never_heard_stays_unregistered_and_is_taken_again(bench: Bench) -> None:
    word = bench.door.word()
    bench.board.mute = True
    with pytest.raises(StepFailed, match=r"b1: BIRTH: it was not heard within 90 s: PENDING at the manager"):
        bench.run(word, name="d1")
    assert bench.door.names() == []
    # The wire was loose: the same token, and another key.
    bench.board.mute = False
    before = bench.board.config()
    assert bench.run(word, name="d1").way is Way.RESUMED
    assert bench.proven().seed != before.seed


@pytest.mark.parametrize("step", [Step.START, Step.BIRTH, Step.LABEL])
def test_what_was_cut_off_is_not_ended_on_another_board(bench: Bench, step: Step) -> None:
    """Somebody took it out, and put the next blank one in."""
    word = bench.door.word()
    bench.run(word, name="d1")
    kept = bench.folder / "provisioning/b1.json"
    kept.write_text(kept.read_text().replace('"DONE"', f'"{step.value}"'))
    first, other = bench.board, NodeBoard(bench.world, bench.door, bench.memory)
    bench.board = other
    with pytest.raises(StepFailed, match=r"b1: PROBE: this is a board without a name .* not d1 "):
        bench.run(word, name="d1")
    assert not other.sectors and not other.given and other.boots == 0, "it is still blank"
    bench.board = first
    assert bench.run(word, name="d1").way is Way.RESUMED


def test_a_label_needs_no_board(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    word = bench.door.word()
    bench.run(word, name="d1")
    kept = bench.folder / "provisioning/b1.json"
    kept.write_text(kept.read_text().replace('"DONE"', '"LABEL"'))

    def gone(unique_id: str) -> None:
        raise NoSuchBoardError(f"no probe {unique_id} is connected", "plug it in")

    monkeypatch.setattr(bench, "open", gone)
    assert bench.run(word, name="d1").device == "d1"


def test_a_board_is_not_locked_in_the_place_of_another(rig: Rig, tmp_path: Path) -> None:
    spec = BoardSpec(name="b1", device_type="nrf52840", probe="1234", console="/dev/null")
    bench = Bench(rig, tmp_path, spec=spec, memory=NRF52840, emulated=False)
    word = bench.door.word(device_type="nrf52840")
    bench.run(word, name="d1")
    kept = bench.folder / "provisioning/b1.json"
    kept.write_text(kept.read_text().replace('"DONE"', '"LOCK"'))
    bench.board = NodeBoard(bench.world, bench.door, bench.memory)
    with pytest.raises(StepFailed, match=r"b1: LOCK: this is a board without a name"):
        bench.run(word, name="d1", lock=True)
    assert bench.board.words == []


def test_a_manager_that_is_away_for_a_moment_costs_nothing(bench: Bench) -> None:
    asked = 0
    state = bench.state

    def sometimes(word: str) -> str:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise AgentError("the manager does not answer", "is it running?")
        return state(word)

    bench.state = sometimes  # type: ignore[method-assign]
    assert bench.run(bench.door.word(), name="d1").device == "d1"
    assert asked == 2


def test_tokens_are_taken_one_a_board_and_not_twice(bench: Bench) -> None:
    words = [bench.door.word(), bench.door.word(device_type="posix"), bench.door.word()]
    first = bench.run(*words).device
    with pytest.raises(StepFailed, match=f"TOKEN: it is {first} of this fleet already"):
        bench.run(*words)
    bench.board.sectors.clear()
    second = bench.run(*words).device
    assert {first, second} == set(bench.door.names())
    bench.board.sectors.clear()
    with pytest.raises(StepFailed, match="TOKEN: no token is left"):
        bench.run(*words)
    assert bench.door.state(words[1]) is TokenState.OPEN


def test_a_token_that_another_program_took_is_left_to_it(bench: Bench) -> None:
    words = [bench.door.word(), bench.door.word()]
    folder = bench.folder / "provisioning"
    folder.mkdir()
    # A lock holds between processes.
    script = (
        "import sys; from pathlib import Path\n"
        "from tinyfleet.agent.adapters.provisioning_files import ProvisioningFiles\n"
        "files = ProvisioningFiles(Path(sys.argv[1])); print(files.claim(sys.argv[2]), flush=True)\n"
        "sys.stdin.read()"
    )
    command = [sys.executable, "-c", script, str(folder), fingerprint(words[0])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None and other.stdout.readline() == "True\n"
        bench.run(*words, name="d1")
        other.kill()
    assert [bench.door.state(word) for word in words] == [TokenState.OPEN, TokenState.USED]
    bench.board.sectors.clear()
    assert bench.run(*words, name="d2").device == "d2", "its end gave it back"


def test_a_board_of_another_fleet_is_taken_only_when_told(bench: Bench) -> None:
    foreign = b"TFR1" + bytes(60)
    at = MPS2_AN386["trust"].offset
    bench.board.sectors[at] = foreign.ljust(4096, b"\xff")
    with pytest.raises(StepFailed, match="another fleet's key"):
        bench.run(bench.door.word(), name="d1")
    assert bench.board.sectors[at].startswith(foreign)
    assert bench.run(bench.door.word(), name="d1", erase=True).way is Way.NEW


def test_a_firmware_that_would_not_start_is_refused_before_a_write(bench: Bench) -> None:
    for image in (IMAGE[:-40], b"", b"\0" * 100, IMAGE[:100] + b"x" + IMAGE[101:]):
        with pytest.raises(StepFailed, match="b1: TOKEN"):
            bench.run(bench.door.word(), name="d1", firmware=image)
    stranger = firmware_for(SPEC.device_type, new_key())
    forged = IMAGE[:-1] + bytes([IMAGE[-1] ^ 1])
    for image in (stranger, forged, firmware_for(SPEC.device_type, None)):
        with pytest.raises(StepFailed, match="not signed by a key that this fleet trusts"):
            bench.run(bench.door.word(), name="d1", firmware=image)
    with pytest.raises(StepFailed, match="not for mps2-an386"):
        bench.run(bench.door.word(), name="d1", firmware=firmware_for("nrf52840"))
    with pytest.raises(StepFailed, match="brings no firmware"):
        bench.run(bench.door.word(), name="d1", firmware=None)
    assert bench.board.sectors == {}


def test_two_programs_do_not_provision_one_board(bench: Bench) -> None:
    with (
        ProvisioningFiles(bench.folder / "provisioning").hold("b1"),
        pytest.raises(BoardBusyError, match="b1 is being provisioned by another program"),
    ):
        bench.run(bench.door.word(), name="d1")
    with pytest.raises(AgentError, match="no read-back protection"):
        bench.run(bench.door.word(), name="d1", lock=True)
    assert bench.world.steps == []


def test_a_chip_gets_its_bootloader_tells_its_number_and_is_locked_last(rig: Rig, tmp_path: Path) -> None:
    spec = BoardSpec(name="b1", device_type="nrf52840", probe="0123", console="/dev/ttyACM0")
    bench = Bench(rig, tmp_path, spec, NRF52840, emulated=False)
    word = bench.door.word()
    done = bench.run(word, name="d1", bootloader=b"boot" * 300, lock=True)
    assert done.serial == bytes(range(8)).hex() and done.label.files
    assert bench.board.content(NRF52840["boot"].offset, 1200) == b"boot" * 300
    assert dict(bench.said)[Step.BOOTLOADER] == "into flash"
    steps = [step for step, _ in bench.said]
    assert steps == [step for step in ORDER if step is not Step.DONE]
    assert bench.board.words == list(LOCKS["nrf52840"])
    label = done.label.files[0].read_text()
    assert "emulated" not in label and done.serial in label and not done.emulated
    # Cut off as it was to be locked: only that is left to do.
    kept = bench.folder / "provisioning/b1.json"
    kept.write_text(kept.read_text().replace('"DONE"', '"LOCK"'))
    bench.said.clear()
    assert bench.run(word, name="d1", lock=True).device == "d1"
    assert [step for step, _ in bench.said] == [Step.LABEL, Step.LOCK]
