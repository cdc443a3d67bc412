"""The fleet's devices: who they are, what they must be given to belong to it, and how they are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tinyfleet.fleet.core.deployment import Deployment
from tinyfleet.fleet.core.device import Device, check_device_id, check_label, forget_past
from tinyfleet.fleet.core.enrolment import TABLE, TokenEvent
from tinyfleet.fleet.core.errors import BadInput, Conflict, NotFound
from tinyfleet.fleet.core.liveness import DeviceState, Evidence, missed_wakes, state_of
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.configurations import Configuration, configuration_of
from tinyfleet.fleet.services.ports import Certificates, ClientTls, Clock, RetainedKind, Revoked, Store, Tx
from tinyfleet.fleet.services.programs import client_tls
from tinyfleet.fleet.services.rollouts import Rollouts
from tinyfleet.fleet.services.shadows import forget_runs
from tinyfleet.fleet.services.wants import amend_want, standing_want
from tinyfleet.wire.enums import SmpDoor
from tinyfleet.wire.errors import WireError
from tinyfleet.wire.messages import NodeConfig, NodeTls, Sleep, Trust
from tinyfleet.wire.records import decode_record, encode_record

HISTORY: int = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """How a node reaches the broker, and how it behaves there.

    `tls`: by `tls_port`, with a certificate. `smp`: how far its SMP is open to its network; None: not at all.
    `sntp`: who tells it the time of day.
    """

    host: str
    port: int
    tls_port: int = 0
    tls: bool = False
    prefix: str
    keepalive_s: int
    period_s: int
    window_ms: int | None = None
    sleep: Sleep | None = None
    smp: SmpDoor | None = None
    sntp: str | None = None


def node_config(
    name: str,
    connection: Connection,
    *,
    password: bytes,
    seed: bytes,
    tls: NodeTls | None,
    sequence: int,
) -> NodeConfig:
    """What a device's flash says of it. MessageError when a value is out of bounds."""
    return NodeConfig(
        device=name,
        host=connection.host,
        port=connection.port if tls is None else connection.tls_port,
        user=name,
        password=password,
        prefix=connection.prefix,
        keepalive_s=connection.keepalive_s,
        seed=seed,
        period_s=connection.period_s,
        window_ms=connection.window_ms,
        sleep=connection.sleep,
        tls=tls,
        smp=connection.smp,
        sntp=connection.sntp,
        sequence=sequence or None,
    )


@dataclass(frozen=True, slots=True)
class Provisioned:
    """Flash records (SPEC section 8) that make a device the fleet's. They hold its password."""

    device: Device
    trust: bytes
    config: bytes

    def __repr__(self) -> str:
        return f"Provisioned({self.device.id!r}, …)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridged:
    """What an agent needs to speak for a board that has no network: how to reach the broker as that device,
    and whose images it may take (SHA-256 of key DERs), as a node's trust record says it.
    """

    device: Device
    agent: str
    trust: tuple[bytes, ...]
    config: NodeConfig = field(repr=False)
    tls: ClientTls | None = None


@dataclass(frozen=True, slots=True)
class DeviceView:
    device: Device
    state: DeviceState
    deployment: Deployment | None
    missed_wakes: int = 0


@dataclass(frozen=True, slots=True)
class DeviceDetail:
    view: DeviceView
    tele: dict[str, object] | None
    transitions: list[dict[str, object]]
    events: list[dict[str, object]]
    configuration: Configuration


