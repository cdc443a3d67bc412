"""What services take from outside. `adapters` implement these; `main.py` joins them.

A transaction (`Tx`) offers one small set of rows per noun. Everything read or written through it is one
unit: stored together or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Protocol

from tinyfleet.fleet.core.counters import Delta, Snapshot
from tinyfleet.fleet.core.deployment import Deployment
from tinyfleet.fleet.core.device import Device
from tinyfleet.fleet.core.enrolment import Token
from tinyfleet.fleet.core.release import Artifact, Release, Transport
from tinyfleet.fleet.core.rollout import Summary
from tinyfleet.fleet.core.samples import Window
from tinyfleet.fleet.core.shadow import Counts, Shadow
from tinyfleet.wire.enums import ArtifactKind, CoreVariant
from tinyfleet.wire.messages import Bench, Event, NodeTls, Sample, Tele, TlsChange

Clock = Callable[[], float]
"""Seconds since the epoch."""


class DeviceRows(Protocol):
    def get(self, device: str) -> Device | None: ...
    def all(self) -> list[Device]: ...
    def put(self, device: Device) -> None: ...
    def remove(self, device: str) -> None: ...
    def passwords(self) -> dict[str, str]: ...
    def set_password(self, device: str, hashed: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A bench host. `bench` is what it told last of its boards."""

    id: str
    site: str
    credential: int = 1
    bench: Bench | None = None
    heard_s: float | None = None


class AgentRows(Protocol):
    def get(self, agent: str) -> Agent | None: ...
    def all(self) -> list[Agent]: ...
    def put(self, agent: Agent) -> None: ...
    def passwords(self) -> dict[str, str]: ...
    def set_password(self, agent: str, hashed: str) -> None: ...


class ReleaseRows(Protocol):
    def add(self, release: Release) -> Release: ...
    def get(self, release: int) -> Release | None: ...
    def named(self, name: str, version: str | None) -> Release | None: ...
    def all(self) -> list[Release]: ...
    def artifact(self, manifest: bytes) -> Artifact | None: ...
    def model_of(self, image: bytes) -> tuple[str, Artifact] | None: ...
    def artifacts(self, kind: ArtifactKind, device_type: str) -> list[Artifact]: ...
    def transport(self, manifest: bytes) -> Transport | None: ...
    def transports(self, artifact: Artifact) -> list[Transport]: ...
    def add_transport(self, transport: Transport) -> None: ...


class RolloutRows(Protocol):
    def add(self, summary: Summary) -> Summary: ...
    def get(self, rollout: int) -> Summary | None: ...
    def put(self, summary: Summary) -> None: ...
    def all(self, limit: int) -> list[Summary]: ...


class DeploymentRows(Protocol):
    def put(self, deployment: Deployment) -> None: ...
    def current(self, device: str) -> Deployment | None: ...
    def of(self, rollout: int) -> list[Deployment]: ...
    def due(self, now_s: float) -> list[Deployment]: ...
    def record(self, deployment: Deployment, transition: str, now_s: float) -> None: ...
    def history(self, device: str, limit: int) -> list[dict[str, object]]: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A snapshot with what is kept beside it. `first_*` anchor the device's clock to ours."""

    snapshot: Snapshot
    first_uptime_ms: int
    first_s: float


@dataclass(frozen=True, slots=True)
class ModelKey:
    site: str
    model: str
    version: str
    timing: str


@dataclass(frozen=True, slots=True)
class LatencyTotal:
    key: ModelKey
    buckets: tuple[int, ...]
    sum_us: int


@dataclass(frozen=True, slots=True)
class ClassTotal:
    key: ModelKey
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class LiveTotal:
    """What nodes kept of their windows. `margin` and `confidence` have one count a tenth; `missed` are all
    windows that no inference saw, `paused` those of them that a trial cost.
    """

    key: ModelKey
    missed: int
    paused: int
    switches: int
    captured: int
    skipped: int
    margin: tuple[int, ...]
    confidence: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Enrolment:
    """How a device was enrolled: by TLS or not, and the number of the last configuration its name was given
    by a `want` or a token (0: none). Numbers are never used again, whoever bears the name. `key` is the
    device's own (P-256, uncompressed), None: derived from the fleet's secret."""

    tls: bool = False
    sequence: int = 0
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Revoked:
    """Certificates that are good no more: those of one credential, the first and each that renewed it."""

    device: str
    credential: int
    sequence: int


@dataclass(frozen=True, slots=True)
class ClientTls:
    """By what a program that is no node reaches the broker: PEM, and the name in the broker's certificate."""

    server: str
    authority: str
    certificate: str
    key: str = field(repr=False)


