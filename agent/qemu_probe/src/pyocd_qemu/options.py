"""QEMU's command line in parts, the same for a board with a probe and for one without."""

from __future__ import annotations

from pathlib import Path

LOOPBACK = "127.0.0.1"
SMP_PORT = 1337
_MAC = "52:54:00:00:00:01"
_COMMON = ("-nodefaults", "-display", "none", "-monitor", "none")


def path_value(path: Path) -> str:
    """A path as a value inside a QEMU option list, where a comma separates options unless doubled."""
    return str(path).replace(",", ",,")


def machine(name: str, *, icount_shift: int, memory: Path | None = None, size: int = 0) -> list[str]:
    """The machine, whose large memory is the file `memory` of `size` bytes where one is given. An
    instruction takes 2**icount_shift ns of its time."""
    chosen = name if memory is None else f"{name},memory-backend=memory"
    arguments = ["-M", chosen, *_COMMON, "-icount", f"shift={icount_shift}"]
    if memory is not None:
        backend = f"memory-backend-file,id=memory,size={size},mem-path={path_value(memory)},share=on"
        arguments += ["-object", backend]
    return arguments


def network(smp_port: int | None = None) -> list[str]:
    """A network card behind user-mode NAT: the host's loopback is 10.0.2.2 there. `smp_port` of this
    machine's loopback leads to the board's UDP port 1337."""
    card = f"user,model=lan9118,mac={_MAC}"
    if smp_port is not None:
        card += f",hostfwd=udp:{LOOPBACK}:{smp_port}-:{SMP_PORT}"
    return ["-nic", card]
