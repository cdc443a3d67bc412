"""Vectors of bytes that are no message, or not the one they stand for."""

from __future__ import annotations

from collections.abc import Iterator

import cbor2

from tinyfleet.wire.blobs import TRANSPORTED_MAX_BYTES, cut
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Conn, Journal, Message, Trial, Trust, Want
from tinyfleet.wire.table import shape_of
from tinyfleet.wire.vectors.message_vectors import (
    BIRTH,
    CAPTURE,
    CHANGE,
    CONFIG,
    CONFIG_TLS,
    FEED,
    HELLO,
    REPLAY,
    RULE,
    SAMPLE,
    STATUS,
    TELE,
    TELE_SHADOW,
    WANTED,
    Made,
    as_map,
    digest,
    dump,
    pattern,
)


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
        "too_deep": (dump({0: 1, 99: [[[[]]]]}), "nesting of 5"),
        "too_large": (dump({0: 1, 99: bytes(4096 - 7)}), "4097 bytes"),
    }
    for name, (data, note) in rows.items():
        yield f"cbor_{name}", "want", "CborError", data, note


def _not_the_message() -> Iterator[Made]:
    def make(stem: str, message: Message, error: str, note: str, **changes: object) -> Made:
        """`message` with keys replaced: k5=… sets key 5, None removes it."""
        values = as_map(message)
        for name, value in changes.items():
            key = int(name.removeprefix("k"))
            if value is None:
                del values[key]
            else:
                values[key] = value
        return stem, shape_of(type(message)).name, error, dump(values), note

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
    yield make("want_sleep_empty", want, "MissingKey", "no wake period", k11={1: 5})
    yield make("want_sleep_array", want, "WrongType", "", k11=[60])
    yield make("want_shadow_true", want, "WrongType", "true is no artifact", k9=True)
    yield make("want_trial_empty", want, "MissingKey", "", k6={})
    live = Want(generation=42, capture=CAPTURE, event_rule=RULE)
    capture, rule = (cbor2.loads(encode(live))[key] for key in (8, 13))
    yield make("want_capture_number", live, "WrongType", "", k8=1)
    yield make("want_capture_no_budget", live, "MissingKey", "", k8={2: 1})
    yield make("want_capture_no_class", live, "OutOfBounds", "an empty list", k8=capture | {0: []})
    yield make("want_capture_classes", live, "OutOfBounds", "17 classes", k8=capture | {0: [1] * 17})
    yield make("want_capture_class", live, "OutOfBounds", "class 256", k8=capture | {0: [256]})
    yield make("want_capture_margin", live, "OutOfBounds", "256", k8=capture | {1: 256})
    yield make("want_rule_empty", live, "MissingKey", "", k13={})
    yield make("want_rule_windows", live, "OutOfBounds", "of 33 windows", k13=rule | {2: 33})
    yield make("want_rule_no_window", live, "OutOfBounds", "of no window", k13=rule | {2: 0})
    yield make("want_rule_no_hit", live, "OutOfBounds", "", k13=rule | {3: 0})
    yield make("feed_no_unit", FEED, "MissingKey", "", k1=None)
    yield make("sample_no_part", SAMPLE, "OutOfBounds", "part 1 of 0", k3=0)
    yield make("sample_no_data", SAMPLE, "OutOfBounds", "", k15=b"")
    yield make("sample_long_data", SAMPLE, "OutOfBounds", "3073 bytes", k15=bytes(3073))
    new = Want(generation=42, config=CHANGE)
    change = cbor2.loads(encode(new))[10]
    yield make("want_config_array", new, "WrongType", "", k10=[])
    no_sequence = {k: v for k, v in change.items() if k != 0}
    yield make("want_config_sequence", new, "MissingKey", "", k10=no_sequence)
    yield make("want_config_host", new, "OutOfBounds", "a name", k10=change | {1: "broker.local"})
    yield make("want_config_port", new, "OutOfBounds", "", k10=change | {2: 65_536})
    yield make("want_config_sntp", new, "OutOfBounds", "256 in an address", k10=change | {6: "10.0.2.256"})
    certificate = change | {5: {3: bytes(1025)}}
    yield make("want_config_certificate", new, "OutOfBounds", "1025 bytes", k10=certificate)
    yield make("want_config_ca_key", new, "OutOfBounds", "64 bytes", k10=change | {5: {2: bytes(64)}})
    yield make("want_config_ca_name", new, "OutOfBounds", "1 byte", k10=change | {5: {1: b"x"}})
    yield make("manifest_no_sectors", manifest, "MissingKey", "", k4=None)
    yield make("manifest_encoding", manifest, "BlobError", "a delta without a base", k1=2)
    yield make("manifest_encoding_3", manifest, "OutOfBounds", "no encoding", k1=3)
    yield make(
        "manifest_compressed_base", manifest, "BlobError", "compressed, yet a base", k1=1, k2=bytes(32)
    )
    yield make("manifest_compressed_nothing", manifest, "BlobError", "installs nothing", k1=1, k3=0)
    yield make("manifest_raw_base", manifest, "BlobError", "RAW, yet a base", k2=bytes(32))
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
    tls = cbor2.loads(encode(CONFIG_TLS))[10]
    yield make("config_tls_array", CONFIG_TLS, "WrongType", "", k10=[])
    no_key = {k: v for k, v in tls.items() if k != 4}
    yield make("config_tls_no_key", CONFIG_TLS, "MissingKey", "", k10=no_key)
    yield make("config_tls_ca_key", CONFIG_TLS, "OutOfBounds", "64 bytes", k10=tls | {2: bytes(64)})
    yield make("config_tls_ca_name", CONFIG_TLS, "OutOfBounds", "129 bytes", k10=tls | {1: bytes(129)})
    yield make("config_tls_certificate", CONFIG_TLS, "OutOfBounds", "1025 bytes", k10=tls | {3: bytes(1025)})
    yield make("config_tls_key", CONFIG_TLS, "OutOfBounds", "33 bytes", k10=tls | {4: bytes(33)})
    yield make("config_tls_server", CONFIG_TLS, "OutOfBounds", "", k10=tls | {0: ""})
    yield make("config_sntp", CONFIG, "OutOfBounds", "no name service on a node", k11="time.local")
    yield make("config_sntp_port", CONFIG, "OutOfBounds", "65536", k11="10.0.2.2:65536")
    yield make("config_sntp_zeros", CONFIG, "OutOfBounds", "one spelling", k11="10.0.2.2:0123")
    yield make("config_sntp_colon", CONFIG, "OutOfBounds", "no port", k11="10.0.2.2:")
    yield make("config_sequence", CONFIG, "OutOfBounds", "2^32", k12=2**32)
    yield make("replay_samples", REPLAY, "OutOfBounds", "", k3=65_536)
    yield make("conn_state", Conn(boot=1, conn=1, state=ConnState.ONLINE), "OutOfBounds", "state 4", k2=4)
    yield make("birth_device_type", BIRTH, "OutOfBounds", "33 bytes", k5="d" * 33)
    yield make("birth_result", BIRTH, "OutOfBounds", "result 10", k4=10)
    yield make("birth_slots", BIRTH, "OutOfBounds", "five slots", k9=[{0: 1, 1: 0, 2: 0}] * 5)
    yield make("birth_clock", BIRTH, "OutOfBounds", "source 4", k28={0: 4})
    yield make("birth_config", BIRTH, "MissingKey", "", k27={})
    yield make("birth_via", BIRTH, "OutOfBounds", "a space", k31="bench 1")
    yield make("birth_emulated", BIRTH, "WrongType", "1 is no boolean", k20=1)
    yield make("status_detail", STATUS, "OutOfBounds", "97 bytes", k7="d" * 97)
    yield make("tele_latency", TELE, "OutOfBounds", "14 buckets", k7=[0] * 14)
    yield make("tele_classes", TELE, "OutOfBounds", "65 classes", k6=[0] * 65)
    yield make("tele_count", TELE, "OutOfBounds", "2^32 in a bucket", k7=[2**32] + [0] * 14)
    shadow = cbor2.loads(encode(TELE_SHADOW))[22]
    pairs, disagreements = [{0: 0, 1: 1, 2: 1}] * 17, [{0: 256, 1: 0, 2: 1}]
    yield make("tele_pairs", TELE_SHADOW, "OutOfBounds", "17 pairs", k22=shadow | {6: pairs})
    yield make("tele_pair_class", TELE_SHADOW, "OutOfBounds", "class 256", k22=shadow | {6: disagreements})
    yield make("journal_manager", Journal(seq=1, manager=bytes(16)), "OutOfBounds", "", k1=bytes(15))
    yield make("hello_core", HELLO, "OutOfBounds", "core 3", k9=3)
