"""Golden bytes of the wire; README.md describes the files. Python and C tests read the same index."""
