"""One-time tokens over HTTP, and the door for who has one: `enrol` shows no API token but that word."""

from __future__ import annotations

import base64
import binascii
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn

from fastapi import APIRouter, Depends, HTTPException, Request

from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.api import show
from tinyfleet.fleet.api.common import Number, ServicesOf
from tinyfleet.fleet.core.enrolment import WORD_PATTERN
from tinyfleet.fleet.core.errors import BadInput, NoSuchToken
from tinyfleet.fleet.services.enrolments import TokenOrder

reading = APIRouter(prefix="/tokens")
changing = APIRouter(prefix="/tokens")
WINDOW_S: Final = 60.0
TRIES_MAX: Final = 10
ENROLLED_MAX: Final = 60
"""Certificates for one address in a minute: each that is replaced stays on the broker's list for good."""
ADDRESSES_MAX: Final = 1024


@dataclass(frozen=True, slots=True)
class Shown:
    """The word that a caller showed, and where he called from."""

    word: str = field(repr=False)
    address: str


class Tries:
    """What was tried in the last minute, by address. Nobody guesses 256 bits; but each try costs the manager
    something. With more addresses than it holds, it begins anew."""

    def __init__(self, most: int = TRIES_MAX, clock: Callable[[], float] = time.monotonic) -> None:
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._since_s = 0.0
        self._tried: dict[str, int] = {}

    def check(self, address: str) -> None:
        """Raises HTTPException 429."""
        with self._lock:
            now_s = self._clock()
            if now_s - self._since_s > WINDOW_S or len(self._tried) > ADDRESSES_MAX:
                self._since_s, self._tried = now_s, {}
            if self._tried.get(address, 0) >= self._most:
                raise HTTPException(429, "too often: wait a minute", {"Retry-After": str(int(WINDOW_S))})

    def count(self, address: str) -> None:
        with self._lock:
            self._tried[address] = self._tried.get(address, 0) + 1


def enrolling() -> APIRouter:
    """The routes for boards. Their word stands in the header, never in the address, which is logged."""
    tries, given_out = Tries(), Tries(ENROLLED_MAX)
    router = APIRouter(prefix="/enrol")

    def refuse(address: str) -> NoReturn:
        tries.count(address)
        raise HTTPException(401, "this call needs a one-time token as Bearer token: `tinyfleet device token`")

    def shown(request: Request) -> Shown:
        """Asked before the body is looked at."""
        address = request.client.host if request.client is not None else ""
        tries.check(address)
        scheme, _, word = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not WORD_PATTERN.fullmatch(word.strip()):
            refuse(address)
        return Shown(word.strip(), address)

    word_shown = Depends(shown)

    @router.get("")
    def offer(shown: Shown = word_shown, services: Any = ServicesOf) -> out.OfferOut:
        """What the token is good for, and how far its device came."""
        try:
            return show.offer(services.enrolments.offer(shown.word))
        except NoSuchToken:
            refuse(shown.address)

    @router.get("/state")
    def state(shown: Shown = word_shown, services: Any = ServicesOf) -> out.TokenOut:
        """How far the token's device came: USED once it is registered."""
        try:
            return show.token(services.enrolments.token(shown.word))
        except NoSuchToken:
            refuse(shown.address)

    @router.post("")
    def enrol(order: out.EnrolIn, shown: Shown = word_shown, services: Any = ServicesOf) -> out.EnrolOut:
        """A certificate for the board's own key; its birth registers it."""
        try:
            csr = base64.b64decode(order.csr, validate=True)
        except binascii.Error as error:
            raise BadInput("csr: expected base64") from error
        given_out.check(shown.address)
        given_out.count(shown.address)
        try:
            given = services.enrolments.enrol(
                shown.word, name=order.name, device_type=order.device_type, csr=csr, again=order.again
            )
        except NoSuchToken:
            refuse(shown.address)
        return show.enrolled(given)

    return router


@reading.get("")
def tokens(services: Any = ServicesOf) -> list[out.TokenOut]:
    """Newest first."""
    return [show.token(each) for each in services.enrolments.all()]


@changing.post("")
def make(order: out.TokenIn, services: Any = ServicesOf) -> list[out.TokenWordOut]:
    """New tokens. Their words are told here and never again."""
    made = services.enrolments.make(TokenOrder(**order.model_dump()))
    return [out.TokenWordOut(word=word, token=show.token(token)) for word, token in made]


@changing.delete("/{number}")
def revoke(number: Number, services: Any = ServicesOf) -> out.TokenOut:
    """Takes a token back; a device that was enrolled by it and not heard yet is shut out."""
    return show.token(services.enrolments.revoke(number))
