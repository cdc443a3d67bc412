"""Speaks for a board that has no network, driven by what the broker sends and by the time.

The rules are core/bridge.py's table. What must survive the agent is written before it is told, and told
before it is done, so that whoever starts the agent again finds what was begun, and goes on or back.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from tinyfleet.agent.core.bridge import (
    U32,
    Action,
    Event,
    Failure,
    Record,
    consider,
    is_newer,
    resume,
    step,
    take_config,
    take_want,
)
from tinyfleet.agent.core.bridge_check import shortened
from tinyfleet.agent.core.bridge_report import Place
from tinyfleet.agent.core.errors import AgentError, BoardBusyError, NoSuchBoardError
from tinyfleet.agent.core.tally import BRIDGE_UPDATES
from tinyfleet.agent.services.bridge_fetch import Fetch
from tinyfleet.agent.services.bridge_ports import (
    BridgedBoard,
    BridgeStore,
    ChunkCame,
    Counts,
    DeviceLink,
    Hold,
    Incoming,
    LinkDown,
    LinkUp,
    Look,
    Next,
    Terms,
    WantCame,
)
from tinyfleet.agent.services.bridge_trial import BoardKeeper
from tinyfleet.agent.services.bridge_voice import Voice
from tinyfleet.agent.services.ports import Clock, Counting
from tinyfleet.wire.codec import decode
from tinyfleet.wire.enums import ArtifactKind, Result, UpdateState
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.image import Verify
from tinyfleet.wire.messages import Want

LOG = logging.getLogger(__name__)
LOOK_S = 60.0
"""Between two questions whether the board is as it was."""
LOOK_AGAIN_S = 5.0
"""After one that was not answered; longer each time, up to LOOK_S."""
RETRY_S = 5.0
TRIAL_LIMIT_S = 600.0
"""How long a trial waits for a board that is away."""


class DeviceBridge:
    """`begin`, then `take` what comes and `tick` after each, at the latest after `patience_s`. `tell`: where
    the link brings what comes, from any thread. Not for two threads at once. All raise AgentError for what
    could not be done; it is tried again in its time."""

    def __init__(
        self,
        terms: Terms,
        place: Place,
        *,
        board: BridgedBoard,
        board_name: str,
        link: DeviceLink,
        tell: Callable[[Incoming], None],
        store: BridgeStore,
        counts: Counts,
        hold: Hold,
        verify: Verify,
        clock: Clock,
        counting: Counting,
    ) -> None:
        self.device = terms.device
        self._tell = tell
        self._board_name = board_name
        self._link = link
        self._store = store
        self._counts = counts
        self._clock = clock
        self._counting = counting
        self._voice = Voice(terms, place, link, clock)
        self._keeper = BoardKeeper(terms, board, board_name, store, hold, verify)
        self._record = Record()
        self._held: Want | None = None
        self._fetch: Fetch | None = None
        self._trouble = ""
        self._begun = False
        self._again_s = LOOK_AGAIN_S
        now_s = clock.monotonic_s()
        self._due_s: float | None = None
        self._look_s = self._report_s = self._trial_s = now_s

    def close(self) -> None:
        """Says LOST. A trial that is under way goes on with the next start."""
        self._link.close()

    def troubled(self, why: str) -> None:
        """Told when it changes."""
        if why != self._trouble:
            LOG.warning("%s: %s", self.device, why)
        self._trouble = why

    def begin(self) -> None:
        loaded = self._store.load()
        self._keep(replace(loaded, boot=(loaded.boot + 1) % U32 or 1))
        self._begun = True
        if not self._record.staged and not self._record.kept:
            self._store.clean(previous=True)
        if self._record.on_trial:
            # The board may hold half an image: before anybody asks it anything.
            going = "back" if self._record.failure is not None else "on"
            text = f"the agent starts in the middle of update {self._record.generation}: it goes {going}"
            self._voice.note(self._record, text)
            self._step(Event.RESTART, self._record.result, self._record.detail)
            return
        self._look()
        self._step(Event.RESTART, self._record.result, self._record.detail)

    def take(self, incoming: Incoming) -> None:
        if not self._begun:
            return
        match incoming:
            case LinkUp():
                self._voice.up = True
                self._voice.birth(self._record, self._keeper.seen)
                self._voice.notes(self._record)
                self._report_s = self._clock.monotonic_s() + self._voice.period_s
                self._step(Event.LINK_UP)
            case LinkDown():
                self._voice.up = False
                self._step(Event.LINK_DOWN, Result.CONNECTION_LOST)
            case WantCame(payload):
                self._want(payload)
            case ChunkCame():
                self._chunk(incoming)
            case Look():
                self._keeper.doubt()
                self._look_s = self._clock.monotonic_s()

    def tick(self) -> None:
        now_s = self._clock.monotonic_s()
        if not self._begun:
            # Without the record nothing may be done: the board may be in the middle of an update.
            if now_s >= self._look_s:
                self._look_s = now_s + LOOK_S
                self.begin()
            return
        if self._due_s is not None and now_s >= self._due_s:
            self._due_s = None
            self._step(Event.DUE, self._record.result, self._record.detail)
        if now_s >= self._look_s and not self._record.on_trial:
            self._look()
        if now_s >= self._report_s and self._voice.up:
            # The time as a number that only grows, also over restarts of the agent.
            tele = self._counts.tele(self._clock.unix_s() % U32, self._voice.uptime_ms)
            wait_s = self._voice.report(self._record, self._keeper.seen, tele)
            self._report_s = self._clock.monotonic_s() + wait_s

    def patience_s(self) -> float:
        times = [self._clock.monotonic_s() + RETRY_S]
        if not self._record.on_trial:
            times.append(self._look_s)
        if self._voice.up:
            times.append(self._report_s)
        if self._due_s is not None:
            times.append(self._due_s)
        return max(0.0, min(times) - self._clock.monotonic_s())

    def _keep(self, record: Record) -> None:
        if record != self._record:
            self._store.keep(record)
            self._record = record

    # --- what is wanted -------------------------------------------------------------------------------------

    def _want(self, payload: bytes) -> None:
        if not payload:
            self._held = None
            if self._record.on_trial and self._record.next is not None:
                self._keep(replace(self._record, next=None))
            self._step(Event.WITHDRAW)
            return
        try:
            want = decode(Want, payload)
        except WireError as error:
            self.troubled(f"a want that cannot be read: {error}")
            return
        configured = take_config(self._record, want)
        if configured is not self._record:
            self._keep(configured)
            self._voice.birth(self._record, self._keeper.seen)
        if want.period_s is not None:
            self._voice.period_s = want.period_s
        if want.generation == self._record.generation:
            self._step(Event.REMIND)
        elif is_newer(self._record, want.generation):
            if self._record.on_trial:
                self._held = want
            else:
                self._newer(want)

    def _newer(self, want: Want) -> None:
        seen = self._keeper.seen
        runs, firmware = (None, None) if seen is None else (seen.runs, seen.firmware)
        self._record, event, result, detail = take_want(self._record, want, runs, firmware)
        self._step(event, result, detail)

    # --- the table ------------------------------------------------------------------------------------------

    def _step(self, event: Event, result: Result = Result.INITIAL, detail: str = "") -> None:
        self._follow((event, result, detail))

    def _follow(self, what: Next) -> None:
        while what is not None:
            before = self._record
            after, cell = step(before, *what)
            if cell.record:
                self._store.keep(after)
            self._record = after
            if after.state is not before.state:
                self._due_s = None
            if cell.tell:
                self._voice.status(after, self._offset_bytes())
            what = self._act(cell.action)
            if before.on_trial and not after.on_trial:
                self._ended()

    def _act(self, action: Action) -> Next:
        match action:
            case Action.OFFER:
                self._stop_fetching()
                self._store.clean(previous=not self._record.owed)
                return self._consider()
            case Action.CONSIDER:
                return self._consider()
            case Action.FETCH:
                return self._fetching().next()
            case Action.CONTINUE:
                return self._fetching().late()
            case Action.REFETCH:
                return self._fetching().again()
            case Action.PAUSE:
                self._pause()
            case Action.PRESENT:
                return Event.PROCEED, Result.INITIAL, ""
            case Action.ATTEMPT:
                return self._attempt()
            case Action.TRY:
                self._record, what = self._keeper.attempt(self._record)
                return what
            case Action.LATER:
                self._wake_in(RETRY_S)
            case Action.RESUME:
                return self._resume()
            case Action.RESTORE:
                return self._keeper.restore(self._record) if self._keeper.is_held else self._attempt()
            case Action.ADVANCE:
                self._stop_fetching()
                self._store.clean(previous=True)
                self._voice.birth(self._record, self._keeper.seen)
                # A newer want that was held back replaces it.
                return None if self._held is not None else self._consider()
            case Action.CONFIRM | Action.END | Action.OWE:
                self._stop_fetching()
                self._store.clean(previous=not self._record.owed)
                self._voice.birth(self._record, self._keeper.seen)
        return None

    def _consider(self) -> Next:
        what = consider(self._record, self._clock.unix_s())
        return None if what[0] is Event.START and not self._voice.up else what

    # --- the download ---------------------------------------------------------------------------------------

    def _fetching(self) -> Fetch:
        if self._fetch is None:
            if self._record.wanted is None:
                raise RuntimeError("nothing is wanted")
            self._fetch = Fetch(self._record.wanted, self._link, self._wake_in)
        return self._fetch

    def _wake_in(self, seconds: float | None) -> None:
        self._due_s = None if seconds is None else self._clock.monotonic_s() + seconds

    def _pause(self) -> None:
        fetch = self._fetching()
        fetch.pause()
        if self._voice.up:
            self._wake_in(fetch.resume_s())

    def _stop_fetching(self) -> None:
        if self._fetch is not None:
            self._fetch.pause()
        self._fetch = None

    def _offset_bytes(self) -> int:
        record = self._record
        if record.wanted is not None and (record.staged or record.state is UpdateState.CONFIRMED):
            return record.wanted.size_bytes
        return 0 if self._fetch is None else self._fetch.offset_bytes

    def _chunk(self, chunk: ChunkCame) -> None:
        fetch = self._fetch
        if fetch is None or self._record.state is not UpdateState.DOWNLOADING:
            return
        what = fetch.take(chunk.blob, chunk.group, chunk.index, chunk.data)
        if what is None and fetch.told:
            self._voice.status(self._record, fetch.offset_bytes)
        if what is None and fetch.complete:
            what = self._arrived(fetch.data)
        self._follow(what)

    def _arrived(self, data: bytes) -> Next:
        self._due_s = None
        checked = self._keeper.checked(self._record, data)
        if isinstance(checked, Failure):
            return Event.REFUSE, checked.result, checked.detail
        self._store.keep_artifact(data)
        self._record = replace(self._record, brings=checked.counter)
        return Event.VERIFIED, Result.INITIAL, ""

    # --- the board ------------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Asks the board who it is; its connection to the broker stands as long as it answers."""
        self._look_s = self._clock.monotonic_s() + LOOK_S
        before = self._keeper.seen
        try:
            self._keeper.holding(self._see, brief=not self._record.owed)
        except BoardBusyError as error:
            # Somebody works with it, so it is there; if we have never seen it, nothing can be said yet.
            self._keeper.doubt()
            if before is None:
                self.troubled(str(error))
            self._look_s = self._clock.monotonic_s() + LOOK_AGAIN_S
            return
        except AgentError as error:
            self._keeper.seen = None
            self._link.close()
            self._look_s = self._clock.monotonic_s() + self._again_s
            self._again_s = min(2 * self._again_s, LOOK_S)
            self.troubled(str(error))
            return
        self._trouble, self._again_s = "", LOOK_AGAIN_S
        self._link.open(self._record.boot, self._tell)
        if before != self._keeper.seen:
            self._voice.birth(self._record, self._keeper.seen)

    def _see(self) -> None:
        if self._record.owed and self._record.owed_kind is ArtifactKind.FIRMWARE:
            # What it has now may not even say who it is.
            self._pay()
        self._keep(self._keeper.see(self._record))
        if self._record.owed:
            try:
                self._pay()
            except AgentError as error:
                self.troubled(str(error))

    def _pay(self) -> None:
        """An update failed, and the board could not be brought back then: now, or at the next look."""
        self._keeper.put_back(self._record)
        self._keep(replace(self._record, owed=False, kept=False, previous=None, ran=None))
        # A newer update may have its artifact there already.
        self._store.clean(artifact=not self._record.staged, previous=True)
        self._voice.note(self._record, "the board has again what it had before the update that failed")

    def _attempt(self) -> Next:
        """Gets hold of the board for all of a trial, or for going back."""
        begun = False

        def work() -> None:
            nonlocal begun
            begun = self._record.failure is not None
            if begun:
                self._follow(self._keeper.restore(self._record))
                return
            if self._record.owed and self._record.owed_kind is not self._record.kind:
                self._pay()
            self._record = self._keeper.back_up(self._record)
            begun = True
            self._step(Event.BEGIN, self._record.result, self._record.detail)

        if not self._record.on_trial:
            self._trial_s = self._clock.monotonic_s()
        try:
            self._keeper.holding(work)
        except AgentError as error:
            LOG.warning("%s: %s", self.device, error)
            away = isinstance(error, (BoardBusyError, NoSuchBoardError))
            event = Event.RETRY if begun and not away else Event.WAIT
            return event, self._record.result, shortened(error.what)
        return None

    def _resume(self) -> Next:
        now_s = self._clock.monotonic_s()
        what = resume(self._record, late=now_s - self._trial_s > TRIAL_LIMIT_S)
        if what[0] is Event.REJECT:
            self._trial_s = now_s
        return what

    def _ended(self) -> None:
        """A trial is over: its figures, what was held back meanwhile, and whether the board can be seen."""
        record = self._record
        halfway = record.state not in (UpdateState.CONFIRMED, UpdateState.REVERTED, UpdateState.FAILED)
        if not halfway:
            self._counting.add(BRIDGE_UPDATES, board=self._board_name, outcome=record.state.name)
        if not halfway and record.state is not UpdateState.CONFIRMED:
            text = f"update {record.generation} {record.state.name}: {record.detail}"
            self._voice.note(record, text)
        self._look_s = self._clock.monotonic_s()
        want, self._held = self._held, None
        if want is not None and is_newer(record, want.generation):
            self._newer(want)
