"""Which bytes go where."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.wire.test_turns import turn_record

from tinyfleet.agent.core.boards import Layout, layout_of, memory_map
from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.flash_plan import NodePlan, plan_flash
from tinyfleet.agent.core.part_plan import plan_part
from tinyfleet.agent.core.program import Segment
from tinyfleet.wire.memory_map import MICROBIT, MPS2_AN386, NRF52840
from tinyfleet.wire.turns import BOOT_KIND, STATE_KIND

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


def test_an_app_that_a_boot_rom_copies_lies_in_flash() -> None:
    memory = memory_map("mps3-an547")
    plan = plan_flash(memory, app=[Segment(0x10000000, b"a"), Segment(0x10002000, b"b")])
    assert [(piece.address, piece.data) for piece in plan.pieces] == [
        (0x70000000, b"a"),
        (0x70002000, b"b"),
    ]
    for address in (0x1007F000, 0x1007EFFF, 0x20000000):
        with pytest.raises(PlanError, match="expected within 0x70000000"):
            plan_flash(memory, app=[Segment(address, b"ab")])


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


def blank(address: int, size: int) -> bytes:
    return b"\xff" * size


def test_a_nodes_images_go_to_their_slots_as_they_are() -> None:
    plan = NodePlan(NRF52840, (Segment(0, b"boot"),), b"f" * 5000, b"m", slot="b")
    assert plan.size_bytes == 5005
    placed = plan.placed(blank)
    assert [(piece.region, piece.address, len(piece.data)) for piece in placed.pieces] == [
        ("boot", 0, 4),
        ("firmware_b", 0x50000, 5000),
        ("model_b", 0xB8000, 1),
    ]
    assert list(placed.sectors()) == [0, 0x50000, 0x51000, 0xB8000]
    with pytest.raises(PlanError, match=r"within 0x0\.\.0x8000, the boot's region on nrf52840"):
        NodePlan(NRF52840, (Segment(0x20000, b"app"),)).placed(blank)
    with pytest.raises(PlanError, match="mps2-an386 has no flash for a bootloader"):
        NodePlan(MPS2_AN386, (Segment(0, b"boot"),)).placed(blank)
    with pytest.raises(PlanError, match="firmware_b has 196609 bytes, expected at most 196608"):
        NodePlan(NRF52840, firmware=bytes(196609), slot="b").placed(blank)
    with pytest.raises(PlanError, match="nothing to program on nrf52840"):
        NodePlan(NRF52840).placed(blank)


def test_without_a_word_it_is_the_slot_that_the_node_starts() -> None:
    flash = bytearray(b"\xff" * NRF52840.size_bytes)

    def read(address: int, size: int) -> bytes:
        return bytes(flash[address : address + size])

    def slots() -> list[str]:
        return [piece.region for piece in NodePlan(NRF52840, (), b"f", b"m").placed(read).pieces]

    assert slots() == ["firmware_a", "model_a"]
    boot = turn_record(BOOT_KIND, {0: 1, 1: 1, 2: 255})
    flash[NRF52840["boot_b"].offset : NRF52840["boot_b"].offset + len(boot)] = boot
    assert slots() == ["firmware_b", "model_a"]
    state = turn_record(STATE_KIND, {0: 1, 2: 1})
    flash[NRF52840["state_a"].offset : NRF52840["state_a"].offset + len(state)] = state
    assert slots() == ["firmware_b", "model_b"]


@pytest.mark.parametrize(
    ("device_type", "signed", "layout"),
    [
        ("microbit", False, Layout.BENCH),
        ("mps2-an386", False, Layout.BENCH),
        ("mps2-an386", True, Layout.NODE),
        ("mps2-an500", False, Layout.BENCH),
        ("mps2-an500", True, Layout.NODE),
        ("stm32l496", False, Layout.NODE),
        ("microbit", True, Layout.BENCH),
        ("lpc1768", False, Layout.PART),
        ("lpc1768", True, Layout.PART),
    ],
)
def test_whose_flash_it_is(device_type: str, signed: bool, layout: Layout) -> None:
    assert layout_of(device_type, signed_firmware=signed) is layout


@given(
    st.dictionaries(st.integers(0, 15), st.sampled_from([256, 1024]), min_size=1),
    st.integers(0, 0x3FFF),
    st.binary(min_size=1, max_size=3000),
)
def test_in_sectors_of_any_size_only_the_segments_change(sizes: dict[int, int], at: int, data: bytes) -> None:
    """Sectors begin every 1024 bytes here; some are short, so that there are gaps."""
    current = {0x4000 + 1024 * n: bytes([n]) * size for n, size in sizes.items()}
    address = 0x4000 + at
    covered = {start + i for start, content in current.items() for i in range(len(content))}
    plan = plan_part([Segment(address, data)], None)
    if not set(range(address, address + len(data))) <= covered:
        with pytest.raises(ValueError, match="have sectors"):
            plan.wanted(current)
        return
    for start, content in plan.wanted(current).items():
        for i, byte in enumerate(content):
            inside = address <= start + i < address + len(data)
            assert byte == (data[start + i - address] if inside else current[start][i])
