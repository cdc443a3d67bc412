"""The message table (SPEC sections 3, 8 and 9): the one source of keys, types and bounds.

`codec.py` encodes and decodes these classes; `generate.py` writes the CDDL and the C header from them. A
field with a default of None is optional and absent when None. Texts are bounded in UTF-8 bytes. Counters are
u32 and wrap.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

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
from tinyfleet.wire.limits import (
    BENCH_MAX_BYTES,
    BOARD_LABELS_MAX,
    BOARDS_MAX,
    CONFIDENCE_BUCKETS,
    DEVICE_ID_MAX,
    DEVICE_ID_PATTERN,
    LATENCY_BUCKETS,
    MANIFEST_MAX_BYTES,
    MARGIN_BUCKETS,
    MESSAGE_MAX_BYTES,
    PREFIX_MAX,
    PREFIX_PATTERN,
    RULE_WINDOWS_MAX,
    SAMPLE_DATA_MAX,
    SECTOR_HASH_BYTES,
    SECTORS_MAX,
)
from tinyfleet.wire.table import I64, U8, U16, U32, U64, Digest, Key, Pattern, Range, Size, message

IPV4_PATTERN = r"(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])){3}"
SNTP_PATTERN = (
    IPV4_PATTERN
    + r"(:([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]))?"
)


@message("image_info", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class ImageInfo:
    """What runs, as birth reports it. No digest: an image that was never signed (a bench build)."""

    image: Annotated[Digest | None, Key(0)] = None
    version: Annotated[str, Size(0, 32), Key(1)]
    security_counter: Annotated[U32, Key(2)]
    name: Annotated[str | None, Size(0, 32), Key(3)] = None
    slot: Annotated[U8 | None, Key(4)] = None


@message("slot_info", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class SlotInfo:
    """A flash area for an artifact. No digest: empty or not verified."""

    kind: Annotated[ArtifactKind, Key(0)]
    index: Annotated[U8, Key(1)]
    size_bytes: Annotated[U32, Key(2)]
    image: Annotated[Digest | None, Key(3)] = None


@message("sleep", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Sleep:
    """When a node's radio is on: once in `wake_s` seconds (0: always), each time for at most `awake_ms` and
    `budget_bytes`, IP bytes both ways.
    """

    wake_s: Annotated[U32, Key(0)]
    budget_bytes: Annotated[U32 | None, Key(1)] = None
    awake_ms: Annotated[U32 | None, Key(2)] = None


@message("config_report", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigReport:
    """Which configuration a node uses, and the last one that it did not keep, with the reason."""

    sequence: Annotated[U32, Key(0)]
    refused: Annotated[U32 | None, Key(1)] = None
    result: Annotated[Result | None, Key(2)] = None
    detail: Annotated[str | None, Size(0, 96), Key(3)] = None


@message("clock_report", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReport:
    """What a node knows of the time of day; `unix_s` is absent while that is nothing."""

    source: Annotated[ClockSource, Key(0)]
    unix_s: Annotated[U64 | None, Key(1)] = None


@message("ring", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """Telemetry and events that wait for the broker: room in flash, messages that wait, and messages lost
    since the ring was new.
    """

    size_bytes: Annotated[U32, Key(0)]
    held: Annotated[U32, Key(1)]
    lost: Annotated[U32, Key(2)]


@message("birth", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What a node is and runs; sent at every connect and change, retained. `via`: the agent that speaks for
    it, as it has no network."""

    boot: Annotated[U32, Key(0)]
    seq: Annotated[U32, Key(1)]
    generation: Annotated[U32, Key(2)]
    state: Annotated[UpdateState, Key(3)]
    result: Annotated[Result, Key(4)]
    device_type: Annotated[str, Size(0, 32), Key(5)]
    hw_rev: Annotated[str, Size(0, 16), Key(6)]
    firmware: Annotated[ImageInfo, Key(7)]
    model: Annotated[ImageInfo | None, Key(8)] = None
    slots: Annotated[tuple[SlotInfo, ...], Size(0, 4), Key(9)]
    abi: Annotated[U16, Key(10)]
    ops: Annotated[bytes, Size(0, 32), Key(11)]
    arena_bytes: Annotated[U32, Key(12)]
    golden_bytes: Annotated[U32, Key(13)]
    period_s: Annotated[U32, Key(14)]
    power: Annotated[PowerSource, Key(15)]
    sensor: Annotated[str, Size(0, 32), Key(16)]
    timing: Annotated[Timing, Key(17)]
    core: Annotated[CoreVariant, Key(18)]
    uptime_ms: Annotated[U64, Key(19)]
    emulated: Annotated[bool, Key(20)]
    decodes: Annotated[U8 | None, Key(21)] = None
    staging_bytes: Annotated[U32 | None, Key(22)] = None
    shadow: Annotated[ImageInfo | None, Key(23)] = None
    shadow_bytes: Annotated[U32 | None, Key(24)] = None
    sleep: Annotated[Sleep | None, Key(25)] = None
    ring: Annotated[Ring | None, Key(26)] = None
    config: Annotated[ConfigReport | None, Key(27)] = None
    clock: Annotated[ClockReport | None, Key(28)] = None
    captures: Annotated[bool | None, Key(29)] = None
    via: Annotated[str | None, Size(1, DEVICE_ID_MAX), Pattern(DEVICE_ID_PATTERN), Key(31)] = None


