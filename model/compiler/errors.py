"""What can stop a compilation.

CompileError
├── TfliteError         the file is not a readable `.tflite` (truncated, offsets outside, wrong identifier)
│   └── OtherFile       it is something else that is known by name: ONNX, HDF5, a zip…
├── UnsupportedModel    a sound file that this runtime cannot run; names op, index and tensor
└── SpecError           the file is fine, but the caller's ModelSpec does not fit it
"""

from __future__ import annotations


class CompileError(Exception):
    """Root of the tree. The message says what, where, expected, got and what to do."""


class TfliteError(CompileError):
    def __init__(self, where: str, *, expected: object, actual: object) -> None:
        self.where = where
        super().__init__(
            f"{where}: expected {expected}, got {actual}; the file is damaged or not a .tflite: "
            "export it again"
        )


class OtherFile(TfliteError):
    def __init__(self, what: str, way: str) -> None:
        self.where = "file"
        CompileError.__init__(self, f"this is {what}, not a .tflite: {way}")


class UnsupportedModel(CompileError):
    pass


class SpecError(CompileError):
    pass
