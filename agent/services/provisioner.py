"""Makes a device of a blank board, step by step; may be cut off anywhere and run again.

The order keeps three promises. A key is in this process only from KEY to RECORDS. The trust record is written
last, so that a board that was cut off still counts as blank. And the manager registers a device when it was
heard: whatever fails before leaves nothing there but a certificate that is revoked when its time is over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final, TypeVar

from tinyfleet.agent.core.bench_file import BoardSpec
from tinyfleet.agent.core.config_template import ConfigTemplate, wipe
from tinyfleet.agent.core.errors import AgentError, NoSuchBoardError, StepFailed
from tinyfleet.agent.core.provisioning import (
    HEAD_BYTES,
    LOCKS,
    ORDER,
    SERIALS,
    TABLE,
    Progress,
    Refusal,
    Step,
    Way,
    erasures,
    holding_of,
    lock_refusal,
    name_place,
    names_of,
    provisioning_map,
    resume_at,
    way_of,
)
from tinyfleet.agent.services.board_flash import BoardFlash
from tinyfleet.agent.services.ports import Clock, Probes
from tinyfleet.agent.services.provisioning_job import Job, Outcome, Say, fingerprint
from tinyfleet.agent.services.provisioning_ports import (
    Identities,
    Label,
    Labels,
    Manager,
    Offer,
    ProgressFiles,
)
from tinyfleet.agent.services.worker import BoardWorker
from tinyfleet.wire.enums import ArtifactKind
from tinyfleet.wire.errors import ImageMismatch, ImageSignatureError, WireError
from tinyfleet.wire.image import Accepts, Verify, check_image, read_image
from tinyfleet.wire.memory_map import MemoryMap
from tinyfleet.wire.messages import Trust
from tinyfleet.wire.records import decode_record

R = TypeVar("R")
POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioner:
    """What it works with. `wait` passes seconds."""

    probes: Probes
    manager: Manager
    identities: Identities
    files: ProgressFiles
    labels: Labels
    clock: Clock
    wait: Callable[[float], object]
    verify: Verify

    def provision(self, worker: BoardWorker, spec: BoardSpec, job: Job, say: Say) -> Outcome:
        """Raises StepFailed naming board, step and cause; another AgentError before anything is touched."""
        memory = provisioning_map(spec.device_type)
        if spec.probe is None:
            raise NoSuchBoardError(f"{spec.name} has no probe in bench.yaml", "name it there")
        emulated = any(each.emulated for each in self.probes.all() if each.unique_id == spec.probe)
        refusal = lock_refusal(spec.device_type, emulated=emulated) if job.lock else None
        if refusal is not None:
            raise AgentError(f"{spec.name}: {refusal.cause}", refusal.hint)
        with self.files.hold(spec.name):
            return _Run(self, worker, spec, memory, job, say, emulated).outcome()


class _Run:
    """One board's way through the steps."""

    def __init__(
        self,
        parts: Provisioner,
        worker: BoardWorker,
        spec: BoardSpec,
        memory: MemoryMap,
        job: Job,
        say: Say,
        emulated: bool,
    ) -> None:
        self._parts = parts
        self._worker = worker
        self._spec = spec
        self._memory = memory
        self._job = job
        self._say = say
        self._emulated = emulated
        self._kept = parts.files.last(spec.name)
        self._progress: Progress | None = None
        self._at = Step.PROBE

    def outcome(self) -> Outcome:
        begun_s = self._parts.clock.monotonic_s()
        word = self._word_of_before()
        begin = Step.PROBE if word is None else resume_at(self._kept, fingerprint(word))
        if word is None or ORDER.index(begin) < ORDER.index(Step.START):
            word = self._write()
        else:
            self._progress = replace(_known(self._kept), failed=None, way=Way.RESUMED)
            self._look_again(_known(self._kept).step)
            if begin is Step.START:
                with self._step(Step.START), self._open() as flash:
                    flash.reset()
        progress = _known(self._progress)
        if ORDER.index(begin) <= ORDER.index(Step.BIRTH):
            with self._step(Step.BIRTH, f"waiting for the first word of {progress.device}"):
                self._wait_for_birth(word)
        with self._step(Step.LABEL):
            label = self._parts.labels.write(self._label(progress))
        if self._job.lock:
            with self._step(Step.LOCK), self._open() as flash:
                self._check_same(flash)
                flash.write_words(LOCKS[self._spec.device_type])
                flash.reset()
        self._keep(replace(progress, step=Step.DONE))
        return Outcome(
            self._spec.name,
            progress.device or "",
            self._spec.device_type,
            progress.serial,
            progress.way,
            label,
            self._parts.clock.monotonic_s() - begun_s,
            self._emulated,
        )

    def _word_of_before(self) -> str | None:
        """The token with which the board was cut off, when it is at hand."""
        if self._kept is None or self._kept.step is Step.DONE:
            return None
        words = {fingerprint(word): word for word in self._job.words}
        return words.get(self._kept.fingerprint)

    def _look_again(self, step: Step) -> None:
        """Whether the board is still the one that was cut off in that step. A label alone needs no board; one
        that may be locked is looked at when it is to be."""
        if step is Step.LOCK:
            return
        self._at = Step.PROBE
        try:
            with self._open() as flash:
                self._check_same(flash)
        except _AnotherBoard as error:
            raise StepFailed(self._spec.name, Step.PROBE.value, error.what, error.hint) from error
        except AgentError:
            if step is not Step.LABEL:
                raise

    def _check_same(self, flash: BoardFlash) -> None:
        """Raises AgentError when somebody has put another board in."""
        progress, device, serial = _known(self._progress), _device(flash), self._serial(flash)
        if (device, serial) != (progress.device, progress.serial):
            raise _AnotherBoard(
                f"this is {device or 'a board without a name'} (serial {serial}), not {progress.device} "
                f"(serial {progress.serial}), which was cut off",
                "put that one in again; without its token in the file, this one is begun anew",
            )

    def _write(self) -> str:
        """From the first look to the reset, with the board held. Answers the token that was taken."""
        memory = self._memory
        with ExitStack() as held:
            with self._step(Step.PROBE):
                flash = held.enter_context(self._open())
                trust_at = flash.read("trust", memory["trust"].size_bytes)
                device, serial = _device(flash), self._serial(flash)
            with self._step(Step.TOKEN):
                word, offer, way = self._choose(trust_at, device)
                firmware = self._firmware(offer)
            self._progress = Progress(
                board=self._spec.name,
                step=Step.TOKEN,
                fingerprint=fingerprint(word),
                device=offer.device,
                device_type=self._spec.device_type,
                serial=serial,
                way=way,
            )
            with self._step(Step.BOOTLOADER, self._about_bootloader()):
                if self._job.bootloader is not None and "boot" in names_of(memory):
                    flash.put("boot", self._job.bootloader)
            with self._step(Step.ERASE):
                flash.erase(erasures(memory))
            with self._step(Step.FIRMWARE, f"{len(firmware)} bytes"):
                flash.put("firmware_a", firmware)
            template = self._identity(flash, word)
            with self._step(Step.READ_BACK, "all but key and seed"):
                flash.check("config_a", template.public_parts())
                flash.check("trust", [(0, offer.trust)])
                flash.check("firmware_a", [(0, firmware)])
            with self._step(Step.START):
                flash.reset()
        return word

    def _identity(self, flash: BoardFlash, word: str) -> ConfigTemplate:
        """The steps that hold a key: overwritten however they end."""
        with self._step(Step.KEY):
            identity = self._parts.identities.make()
        try:
            with self._step(Step.ENROL):
                given = self._parts.manager.enrol(
                    word,
                    name=self._job.name,
                    device_type=self._spec.device_type,
                    csr=identity.csr(),
                    again=self._had_certificate(word),
                )
                template = ConfigTemplate.of(given.config)
                if not identity.owns(given.certificate) or template.config.device != given.device:
                    raise AgentError("the manager's certificate is not for this board's key", "try again")
                tls = template.config.tls
                if tls is None or tls.certificate != given.certificate:
                    raise AgentError("the configuration brings another certificate", "try again")
            self._progress = replace(
                _known(self._progress),
                device=given.device,
                credential=given.credential,
                sequence=given.sequence,
            )
            with self._step(Step.RECORDS, given.device):
                record = template.filled(identity.key, identity.seed)
                try:
                    flash.put_unread("config_a", record)
                finally:
                    wipe(record)
                identity.wipe()
                flash.put("trust", given.trust)
        finally:
            identity.wipe()
        return template

    def _choose(self, trust_at: bytes, device: str | None) -> tuple[str, Offer, Way]:
        """The first token that is good for this board. Raises AgentError saying why there is none."""
        before = self._word_of_before()
        words = self._job.words if before is None else (before, *(w for w in self._job.words if w != before))
        refusal = Refusal("no token is left", "have one made: `tinyfleet device token`")
        for word in words:
            offer = self._parts.manager.offer(word)
            if offer.state != "OPEN" and not (offer.state == "PENDING" and self._had_certificate(word)):
                continue
            if offer.device_type not in (None, self._spec.device_type):
                continue
            way = way_of(
                holding=holding_of(trust_at, offer.trust),
                device=device,
                offered=offer.device,
                replaces=offer.replaces,
                kept=self._kept,
                fingerprint=fingerprint(word),
                erase=self._job.erase,
            )
            if isinstance(way, Refusal):
                refusal = way
            elif self._parts.files.claim(fingerprint(word)):
                return word, offer, way
        raise AgentError(refusal.cause, refusal.hint)

    def _had_certificate(self, word: str) -> bool:
        """Whether it may have got one by this token, and lost its key as it was cut off."""
        kept = self._kept
        return (
            kept is not None
            and kept.fingerprint == fingerprint(word)
            and ORDER.index(Step.ENROL) <= ORDER.index(kept.step) < ORDER.index(Step.DONE)
        )

    def _firmware(self, offer: Offer) -> bytes:
        """A signed image that the board's trust record lets start. Raises AgentError, WireError."""
        data = self._job.firmware if self._job.firmware is not None else offer.firmware
        if data is None:
            raise AgentError(
                "the token brings no firmware", "make it with --firmware RELEASE, or give a signed image"
            )
        keys = decode_record(Trust, offer.trust).keys
        accepts = Accepts(
            kind=ArtifactKind.FIRMWARE, device_type=self._spec.device_type, cores=frozenset(), abi=None
        )
        try:
            check_image(read_image(data), trusted=keys, verify=self._parts.verify, accepts=accepts)
        except ImageSignatureError as error:
            raise AgentError(
                f"the firmware is not signed by a key that this fleet trusts: {error}",
                "release it: `tinyfleet release`",
            ) from error
        except ImageMismatch as error:
            raise AgentError(
                f"the firmware is not for {self._spec.device_type}: {error}",
                "give the release that was made for this device type",
            ) from error
        return data

    def _about_bootloader(self) -> str:
        if "boot" not in names_of(self._memory):
            return "skipped: it lies in the emulator's ROM, not in flash"
        return "skipped: none was given" if self._job.bootloader is None else "into flash"

    def _serial(self, flash: BoardFlash) -> str:
        """The chip's own number; an emulated board has none, and goes by its probe's."""
        place = SERIALS.get(self._spec.device_type)
        if place is None or self._emulated:
            return self._spec.probe or ""
        return flash.read_at(*place).hex()

    def _wait_for_birth(self, word: str) -> None:
        end_s = self._parts.clock.monotonic_s() + TABLE[Step.BIRTH].timeout_s
        trouble = "it was not heard"
        while self._parts.clock.monotonic_s() < end_s:
            try:
                state = self._parts.manager.state(word)
            except AgentError as error:
                trouble = error.what
            else:
                if state == "USED":
                    return
                if state != "PENDING":
                    raise AgentError(f"its token is {state}", "run it again with another token")
                trouble = "it was not heard"
            self._parts.wait(POLL_S)
        raise AgentError(
            f"{trouble} within {TABLE[Step.BIRTH].timeout_s:g} s: PENDING at the manager, not registered",
            TABLE[Step.BIRTH].next_try,
        )

    def _label(self, progress: Progress) -> Label:
        today = datetime.fromtimestamp(self._parts.clock.unix_s(), UTC).date().isoformat()
        return Label(
            device=progress.device or "",
            device_type=self._spec.device_type,
            serial=progress.serial,
            date=today,
            emulated=self._emulated,
        )

    @contextmanager
    def _open(self) -> Iterator[BoardFlash]:
        session = self._call(self._parts.probes.open, self._spec.probe or "")
        finish = partial(self._worker.finish, "disconnect", TABLE[Step.START].timeout_s, session.close)
        try:
            yield BoardFlash(session, self._memory, self._call)
        except BaseException:
            # What went wrong first is told.
            with suppress(AgentError):
                finish()
            raise
        finish()

    def _call(self, function: Callable[..., R], *arguments: object) -> R:
        return self._worker.call(self._at.value, TABLE[self._at].timeout_s, function, *arguments)

    @contextmanager
    def _step(self, step: Step, about: str = "") -> Iterator[None]:
        """Keeps where the board is before anything is done; a failure is told by step and kept, too."""
        self._at = step
        if self._progress is not None:
            self._keep(replace(self._progress, step=step))
        self._say(self._spec.name, step, about)
        try:
            yield
        except (AgentError, WireError) as error:
            cause = getattr(error, "cause", None) or getattr(error, "what", None) or str(error)
            hint = error.hint if isinstance(error, AgentError) else TABLE[step].next_try
            if self._progress is not None:
                self._keep(replace(self._progress, failed=f"{step.value}: {cause}"))
            raise StepFailed(self._spec.name, step.value, cause, hint) from error

    def _keep(self, progress: Progress) -> None:
        self._progress = replace(progress, changed_s=self._parts.clock.unix_s())
        self._parts.files.keep(self._progress)


class _AnotherBoard(AgentError):
    pass


def _device(flash: BoardFlash) -> str | None:
    """Whom its configuration says that it is."""
    place = name_place(flash.read("config_a", HEAD_BYTES))
    return None if place is None else flash.read("config_a", place[1], place[0]).decode("ascii", "replace")


def _known(progress: Progress | None) -> Progress:
    if progress is None:
        raise RuntimeError("a board is labelled that was never begun")
    return progress