@message("conn", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Conn:
    """Evidence about a connection, retained; the will is the same message with state LOST."""

    boot: Annotated[U32, Key(0)]
    conn: Annotated[U32, Key(1)]
    state: Annotated[ConnState, Key(2)]
    next_wake_s: Annotated[U32 | None, Key(3)] = None


@message("wanted", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class WantedArtifact:
    """An artifact that should run: `image` is what is installed, `manifest` addresses its blobs."""

    image: Annotated[Digest, Key(0)]
    manifest: Annotated[Digest, Key(1)]
    version: Annotated[str, Size(0, 32), Key(2)]
    groups: Annotated[U16, Key(3)]
    size_bytes: Annotated[U32, Key(4)]


@message("trial", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a trial must show before the node confirms."""

    inferences: Annotated[U32, Key(0)]
    latency_us: Annotated[U32 | None, Key(1)] = None
    energy_uj: Annotated[U32 | None, Key(2)] = None


@message("capture", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Which raw windows a node sends up: of these classes (None: any) whose margin is below (None: any), at
    most `per_day` windows and `day_bytes` bytes of them in 24 hours. `per_day` 0: none."""

    classes: Annotated[tuple[U8, ...] | None, Size(1, 16), Key(0)] = None
    margin_below: Annotated[U8 | None, Key(1)] = None
    per_day: Annotated[U32, Key(2)]
    day_bytes: Annotated[U32, Key(3)]


@message("event_rule", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class EventRule:
    """When a class is worth an event: seen in `hits` of the last `windows` windows with at least `min_score`
    (in 1/256), `hold_off_s` after the event before. `classes` None: any."""

    classes: Annotated[tuple[U8, ...] | None, Size(1, 16), Key(0)] = None
    min_score: Annotated[U8, Key(1)]
    windows: Annotated[int, Range(1, RULE_WINDOWS_MAX), Key(2)]
    hits: Annotated[int, Range(1, RULE_WINDOWS_MAX), Key(3)]
    hold_off_s: Annotated[U32, Key(4)]


@message("tls_change", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class TlsChange:
    """What changes of `tls` in a configuration, under its keys. A private key never travels: no 4."""

    server: Annotated[str | None, Size(1, 64), Key(0)] = None
    ca_name: Annotated[bytes | None, Size(2, 128), Key(1)] = None
    ca_key: Annotated[bytes | None, Size(65, 65), Key(2)] = None
    certificate: Annotated[bytes | None, Size(1, 1024), Key(3)] = None
    day: Annotated[U32 | None, Key(5)] = None


@message("config_change", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """A configuration as what differs from the one in use. What is absent stays as it is."""

    sequence: Annotated[U32, Key(0)]
    host: Annotated[str | None, Size(7, 64), Pattern(IPV4_PATTERN), Key(1)] = None
    port: Annotated[U16 | None, Key(2)] = None
    keepalive_s: Annotated[U16 | None, Key(3)] = None
    period_s: Annotated[U32 | None, Key(4)] = None
    tls: Annotated[TlsChange | None, Key(5)] = None
    sntp: Annotated[str | None, Size(7, 64), Pattern(SNTP_PATTERN), Key(6)] = None


@message("want", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Desired state, retained. An absent artifact: keep the one you run; an absent `shadow`: run none."""

    generation: Annotated[U32, Key(0)]
    firmware: Annotated[WantedArtifact | None, Key(1)] = None
    model: Annotated[WantedArtifact | None, Key(2)] = None
    not_before: Annotated[U64 | None, Key(3)] = None
    deadline: Annotated[U64 | None, Key(4)] = None
    min_battery_pct: Annotated[U8 | None, Key(5)] = None
    trial: Annotated[Trial | None, Key(6)] = None
    period_s: Annotated[U32 | None, Key(7)] = None
    capture: Annotated[Capture | None, Key(8)] = None
    shadow: Annotated[WantedArtifact | None, Key(9)] = None
    config: Annotated[ConfigChange | None, Key(10)] = None
    sleep: Annotated[Sleep | None, Key(11)] = None
    event_rule: Annotated[EventRule | None, Key(13)] = None


@message("transfer", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a download cost the node, counted at the node."""

    elapsed_ms: Annotated[U32, Key(0)]
    mqtt_rx_bytes: Annotated[U32, Key(1)]
    mqtt_tx_bytes: Annotated[U32, Key(2)]
    ip_rx_bytes: Annotated[U32, Key(3)]
    ip_tx_bytes: Annotated[U32, Key(4)]


@message("status", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A step of an update."""

    boot: Annotated[U32, Key(0)]
    seq: Annotated[U32, Key(1)]
    generation: Annotated[U32, Key(2)]
    state: Annotated[UpdateState, Key(3)]
    result: Annotated[Result, Key(4)]
    offset_bytes: Annotated[U32, Key(5)]
    size_bytes: Annotated[U32, Key(6)]
    detail: Annotated[str | None, Size(0, 96), Key(7)] = None
    transfer: Annotated[Transfer | None, Key(8)] = None
    kind: Annotated[ArtifactKind | None, Key(9)] = None


@message("class_pair", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class ClassPair:
    """Windows of which the active model said one class and its challenger another."""

    active: Annotated[U8, Key(0)]
    challenger: Annotated[U8, Key(1)]
    windows: Annotated[U32, Key(2)]


@message("comparison", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Counters cumulative since (boot, run) began. `windows` = `agreements` + all of `pairs` + `rest`."""

    model: Annotated[Digest, Key(0)]
    run: Annotated[U32, Key(1)]
    windows: Annotated[U32, Key(2)]
    agreements: Annotated[U32, Key(3)]
    skipped: Annotated[U32, Key(4)]
    missed: Annotated[U32, Key(5)]
    pairs: Annotated[tuple[ClassPair, ...], Size(0, 16), Key(6)]
    rest: Annotated[U32, Key(7)]


@message("tele", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Tele:
    """Counters cumulative since (boot, epoch) began. What was not measured is absent, never zero."""

    boot: Annotated[U32, Key(0)]
    epoch: Annotated[U32, Key(1)]
    seq: Annotated[U32, Key(2)]
    uptime_ms: Annotated[U64, Key(3)]
    model: Annotated[Digest, Key(4)]
    inferences: Annotated[U32, Key(5)]
    classes: Annotated[tuple[U32, ...], Size(0, 64), Key(6)]
    latency: Annotated[tuple[U32, ...], Size(LATENCY_BUCKETS, LATENCY_BUCKETS), Key(7)]
    latency_sum_us: Annotated[U64, Key(8)]
    confidence: Annotated[tuple[U32, ...], Size(CONFIDENCE_BUCKETS, CONFIDENCE_BUCKETS), Key(9)]
    dropped: Annotated[U32, Key(10)]
    energy_uj: Annotated[U64 | None, Key(11)] = None
    battery_mv: Annotated[U32 | None, Key(12)] = None
    temperature_mc: Annotated[I64 | None, Key(13)] = None
    rssi_dbm: Annotated[I64 | None, Key(14)] = None
    margin: Annotated[tuple[U32, ...] | None, Size(MARGIN_BUCKETS, MARGIN_BUCKETS), Key(15)] = None
    switches: Annotated[U32 | None, Key(16)] = None
    paused: Annotated[U32 | None, Key(17)] = None
    captured: Annotated[U32 | None, Key(18)] = None
    skipped: Annotated[U32 | None, Key(19)] = None
    lost: Annotated[U32 | None, Key(20)] = None
    unix_s: Annotated[U64 | None, Key(21)] = None
    shadow: Annotated[Comparison | None, Key(22)] = None


@message("event", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing worth telling. `score` is the top score scaled to 0..255."""

    boot: Annotated[U32, Key(0)]
    seq: Annotated[U32, Key(1)]
    kind: Annotated[EventKind, Key(2)]
    uptime_ms: Annotated[U64, Key(3)]
    class_: Annotated[U8 | None, Key(4)] = None
    score: Annotated[U8 | None, Key(5)] = None
    text: Annotated[str | None, Size(0, 128), Key(6)] = None
    model: Annotated[Digest | None, Key(7)] = None


@message("sample", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A raw window that `want.capture` asked for, or a part of it: `data` from byte `offset` on of i16
    little-endian [samples][channels] in `unit`. `scores` of the classes and `margin` in 1/256.

    `data` is hidden in repr() and to_json(): raw windows are private, and a message may end up in a log.
    """

    boot: Annotated[U32, Key(0)]
    seq: Annotated[U32, Key(1)]
    part: Annotated[U8, Key(2)]
    parts: Annotated[int, Range(1, 255), Key(3)]
    uptime_ms: Annotated[U64, Key(4)]
    model: Annotated[Digest, Key(5)]
    class_: Annotated[U8, Key(6)]
    scores: Annotated[bytes, Size(0, 64), Key(7)]
    margin: Annotated[U8 | None, Key(8)] = None
    sensor: Annotated[str, Size(0, 32), Key(9)]
    unit: Annotated[str, Size(0, 8), Key(10)]
    rate_mhz: Annotated[U32, Key(11)]
    samples: Annotated[U16, Key(12)]
    channels: Annotated[U16, Key(13)]
    offset: Annotated[U32, Key(14)]
    data: Annotated[bytes, Size(1, SAMPLE_DATA_MAX), Key(15)] = field(repr=False)


@message("journal", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """The manager's last retained publish; `manager` is the identity of its database."""

    seq: Annotated[U64, Key(0)]
    manager: Annotated[bytes, Size(16, 16), Key(1)]


@message("manifest", section="3", max_bytes=MANIFEST_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Content of chunk group 0. `sectors` holds 16 bytes of SHA-256 for each 4096 transported bytes."""

    size_bytes: Annotated[U32, Key(0)]
    encoding: Annotated[Encoding, Key(1)]
    base: Annotated[Digest | None, Key(2)] = None
    image_bytes: Annotated[U32, Key(3)]
    sectors: Annotated[bytes, Size(0, SECTORS_MAX * SECTOR_HASH_BYTES), Key(4)]


@message("trust", section="8", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """SHA-256 of the DER of each trusted signing key."""

    keys: Annotated[tuple[Digest, ...], Size(1, 2), Key(0)]


@message("tls", section="8", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTls:
    """What a node shows to its broker, and what it asks of it. The key is hidden in repr() and to_json().

    `ca_name` is the DER of the authority's subject, `ca_key` its P-256 point (uncompressed), `key` the
    node's P-256 scalar, big-endian. `day`, since 1970-01-01, is what a node without a clock takes for today.
    """

    server: Annotated[str, Size(1, 64), Key(0)]
    ca_name: Annotated[bytes, Size(2, 128), Key(1)]
    ca_key: Annotated[bytes, Size(65, 65), Key(2)]
    certificate: Annotated[bytes, Size(1, 1024), Key(3)]
    key: Annotated[bytes, Size(32, 32), Key(4)] = field(repr=False)
    day: Annotated[U32, Key(5)]


@message("config", section="8", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Who a node is and which broker it speaks to. `seed` feeds the node's random numbers.

    Password and seed are hidden in repr() and to_json(): a configuration may end up in a log. `sequence`
    numbers what a `want` changed since provisioning (absent: 0); `sntp` is asked for the time.
    """

    device: Annotated[str, Size(1, DEVICE_ID_MAX), Pattern(DEVICE_ID_PATTERN), Key(0)]
    host: Annotated[str, Size(7, 64), Pattern(IPV4_PATTERN), Key(1)]
    port: Annotated[U16, Key(2)]
    user: Annotated[str, Size(0, 48), Key(3)]
    password: Annotated[bytes, Size(0, 64), Key(4)] = field(repr=False)
    prefix: Annotated[str, Size(1, PREFIX_MAX), Pattern(PREFIX_PATTERN), Key(5)]
    keepalive_s: Annotated[U16, Key(6)]
    seed: Annotated[bytes, Size(32, 32), Key(7)] = field(repr=False)
    period_s: Annotated[U32, Key(8)]
    window_ms: Annotated[U32 | None, Key(9)] = None
    tls: Annotated[NodeTls | None, Key(10)] = None
    sntp: Annotated[str | None, Size(7, 64), Pattern(SNTP_PATTERN), Key(11)] = None
    sequence: Annotated[U32 | None, Key(12)] = None
    sleep: Annotated[Sleep | None, Key(13)] = None
    smp: Annotated[SmpDoor | None, Key(14)] = None


@message("replay", section="8", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """Describes recorded windows, i16 little-endian [windows][samples][channels] in `unit`."""

    sensor: Annotated[str, Size(0, 32), Key(0)]
    unit: Annotated[str, Size(0, 8), Key(1)]
    rate_mhz: Annotated[U32, Key(2)]
    samples: Annotated[U16, Key(3)]
    channels: Annotated[U16, Key(4)]
    windows: Annotated[U32, Key(5)]


@message("feed", section="8", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """Describes the windows that come over a node's sample line. Stands where a replay record would."""

    sensor: Annotated[str, Size(0, 32), Key(0)]
    unit: Annotated[str, Size(0, 8), Key(1)]
    rate_mhz: Annotated[U32, Key(2)]
    samples: Annotated[U16, Key(3)]
    channels: Annotated[U16, Key(4)]


@message("golden", section="8", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """Describes the windows of a golden set kept on a bench board, each the model's input as it stands."""

    windows: Annotated[U32, Key(0)]
    window_bytes: Annotated[U32, Key(1)]
    digest: Annotated[Digest, Key(2)]


@message("bench_run", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class BenchRun:
    """What a golden set gave on a board. `labelled` windows have a known class, `correct` of them it named;
    `compared` windows have expected output bytes, `different` of them gave others.

    Keys 12 to 19 are there together, or none is: energy of an inference without idling, its standard
    uncertainty (with the meter's accuracy, if `energy_accuracy`), from so many windows, so many samples lost.
    `energy_simulated`: a made-up figure of a simulated meter. `calibration`: as the meter tells it;
    `energy_samples`: that came. Agents of an earlier version tell neither.
    """

    model: Annotated[Digest, Key(0)]
    version: Annotated[str, Size(0, 32), Key(1)]
    windows: Annotated[U32, Key(2)]
    labelled: Annotated[U32, Key(3)]
    correct: Annotated[U32, Key(4)]
    compared: Annotated[U32, Key(5)]
    different: Annotated[U32, Key(6)]
    latency_median_us: Annotated[U32, Key(7)]
    latency_max_us: Annotated[U32, Key(8)]
    timing: Annotated[Timing, Key(9)]
    finished: Annotated[U64, Key(10)]
    golden: Annotated[Digest | None, Key(11)] = None
    energy_nj: Annotated[I64 | None, Key(12)] = None
    energy_uncertainty_nj: Annotated[U64 | None, Key(13)] = None
    energy_windows: Annotated[U32 | None, Key(14)] = None
    energy_lost: Annotated[U32 | None, Key(15)] = None
    energy_by: Annotated[EnergyWindow | None, Key(16)] = None
    energy_simulated: Annotated[bool | None, Key(17)] = None
    energy_accuracy: Annotated[bool | None, Key(18)] = None
    meter: Annotated[str | None, Size(1, 48), Key(19)] = None
    calibration: Annotated[str | None, Size(0, 72), Key(20)] = None
    energy_samples: Annotated[U64 | None, Key(21)] = None


@message("board", section="3", max_bytes=MESSAGE_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A board on an agent's bench, and its last bench run.

    `reserved_by` holds it until `reserved_until` (unix s). `recoveries`: how often it was brought back;
    `rung`: what was tried last for that. `labels` are `name=value` (nesting is bounded, so no maps). `meter`
    measures it; its text begins with "simulated" when its figures are made up.
    """

    name: Annotated[str, Size(1, 32), Key(0)]
    device_type: Annotated[str, Size(0, 32), Key(1)]
    state: Annotated[BoardState, Key(2)]
    emulated: Annotated[bool, Key(3)]
    probe: Annotated[str | None, Size(0, 64), Key(4)] = None
    detail: Annotated[str | None, Size(0, 96), Key(5)] = None
    run: Annotated[BenchRun | None, Key(6)] = None
    reserved_by: Annotated[str | None, Size(1, 32), Key(7)] = None
    reserved_until: Annotated[U64 | None, Key(8)] = None
    recoveries: Annotated[U32 | None, Key(9)] = None
    labels: Annotated[
        tuple[Annotated[str, Size(3, 65)], ...] | None,
        Size(1, BOARD_LABELS_MAX),
        Key(10),
    ] = None
    meter: Annotated[str | None, Size(1, 48), Key(11)] = None
    rung: Annotated[str | None, Size(1, 32), Key(12)] = None


@message("bench", section="3", max_bytes=BENCH_MAX_BYTES)
@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """What an agent has. As its will: the same boards, with state LOST."""

    seq: Annotated[U32, Key(0)]
    state: Annotated[ConnState, Key(1)]
    boards: Annotated[tuple[Board, ...], Size(0, BOARDS_MAX), Key(2)]


@message("hello", section="9", max_bytes=1024)
@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """A bench board's answer on its console. No model image: the board has none.

    window_bytes: of requests that may be under way at once; absent: one request at a time. golden_bytes: room
    for golden sets; golden_set: the one selected. load_bytes: the largest input that LOAD takes. ops: as in
    birth.
    """

    app: Annotated[str, Size(0, 32), Key(0)]
    device_type: Annotated[str, Size(0, 32), Key(1)]
    model: Annotated[Digest | None, Key(2)] = None
    version: Annotated[str | None, Size(0, 32), Key(3)] = None
    input_bytes: Annotated[U32, Key(4)]
    output_bytes: Annotated[U32, Key(5)]
    golden: Annotated[U32, Key(6)]
    arena_bytes: Annotated[U32, Key(7)]
    abi: Annotated[U16, Key(8)]
    core: Annotated[CoreVariant, Key(9)]
    window_bytes: Annotated[U32 | None, Key(10)] = None
    golden_bytes: Annotated[U32 | None, Key(11)] = None
    golden_set: Annotated[Digest | None, Key(12)] = None
    load_bytes: Annotated[U32 | None, Key(13)] = None
    emulated: Annotated[bool | None, Key(14)] = None
    ops: Annotated[bytes | None, Size(0, 32), Key(15)] = None


Message = (
    Birth
    | Conn
    | Want
    | Status
    | Tele
    | Event
    | Journal
    | Manifest
    | Trust
    | NodeConfig
    | Replay
    | Feed
    | Sample
    | Golden
    | Hello
    | Bench
)
MESSAGES: tuple[type[Message], ...] = (
    *(Birth, Conn, Want, Status, Tele, Event, Sample, Journal, Manifest),
    *(Trust, NodeConfig, Replay, Feed, Golden),
    *(Hello, Bench),
)
STRUCTS: tuple[type, ...] = (
    *(ImageInfo, SlotInfo, Sleep, Ring, WantedArtifact, Trial, Capture, EventRule, Transfer),
    *(ClassPair, Comparison),
    *(Board, BenchRun, NodeTls),
    *(ConfigReport, ClockReport, ConfigChange, TlsChange),
)