class EnrolmentRows(Protocol):
    def get(self, device: str) -> Enrolment: ...
    def put(self, device: str, enrolment: Enrolment) -> None: ...
    def revoke(self, revoked: Revoked) -> None: ...
    def revoked(self) -> list[Revoked]: ...


class TokenRows(Protocol):
    def add(self, token: Token) -> Token: ...
    def get(self, token: int) -> Token | None: ...
    def hashed(self, digest: bytes) -> Token | None: ...
    def put(self, token: Token) -> None: ...
    def all(self, limit: int) -> list[Token]: ...
    def pending(self) -> dict[str, Token]: ...
    def due(self, now_s: float) -> list[Token]: ...
    def forget(self, ended_before_s: float) -> None: ...


class TelemetryRows(Protocol):
    def stored(self, device: str, boot: int, epoch: int) -> Stored | None: ...
    def is_forgotten(self, device: str, boot: int, epoch: int) -> bool: ...
    def put(self, device: str, tele: Tele, stored: Stored, now_s: float, *, fresh: bool = False) -> None: ...
    def latest(self, device: str) -> dict[str, object] | None: ...
    def add(self, key: ModelKey, labels: Sequence[str], delta: Delta, room: int) -> int: ...
    def forget(self, device: str) -> None: ...
    def totals(self) -> tuple[list[ClassTotal], list[LatencyTotal]]: ...
    def live_totals(self) -> list[LiveTotal]: ...
    def add_event(self, device: str, event: Event, now_s: float) -> bool: ...
    def events(self, device: str, limit: int) -> list[dict[str, object]]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleFilter:
    """`after` is the id of a stored window; None: any."""

    device: str | None = None
    model: bytes | None = None
    after: int = 0


@dataclass(frozen=True, slots=True)
class StoredWindow:
    id: int
    window: Window


class SampleRows(Protocol):
    def known(self, device: str, sample: Sample) -> bool: ...
    def add_part(self, device: str, sample: Sample, now_s: float) -> Window | None: ...
    def add(self, window: Window) -> None: ...
    def keep(self, budget_bytes: int, since_s: float) -> int: ...
    def totals(self) -> tuple[int, int]: ...
    def any_before(self, since_s: float) -> bool: ...
    def find(self, wanted: SampleFilter, limit: int) -> list[StoredWindow]: ...
    def newest(self, wanted: SampleFilter, limit: int) -> list[StoredWindow]: ...
    def remove(self, device: str | None) -> int: ...


@dataclass(frozen=True, slots=True)
class ShadowKey:
    site: str
    model: str
    version: str
    challenger: str
    challenger_version: str


@dataclass(frozen=True, slots=True)
class ShadowTotal:
    key: ShadowKey
    windows: int
    agreements: int
    skipped: int
    missed: int


class ShadowRows(Protocol):
    def get(self, device: str) -> Shadow | None: ...
    def all(self) -> list[Shadow]: ...
    def put(self, shadow: Shadow) -> None: ...
    def due(self, now_s: float) -> list[Shadow]: ...
    def add(self, key: ShadowKey, new: Counts, room: int) -> int: ...
    def totals(self) -> list[ShadowTotal]: ...
    def remove(self, device: str) -> None: ...


class QuarantineRows(Protocol):
    def add(self, topic: str, payload: bytes, reason: str, now_s: float) -> None: ...
    def all(self, limit: int) -> list[dict[str, object]]: ...


class RetainedKind(Enum):
    BLOB = "BLOB"
    WANT = "WANT"
    PAST = "PAST"
    """What a device that was removed, or begins anew, left there: cleared once, then forgotten."""


@dataclass(frozen=True, slots=True)
class Retained:
    """A retained thing as the broker should have it.

    `key` is a manifest in hex for a blob, else a device id. `live` False: published empty. `names` is the
    manifest (hex) that a want names, `also` a second one. `seq` orders all retained publishes of this
    database.
    """

    kind: RetainedKind
    key: str
    seq: int
    live: bool
    payload: bytes = b""
    names: str = ""
    also: str = ""
    size_bytes: int = 0


class RetainedRows(Protocol):
    def put(
        self,
        kind: RetainedKind,
        key: str,
        *,
        live: bool,
        payload: bytes = b"",
        names: str = "",
        also: str = "",
        size_bytes: int = 0,
    ) -> None: ...
    def get(self, kind: RetainedKind, key: str) -> Retained | None: ...
    def pending(self) -> list[Retained]: ...
    def pending_count(self) -> int: ...
    def done(self, rows: Iterable[Retained]) -> None: ...
    def again(self, after_seq: int | None) -> int: ...
    def live_blobs(self) -> list[Retained]: ...
    def unnamed_blobs(self) -> list[Retained]: ...


