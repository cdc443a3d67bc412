"""Searches for inputs that break the firmware's parsers and its runtime: `make fuzz`, docs/fuzzing.md."""
