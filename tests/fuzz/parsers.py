"""Where the searches over the firmware's parsers start from: the wire's vectors, packets and frames."""

from __future__ import annotations

import base64
import binascii
import datetime
import hashlib
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tinyfleet.wire.limits import RECORD_MAGIC
from tinyfleet.wire.unpack import pack_number

ROOT = Path(__file__).resolve().parents[2]
VECTORS = ROOT / "wire" / "vectors"
BYTES_MAX = 4200

# In the order of fuzz_wire.c.
WIRE_KINDS = (
    *("want", "manifest", "trust", "config", "replay"),
    *("record_trust", "record_config", "record_replay", "topic"),
    *("feed", "record_feed"),
)


def vectors() -> Iterator[tuple[str, str, bytes]]:
    """(name, kind, bytes) of the vectors that are taken; those refused are soon found from them."""
    for line in (VECTORS / "index.tsv").read_text().splitlines():
        folder, file, kind = line.split("\t")[:3]
        if folder != "accept":
            continue
        content = (VECTORS / folder / file).read_bytes()
        if len(content) <= BYTES_MAX:
            yield Path(file).stem, kind, content


def wire() -> Iterator[tuple[str, bytes]]:
    for name, kind, content in vectors():
        if kind in WIRE_KINDS:
            yield name, bytes([WIRE_KINDS.index(kind)]) + content


def image() -> Iterator[tuple[str, bytes]]:
    """The first byte: bit 0 firmware, bit 1 signatures wanted, then how it starts."""
    for name, kind, content in vectors():
        if kind.startswith("image"):
            firmware = kind == "image_firmware"
            yield name, bytes([1 + 4 if firmware else 0]) + content


def unpack() -> Iterator[tuple[str, bytes]]:
    """Mode, piece, length of the base, size of the image (fuzz_unpack.c), the base, what is transported."""
    folder = VECTORS / "transfer"
    base, image = (folder / "base.bin").read_bytes(), (folder / "image.bin").read_bytes()

    def made(mode: int, base: bytes, image_bytes: int, content: bytes) -> bytes:
        lengths = len(base).to_bytes(2, "little") + image_bytes.to_bytes(2, "little")
        return bytes([mode, 99]) + lengths + base + content

    yield "compressed", made(0, b"", 1000, (folder / "image_8_4.heatshrink").read_bytes()[:600])
    yield "compressed-small", made(0, b"", 400, (folder / "image_7_3.heatshrink").read_bytes()[:400])
    yield "delta", made(1, base, len(image), (folder / "base_to_image_8_7.detools").read_bytes())
    yield "delta-small", made(1, base[:500], 400, (folder / "base_to_image_8_7.detools").read_bytes()[:300])
    steps = [(b"\x01" * 20, b"extra", 7), (b"", b"", -30), (b"\x00" * 5, b"", 0)]
    plain = b"\x00" + b"".join(
        pack_number(len(diff)) + diff + pack_number(len(extra)) + extra + pack_number(by)
        for diff, extra, by in steps
    )
    yield "steps", made(3, bytes(range(60)), 30, plain)
    yield "literals", made(2, b"", 30, bytes(range(40)))


def console() -> Iterator[tuple[str, bytes]]:
    """The first byte: the size of the reader's buffer, from 128 on a whole frame's."""
    frame = _frame(1, 7, b"\x11\x00\x22\x00")
    long = _frame(3, 255, bytes(range(1, 256)) * 4)
    yield "text", b"\xffnode: running\r\n"
    yield "frame", b"\xff" + frame
    yield "frame-in-text", b"\xffhello\r\n" + frame + b"more\r\n" + frame
    yield "frame-of-runs", b"\xff" + long
    yield "frame-too-large", b"\x08" + long
    yield "frame-empty", b"\xff" + _frame(0, 0, b"")


