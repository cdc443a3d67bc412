"""Shadow challengers: a release's model beside the one that runs on a device, compared on the same windows.

Agreement is not accuracy: it says how often both models named the same class, not which of them was right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tinyfleet.fleet.core import said
from tinyfleet.fleet.core import shadow as core
from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.errors import NotFound, Refused
from tinyfleet.fleet.core.fit import Misfit, ReadNeeds
from tinyfleet.fleet.core.liveness import Patience
from tinyfleet.fleet.core.release import Artifact, Release, Transport, wanted
from tinyfleet.fleet.core.shadow import Effect, Event, Shadow
from tinyfleet.fleet.core.shadow_fit import misfit_beside
from tinyfleet.fleet.services.choice import Choice, choose, named_release, needs_of_running
from tinyfleet.fleet.services.on_air import OnAir
from tinyfleet.fleet.services.ports import Clock, ShadowKey, Store, Tx
from tinyfleet.fleet.services.transfers import Transfers, pick
from tinyfleet.fleet.services.wants import next_generation, replace_want, standing_want, with_settings
from tinyfleet.wire.messages import Birth, Status, Tele, Want, WantedArtifact

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class ShadowView:
    """A challenger with its release, the name and version of the model it is compared with (where this fleet
    knows it), and their classes."""

    shadow: Shadow
    release: Release
    active: tuple[str, str] | None
    labels: tuple[str, ...]


def evict(tx: Tx, device: str, why: str, now_s: float) -> None:
    """An update is about to be offered to the device: its want names no challenger."""
    shadow = tx.shadows.get(device)
    if shadow is not None and shadow.open:
        tx.shadows.put(core.step(shadow, core.Evict(why), now_s)[0])


def forget_runs(tx: Tx, device: str) -> None:
    """The device begins anew: so do its boots, and the runs in them."""
    shadow = tx.shadows.get(device)
    if shadow is not None:
        tx.shadows.put(replace(shadow, order=None, run=None, last=core.Counts()))


class Shadows:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        on_air: OnAir,
        patience: Patience,
        needs: ReadNeeds,
        transfers: Transfers,
        wake: Callable[[], None],
    ) -> None:
        """`needs` reads what a model asks of a node; `wake` tells the publisher that there is something to
        publish.
        """
        self._store = store
        self._clock = clock
        self._on_air = on_air
        self._patience = patience
        self._needs = needs
        self._transfers = transfers
        self._wake = wake

    def start(
        self,
        release: str,
        version: str | None = None,
        *,
        devices: Sequence[str] | None = None,
        site: str | None = None,
    ) -> list[ShadowView]:
        """Starts a release's model as challenger on the named devices, or on all it is for (of a site).

        A device on which it cannot run beside the active model is REJECTED, and nothing is sent for it.
        Raises NotFound, Conflict (a device is in a rollout), Refused (nothing fits, over budget).
        """
        now_s = self._clock()
        with self._store.read() as tx:
            chosen = _choose(tx, named_release(tx, release, version), devices, site)
            jobs = self._transfers.jobs(tx, chosen)
        made = self._transfers.make(jobs)
        with self._store.write() as tx:
            found = named_release(tx, release, version)
            chosen = _choose(tx, found, devices, site)
            for transport in made:
                tx.releases.add_transport(transport)
            pairs = [(choice.device, choice.model) for choice in chosen if choice.model is not None]
            unfit = self._misfits(tx, pairs)
            ways = {d.id: pick(tx, m, d.birth, full=False) for d, m in pairs if d.id not in unfit}
            self._on_air.check_budget(tx, found, ways.values())
            for device, model in pairs:
                birth, before = device.birth, tx.shadows.get(device.id)
                shadow = Shadow(
                    device=device.id,
                    release=found.id,
                    image=model.image,
                    manifest=ways[device.id].manifest if device.id in ways else model.manifest,
                    active=None if birth is None or birth.model is None else birth.model.image,
                    started_s=now_s,
                    changed_s=now_s,
                )
                if before is not None and before.image == model.image:
                    # It may run still, and its counters go on: they are not new a second time.
                    shadow = replace(shadow, order=before.order, run=before.run, last=before.last)
                if (misfit := unfit.get(device.id)) is not None:
                    self._apply(tx, shadow, said.Unfit(misfit), now_s)
                    continue
                self._on_air.publish(tx, [ways[device.id].manifest])
                tx.shadows.put(self._offer(tx, shadow, ways[device.id], now_s))
            self._on_air.collect(tx)
            views = [_view(tx, shadow) for shadow in map(tx.shadows.get, (d.id for d, _ in pairs)) if shadow]
        self._wake()
        return views

    def stop(self, *, devices: Sequence[str] | None = None, site: str | None = None) -> list[ShadowView]:
        """Stops the challengers of the named devices, or of all (of a site). Raises NotFound, Refused."""
        now_s = self._clock()
        with self._store.write() as tx:
            known = {device.id: device for device in tx.devices.all()}
            missing = [name for name in devices or () if name not in known]
            if missing:
                raise NotFound(f"no device {', '.join(missing)}; see `tinyfleet devices`")
            chosen = [
                shadow
                for shadow in tx.shadows.all()
                if shadow.open
                and (devices is None or shadow.device in devices)
                and (site is None or known[shadow.device].site == site)
            ]
            if not chosen:
                raise Refused("no challenger runs there; see `tinyfleet shadow show`")
            for shadow in chosen:
                self._apply(tx, shadow, core.Stop(), now_s)
            self._on_air.collect(tx)
            views = [
                _view(tx, shadow) for shadow in map(tx.shadows.get, (s.device for s in chosen)) if shadow
            ]
        self._wake()
        return views

    def all(self) -> list[ShadowView]:
        with self._store.read() as tx:
            return [_view(tx, shadow) for shadow in tx.shadows.all()]

    def get(self, device: str) -> ShadowView:
        """Raises NotFound."""
        with self._store.read() as tx:
            shadow = tx.shadows.get(device)
            if shadow is None:
                raise NotFound(f"{device} has no challenger; see `tinyfleet shadow start`")
            return _view(tx, shadow)

    def take_status(self, tx: Tx, device: Device, status: Status, now_s: float) -> None:
        self._take(tx, device.id, said.Reported(status), now_s)

    def take_birth(self, tx: Tx, device: Device, birth: Birth, now_s: float) -> None:
        self._take(tx, device.id, said.Born(birth), now_s)

    def take_tele(self, tx: Tx, device: Device, tele: Tele, series_max: int) -> int:
        """Takes in what a node counted. Returns how many series had no room; raises CounterError."""
        shadow = tx.shadows.get(device.id)
        if tele.shadow is None or shadow is None:
            return 0
        done = core.count(shadow, tele.boot, tele.shadow)
        if done is None:
            return 0
        after, new = done
        tx.shadows.put(after)
        active, challenger = tx.releases.model_of(tele.model), tx.releases.model_of(tele.shadow.model)
        key = ShadowKey(device.site, *_named(active), *_named(challenger))
        return tx.shadows.add(key, new, series_max)

    def tick(self) -> None:
        """Ends what took too long."""
        now_s = self._clock()
        with self._store.read() as tx:
            if not tx.shadows.due(now_s):
                return
        with self._store.write() as tx:
            for shadow in tx.shadows.due(now_s):
                device = tx.devices.get(shadow.device)
                evidence = None if device is None else device.evidence
                deadline_s = self._patience.extended_s(evidence, shadow.started_s, shadow.deadline_s)
                patient = replace(shadow, deadline_s=deadline_s)
                if patient.deadline_s != shadow.deadline_s:
                    tx.shadows.put(patient)
                self._apply(tx, patient, said.Tick(), now_s)
            self._on_air.collect(tx)
        self._wake()

    def _take(self, tx: Tx, device: str, event: Event, now_s: float) -> None:
        shadow = tx.shadows.get(device)
        if shadow is not None and shadow.open:
            self._apply(tx, shadow, event, now_s)

    def _apply(self, tx: Tx, shadow: Shadow, event: Event, now_s: float) -> None:
        after, effects = core.step(shadow, event, now_s)
        for effect in effects:
            match effect:
                case Effect.OFFER:
                    way = tx.releases.transport(after.manifest)
                    if way is not None:
                        self._on_air.publish(tx, [way.manifest])
                        after = self._offer(tx, after, way, now_s)
                case Effect.CLEAR:
                    self._publish_want(tx, after.device, None)
                case Effect.RESEND:
                    self._on_air.resend(tx, [after.manifest], now_s)
        if after is not shadow:
            tx.shadows.put(after)
        if shadow.open and not after.open:
            self._on_air.collect(tx)

    def _misfits(self, tx: Tx, pairs: Sequence[tuple[Device, Artifact]]) -> dict[str, Misfit]:
        found: dict[str, Misfit] = {}
        for device, model in pairs:
            birth = device.birth
            running = None if birth is None or birth.model is None else birth.model.image
            why = misfit_beside(
                self._needs(model), model.image, needs_of_running(tx, running, self._needs), birth
            )
            if why is not None:
                found[device.id] = why
        return found

    def _offer(self, tx: Tx, shadow: Shadow, way: Transport, now_s: float) -> Shadow:
        generation = self._publish_want(tx, shadow.device, wanted(way))
        device = tx.devices.get(shadow.device)
        deadline_s = None if device is None else self._patience.deadline_s(device.evidence, now_s)
        return replace(shadow, generation=generation, deadline_s=deadline_s)

    @staticmethod
    def _publish_want(tx: Tx, name: str, challenger: WantedArtifact | None) -> int:
        """What was wanted of the device, with another challenger or none, under a new generation."""
        device = tx.devices.get(name)
        if device is None:
            raise RuntimeError(f"challenger of {name}: its device is not there")
        standing = standing_want(tx, name)
        if standing is None:
            standing = with_settings(Want(generation=1, period_s=device.evidence.period_s), device)
        generation = next_generation(tx, device)
        replace_want(tx, name, replace(standing, generation=generation, shadow=challenger))
        return generation


def _choose(tx: Tx, release: Release, devices: Sequence[str] | None, site: str | None) -> list[Choice]:
    """Its model alone; a release may hold firmware, too."""
    chosen = [replace(choice, firmware=None) for choice in choose(tx, release, devices, site) if choice.model]
    if not chosen:
        raise Refused(f"release {release.name} {release.version} holds no model: nothing to compare with")
    return chosen


def _named(found: tuple[str, Artifact] | None) -> tuple[str, str]:
    return (UNKNOWN, "") if found is None else (found[0], found[1].version)


def _view(tx: Tx, shadow: Shadow) -> ShadowView:
    release = tx.releases.get(shadow.release)
    if release is None:
        raise RuntimeError(
            f"challenger of {shadow.device} names release {shadow.release}, which is not there"
        )
    active = None if shadow.active is None else tx.releases.model_of(shadow.active)
    challenger = tx.releases.model_of(shadow.image)
    labels = () if challenger is None else challenger[1].labels
    return ShadowView(shadow, release, None if active is None else _named(active), labels)