class Registry:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        rollouts: Rollouts,
        access: Access,
        *,
        trusted_keys: Callable[[], tuple[bytes, ...]],
        certificates: Certificates,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rollouts = rollouts
        self._access = access
        self._trusted_keys = trusted_keys
        self._certificates = certificates

    def provision(
        self, name: str, *, site: str, device_type: str, connection: Connection, fresh: bool = False
    ) -> Provisioned:
        """Registers a device, or finds it, and gives its records: the same ones every time.

        `fresh`: its flash is new, so whatever was counted and heard before is forgotten. One that was
        enrolled by a token gets another key by this, made of the fleet's secret.
        Raises BadInput, Conflict.
        """
        check_device_id(name)
        check_label("site", site)
        check_label("device type", device_type)
        evidence = Evidence(period_s=connection.period_s, keepalive_s=connection.keepalive_s)
        with self._store.write() as tx:
            if tx.agents.get(name) is not None:
                raise Conflict(f"{name} is an agent of this fleet: choose another name for the device")
            known = tx.devices.get(name)
            if known is None:
                device = Device(
                    id=name,
                    site=site,
                    device_type=device_type,
                    evidence=evidence,
                    registered_s=self._clock(),
                    credential=tx.identity.next_credential(name),
                )
            else:
                times = replace(known.evidence, period_s=evidence.period_s, keepalive_s=evidence.keepalive_s)
                device = replace(known, site=site, device_type=device_type, evidence=times)
                if fresh:
                    device = forget_past(device)
                    forget_runs(tx, name)
                    forget_device(tx, name)
            if name in tx.tokens.pending():
                raise Conflict(f"{name} is being provisioned by a token: see `tinyfleet device tokens`")
            before = tx.enrolments.get(name)
            leaves_key = known is not None and before.tls and not (connection.tls and before.key is None)
            if leaves_key:
                # Its certificate would open the door still, and no later revocation would know of it.
                revoke_certificates(tx, device)
                device = replace(device, credential=tx.identity.next_credential(name))
            enrolment = replace(before, tls=connection.tls, key=None)
            tx.enrolments.put(name, enrolment)
            records = self._records(device, connection, enrolment.sequence)
            tx.devices.put(device)
            standing = standing_want(tx, name)
            if standing is not None:
                # What is in its flash now is the newest word.
                period_s = None if standing.period_s is None else connection.period_s
                amend_want(tx, device, config=None, period_s=period_s)
            # By TLS the certificate says who it is; in the clear it shall not get in at all.
            word = "" if connection.tls else self._access.hashed(name, device.credential)
            tx.devices.set_password(name, word)
        self._rollouts.wake()
        if leaves_key:
            self._access.shut_out(name)
        else:
            self._access.apply()
        return records

    def bridge(
        self,
        name: str,
        *,
        agent: str,
        site: str,
        device_type: str,
        connection: Connection,
        days: int | None = None,
        fresh: bool = False,
    ) -> Bridged:
        """Registers a board without a network as a device that `agent` speaks for; the same answer every
        time. Its user at the broker is its own, so that the broker's rules and its will are a node's.

        `days`: with TLS, how long its certificate is good, which is then another each time. `fresh`: the
        agent lost what it kept of it, so whatever was counted and heard before is forgotten.
        Raises BadInput, Conflict, NotFound.
        """
        check_device_id(agent)
        if connection.sleep is not None:
            raise BadInput("an agent does not sleep")
        if days is not None and not connection.tls:
            raise BadInput("days are those of a certificate: say --tls, too")
        with self._store.read() as tx:
            if tx.agents.get(agent) is None:
                raise NotFound(f"no agent {agent}: let it in first, `tinyfleet agent register {agent}`")
        done = self.provision(name, site=site, device_type=device_type, connection=connection, fresh=fresh)
        trust, config = decode_record(Trust, done.trust), decode_record(NodeConfig, done.config)
        bridged = Bridged(device=done.device, agent=agent, trust=trust.keys, config=config)
        if not connection.tls:
            return bridged
        with self._store.write() as tx:
            device = tx.devices.get(name)
            if device is None:
                raise _missing(tx, name)
            # As it is now: who was revoked meanwhile must not get another certificate for what was.
            shown = client_tls(tx, self._certificates, name, device.credential, days, self._clock())
        return replace(bridged, tls=shown)

    def revoke(self, name: str) -> None:
        """Takes a device's certificate and password away, and ends its connection. It stays registered:
        provisioning it again gives it others. NotFound, Unavailable: the broker does not follow yet.
        """
        with self._store.write() as tx:
            device = tx.devices.get(name)
            if device is None:
                raise _missing(tx, name)
            revoke_certificates(tx, device)
            self._end_token(tx, name)
            tx.devices.put(replace(device, credential=tx.identity.next_credential(name)))
            tx.devices.set_password(name, "")
        self._access.shut_out(name)

    def remove(self, name: str) -> None:
        """Takes a device out of the fleet: the broker no longer lets it in. NotFound."""
        with self._store.write() as tx:
            device = tx.devices.get(name)
            if device is None:
                raise _missing(tx, name)
            tx.shadows.remove(name)
            revoke_certificates(tx, device)
            self._end_token(tx, name)
            self._rollouts.device_gone(tx, name, self._clock())
            tx.devices.remove(name)
            tx.samples.remove(name)
            forget_device(tx, name)
        try:
            self._access.shut_out(name)
        finally:
            # Again: as the broker threw the device out, it published its will.
            with self._store.write() as tx:
                if tx.devices.get(name) is None:
                    forget_device(tx, name)
            self._rollouts.wake()

    def all(self, site: str | None = None, state: DeviceState | None = None) -> list[DeviceView]:
        now_s = self._clock()
        with self._store.read() as tx:
            views = [
                _view(tx, device, now_s) for device in tx.devices.all() if site is None or device.site == site
            ]
        return [view for view in views if state is None or view.state is state]

    def get(self, name: str) -> DeviceDetail:
        """Everything known of one device. NotFound."""
        with self._store.read() as tx:
            device = tx.devices.get(name)
            if device is None:
                raise _missing(tx, name)
            return DeviceDetail(
                _view(tx, device, self._clock()),
                tx.telemetry.latest(name),
                tx.deployments.history(name, HISTORY),
                tx.telemetry.events(name, HISTORY),
                configuration_of(tx, device),
            )

    def _end_token(self, tx: Tx, name: str) -> None:
        """Whoever shuts a device out shuts out what is about to replace it."""
        token = tx.tokens.pending().get(name)
        if token is not None:
            state, _ = TABLE[token.state, TokenEvent.REVOKE]
            tx.tokens.put(replace(token, state=state, changed_s=self._clock()))

    def _records(self, device: Device, connection: Connection, sequence: int) -> Provisioned:
        try:
            trust = encode_record(Trust(keys=self._trusted_keys()))
            tls = self._certificates.device(device.id, device.credential) if connection.tls else None
            config = encode_record(
                node_config(
                    device.id,
                    connection,
                    password=self._access.password(device.id, device.credential),
                    seed=self._access.seed(device.id, device.credential),
                    tls=tls,
                    sequence=sequence,
                )
            )
        except WireError as error:
            raise BadInput(str(error)) from error
        return Provisioned(device, trust, config)


def revoke_certificates(tx: Tx, device: Device) -> None:
    """Puts what the device's credential brought on the list; the broker reads it with `Access.shut_out`."""
    enrolment = tx.enrolments.get(device.id)
    if enrolment.tls:
        tx.enrolments.revoke(Revoked(device.id, device.credential, enrolment.sequence))


def forget_device(tx: Tx, name: str) -> None:
    """Its counters, and what it left at the broker: both would swallow the messages of a new life."""
    tx.telemetry.forget(name)
    tx.retained.put(RetainedKind.PAST, name, live=False, payload=b"", names="", size_bytes=0)


def _missing(tx: Tx, name: str) -> NotFound:
    token = tx.tokens.pending().get(name)
    if token is None:
        return NotFound(f"no device {name}; see `tinyfleet devices`")
    return NotFound(
        f"{name} is PENDING: it has a certificate and was not heard yet; "
        f"`tinyfleet device token-revoke {token.id}` takes that back"
    )


def _view(tx: Tx, device: Device, now_s: float) -> DeviceView:
    return DeviceView(
        device,
        state_of(device.evidence, now_s),
        tx.deployments.current(device.id),
        missed_wakes(device.evidence, now_s),
    )
