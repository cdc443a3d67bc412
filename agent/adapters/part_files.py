"""The files that people name: bench.yaml, firmware, models, golden sets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec, parse_bench
from tinyfleet.agent.core.bench_image import bench_image
from tinyfleet.agent.core.boards import memory_map
from tinyfleet.agent.core.errors import BenchFileError, PlanError
from tinyfleet.agent.core.flash_plan import FlashPlan, plan_flash
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.core.program import read_program
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.records import build_golden


@dataclass(frozen=True, slots=True)
class Parts:
    """What goes onto a board. `stored`: how many of the golden set's first windows its flash keeps."""

    plan: FlashPlan
    golden: GoldenSet | None
    stored: int
    model: bytes | None
    """Digest of the model's image."""

    @property
    def kept(self) -> tuple[bytes, ...]:
        """The windows that the board's flash keeps."""
        return () if self.golden is None else self.golden.windows[: self.stored]


def read_bench(path: Path) -> BenchFile:
    """Raises BenchFileError."""
    try:
        bench = parse_bench(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise BenchFileError(
            f"cannot read {path}: {error}", "name another with --bench; `tinyfleet bench scan` proposes one"
        ) from error
    # Files are named as seen from this one, wherever we were started.
    boards = tuple(_from(path.parent, board) for board in bench.boards)
    manager = None if bench.manager is None else str(path.parent / bench.manager)
    return bench.model_copy(update={"manager": manager, "boards": boards})


def _from(folder: Path, board: BoardSpec) -> BoardSpec:
    good = board.known_good
    if good is None:
        return board
    files = {name: str(folder / file) for name, file in good.model_dump(exclude_none=True).items()}
    return board.model_copy(update={"known_good": good.model_copy(update=files)})


def load_parts(
    device_type: str, *, firmware: Path | None = None, model: Path | None = None, golden: Path | None = None
) -> Parts:
    """Reads the files and plans the flash. A golden set needs its model. Raises PlanError naming the file."""
    memory = memory_map(device_type)
    app = () if firmware is None else read_program(_read(firmware), firmware.name)
    image = None if model is None else bench_image(_read(model), device_type, model.name)
    windows: GoldenSet | None = None
    region: bytes | None = None
    stored = 0
    if golden is not None:
        if image is None:
            raise PlanError(f"a golden set ({golden}) needs its model", "give the model, too")
        # Here, as numpy and the compiler of the host twin are needed for nothing else.
        from tinyfleet.agent.adapters.golden_file import load_golden

        windows = load_golden(golden, image.payload)
        stored = windows.room_for(memory)
        try:
            region = build_golden(
                b"".join(windows.windows[:stored]), windows.window_bytes, memory["golden"].size_bytes
            )
        except WireError as error:
            raise PlanError(f"{golden}: {error}", "use smaller windows") from error
    plan = plan_flash(memory, app=app, model=None if image is None else image.data, golden=region)
    return Parts(plan, windows, stored, None if image is None else image.digest)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PlanError(f"cannot read {path}: {error.strerror}", "build it first: `make setup`") from error
