"""What the node's executables are made of: text and RAM by part, from the linker's maps."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from tests.bench.link_map import Share, shares
from tests.bench.report import ROOT, WIDTH, Figure

FIRMWARE = ROOT / "build" / "firmware"
BUILDS = {"plain": "mps2-an386", "TLS": "mps2-an386-tls"}
BOOTLOADER_BAR_BYTES = 20 * 1024
NODE_BAR_BYTES = {"plain": 64 * 1024, "TLS": 104 * 1024}
RUNTIME = "runtime"


def _shares(path: str) -> list[Share]:
    place = FIRMWARE / path
    if not place.is_file():
        raise SystemExit(f"no linker map at {place}: run `make setup`")
    return shares(place.read_text().splitlines())


def _show(title: str, parts: list[Share]) -> None:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("part")
    table.add_column("text, bytes", justify="right")
    table.add_column("RAM, bytes", justify="right")
    for one in parts:
        table.add_row(one.part, f"{one.flash_bytes:,}", f"{one.ram_bytes:,}")
    console = Console()
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)


def sizes() -> list[Figure]:
    """Text includes constants and initial values; RAM the models' arena, not the stack (16 KiB)."""
    boot = sum(one.flash_bytes for one in _shares("mps2-an386/ports/mps2_an386/boot.map"))
    figures = [
        Figure("bootloader: text", boot, "bytes", bar="≤ 20 KB", ok=boot <= BOOTLOADER_BAR_BYTES),
    ]
    for name, preset in BUILDS.items():
        parts = _shares(f"{preset}/apps/node/node.map")
        _show(f"The node ({name}) by part", parts)
        text = sum(one.flash_bytes for one in parts if one.part != RUNTIME)
        bar = NODE_BAR_BYTES[name]
        figures.append(
            Figure(
                f"node, {name}: text without the inference runtime",
                text,
                "bytes",
                bar=f"≤ {bar // 1024} KB",
                ok=text <= bar,
            )
        )
        figures += [Figure(f"node, {name}: text of {one.part}", one.flash_bytes, "bytes") for one in parts]
        figures += [
            Figure(f"node, {name}: RAM of {one.part}", one.ram_bytes, "bytes")
            for one in parts
            if one.ram_bytes
        ]
    return figures
