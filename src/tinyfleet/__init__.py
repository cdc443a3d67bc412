"""tinyfleet: fleets of TinyML devices, hardware in the loop."""

__version__ = "0.1.0"
