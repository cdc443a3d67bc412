"""The Prometheus server that `tinyfleet up` starts: its configuration, written into the state folder at
every start.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tinyfleet.fleet.adapters.prometheus.alerts import rules_file

JOB = "tinyfleet"
AGENT_JOB = "tinyfleet-agent"
RULES_FILE = "rules.yml"


def configuration(metrics_address: str, agents: Sequence[str], scrape_interval_s: float) -> str:
    """What is scraped (the manager, and agents by their addresses), and the rules beside it. JSON is YAML, so
    nothing else is needed to write it."""
    interval = f"{round(scrape_interval_s * 1000)}ms"
    jobs = {JOB: [metrics_address]} | ({AGENT_JOB: list(agents)} if agents else {})
    return (
        json.dumps(
            {
                "rule_files": [RULES_FILE],
                "global": {"scrape_interval": interval, "scrape_timeout": interval},
                "scrape_configs": [
                    {"job_name": job, "static_configs": [{"targets": addresses}]}
                    for job, addresses in jobs.items()
                ],
            },
            indent=2,
        )
        + "\n"
    )


def command(folder: Path, host: str, port: int) -> tuple[str, ...]:
    return (
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={host}:{port}",
        "--storage.tsdb.retention.time=15d",
        "--log.level=warn",
    )


def write_configuration(
    folder: Path, metrics_address: str, agents: Sequence[str], scrape_interval_s: float
) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / RULES_FILE).write_text(rules_file())
    (folder / "prometheus.yml").write_text(configuration(metrics_address, agents, scrape_interval_s))
