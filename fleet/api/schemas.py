"""What crosses the HTTP door. Digests are hex, records base64, times seconds since the epoch, enums by
name.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Closed(BaseModel):
    """Unknown fields are a mistake of the caller, not something to ignore."""

    model_config = ConfigDict(extra="forbid")


class Health(Closed):
    status: str
    version: str
    reader: bool
    publisher: bool
    pending: int = Field(description="retained rows the broker does not hold yet")
    manager: str = Field(description="identity of the database")
    uptime_s: float


class DeploymentOut(Closed):
    rollout: int
    device: str
    state: str
    version: int
    generation: int
    update: str | None
    result: str | None
    result_code: int | None
    offset_bytes: int
    size_bytes: int
    detail: str
    changed_s: float


class DeviceOut(Closed):
    id: str
    site: str
    device_type: str
    state: str
    emulated: bool | None
    via: str | None = Field(description="agent that speaks for it, as it has no network")
    generation: int
    firmware_version: str | None
    model: str | None = Field(description="image digest of the model that runs")
    model_version: str | None
    heard_s: float | None
    period_s: int
    wake_s: int | None = Field(description="seconds between two wakes, by its birth; absent: always awake")
    next_wake_s: float | None = Field(description="when a device that sleeps is to be heard next")
    missed_wakes: int = Field(description="wake-ups in a row that it missed")
    deployment: DeploymentOut | None


class ConfigurationOut(Closed):
    state: str = Field(description="UNKNOWN, IN_USE, PENDING or REFUSED")
    wanted: int = Field(description="sequence of the configuration that is wanted; 0: as provisioned")
    in_use: int | None
    refused: int | None = Field(description="sequence of the last one that was not kept")
    result: str | None = Field(description="why not")
    detail: str | None


class RotateIn(Closed):
    """What to change of a configuration; absent: as it is. One by TLS gets another certificate, too."""

    host: str | None = Field(None, description="IPv4 address of its broker")
    port: int | None = Field(None, ge=1, le=65535)
    keepalive_s: int | None = Field(None, ge=5, le=3600)
    period_s: int | None = Field(None, ge=1, le=86400)
    sntp: str | None = Field(None, description="IPv4 address, or address:port, of an SNTP server")
    days: int | None = Field(None, ge=1, le=10_000, description="how long the certificate is good")


class DeviceDetailOut(Closed):
    device: DeviceOut
    birth: dict[str, Any] | None
    tele: dict[str, Any] | None
    live: LiveOut
    transitions: list[dict[str, Any]]
    events: list[dict[str, Any]]
    configuration: ConfigurationOut


class SleepIn(Closed):
    wake_s: int = Field(ge=0, le=31_536_000, description="seconds between two wakes; 0: it stays awake")
    budget_bytes: int | None = Field(
        None, ge=6144, le=2**32 - 1, description="IP bytes that one wake may cost, both ways"
    )
    awake_ms: int | None = Field(None, ge=5000, le=3_600_000, description="how long one wake may last")


class ProvisionIn(Closed):
    id: str
    device_type: str
    site: str = "default"
    node_host: str | None = Field(None, description="IPv4 address by which the node reaches the broker")
    period_s: int | None = Field(None, ge=1, le=86400)
    window_ms: int | None = Field(None, ge=1, le=3_600_000)
    sleep: SleepIn | None = Field(None, description="when its radio is on; absent: always")
    tls: bool = Field(False, description="it reaches the broker by TLS, with a certificate of its own")
    sntp: str | None = Field(None, description="IPv4 address, or address:port, of an SNTP server")
    smp: Literal["read", "full"] | None = Field(
        None, description="what anybody on its network may do over SMP: look, or all; absent: nothing"
    )
    fresh: bool = Field(False, description="its flash is new: forget what was counted before")
    firmware: str | None = Field(None, description="release whose firmware it starts with")
    firmware_version: str | None = None


class ProvisionOut(Closed):
    device: DeviceOut
    trust: str
    config: str
    firmware: str | None = Field(description="signed image for the first slot")


class TokenIn(Closed):
    valid_s: float = Field(gt=0, le=30 * 86_400, description="how long it may be used")
    count: int = Field(1, ge=1, le=1000)
    device_type: str | None = Field(None, description="only boards of this type; absent: any")
    site: str = "default"
    device: str | None = Field(None, description="the id that the board is to bear; absent: one is made")
    replaces: bool = Field(False, description="that device is registered already, and gets another board")
    release: str | None = Field(None, description="release whose firmware the board starts with")
    release_version: str | None = None


class TokenOut(Closed):
    """A one-time token. Its word was told when it was made, and is not kept."""

    id: int
    state: str = Field(description="OPEN, PENDING (not heard yet), USED, EXPIRED or REVOKED")
    device_type: str | None
    site: str
    device: str | None
    replaces: bool
    release: str | None
    release_version: str | None
    made_s: float
    expires_s: float
    changed_s: float


class TokenWordOut(Closed):
    word: str = Field(description="what who provisions the board must show; told this once")
    token: TokenOut


class OfferOut(Closed):
    """What a one-time token is good for."""

    token: TokenOut
    trust: str
    firmware: str | None = Field(description="signed image for the first slot")


class EnrolIn(Closed):
    csr: str = Field(max_length=4096, description="PKCS #10 in DER, base64; the names in it do not count")
    device_type: str
    name: str | None = Field(None, description="device id; absent: the token's, or one is made")
    again: bool = Field(False, description="the board had a certificate by this token, and lost its key")


class EnrolOut(Closed):
    """What makes a board the device: it is registered with its first birth."""

    device: str
    credential: int
    sequence: int = Field(description="of the configuration; its birth has to tell it")
    chain: list[str] = Field(description="DER of the device's certificate and of the authority's")
    trust: str
    config: str = Field(description="flash record with zeros where the device's key and seed go")
    expires_s: float = Field(description="until when its birth is awaited")


class BridgeIn(Closed):
    """A board without a network, for which an agent speaks."""

    agent: str
    device_type: str
    site: str = "default"
    host: str | None = Field(None, description="IPv4 address by which the agent reaches the broker")
    period_s: int | None = Field(None, ge=1, le=86400)
    tls: bool = Field(False, description="by the TLS port, with a certificate")
    days: int | None = Field(None, ge=1, le=10_000, description="how long that is good; else to the end")
    fresh: bool = Field(False, description="the agent lost what it kept of it: forget what was counted")


class ClientTlsOut(Closed):
    """PEM, and the name in the broker's certificate. Whoever has it can speak in the certificate's name."""

    server: str
    authority: str
    certificate: str
    key: str = Field(repr=False)


class BridgeOut(Closed):
    """As the agent reads it from a file. Whoever has it can speak as the device."""

    device: str
    agent: str
    device_type: str
    host: str
    port: int
    prefix: str
    user: str
    password: str = Field(repr=False, description="empty: by TLS the certificate says who it is")
    keepalive_s: int
    period_s: int
    trust: list[str] = Field(description="SHA-256 of the keys whose images it may take")
    tls: ClientTlsOut | None = None


class CaptureIn(Closed):
    classes: list[str] = Field([], max_length=16, description="labels or numbers; none: any class")
    margin_below: float | None = Field(None, gt=0, le=1, description="top score less the second; none: any")
    per_day: int = Field(ge=1, le=100_000, description="windows at most in 24 hours")
    day_bytes: int = Field(ge=1, le=1 << 31, description="bytes of them at most")


class EventRuleIn(Closed):
    classes: list[str] = Field([], max_length=16, description="labels or numbers; none: any class")
    min_score: float = Field(0.0, ge=0, le=1)
    windows: int = Field(1, ge=1, le=32)
    hits: int = Field(1, ge=1, le=32, description="of so many of the last `windows`")
    hold_off_s: int = Field(10, ge=0, le=86_400, description="seconds between two events")


class LiveOut(Closed):
    """What a device was told to do with its windows; None: nothing."""

    device: str
    generation: int
    capture: dict[str, Any] | None
    event_rule: dict[str, Any] | None


class SampleOut(Closed):
    id: int
    device: str
    at_s: float = Field(description="when its last part came")
    uptime_ms: int
    boot: int
    seq: int
    model: str = Field(description="image digest")
    model_name: str | None
    model_version: str | None
    labels: list[str]
    class_number: int
    label: str | None
    scores: list[float] = Field(description="of each class, 0..1")
    margin: float | None
    sensor: str
    unit: str
    rate_hz: float
    samples: int
    channels: int
    window: str | None = Field(None, description="base64 of i16 little-endian [samples][channels]")


class RemovedOut(Closed):
    removed: int


class AgentIn(Closed):
    id: str
    site: str = "default"
    host: str | None = Field(
        None, pattern=r"^[A-Za-z0-9._:-]{1,253}$", description="by which the agent reaches the broker"
    )
    tls: bool = Field(False, description="by the TLS port, with a certificate")
    days: int | None = Field(None, ge=1, le=10_000, description="how long that is good; else to the end")


class AgentCredentials(Closed):
    id: str
    host: str
    port: int
    prefix: str
    user: str
    password: str = Field(repr=False, description="empty: by TLS the certificate says who it is")
    tls: ClientTlsOut | None = None


class BoardsOut(Closed):
    id: str
    site: str
    state: str | None
    heard_s: float | None
    boards: list[dict[str, Any]]


class ArtifactOut(Closed):
    kind: str
    device_type: str
    image: str
    manifest: str
    version: str
    size_bytes: int
    groups: int
    security_counter: int
    key_hash: str
    foreign: bool
    labels: list[str]
    slot: int | None = Field(description="firmware that runs in this slot alone")


class ReleaseOut(Closed):
    id: int
    name: str
    version: str
    created_s: float
    artifacts: list[ArtifactOut]


class ReleaseIn(Closed):
    payloads: list[str] = Field(
        min_length=1, max_length=4, description="base64: a compiled model, firmware binaries"
    )
    device_type: str = Field(description="what the model is for; a firmware says it itself")
    name: str | None = None
    version: str | None = None
    security_fix: bool = False
    needs_firmware: str | None = Field(None, description="the model needs this firmware or a newer one")


class RolloutIn(Closed):
    release: str
    version: str | None = None
    devices: list[str] | None = Field(None, min_length=1)
    site: str | None = None
    full: bool = Field(False, description="send images as they are, neither compressed nor as deltas")


class RolloutOut(Closed):
    id: int
    release: str
    release_version: str
    state: str
    version: int
    why: str
    counts: dict[str, int]
    started_s: float
    ended_s: float | None


class TransferOut(Closed):
    """One way in which an artifact of a rollout travels."""

    kind: str
    version: str
    encoding: str
    base: str | None = Field(description="image that a delta starts from")
    size_bytes: int = Field(description="transported")
    image_bytes: int
    devices: int


class RolloutDetailOut(Closed):
    rollout: RolloutOut
    transfers: list[TransferOut]
    deployments: list[DeploymentOut]


class ShadowIn(Closed):
    release: str
    version: str | None = None
    devices: list[str] | None = Field(None, min_length=1)
    site: str | None = None


class ShadowStopIn(Closed):
    devices: list[str] | None = Field(None, min_length=1)
    site: str | None = None


class ShadowPairOut(Closed):
    active: str = Field(description="class that the running model named: its label, else its number")
    challenger: str
    windows: int


class ShadowOut(Closed):
    device: str
    release: str
    release_version: str
    image: str
    active: str | None = Field(description="the model it is compared with")
    state: str
    transition: str
    generation: int
    result: str | None
    result_code: int | None
    detail: str
    windows: int = Field(description="that both models classified")
    agreements: int = Field(description="of the same class; which of two models is right nobody knows here")
    agreement: float | None = Field(description="agreements / windows; no accuracy")
    skipped: int = Field(description="windows that the challenger left out, for want of time")
    missed: int = Field(description="windows that the running model missed because of it")
    pairs: list[ShadowPairOut]
    rest: int = Field(description="windows of pairs that the node did not tell apart")
    started_s: float
    changed_s: float


class QuarantineOut(Closed):
    id: int
    topic: str
    payload: str
    reason: str
    at_s: float


class ErrorOut(Closed):
    kind: str
    message: str
