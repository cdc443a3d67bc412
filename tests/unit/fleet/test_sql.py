"""The database: what was stored comes back as it was; other versions are refused; one writer at a time."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.fleet.fleet_rig import Rig, birth

from tinyfleet.fleet.adapters.sql import migrations
from tinyfleet.fleet.adapters.sql.store import SqlStore
from tinyfleet.fleet.core.deployment import Deployment, DeploymentState
from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.errors import Unavailable
from tinyfleet.fleet.core.liveness import Evidence
from tinyfleet.fleet.core.release import Release, Transport, raw
from tinyfleet.fleet.core.rollout import RolloutState, Summary, Wave
from tinyfleet.fleet.services.ports import RetainedKind
from tinyfleet.wire.enums import ConnState, Encoding, Result, UpdateState
from tinyfleet.wire.messages import Capture, EventRule


def test_values_come_back_as_they_were(rig: Rig) -> None:
    device = Device(
        id="d",
        site="s",
        device_type="t",
        generation=(1 << 32) - 1,
        credential=3,
        birth=birth(image=b"\x09" * 32),
        born_s=1.5,
        registered_s=0.5,
        capture=Capture(classes=(1, 2), margin_below=9, per_day=1, day_bytes=2),
        event_rule=EventRule(min_score=1, windows=3, hits=2, hold_off_s=4),
        evidence=Evidence(
            period_s=1,
            keepalive_s=2,
            conn=ConnState.ASLEEP,
            order=(7, 8),
            conn_at_s=3.0,
            next_wake_s=60,
            heard_s=4.0,
            held_until_s=5.0,
            outlived=True,
        ),
    )
    artifact = rig.release()
    delta = Transport(
        artifact=artifact,
        manifest=b"\x05" * 32,
        blob=b"\x06" * 32,
        size_bytes=100,
        groups=1,
        encoding=Encoding.DELTA,
        base=b"\x07" * 32,
    )
    with rig.store.write() as tx:
        tx.releases.add_transport(delta)
        tx.releases.add_transport(delta)
        tx.devices.put(device)
        release = tx.releases.add(Release(id=0, name="other", version="1", artifacts=(artifact,)))
        summary = tx.rollouts.add(
            Summary(
                id=0,
                release=release.id,
                waves=(
                    Wave(
                        {DeploymentState.FAILED: 2, DeploymentState.QUEUED: 1},
                        {
                            (DeploymentState.FAILED, Result.SIGNATURE): 1,
                            (DeploymentState.FAILED, None): 1,
                        },
                    ),
                    Wave(),
                ),
                why="because",
                ended_s=9.0,
            )
        )
        deployment = Deployment(
            rollout=summary.id,
            device="d",
            wave=1,
            image=b"\x01" * 32,
            manifest=artifact.manifest,
            generation=5,
            state=DeploymentState.IN_PROGRESS,
            version=6,
            update=UpdateState.TRIAL,
            result=Result.SUCCESS,
            offset_bytes=7,
            size_bytes=8,
            detail="x",
            reopened=1,
            order=(2, 3),
            deadline_s=10.0,
            changed_s=11.0,
        )
        tx.deployments.put(deployment)
    with rig.store.read() as tx:
        assert tx.devices.get("d") == device
        assert tx.releases.get(release.id) == release
        assert tx.releases.artifact(artifact.manifest) == artifact
        assert tx.releases.transports(artifact) == [raw(artifact), delta]
        assert tx.releases.transport(delta.manifest) == delta
        assert tx.releases.transport(artifact.manifest) == raw(artifact)
        assert tx.releases.transport(bytes(32)) is None
        assert tx.rollouts.get(summary.id) == summary
        assert tx.deployments.current("d") == deployment
        assert tx.deployments.due(10.0) == [deployment]
        assert tx.deployments.due(9.9) == []


def test_the_store_outlives_its_process(tmp_path: Path) -> None:
    first = SqlStore(tmp_path / "f.db")
    with first.write() as tx:
        tx.devices.put(
            Device(id="d", site="s", device_type="t", evidence=Evidence(period_s=1, keepalive_s=1))
        )
        manager = tx.identity.manager()
    first.close()
    second = SqlStore(tmp_path / "f.db")
    with second.read() as tx:
        assert tx.devices.get("d") is not None
        assert tx.identity.manager() == manager
    second.close()
    assert (tmp_path / "f.db").stat().st_mode & 0o077 == 0


def test_a_database_of_the_version_before_is_taken_over(tmp_path: Path) -> None:
    """Schema 2 as it was written: tables and rows stay, what is new is there."""
    path = tmp_path / "f.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((Path(__file__).parent / "schema_2.sql").read_text())
    connection.close()
    store = SqlStore(path)
    with store.read() as tx:
        device = tx.devices.get("node-1")
        assert device is not None and device.evidence.heard_s == 1700000009.0
        assert device.capture is None and device.event_rule is None
        stored = tx.telemetry.stored("node-1", 3, 1)
        assert stored is not None and stored.snapshot.inferences == 7 and stored.snapshot.live is None
        assert [total.count for total in tx.telemetry.totals()[0]] == [7]
        assert tx.telemetry.live_totals() == [] and tx.samples.totals() == (0, 0)
        assert tx.shadows.all() == [] and tx.shadows.totals() == []
        manager = tx.identity.manager()
    with store.write() as tx:
        capture = Capture(classes=(1,), per_day=1, day_bytes=2)
        tx.devices.put(replace(device, capture=capture))
    store.close()
    again = SqlStore(path)  # of this version now
    with again.read() as tx:
        kept = tx.devices.get("node-1")
        assert kept is not None and kept.capture == capture and tx.identity.manager() == manager
    again.close()
    fresh = tmp_path / "fresh.db"
    SqlStore(fresh).close()
    assert _columns(path) == _columns(fresh)


@pytest.mark.parametrize("version", sorted(migrations.STEPS))
def test_a_migration_that_is_cut_off_changed_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    path = tmp_path / "f.db"
    with sqlite3.connect(path) as connection:
        connection.executescript((Path(__file__).parent / "schema_2.sql").read_text())
    connection.close()
    before = _columns(path)
    step = migrations.STEPS[version]
    with monkeypatch.context() as patched:
        patched.setattr(migrations, "STEPS", {**migrations.STEPS, version: (*step, "no statement")})
        with pytest.raises(Unavailable):
            SqlStore(path)
    assert _columns(path) == before
    store = SqlStore(path)
    with store.read() as tx:
        assert tx.devices.get("node-1") is not None
    store.close()


def _columns(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Name, type and whether it may be empty of each column of each table, and each index."""
    with sqlite3.connect(path) as connection:
        tables = connection.execute(
            "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
        ).fetchall()
        found = {name: connection.execute(f"PRAGMA table_info({name})").fetchall() for (name,) in tables}
    connection.close()
    return {
        name: sorted((column[1], column[2], column[3]) for column in columns)
        for name, columns in found.items()
    }


