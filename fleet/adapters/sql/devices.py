"""Rows of devices."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, select, update

from tinyfleet.fleet.adapters.sql.codecs import name_of, named, upsert
from tinyfleet.fleet.adapters.sql.schema import devices
from tinyfleet.fleet.core.device import Device, wake_s_of
from tinyfleet.fleet.core.liveness import Evidence
from tinyfleet.wire.codec import decode, encode
from tinyfleet.wire.enums import ConnState
from tinyfleet.wire.messages import Birth, Want

# Built once: every message of a device asks for its row.
_BY_ID = select(devices).where(devices.c.id == bindparam("device"))


class DeviceTable:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def get(self, device: str) -> Device | None:
        row = self._connection.execute(_BY_ID, {"device": device}).one_or_none()
        return None if row is None else _device(row)

    def all(self) -> list[Device]:
        return [_device(row) for row in self._connection.execute(select(devices).order_by(devices.c.id))]

    def put(self, device: Device) -> None:
        upsert(self._connection, devices, _values(device))

    def remove(self, device: str) -> None:
        self._connection.execute(delete(devices).where(devices.c.id == device))

    def passwords(self) -> dict[str, str]:
        rows = self._connection.execute(
            select(devices.c.id, devices.c.password).where(devices.c.password != "").order_by(devices.c.id)
        )
        return {row.id: row.password for row in rows}

    def set_password(self, device: str, hashed: str) -> None:
        self._connection.execute(update(devices).where(devices.c.id == device).values(password=hashed))


def _values(device: Device) -> dict[str, Any]:
    evidence = device.evidence
    boot, number = evidence.order or (None, None)
    return {
        "id": device.id,
        "site": device.site,
        "device_type": device.device_type,
        "generation": device.generation,
        "credential": device.credential,
        "registered_s": device.registered_s,
        "birth": None if device.birth is None else encode(device.birth),
        "born_s": device.born_s,
        "period_s": evidence.period_s,
        "keepalive_s": evidence.keepalive_s,
        "conn": name_of(evidence.conn),
        "conn_boot": boot,
        "conn_number": number,
        "conn_at_s": evidence.conn_at_s,
        "next_wake_s": evidence.next_wake_s,
        "heard_s": evidence.heard_s,
        "held_until_s": evidence.held_until_s,
        "outlived": evidence.outlived,
        "settings": _packed(device),
    }


def _packed(device: Device) -> bytes | None:
    """The settings as a want holds them."""
    if device.capture is None and device.event_rule is None:
        return None
    return encode(Want(generation=0, capture=device.capture, event_rule=device.event_rule))


def _device(row: Row[Any]) -> Device:
    birth = None if row.birth is None else decode(Birth, row.birth)
    settings = Want(generation=0) if row.settings is None else decode(Want, row.settings)
    return Device(
        id=row.id,
        site=row.site,
        device_type=row.device_type,
        generation=row.generation,
        credential=row.credential,
        registered_s=row.registered_s,
        birth=birth,
        born_s=row.born_s,
        capture=settings.capture,
        event_rule=settings.event_rule,
        evidence=Evidence(
            period_s=row.period_s,
            keepalive_s=row.keepalive_s,
            conn=named(ConnState, row.conn),
            order=None if row.conn_boot is None else (row.conn_boot, row.conn_number),
            conn_at_s=row.conn_at_s,
            next_wake_s=row.next_wake_s,
            heard_s=row.heard_s,
            held_until_s=row.held_until_s,
            outlived=row.outlived,
            wake_s=wake_s_of(birth),
        ),
    )
