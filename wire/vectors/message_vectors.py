"""Vectors of messages and topics. Fixed values, so that building them again gives the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import cbor2

from tinyfleet.wire.blobs import TRANSPORTED_MAX_BYTES, cut
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import (
    ArtifactKind,
    BoardState,
    ConnState,
    CoreVariant,
    EventKind,
    PowerSource,
    Result,
    Timing,
    UpdateState,
)
from tinyfleet.wire.messages import (
    Bench,
    BenchRun,
    Birth,
    Board,
    Conn,
    Event,
    Golden,
    Hello,
    ImageInfo,
    Journal,
    Message,
    NodeConfig,
    Replay,
    SlotInfo,
    Status,
    Tele,
    Transfer,
    Trial,
    Trust,
    Want,
    WantedArtifact,
)
from tinyfleet.wire.table import shape_of
from tinyfleet.wire.topics import Topics, blob_name

Made = tuple[str, str, str, bytes, str]
"""file stem, kind, expected, bytes, note"""

U32_MAX = 0xFFFF_FFFF


def digest(seed: str) -> bytes:
    return hashlib.sha256(seed.encode()).digest()


def pattern(size: int) -> bytes:
    """Bytes without a short period."""
    return b"".join(hashlib.sha256(i.to_bytes(4, "little")).digest() for i in range(-(-size // 32)))[:size]


FIRMWARE = ImageInfo(version="0.1.0", security_counter=0)
MODEL = ImageInfo(image=digest("model"), version="1.2.3+4", security_counter=7, name="activity", slot=1)
WANTED = WantedArtifact(
    image=digest("model"), manifest=digest("manifest"), version="1.2.3", groups=7, size_bytes=100_000
)
BIRTH = Birth(
    boot=3,
    seq=1,
    generation=41,
    state=UpdateState.CONFIRMED,
    result=Result.SUCCESS,
    device_type="mps2-an386",
    hw_rev="qemu",
    firmware=FIRMWARE,
    model=MODEL,
    slots=(
        SlotInfo(kind=ArtifactKind.MODEL, index=0, size_bytes=2 * 1024 * 1024),
        SlotInfo(kind=ArtifactKind.MODEL, index=1, size_bytes=2 * 1024 * 1024, image=digest("model")),
    ),
    abi=1,
    ops=bytes([0b1111_1110, 0x03]),
    arena_bytes=131_072,
    golden_bytes=65_536,
    period_s=10,
    power=PowerSource.MAINS,
    sensor="replay",
    timing=Timing.INSTRUCTIONS,
    core=CoreVariant.PORTABLE,
    uptime_ms=2**33,
    emulated=True,
)
BIRTH_BARE = Birth(
    boot=U32_MAX,
    seq=0,
    generation=0,
    state=UpdateState.IDLE,
    result=Result.INITIAL,
    device_type="",
    hw_rev="",
    firmware=FIRMWARE,
    slots=(),
    abi=0,
    ops=b"",
    arena_bytes=0,
    golden_bytes=0,
    period_s=0,
    power=PowerSource.USB,
    sensor="",
    timing=Timing.WALL,
    core=CoreVariant.MVE,
    uptime_ms=0,
    emulated=False,
)
STATUS = Status(
    boot=3,
    seq=9,
    generation=41,
    state=UpdateState.VERIFIED,
    result=Result.SUCCESS,
    offset_bytes=100_000,
    size_bytes=100_000,
    detail="verified",
    transfer=Transfer(
        elapsed_ms=1500, mqtt_rx_bytes=103_000, mqtt_tx_bytes=600, ip_rx_bytes=112_000, ip_tx_bytes=8_000
    ),
)
TELE = Tele(
    boot=3,
    epoch=2,
    seq=60,
    uptime_ms=600_000,
    model=digest("model"),
    inferences=U32_MAX,
    classes=(23, 24, 255, 256),
    latency=(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 65_536),
    latency_sum_us=2**40,
    confidence=(0, 0, 0, 1, 2, 3, 5, 8, 13, 21),
    dropped=4,
)
TELE_MEASURED = Tele(
    boot=3,
    epoch=2,
    seq=61,
    uptime_ms=610_000,
    model=digest("model"),
    inferences=0,
    classes=(),
    latency=(0,) * 15,
    latency_sum_us=0,
    confidence=(0,) * 10,
    dropped=0,
    energy_uj=123_456_789_012,
    battery_mv=3700,
    temperature_mc=-12_500,
    rssi_dbm=-70,
)
CONFIG = NodeConfig(
    device="node-1",
    host="127.0.0.1",
    port=1883,
    user="node-1",
    password=b"vector password",
    prefix="tf/1",
    keepalive_s=30,
    seed=pattern(32),
    period_s=5,
    window_ms=250,
)
REPLAY = Replay(sensor="accelerometer", unit="mg", rate_mhz=25_000, samples=4, channels=3, windows=2)
HELLO = Hello(
    app="bench",
    device_type="microbit",
    model=digest("model"),
    version="1.2.3",
    input_bytes=384,
    output_bytes=4,
    golden=16,
    arena_bytes=8192,
    abi=1,
    core=CoreVariant.PORTABLE,
)
GOLDEN = Golden(windows=3, window_bytes=12, digest=digest("windows"))
BENCH_RUN = BenchRun(
    model=digest("model"),
    version="1.2.3",
    windows=500,
    labelled=500,
    correct=483,
    compared=500,
    different=0,
    latency_median_us=13_400,
    latency_max_us=13_401,
    timing=Timing.INSTRUCTIONS,
    finished=1_700_000_000,
    golden=digest("windows"),
)
BENCH = Bench(
    seq=4,
    state=ConnState.ONLINE,
    boards=(
        Board(
            name="microbit-1",
            device_type="microbit",
            state=BoardState.READY,
            emulated=True,
            probe="qemu-microbit-0001",
            run=BENCH_RUN,
        ),
        Board(
            name="spare", device_type="microbit", state=BoardState.ABSENT, emulated=False, detail="no probe"
        ),
    ),
)

ACCEPTED: tuple[tuple[str, Message, str], ...] = (
    ("birth", BIRTH, "an emulated node with a model in slot B"),
    ("birth_bare", BIRTH_BARE, "no model, empty texts and arrays, largest boot count"),
    ("conn_online", Conn(boot=3, conn=2, state=ConnState.ONLINE), ""),
    ("conn_asleep", Conn(boot=3, conn=2, state=ConnState.ASLEEP, next_wake_s=3600), ""),
    ("conn_lost", Conn(boot=3, conn=2, state=ConnState.LOST), "as the will"),
    ("want_empty", Want(generation=1), "generation alone"),
    ("want_model", Want(generation=42, model=WANTED), ""),
    (
        "want_full",
        Want(
            generation=U32_MAX,
            firmware=WANTED,
            model=WANTED,
            not_before=1_700_000_000,
            deadline=2**64 - 1,
            min_battery_pct=30,
            trial=Trial(inferences=20, latency_us=50_000, energy_uj=900),
            period_s=5,
        ),
        "every key",
    ),
    ("want_trial", Want(generation=43, model=WANTED, trial=Trial(inferences=5)), "trial without limits"),
    ("status", STATUS, "with transfer figures"),
    (
        "status_refused",
        Status(
            boot=3,
            seq=10,
            generation=42,
            state=UpdateState.FAILED,
            result=Result.SIGNATURE,
            offset_bytes=0,
            size_bytes=100_000,
        ),
        "",
    ),
    ("tele", TELE, "what an emulator can know"),
    ("tele_measured", TELE_MEASURED, "with meter, battery, negative temperature"),
    ("event_inference", Event(boot=3, seq=1, kind=EventKind.INFERENCE, uptime_ms=1, class_=2, score=255), ""),
    ("event_log", Event(boot=3, seq=2, kind=EventKind.LOG, uptime_ms=2, text="größer"), "text beyond ASCII"),
    ("journal", Journal(seq=2**64 - 1, manager=pattern(16)), ""),
    ("manifest", cut(pattern(20_000)).manifest, "five sectors, the last short"),
    ("manifest_one_byte", cut(b"x").manifest, ""),
    ("manifest_largest", cut(pattern(TRANSPORTED_MAX_BYTES)).manifest, "512 sectors, nine chunks"),
    ("trust_one", Trust(keys=(digest("key 1"),)), ""),
    ("trust_two", Trust(keys=(digest("key 1"), digest("key 2"))), ""),
    ("config", CONFIG, ""),
    ("replay", REPLAY, ""),
    ("hello", HELLO, "a board with a model"),
    ("golden", GOLDEN, ""),
    ("bench", BENCH, "one board that ran, one that is gone"),
    ("bench_lost", Bench(seq=4, state=ConnState.LOST, boards=()), "as the will"),
)


def accepted() -> Iterator[tuple[Made, Message]]:
    for stem, message, note in ACCEPTED:
        kind = shape_of(type(message)).name
        yield (stem, kind, "OK", encode(message), note), message
    newer = _map(Want(generation=44)) | {8: {0: 1, 1: [1, b"x", "y", False]}, 300: -5}
    made = ("want_unknown_keys", "want", "OK", _dump(newer), "keys of a newer manager are ignored")
    yield made, Want(generation=44)
    # Nesting: the message is 1, so three more.
    yield ("want_deepest", "want", "OK", _dump({0: 45, 99: [[{0: 1}]]}), "nesting of 4"), Want(generation=45)
    full = _dump({0: 46, 99: bytes(4096 - 9)})
    yield ("want_largest", "want", "OK", full, f"{len(full)} bytes"), Want(generation=46)


def topics() -> Iterator[tuple[str, Made]]:
    """(accept or reject, vector): the bytes are the topic."""
    under = Topics()
    good = {
        "topic_birth": "tf/1/node-1/birth",
        "topic_chunk": under.chunk(digest("manifest"), 12, 15),
        "topic_journal": under.journal,
        "topic_bench": "tf/1/agent-1/bench",
    }
    bad = {
        "topic_prefix": "tf/2/node-1/birth",
        "topic_reserved": "tf/1/fleet/birth",
        "topic_leaf": "tf/1/node-1/births",
        "topic_wildcard": "tf/1/+/birth",
        "topic_long_id": f"tf/1/{'n' * 49}/birth",
        "topic_leading_zero": under.chunk(digest("manifest"), 1, 1)[:-1] + "01",
        "topic_index": under.chunk(digest("manifest"), 1, 1)[:-1] + "16",
        "topic_name_bits": under.chunk(digest("manifest"), 1, 1)
        .replace("/1/1", "")
        .removesuffix(blob_name(digest("manifest"))[-1])
        + "B/1/1",
        "topic_name": under.chunk(digest("manifest"), 1, 1).replace("/1/1", "A/1/1"),
    }
    for stem, text in good.items():
        yield "accept", (stem, "topic", "OK", text.encode(), "")
    for stem, text in bad.items():
        yield "reject", (stem, "topic", "TopicError", text.encode(), "")


def rejected() -> Iterator[Made]:
    yield from _not_deterministic()
    yield from _not_the_message()


def _not_deterministic() -> Iterator[Made]:
    """Bytes that are no message whatever their keys mean; `want`, because nodes read it."""
    rows: dict[str, tuple[bytes, str]] = {
        "empty": (b"", "an empty want means something else and is not decoded"),
        "not_a_map": (b"\x01", "an integer alone"),
        "array": (b"\x81\x01", "an array alone"),
        "long_integer": (b"\xa1\x00\x18\x01", "1 in two bytes"),
        "long_key": (b"\xa1\x18\x00\x01", "key 0 in two bytes"),
        "long_length": (b"\xb8\x01\x00\x01", "map length in two bytes"),
        "long_64": (b"\xa1\x00\x1b\x00\x00\x00\x00\x00\x00\x00\x01", "1 in nine bytes"),
        "indefinite_map": (b"\xbf\x00\x01\xff", ""),
        "indefinite_bytes": (b"\xa2\x00\x01\x18\x63\x5f\x41\x78\xff", "under an unknown key"),
        "descending": (b"\xa2\x07\x05\x00\x01", "key 7 before key 0"),
        "duplicate": (b"\xa2\x00\x01\x00\x02", "key 0 twice"),
        "negative_key": (b"\xa2\x00\x01\x20\x01", "key -1"),
        "text_key": (b"\xa2\x00\x01\x61\x61\x01", "key 'a'"),
        "float": (b"\xa2\x00\x01\x18\x63\xf9\x3c\x00", "1.0 under an unknown key"),
        "null": (b"\xa2\x00\x01\x18\x63\xf6", ""),
        "undefined": (b"\xa2\x00\x01\x18\x63\xf7", ""),
        "simple": (b"\xa2\x00\x01\x18\x63\xe0", "simple value 0"),
        "break": (b"\xa2\x00\x01\x18\x63\xff", "a break without a beginning"),
        "tag": (b"\xa2\x00\x01\x18\x63\xc0\x61\x78", "tag 0 under an unknown key"),
        "bignum": (b"\xa1\x00\xc2\x41\x01", "1 as a bignum"),
        "reserved_head": (b"\xa1\x00\x1c", "additional information 28"),
        "below_i64": (b"\xa2\x00\x01\x18\x63\x3b" + b"\xff" * 8, "-2^64 under an unknown key"),
        "bad_utf8": (b"\xa2\x00\x01\x18\x63\x62\xc3\x28", ""),
        "overlong_utf8": (b"\xa2\x00\x01\x18\x63\x62\xc0\x80", "NUL in two bytes"),
        "surrogate_utf8": (b"\xa2\x00\x01\x18\x63\x63\xed\xa0\x80", ""),
        "trailing": (b"\xa1\x00\x01\x00", "one byte after the message"),
        "truncated_head": (b"\xa1\x00\x19\x01", ""),
        "truncated_bytes": (b"\xa2\x00\x01\x18\x63\x44abc", ""),
        "truncated_map": (b"\xa2\x00\x01", "one pair of two"),
        "huge_array": (b"\xa2\x00\x01\x18\x63\x9b" + b"\xff" * 8, "2^64-1 items"),
        "huge_map": (b"\xbb" + b"\xff" * 8, "2^64-1 pairs"),
        "huge_bytes": (b"\xa2\x00\x01\x18\x63\x5a\xff\xff\xff\xff", "4 GiB"),
        "too_deep": (_dump({0: 1, 99: [[[[]]]]}), "nesting of 5"),
        "too_large": (_dump({0: 1, 99: bytes(4096 - 7)}), "4097 bytes"),
    }
    for name, (data, note) in rows.items():
        yield f"cbor_{name}", "want", "CborError", data, note


def _not_the_message() -> Iterator[Made]:
    def make(stem: str, message: Message, error: str, note: str, **changes: object) -> Made:
        """`message` with keys replaced: k5=… sets key 5, None removes it."""
        values = _map(message)
        for name, value in changes.items():
            key = int(name.removeprefix("k"))
            if value is None:
                del values[key]
            else:
                values[key] = value
        return stem, shape_of(type(message)).name, error, _dump(values), note

    want = Want(generation=42, model=WANTED, trial=Trial(inferences=5))
    wanted = cbor2.loads(encode(want))[2]
    manifest = cut(pattern(20_000)).manifest
    yield make("want_no_generation", want, "MissingKey", "", k0=None)
    yield make("want_text_generation", want, "WrongType", "", k0="42")
    yield make("want_bool_generation", want, "WrongType", "true is no integer", k0=True)
    yield make("want_negative_generation", want, "OutOfBounds", "", k0=-1)
    yield make("want_large_generation", want, "OutOfBounds", "2^32", k0=2**32)
    yield make("want_model_array", want, "WrongType", "", k2=[])
    yield make(
        "want_model_no_manifest", want, "MissingKey", "", k2={k: v for k, v in wanted.items() if k != 1}
    )
    yield make("want_short_digest", want, "OutOfBounds", "31 bytes", k2=wanted | {0: bytes(31)})
    yield make("want_long_digest", want, "OutOfBounds", "33 bytes", k2=wanted | {1: bytes(33)})
    yield make("want_text_digest", want, "WrongType", "", k2=wanted | {0: "0" * 32})
    yield make("want_long_version", want, "OutOfBounds", "33 bytes", k2=wanted | {2: "é" * 16 + "x"})
    yield make("want_groups", want, "OutOfBounds", "65536 groups", k2=wanted | {3: 65_536})
    yield make("want_battery", want, "OutOfBounds", "256 %", k5=256)
    yield make("want_trial_empty", want, "MissingKey", "", k6={})
    yield make("manifest_no_sectors", manifest, "MissingKey", "", k4=None)
    yield make("manifest_encoding", manifest, "OutOfBounds", "2 is reserved", k1=2)
    yield make("manifest_base", manifest, "OutOfBounds", "16 bytes", k2=bytes(16))
    yield make("manifest_few_sectors", manifest, "BlobError", "four hashes for five sectors", k4=bytes(64))
    yield make("manifest_odd_sectors", manifest, "BlobError", "79 bytes", k4=bytes(79))
    yield make("manifest_nothing", manifest, "BlobError", "size 0", k0=0, k3=0, k4=b"")
    yield make("manifest_too_long", manifest, "BlobError", "above 2 MiB", k0=TRANSPORTED_MAX_BYTES + 1)
    yield make("manifest_raw_sizes", manifest, "BlobError", "RAW, yet another installed size", k3=20_001)
    yield make("trust_none", Trust(keys=(digest("key 1"),)), "OutOfBounds", "no key", k0=[])
    yield make("trust_three", Trust(keys=(digest("key 1"),)), "OutOfBounds", "", k0=[bytes(32)] * 3)
    yield make("config_device", CONFIG, "OutOfBounds", "a topic level more", k0="node/1")
    yield make("config_host", CONFIG, "OutOfBounds", "256 in an address", k1="127.0.0.256")
    yield make("config_host_name", CONFIG, "OutOfBounds", "no name service on a node", k1="localhost")
    yield make("config_port", CONFIG, "OutOfBounds", "", k2=65_536)
    yield make("config_seed", CONFIG, "OutOfBounds", "31 bytes", k7=bytes(31))
    yield make("config_no_password", CONFIG, "MissingKey", "", k4=None)
    yield make("replay_samples", REPLAY, "OutOfBounds", "", k3=65_536)
    yield make("conn_state", Conn(boot=1, conn=1, state=ConnState.ONLINE), "OutOfBounds", "state 4", k2=4)
    yield make("birth_device_type", BIRTH, "OutOfBounds", "33 bytes", k5="d" * 33)
    yield make("birth_result", BIRTH, "OutOfBounds", "result 10", k4=10)
    yield make("birth_slots", BIRTH, "OutOfBounds", "five slots", k9=[{0: 1, 1: 0, 2: 0}] * 5)
    yield make("birth_emulated", BIRTH, "WrongType", "1 is no boolean", k20=1)
    yield make("status_detail", STATUS, "OutOfBounds", "97 bytes", k7="d" * 97)
    yield make("tele_latency", TELE, "OutOfBounds", "14 buckets", k7=[0] * 14)
    yield make("tele_classes", TELE, "OutOfBounds", "65 classes", k6=[0] * 65)
    yield make("tele_count", TELE, "OutOfBounds", "2^32 in a bucket", k7=[2**32] + [0] * 14)
    yield make("journal_manager", Journal(seq=1, manager=bytes(16)), "OutOfBounds", "", k1=bytes(15))
    yield make("hello_core", HELLO, "OutOfBounds", "core 3", k9=3)


def _map(message: Message) -> dict[int, object]:
    values: dict[int, object] = cbor2.loads(encode(message))
    return values


def _dump(values: dict[int, object]) -> bytes:
    return cbor2.dumps(values, canonical=True)
