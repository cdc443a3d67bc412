"""Pure decisions of the manager: values in, values out. No clock, no I/O; `now` is an argument."""
