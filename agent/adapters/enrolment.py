"""The manager's door for boards with one-time tokens, over HTTP (`services.provisioning_ports.Manager`).

The word stands in a header, goes to no proxy and follows no redirect; beyond this machine only HTTPS is
spoken.
"""

from __future__ import annotations

import base64
import http.client
import json
import re
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from tinyfleet.agent.adapters.secret_file import read_secret
from tinyfleet.agent.core.errors import AgentError
from tinyfleet.agent.services.provisioning_ports import Given, Offer

TIMEOUT_S: Final = 15.0
ANSWER_MAX_BYTES: Final = 8 * 1024 * 1024
TOKENS_MAX: Final = 1000
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")
_WORD: Final = re.compile(r"tfe_[A-Za-z0-9_-]{43}")
_MAKE: Final = "make them with `tinyfleet device token --out FILE`"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class ManagerDoor:
    def __init__(self, address: str, timeout_s: float = TIMEOUT_S) -> None:
        """Raises AgentError for an address by which a token would cross a network in the clear."""
        try:
            parts = urlsplit(address)
            # Whoever writes a password there would find it in messages.
            whole = parts.scheme in ("http", "https") and parts.hostname and parts.username is None
            whole = whole and (parts.port is None or parts.port > 0)
        except ValueError:
            whole = False
        if not whole:
            raise AgentError("the manager's address is none", "give http://HOST:PORT or https://…")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise AgentError(
                f"{address}: a token must not cross a network in the clear",
                "give an https:// address, or a tunnel's end on this machine",
            )
        self._address = f"{parts.scheme}://{parts.netloc}"
        self._timeout_s = timeout_s
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirect())

    def offer(self, word: str) -> Offer:
        answer = self._ask("GET", word)
        try:
            token = answer["token"]
            firmware = answer["firmware"]
            return Offer(
                state=str(token["state"]),
                device=token["device"],
                device_type=token["device_type"],
                replaces=bool(token["replaces"]),
                trust=_bytes(answer["trust"]),
                firmware=None if firmware is None else _bytes(firmware),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise self._strange() from error

    def state(self, word: str) -> str:
        try:
            return str(self._ask("GET", word, path="/state")["state"])
        except (KeyError, TypeError) as error:
            raise self._strange() from error

    def enrol(self, word: str, *, name: str | None, device_type: str, csr: bytes, again: bool) -> Given:
        order = {"csr": base64.b64encode(csr).decode("ascii"), "device_type": device_type, "again": again}
        answer = self._ask("POST", word, order if name is None else {**order, "name": name})
        try:
            return Given(
                device=str(answer["device"]),
                credential=int(answer["credential"]),
                sequence=int(answer["sequence"]),
                certificate=_bytes(answer["chain"][0]),
                trust=_bytes(answer["trust"]),
                config=_bytes(answer["config"]),
            )
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise self._strange() from error

    def _ask(self, method: str, word: str, body: object = None, path: str = "") -> Any:
        request = urllib.request.Request(  # noqa: S310 - the scheme was looked at in the constructor
            f"{self._address}/api/v1/enrol{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {word}", "Content-Type": "application/json"},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=self._timeout_s) as answer:
                return json.loads(answer.read(ANSWER_MAX_BYTES))
        except urllib.error.HTTPError as error:
            with error:
                raise AgentError(f"the manager says: {_said(error)}", _next(error.code)) from None
        except (OSError, urllib.error.URLError) as error:
            reason = getattr(error, "reason", None) or error
            raise AgentError(
                f"the manager at {self._address} does not answer: {reason}", "is `tinyfleet up` running?"
            ) from None
        except (ValueError, http.client.HTTPException) as error:
            raise self._strange() from error

    def _strange(self) -> AgentError:
        return AgentError(
            f"{self._address} does not answer as a manager does", "is it this tinyfleet's? Update both"
        )


def _said(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(4096))["message"])[:300]
    except (OSError, ValueError, KeyError, TypeError):
        return f"status {error.code}"


def _next(status: int) -> str:
    if status == 401:
        return "is the token of this manager? " + _MAKE
    return "wait a minute, then run it again" if status in (429, 503) else "see docs/provisioning.md"


def _bytes(text: object) -> bytes:
    return base64.b64decode(str(text), validate=True)


def address_of(state: Path) -> str | None:
    """The API of the manager that runs in this state folder; None: none does."""
    try:
        return str(json.loads((state / "endpoints.json").read_text())["api"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_tokens(path: Path) -> tuple[str, ...]:
    """The words in a file, one a line. Raises AgentError naming the file, never its content."""
    try:
        words = [line.strip() for line in read_secret(path, "tokens").splitlines() if line.strip()]
    except OSError as error:
        raise AgentError(f"cannot read the tokens {path}: {error.strerror}", _MAKE) from error
    except ValueError:
        raise AgentError(f"{path} holds no tokens", _MAKE) from None
    wrong = next((i for i, word in enumerate(words, 1) if not _WORD.fullmatch(word)), None)
    if wrong is not None or not 0 < len(words) <= TOKENS_MAX:
        what = f"word {wrong} of {path} is no token" if wrong else f"{path} holds {len(words)} tokens"
        raise AgentError(f"{what}, expected 1 to {TOKENS_MAX} tokens, one a line", _MAKE)
    return tuple(words)
