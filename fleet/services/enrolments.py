"""Boards that become devices by one-time tokens, with a key that the manager never sees."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from tinyfleet.fleet.core.device import Device, check_device_id, check_label, forget_past
from tinyfleet.fleet.core.enrolment import (
    PENDING_S,
    TABLE,
    Token,
    TokenEffect,
    TokenEvent,
    TokenState,
    hash_of,
    name_for,
    new_word,
)
from tinyfleet.fleet.core.errors import BadInput, Conflict, NoSuchToken, NotFound, Refused
from tinyfleet.fleet.core.flash import map_of
from tinyfleet.fleet.core.liveness import Evidence, fold_conn
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.ports import Certificates, Clock, Enrolment, Revoked, Store, Tx
from tinyfleet.fleet.services.registry import Connection, forget_device, node_config, revoke_certificates
from tinyfleet.fleet.services.shadows import forget_runs
from tinyfleet.fleet.services.wants import amend_want, standing_want
from tinyfleet.wire.codec import decode
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.messages import Birth, Conn, NodeTls, Trust
from tinyfleet.wire.records import encode_record

log = logging.getLogger(__name__)
TOKENS_SHOWN: Final = 500
COUNT_MAX: Final = 1000
KEPT_S: Final = 90 * 86_400.0
"""How long a token that has ended stays in the list."""
SEED_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenOrder:
    """`device`: the id that the board is to bear; `replaces`: it may be registered already. `release`: whose
    firmware boards start with."""

    valid_s: float
    count: int = 1
    device_type: str | None = None
    site: str = "default"
    device: str | None = None
    replaces: bool = False
    release: str | None = None
    release_version: str | None = None


@dataclass(frozen=True, slots=True)
class Offer:
    """What a token is good for. `firmware` is a signed image, `trust` the flash record to go with it."""

    token: Token
    trust: bytes
    firmware: bytes | None


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a board must be given. In `config`, a flash record, key and seed are zeros: they are the
    device's. `chain` is the certificate and the authority's, DER."""

    token: Token
    trust: bytes
    config: bytes
    chain: tuple[bytes, bytes]


