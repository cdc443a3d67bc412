"""One emulated node and its fleet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from examples.demo.chain import Chain

NODE = "field-1"
TYPE = "mps2-an386"


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    made = Chain(tmp_path / "state", (NODE,), with_prometheus=False)
    try:
        made.start_fleet(lambda _: None)
        made.start_nodes(lambda _: None)
        yield made
    finally:
        made.stop()
