"""Who takes part in a rollout, with which artifacts of its release, and who cannot run them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.errors import BadInput, Conflict, NotFound, Refused
from tinyfleet.fleet.core.fit import Misfit, ModelNeeds, ReadNeeds, ReadOffer, misfit_of_release
from tinyfleet.fleet.core.release import Artifact, Release
from tinyfleet.fleet.services.ports import Tx


@dataclass(frozen=True, slots=True)
class Choice:
    """A device and what the release holds for it: a model, a firmware, or both."""

    device: Device
    model: Artifact | None
    firmware: Artifact | None

    @property
    def artifacts(self) -> tuple[Artifact, ...]:
        return tuple(each for each in (self.firmware, self.model) if each is not None)


def named_release(tx: Tx, name: str, version: str | None) -> Release:
    """The newest without a version. Raises NotFound."""
    found = tx.releases.named(name, version)
    if found is None:
        named = name if version is None else f"{name} {version}"
        raise NotFound(f"no release {named}; see `tinyfleet release list`")
    return found


def choose(tx: Tx, release: Release, names: Sequence[str] | None, site: str | None) -> list[Choice]:
    """The named devices, or all that the release is for (of a site). Raises NotFound, Conflict, Refused."""
    known = {device.id: device for device in tx.devices.all()}
    if names is not None:
        missing = [name for name in names if name not in known]
        if missing:
            raise NotFound(f"no device {', '.join(missing)}; see `tinyfleet devices`")
    chosen = []
    for device in known.values() if names is None else [known[name] for name in dict.fromkeys(names)]:
        if site is not None and device.site != site:
            continue
        runs = None if device.birth is None else device.birth.firmware
        choice = Choice(
            device, release.model_for(device.device_type), release.firmware_for(device.device_type, runs)
        )
        if not choice.artifacts:
            if names is not None:
                raise Refused(
                    f"release {release.name} {release.version} has nothing for {device.id}, "
                    f"a {device.device_type}; it holds {_types(release)}"
                )
            continue
        current = tx.deployments.current(device.id)
        if current is not None and current.open:
            raise Conflict(
                f"{device.id} is still {current.state.value} in rollout {current.rollout}; "
                f"wait for it or `tinyfleet rollout cancel {current.rollout}`"
            )
        chosen.append(choice)
    if not chosen:
        where = "" if site is None else f" at site {site}"
        raise Refused(
            f"no device{where} fits release {release.name} {release.version} ({_types(release)}); "
            "provision one first"
        )
    return chosen


def misfits(
    tx: Tx, chosen: Sequence[Choice], read_needs: ReadNeeds, read_offer: ReadOffer
) -> dict[str, Misfit]:
    """By device id, why it cannot run what was chosen for it: by its birth; without one nothing is known."""
    needs = {c.model.manifest: read_needs(c.model) for c in chosen if c.model is not None}
    offers = {c.firmware.manifest: read_offer(c.firmware) for c in chosen if c.firmware is not None}
    found: dict[str, Misfit] = {}
    for choice in chosen:
        birth = choice.device.birth
        if birth is None:
            continue
        running = None if birth.model is None else birth.model.image
        why = misfit_of_release(
            birth,
            None if choice.model is None else needs[choice.model.manifest],
            None if choice.firmware is None else offers[choice.firmware.manifest],
            needs_of_running(tx, running, read_needs) if choice.firmware is not None else None,
            changes_model=choice.model is not None and choice.model.image != running,
        )
        if why is not None:
            found[choice.device.id] = why
    return found


def needs_of_running(tx: Tx, image: bytes | None, read_needs: ReadNeeds) -> ModelNeeds | None:
    """None: nothing runs, or nothing that this fleet released and still has; the node looks for itself."""
    known = None if image is None else tx.releases.model_of(image)
    if known is None:
        return None
    try:
        return read_needs(known[1])
    except (NotFound, BadInput):
        return None


def _types(release: Release) -> str:
    return "for " + ", ".join(dict.fromkeys(artifact.device_type for artifact in release.artifacts))
