"""TLS to the manager's broker, and why a connection to it failed.

TLS 1.2 or newer; the fleet's own authority alone; the name in the broker's certificate, not the address by
which it is reached, which may be any; a certificate of one's own. No way leads from here to a plain one.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from typing import Any, Final

import aiomqtt
from cryptography import x509
from pydantic import BaseModel, ConfigDict, Field

from tinyfleet.agent.core.broker import BrokerTls, Validity

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")


class TlsFile(BaseModel):
    """`tls` in what `agent register` and `device bridge` write."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)
    server: str
    authority: str
    certificate: str
    key: str = Field(repr=False)

    def checked(self) -> BrokerTls:
        """Raises ValueError when it is of no use; its text shows nothing of it."""
        try:
            known = x509.load_pem_x509_certificate(self.certificate.encode())
        except ValueError:
            raise ValueError("its certificate cannot be read") from None
        first, last = known.not_valid_before_utc, known.not_valid_after_utc
        validity = Validity(int(first.timestamp()), int(last.timestamp()))
        tls = BrokerTls(self.server, self.authority, self.certificate, self.key, validity)
        try:
            BrokerContext.of(tls)
        except (ssl.SSLError, ValueError):
            raise ValueError("its certificate, key and authority do not go together") from None
        return tls


class _Socket(ssl.SSLSocket):
    """Keeps what TLS said, which nobody above hands on."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            with self._kept():
                super().do_handshake(block)
                if isinstance(self.context, BrokerContext):
                    self.context.shaken = True
        except OSError:
            # paho lets go of it without an end.
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        # With TLS 1.3 a server refuses a client's certificate after the handshake, in what is read first.
        with self._kept():
            return super().recv(buflen, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        try:
            return super().send(data, flags)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            raise
        except OSError:
            # It has closed already: why, is still to be read.
            with self._kept():
                self.recv(1)
                raise

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError, BlockingIOError):
            raise
        except OSError as error:
            if isinstance(self.context, BrokerContext) and self.context.said is None:
                self.context.said = error
                self.context.on_said()
            raise


class BrokerContext(ssl.SSLContext):
    """Asks for the broker's name, whatever its address. `shaken`: the handshake was done; `said`: what ended
    the last connection; `on_said` is called then."""

    sslsocket_class = _Socket
    server: str
    shaken: bool
    said: OSError | None
    on_said: Callable[[], object]

    @classmethod
    def of(cls, tls: BrokerTls) -> BrokerContext:
        """Raises ssl.SSLError or ValueError for what is no certificate, or another one's key."""
        made = cls(ssl.PROTOCOL_TLS_CLIENT)
        made.server, made.said, made.shaken, made.on_said = tls.server, None, False, lambda: None
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        made.load_verify_locations(cadata=tls.authority)
        # It takes files only; this one has no name and is in memory.
        handle = os.memfd_create("client", os.MFD_CLOEXEC)
        with os.fdopen(handle, "wb") as file:
            file.write(f"{tls.certificate}\n{tls.key}".encode())
            file.flush()
            # Not asked for on a terminal: a key with a pass phrase is refused.
            made.load_cert_chain(f"/proc/self/fd/{handle}", password=_no_pass_phrase)
        return made

    def wrap_socket(
        self,
        sock: socket.socket,
        server_side: bool = False,
        do_handshake_on_connect: bool = True,
        suppress_ragged_eofs: bool = True,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLSocket:
        self.said, self.shaken = None, False
        return super().wrap_socket(
            sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, self.server, session
        )


def _no_pass_phrase() -> str:
    raise ValueError("the key has a pass phrase")


class BrokerDoor:
    """One client's way to the broker. `trouble`: why it is not connected, and what to do; None: it is, or has
    not tried yet."""

    def __init__(self, host: str, port: int, tls: BrokerTls | None, register: str) -> None:
        """`register` is the manager's command that gives the client credentials, less where to and how."""
        self._host, self._port, self._tls = host, port, tls
        self._register = f"{register} {'[--tls]' if tls is None else '--tls'} --out FILE"
        self.context = None if tls is None else BrokerContext.of(tls)
        self._was_in = False
        self.trouble: str | None = None

    def __str__(self) -> str:
        return f"{self._host}:{self._port}"

    @property
    def warning(self) -> str | None:
        """Where a password crosses a network in the clear."""
        if self.context is not None or self._host in LOOPBACK:
            return None
        tls = self._register.replace("[--tls]", "--tls")
        return f"a password goes to {self} in the clear; `{tls}` at the manager ends that"

    @property
    def validity(self) -> Validity | None:
        return None if self._tls is None else self._tls.validity

    @asynccontextmanager
    async def entered(self, client: aiomqtt.Client) -> AsyncIterator[aiomqtt.Client]:
        """The client, connected; when TLS breaks off before the broker's first word, ended at once, where
        aiomqtt would sit its time out. Raises aiomqtt.MqttError, OSError."""
        loop = asyncio.get_running_loop()
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(None) as limit:
                self._was_in = False
                if self.context is not None:
                    self.context.said = None
                    self.context.on_said = partial(loop.call_soon_threadsafe, _cut, limit)
                await stack.enter_async_context(client)
            self._was_in, self.trouble = True, None
            yield client

    def failed(self, error: BaseException) -> str:
        """Keeps and gives the reason, in words."""
        self.trouble = self._reason(error)
        return self.trouble

    def _reason(self, error: BaseException) -> str:
        if self._was_in:
            return f"the connection to the broker at {self} is lost: {error}; it is tried again"
        said = None if self.context is None else self.context.said
        if isinstance(said, ssl.SSLCertVerificationError):
            return self._not_ours(said)
        if said is not None:
            return self._refused(said)
        if "Not authorized" in str(error):
            return f"the broker at {self} does not know these credentials; {self._anew}"
        return f"no broker at {self}: {error}; does `tinyfleet up` run there, and can it be reached?"

    def _not_ours(self, error: ssl.SSLCertVerificationError) -> str:
        if error.verify_code in _NAME:
            name = "" if self.context is None else self.context.server
            said, then = f"does not bear the name {name}", f"is that the fleet's broker? Else {self._anew}"
        elif error.verify_code in _TIME:
            said = f"is not valid now ({error.verify_message})"
            then = "is this machine's clock right? Else the manager's broker needs another certificate"
        else:
            said = f"is not of this fleet's authority ({error.verify_message})"
            then = f"is the address right? Else {self._anew}"
        return f"the certificate of the broker at {self} {said}; {then}"

    def _refused(self, error: OSError) -> str:
        text = str(error).upper().replace("_", " ")
        for mark, said in _ALERTS:
            if mark in text:
                return f"the broker at {self} refuses this certificate: {said}; {self._anew}"
        why = getattr(error, "reason", None) or error.strerror or error
        if self.context is not None and self.context.shaken:
            return f"the broker at {self} broke off after the handshake: {why}; see its log"
        return f"no TLS at {self}: {why}; is that the broker's tls_port? Else {self._anew}"

    @property
    def _anew(self) -> str:
        return f"`{self._register}` at the manager gives others; then restart the agent"


def _cut(limit: asyncio.Timeout) -> None:
    with suppress(RuntimeError):  # that connection was entered, or has failed, already
        limit.reschedule(0)


_NAME: Final = (62, 63, 64)
_TIME: Final = (9, 10, 11, 12)
"""OpenSSL's X509_V_ERR_… for another name, and for another time."""

_ALERTS: Final = (
    ("CERTIFICATE REVOKED", "it was revoked"),
    ("CERTIFICATE EXPIRED", "its time is over"),
    ("UNKNOWN CA", "it is of another fleet's authority"),
    ("DECRYPT ERROR", "it is of another fleet's authority"),
    ("CERTIFICATE REQUIRED", "it was not shown"),
    ("BAD CERTIFICATE", "it is none"),
    ("CERTIFICATE UNKNOWN", "it is not taken"),
)
