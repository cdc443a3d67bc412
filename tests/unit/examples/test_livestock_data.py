"""The committed data of the livestock example is what its scripts and its README say it is."""

import ast
import hashlib
from pathlib import Path

import numpy as np
import pytest
from examples.livestock import generate, golden, truth

HERE = golden.HERE
MAX_TOTAL_BYTES = 400_000


def test_artefacts_match_the_manifest() -> None:
    listed = dict(line.split("  ")[::-1] for line in (HERE / "MANIFEST").read_text().splitlines())
    assert set(listed) == set(truth.MANIFEST_FILES)
    actual = {name: hashlib.sha256((HERE / name).read_bytes()).hexdigest() for name in listed}
    assert actual == listed


def test_artefacts_stay_small() -> None:
    assert sum((HERE / name).stat().st_size for name in truth.MANIFEST_FILES) <= MAX_TOTAL_BYTES


def test_generator_reproduces_the_golden_windows_from_the_seed() -> None:
    held = golden.load()
    made = generate.dataset(truth.GOLDEN_SEED, animals=16, windows=8)
    np.testing.assert_array_equal(made.windows, held.windows)
    np.testing.assert_array_equal(made.labels, held.labels)


def test_generator_reproduces_the_replay_windows_from_the_seed() -> None:
    held = golden.load_replay()
    made = generate.dataset(truth.REPLAY_SEED, animals=4, windows=4)
    np.testing.assert_array_equal(made.windows, held.windows)
    np.testing.assert_array_equal(made.labels, held.labels)


def test_golden_set_has_the_promised_shape() -> None:
    held = golden.load()
    count = len(held.labels)
    assert count >= 500
    assert held.windows.shape == (count, generate.SAMPLES, generate.CHANNELS)
    assert held.windows.dtype == np.int16
    assert held.labels.dtype == np.uint8
    assert np.bincount(held.labels).tolist() == [count // 4] * 4
    for outputs in held.outputs.values():
        assert outputs.shape == (count, len(generate.LABELS))
        assert outputs.dtype == np.int8


def test_no_window_of_one_set_is_in_another() -> None:
    """Training never saw the golden or the replay animals: the seeds in train.py (read, not run: it needs
    TensorFlow) are others, and other seeds give other windows."""
    assignments = {
        node.targets[0].id: node.value.value
        for node in ast.walk(ast.parse((HERE / "train.py").read_text()))
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    seeds = [
        assignments["TRAIN_SEED"],
        assignments["TUNE_SEED"],
        truth.GOLDEN_SEED,
        truth.REPLAY_SEED,
    ]
    assert len(set(seeds)) == 4
    windows = np.concatenate([generate.dataset(int(str(seed)), 2, 4).windows for seed in seeds])
    assert len({window.tobytes() for window in windows}) == len(windows)


def test_windows_look_like_the_sensor() -> None:
    """Clipped to +-4 g in steps of 2 mg; about 1 g at rest; running moves far more than resting."""
    held = golden.load()
    assert held.windows.min() >= -generate.RANGE_MG
    assert held.windows.max() < generate.RANGE_MG
    assert not np.any(held.windows % generate.RESOLUTION_MG)
    felt = held.windows.astype(np.float64)
    resting = felt[held.labels == generate.RESTING]
    magnitude = float(np.median(np.linalg.norm(resting, axis=2)))
    assert 960 < magnitude < 1040
    running = felt[held.labels == generate.RUNNING]
    assert running.std(axis=1).mean() > 5 * resting.std(axis=1).mean()


def test_a_larger_herd_begins_with_the_smaller_ones_animals() -> None:
    small = generate.dataset(5, animals=1, windows=2)
    large = generate.dataset(5, animals=2, windows=2)
    np.testing.assert_array_equal(large.windows[: len(small.windows)], small.windows)
    assert set(large.animals.tolist()) == {0, 1}


@pytest.mark.parametrize(("seed", "animals", "windows"), [(-1, 1, 1), (1, 0, 1), (1, 256, 1), (1, 1, 0)])
def test_dataset_refuses_what_it_cannot_make(seed: int, animals: int, windows: int) -> None:
    with pytest.raises(ValueError, match=r"dataset: want seed >= 0"):
        generate.dataset(seed, animals, windows)


def test_readme_holds_the_report_of_the_committed_truth() -> None:
    readme = (HERE / "README.md").read_text()
    held = readme.split("<!-- report -->\n")[1].split("\n<!-- end of report -->")[0]
    assert held == golden.report(golden.load())


def test_v1_leaves_room_and_v2_fills_it() -> None:
    """The figures the example promises; a retraining that misses them is not the example any more."""
    held = golden.load()
    v1, v2 = (golden.accuracy(held.outputs[version], held.labels) for version in golden.VERSIONS)
    assert 0.85 <= v1 <= 0.92
    assert 0.95 <= v2 <= 0.985


def test_confusion_counts_every_window_once() -> None:
    held = golden.load()
    table = golden.confusion(held.outputs["v2"], held.labels)
    assert table.sum() == len(held.labels)
    np.testing.assert_array_equal(table.sum(axis=1), np.bincount(held.labels))


def test_equal_scores_go_to_the_first_class() -> None:
    assert golden.classes(np.array([[-128, 10, 10, -20]], dtype=np.int8)).tolist() == [1]


def test_labels_are_the_same_everywhere() -> None:
    assert tuple((HERE / "labels.txt").read_text().split()) == generate.LABELS


def test_nothing_committed_names_a_folder_of_the_machine_that_made_it() -> None:
    """The converter writes names into the .tflite; none may be a path."""
    for path in sorted(Path(HERE).iterdir()):
        if path.is_file():
            held = path.read_bytes()
            assert b"/home/" not in held, path.name
            assert b"/tmp/" not in held, path.name
