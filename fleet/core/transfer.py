"""Which way an artifact takes to a device: the one with the fewest bytes that the device can decode."""

from __future__ import annotations

from collections.abc import Iterable

from tinyfleet.fleet.core.release import Transport
from tinyfleet.wire.enums import ArtifactKind, Encoding
from tinyfleet.wire.messages import Birth


def running(birth: Birth, kind: ArtifactKind) -> bytes | None:
    """The image that a delta of that kind must start from; None: nothing runs, or it was never signed."""
    runs = birth.firmware if kind is ArtifactKind.FIRMWARE else birth.model
    return None if runs is None else runs.image


def decodes(birth: Birth, encoding: Encoding) -> bool:
    return encoding is Encoding.RAW or bool((birth.decodes or 0) >> encoding & 1)


def takes(birth: Birth | None, transport: Transport) -> bool:
    """Whether the device can make the artifact of what is sent, as far as its last birth tells."""
    if transport.encoding is Encoding.RAW:
        return True
    if birth is None or not decodes(birth, transport.encoding):
        return False
    if transport.size_bytes > (birth.staging_bytes or 0):
        return False
    return transport.base is None or transport.base == running(birth, transport.artifact.kind)


def smallest(birth: Birth | None, ways: Iterable[Transport]) -> Transport:
    """`ways` holds the raw one, so there is always an answer; of two alike the simpler one."""
    return min((way for way in ways if takes(birth, way)), key=lambda way: (way.size_bytes, way.encoding))