class Enrolments:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        access: Access,
        certificates: Certificates,
        *,
        trusted_keys: Callable[[], tuple[bytes, ...]],
        connection: Connection,
        firmware: Callable[[str, str | None, str], bytes],
        wake: Callable[[], None],
    ) -> None:
        """`firmware` answers the signed image of a release, version and device type. `wake` is called when
        something is to be published."""
        self._store = store
        self._clock = clock
        self._access = access
        self._certificates = certificates
        self._trusted_keys = trusted_keys
        self._connection = connection
        self._firmware = firmware
        self._wake = wake

    def make(self, order: TokenOrder) -> list[tuple[str, Token]]:
        """New tokens and their words, which are told here and never again.

        Raises BadInput, Conflict, NotFound, Refused (the release has no firmware for the type).
        """
        if not 1 <= order.count <= COUNT_MAX:
            raise BadInput(f"count {order.count}: expected 1 to {COUNT_MAX}")
        check_label("site", order.site)
        if order.device_type is not None:
            map_of(order.device_type)
        if order.release is not None:
            if order.device_type is None:
                raise BadInput("a token with a firmware needs the device type, too")
            self._firmware(order.release, order.release_version, order.device_type)
        if order.device is not None:
            check_device_id(order.device)
            if order.count != 1:
                raise BadInput(f"{order.count} tokens for one device {order.device}: ask for one")
        elif order.replaces:
            raise BadInput("which device is replaced? name it")
        now_s = self._clock()
        made = []
        with self._store.write() as tx:
            if order.device is not None:
                known = tx.devices.get(order.device)
                if known is not None and not order.replaces:
                    raise Conflict(f"{order.device} is registered: a token that replaces it is another one")
                if known is None and order.replaces:
                    raise NotFound(f"no device {order.device} to be replaced; see `tinyfleet devices`")
            for _ in range(order.count):
                word = new_word()
                token = Token(
                    id=0,
                    hash=hash_of(word),
                    site=order.site,
                    made_s=now_s,
                    expires_s=now_s + order.valid_s,
                    changed_s=now_s,
                    device_type=order.device_type,
                    device=order.device,
                    replaces=order.replaces,
                    release=order.release,
                    release_version=order.release_version,
                )
                made.append((word, tx.tokens.add(token)))
        return made

    def all(self) -> list[Token]:
        """Newest first."""
        with self._store.read() as tx:
            return tx.tokens.all(TOKENS_SHOWN)

    def revoke(self, number: int) -> Token:
        """Raises NotFound; Conflict: it was used already, or has expired."""
        with self._store.write() as tx:
            token = tx.tokens.get(number)
            if token is None:
                raise NotFound(f"no token {number}; see `tinyfleet device tokens`")
            after, effect = self._step(tx, token, TokenEvent.REVOKE)
            if effect is TokenEffect.REFUSE:
                raise Conflict(f"token {number} is {token.state.value}: nothing is left to revoke")
        self._after(after, effect)
        return after

    def expire(self) -> None:
        """Ends what was not used, or not heard of, in time."""
        now_s = self._clock()
        with self._store.read() as tx:
            if not tx.tokens.due(now_s):
                return
        with self._store.write() as tx:
            ended = [self._step(tx, token, TokenEvent.EXPIRE) for token in tx.tokens.due(now_s)]
            tx.tokens.forget(now_s - KEPT_S)
        for token, effect in ended:
            if effect is TokenEffect.SHUT_OUT:
                log.warning("%s was enrolled by token %d and never heard of", token.device, token.id)
            self._after(token, effect)

    def token(self, word: str) -> Token:
        """As it is now. Raises NoSuchToken."""
        with self._store.read() as tx:
            token = _shown(tx, word)
        living = token.state in (TokenState.OPEN, TokenState.PENDING)
        if living and token.expires_s <= self._clock():
            return replace(token, state=TokenState.EXPIRED)
        return token

    def offer(self, word: str) -> Offer:
        """Raises NoSuchToken. Asking changes nothing, whatever its state is; what has ended brings no
        firmware."""
        token = self.token(word)
        living = token.state in (TokenState.OPEN, TokenState.PENDING)
        firmware = None
        if living and token.release is not None and token.device_type is not None:
            firmware = self._firmware(token.release, token.release_version, token.device_type)
        return Offer(token, self._trust(), firmware)

    def enrol(
        self, word: str, *, name: str | None, device_type: str, csr: bytes, again: bool = False
    ) -> Enrolled:
        """A certificate for the key of this request, and what else makes a board this device.

        For the same key it is the same answer. For another one, before the device was heard, it is another
        certificate, and the one before is good no more: `again` says that this is the board that had it.
        Raises NoSuchToken; Refused: it is spent, or for another device or type; Conflict: the
        device is there already; BadInput; Unavailable: the broker does not follow yet, so ask again.
        """
        check_label("device type", device_type)
        map_of(device_type)
        key = self._certificates.requested(csr)
        self.expire()
        with self._store.write() as tx:
            token = _shown(tx, word)
            if TABLE[token.state, TokenEvent.ENROL][1] is TokenEffect.REFUSE:
                raise Refused(f"token {token.id} is {token.state.value}: have another one made")
            wanted = token.device or name or name_for(device_type, key)
            if (name or wanted) != wanted:
                raise Refused(f"token {token.id} is for {wanted}, not for {name}: have another one made")
            if (token.device_type or device_type) != device_type:
                raise Refused(f"token {token.id} is for boards {token.device_type}, not for {device_type}")
            if token.key not in (None, key) and not again:
                raise Conflict(f"token {token.id} is in use for another board: take another one")
            if token.key != key:
                token = self._bind(tx, replace(token, device=check_device_id(wanted)), device_type, key)
            records = self._records(token)
        self._wake()
        self._access.shut_out(wanted)
        return records

    def _bind(self, tx: Tx, token: Token, device_type: str, key: bytes) -> Token:
        """Another credential for the token's device, as nothing of it was heard yet."""
        name, now_s = token.device or "", self._clock()
        if tx.agents.get(name) is not None:
            raise Conflict(f"{name} is an agent of this fleet: choose another name for the device")
        other = tx.tokens.pending().get(name)
        if other is not None and other.id != token.id:
            raise Conflict(f"{name} is being provisioned by token {other.id}: use that one, or revoke it")
        known = tx.devices.get(name)
        if known is not None and not token.replaces:
            raise Conflict(
                f"{name} is registered: have a token made with `tinyfleet device token --replaces {name}`"
            )
        _revoke_given(tx, token)
        credential = tx.identity.next_credential(name)
        if known is not None and token.credential is None:
            revoke_certificates(tx, known)
        if known is not None:
            tx.devices.put(forget_past(replace(known, credential=credential, device_type=device_type)))
            tx.devices.set_password(name, "")
            forget_runs(tx, name)
            standing = standing_want(tx, name)
            if standing is not None:
                # What is in its flash now is the newest word.
                period_s = None if standing.period_s is None else self._connection.period_s
                amend_want(tx, known, config=None, period_s=period_s)
        forget_device(tx, name)
        sequence = tx.enrolments.get(name).sequence + 1
        tx.enrolments.put(name, Enrolment(tls=True, sequence=sequence, key=key))
        after, _ = TABLE[token.state, TokenEvent.ENROL]
        # Once: whoever has the word must not be able to keep it alive.
        expires_s = token.expires_s if token.credential else max(token.expires_s, now_s + PENDING_S)
        token = replace(
            token,
            state=after,
            device_type=device_type,
            key=key,
            credential=credential,
            sequence=sequence,
            conn=None,
            keepalive_s=self._connection.keepalive_s,
            changed_s=now_s,
            expires_s=expires_s,
        )
        tx.tokens.put(token)
        return token

    def _records(self, token: Token) -> Enrolled:
        if token.device is None or token.credential is None or token.key is None or token.sequence is None:
            raise RuntimeError(f"token {token.id} was not bound to a key")
        tls: NodeTls = self._certificates.enrolled(token.device, token.credential, token.key)
        try:
            config = encode_record(
                node_config(
                    token.device,
                    replace(self._connection, tls=True),
                    # By TLS the certificate says who it is; no password would open any door.
                    password=b"",
                    seed=bytes(SEED_BYTES),
                    tls=tls,
                    sequence=token.sequence,
                )
            )
        except WireError as error:
            raise BadInput(str(error)) from error
        return Enrolled(token, self._trust(), config, (tls.certificate, self._certificates.authority()))

    def _trust(self) -> bytes:
        return encode_record(Trust(keys=self._trusted_keys()))

    def _step(self, tx: Tx, token: Token, event: TokenEvent) -> tuple[Token, TokenEffect]:
        state, effect = TABLE[token.state, event]
        if state is not token.state:
            token = replace(token, state=state, changed_s=self._clock())
            tx.tokens.put(token)
        if effect is TokenEffect.SHUT_OUT:
            _revoke_given(tx, token)
        return token, effect

    def _after(self, token: Token, effect: TokenEffect) -> None:
        if effect is TokenEffect.SHUT_OUT and token.device is not None:
            self._access.shut_out(token.device)


