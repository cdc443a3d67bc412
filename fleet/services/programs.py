"""What agents show at the broker's TLS port, in their own name and in those of the boards they speak for."""

from __future__ import annotations

import datetime
from dataclasses import replace

from tinyfleet.fleet.services.ports import Agent, Certificates, ClientTls, Revoked, Tx


def client_tls(
    tx: Tx, certificates: Certificates, name: str, credential: int, days: int | None, now_s: float
) -> ClientTls:
    """The same every time; with `days`, a certificate that is good from today for so long, each time another.
    The one before stays good to its own end. Raises Unavailable."""
    enrolment = tx.enrolments.get(name)
    if days is None:
        return certificates.client(name, credential)
    # Counted, so that a revocation knows of each.
    renewed = replace(enrolment, tls=True, sequence=enrolment.sequence + 1)
    tx.enrolments.put(name, renewed)
    today = datetime.datetime.fromtimestamp(now_s, datetime.UTC).date()
    change = certificates.renewed(name, credential, renewed.sequence, today, days)
    return certificates.client(name, credential, change)


def revoke_agent_certificates(tx: Tx, agent: Agent) -> None:
    """As `registry.revoke_certificates` for a device."""
    enrolment = tx.enrolments.get(agent.id)
    if enrolment.tls:
        tx.enrolments.revoke(Revoked(agent.id, agent.credential, enrolment.sequence))
