"""Models compared: with TensorFlow Lite Micro, tensor by tensor (`check`); two with each other (`diff`)."""

from tinyfleet.model.compare.check import CheckResult, Difference, check
from tinyfleet.model.compare.ops import OpPair, pair_ops
from tinyfleet.model.compare.outputs import OutputsDiff, compare_outputs, converted
from tinyfleet.model.compare.update import UpdateCost, update_cost
from tinyfleet.model.compare.windows import (
    InputError,
    Sequences,
    given_sequences,
    random_sequences,
    vector_sequences,
)

__all__ = [
    "CheckResult",
    "Difference",
    "InputError",
    "OpPair",
    "OutputsDiff",
    "Sequences",
    "UpdateCost",
    "check",
    "compare_outputs",
    "converted",
    "given_sequences",
    "pair_ops",
    "random_sequences",
    "update_cost",
    "vector_sequences",
]