def keep_conn(tx: Tx, token: Token, payload: bytes) -> Token:
    """What a device says of its connection comes before its first birth. Raises WireError."""
    decode(Conn, payload)
    kept = replace(token, conn=payload)
    tx.tokens.put(kept)
    return kept


def register_born(tx: Tx, token: Token, birth: Birth, now_s: float) -> Device | None:
    """The device, registered, when this birth shows that it has what the token gave: only who has that key
    is let in by that name, and the configuration bears its number. None: it is another's.
    """
    if birth.config is None or birth.config.sequence != token.sequence:
        return None
    state, effect = TABLE[token.state, TokenEvent.BIRTH]
    if effect is not TokenEffect.REGISTER or token.device is None or token.credential is None:
        return None
    known = tx.devices.get(token.device)
    if known is None:
        device = Device(
            id=token.device,
            site=token.site,
            device_type=token.device_type or birth.device_type,
            evidence=Evidence(period_s=birth.period_s, keepalive_s=token.keepalive_s),
            registered_s=now_s,
            credential=token.credential,
        )
    else:
        # Again: as the one before was thrown out, the broker published its will.
        device = forget_past(known)
    if token.conn is not None:
        evidence = fold_conn(device.evidence, decode(Conn, token.conn), now_s)
        device = replace(device, evidence=evidence)
    tx.devices.put(device)
    tx.tokens.put(replace(token, state=state, changed_s=now_s))
    return device


def _shown(tx: Tx, word: str) -> Token:
    digest = hash_of(word)
    token = tx.tokens.hashed(digest)
    if token is None or not hmac.compare_digest(token.hash, digest):
        raise NoSuchToken("no such token: have one made with `tinyfleet device token`")
    return token


def _revoke_given(tx: Tx, token: Token) -> None:
    if token.device is not None and token.credential is not None:
        tx.enrolments.revoke(Revoked(token.device, token.credential, 0))
