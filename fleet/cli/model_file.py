"""What `tinyfleet model …` is given: a model card, any file with a `.tflite` in it, a compiled plan, a signed
image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from tinyfleet.fleet.core.errors import BadInput

if TYPE_CHECKING:
    from tinyfleet.fleet.cli.model_card import Golden
    from tinyfleet.model.compiler import ModelSpec
    from tinyfleet.wire.enums import CoreVariant
    from tinyfleet.wire.image import Image

FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
FILE_MAX_BYTES: Final = 2**28
DEVICE_TYPE: Final = "mps2-an386"
_PLAN_MAGIC: Final = b"TFP1"


def device_type_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--device-type",
        default=DEVICE_TYPE,
        show_default=True,
        help="What it shall run on; decides how weights are packed.",
    )(function)


@dataclass(frozen=True, slots=True)
class Opened:
    """One file. `payload` is there for plans and images, `tflite` and `spec` for what is yet to be compiled.

    kind: in words. golden: what a model card names, all of it. said: whether the file says name and version.
    """

    path: Path
    kind: str
    payload: bytes | None = field(default=None, repr=False)
    tflite: bytes | None = field(default=None, repr=False)
    spec: ModelSpec | None = None
    image: Image | None = None
    golden: Golden | None = None
    notes: tuple[str, ...] = ()

    def plan(self, core: CoreVariant) -> bytes:
        """The payload; compiled for `core` where that is yet to be done. BadInput in the compiler's words."""
        from dataclasses import replace

        from tinyfleet.model.compiler import compile_model

        if self.payload is not None:
            return self.payload
        with about(self.path):
            return compile_model(self.source, replace(self.known, core=core))

    def tensor_names(self, core: CoreVariant) -> dict[int, str]:
        """Names that the model gives its tensors, by their number in the plan; none for a compiled one."""
        from dataclasses import replace

        from tinyfleet.model.compiler.compile import lower_named
        from tinyfleet.model.compiler.tflite import read_tflite

        if self.tflite is None:
            return {}
        with about(self.path):
            tensors = read_tflite(self.tflite).tensors
            _, numbers = lower_named(self.tflite, replace(self.known, core=core))
        return {number: tensors[i].name for i, number in numbers.items() if i < len(tensors)}

    @property
    def source(self) -> bytes:
        """The `.tflite`. BadInput for a plan: it has none."""
        if self.tflite is None:
            raise BadInput(f"{self.path} is {self.kind}: give the model it was made from (.tflite)")
        return self.tflite

    @property
    def known(self) -> ModelSpec:
        if self.spec is None:
            raise RuntimeError("a compiled plan has no spec")
        return self.spec


def open_model(path: Path) -> Opened:
    """Raises BadInput: what the file is, where it is not a model, and what to do."""
    from tinyfleet.wire.enums import ArtifactKind
    from tinyfleet.wire.image import read_image
    from tinyfleet.wire.image_format import IMAGE_MAGIC

    if path.suffix == ".json":
        return _open_card(path)
    size = path.stat().st_size
    if size > FILE_MAX_BYTES:
        raise BadInput(
            f"{path} has {size:,} bytes; a model for a microcontroller has at most {FILE_MAX_BYTES:,}"
        )
    data = path.read_bytes()
    if data.startswith(_PLAN_MAGIC):
        return Opened(path, "a compiled plan", data)
    if data.startswith(IMAGE_MAGIC.to_bytes(4, "little")):
        with about(path):
            image = read_image(data)
        if image.kind != ArtifactKind.MODEL:
            raise BadInput(f"{path} is a signed image {image.header.version} of firmware, not of a model")
        return Opened(
            path, f"a signed image {image.header.version} for {image.device_type}", image.payload, image=image
        )
    return _open_source(path, data)


def _open_card(path: Path) -> Opened:
    from tinyfleet.fleet.cli.model_card import golden_of, spec_of

    with about(path):
        tflite, spec = spec_of(path)
    return Opened(path, "a model card", tflite=tflite, spec=spec, golden=golden_of(path))


def _open_source(path: Path, data: bytes) -> Opened:
    from tinyfleet.model.source import read_source

    with about(path):
        source = read_source(data, path.name)
    return Opened(path, source.origin, tflite=source.tflite, spec=source.spec, notes=source.notes)


@contextmanager
def about(path: Path) -> Iterator[None]:
    """What goes wrong inside is said of this file."""
    from tinyfleet.model.compiler import CompileError
    from tinyfleet.model.twin import TwinBuildError
    from tinyfleet.wire.errors import WireError

    try:
        yield
    except (CompileError, TwinBuildError, WireError) as error:
        raise BadInput(f"{path}: {error}") from error
