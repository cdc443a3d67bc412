"""Tables. Enum *names* are stored, digests as bytes, arrays as JSON text, times in seconds since the epoch.

`SCHEMA_VERSION` stands in `meta`. A database of an earlier version is migrated (`migrations`), one of another
is refused, never guessed at.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

SCHEMA_VERSION: Final = 6
metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

devices = Table(
    "devices",
    metadata,
    Column("id", String, primary_key=True),
    Column("site", String, nullable=False),
    Column("device_type", String, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("credential", Integer, nullable=False),
    Column("password", String, nullable=False, default=""),
    Column("registered_s", Float, nullable=False),
    Column("birth", LargeBinary),
    Column("born_s", Float),
    Column("period_s", Integer, nullable=False),
    Column("keepalive_s", Integer, nullable=False),
    Column("conn", String),
    Column("conn_boot", Integer),
    Column("conn_number", Integer),
    Column("conn_at_s", Float, nullable=False),
    Column("next_wake_s", Integer),
    Column("heard_s", Float),
    Column("held_until_s", Float),
    Column("outlived", Boolean, nullable=False),
    Column("settings", LargeBinary),  # a want that holds nothing else
)

agents = Table(
    "agents",
    metadata,
    Column("id", String, primary_key=True),
    Column("site", String, nullable=False),
    Column("credential", Integer, nullable=False),
    Column("password", String, nullable=False, default=""),
    Column("bench", LargeBinary),
    Column("heard_s", Float),
)

releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String, nullable=False),
    Column("version", String, nullable=False),
    Column("created_s", Float, nullable=False),
    UniqueConstraint("name", "version"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("release", ForeignKey("releases.id"), primary_key=True),
    Column("device_type", String, primary_key=True),
    Column("kind", String, primary_key=True),
    Column("slot", Integer, primary_key=True),  # NO_SLOT: any
    Column("image", LargeBinary, nullable=False, index=True),
    Column("manifest", LargeBinary, nullable=False, index=True),
    Column("blob", LargeBinary, nullable=False),
    Column("version", String, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("groups", Integer, nullable=False),
    Column("security_counter", Integer, nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("foreign", Boolean, nullable=False),
    Column("labels", Text, nullable=False),
)

transports = Table(
    "transports",
    metadata,
    Column("manifest", LargeBinary, primary_key=True),
    Column("artifact", LargeBinary, nullable=False, index=True),  # manifest of the raw one
    Column("encoding", String, nullable=False),
    Column("base", LargeBinary),
    Column("blob", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("groups", Integer, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("release", ForeignKey("releases.id"), nullable=False),
    Column("state", String, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("waves", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("started_s", Float, nullable=False),
    Column("ended_s", Float),
)

deployments = Table(
    "deployments",
    metadata,
    Column("rollout", ForeignKey("rollouts.id"), primary_key=True),
    Column("device", String, primary_key=True),
    Column("wave", Integer, nullable=False),
    Column("image", LargeBinary),
    Column("manifest", LargeBinary),
    Column("firmware", LargeBinary),
    Column("firmware_manifest", LargeBinary),
    Column("generation", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("update", String),
    Column("result", String),
    Column("offset_bytes", Integer, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("detail", Text, nullable=False),
    Column("reopened", Integer, nullable=False),
    Column("boot", Integer),
    Column("seq", Integer),
    Column("deadline_s", Float),
    Column("changed_s", Float, nullable=False),
    Index("deployments_device", "device", "rollout"),
    Index("deployments_due", "state", "deadline_s"),
)

transitions = Table(
    "transitions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("rollout", Integer, nullable=False),
    Column("device", String, nullable=False),
    Column("transition", String, nullable=False),
    Column("update", String),
    Column("result", String),
    Column("detail", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("at_s", Float, nullable=False),
    Index("transitions_device", "device", "id"),
)

retained = Table(
    "retained",
    metadata,
    Column("kind", String, primary_key=True),
    Column("key", String, primary_key=True),
    Column("seq", Integer, nullable=False, unique=True),
    Column("live", Boolean, nullable=False),
    Column("done", Boolean, nullable=False, index=True),
    Column("payload", LargeBinary, nullable=False),
    Column("names", String, nullable=False, index=True),
    Column("also", String, nullable=False, index=True),
    Column("size_bytes", Integer, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("device", String, primary_key=True),
    Column("boot", Integer, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("model", LargeBinary, nullable=False),
    Column("inferences", Integer, nullable=False),
    Column("classes", Text, nullable=False),
    Column("latency", Text, nullable=False),
    Column("latency_sum_us", Text, nullable=False),
    Column("dropped", Integer, nullable=False),
    Column("tele", LargeBinary, nullable=False),
    Column("first_uptime_ms", Text, nullable=False),
    Column("first_s", Float, nullable=False),
    Column("at_s", Float, nullable=False),
    Column("live", Text),  # confidence, margin, switches, paused, captured, skipped
)

class_totals = Table(
    "class_totals",
    metadata,
    Column("site", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("label", String, primary_key=True),
    Column("inferences", Integer, nullable=False),
)

latency_totals = Table(
    "latency_totals",
    metadata,
    Column("site", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("timing", String, primary_key=True),
    Column("buckets", Text, nullable=False),
    Column("sum_us", Text, nullable=False),
)

live_totals = Table(
    "live_totals",
    metadata,
    Column("site", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("missed", Integer, nullable=False),
    Column("paused", Integer, nullable=False),
    Column("switches", Integer, nullable=False),
    Column("captured", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("margin", Text, nullable=False),
    Column("confidence", Text, nullable=False),
)

# The parts of the one window that a device is sending.
sample_parts = Table(
    "sample_parts",
    metadata,
    Column("device", String, primary_key=True),
    Column("boot", Integer, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("part", Integer, primary_key=True),
    Column("offset", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("at_s", Float, nullable=False),
)

samples = Table(
    "samples",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("device", String, nullable=False),
    Column("boot", Integer, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("uptime_ms", Integer, nullable=False),
    Column("model", LargeBinary, nullable=False),
    Column("class", Integer, nullable=False),
    Column("scores", LargeBinary, nullable=False),
    Column("margin", Integer),
    Column("sensor", String, nullable=False),
    Column("unit", String, nullable=False),
    Column("rate_mhz", Integer, nullable=False),
    Column("samples", Integer, nullable=False),
    Column("channels", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    Column("at_s", Float, nullable=False),
    Index("samples_device", "device", "boot", "seq"),
    Index("samples_at", "at_s"),
    Index("samples_size", "size_bytes"),
    # Ids are never given again: whoever exports page by page asks for those behind the last one.
    sqlite_autoincrement=True,
)

shadows = Table(
    "shadows",
    metadata,
    Column("device", String, primary_key=True),
    Column("release", ForeignKey("releases.id"), nullable=False),
    Column("image", LargeBinary, nullable=False),
    Column("manifest", LargeBinary, nullable=False),
    Column("active", LargeBinary),
    Column("generation", Integer, nullable=False),
    Column("state", String, nullable=False),
    Column("transition", String, nullable=False),
    Column("result", String),
    Column("detail", Text, nullable=False),
    Column("boot", Integer),
    Column("seq", Integer),
    Column("deadline_s", Float),
    Column("started_s", Float, nullable=False),
    Column("changed_s", Float, nullable=False),
    Column("run_boot", Integer),
    Column("run", Integer),
    Column("last", Text, nullable=False),
    Column("total", Text, nullable=False),
    Index("shadows_due", "state", "deadline_s"),
)

shadow_totals = Table(
    "shadow_totals",
    metadata,
    Column("site", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("version", String, primary_key=True),
    Column("challenger", String, primary_key=True),
    Column("challenger_version", String, primary_key=True),
    Column("windows", Integer, nullable=False),
    Column("agreements", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    Column("missed", Integer, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("device", String, primary_key=True),
    Column("boot", Integer, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("kind", String, nullable=False),
    Column("uptime_ms", Text, nullable=False),
    Column("class", Integer),
    Column("score", Integer),
    Column("text", Text),
    Column("model", LargeBinary),
    Column("at_s", Float, nullable=False),
    Index("events_recent", "device", "at_s"),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("state", String, nullable=False),
    Column("device_type", String),
    Column("site", String, nullable=False),
    Column("device", String),
    Column("replaces", Boolean, nullable=False),
    Column("release", String),
    Column("release_version", String),
    Column("key", LargeBinary),
    Column("credential", Integer),
    Column("sequence", Integer),
    Column("keepalive_s", Integer, nullable=False),
    Column("conn", LargeBinary),
    Column("made_s", Float, nullable=False),
    Column("expires_s", Float, nullable=False),
    Column("changed_s", Float, nullable=False),
    Index("tokens_due", "state", "expires_s"),
    # A number names one token for good: lists and logs go by it.
    sqlite_autoincrement=True,
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("topic", String, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at_s", Float, nullable=False),
)
