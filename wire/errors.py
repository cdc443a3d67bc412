"""What can be wrong with bytes or values that cross the wire.

    WireError
    ├── CborError            not the deterministic CBOR of SPEC section 1
    ├── MessageError         CBOR, but not this message (names the key)
    │   ├── MissingKey
    │   ├── WrongType
    │   └── OutOfBounds
    ├── TopicError           not a topic of SPEC section 2
    ├── BlobError            manifest, chunks or sectors that do not add up (section 5)
    │   └── SectorMismatch
    ├── ImageError           an image a node would refuse (section 7); carries the node's Result
    │   ├── ImageFormatError
    │   ├── ImageDigestError
    │   ├── ImageSignatureError
    │   ├── ImageMismatch
    │   └── ImageDowngrade
    ├── RecordError          a flash record or region (section 8)
    ├── ArtifactError        a model payload (`artifact.py`, defined there)
    └── FrameError           a console frame (`frame.py`, defined there)

A caller's own bug (a value that cannot be encoded because code is wrong) is also reported with this tree: the
encoder runs the decoder's checks, so nothing invalid leaves a process.
"""

from __future__ import annotations

from typing import ClassVar

from tinyfleet.wire.enums import Result

_SHOWN = 80


def shown(value: object) -> str:
    """A short printable form of a hostile value: control characters escaped, long values cut."""
    text = value if isinstance(value, str) else repr(value)
    text = text.encode("unicode_escape").decode("ascii")
    return text if len(text) <= _SHOWN else text[:_SHOWN] + f"… ({len(text)} characters)"


class WireError(Exception):
    """Root of the tree. `where` says which part of the input, `expected` and `actual` what differed; `what`
    is that as a sentence, without advice."""

    hint: ClassVar[str] = ""

    def __init__(self, where: str, *, expected: object, actual: object, hint: str | None = None) -> None:
        self.where = where
        self.expected = expected
        self.actual = actual
        advice = self.hint if hint is None else hint
        self.what = f"{where}: expected {shown(expected)}, got {shown(actual)}"
        super().__init__(f"{self.what}; {advice}" if advice else self.what)


class CborError(WireError):
    hint = "the sender must use deterministic CBOR as SPEC section 1 says"


class MessageError(WireError):
    """`where` is message.field (key n)."""

    hint = "compare the sender's version with SPEC section 3"


class MissingKey(MessageError):
    pass


class WrongType(MessageError):
    pass


class OutOfBounds(MessageError):
    pass


class TopicError(WireError):
    hint = "topics are listed in SPEC section 2"


class BlobError(WireError):
    hint = "publish the artifact again"


class SectorMismatch(BlobError):
    """A sector's hash differs from the manifest's; a node drops the sector and reports INTEGRITY."""

    def __init__(self, sector: int, *, expected: str, actual: str) -> None:
        self.sector = sector
        super().__init__(f"sector {sector}", expected=f"SHA-256 prefix {expected}", actual=actual)


class ImageError(WireError):
    """`result` is what a node reports for the same bytes."""

    result: ClassVar[Result] = Result.UPDATE_FAILED
    hint = "sign the image again as SPEC section 7 says"


class ImageFormatError(ImageError):
    """Header or TLV areas that do not add up: nothing behind them can be trusted, so INTEGRITY."""

    result = Result.INTEGRITY


class ImageDigestError(ImageError):
    result = Result.INTEGRITY


class ImageSignatureError(ImageError):
    result = Result.SIGNATURE
    hint = "sign it with a key whose hash stands in the device's trust record"


class ImageMismatch(ImageError):
    """Another kind, device type, core or ABI than the device has."""

    result = Result.UNSUPPORTED_TYPE
    hint = "build the artifact for this device type"


class ImageDowngrade(ImageError):
    result = Result.DOWNGRADE
    hint = "the security counter never goes down; release with the current counter"


class RecordError(WireError):
    hint = "provision the device again"
