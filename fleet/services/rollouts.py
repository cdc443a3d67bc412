"""Rollouts: the one writer of their state.

State and effects are stored in one transaction: an effect is a row of `retained` (what the broker should
hold), which the publisher carries out afterwards. A crash in between repeats it harmlessly.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tinyfleet.fleet.core import deployment as deployments
from tinyfleet.fleet.core import rollout as rollouts
from tinyfleet.fleet.core import said
from tinyfleet.fleet.core.deployment import Deployment, Effect, Event, transition_name
from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.errors import Conflict, NotFound
from tinyfleet.fleet.core.fit import ReadNeeds, ReadOffer
from tinyfleet.fleet.core.liveness import Patience
from tinyfleet.fleet.core.release import Release, Transport, wanted
from tinyfleet.fleet.core.rollout import RolloutState, Summary
from tinyfleet.fleet.services.choice import Choice, choose, misfits, named_release
from tinyfleet.fleet.services.on_air import OnAir
from tinyfleet.fleet.services.ports import Clock, RetainedKind, Store, Tx
from tinyfleet.fleet.services.shadows import evict
from tinyfleet.fleet.services.transfers import Transfers, pick
from tinyfleet.fleet.services.wants import (
    amend_want,
    has_settings,
    lasting,
    next_generation,
    period_s_of,
    standing_want,
    with_settings,
)
from tinyfleet.wire.codec import encode
from tinyfleet.wire.enums import ArtifactKind, Encoding
from tinyfleet.wire.messages import Birth, Sleep, Status, Trial, Want


@dataclass(frozen=True, slots=True)
class Carried:
    transport: Transport
    devices: int


class Rollouts:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        on_air: OnAir,
        patience: Patience,
        trial_inferences: int,
        needs: ReadNeeds,
        offers: ReadOffer,
        transfers: Transfers,
        wake: Callable[[], None],
    ) -> None:
        """`trial_inferences` is what a trial must show. `needs` reads what a model asks of a node, `offers`
        what a firmware brings, `transfers` makes encodings; `wake` tells the publisher that there is
        something to publish.
        """
        self._store = store
        self._clock = clock
        self._on_air = on_air
        self._patience = patience
        self._trial_inferences = trial_inferences
        self._needs = needs
        self._offers = offers
        self._transfers = transfers
        self._wake = wake

    def start(
        self,
        release: str,
        version: str | None = None,
        *,
        devices: Sequence[str] | None = None,
        site: str | None = None,
        full: bool = False,
    ) -> Summary:
        """Rolls a release out to the named devices, or to all it is for (of a site): one wave, all at once.

        Each gets the encoding with the fewest bytes that it can decode (`full`: the images as they are). A
        device whose birth says that the model cannot run there is REJECTED, and nothing is sent for it.
        Raises NotFound, Conflict (a device is still in another rollout), Refused (nothing fits, over budget).
        """
        now_s = self._clock()
        made: list[Transport] = []
        if not full:
            with self._store.read() as tx:
                jobs = self._transfers.jobs(
                    tx, choose(tx, named_release(tx, release, version), devices, site)
                )
            made = self._transfers.make(jobs)
        with self._store.write() as tx:
            found = named_release(tx, release, version)
            chosen = choose(tx, found, devices, site)
            for transport in made:
                tx.releases.add_transport(transport)
            unfit = misfits(tx, chosen, self._needs, self._offers)
            ways = {
                choice.device.id: _ways(tx, choice, full=full or choice.device.id in unfit)
                for choice in chosen
            }
            sent = {
                way.manifest: way for name, both in ways.items() if name not in unfit for way in both.values()
            }
            self._on_air.check_budget(tx, found, sent.values())
            summary = tx.rollouts.add(Summary(id=0, release=found.id, started_s=now_s))
            self._on_air.publish(tx, sent)
            queued = []
            for choice in chosen:
                deployment = _deployment(summary.id, choice, ways[choice.device.id], now_s)
                if choice.device.id not in unfit:
                    deployment = self._offer(tx, deployment, now_s)
                tx.deployments.put(deployment)
                tx.deployments.record(deployment, "NEW:START:QUEUED", now_s)
                summary, _ = rollouts.step(summary, rollouts.Moved(None, deployment), now_s)
                queued.append(deployment)
            tx.rollouts.put(summary)
            self._on_air.collect(tx)
            # Only now that all are counted: a rollout ends when the last of its deployments does.
            for deployment in queued:
                if (found_unfit := unfit.get(deployment.device)) is not None:
                    self._apply(tx, deployment, said.Unfit(found_unfit), now_s)
            summary = tx.rollouts.get(summary.id) or summary
        self._wake()
        return summary

    def cancel(self, rollout: int) -> Summary:
        """Stops a rollout: devices that have not ended yet stay as they are. NotFound, Conflict."""
        now_s = self._clock()
        with self._store.write() as tx:
            summary = tx.rollouts.get(rollout)
            if summary is None:
                raise NotFound(f"no rollout {rollout}; see `tinyfleet rollout list`")
            if summary.state is not RolloutState.RUNNING:
                raise Conflict(f"rollout {rollout} is {summary.state.value} already: nothing to cancel")
            summary, effects = rollouts.step(summary, rollouts.Cancel(), now_s)
            tx.rollouts.put(summary)
            if rollouts.Effect.CANCEL_DEPLOYMENTS in effects:
                for deployment in tx.deployments.of(rollout):
                    self._apply(tx, deployment, deployments.Cancel(), now_s)
            summary = tx.rollouts.get(rollout) or summary
        self._wake()
        return summary

    def set_sleep(self, device: str, sleep: Sleep | None) -> None:
        """Tells a device when to wake, beside whatever else is wanted of it; None: as its configuration says.
        Raises NotFound.
        """
        with self._store.write() as tx:
            found = tx.devices.get(device)
            if found is None:
                raise NotFound(f"no device {device}; see `tinyfleet devices`")
            amend_want(tx, found, sleep=sleep)
        self._wake()

    def all(self, limit: int) -> list[tuple[Summary, Release]]:
        """Newest first, each with the release it rolls out."""
        with self._store.read() as tx:
            return [(summary, _release_of(tx, summary)) for summary in tx.rollouts.all(limit)]

    def get(self, rollout: int) -> tuple[Summary, Release, list[Deployment]]:
        """Raises NotFound."""
        with self._store.read() as tx:
            summary = tx.rollouts.get(rollout)
            if summary is None:
                raise NotFound(f"no rollout {rollout}; see `tinyfleet rollout list`")
            return summary, _release_of(tx, summary), tx.deployments.of(rollout)

    def carried(self, rollout: int) -> list[Carried]:
        """What travels in a rollout, and to how many devices; what most get first. Raises NotFound."""
        deployments = self.get(rollout)[2]
        counts = Counter(manifest for each in deployments for manifest in each.manifests)
        with self._store.read() as tx:
            found = [(tx.releases.transport(manifest), count) for manifest, count in counts.most_common()]
        return [Carried(transport, count) for transport, count in found if transport is not None]

    def take_status(self, tx: Tx, device: Device, status: Status, now_s: float) -> None:
        current = tx.deployments.current(device.id)
        if current is not None:
            self._apply(tx, current, said.Reported(status), now_s)

    def take_birth(self, tx: Tx, device: Device, birth: Birth, now_s: float) -> None:
        """`birth` is newer than the one stored before, and `device` already carries it."""
        current = tx.deployments.current(device.id)
        if current is not None:
            self._apply(tx, current, said.Born(birth), now_s)

    def device_gone(self, tx: Tx, device: str, now_s: float) -> None:
        current = tx.deployments.current(device)
        if current is not None:
            self._apply(tx, current, said.DeviceGone(), now_s)
        self._withdraw(tx, device, gone=True)
        self._on_air.collect(tx)

    def tick(self) -> None:
        """Ends what took too long. A device that sleeps takes its time, as long as it wakes."""
        now_s = self._clock()
        with self._store.read() as tx:
            if not tx.deployments.due(now_s):
                return
        with self._store.write() as tx:
            for deployment in tx.deployments.due(now_s):
                patient = replace(deployment, deadline_s=self._deadline_s(tx, deployment))
                if patient.deadline_s != deployment.deadline_s:
                    tx.deployments.put(patient)
                self._apply(tx, patient, said.Tick(), now_s)
        self._wake()

    def wake(self) -> None:
        self._wake()

    def _apply(self, tx: Tx, deployment: Deployment, event: Event, now_s: float) -> None:
        """One event to one deployment, its rollout and everything that follows, in this transaction."""
        done = deployments.advance(deployment, event, now_s)
        if done.signal is None:
            return
        after = done.deployment
        for effect in done.effects:
            match effect:
                case Effect.OFFER:
                    after = _picked_again(tx, after)
                    self._on_air.publish(tx, after.manifests)
                    after = self._offer(tx, after, now_s)
                case Effect.WITHDRAW:
                    self._withdraw(tx, after.device)
                case Effect.RESEND:
                    self._on_air.resend(tx, after.manifests, now_s)
        tx.deployments.put(after)
        if after.state is not deployment.state or after.update is not deployment.update or done.effects:
            name = transition_name(deployment.state, done.signal, after.state)
            tx.deployments.record(after, name, now_s)
        if after.state is deployment.state:
            return
        summary = tx.rollouts.get(after.rollout)
        if summary is None:
            raise RuntimeError(f"deployment of {after.device}: rollout {after.rollout} is not there")
        moved, _ = rollouts.step(summary, rollouts.Moved(deployment, after), now_s)
        tx.rollouts.put(moved)
        self._on_air.collect(tx)

    def _offer(self, tx: Tx, deployment: Deployment, now_s: float) -> Deployment:
        """Publishes a `want` of a generation above every one before."""
        device = tx.devices.get(deployment.device)
        found = {manifest: tx.releases.transport(manifest) for manifest in deployment.manifests}
        if device is None or None in found.values():
            raise RuntimeError(f"deployment of {deployment.device}: its device or artifact is not there")
        named = {way.artifact.kind: wanted(way) for way in found.values() if way is not None}
        names = [manifest.hex() for manifest in found]
        generation = next_generation(tx, device)
        standing = standing_want(tx, device.id)
        want = Want(
            generation=generation,
            firmware=named.get(ArtifactKind.FIRMWARE),
            model=named.get(ArtifactKind.MODEL),
            trial=Trial(inferences=self._trial_inferences),
            period_s=period_s_of(standing, device),
            **lasting(standing),
        )
        evict(tx, device.id, f"rollout {deployment.rollout} took its place", now_s)
        tx.retained.put(
            RetainedKind.WANT,
            device.id,
            live=True,
            payload=encode(with_settings(want, device)),
            names=names[0],
            also=names[1] if len(names) > 1 else "",
        )
        deadline_s = self._patience.deadline_s(device.evidence, now_s)
        return replace(deployment, generation=generation, deadline_s=deadline_s)

    def _deadline_s(self, tx: Tx, deployment: Deployment) -> float:
        device = tx.devices.get(deployment.device)
        summary = tx.rollouts.get(deployment.rollout)
        begun_s = deployment.changed_s if summary is None else summary.started_s
        evidence = None if device is None else device.evidence
        return self._patience.extended_s(evidence, begun_s, deployment.deadline_s)

    def _withdraw(self, tx: Tx, device: str, *, gone: bool = False) -> None:
        held = tx.retained.get(RetainedKind.WANT, device)
        if held is None or not held.live:
            return
        known, rest = tx.devices.get(device), lasting(standing_want(tx, device))
        if known is None or gone or (not rest and not has_settings(known)):
            tx.retained.put(RetainedKind.WANT, device, live=False)
            return
        # A newer want that names nothing takes back what the older one asked for, and keeps the rest.
        want = Want(generation=next_generation(tx, known), **rest)
        payload = encode(with_settings(want, known))
        tx.retained.put(RetainedKind.WANT, device, live=True, payload=payload)


def _ways(tx: Tx, choice: Choice, *, full: bool) -> dict[ArtifactKind, Transport]:
    birth = choice.device.birth
    return {artifact.kind: pick(tx, artifact, birth, full=full) for artifact in choice.artifacts}


def _picked_again(tx: Tx, deployment: Deployment) -> Deployment:
    """The ways for what the device says of itself now: a delta's base may be gone. Raw stays raw: it may have
    been asked for.
    """
    device = tx.devices.get(deployment.device)

    def again(manifest: bytes | None) -> bytes | None:
        way = None if manifest is None else tx.releases.transport(manifest)
        if way is None or way.encoding is Encoding.RAW or device is None:
            return manifest
        return pick(tx, way.artifact, device.birth, full=False).manifest

    return replace(
        deployment,
        manifest=again(deployment.manifest),
        firmware_manifest=again(deployment.firmware_manifest),
    )


def _deployment(
    rollout: int, choice: Choice, ways: dict[ArtifactKind, Transport], now_s: float
) -> Deployment:
    model, firmware = choice.model, choice.firmware
    return Deployment(
        rollout=rollout,
        device=choice.device.id,
        wave=0,
        image=None if model is None else model.image,
        manifest=None if model is None else ways[model.kind].manifest,
        firmware=None if firmware is None else firmware.image,
        firmware_manifest=None if firmware is None else ways[firmware.kind].manifest,
        generation=0,
        changed_s=now_s,
    )


def _release_of(tx: Tx, summary: Summary) -> Release:
    release = tx.releases.get(summary.release)
    if release is None:
        raise RuntimeError(f"rollout {summary.id} names release {summary.release}, which is not there")
    return release
