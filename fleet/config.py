"""The manager's options: one table. Sources, the later wins: defaults, `STATE/fleet.toml`, `TINYFLEET_…`,
command line.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tinyfleet.fleet.core.errors import BadInput
from tinyfleet.wire.limits import PREFIX

ENVIRONMENT: Final = "TINYFLEET_"
FILE: Final = "fleet.toml"


class Settings(BaseModel):
    """Ports: 0 takes the one used before in this state folder, else a free one."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    host: str = Field("127.0.0.1", description="address the API, the device listener and Prometheus bind to")
    api_port: int = Field(0, ge=0, le=65535, description="port of the API and /metrics")
    broker_port: int = Field(0, ge=0, le=65535, description="port devices connect to")
    tls_port: int = Field(0, ge=0, le=65535, description="port devices connect to with TLS")
    admin_port: int = Field(0, ge=0, le=65535, description="port of the manager's own clients, on loopback")
    prometheus_port: int = Field(0, ge=0, le=65535, description="port of Prometheus")
    prometheus: bool = Field(True, description="run a Prometheus beside the manager")
    prefix: str = Field(PREFIX, description="topic prefix")
    node_host: str = Field("10.0.2.2", description="IPv4 address by which nodes reach the broker")
    sntp: str = Field("", description="IPv4 address, or address:port, by which nodes reach an SNTP server")
    scrape_interval_s: float = Field(1.0, ge=0.1, le=300, description="how often Prometheus reads /metrics")
    agents: str = Field(
        "",
        pattern=r"^([A-Za-z0-9._-]+:[0-9]{1,5}(,[A-Za-z0-9._-]+:[0-9]{1,5})*)?$",
        description="HOST:PORT,… of agents whose metrics Prometheus reads, too",
    )
    keepalive_s: int = Field(15, ge=5, le=3600, description="MQTT keep-alive of nodes")
    period_s: int = Field(1, ge=1, le=86400, description="how often nodes report")
    window_ms: int = Field(100, ge=1, le=3_600_000, description="time between two inferences of a node")
    rollout_timeout_s: float = Field(86_400.0, gt=0, description="how long a device may take for a release")
    missed_wakes: int = Field(
        5,
        ge=1,
        le=1000,
        description="how many wake-ups in a row a sleeping device may miss before it timed out",
    )
    trial_inferences: int = Field(3, ge=1, le=100_000, description="live inferences a trial must show")
    blob_budget_bytes: int = Field(
        64 * 1024 * 1024,
        ge=1024,
        description="sum of the artifacts the broker holds; above it saving stalls it",
    )
    publish_bytes_per_s: int = Field(
        16 * 1024 * 1024, ge=1024, description="rate at which retained messages are published"
    )
    series_max: int = Field(20_000, ge=100, description="cap on the series of /metrics")
    quarantine_rows: int = Field(1000, ge=1, description="unreadable messages kept for a look")
    samples_budget_bytes: int = Field(
        256 * 1024 * 1024, ge=4096, description="captured windows kept; the oldest go first"
    )
    samples_keep_days: float = Field(30.0, gt=0, description="how long captured windows are kept")
    log_level: str = Field("INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="how much is logged")

    def agents_scraped(self) -> list[str]:
        """Addresses of agents' metrics."""
        return self.agents.split(",") if self.agents else []


def load(
    state: Path, given: Mapping[str, Any] | None = None, environment: Mapping[str, str] = os.environ
) -> Settings:
    """The options in force. Raises BadInput naming the source and the option that does not fit."""
    values: dict[str, Any] = {}
    file = state / FILE
    if file.exists():
        try:
            values |= tomllib.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise BadInput(f"{file}: {error}; mend it or remove it") from error
    for name in Settings.model_fields:
        if (text := environment.get(ENVIRONMENT + name.upper())) is not None:
            values[name] = text
    values |= {name: value for name, value in (given or {}).items() if value is not None}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"option {name}: {first['msg'].lower()}, got {str(first.get('input'))[:60]!r} "
            f"(from {file}, {ENVIRONMENT}{name.upper()} or the command line)"
        ) from error