def feed() -> Iterator[tuple[str, bytes]]:
    """Values a window less one, bytes a read less one, then parts (1, number, offset, bytes) and noise."""
    whole = bytes((1, 0, 0, 8))
    halves = bytes((1, 2, 0, 4, 1, 2, 2, 4))
    yield "windows", bytes((3, 63)) + whole + halves + bytes((1, 4, 0, 8))
    yield "numbers-wrap", bytes((3, 0)) + bytes((1, 254, 0, 8, 1, 255, 0, 8)) + whole
    yield "missing-part", bytes((3, 7)) + halves[:4] + halves + bytes((1, 6, 2, 4))
    yield "noise", bytes((3, 255)) + bytes((20,)) + b"\0text\r\n\0\0\0" + whole + bytes((1, 8, 0, 9))


def ring() -> Iterator[tuple[str, bytes]]:
    """How many commands, the commands (fuzz_ring.c), then flash in sectors of 2048: records of a ring."""

    def record(sequence: int, acknowledged: int, message: bytes | None) -> bytes:
        body = {0: sequence, 1: 3, 2: acknowledged} | ({} if message is None else {3: 1, 4: message})
        encoded = cbor2.dumps(body, canonical=True)
        head = struct.pack("<IHH", RECORD_MAGIC, 8, len(encoded)) + encoded
        head += b"\xff" * (-len(head) % 4)
        return head + struct.pack("<I", zlib.crc32(head))

    def sector(*records: bytes) -> bytes:
        return b"".join(records).ljust(2048, b"\xff")

    some = bytes([8, 0, 1, 4, 3, 0, 4, 2, 9])
    old = sector(*(record(n, 0, bytes([n] * 90)) for n in range(1, 16)))
    new = sector(*(record(n, 5, bytes([n] * 200)) for n in range(16, 20)))
    wrap = sector(*(record(n % 2**32, 2**32 - 6, b"x" * 30) for n in range(2**32 - 5, 2**32 + 5)))
    yield "empty", bytes([3, 4, 0, 1])
    yield "two-sectors", some + old + new
    yield "head-first", some + new + sector() + sector() + old
    yield "acknowledged", some + sector(record(7, 0, b"a"), record(8, 7, None))
    yield "wrap", some + wrap
    yield "torn", some + old + new[:300]
    yield "torn-first", some + old + b"TFR1" + bytes(40)


def bench() -> Iterator[tuple[str, bytes]]:
    """The first byte: bit 0 whether there is a model, then how many bytes come at once."""
    window, word = bytes(range(96)), _word  # as large as the input of the harness's model
    windows = window[::-1] + window
    digest = hashlib.sha256(windows).digest()
    hello, infer = _frame(1, 0, b""), _frame(2, 1, window)
    yield "hello", b"\x00" + hello + _frame(3, 1, b"\0\0") + _frame(30, 2, b"")
    yield "infer", b"\x01" + hello + infer + _frame(2, 3, window) + infer
    yield (
        "load-run",
        b"\x01"
        + hello
        + _frame(4, 1, word(0) + window[:60])
        + _frame(4, 2, word(60) + window[60:])
        + _frame(5, 3, word(3)),
    )
    yield (
        "store",
        b"\x21"
        + hello
        + b"".join(
            (
                *(_frame(8, 1, digest + word(2) + word(96)), _frame(10, 2, word(0) + windows)),
                *(_frame(6, 3, digest), _frame(7, 4, word(0) + word(2)), _frame(11, 5, b"")),
            )
        ),
    )
    asked = b"name%profile%timestamp%help%results%bogus%%db%db load%db load 96%"
    pieces = b"".join(b"db %s%%" % window[at : at + 31].hex().encode() for at in range(0, 96, 31))
    yield "mlperf", b"\x01" + asked + pieces + b"db print 8 1%infer 2 1%results%infer x%infer 1 -1%db zz%"
    yield "both", b"\x41name%" + hello + b"db load 96%" + infer + b"\x06\x09AAAA\n" + b"infer%"


def _word(value: int) -> bytes:
    return value.to_bytes(4, "little")


