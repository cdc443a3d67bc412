"""Opens the database and hands out transactions.

One writer at a time, in this process (a lock) and in the file (BEGIN IMMEDIATE); readers see the last
commit and never wait (WAL). `synchronous=FULL`: a commit that was acknowledged to a node survives a power
cut.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, select
from sqlalchemy.exc import DatabaseError, DBAPIError

from tinyfleet.fleet.adapters.sql import migrations, schema
from tinyfleet.fleet.adapters.sql.agents import AgentTable
from tinyfleet.fleet.adapters.sql.deployments import DeploymentTable
from tinyfleet.fleet.adapters.sql.devices import DeviceTable
from tinyfleet.fleet.adapters.sql.enrolments import EnrolmentTable
from tinyfleet.fleet.adapters.sql.releases import ReleaseTable
from tinyfleet.fleet.adapters.sql.retained import IdentityTable, RetainedTable
from tinyfleet.fleet.adapters.sql.rollouts import RolloutTable
from tinyfleet.fleet.adapters.sql.samples import SampleTable
from tinyfleet.fleet.adapters.sql.shadows import ShadowTable
from tinyfleet.fleet.adapters.sql.telemetry import QuarantineTable, TelemetryTable
from tinyfleet.fleet.adapters.sql.tokens import TokenTable
from tinyfleet.fleet.core.errors import Unavailable

LOCK_WAIT_S: Final = 10.0
QUARANTINE_ROWS: Final = 1000


class SqlTx:
    """The rows of one transaction."""

    def __init__(self, connection: Connection, quarantine_rows: int) -> None:
        self.devices = DeviceTable(connection)
        self.agents = AgentTable(connection)
        self.releases = ReleaseTable(connection)
        self.rollouts = RolloutTable(connection)
        self.deployments = DeploymentTable(connection)
        self.shadows = ShadowTable(connection)
        self.telemetry = TelemetryTable(connection)
        self.samples = SampleTable(connection)
        self.quarantine = QuarantineTable(connection, quarantine_rows)
        self.retained = RetainedTable(connection)
        self.identity = IdentityTable(connection)
        self.enrolments = EnrolmentTable(connection)
        self.tokens = TokenTable(connection)


class SqlStore:
    """SQLite behind `services.ports.Store`."""

    def __init__(self, path: Path, quarantine_rows: int = QUARANTINE_ROWS) -> None:
        """Opens or creates the database. Raises Unavailable: another schema version, no room, not a
        database.
        """
        self.path = path
        self._quarantine_rows = quarantine_rows
        self._lock = threading.Lock()
        existed = path.exists()
        path.touch(mode=0o600, exist_ok=True)
        self._writer = _engine(path, "BEGIN IMMEDIATE")
        self._reader = _engine(path, "BEGIN")
        try:
            self._prepare(existed)
        except DBAPIError as error:
            self.close()
            raise _unavailable(path, error) from error
        except Unavailable:
            self.close()
            raise

    def _prepare(self, existed: bool) -> None:
        with self._writer.begin() as connection:
            schema.meta.create(connection, checkfirst=True)
            row = connection.execute(
                select(schema.meta.c.value).where(schema.meta.c.key == "schema")
            ).scalar_one_or_none()
            if row is None:
                schema.metadata.create_all(connection)
                connection.execute(
                    schema.meta.insert(),
                    [
                        {"key": "schema", "value": str(schema.SCHEMA_VERSION)},
                        {"key": "manager", "value": secrets.token_hex(16)},
                        {"key": "seq", "value": "0"},
                    ],
                )
            elif row.isdecimal() and migrations.OLDEST <= int(row) < schema.SCHEMA_VERSION:
                migrations.migrate(connection, int(row))
            elif row != str(schema.SCHEMA_VERSION):
                raise Unavailable(
                    f"database {self.path} has schema {row}, this tinyfleet needs {schema.SCHEMA_VERSION}: "
                    "use the tinyfleet that wrote it, or another state folder"
                )

    @contextmanager
    def write(self) -> Iterator[SqlTx]:
        if not self._lock.acquire(timeout=LOCK_WAIT_S):
            raise Unavailable(
                f"database {self.path}: another change took longer than {LOCK_WAIT_S:g} s; try again"
            )
        try:
            with self._writer.begin() as connection:
                yield SqlTx(connection, self._quarantine_rows)
        except DatabaseError as error:
            raise self._translated(error) from error
        finally:
            self._lock.release()

    @contextmanager
    def read(self) -> Iterator[SqlTx]:
        try:
            with self._reader.begin() as connection:
                yield SqlTx(connection, self._quarantine_rows)
        except DatabaseError as error:
            raise self._translated(error) from error

    def _translated(self, error: DatabaseError) -> Exception:
        """Unavailable for a disk or file that fails; a statement that is wrong stays a bug of ours."""
        if type(error.orig) in (sqlite3.OperationalError, sqlite3.DatabaseError):
            return _unavailable(self.path, error)
        return error

    def close(self) -> None:
        self._writer.dispose()
        self._reader.dispose()


def _engine(path: Path, begin: str) -> Engine:
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _connect(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver must not begin transactions of its own
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _unavailable(path: Path, error: DBAPIError) -> Unavailable:
    text = str(error.orig)
    if "full" in text:
        return Unavailable(f"database {path}: the disk is full; free some room, nothing was stored")
    if "not a database" in text or "malformed" in text:
        return Unavailable(f"database {path}: {text}; restore a backup or use another state folder")
    return Unavailable(f"database {path}: {text}; nothing was stored")
