"""From the files people have to the `.tflite` inside and what the file says about it.

source = read_source(Path("export.zip").read_bytes(), "export.zip")
payload = compile_model(source.tflite, source.spec)
"""

from tinyfleet.model.source.errors import SourceError
from tinyfleet.model.source.read import Source, read_source

__all__ = ["Source", "SourceError", "read_source"]
