"""What the demo asks Prometheus through its HTTP API."""

from __future__ import annotations

from typing import Any

import httpx

from examples.demo.programs import DemoError


class Prometheus:
    """Reads one Prometheus server. Raises DemoError when it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._http = httpx.Client(base_url=url, timeout=5)

    def close(self) -> None:
        self._http.close()

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Instant query: (labels, value) of each series; empty when there is none."""
        try:
            answer = self._http.get("/api/v1/query", params={"query": expression})
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise DemoError(f"Prometheus at {self._url} does not answer: {error}") from error
        body: dict[str, Any] = answer.json()
        return [(series["metric"], float(series["value"][1])) for series in body["data"]["result"]]

    def total(self, expression: str) -> float:
        """Sum over all series of an instant query; 0 when there is none."""
        return sum(value for _, value in self.query(expression))
