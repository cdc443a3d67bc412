"""Many services write one want: none loses what another asked for, whatever comes after what."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.fleet.fleet_rig import TYPE, Rig, birth
from tests.unit.fleet.test_registry import CONNECTION, NoBroker

from tinyfleet.fleet.adapters.authority import Authority
from tinyfleet.fleet.core.errors import FleetError
from tinyfleet.fleet.services.access import Access
from tinyfleet.fleet.services.configurations import Change, Configurations
from tinyfleet.fleet.services.registry import Registry
from tinyfleet.wire.enums import Result, UpdateState
from tinyfleet.wire.messages import ConfigReport, Sleep, Want
from tinyfleet.wire.topics import TopicKind


class Operator:
    """Asks for this and that of d1, and knows what must stand in its want."""

    def __init__(self, folder: Path) -> None:
        self.rig = rig = Rig(folder)
        authority = Authority(folder / "authority.pem", bytes(32))
        self._configurations = Configurations(rig.store, rig.clock, rig.rollouts, authority)
        Registry(
            rig.store,
            rig.clock,
            rig.rollouts,
            Access(rig.store, NoBroker(), bytes(32), authority),
            trusted_keys=lambda: (bytes(32),),
            certificates=authority,
        ).provision("d1", site="s", device_type=TYPE, connection=replace(CONNECTION, tls_port=1, tls=True))
        first = rig.release("1.0.0")
        rig.release("2.0.0")
        about = birth(image=first.image, shadow_bytes=60_000, arena_bytes=65_536, captures=True)
        rig.say("d1", TopicKind.BIRTH, replace(about, config=ConfigReport(sequence=0)))
        self.expected: dict[str, Any] = {}
        self._numbers = itertools.count(1)
        self.generation = 0

    def capture(self) -> None:
        order: dict[str, Any] = {"classes": (), "margin_below": None, "day_bytes": 99}
        done = self.rig.live.capture("d1", per_day=next(self._numbers), **order)
        self.expected["capture"] = done.capture

    def event_rule(self) -> None:
        order: dict[str, Any] = {"classes": (), "min_score": 0.5, "windows": 9, "hits": 3}
        done = self.rig.live.event_rule("d1", hold_off_s=next(self._numbers), **order)
        self.expected["event_rule"] = done.event_rule

    def sleep(self) -> None:
        self.expected["sleep"] = Sleep(wake_s=next(self._numbers))
        self.rig.rollouts.set_sleep("d1", self.expected["sleep"])

    def stay_awake(self) -> None:
        self.expected["sleep"] = None
        self.rig.rollouts.set_sleep("d1", None)

    def rotate(self) -> None:
        self._configurations.rotate("d1", Change(port=next(self._numbers)))
        want = self.rig.want("d1")
        assert want is not None
        self.expected["config"] = want.config

    def rollout(self) -> None:
        self.rig.rollouts.start("demo", "2.0.0")

    def cancel(self) -> None:
        for summary, _ in self.rig.rollouts.all(1):
            self.rig.rollouts.cancel(summary.id)

    def shadow(self) -> None:
        self.rig.shadows.start("demo", "2.0.0")

    def stop(self) -> None:
        self.rig.shadows.stop()

    def fails(self) -> None:
        self.rig.status("d1", UpdateState.FAILED, Result.SIGNATURE, seq=next(self._numbers))

    def confirms(self) -> None:
        self.rig.status("d1", UpdateState.CONFIRMED, Result.SUCCESS, seq=next(self._numbers))

    def too_late(self) -> None:
        self.rig.now_s += 700
        self.rig.rollouts.tick()
        self.rig.shadows.tick()

    def check(self) -> None:
        want = self.rig.want("d1") or Want(generation=self.generation)
        found = {name: getattr(want, name) for name in self.expected}
        assert found == self.expected
        assert want.generation >= self.generation
        self.generation = want.generation
        named = {each.manifest.hex() for each in (want.firmware, want.model, want.shadow) if each is not None}
        with self.rig.store.read() as tx:
            device = tx.devices.get("d1")
            assert {row.key for row in tx.retained.live_blobs()} == named
        assert device is not None and device.generation in (want.generation, 0)


STEPS: list[Callable[[Operator], None]] = [
    *(Operator.capture, Operator.event_rule, Operator.sleep, Operator.stay_awake, Operator.rotate),
    *(Operator.rollout, Operator.cancel, Operator.shadow, Operator.stop),
    *(Operator.fails, Operator.confirms, Operator.too_late),
]


@settings(deadline=None, max_examples=25)
@given(steps=st.lists(st.sampled_from(STEPS), min_size=4, max_size=14))
def test_nothing_that_was_asked_for_is_lost(steps: list[Callable[[Operator], None]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        operator = Operator(Path(folder))
        try:
            for step in steps:
                with suppress(FleetError):  # a device in a rollout takes no other, and the like
                    step(operator)
                operator.check()
        finally:
            operator.rig.store.close()
