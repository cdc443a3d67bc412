"""What the node's executables are made of: text and RAM by part, from the linker's maps."""

from __future__ import annotations

import subprocess

from rich.console import Console
from rich.table import Table

from tests.bench.link_map import Share, shares
from tests.bench.report import ROOT, WIDTH, Figure

FIRMWARE = ROOT / "build" / "firmware"
BUILDS = {"plain": "mps2-an386", "TLS": "mps2-an386-tls"}
BOOTLOADER_BAR_BYTES = 20 * 1024
NODE_BAR_BYTES = {"plain": 64 * 1024, "TLS": 104 * 1024}
RUNTIME = "runtime"
LARGEST = 10


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


def _show_variables(title: str, elf: str) -> None:
    """The variables that RAM goes to, as `nm` has them: address, size, kind, name."""
    done = subprocess.run(
        ["arm-none-eabi-nm", "--print-size", "--size-sort", "--reverse-sort", str(FIRMWARE / elf)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("variable", min_width=38)
    table.add_column("bytes", justify="right")
    symbols = [line.split() for line in done.stdout.splitlines()]
    variables = [(words[3], int(words[1], 16)) for words in symbols if len(words) == 4 and words[2] in "bBdD"]
    for name, size in variables[:LARGEST]:
        table.add_row(name, f"{size:,}")
    Console().print(table)


def sizes() -> list[Figure]:
    """Text includes constants and initial values; RAM the models' arena, not the stack (16 KiB)."""
    boot = sum(one.flash_bytes for one in _shares("mps2-an386/ports/mps2_an386/boot.map"))
    figures = [
        Figure("bootloader: text", boot, "bytes", bar="≤ 20 KB", ok=boot <= BOOTLOADER_BAR_BYTES),
    ]
    for name, preset in BUILDS.items():
        parts = _shares(f"{preset}/apps/node/node.map")
        _show(f"The node ({name}) by part", parts)
        _show_variables(f"The node ({name}): largest variables", f"{preset}/apps/node/node.elf")
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