def test_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    SqlStore(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(Unavailable, match="has schema 99, this tinyfleet needs 6"):
        SqlStore(path)


def test_a_database_of_schema_3_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    first = Rig(tmp_path)
    artifact = first.release()
    first.store.close()
    (tmp_path / "fleet.db").rename(path)
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE transports")
        connection.execute("UPDATE meta SET value = '3' WHERE key = 'schema'")
    connection.close()
    store = SqlStore(path)
    with store.read() as tx:
        assert tx.releases.artifact(artifact.manifest) == artifact
        assert tx.releases.transports(artifact) == [raw(artifact)]
    store.close()
    SqlStore(path).close()  # once is enough


def test_a_database_of_schema_4_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    SqlStore(path).close()
    fresh = _columns(path)
    with sqlite3.connect(path) as connection:
        connection.executescript(
            """
            DROP TABLE shadows;
            DROP TABLE shadow_totals;
            ALTER TABLE sample_parts DROP COLUMN at_s;
            UPDATE meta SET value = '4' WHERE key = 'schema';
            """
        )
    connection.close()
    store = SqlStore(path)
    with store.read() as tx:
        assert tx.shadows.all() == [] and tx.shadows.totals() == []
    store.close()
    assert _columns(path) == fresh


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.db"
    path.write_bytes(b"this is no database, whatever its name says" * 40)
    with pytest.raises(Unavailable, match="not a database"):
        SqlStore(path)


def test_a_stale_version_of_a_rollout_is_a_bug_of_ours(rig: Rig) -> None:
    rig.device("d1")
    rig.release()
    summary = rig.rollouts.start("demo")
    with pytest.raises(RuntimeError, match="not newer"), rig.store.write() as tx:
        tx.rollouts.put(replace(summary, state=RolloutState.FAILED))


def test_a_row_changed_while_it_was_published_stays_pending(rig: Rig) -> None:
    def put(payload: bytes) -> None:
        with rig.store.write() as tx:
            tx.retained.put(RetainedKind.WANT, "d", live=True, payload=payload, names="", size_bytes=0)

    put(b"1")
    with rig.store.read() as tx:
        (row,) = tx.retained.pending()
    put(b"2")
    with rig.store.write() as tx:
        tx.retained.done([row])
        (left,) = tx.retained.pending()
    assert left.payload == b"2"
    assert left.seq > row.seq


def test_writers_wait_for_each_other_and_readers_for_nobody(rig: Rig) -> None:
    order: list[str] = []
    inside, go = threading.Event(), threading.Event()

    def slow() -> None:
        with rig.store.write() as tx:
            tx.identity.raise_seq(1)
            inside.set()
            go.wait(10)
            order.append("slow")

    def quick() -> None:
        with rig.store.write():
            order.append("quick")

    threads = [threading.Thread(target=slow)]
    threads[0].start()
    assert inside.wait(10)
    threads.append(threading.Thread(target=quick))
    threads[1].start()
    with rig.store.read() as tx:
        assert tx.identity.seq() == 0, "a reader sees the last commit, without waiting"
    go.set()
    for thread in threads:
        thread.join(10)
    assert order == ["slow", "quick"]
