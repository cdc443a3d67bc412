"""The files that people name: bench.yaml, firmware, models, golden sets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from tinyfleet.agent.core.bench_file import BenchFile, BoardSpec, parse_bench
from tinyfleet.agent.core.bench_image import runnable_image
from tinyfleet.agent.core.boards import Layout, layout_of, memory_map, node_map
from tinyfleet.agent.core.errors import BenchFileError, PlanError
from tinyfleet.agent.core.flash_plan import NodePlan, plan_flash
from tinyfleet.agent.core.golden import GoldenSet
from tinyfleet.agent.core.part_plan import plan_part
from tinyfleet.agent.core.program import FileKind, Segment, kind_of, read_program
from tinyfleet.agent.core.signed_image import SignedImage, any_image, signed_image
from tinyfleet.agent.core.ways import PART_LABEL, Plan, SmpPlan, ToolPlan, Way, tool_run, way_of
from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.records import build_golden

FILE_LIMIT_BYTES = 256 * 1024 * 1024
"""Debug information makes an ELF large; more than this is no firmware (a device file never ends)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """What people name for a board. `address` is where firmware without addresses of its own lies; `slot` is
    a node's; None: the one that it starts."""

    firmware: Path | None = None
    model: Path | None = None
    golden: Path | None = None
    address: int | None = None
    slot: str | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What goes onto a board. `stored`: how many of the golden set's first windows its flash keeps."""

    plan: Plan
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
            f"cannot read {path}: {_why(error)}",
            "name another with --bench; `tinyfleet bench scan` proposes one",
        ) from error
    # Files are named as seen from this one, wherever we were started.
    boards = tuple(_from(path.parent, board) for board in bench.boards)
    manager = None if bench.manager is None else str(path.parent / bench.manager)
    return bench.model_copy(update={"manager": manager, "boards": boards})


def _why(error: OSError | UnicodeDecodeError) -> str:
    if isinstance(error, UnicodeDecodeError):
        return f"no UTF-8 text at byte {error.start}"
    return error.strerror or str(error)


def _from(folder: Path, board: BoardSpec) -> BoardSpec:
    good = board.known_good
    if good is None:
        return board
    files = {name: str(folder / file) for name, file in good.model_dump(exclude_none=True).items()}
    return board.model_copy(update={"known_good": good.model_copy(update=files)})


def load_for(spec: BoardSpec, files: Files, *, way: Way | None = None, layout: Layout | None = None) -> Parts:
    """Reads the files and plans how this board gets them. Raises PlanError naming the file, or
    NoSuchBoardError when the board cannot be reached in that way."""
    match way_of(spec, way):
        case Way.SMP:
            confirm = layout_of(spec.device_type) is Layout.PART or spec.device is not None
            return _without_golden(files, SmpPlan(_signed(spec.device_type, files), confirm))
        case Way.COMMAND:
            return _without_golden(files, _tool_plan(spec, files))
    signed = files.firmware is not None and kind_of(_read(files.firmware)) is FileKind.IMAGE
    match layout or layout_of(spec.device_type, signed_firmware=signed):
        case Layout.NODE:
            return _without_golden(files, _node_plan(spec, files))
        case Layout.PART:
            return _without_golden(files, _part_plan(spec, files))
    return load_parts(
        spec.device_type,
        firmware=files.firmware,
        model=files.model,
        golden=files.golden,
        address=files.address,
        part=spec.labels.get(PART_LABEL),
    )


def load_parts(
    device_type: str,
    *,
    firmware: Path | None = None,
    model: Path | None = None,
    golden: Path | None = None,
    address: int | None = None,
    part: str | None = None,
) -> Parts:
    """For a bench board and its probe: reads the files and plans the flash. A golden set needs its model.
    Raises PlanError naming the file."""
    memory = memory_map(device_type)
    app = () if firmware is None else read_program(_read(firmware), firmware.name, address)
    image = None if model is None else runnable_image(_read(model), device_type, model.name)
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
    plan = plan_flash(memory, app=app, model=None if image is None else image.data, golden=region, part=part)
    return Parts(plan, windows, stored, None if image is None else image.digest)


