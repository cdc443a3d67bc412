"""What it costs to bring a model to a node: bytes and messages, as the manager publishes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tinyfleet.wire.blobs import chunk_topics, cut

IMAGE_OVERHEAD_BYTES: Final = 316
"""Header and TLVs of a signed model image (64 + key, hashes, signature, ours), for one that is not signed
yet; signatures vary by two bytes, device types in length."""
_PUBLISH_BYTES: Final = 6
"""Of an MQTT 5 PUBLISH of up to 16 KB at QoS 1 beside topic and payload: fixed header 3, packet identifier 2,
properties 1; and 2 for the topic's length."""


@dataclass(frozen=True, slots=True)
class UpdateCost:
    """image_bytes: what a slot holds; wire_bytes: what a node receives for it, MQTT headers included, TCP and
    TLS not. is_signed: whether the image is the real one."""

    image_bytes: int
    manifest_bytes: int
    messages: int
    wire_bytes: int
    is_signed: bool


def update_cost(image: bytes | None, payload: bytes) -> UpdateCost:
    """Of a signed image, or of a payload as it will be when it is signed. BlobError above 2 MiB."""
    content = image if image is not None else payload + bytes(IMAGE_OVERHEAD_BYTES)
    blob = cut(content)
    messages = list(chunk_topics(blob))
    overhead = _PUBLISH_BYTES + 2
    return UpdateCost(
        image_bytes=len(content),
        manifest_bytes=len(blob.manifest_bytes),
        messages=len(messages),
        wire_bytes=sum(len(topic.encode()) + len(data) + overhead for topic, data in messages),
        is_signed=image is not None,
    )
