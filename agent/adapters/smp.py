"""Nodes by SMP (MCUmgr), over UDP or a console, through `smpclient`: the extra `smp`.

The client is asynchronous; a session has an event loop of its own, which runs while a method does. One thread
at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import struct
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

from tinyfleet.agent.core.errors import BoardSaidNo, ConsoleError, NoSuchBoardError, StepFailed, StepTimeout
from tinyfleet.agent.services.ports import Console, Consoles, Progress, SmpSession, SmpSlot
from tinyfleet.wire.enums import Result

if TYPE_CHECKING:
    from smpclient.transport import SMPTransport

R = TypeVar("R")
REQUEST_TIMEOUT_S: Final = 2.5
FIRST_TIMEOUT_S: Final = 40.0
"""The first packet of an image may wait for flash to be erased."""
_ETHERNET_BYTES: Final = 1500
_READ_S: Final = 0.02
_LINE_BYTES: Final = 128
_FRAME_BYTES: Final = 4
_UNKNOWN_ROOM_BYTES: Final = 256
_UPLOAD_TRIES: Final = 4


class SmpLinks:
    """`services.ports.SmpDoors`."""

    def __init__(self, consoles: Consoles) -> None:
        self._consoles = consoles

    def open(self, board: str, address: str, baud: int) -> SmpSession:
        if importlib.util.find_spec("smpclient") is None:
            raise StepFailed(
                board,
                "connect",
                "smpclient is not installed",
                "install the extra: `pip install tinyfleet[smp]`",
            )
        url = urlsplit(address)
        if url.scheme == "udp":
            if not url.hostname or not url.port:
                raise NoSuchBoardError(f"{board}: {address} is no address for SMP", "udp://HOST:PORT")
            return _Session.over_udp(board, url.hostname, url.port)
        reopen = partial(self._consoles.open, address, baud)
        console = reopen()
        try:
            return _Session.over_console(board, console, reopen)
        except BaseException:
            console.close()
            raise


class _Session:
    """`services.ports.SmpSession`. A console that went away is opened anew, by `reopen`, when something is
    asked again: many a board's port goes with each of its resets."""

    def __init__(
        self,
        board: str,
        transport: SMPTransport,
        address: str,
        console: Console | None = None,
        reopen: Callable[[], Console] | None = None,
    ) -> None:
        from smpclient import SMPClient

        self._board = board
        self._address = address
        self._transport = transport
        self._client = SMPClient(transport, address, REQUEST_TIMEOUT_S)
        self._console = console
        self._reopen = reopen
        self._gone = False
        self._runner = asyncio.Runner()
        # An answer that comes too late would be taken for the next one's.
        self._late = False
        try:
            self._do("connect", self._client.connect(REQUEST_TIMEOUT_S))
        except BaseException:
            self._runner.close()
            raise

    @classmethod
    def over_udp(cls, board: str, host: str, port: int) -> _Session:
        from smpclient.transport.udp import SMPUDPTransport

        class Udp(SMPUDPTransport):
            """To another port than the protocol's own."""

            async def connect(self, address: str, timeout_s: float, port: int = port) -> None:
                await super().connect(address, timeout_s, port)

        return cls(board, Udp(_ETHERNET_BYTES), host)

    @classmethod
    def over_console(cls, board: str, console: Console, reopen: Callable[[], Console]) -> _Session:
        return cls(board, _line(console), board, console, reopen)

    def slots(self) -> tuple[SmpSlot, ...]:
        from smpclient.requests.image_management import ImageStatesRead

        return self._slots_of(self._ask("image list", ImageStatesRead()))

    def upload(self, image: bytes, number: int, progress: Progress) -> None:
        async def send() -> None:
            async for offset in self._client.upload(image, slot=number, first_timeout_s=FIRST_TIMEOUT_S):
                progress(offset / len(image))

        for tries_left in reversed(range(_UPLOAD_TRIES)):
            try:
                self._do("upload", send())
                return
            except StepTimeout:
                # A datagram was lost: the node says where it waits.
                if not tries_left:
                    raise

    def test(self, digest: bytes) -> None:
        from smpclient.requests.image_management import ImageStatesWrite

        self._ask("image test", ImageStatesWrite(hash=digest))

    def confirm(self, digest: bytes) -> None:
        from smpclient.requests.image_management import ImageStatesWrite

        self._ask("image confirm", ImageStatesWrite(hash=digest, confirm=True))

    def reset(self) -> None:
        from smpclient.requests.os_management import ResetWrite

        self._ask("reset", ResetWrite())

    def statistics(self, group: str) -> dict[str, int]:
        from smpclient.requests.statistics_management import GroupData

        answer = self._ask("statistics", GroupData(name=group))
        return {str(name): int(value) for name, value in answer.fields.items()}

    def close(self) -> None:
        self._reopen = None
        try:
            with contextlib.suppress(StepFailed):
                self._do("disconnect", self._client.disconnect())
            self._runner.close()
        finally:
            if self._console is not None:
                self._console.close()

    def _slots_of(self, answer: Any) -> tuple[SmpSlot, ...]:
        return tuple(
            SmpSlot(
                image=int(state.image or 0),
                slot=int(state.slot),
                digest=None if state.hash is None else bytes(state.hash),
                version=str(state.version),
                active=bool(state.active),
                pending=bool(state.pending),
                confirmed=bool(state.confirmed),
            )
            for state in answer.images
        )

    def _ask(self, step: str, request: Any) -> Any:
        from smpclient.generics import success

        answer = self._do(step, self._client.request(request))
        if not success(answer):
            raise _refusal(self._board, step, answer)
        return answer

    def _do(self, step: str, work: Coroutine[Any, Any, R]) -> R:
        with self._translated(step), contextlib.closing(work):
            if self._gone and self._reopen is not None and self._console is not None:
                self._console.close()
                self._console = self._transport.console = self._reopen()  # type: ignore[attr-defined]
                self._gone = False
            if self._late:
                self._runner.run(self._transport.disconnect())
                self._runner.run(self._transport.connect(self._address, REQUEST_TIMEOUT_S))
                self._late = False
            return self._runner.run(work)

    @contextmanager
    def _translated(self, step: str) -> Iterator[None]:
        from smpclient.exceptions import SMPBadSequence, SMPClientException, SMPUploadError

        try:
            yield
        except ConsoleError:
            self._gone = True
            raise
        except (TimeoutError, SMPBadSequence) as error:
            self._late = True
            raise StepTimeout(
                self._board,
                step,
                "no answer by SMP",
                "does the node run, and does its configuration open SMP (docs/console.md)?",
            ) from error
        except SMPUploadError as error:
            raise _refusal(self._board, step, error.args[0]) from error
        except (SMPClientException, OSError, ValueError) as error:
            raise StepFailed(
                self._board, step, f"{type(error).__name__}: {error}", "try again; look at the line"
            ) from error


