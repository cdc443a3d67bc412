"""Topics of SPEC section 2: build, parse, and the filters of manager and node."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import StrEnum

from tinyfleet.wire.errors import TopicError
from tinyfleet.wire.limits import (
    BLOB_NAME_BYTES,
    DEVICE_ID_PATTERN,
    DIGEST_BYTES,
    GROUP_CHUNKS,
    PREFIX,
    PREFIX_MAX,
    PREFIX_PATTERN,
    RESERVED_IDS,
)

_GROUP_MAX = 0xFFFF
# 16 bytes are 128 bits; 22 characters hold 132, so the last character ends in four zero bits.
_BLOB_NAME = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,4}")


class TopicKind(StrEnum):
    """Last level of a device's topic, or the room of the other two; where there is a message, its name."""

    BIRTH = "birth"
    CONN = "conn"
    WANT = "want"
    STATUS = "status"
    TELE = "tele"
    EVENT = "event"
    SAMPLE = "sample"
    CMD = "cmd"
    RSP = "rsp"
    BENCH = "bench"
    BLOB = "blob"
    JOURNAL = "journal"

    @property
    def retained(self) -> bool:
        return self in _RETAINED

    @property
    def up(self) -> bool:
        """Whether devices publish it."""
        return self in _UP


_RETAINED = {
    *(TopicKind.BIRTH, TopicKind.CONN, TopicKind.WANT, TopicKind.BENCH),
    *(TopicKind.BLOB, TopicKind.JOURNAL),
}
_UP = {
    *(TopicKind.BIRTH, TopicKind.CONN, TopicKind.STATUS, TopicKind.TELE, TopicKind.EVENT),
    *(TopicKind.SAMPLE, TopicKind.RSP, TopicKind.BENCH),
}
_OF_DEVICE = frozenset(TopicKind) - {TopicKind.BLOB, TopicKind.JOURNAL}


@dataclass(frozen=True, slots=True)
class Topic:
    """A parsed topic: `device` for a device's topics; `blob`, `group` and `index` for a chunk."""

    kind: TopicKind
    device: str | None = None
    blob: str | None = None
    group: int = 0
    index: int = 0


def check_device_id(device: str) -> str:
    """`device` itself. TopicError when it is not a device id or a reserved word."""
    if re.fullmatch(DEVICE_ID_PATTERN, device) is None or device in RESERVED_IDS:
        raise TopicError(
            "device id", expected=f"{DEVICE_ID_PATTERN}, none of {sorted(RESERVED_IDS)}", actual=device
        )
    return device


def blob_name(manifest: bytes) -> str:
    """Name of the blobs of a manifest digest (32 bytes): its first 16 bytes in unpadded base64url."""
    if len(manifest) != DIGEST_BYTES:
        raise TopicError(
            "manifest digest", expected=f"{DIGEST_BYTES} bytes", actual=f"{len(manifest)} bytes", hint=""
        )
    return base64.urlsafe_b64encode(manifest[:BLOB_NAME_BYTES]).rstrip(b"=").decode("ascii")


@dataclass(frozen=True, slots=True)
class Topics:
    """All topics under one prefix. TopicError when the prefix could hold wildcards or empty levels."""

    prefix: str = PREFIX

    def __post_init__(self) -> None:
        if len(self.prefix) > PREFIX_MAX or re.fullmatch(PREFIX_PATTERN, self.prefix) is None:
            raise TopicError(
                "topic prefix", expected=f"{PREFIX_PATTERN}, at most {PREFIX_MAX}", actual=self.prefix
            )

    def device(self, device: str, kind: TopicKind) -> str:
        if kind not in _OF_DEVICE:
            raise TopicError("topic of a device", expected=sorted(_OF_DEVICE), actual=kind)
        return f"{self.prefix}/{check_device_id(device)}/{kind}"

    def chunk(self, manifest: bytes, group: int, index: int) -> str:
        """Topic of one chunk of the artifact with that manifest digest."""
        if not 0 <= group <= _GROUP_MAX or not 0 <= index < GROUP_CHUNKS:
            raise TopicError(
                "chunk",
                expected=f"group 0 to {_GROUP_MAX}, index below {GROUP_CHUNKS}",
                actual=f"group {group}, index {index}",
            )
        return f"{self.prefix}/blob/{blob_name(manifest)}/{group}/{index}"

    def group_filter(self, manifest: bytes, group: int) -> str:
        """What a node subscribes to fetch one group."""
        if not 0 <= group <= _GROUP_MAX:
            raise TopicError("group", expected=f"0 to {_GROUP_MAX}", actual=group)
        return f"{self.prefix}/blob/{blob_name(manifest)}/{group}/+"

    @property
    def journal(self) -> str:
        return f"{self.prefix}/fleet/journal"

    @property
    def up_filters(self) -> tuple[str, ...]:
        """What the manager subscribes to hear every device."""
        return tuple(f"{self.prefix}/+/{kind}" for kind in TopicKind if kind.up)

    def parse(self, topic: str) -> Topic:
        """The parts of a topic. TopicError when it is none of ours."""
        head = self.prefix + "/"
        levels = topic.removeprefix(head).split("/")
        if topic.startswith(head):
            if levels == ["fleet", "journal"]:
                return Topic(TopicKind.JOURNAL)
            if len(levels) == 4 and levels[0] == "blob":
                return self._parse_chunk(topic, *levels[1:])
            if len(levels) == 2 and levels[1] in _OF_DEVICE:
                return Topic(TopicKind(levels[1]), device=check_device_id(levels[0]))
        raise TopicError("topic", expected=f"a topic under {self.prefix}", actual=topic)

    def _parse_chunk(self, topic: str, name: str, group: str, index: str) -> Topic:
        if _BLOB_NAME.fullmatch(name) and _NUMBER.fullmatch(group) and _NUMBER.fullmatch(index):
            numbers = int(group), int(index)
            if numbers[0] <= _GROUP_MAX and numbers[1] < GROUP_CHUNKS:
                return Topic(TopicKind.BLOB, blob=name, group=numbers[0], index=numbers[1])
        raise TopicError("topic", expected="blob/{22 characters}/{group}/{index}", actual=topic)
