"""Which bytes go where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.agent.core.boards import memory_map
from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.flash_plan import plan_flash
from tinyfleet.agent.core.program import Segment
from tinyfleet.wire.memory_map import MICROBIT

SECTOR = MICROBIT.sector_bytes


def test_pieces_go_to_their_regions_in_whole_sectors() -> None:
    plan = plan_flash(MICROBIT, app=[Segment(0, b"a" * 1500)], model=b"m" * 1024, golden=b"g")
    sectors = plan.sectors()
    assert list(sectors) == [0, SECTOR, 0x10000, 0x28000]
    assert sectors[SECTOR] == b"a" * 476 + b"\xff" * 548
    assert sectors[0x10000] == b"m" * 1024
    assert sectors[0x28000] == b"g" + b"\xff" * 1023
    assert plan.size_bytes == 1500 + 1024 + 1


@given(
    st.lists(st.integers(0, 3000), min_size=1, max_size=4, unique=True),
    st.binary(min_size=1, max_size=400),
)
def test_every_byte_lands_at_its_address(starts: list[int], data: bytes) -> None:
    segments = [Segment(start * 20, data[:20]) for start in sorted(starts)]
    sectors = plan_flash(MICROBIT, app=segments).sectors()
    assert all(len(content) == SECTOR and start % SECTOR == 0 for start, content in sectors.items())
    flash = bytearray(b"\xff" * 0x10000)
    for start, content in sectors.items():
        flash[start : start + SECTOR] = content
    expected = bytearray(b"\xff" * 0x10000)
    for segment in segments:
        expected[segment.address : segment.end] = segment.data
    assert flash == expected


def test_only_differing_sectors_are_written() -> None:
    plan = plan_flash(MICROBIT, model=b"m" * 3000)
    current = plan.sectors()
    assert plan.differing(current) == {}
    assert list(plan.differing({})) == [0x10000, 0x10400, 0x10800]
    current[0x10400] = current[0x10400][:-1] + b"!"
    assert plan.differing(current) == {0x10400: b"m" * 1024}


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(PlanError, match="model has 98305 bytes, expected at most 98304 on microbit"):
        plan_flash(MICROBIT, model=bytes(98305))
    with pytest.raises(PlanError, match=r"0xffff\.\.0x10001, expected within 0x0\.\.0x10000"):
        plan_flash(MICROBIT, app=[Segment(0xFFFF, b"ab")])
    with pytest.raises(PlanError, match="nothing to program"):
        plan_flash(MICROBIT)
    with pytest.raises(PlanError, match="'toaster'; known are: microbit"):
        memory_map("toaster")
