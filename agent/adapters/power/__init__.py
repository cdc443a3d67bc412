"""Power meters: `services.power_ports.PowerMeter`."""
