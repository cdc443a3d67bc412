"""Pictures of a plan, as text and as SVG."""

from tinyfleet.model.view.arena_svg import arena_svg
from tinyfleet.model.view.arena_text import ArenaRow, arena_rows, scale_line

__all__ = ["ArenaRow", "arena_rows", "arena_svg", "scale_line"]
