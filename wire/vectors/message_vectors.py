"""Vectors of messages and topics. Fixed values, so that building them again gives the same bytes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import cbor2

from tinyfleet.wire.blobs import TRANSPORTED_MAX_BYTES, cut
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import (
    ArtifactKind,
    BoardState,
    ClockSource,
    ConnState,
    CoreVariant,
    Encoding,
    EnergyWindow,
    EventKind,
    PowerSource,
    Result,
    SmpDoor,
    Timing,
    UpdateState,
)
from tinyfleet.wire.messages import (
    Bench,
    BenchRun,
    Birth,
    Board,
    Capture,
    ClassPair,
    ClockReport,
    Comparison,
    ConfigChange,
    ConfigReport,
    Conn,
    Event,
    EventRule,
    Feed,
    Golden,
    Hello,
    ImageInfo,
    Journal,
    Message,
    NodeConfig,
    NodeTls,
    Replay,
    Ring,
    Sample,
    Sleep,
    SlotInfo,
    Status,
    Tele,
    TlsChange,
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
BIRTH_CONFIG = replace(
    BIRTH,
    config=ConfigReport(sequence=5, refused=6, result=Result.CONNECTION_LOST, detail="no answer in time"),
    clock=ClockReport(source=ClockSource.SNTP, unix_s=1_790_000_000),
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
TELE_LIVE = replace(
    TELE,
    seq=62,
    margin=(9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
    switches=31,
    paused=2,
    captured=5,
    skipped=U32_MAX,
)
CAPTURE = Capture(classes=(1, 3), margin_below=26, per_day=20, day_bytes=100_000)
RULE = EventRule(classes=(3,), min_score=128, windows=5, hits=3, hold_off_s=60)
SAMPLE = Sample(
    boot=3,
    seq=7,
    part=1,
    parts=2,
    uptime_ms=601_000,
    model=digest("model"),
    class_=2,
    scores=bytes((3, 100, 120, 33)),
    margin=20,
    sensor="accelerometer",
    unit="mg",
    rate_mhz=25_000,
    samples=128,
    channels=3,
    offset=640,
    data=pattern(128),
)
COMPARISON = Comparison(
    model=digest("challenger"),
    run=1,
    windows=1000,
    agreements=900,
    skipped=3,
    missed=1,
    pairs=(ClassPair(active=0, challenger=3, windows=70), ClassPair(active=2, challenger=0, windows=25)),
    rest=5,
)
TELE_SHADOW = replace(TELE_MEASURED, seq=62, shadow=COMPARISON)
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
CONFIG_TLS = replace(
    CONFIG,
    port=8883,
    tls=NodeTls(
        server="broker.tinyfleet",
        ca_name=bytes.fromhex("300d310b300906035504030c026361"),
        ca_key=b"\x04" + pattern(64),
        certificate=pattern(400),
        key=pattern(32),
        day=20_000,
    ),
)
FEED = Feed(sensor="accelerometer", unit="mg", rate_mhz=25_000, samples=128, channels=3)
CONFIG_SMP = replace(CONFIG, smp=SmpDoor.READ)
CONFIG_CHANGED = replace(CONFIG_TLS, sntp="192.168.100.255:12300", sequence=6)
CHANGE = ConfigChange(
    sequence=6,
    host="10.0.2.2",
    port=8884,
    keepalive_s=60,
    period_s=30,
    tls=TlsChange(
        server="broker.tinyfleet",
        ca_name=bytes.fromhex("300d310b300906035504030c026362"),
        ca_key=b"\x04" + pattern(64)[::-1],
        certificate=pattern(500),
        day=20_400,
    ),
    sntp="10.0.2.3",
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
HELLO_WINDOWED = replace(
    HELLO,
    window_bytes=8192,
    golden_bytes=8_388_352,
    golden_set=digest("windows"),
    load_bytes=4_147_280,
    emulated=True,
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
BENCH_ENERGY = Bench(
    seq=5,
    state=ConnState.ONLINE,
    boards=(
        Board(
            name="nrf-1",
            device_type="microbit",
            state=BoardState.READY,
            emulated=False,
            run=replace(
                BENCH_RUN,
                timing=Timing.WALL,
                energy_nj=412_350,
                energy_uncertainty_nj=3_900,
                energy_windows=500,
                energy_lost=17,
                energy_by=EnergyWindow.EDGE,
                energy_simulated=False,
                energy_accuracy=True,
                meter="PPK2 D4F1A2",
            ),
        ),
        Board(
            name="microbit-1",
            device_type="microbit",
            state=BoardState.READY,
            emulated=True,
            run=replace(
                BENCH_RUN,
                energy_nj=-5,
                energy_uncertainty_nj=2**64 - 1,
                energy_windows=1,
                energy_lost=0,
                energy_by=EnergyWindow.TIMESTAMP,
                energy_simulated=True,
                energy_accuracy=False,
                meter="simulated PPK2 SIMULATED-0001",
            ),
        ),
    ),
)
BENCH_CALIBRATED = replace(
    BENCH_ENERGY,
    boards=tuple(
        replace(board, run=replace(board.run, calibration=calibration, energy_samples=samples))
        for board, calibration, samples in zip(
            BENCH_ENERGY.boards,
            (
                "calibrated by its maker, R 1031.64/101.65/10.15/0.94/0.043 ohm",
                "made up: calibrated by its maker, R 1003.35/101.58/10.3/0.96/0.043 ohm",
            ),
            (1_254_897, 2**64 - 1),
            strict=True,
        )
        if board.run is not None
    ),
)
BENCH_RESERVED = Bench(
    seq=5,
    state=ConnState.ONLINE,
    boards=(
        Board(
            name="nrf-1",
            device_type="nrf52840-dk",
            state=BoardState.BUSY,
            emulated=False,
            probe="000683459357",
            reserved_by="ci-runner-7",
            reserved_until=1_700_000_600,
            recoveries=2,
            labels=("desk=3", "power=ppk2"),
            meter="ppk2 C9F2D1A7",
            rung="reset under connect",
        ),
        Board(
            name="microbit-1",
            device_type="microbit",
            state=BoardState.RECOVERING,
            emulated=True,
            recoveries=1,
            meter="simulated ppk2",
        ),
        Board(
            name="old-1",
            device_type="microbit",
            state=BoardState.QUARANTINED,
            emulated=False,
            detail="no rung brought it back",
            recoveries=17,
            rung="quarantine",
        ),
    ),
)

ACCEPTED: tuple[tuple[str, Message, str], ...] = (
    ("birth", BIRTH, "an emulated node with a model in slot B"),
    (
        "birth_decodes",
        replace(BIRTH, decodes=0b111, staging_bytes=2 * 1024 * 1024),
        "takes compressed artifacts and deltas",
    ),
    ("birth_bare", BIRTH_BARE, "no model, empty texts and arrays, largest boot count"),
    (
        "birth_sleeps",
        replace(BIRTH, sleep=Sleep(wake_s=3600, budget_bytes=40_000, awake_ms=20_000)),
        "a node whose radio is on once an hour",
    ),
    (
        "birth_shadow",
        replace(
            BIRTH,
            state=UpdateState.SHADOW,
            shadow=ImageInfo(image=digest("challenger"), version="2.0.0", security_counter=7, slot=0),
            shadow_bytes=65_536,
        ),
        "a challenger runs beside the model",
    ),
    ("birth_config", BIRTH_CONFIG, "one that refused a configuration and knows the time"),
    ("birth_ring", replace(BIRTH, ring=Ring(size_bytes=262_144, held=3, lost=1)), "three messages wait"),
    ("birth_via", replace(BIRTH, via="bench-1"), "a board that an agent speaks for"),
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
    ("want_sleep", Want(generation=47, sleep=Sleep(wake_s=U32_MAX)), "without budgets"),
    ("want_awake", Want(generation=48, sleep=Sleep(wake_s=0)), "stay awake"),
    ("want_trial", Want(generation=43, model=WANTED, trial=Trial(inferences=5)), "trial without limits"),
    ("want_capture", Want(generation=44, capture=CAPTURE, event_rule=RULE), "live settings alone"),
    (
        "want_capture_off",
        Want(
            generation=44,
            capture=Capture(per_day=0, day_bytes=0),
            event_rule=EventRule(min_score=0, windows=32, hits=32, hold_off_s=0),
        ),
        "any class; the longest rule",
    ),
    ("want_shadow", Want(generation=44, model=WANTED, shadow=WANTED), "a model and a challenger"),
    ("want_config", Want(generation=44, config=CHANGE), "everything that a configuration may change"),
    (
        "want_certificate",
        Want(generation=0, config=ConfigChange(sequence=7, tls=TlsChange(certificate=pattern(400)))),
        "a certificate alone, to a node that never had a want",
    ),
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
    ("tele_live", TELE_LIVE, "what a node keeps of its windows"),
    ("birth_captures", replace(BIRTH, captures=True), "a node that can send windows"),
    ("tele_kept", replace(TELE, seq=63, lost=U32_MAX, unix_s=1_700_000_000), "a ring that was full, a clock"),
    ("sample", SAMPLE, "the second part of two"),
    ("sample_bare", replace(SAMPLE, part=0, parts=1, scores=b"", margin=None, offset=0), "no scores"),
    ("feed", FEED, ""),
    ("tele_shadow", TELE_SHADOW, "with a challenger's counts"),
    ("event_inference", Event(boot=3, seq=1, kind=EventKind.INFERENCE, uptime_ms=1, class_=2, score=255), ""),
    ("event_log", Event(boot=3, seq=2, kind=EventKind.LOG, uptime_ms=2, text="größer"), "text beyond ASCII"),
    ("journal", Journal(seq=2**64 - 1, manager=pattern(16)), ""),
    ("manifest", cut(pattern(20_000)).manifest, "five sectors, the last short"),
    ("manifest_one_byte", cut(b"x").manifest, ""),
    (
        "manifest_compressed",
        cut(pattern(20_000), encoding=Encoding.COMPRESSED, image_bytes=30_000).manifest,
        "",
    ),
    (
        "manifest_delta",
        cut(pattern(700), encoding=Encoding.DELTA, image_bytes=30_000, base=digest("base")).manifest,
        "",
    ),
    ("manifest_largest", cut(pattern(TRANSPORTED_MAX_BYTES)).manifest, "512 sectors, nine chunks"),
    ("trust_one", Trust(keys=(digest("key 1"),)), ""),
    ("trust_two", Trust(keys=(digest("key 1"), digest("key 2"))), ""),
    ("config", CONFIG, ""),
    ("config_tls", CONFIG_TLS, "for a broker that asks for a certificate"),
    ("config_sleep", replace(CONFIG, sleep=Sleep(wake_s=600, awake_ms=15_000)), "a node that sleeps"),
    ("config_smp", CONFIG_SMP, "SMP over UDP may be looked at"),
    ("config_changed", CONFIG_CHANGED, "after a want changed it"),
    ("replay", REPLAY, ""),
    ("hello", HELLO, "a board with a model"),
    ("hello_windowed", HELLO_WINDOWED, "that takes several requests at once, with a golden set"),
    ("hello_ops", replace(HELLO_WINDOWED, ops=bytes([0b1111_1110, 0x03])), "that says which ops it has"),
    ("golden", GOLDEN, ""),
    ("bench", BENCH, "one board that ran, one that is gone"),
    ("bench_reserved", BENCH_RESERVED, "reserved, being brought back, and given up"),
    (
        "bench_energy",
        BENCH_ENERGY,
        "by a meter, and made up by a simulated one; net of idling may be below 0",
    ),
    ("bench_calibrated", BENCH_CALIBRATED, "the same, with the calibration and how many samples came"),
    ("bench_lost", Bench(seq=4, state=ConnState.LOST, boards=()), "as the will"),
)


def accepted() -> Iterator[tuple[Made, Message]]:
    for stem, message, note in ACCEPTED:
        kind = shape_of(type(message)).name
        yield (stem, kind, "OK", encode(message), note), message
    newer = as_map(Want(generation=44)) | {200: {0: 1, 1: [1, b"x", "y", False]}, 300: -5}
    made = ("want_unknown_keys", "want", "OK", dump(newer), "keys of a newer manager are ignored")
    yield made, Want(generation=44)
    # Nesting: the message is 1, so three more.
    yield ("want_deepest", "want", "OK", dump({0: 45, 99: [[{0: 1}]]}), "nesting of 4"), Want(generation=45)
    full = dump({0: 46, 99: bytes(4096 - 9)})
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


def as_map(message: Message) -> dict[int, object]:
    values: dict[int, object] = cbor2.loads(encode(message))
    return values


def dump(values: dict[int, object]) -> bytes:
    return cbor2.dumps(values, canonical=True)
