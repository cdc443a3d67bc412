"""What can stop the reading of a file that is to hold a model."""

from __future__ import annotations

from tinyfleet.model.compiler.errors import CompileError


class SourceError(CompileError):
    """There is no model in the file, or more than one; the message says what is there and what to do."""
