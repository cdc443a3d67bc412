"""`.tflite` to the payload of a model artifact.

payload = compile_model(Path("model.tflite").read_bytes(), ModelSpec(name="gait", version="1.0.0"))
describe(payload).arena_bytes
"""

from tinyfleet.model.compiler.compile import compile_model, lower
from tinyfleet.model.compiler.describe import OpSummary, Summary, describe
from tinyfleet.model.compiler.errors import CompileError, SpecError, TfliteError, UnsupportedModel
from tinyfleet.model.compiler.spec import InputSpec, ModelSpec
from tinyfleet.model.device_types import core_of

__all__ = [
    "CompileError",
    "InputSpec",
    "ModelSpec",
    "OpSummary",
    "SpecError",
    "Summary",
    "TfliteError",
    "UnsupportedModel",
    "compile_model",
    "core_of",
    "describe",
    "lower",
]
