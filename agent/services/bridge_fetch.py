"""One download: which group is asked for, what has come, and how long to wait (SPEC section 5)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tinyfleet.agent.core.bridge import Event
from tinyfleet.agent.core.bridge_check import shortened
from tinyfleet.wire.blobs import Reassembler
from tinyfleet.wire.enums import Encoding, Result
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.limits import GROUP_ATTEMPTS
from tinyfleet.wire.messages import WantedArtifact
from tinyfleet.wire.topics import blob_name

GROUP_TIMEOUT_S = 5.0
GROUP_TRIES = 4
PAUSE_FIRST_S = 0.5
RESUME_S = 60.0
RESUMES_MAX = 4
Next = tuple[Event, Result, str] | None


class Subscriptions(Protocol):
    def subscribe(self, manifest: bytes, group: int) -> None: ...

    def unsubscribe(self, manifest: bytes, group: int) -> None: ...


class Fetch:
    """`wake_in`: seconds until `late` is to be called, None: never."""

    def __init__(
        self, wanted: WantedArtifact, link: Subscriptions, wake_in: Callable[[float | None], None]
    ) -> None:
        self._wanted = wanted
        self._link = link
        self._wake_in = wake_in
        self._name = blob_name(wanted.manifest)
        self._parts = Reassembler(wanted)
        self._asked: int | None = None
        self._damaged = self._timeouts = self._resumes = 0
        self.told = False
        """Whether the last chunk was worth a status."""

    @property
    def offset_bytes(self) -> int:
        return self._parts.offset_bytes

    @property
    def complete(self) -> bool:
        return self._parts.group is None

    @property
    def data(self) -> bytes:
        return self._parts.transported

    def next(self) -> Next:
        """Asks for the group that is missing."""
        self._ask(self._parts.group)
        return None

    def take(self, blob: str, group: int, index: int, data: bytes) -> Next:
        self.told = False
        if blob != self._name:
            return None
        try:
            whole = self._parts.add(group, index, data)
        except WireError as error:
            return Event.DAMAGED, Result.INTEGRITY, shortened(str(error))
        self._timeouts = 0
        if not whole:
            self._wake_in(GROUP_TIMEOUT_S)
            return None
        manifest = self._parts.manifest
        if manifest is not None and manifest.encoding is not Encoding.RAW:
            why = f"the agent takes images as they are, not {manifest.encoding.name}"
            return Event.REFUSE, Result.UNSUPPORTED_PROTOCOL, why
        self._damaged = self._resumes = 0
        self.told = group != 0 and not self.complete
        self._ask(self._parts.group)
        return None

    def again(self) -> Next:
        """After a damaged group: the same after a pause, which grows."""
        self._damaged += 1
        self._ask(None)
        if self._damaged >= GROUP_ATTEMPTS:
            return Event.REFUSE, Result.INTEGRITY, f"a group came damaged {GROUP_ATTEMPTS} times"
        self._wake_in(PAUSE_FIRST_S * 2 ** (self._damaged - 1))
        return None

    def late(self) -> Next:
        """A pause is over, or a group did not come in time."""
        if self._asked is not None:
            self._timeouts += 1
            if self._timeouts >= GROUP_TRIES:
                self._timeouts = 0
                return Event.STALL, Result.CONNECTION_LOST, "the broker has nothing of it"
        self._ask(None)
        self._ask(self._parts.group)
        return None

    def pause(self) -> None:
        self._ask(None)

    def resume_s(self) -> float:
        """How long a paused download waits, longer each time."""
        seconds = RESUME_S * (1 << self._resumes)
        self._resumes = min(self._resumes + 1, RESUMES_MAX)
        return seconds

    def _ask(self, group: int | None) -> None:
        if self._asked is not None and self._asked != group:
            self._link.unsubscribe(self._wanted.manifest, self._asked)
            self._asked = None
        if group is not None and self._asked is None:
            self._link.subscribe(self._wanted.manifest, group)
        self._asked = group
        self._wake_in(None if group is None else GROUP_TIMEOUT_S)
