"""Values of services as what crosses the HTTP door."""

from __future__ import annotations

import base64
from collections import Counter

from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.core.deployment import Deployment
from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.enrolment import Token
from tinyfleet.fleet.core.liveness import next_wake_at_s
from tinyfleet.fleet.core.release import Artifact, Release
from tinyfleet.fleet.core.rollout import Summary
from tinyfleet.fleet.services.configurations import Configuration
from tinyfleet.fleet.services.enrolments import Enrolled, Offer
from tinyfleet.fleet.services.ports import ClientTls
from tinyfleet.fleet.services.registry import DeviceDetail, DeviceView
from tinyfleet.fleet.services.rollouts import Carried
from tinyfleet.fleet.services.samples import SampleView
from tinyfleet.fleet.services.shadows import ShadowView
from tinyfleet.wire.codec import to_json


def deployment(value: Deployment) -> out.DeploymentOut:
    return out.DeploymentOut(
        rollout=value.rollout,
        device=value.device,
        state=value.state.value,
        version=value.version,
        generation=value.generation,
        update=None if value.update is None else value.update.name,
        result=None if value.result is None else value.result.name,
        result_code=None if value.result is None else int(value.result),
        offset_bytes=value.offset_bytes,
        size_bytes=value.size_bytes,
        detail=value.detail,
        changed_s=value.changed_s,
    )


def client_tls(value: ClientTls | None) -> out.ClientTlsOut | None:
    if value is None:
        return None
    return out.ClientTlsOut(
        server=value.server, authority=value.authority, certificate=value.certificate, key=value.key
    )


def device(view: DeviceView) -> out.DeviceOut:
    value, birth = view.device, view.device.birth
    model = None if birth is None else birth.model
    return out.DeviceOut(
        id=value.id,
        site=value.site,
        device_type=value.device_type,
        state=view.state.value,
        emulated=None if birth is None else birth.emulated,
        via=None if birth is None else birth.via,
        generation=value.generation,
        firmware_version=None if birth is None else birth.firmware.version,
        model=None if model is None or model.image is None else model.image.hex(),
        model_version=None if model is None else model.version,
        heard_s=value.evidence.heard_s,
        period_s=value.evidence.period_s,
        wake_s=value.evidence.wake_s,
        next_wake_s=next_wake_at_s(value.evidence),
        missed_wakes=view.missed_wakes,
        deployment=None if view.deployment is None else deployment(view.deployment),
    )


def configuration(value: Configuration) -> out.ConfigurationOut:
    return out.ConfigurationOut(
        state=value.state.value,
        wanted=value.wanted,
        in_use=value.in_use,
        refused=value.refused,
        result=None if value.result is None else value.result.name,
        detail=value.detail,
    )


def device_detail(value: DeviceDetail) -> out.DeviceDetailOut:
    birth = value.view.device.birth
    return out.DeviceDetailOut(
        device=device(value.view),
        birth=None if birth is None else to_json(birth),
        tele=value.tele,
        live=live(value.view.device),
        transitions=value.transitions,
        events=value.events,
        configuration=configuration(value.configuration),
    )


def live(value: Device) -> out.LiveOut:
    return out.LiveOut(
        device=value.id,
        generation=value.generation,
        capture=None if value.capture is None else to_json(value.capture),
        event_rule=None if value.event_rule is None else to_json(value.event_rule),
    )


def sample(view: SampleView, *, with_window: bool) -> out.SampleOut:
    window, labels = view.stored.window, view.labels
    return out.SampleOut(
        id=view.stored.id,
        device=window.device,
        at_s=window.at_s,
        uptime_ms=window.uptime_ms,
        boot=window.boot,
        seq=window.seq,
        model=window.model.hex(),
        model_name=view.model,
        model_version=view.version,
        labels=list(labels),
        class_number=window.class_,
        label=labels[window.class_] if window.class_ < len(labels) else None,
        scores=[score / 256 for score in window.scores],
        margin=None if window.margin is None else window.margin / 256,
        sensor=window.sensor,
        unit=window.unit,
        rate_hz=window.rate_mhz / 1000,
        samples=window.samples,
        channels=window.channels,
        window=base64.b64encode(window.data).decode("ascii") if with_window else None,
    )


