"""The options of a custom op: a FlexBuffers map of names to integers, read with every offset checked.

Format: flatbuffers.dev, "FlexBuffers". The last byte is the width of the root, the one before it its packed
type (type << 2 | log2 of the width of what it refers to). A map's values are preceded by their count, the
width and the offset of its sorted keys, and followed by a packed type each.
"""

from __future__ import annotations

from typing import Final

from tinyfleet.model.compiler.errors import TfliteError

_INT: Final = 1
_UINT: Final = 2
_MAP: Final = 9
_BOOL: Final = 26
_WIDTHS: Final = (1, 2, 4, 8)
_ENTRIES_MAX: Final = 64
_NAME_MAX: Final = 64


def read_map(data: bytes, where: str) -> dict[str, int]:
    """Booleans are 0 and 1. TfliteError when the bytes are no map of integers."""
    return _Reader(data, where).root()


class _Reader:
    def __init__(self, data: bytes, where: str) -> None:
        self._data = data
        self._where = f"{where}, custom options"

    def root(self) -> dict[str, int]:
        size = len(self._data)
        if size < 3:
            raise TfliteError(self._where, expected="a map of 3 bytes and more", actual=f"{size} bytes")
        width, packed = self._data[-1], self._data[-2]
        if width not in _WIDTHS or packed >> 2 != _MAP:
            raise TfliteError(self._where, expected="a map", actual=f"type {packed >> 2}, width {width}")
        at = size - 2 - width
        return self._map(at - self._number(at, width), _WIDTHS[packed & 3])

    def _map(self, at: int, width: int) -> dict[str, int]:
        """The map whose values of `width` bytes begin at `at`."""
        count = self._number(at - width, width)
        keys_width = self._number(at - 2 * width, width)
        keys_slot = at - 3 * width
        if count > _ENTRIES_MAX or keys_width not in _WIDTHS:
            raise TfliteError(
                self._where,
                expected=f"at most {_ENTRIES_MAX} entries, keys of width 1 to 8",
                actual=(count, keys_width),
            )
        keys = keys_slot - self._number(keys_slot, width)
        found: dict[str, int] = {}
        for i in range(count):
            slot = keys + i * keys_width
            name = self._name(slot - self._number(slot, keys_width))
            kind = self._number(at + count * width + i, 1) >> 2
            if kind not in (_INT, _UINT, _BOOL):
                raise TfliteError(f"{self._where}, {name}", expected="an integer", actual=f"type {kind}")
            found[name] = self._number(at + i * width, width, signed=kind == _INT)
        return found

    def _number(self, at: int, width: int, *, signed: bool = False) -> int:
        if at < 0 or at + width > len(self._data):
            raise TfliteError(
                f"{self._where}, byte {at}", expected=f"{width} bytes", actual=f"a map of {len(self._data)}"
            )
        return int.from_bytes(self._data[at : at + width], "little", signed=signed)

    def _name(self, at: int) -> str:
        end = self._data.find(b"\0", max(at, 0), at + _NAME_MAX) if at >= 0 else -1
        if end < 0:
            raise TfliteError(
                f"{self._where}, byte {at}",
                expected=f"a name of at most {_NAME_MAX - 1} bytes",
                actual="none",
            )
        return self._data[at:end].decode("ascii", "backslashreplace")
