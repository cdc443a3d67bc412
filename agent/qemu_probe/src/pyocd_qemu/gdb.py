"""gdbstub, QEMU's debugger door, as the core's run control: continue, stop, step, registers, break- and
watchpoints.

Acknowledgements (`+`) are never sent: any byte sent while the core runs stops it.
"""

from __future__ import annotations

import time
from pathlib import Path

from pyocd_qemu.errors import LinkError
from pyocd_qemu.stream import Stream

_TIMEOUT_S = 10.0
_STEP_TIMEOUT_S = 2.0
_RECEIVED_BYTES = 4096
_PACKET_LIMIT_BYTES = 1 << 18
_BREAK = b"\x03"

HARDWARE_BREAKPOINT = 1
WATCH_WRITE = 2
WATCH_READ = 3
WATCH_ACCESS = 4

# QEMU's single-step flags: step; without interrupts; without timers.
_STEP_FLAGS, _STEP_FLAGS_MASKED = 1, 7


class GdbLink:
    """A connected client. Connecting stops the machine. Every method raises LinkError when QEMU is gone.

    `running` is whether the core was told to run and has not been seen to stop.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stream = Stream(path, _TIMEOUT_S)
        self._buffer = b""
        self._masked_steps: bool | None = None
        self._owed: str | None = None
        self.running = False
        try:
            # Attaching to a running machine may send an unsolicited stop reply first, which would shift all
            # answers.
            self._send("qSupported")
            while not self._expect("qSupported").startswith("PacketSize"):
                pass
            # With this question QEMU takes away what a debugger that was killed has left: its points.
            self.ask("?")
            # Registers are readable one by one only after the description of all has been asked for.
            self.ask("qXfer:features:read:target.xml:0,ffb")
        except BaseException:
            self.close()
            raise

    def ask(self, packet: str) -> str:
        """The answer to a packet; the core must be stopped."""
        return self.ask_all(packet)[0]

    def ask_all(self, *packets: str) -> list[str]:
        """The answers to packets that go over together; the core must be stopped."""
        if self.running:
            raise RuntimeError(f"gdb packet {packets[0][:20]!r} while the core runs")
        self._send(*packets)
        return [self._expect(packet) for packet in packets]

    def resume(self, before: str | None = None) -> None:
        """Lets the core run, after the packet `before`, which must be answered with OK. That answer is read
        with the core's next stop, and a refusal raised there."""
        if before is None:
            self._send("c")
        else:
            self._send(before, "c")
        self._owed = before
        self.running = True

    def poll(self, timeout_s: float) -> str | None:
        """The stop reply if the core stopped within that time."""
        if not self.running:
            return None
        if self._owed is not None:
            owed, self._owed = self._owed, None
            self._check_ok(owed, self._expect(owed))
        reply = self._within(timeout_s)
        if reply is not None:
            self.running = False
        return reply

    def stop(self) -> str | None:
        """Stops a running core and answers its stop reply; "T02…" is our own stop, anything else came
        first."""
        if not self.running:
            return None
        self._transmit(_BREAK)
        reply = self.poll(_TIMEOUT_S)
        if reply is None:
            raise LinkError(f"QEMU at {self._path} did not stop the core", "see the board's qemu.log")
        return reply

    def step(self, *, masked: bool) -> str | None:
        """Runs one instruction, `masked` without taking an interrupt; answers the stop reply, or None when
        nothing was run: a sleeping core does not step."""
        if masked != self._masked_steps:
            self.tell(f"Qqemu.sstep={_STEP_FLAGS_MASKED if masked else _STEP_FLAGS:x}")
            self._masked_steps = masked
        self._send("s")
        self.running = True
        reply = self.poll(_STEP_TIMEOUT_S)
        if reply is None:
            self.stop()
        return reply

    def read_register(self, number: int) -> int:
        answer = self.ask(f"p{number:x}")
        try:
            return int.from_bytes(bytes.fromhex(answer), "little")
        except ValueError as error:
            raise self._nonsense(f"p{number:x}", answer) from error

    def write_register(self, number: int, value: int, size: int = 4) -> None:
        self.tell(f"P{number:x}={value.to_bytes(size, 'little').hex()}")

    def set_point(self, kind: int, address: int, size: int = 2) -> None:
        """A breakpoint (HARDWARE_BREAKPOINT) or a watchpoint (WATCH_…)."""
        self.tell(f"Z{kind},{address:x},{size:x}")

    def clear_point(self, kind: int, address: int, size: int = 2) -> None:
        self.tell(f"z{kind},{address:x},{size:x}")

    def detach(self) -> None:
        """Lets the machine run on without a debugger. The core must be stopped."""
        self.ask("D")

    def close(self) -> None:
        """Leaves the machine as it is."""
        self._stream.close()

    def tell(self, packet: str) -> None:
        """A packet that must be answered with OK; the core must be stopped."""
        self._check_ok(packet, self.ask(packet))

    def _check_ok(self, packet: str, answer: str) -> None:
        if answer != "OK":
            raise self._nonsense(packet, answer)

    def _nonsense(self, packet: str, answer: str) -> LinkError:
        return LinkError(
            f"QEMU at {self._path} answered {answer[:40]!r} to {packet[:40]!r}", "which QEMU is this?"
        )

    def _send(self, *packets: str) -> None:
        self._transmit(b"".join(map(_framed, packets)))

    def _transmit(self, data: bytes) -> None:
        try:
            self._stream.send(data)
        except OSError as error:
            raise self._broken(error) from error

    def _expect(self, packet: str) -> str:
        while (answer := self._arrived()) is None:
            try:
                self._take()
            except TimeoutError as error:
                raise LinkError(
                    f"QEMU at {self._path} did not answer {packet[:40]!r}", "see the board's qemu.log"
                ) from error
        return answer

    def _within(self, timeout_s: float) -> str | None:
        """The next packet if it comes within that time."""
        end = time.monotonic() + timeout_s
        while (answer := self._arrived()) is None:
            if not self._stream.wait(max(end - time.monotonic(), 0.0)):
                return None
            self._take()
        return answer

    def _arrived(self) -> str | None:
        """The content of the first packet, if all of it is there."""
        start = self._buffer.find(b"$")
        stop = self._buffer.find(b"#", start + 1)
        if start < 0 or stop < 0 or len(self._buffer) < stop + 3:
            return None
        packet = self._buffer[start + 1 : stop]
        self._buffer = self._buffer[stop + 3 :]
        return packet.decode(errors="replace")

    def _take(self) -> None:
        """What has come; waits for it. Raises TimeoutError, or LinkError."""
        try:
            self._buffer += self._stream.receive(_RECEIVED_BYTES)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._broken(error) from error
        if len(self._buffer) > _PACKET_LIMIT_BYTES:
            raise self._nonsense("(any)", "an endless packet")

    def _broken(self, error: OSError) -> LinkError:
        return LinkError(
            f"QEMU at {self._path} broke off: {error}",
            "see the board's qemu.log and qemu.log.1",
        )


def _framed(packet: str) -> bytes:
    body = packet.encode()
    return b"$" + body + b"#" + f"{sum(body) & 0xFF:02x}".encode()