def artifact(value: Artifact) -> out.ArtifactOut:
    return out.ArtifactOut(
        kind=value.kind.name,
        device_type=value.device_type,
        image=value.image.hex(),
        manifest=value.manifest.hex(),
        version=value.version,
        size_bytes=value.size_bytes,
        groups=value.groups,
        security_counter=value.security_counter,
        key_hash=value.key_hash.hex(),
        foreign=value.foreign,
        labels=list(value.labels),
        slot=value.slot,
    )


def transfer(value: Carried) -> out.TransferOut:
    way = value.transport
    return out.TransferOut(
        kind=way.artifact.kind.name,
        version=way.artifact.version,
        encoding=way.encoding.name,
        base=None if way.base is None else way.base.hex(),
        size_bytes=way.size_bytes,
        image_bytes=way.artifact.size_bytes,
        devices=value.devices,
    )


def token(value: Token) -> out.TokenOut:
    return out.TokenOut(
        id=value.id,
        state=value.state.value,
        device_type=value.device_type,
        site=value.site,
        device=value.device,
        replaces=value.replaces,
        release=value.release,
        release_version=value.release_version,
        made_s=value.made_s,
        expires_s=value.expires_s,
        changed_s=value.changed_s,
    )


def offer(value: Offer) -> out.OfferOut:
    return out.OfferOut(
        token=token(value.token),
        trust=_base64(value.trust),
        firmware=None if value.firmware is None else _base64(value.firmware),
    )


def enrolled(value: Enrolled) -> out.EnrolOut:
    about = value.token
    return out.EnrolOut(
        device=about.device or "",
        credential=about.credential or 0,
        sequence=about.sequence or 0,
        chain=[_base64(each) for each in value.chain],
        trust=_base64(value.trust),
        config=_base64(value.config),
        expires_s=about.expires_s,
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def release(value: Release) -> out.ReleaseOut:
    return out.ReleaseOut(
        id=value.id,
        name=value.name,
        version=value.version,
        created_s=value.created_s,
        artifacts=[artifact(each) for each in value.artifacts],
    )


def rollout(value: Summary, of: Release) -> out.RolloutOut:
    counts: Counter[str] = Counter()
    for wave in value.waves:
        counts.update({state.value: count for state, count in wave.counts.items()})
    return out.RolloutOut(
        id=value.id,
        release=of.name,
        release_version=of.version,
        state=value.state.value,
        version=value.version,
        why=value.why,
        counts=dict(counts),
        started_s=value.started_s,
        ended_s=value.ended_s,
    )


def shadow(value: ShadowView) -> out.ShadowOut:
    about, counts = value.shadow, value.shadow.total

    def label(number: int) -> str:
        return value.labels[number] if number < len(value.labels) else str(number)

    return out.ShadowOut(
        device=about.device,
        release=value.release.name,
        release_version=value.release.version,
        image=about.image.hex(),
        active=None if value.active is None else " ".join(value.active),
        state=about.state.value,
        transition=about.transition,
        generation=about.generation,
        result=None if about.result is None else about.result.name,
        result_code=None if about.result is None else int(about.result),
        detail=about.detail,
        windows=counts.windows,
        agreements=counts.agreements,
        agreement=counts.agreements / counts.windows if counts.windows else None,
        skipped=counts.skipped,
        missed=counts.missed,
        pairs=[
            out.ShadowPairOut(active=label(active), challenger=label(challenger), windows=windows)
            for (active, challenger), windows in sorted(counts.pairs.items(), key=lambda item: -item[1])
        ],
        rest=counts.rest,
        started_s=about.started_s,
        changed_s=about.changed_s,
    )
