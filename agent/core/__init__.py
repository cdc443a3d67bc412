"""Pure parts of the agent: what a bench is, what goes where in flash, what a run means. No I/O, no clock."""
