"""The node's own C runtime on the host: `Twin(payload).run(window)`."""

from tinyfleet.model.twin.library import TwinBuildError
from tinyfleet.model.twin.twin import ModelStatus, PlanRefused, Twin, runtime_ops

__all__ = ["ModelStatus", "PlanRefused", "Twin", "TwinBuildError", "runtime_ops"]
