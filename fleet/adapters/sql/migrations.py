"""Databases of earlier versions become one of this version, step by step, in the transaction that opens them.

A step takes a database from its number to the next; it only adds, so that no figure can be lost. Tables that
are new in a version are made by their definition in `schema`, columns by the statements here.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection

from tinyfleet.fleet.adapters.sql import schema

STEPS: Final[dict[int, tuple[str, ...]]] = {
    2: (
        "ALTER TABLE devices ADD COLUMN settings BLOB",
        "ALTER TABLE snapshots ADD COLUMN live TEXT",
    ),
    3: (),  # transports
    # shadows, shadow_totals; parts of windows that were under way are sent again or never whole
    4: ("DROP TABLE IF EXISTS sample_parts",),
    5: (),  # tokens
}
"""From this version to the next."""

OLDEST: Final = min(STEPS)


def migrate(connection: Connection, version: int) -> None:
    """Brings a database of `version` (OLDEST or newer) to the one of `schema`."""
    for step in range(version, schema.SCHEMA_VERSION):
        for statement in STEPS[step]:
            connection.exec_driver_sql(statement)
    schema.metadata.create_all(connection)
    connection.execute(
        schema.meta.update().where(schema.meta.c.key == "schema").values(value=str(schema.SCHEMA_VERSION))
    )
