"""Which images an agent takes for a board before anything of it is programmed."""

from __future__ import annotations

import pytest
from tests.unit.agent.bridge_rig import signed

from tinyfleet.agent.core.errors import PlanError
from tinyfleet.agent.core.signed_image import signed_image
from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.image import read_image

MODEL = signed(b"a plan")


def test_one_that_was_signed_for_this_board_is_taken() -> None:
    taken = signed_image(MODEL, "m.img", "microbit", ArtifactKind.MODEL)
    assert (taken.number, taken.data) == (int(ArtifactKind.MODEL), MODEL)
    assert taken.digest == read_image(MODEL).digest


@pytest.mark.parametrize(
    ("data", "device_type", "kind", "complaint"),
    [
        (MODEL, "mps2-an386", ArtifactKind.MODEL, "for 'microbit', expected .* for 'mps2-an386'"),
        (MODEL, "microbit", ArtifactKind.FIRMWARE, "is an image of kind .* expected"),
        (signed(b"a plan", key=None), "microbit", ArtifactKind.MODEL, "the image is not signed"),
        (MODEL.replace(b"a plan", b"a plot"), "microbit", ArtifactKind.MODEL, "no signed image"),
    ],
)
def test_any_other_is_refused_by_name(
    data: bytes, device_type: str, kind: ArtifactKind, complaint: str
) -> None:
    with pytest.raises(PlanError, match=complaint) as refused:
        signed_image(data, "m.img", device_type, kind)
    assert "m.img" in str(refused.value)