def _frame(kind: int, seq: int, body: bytes) -> bytes:
    """SPEC section 9: COBS between zeros, CRC-32 at the end."""
    raw = bytes([kind, seq]) + body
    raw += zlib.crc32(raw).to_bytes(4, "little")
    out = bytearray(b"\x00")
    runs = raw.split(b"\x00")
    for run in runs:
        while len(run) >= 254:
            out += b"\xff" + run[:254]
            run = run[254:]
        out += bytes([len(run) + 1]) + run
    return bytes(out + b"\x00")


def smp() -> Iterator[tuple[str, bytes]]:
    """The first byte: bit 0 packets instead of a console's bytes, bit 1 a door for reading (fuzz_smp.c)."""
    hello = _smp(2, 0, 0, {"d": "hello"})
    upload = {"off": 0, "data": bytes.fromhex("3db8f396") + bytes(60), "len": 5000, "image": 1}
    requests = {
        "os": (hello, _smp(0, 0, 6, {}), _smp(0, 0, 8, {"query": "mode"}), _smp(2, 0, 5, {"force": 1})),
        "images": (
            *(_smp(0, 1, 0, {}), _smp(2, 1, 1, upload | {"sha": bytes(32), "upgrade": False})),
            *(_smp(2, 1, 1, {"off": 64, "data": bytes(1000)}), _smp(2, 1, 5, {"slot": 3})),
            *(_smp(2, 1, 0, {"hash": bytes(32)}), _smp(2, 1, 0, {"hash": bytes(32), "confirm": True})),
        ),
        "statistics": (_smp(0, 2, 1, {}), _smp(0, 2, 0, {"name": "one"})),
        "version-1": (_smp(2, 0, 0, {"d": "x"}, version=0), _smp(0, 1, 0, {}, version=0)),
        "brought": (b"", b"", b"", b"", b"\0", _smp(0, 1, 0, {})),
        "interrupted": (b"", _smp(2, 1, 1, upload), b"", b"", b"", b"", b"\0"),
    }
    for name, packets in requests.items():
        joined = b"".join(len(one).to_bytes(2, "big") + one * (len(one) > 1) for one in packets)
        yield name, b"\x01" + joined
        yield f"{name}-reading", b"\x03" + joined
    long = _smp(2, 0, 0, {"d": "long" * 60})
    frame = _frame(1, 7, b"\x11\x00\x22\x00")
    yield "lines", b"\xfc" + _lines(hello) + b"text\n" + _lines(long) + frame + b"name%" + _lines(hello)
    yield "lines-in-a-small-buffer", b"\x20" + _lines(hello) + _lines(long)
    yield "lines-broken", b"\xfc\x00" + _lines(long)[:150] + frame + b"\x00db load 4%" + _lines(hello)


def _smp(op: int, group: int, command: int, body: dict[str, object], version: int = 1) -> bytes:
    encoded = cbor2.dumps(body, canonical=True)
    head = bytes([version << 3 | op, 0, *len(encoded).to_bytes(2, "big"), *group.to_bytes(2, "big")])
    return head + bytes([42, command]) + encoded


def _lines(packet: bytes) -> bytes:
    """As MCUmgr's serial transport has them: length, packet and CRC-16 in base64."""
    crc = binascii.crc_hqx(packet, 0).to_bytes(2, "big")
    encoded = base64.b64encode((len(packet) + 2).to_bytes(2, "big") + packet + crc)
    cut = [encoded[at : at + 124] for at in range(0, len(encoded), 124)]
    return b"".join((b"\x04\x14" if i else b"\x06\t") + line + b"\n" for i, line in enumerate(cut))