class Identity(Protocol):
    def manager(self) -> bytes: ...
    def seq(self) -> int: ...
    def raise_seq(self, above: int) -> None: ...
    def next_credential(self, name: str) -> int: ...


class Tx(Protocol):
    @property
    def devices(self) -> DeviceRows: ...
    @property
    def agents(self) -> AgentRows: ...
    @property
    def releases(self) -> ReleaseRows: ...
    @property
    def rollouts(self) -> RolloutRows: ...
    @property
    def deployments(self) -> DeploymentRows: ...
    @property
    def shadows(self) -> ShadowRows: ...
    @property
    def telemetry(self) -> TelemetryRows: ...
    @property
    def samples(self) -> SampleRows: ...
    @property
    def quarantine(self) -> QuarantineRows: ...
    @property
    def retained(self) -> RetainedRows: ...
    @property
    def identity(self) -> Identity: ...
    @property
    def enrolments(self) -> EnrolmentRows: ...
    @property
    def tokens(self) -> TokenRows: ...


class Store(Protocol):
    def write(self) -> AbstractContextManager[Tx]:
        """A transaction that alone may write, after the one before. Stored when the block ends well."""
        ...

    def read(self) -> AbstractContextManager[Tx]:
        """A consistent view that never waits for a writer."""
        ...


class Blobs(Protocol):
    def add(self, data: bytes) -> bytes:
        """Stores bytes; returns their SHA-256."""
        ...

    def get(self, digest: bytes) -> bytes:
        """Raises NotFound; raises BadInput when the file is not what its name says."""
        ...


class Encoder(Protocol):
    """Encodings of SPEC section 5. What is made may be larger than what it was made of."""

    def compress(self, image: bytes) -> bytes: ...

    def delta(self, image: bytes, base: bytes) -> bytes:
        """A patch that makes `image` of `base`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningRequest:
    """What goes into header and protected TLVs (SPEC section 7).

    A model has a `core`, and may need a firmware (`needs_firmware`, a version). A firmware has `ops` and
    `cores`, and an `address`: that of its slot (`in_slot`), or that to which it is copied; `bare`: that to
    which its payload alone is programmed.
    """

    payload: bytes
    kind: ArtifactKind
    device_type: str
    version: str
    security_counter: int
    abi: int
    core: int = 0
    needs_firmware: str | None = None
    ops: bytes = b""
    cores: frozenset[CoreVariant] = frozenset()
    address: int = 0
    in_slot: bool = False
    bare: bool = False


class Signer(Protocol):
    def sign(self, request: SigningRequest) -> bytes:
        """The signed image. Raises Unavailable when the tool fails."""
        ...

    def key_hash(self) -> bytes:
        """SHA-256 of the public key's DER: what a trust record holds."""
        ...


class Certificates(Protocol):
    def device(self, name: str, credential: int) -> NodeTls:
        """What this device shows and asks of the broker: the same every time. Raises Unavailable."""
        ...

    def requested(self, csr: bytes) -> bytes:
        """The public key (P-256, uncompressed) of a request that its own key signed. Raises BadInput."""
        ...

    def enrolled(self, name: str, credential: int, key: bytes) -> NodeTls:
        """As `device`, for a key that the device alone knows: that field holds zeros. Raises Unavailable."""
        ...

    def authority(self) -> bytes:
        """The authority's own certificate, DER. Raises Unavailable."""
        ...

    def renewed(
        self,
        name: str,
        credential: int,
        sequence: int,
        today: date,
        days: int | None,
        key: bytes | None = None,
    ) -> TlsChange:
        """Another certificate for the same key; `key`: the device's own. Raises Unavailable."""
        ...

    def client(self, name: str, credential: int, change: TlsChange | None = None) -> ClientTls:
        """As `device`, for a program; `change`: with that certificate, a renewed one. Raises Unavailable."""
        ...

    def revocations(self, revoked: Sequence[Revoked]) -> bytes:
        """The list by which the broker refuses these certificates, PEM. Raises Unavailable."""
        ...


class BrokerUsers(Protocol):
    def apply(self, passwords: dict[str, str], revocations: bytes) -> None:
        """Makes the broker accept exactly these users, besides its own and those with a certificate that is
        not on the list."""
        ...

    def take_over(self, name: str) -> None:
        """Ends the connection of this client, which a list of revocations alone would not."""
        ...
