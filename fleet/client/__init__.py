"""A typed client of the manager's API."""

from tinyfleet.fleet.client.client import ApiError, FleetClient

__all__ = ["ApiError", "FleetClient"]
