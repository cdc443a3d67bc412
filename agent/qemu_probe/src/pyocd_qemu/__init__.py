"""Boards emulated by QEMU, driven by stock pyOCD.

`board.Board` starts and stops an emulated board; `probe.QemuProbe` is the debug probe that pyOCD finds
through the entry point group `pyocd.probe`. The two meet in a state folder (`registry`), so any pyOCD on
the host sees the board.
"""
