"""The whole chain in one command: `make demo`."""
