from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.wire.errors import TopicError
from tinyfleet.wire.topics import Topic, TopicKind, Topics, blob_name, check_device_id

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,48}", fullmatch=True).filter(lambda text: text not in ("blob", "fleet"))
OF_DEVICE = sorted(set(TopicKind) - {TopicKind.BLOB, TopicKind.JOURNAL})


@given(device=IDS, kind=st.sampled_from(OF_DEVICE))
def test_device_topics_there_and_back(device: str, kind: TopicKind) -> None:
    topics = Topics()
    assert topics.parse(topics.device(device, kind)) == Topic(kind, device=device)


@given(manifest=st.binary(min_size=32, max_size=32), group=st.integers(0, 65_535), index=st.integers(0, 15))
def test_chunks_there_and_back(manifest: bytes, group: int, index: int) -> None:
    topics = Topics("farm/7")
    topic = topics.chunk(manifest, group, index)
    assert topics.parse(topic) == Topic(TopicKind.BLOB, blob=blob_name(manifest), group=group, index=index)
    assert topic.rsplit("/", 1)[0] + "/+" == topics.group_filter(manifest, group)
    assert base64.urlsafe_b64decode(blob_name(manifest) + "==") == manifest[:16]


@given(
    text=st.text() | st.text(alphabet="tf1/blobeventwa+#$0129", max_size=40).map(lambda text: "tf/1/" + text)
)
def test_any_text_is_refused_or_is_the_one_spelling(text: str) -> None:
    topics = Topics()
    try:
        topic = topics.parse(text)
    except TopicError:
        return
    if topic.device is not None:
        assert topics.device(topic.device, topic.kind) == text
    elif topic.kind is TopicKind.JOURNAL:
        assert text == topics.journal
    else:
        assert text == f"tf/1/blob/{topic.blob}/{topic.group}/{topic.index}"


@pytest.mark.parametrize(
    "device", ["", "blob", "fleet", "a" * 49, "a/b", "+", "#", "$SYS", "a b", "ä", "a\n", "a\0"]
)
def test_device_ids_that_are_none(device: str) -> None:
    with pytest.raises(TopicError):
        check_device_id(device)
    with pytest.raises(TopicError):
        Topics().device(device, TopicKind.WANT)


@pytest.mark.parametrize("prefix", ["", "/", "tf/", "/tf", "tf//1", "tf/+", "tf/#", "tf/1\n", "x" * 17])
def test_prefixes_that_are_none(prefix: str) -> None:
    with pytest.raises(TopicError):
        Topics(prefix)


def test_chunks_out_of_range() -> None:
    for group, index in ((-1, 0), (65_536, 0), (0, -1), (0, 16)):
        with pytest.raises(TopicError):
            Topics().chunk(bytes(32), group, index)
    with pytest.raises(TopicError):
        Topics().group_filter(bytes(32), -1)
    with pytest.raises(TopicError):
        Topics().chunk(bytes(16), 0, 0)
    with pytest.raises(TopicError):
        Topics().device("n", TopicKind.BLOB)


def test_what_is_retained_and_what_goes_up() -> None:
    assert {kind for kind in TopicKind if kind.retained} == {
        "birth",
        "conn",
        "want",
        "bench",
        "blob",
        "journal",
    }
    assert {kind for kind in TopicKind if not kind.up} == {"want", "cmd", "blob", "journal"}
    assert "tf/1/+/birth" in Topics().up_filters and "tf/1/+/want" not in Topics().up_filters
