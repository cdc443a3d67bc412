"""Labels: what is told of a device to who holds it, as text and QR code, for terminals and printers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.provisioning_ports import Label, LabelFiles

_MODULE_PX: Final = 4
_CHARACTER_PX: Final = 9
_LINE_PX: Final = 22


class LabelFolder:
    """`services.provisioning_ports.Labels`."""

    def __init__(self, folder: Path) -> None:
        """Raises AgentError when the library is not installed: better now than with a board half done."""
        try:
            import segno  # noqa: F401 - asked for, used below
        except ModuleNotFoundError as error:
            raise AgentError("labels need segno", "pip install 'tinyfleet[provision]'") from error
        self._folder = folder

    def write(self, label: Label) -> LabelFiles:
        import segno

        # Level M stands a scratch; the text is all there is, no address and no secret.
        code = segno.make(_text(label), error="m", micro=False)
        svg, png = (self._folder / f"{label.device}.{kind}" for kind in ("svg", "png"))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            drawn = code.svg_inline(scale=_MODULE_PX)
            width, height = code.symbol_size(scale=_MODULE_PX)
            svg.write_text(_drawing(label, drawn, int(width), int(height)), encoding="utf-8")
            code.save(str(png), scale=2 * _MODULE_PX)
        except OSError as error:
            raise AgentError(f"cannot write {svg}: {error.strerror}", "is there room?") from error
        shown = io.StringIO()
        code.terminal(out=shown, compact=True)
        return LabelFiles((svg, png), shown.getvalue())


def _text(label: Label) -> str:
    return "\n".join(f"{name}: {value}" for name, value in _lines(label))


def _lines(label: Label) -> list[tuple[str, str]]:
    lines = [
        ("device", label.device),
        ("type", label.device_type),
        ("serial", label.serial),
        ("date", label.date),
    ]
    return [*lines, ("emulated", "yes")] if label.emulated else lines


def _drawing(label: Label, code: str, width: int, height: int) -> str:
    lines = _text(label).splitlines()
    texts = "".join(
        f'<text x="{width}" y="{(number + 2) * _LINE_PX}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    wide = width + _CHARACTER_PX * (max(map(len, lines)) + 2)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{height}" '
        f'font-family="monospace" font-size="14"><rect width="100%" height="100%" fill="white"/>'
        f"{code}{texts}</svg>\n"
    )