def mqtt() -> Iterator[tuple[str, bytes]]:
    """The first two bytes: how long pieces are, what the client does between them (fuzz_mqtt.c)."""
    connack = _packet(
        0x20, b"\x00\x00" + _properties(b"\x21\x00\x05", b"\x27\x00\x00\x10\x00", b"\x13\x00\x1e")
    )
    suback = _packet(0x90, b"\x00\x01\x00\x01\x00")
    unsuback = _packet(0xB0, b"\x00\x03\x00\x00")
    puback = _packet(0x40, b"\x00\x02")
    reasoned = _packet(0x40, b"\x00\x02\x10\x00")
    plain = _packet(0x30, _text(b"tf/1/node/want") + b"\x00" + b"payload")
    sure = _packet(0x33, _text(b"tf/1/blob/a") + b"\x00\x09" + _properties(b"\x01\x01") + bytes(300))
    empty = _packet(0x32, _text(b"t") + b"\x00\x0a\x00")
    ping = _packet(0xD0, b"")
    bye = _packet(0xE0, b"\x8b" + _properties(b"\x1f" + _text(b"going down")))
    refused = _packet(0x20, b"\x00\x87\x00")
    yield "session", b"\x00\x0f" + connack + suback + puback + unsuback + plain + sure + ping + bye
    yield "pieces", b"\x01\x08" + connack + plain + sure + empty
    yield "in-flight", b"\x00\x00" + connack + sure * 10
    yield "acknowledged", b"\x10\x0b" + connack + suback + reasoned + ping
    yield "refused", b"\x00\x00" + refused
    yield "closed", b"\x00\x00" + connack + _packet(0xE0, b"")
    yield "unasked", b"\x00\x00" + plain


def _packet(first: int, rest: bytes) -> bytes:
    return bytes([first]) + _varint(len(rest)) + rest


def _properties(*properties: bytes) -> bytes:
    joined = b"".join(properties)
    return _varint(len(joined)) + joined


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _text(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _handshake(kind: int, body: bytes) -> bytes:
    """One message in a record of its own (RFC 5246, sections 6.2 and 7.4)."""
    message = bytes([kind]) + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x03" + struct.pack(">H", len(message)) + message


def _certificate() -> bytes:
    """A broker's, of the authority that fuzz_tls.c trusts: its key is 1."""

    def name(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    server = "broker.tinyfleet"
    return (
        x509.CertificateBuilder()
        .issuer_name(name("tinyfleet"))
        .subject_name(name(server))
        .public_key(ec.derive_private_key(2, ec.SECP256R1()).public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC))
        .not_valid_after(datetime.datetime(2055, 1, 1, tzinfo=datetime.UTC))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(server)]), critical=False)
        .sign(ec.derive_private_key(1, ec.SECP256R1()), hashes.SHA256(), ecdsa_deterministic=True)
        .public_bytes(serialization.Encoding.DER)
    )


def tls() -> Iterator[tuple[str, bytes]]:
    """A server's first flight, with a certificate that is trusted and a key exchange that is not signed."""
    certificate = _certificate()
    listed = len(certificate).to_bytes(3, "big") + certificate
    hello = _handshake(2, b"\x03\x03" + bytes(range(32)) + b"\x00\xcc\xa9\x00")
    shown = _handshake(11, len(listed).to_bytes(3, "big") + listed)
    point = (
        ec.derive_private_key(3, ec.SECP256R1())
        .public_key()
        .public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    signature = b"\x04\x03\x00\x08\x30\x06\x02\x01\x01\x02\x01\x01"
    exchange = _handshake(12, b"\x03\x00\x17\x41" + point + signature)
    asks = _handshake(13, b"\x01\x40\x00\x02\x04\x03\x00\x00")
    flight = hello + shown + exchange + asks + _handshake(14, b"")
    yield "flight", b"\x00" + flight
    yield "pieces", b"\x07" + flight
    yield "hello-only", b"\x00" + hello + shown
    yield "alert", b"\x00" + b"\x15\x03\x03\x00\x02\x02\x28"


def sntp() -> Iterator[tuple[str, bytes]]:
    """An answer, one of a server that is not in step, and one that asks to be left alone."""
    nonce = bytes(range(1, 9))
    stamp = struct.pack(">II", 2_208_988_800 + 1_893_456_000, 1 << 31)
    answer = bytes([0x24, 2, 6, 0xEC]) + bytes(12) + stamp + nonce + stamp + stamp
    yield "answer", nonce + answer
    yield "not-in-step", nonce + b"\xe4" + answer[1:]
    yield "kiss", nonce + answer[:1] + b"\x00" + answer[2:]
