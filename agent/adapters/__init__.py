"""The outside world of the agent: probes, consoles, emulators, the broker."""
