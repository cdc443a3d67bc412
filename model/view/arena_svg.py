"""The arena over time as SVG: ops from left to right, the arena's bytes from bottom to top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tinyfleet.model.compiler.describe import Summary
from tinyfleet.model.compiler.occupancy import Piece, Role
from tinyfleet.model.view.arena_text import round_step, shades_of, size_text

_LEFT: Final = 70
_RIGHT: Final = 150
_TOP: Final = 74
_HEIGHT: Final = 340
_ALIVE: Final = 70
_PLOT_WIDTH: Final = 900
_STEP_LEAST: Final = 15
_STEP_MOST: Final = 76
_RULES: Final = 8
_CHARACTER: Final = 6.6
"""Width of one at font size 11, at most on average."""
_SLANT: Final = 0.65
"""How deep a name hangs for its length, at 40 degrees."""
_LINE: Final = 13
_THINNEST: Final = 3
"""Pixels of the smallest block: ten bytes of scores shall still be seen."""

_STYLE: Final = """
  svg { font: 11px ui-sans-serif, system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
        --ink: #1f2933; --soft: #616e7c; --rule: #d8dee4; --paper: #ffffff; --bound: #c0392b;
        --input: #2f6f9f; --output: #b9681a; --scratch: #8a8f98; --state: #7d5a9c;
        --a0: #2f7d70; --a1: #5d8a3f; --a2: #3f7cab; --a3: #86832f; }
  @media (prefers-color-scheme: dark) {
    svg { --ink: #e4e7eb; --soft: #9aa5b1; --rule: #323f4b; --paper: #16191d; --bound: #ff7b6b; } }
  .paper { fill: var(--paper); } text { fill: var(--ink); } .soft { fill: var(--soft); }
  .title { font-size: 15px; font-weight: 600; } .rule { stroke: var(--rule); }
  .axis { stroke: var(--soft); } .inside { fill: #fff; } .end { text-anchor: end; }
  .mid { text-anchor: middle; }
  .block { stroke: var(--paper); stroke-width: 1.2; } .block:hover { stroke: var(--ink); }
  .input { fill: var(--input); } .output { fill: var(--output); } .scratch { fill: url(#hatch); }
  .state { fill: var(--state); } .a0 { fill: var(--a0); } .a1 { fill: var(--a1); } .a2 { fill: var(--a2); }
  .a3 { fill: var(--a3); } .arena { stroke: var(--ink); stroke-width: 1.5; }
  .bound { stroke: var(--bound); stroke-width: 1.3; stroke-dasharray: 5 3; }
  .boundtext { fill: var(--bound); }
  .alive { fill: var(--rule); } .peak { fill: var(--bound); opacity: .75; }
""".strip("\n")


@dataclass(frozen=True, slots=True)
class _Frame:
    """Pixels of moments and bytes."""

    names: tuple[str, ...]
    """Of the moments."""
    arena_bytes: int

    @property
    def moments(self) -> int:
        return len(self.names)

    @property
    def names_height(self) -> float:
        return 30 + _CHARACTER * _SLANT * max(map(len, self.names))

    @property
    def base(self) -> float:
        """Where the bars of living bytes stand."""
        return _TOP + _HEIGHT + self.names_height + _ALIVE

    @property
    def step(self) -> float:
        return max(_STEP_LEAST, min(_STEP_MOST, _PLOT_WIDTH / self.moments))

    @property
    def width(self) -> float:
        return self.step * self.moments

    def x(self, moment: int) -> float:
        """Left edge; -1 is the first."""
        return _LEFT + (moment + 1) * self.step

    def y(self, at: int) -> float:
        return _TOP + _HEIGHT * (1 - at / max(self.arena_bytes, 1))


def arena_svg(summary: Summary, pieces: Sequence[Piece], names: Sequence[str]) -> str:
    """One picture, readable alone. `names`: of each piece; whole in its tooltip, cut where it must be."""
    moments = ("input", *(f"{op.index} {op.name}" for op in summary.ops), "output")
    frame = _Frame(moments, summary.arena_bytes)
    width = _LEFT + frame.width + _RIGHT
    height = round(frame.base + 20)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" width="{width:.0f}" '
        f'height="{height}" role="img" aria-label="Arena over time">',
        f"<style>\n{_STYLE}\n</style>",
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="6" height="6" style="fill:var(--scratch)"/>'
        '<line y2="6" stroke="#fff" stroke-opacity=".35" stroke-width="3"/></pattern></defs>',
        f'<rect class="paper" width="{width:.0f}" height="{height}"/>',
        *_title(summary, {piece.role for piece in pieces}),
        *_grid(frame),
        *(
            _block(frame, piece, shade, name)
            for piece, shade, name in sorted(
                zip(pieces, shades_of(pieces), names, strict=True), key=lambda each: -each[0].size_bytes
            )
        ),
        *_limits(frame, summary),
        *_moments(frame),
        *_alive(frame, summary, pieces),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _title(summary: Summary, roles: set[Role]) -> list[str]:
    """What it is, and what the colours mean."""
    meta = summary.metadata
    said = f"{meta.name} {meta.version}: {summary.arena_bytes:,} bytes of arena over {len(summary.ops)} ops"
    legend, x = [], float(_LEFT)
    for role in Role:
        if role not in roles:
            continue
        kind = "a0" if role is Role.ACTIVATION else role.value
        legend.append(f'<rect class="{kind}" x="{x:.1f}" y="40" width="12" height="12" rx="2"/>')
        legend.append(f'<text class="soft" x="{x + 17:.1f}" y="50">{role.value}</text>')
        x += 17 + _CHARACTER * len(role.value) + 20
    note = f"core {summary.core.name}; every block is a piece of the arena: how long it lives, where it lies"
    return [
        f'<text class="title" x="{_LEFT}" y="25">{escape(said)}</text>',
        *legend,
        f'<text class="soft" x="{x:.1f}" y="50">{escape(note)}</text>',
    ]


def _grid(frame: _Frame) -> list[str]:
    """Rules at round byte figures."""
    step = round_step(frame.arena_bytes // _RULES)
    parts = []
    for at in range(0, frame.arena_bytes + 1, step):
        y = frame.y(at)
        parts.append(
            f'<line class="rule" x1="{_LEFT}" x2="{_LEFT + frame.width:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="soft end" x="{_LEFT - 8}" y="{y + 4:.1f}">{size_text(at)}</text>'
        )
    return parts


def _block(frame: _Frame, piece: Piece, shade: int, name: str) -> str:
    x, width = frame.x(piece.first), (piece.last - piece.first + 1) * frame.step
    height = max(frame.y(piece.offset) - frame.y(piece.end), _THINNEST)
    y = frame.y(piece.offset) - height
    kind = f"a{shade % 4}" if piece.role is Role.ACTIVATION else piece.role.value
    when = f"{_moment(piece.first)} to {_moment(piece.last)}"
    tip = f"{name}: {piece.size_bytes:,} bytes at {piece.offset:,}, alive from {when} ({piece.role.value})"
    rect = (
        f'<rect class="block {kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" '
        f'rx="2"><title>{escape(tip)}</title></rect>'
    )
    if piece.role is Role.SCRATCH:
        return rect
    return rect + _inscription(name, f"{piece.size_bytes:,} B", x, y, width, height)


def _moment(moment: int) -> str:
    return "the start" if moment < 0 else f"op {moment}"


def _inscription(name: str, size: str, x: float, y: float, width: float, height: float) -> str:
    """Name and bytes inside a block, along its longer side; what has no room is left to the tooltip."""
    upright = width < 60 and height > 1.4 * width
    along, across = (height, width) if upright else (width, height)
    letters = int((along - 8) / _CHARACTER)
    if across < _LINE or letters < 3:
        return ""
    short = name if len(name) <= letters else name[: letters - 1] + "…"
    lines = [short, size] if across >= 2.4 * _LINE and len(size) <= letters else [short]
    if len(lines) == 1 and len(name) + len(size) + 3 <= letters:
        lines = [f"{name} · {size}"]
    cx, cy = x + width / 2, y + height / 2
    turn = f' transform="rotate(-90 {cx:.1f} {cy:.1f})"' if upright else ""
    first = cy + 4 - _LINE * (len(lines) - 1) / 2
    return "".join(
        f'<text class="inside mid" x="{cx:.1f}" y="{first + i * _LINE:.1f}"{turn} pointer-events="none">'
        f"{escape(line)}</text>"
        for i, line in enumerate(lines)
    )


def _limits(frame: _Frame, summary: Summary) -> list[str]:
    """The arena's end, and the bytes below which no plan can come."""
    right = _LEFT + frame.width
    top, bound = frame.y(summary.arena_bytes), frame.y(summary.bound_bytes)
    proven = summary.bound_bytes >= summary.arena_bytes
    low = f"lower bound {summary.bound_bytes:,} B"
    words = [
        f'<text x="{right + 8:.1f}" y="{top + 4:.1f}">arena {summary.arena_bytes:,} B</text>',
        f'<text class="boundtext" x="{right + 8:.1f}" y="{max(bound, top + _LINE) + 4:.1f}">{low}</text>',
    ]
    if proven:
        words.append(
            f'<text class="soft" x="{right + 8:.1f}" y="{top + 2 * _LINE + 4:.1f}">no plan is smaller</text>'
        )
    return [
        f'<line class="arena" x1="{_LEFT}" x2="{right:.1f}" y1="{top:.1f}" y2="{top:.1f}"/>',
        f'<line class="bound" x1="{_LEFT}" x2="{right:.1f}" y1="{bound:.1f}" y2="{bound:.1f}"/>',
        *words,
    ]


def _moments(frame: _Frame) -> list[str]:
    """The ops' names under the picture."""
    bottom = _TOP + _HEIGHT
    parts = [f'<line class="axis" x1="{_LEFT}" x2="{_LEFT + frame.width:.1f}" y1="{bottom}" y2="{bottom}"/>']
    for i, name in enumerate(frame.names):
        x = frame.x(i - 1) + frame.step / 2
        parts.append(
            f'<text class="end" x="{x:.1f}" y="{bottom + 14}" transform="rotate(-40 {x:.1f} {bottom + 14})">'
            f"{escape(name)}</text>"
        )
    return parts


def _alive(frame: _Frame, summary: Summary, pieces: Sequence[Piece]) -> list[str]:
    """Bars of the bytes alive at each moment."""
    base = frame.base
    alive = [
        sum(piece.size_bytes for piece in pieces if piece.first <= moment <= piece.last)
        for moment in range(-1, len(summary.ops) + 1)
    ]
    most = max(alive, default=0)
    parts = [f'<text class="soft end" x="{_LEFT - 8}" y="{base - _ALIVE + 8:.1f}">alive</text>']
    for i, size in enumerate(alive):
        height = _ALIVE * size / max(most, 1)
        kind = "peak" if size == most else "alive"
        x = frame.x(i - 1)
        parts.append(
            f'<rect class="{kind}" x="{x + 1:.1f}" y="{base - height:.1f}" width="{frame.step - 2:.1f}" '
            f'height="{height:.1f}"><title>{_moment(i - 1)}: {size:,} bytes alive</title></rect>'
        )
    peak = alive.index(most) if alive else 0
    right = _LEFT + frame.width
    parts.append(f'<line class="axis" x1="{_LEFT}" x2="{right:.1f}" y1="{base:.1f}" y2="{base:.1f}"/>')
    x, y = right + 8, base - _ALIVE + 8
    parts.append(f'<text class="boundtext" x="{x:.1f}" y="{y:.1f}">{most:,} B alive</text>')
    parts.append(f'<text class="soft" x="{x:.1f}" y="{y + _LINE:.1f}">at most, at {_moment(peak - 1)}</text>')
    return parts