def _refusal(board: str, step: str, answer: Any) -> BoardSaidNo:
    """What an error of SMP says: version 1 `rc` and a reason, version 2 `err` with group and `rc`."""
    inner = getattr(answer, "err", None)
    code = getattr(inner, "rc", None) if inner is not None else getattr(answer, "rc", None)
    reason = getattr(answer, "rsn", None)
    said = f"rc {code}" if code is not None else str(answer)
    return BoardSaidNo(
        board,
        f"{step}: the node refused by SMP: {said}{f', {reason}' if reason else ''}",
        Result.UPDATE_FAILED,
        "docs/console.md says what a node takes, and docs/flashing.md what the codes mean",
    )


def _line(console: Console) -> Any:
    """smpclient's transport over a console of ours, whatever else is said there."""
    from smp import packet
    from smp.exceptions import SMPException
    from smpclient.transport import SMPTransport

    class Line(SMPTransport):
        def __init__(self) -> None:
            self._heard = bytearray()
            self.console = console

        async def connect(self, address: str, timeout_s: float) -> None:
            self.console.read(0)

        async def disconnect(self) -> None:
            """The console is the session's to close."""

        async def send(self, data: bytes) -> None:
            for piece in packet.encode(data, line_length=_LINE_BYTES):
                self.console.write(piece)

        async def receive(self) -> bytes:
            decoder = packet.decode()
            next(decoder)
            while True:
                at = self._heard.find(b"\n")
                if at < 0:
                    self._heard += self.console.read(_READ_S)
                    # Reading blocks; here the client's time-out may strike.
                    await asyncio.sleep(0)
                    continue
                line = bytes(self._heard[: at + 1])
                del self._heard[: at + 1]
                start = max(line.rfind(packet.START_DELIMITER), line.rfind(packet.CONTINUE_DELIMITER))
                if start < 0:
                    continue
                try:
                    decoder.send(line[start:])
                except StopIteration as whole:
                    return bytes(whole.value)
                except (SMPException, ValueError, struct.error):
                    # Something else on the line looked like a packet.
                    decoder = packet.decode()
                    next(decoder)

        async def send_and_receive(self, data: bytes) -> bytes:
            self._heard.clear()
            await self.send(data)
            return await self.receive()

        @property
        def mtu(self) -> int:
            return _UNKNOWN_ROOM_BYTES

        @property
        def max_unencoded_size(self) -> int:
            # Length and CRC share the node's buffer with the message.
            return (self._smp_server_transport_buffer_size or _UNKNOWN_ROOM_BYTES) - _FRAME_BYTES

    return Line()
