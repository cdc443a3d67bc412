"""Counters that several programs share: nothing is lost between them, and counting breaks nothing."""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.agent.adapters.tally_file import TallyFile
from tinyfleet.agent.core import tally as tallies
from tinyfleet.agent.core.tally import FLASH_SECONDS, FLASHES, METRICS, SERIES_MAX, Tally

OK = {"board": "one", "outcome": "OK"}


def value(tally: Tally, *labels: str) -> float:
    return next(series.value for _, values, series in tally.all() if values == labels)


def test_names_and_bounds_are_sound() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert list(metric.bounds) == sorted(set(metric.bounds))
        assert metric.help.endswith(".")


@given(st.lists(st.floats(0, 1000), max_size=30))
def test_a_histogram_counts_each_value_in_its_bucket_and_goes_there_and_back(values: list[float]) -> None:
    tally = Tally()
    for each in values:
        tally.observe(FLASH_SECONDS, {"device_type": "microbit"}, each)
    again = Tally.from_json(json.loads(json.dumps(tally.to_json())))
    for told in (tally, again):
        for _, _, series in told.all():
            assert sum(series.buckets) == len(values)
            assert series.value == pytest.approx(sum(values))
            below = [v for v in values if v <= FLASH_SECONDS.bounds[3]]
            assert sum(series.buckets[:4]) == len(below)


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda x: st.lists(x) | st.dictionaries(st.text(max_size=7), x),
    )
)
def test_what_is_no_tally_is_refused(document: object) -> None:
    try:
        Tally.from_json(document)
    except ValueError:
        return


def test_labels_are_the_metrics_own() -> None:
    with pytest.raises(ValueError, match="has the labels"):
        Tally().add(FLASHES, {"board": "one"})
    with pytest.raises(ValueError, match="no counter"):
        Tally().add(FLASH_SECONDS, {"device_type": "x"})
    with pytest.raises(ValueError, match="is a counter"):
        Tally().observe(FLASHES, OK, 1)


def test_series_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallies, "SERIES_MAX", 3)
    tally = Tally()
    for number in range(5):
        tally.add(FLASHES, {"board": str(number), "outcome": "OK"})
    assert len(list(tally.all())) == 3
    assert tally.dropped == 2
    assert SERIES_MAX > 3


def test_a_metric_that_is_no_more_is_passed_over() -> None:
    old = [{"metric": "gone", "labels": ["x"], "value": 3, "buckets": []}]
    assert not list(Tally.from_json(old).all())


def _count(path: Path) -> None:
    file = TallyFile(path)
    for _ in range(50):
        file.add(FLASHES, **OK)


def test_processes_and_threads_lose_nothing_of_each_other(tmp_path: Path) -> None:
    path = tmp_path / "tally.json"
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_count, args=(path,)) for _ in range(2)]
    threads = [threading.Thread(target=_count, args=(path,)) for _ in range(2)]
    for each in (*processes, *threads):
        each.start()
    for each in (*processes, *threads):
        each.join(60)
    assert value(TallyFile(path).read(), "one", "OK") == 200


def test_a_broken_file_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "tally.json"
    path.write_text("[{")
    with caplog.at_level(logging.WARNING):
        TallyFile(path).add(FLASHES, **OK)
    assert "counting begins anew" in caplog.text
    assert path.with_suffix(".broken").read_text() == "[{"
    assert value(TallyFile(path).read(), "one", "OK") == 1


def test_what_cannot_be_written_is_told_once_and_breaks_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    file = TallyFile(tmp_path / "taken" / "tally.json")
    with caplog.at_level(logging.WARNING):
        file.add(FLASHES, **OK)
        file.add(FLASHES, **OK)
    assert caplog.text.count("cannot count") == 1
