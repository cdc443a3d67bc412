"""The HTTP door: a JSON API under /api/v1 and /metrics."""
