"""Rollouts over HTTP."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tinyfleet.fleet.api import schemas as out
from tinyfleet.fleet.api import show
from tinyfleet.fleet.api.common import Number, ServicesOf

reading = APIRouter(prefix="/rollouts")
changing = APIRouter(prefix="/rollouts")


@reading.get("")
def rollouts(limit: int = 50, services: Any = ServicesOf) -> list[out.RolloutOut]:
    """Newest first."""
    found = services.rollouts.all(max(1, min(limit, 500)))
    return [show.rollout(summary, release) for summary, release in found]


@reading.get("/{number}")
def rollout(number: Number, services: Any = ServicesOf) -> out.RolloutDetailOut:
    summary, release, deployments = services.rollouts.get(number)
    return out.RolloutDetailOut(
        rollout=show.rollout(summary, release),
        transfers=[show.transfer(each) for each in services.rollouts.carried(number)],
        deployments=[show.deployment(each) for each in deployments],
    )


@changing.post("")
def start(order: out.RolloutIn, services: Any = ServicesOf) -> out.RolloutOut:
    summary = services.rollouts.start(
        order.release, order.version, devices=order.devices, site=order.site, full=order.full
    )
    return show.rollout(*services.rollouts.get(summary.id)[:2])


@changing.post("/{number}/cancel")
def cancel(number: Number, services: Any = ServicesOf) -> out.RolloutOut:
    summary = services.rollouts.cancel(number)
    return show.rollout(*services.rollouts.get(summary.id)[:2])
