"""Helpers of this folder (`tflite_writer`, `truth`, `single_ops` and other `…_ops`) stand beside the tests.

The public models come from a folder outside the repository."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
REAL_MODELS = ("mlperf_kws_dscnn", "mlperf_ic_resnet8", "mlperf_ad_toycar")


EXAMPLES = sorted((ROOT / "examples" / "livestock").glob("*.tflite"))
"""The wildlife model is fed with a stream of samples: it has tests of its own."""


@pytest.fixture(params=[*EXAMPLES, *REAL_MODELS], ids=lambda model: getattr(model, "stem", model))
def real_model(request: pytest.FixtureRequest) -> bytes:
    """Bytes of an example's model or of a public one; skips where the folder of the public ones is absent."""
    if isinstance(request.param, Path):
        return request.param.read_bytes()
    folder = Path(os.environ.get("TINYFLEET_MODELS") or ROOT.parent / "shared" / "models")
    path = folder / f"{request.param}.tflite"
    if not path.is_file():
        pytest.skip(f"{path} is absent; TINYFLEET_MODELS names the folder with the public models")
    return path.read_bytes()
