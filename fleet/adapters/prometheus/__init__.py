"""Prometheus: what the manager exposes, and the server that `tinyfleet up` runs beside it."""