def node_firmware(path: Path, device_types: Iterable[str]) -> bytes:
    """A signed image that nodes of all these device types take. Raises PlanError naming the file."""
    data = _read(path)
    for device_type in device_types:
        signed_image(data, path.name, device_type, ArtifactKind.FIRMWARE)
    return data


def _without_golden(files: Files, plan: Plan) -> Parts:
    if files.golden is not None:
        raise PlanError(
            f"only a bench board, by its probe, keeps a golden set ({files.golden})", "leave it away"
        )
    return Parts(plan, None, 0, None)


def _signed(device_type: str, files: Files) -> tuple[SignedImage, ...]:
    if layout_of(device_type) is Layout.PART and files.firmware is not None and files.model is None:
        return (any_image(_read(files.firmware), files.firmware.name),)
    named = ((files.firmware, ArtifactKind.FIRMWARE), (files.model, ArtifactKind.MODEL))
    images = [
        signed_image(_read(path), path.name, device_type, kind) for path, kind in named if path is not None
    ]
    if not images:
        raise PlanError(f"nothing to send to a {device_type}", "give firmware or a model")
    return tuple(images)


def _node_plan(spec: BoardSpec, files: Files) -> Plan:
    """Firmware as a signed image goes to its slot; as ELF or HEX it can only be the bootloader."""
    memory = node_map(spec.device_type)
    boot: tuple[Segment, ...] = ()
    if files.firmware is not None and kind_of(_read(files.firmware)) is not FileKind.IMAGE:
        boot = read_program(_read(files.firmware), files.firmware.name, files.address)
        files = replace(files, firmware=None)
    images = _signed(spec.device_type, files) if files.firmware or files.model else ()
    data = {image.number: image.data for image in images}
    plan = NodePlan(
        memory,
        boot,
        data.get(ArtifactKind.FIRMWARE),
        data.get(ArtifactKind.MODEL),
        files.slot,
        spec.labels.get(PART_LABEL) or spec.device_type,
    )
    # What does not fit is said before the board is touched.
    plan.placed(lambda address, size: b"")
    return plan


def _part_plan(spec: BoardSpec, files: Files) -> Plan:
    if files.firmware is None or files.model is not None:
        raise PlanError(
            f"device type {spec.device_type!r} has no layout of ours, so nobody knows where a model goes",
            "give --firmware alone, with --address unless the file says where it lies",
        )
    segments = read_program(_read(files.firmware), files.firmware.name, files.address)
    return plan_part(segments, spec.labels.get(PART_LABEL) or spec.device_type)


def _tool_plan(spec: BoardSpec, files: Files) -> Plan:
    """One call a file; what the tool makes of it is the tool's business."""
    paths = [path for path in (files.firmware, files.model) if path is not None]
    if not paths:
        raise PlanError(f"nothing to program on {spec.name}", "give firmware")
    size_bytes = sum(len(_read(path)) for path in paths)
    if len(paths) > 1 and files.address is not None:
        raise PlanError("one address is given for two files", "program one after the other")
    runs = tuple(tool_run(spec, str(path.absolute()), files.address) for path in paths)
    return ToolPlan(runs, size_bytes, uses_port=any("{port}" in word for word in spec.program or ()))


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT_BYTES + 1)
    except OSError as error:
        raise PlanError(
            f"cannot read {path}: {error.strerror}",
            "is the name right? `tinyfleet model build` makes models, `make setup` our firmware",
        ) from error
    if len(data) > FILE_LIMIT_BYTES:
        raise PlanError(
            f"{path}: expected at most {FILE_LIMIT_BYTES} bytes, got more",
            "give firmware or a model; no board holds that",
        )
    return data
