"""Debug probes by pyOCD, whatever their make; emulated boards are probes like any other.

pyOCD is imported when a probe is first asked for: that alone takes about a second.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from pyocd_qemu import registry
from pyocd_qemu.errors import LockupError

from tinyfleet.agent.core.errors import (
    AgentError,
    BoardBusyError,
    CoreLockedUp,
    NoSuchBoardError,
    PlanError,
    StepFailed,
)
from tinyfleet.agent.core.pulse import CoreSeen
from tinyfleet.agent.services.ports import ProbeInfo, ProbeSession, Progress

_OPTIONS = {
    "connect_mode": "halt",
    # A pyocd.yaml or pyocd_user.py of whatever folder we are started in is not to decide, let alone run.
    "no_config": True,
    # Unlocking a protected chip erases all of it.
    "auto_unlock": False,
    "hide_programming_progress": True,
}
# pyOCD lets a halted core run when it disconnects: who only looks must not.
_ATTACH_OPTIONS = {"connect_mode": "attach", "resume_on_disconnect": False}
_UNDER_RESET_OPTIONS = {"connect_mode": "under-reset", "reset_type": "hw"}
# QEMU has done with a reset when it says so; silicon is given pyOCD's tenth of a second.
_EMULATED_OPTIONS = {"reset.post_delay": 0.0, "reset.hold_time": 0.0}
_EMULATED_VENDOR = "QEMU"
_WHOLE = 1.0


class PyocdProbes:
    """`services.ports.Probes`."""

    def __init__(self) -> None:
        # An emulated board that is programmed keeps one core of this host busy, now by QEMU and now here.
        # More of them than cores, and one for whom waits for another thread's Python, only take each other's
        # time; probes on USB wait for their boards.
        self._turns = threading.BoundedSemaphore(len(os.sched_getaffinity(0)) + 1)

    def all(self) -> list[ProbeInfo]:
        """Every probe on this host; none is opened."""
        from pyocd.core.helpers import ConnectHelper

        with _translated("probes", "list"):
            found = ConnectHelper.get_all_connected_probes(blocking=False, print_wait_message=False)
        return sorted(
            (
                ProbeInfo(p.unique_id, p.description, p.vendor_name == _EMULATED_VENDOR, _board_of(p))
                for p in found
            ),
            key=lambda info: info.unique_id,
        )

    def open(self, unique_id: str, part: str | None = None) -> ProbeSession:
        """Connects and halts the board. `part` is the chip by pyOCD's name, its own or that of an installed
        CMSIS-Pack; it is asked for only where the probe does not know what it is soldered to."""
        return PyocdSession(unique_id, self._connect(unique_id, part, {}))

    @contextmanager
    def turn(self, unique_id: str, timeout_s: float) -> Iterator[None]:
        """Emulated boards take turns, as many at once as this host can do."""
        if registry.find(unique_id) is None:
            yield
            return
        if not self._turns.acquire(timeout=timeout_s):
            raise BoardBusyError(
                f"{unique_id} had no turn within {timeout_s:g} s: other emulated boards are programmed",
                "see which one hangs",
            )
        try:
            yield
        finally:
            self._turns.release()

    def look(self, unique_id: str, part: str | None) -> CoreSeen:
        """`services.heartbeat.Cores`: attaches, and leaves the core as it is."""
        from pyocd.core.target import Target

        try:
            session = self._connect(unique_id, part, _ATTACH_OPTIONS)
        except NoSuchBoardError:
            return CoreSeen.GONE
        try:
            with _translated(unique_id, "look at the core"):
                state = session.target.get_state()
        finally:
            with _translated(unique_id, "disconnect"):
                session.close()
        if state is Target.State.LOCKUP:
            return CoreSeen.LOCKED_UP
        running = state in (Target.State.RUNNING, Target.State.SLEEPING)
        return CoreSeen.RUNNING if running else CoreSeen.HALTED

    def reset(self, unique_id: str, part: str | None, *, under_connect: bool) -> None:
        """`services.heartbeat.Cores`."""
        session = self._connect(unique_id, part, _UNDER_RESET_OPTIONS if under_connect else {})
        try:
            with _translated(unique_id, "reset"):
                session.target.reset()
        finally:
            with _translated(unique_id, "disconnect"):
                session.close()

    def _connect(self, unique_id: str, part: str | None, more: Mapping[str, Any]) -> Any:
        from pyocd.core.session import Session
        from pyocd.probe.aggregator import DebugProbeAggregator

        with _translated(unique_id, "connect"):
            # By exact id: pyOCD's own chooser falls back to parts of it, which could be another's.
            probe = DebugProbeAggregator.get_probe_with_id(unique_id)
            if probe is None:
                raise NoSuchBoardError(
                    f"no probe {unique_id} is connected",
                    "plug it in; an emulated one: `tinyfleet bench emulate`",
                )
            options = _OPTIONS | dict(more)
            if probe.vendor_name == _EMULATED_VENDOR:
                options |= _EMULATED_OPTIONS
            elif (count := [each.unique_id for each in self.all()].count(unique_id)) > 1:
                # Clones have one number for all; pyOCD would take the first.
                raise BoardBusyError(f"{count} probes tell the id {unique_id}", "unplug all but the board's")
            if part is not None and (_is_known(part) or probe.associated_board_info is None):
                options["target_override"] = part
            session = Session(probe, options=options)
            session.delegate = _Connecting()
            try:
                session.open()
            except BaseException:
                session.close()
                raise
        return session


class _Connecting:
    """What pyOCD asks while it connects (its `TargetDelegate`)."""

    def will_init_target(self, target: Any, init_sequence: Any) -> None:
        # A thread that parses the registers' descriptions, which only a debugger shows, took as long as
        # comparing all of the flash.
        if init_sequence.has_task("load_svd"):
            init_sequence.remove_task("load_svd")


def _board_of(probe: Any) -> str | None:
    """The board's name by the number that DAPLink puts in front of its serial number. (pyOCD's own
    `associated_board_info` would open the probe.)"""
    from pyocd.board.board_ids import BOARD_ID_TO_INFO
    from pyocd.probe.cmsis_dap_probe import CMSISDAPProbe

    if not isinstance(probe, CMSISDAPProbe) or probe.board_id is None:
        return None
    info = BOARD_ID_TO_INFO.get(probe.board_id)
    return None if info is None else info.name


class PyocdSession:
    """`services.ports.ProbeSession`."""

    def __init__(self, unique_id: str, session: Any) -> None:
        self._unique_id = unique_id
        self._session = session

    @property
    def part(self) -> str:
        """The chip by pyOCD's name."""
        return str(self._session.board.target_type)

    def read(self, address: int, size: int) -> bytes:
        from pyocd.core import exceptions

        with _translated(self._unique_id, "read"):
            try:
                return self._bytes(address, size)
            except exceptions.TransferFaultError:
                region = self._session.target.memory_map.get_region_for_address(address)
                if region is None or not region.is_flash or region.are_erased_sectors_readable:
                    raise
                # Parts with check bits (LPC55, …) answer for erased flash with a fault.
                return b"".join(
                    self._bytes_or(bytes([region.erased_byte_value]), max(start, address), end)
                    for start, length in self.sectors(address, size)
                    for end in [min(start + length, address + size)]
                )

    def _bytes(self, address: int, size: int) -> bytes:
        # By the bus: the core's own way looks at every byte for breakpoints, and there are none.
        return bytes(self._session.target.selected_core_or_raise.ap.read_memory_block8(address, size))

    def _bytes_or(self, erased: bytes, address: int, end: int) -> bytes:
        from pyocd.core import exceptions

        try:
            return self._bytes(address, end - address)
        except exceptions.TransferFaultError:
            return erased * (end - address)

    def sectors(self, address: int, size: int) -> list[tuple[int, int]]:
        memory = self._session.target.memory_map
        found = []
        at = address
        while at < address + size:
            region = memory.get_region_for_address(at)
            if region is None or not region.is_flash or region.flash is None:
                raise PlanError(
                    f"{at:#x}, where bytes are to go, is no flash of {self.part}",
                    "is it built for this part? bench.yaml's label `part` names another",
                )
            if region.has_subregions:
                region = region.submap.get_region_for_address(at) or region
            start = at - at % region.sector_size
            found.append((start, region.sector_size))
            at = start + region.sector_size
        return found

    def program(self, sectors: Mapping[int, bytes | bytearray], progress: Progress) -> None:
        from pyocd.flash.loader import FlashLoader

        with _translated(self._unique_id, "program"):
            # Timers and interrupts of what ran would go on beneath the flash algorithm, into flash that is
            # erased.
            self._session.target.reset_and_halt()
            # Smart flashing would read and compare what we have just compared.
            loader = FlashLoader(
                self._session,
                progress=progress,
                chip_erase="sector",
                smart_flash=False,
                trust_crc=False,
                keep_unwritten=False,
            )
            for address, data in sectors.items():
                loader.add_data(address, data)
            loader.commit()
        progress(_WHOLE)

    def write_words(self, words: Sequence[tuple[int, int]]) -> None:
        with _translated(self._unique_id, "write"):
            for address, value in words:
                self._session.target.write32(address, value)

    def reset(self) -> None:
        with _translated(self._unique_id, "reset"):
            self._session.target.reset()

    def close(self) -> None:
        with _translated(self._unique_id, "disconnect"):
            self._session.close()


def _is_known(part: str) -> bool:
    """Whether pyOCD has this part by itself or by a CMSIS-Pack that is installed; nothing is fetched."""
    from pyocd.target import TARGET, normalise_target_type_name
    from pyocd.target.pack.pack_target import ManagedPacks

    name = normalise_target_type_name(part)
    if name not in TARGET:
        ManagedPacks.populate_target(name)
    return name in TARGET


@contextmanager
def _translated(probe: str, step: str) -> Iterator[None]:
    """pyOCD's errors as ours."""
    from pyocd.core import exceptions

    try:
        yield
    except AgentError:
        raise
    except exceptions.ProbeDisconnected as error:
        if isinstance(error.__cause__, LockupError):
            raise CoreLockedUp(probe, step, error.__cause__.what, error.__cause__.hint) from error
        raise StepFailed(
            probe, step, f"the probe went away: {error}", "check cable and power, then try again"
        ) from error
    except exceptions.ProbeError as error:
        if "in use" in str(error):
            raise BoardBusyError(str(error), "then try again") from error
        raise StepFailed(probe, step, str(error), "check the probe: `tinyfleet bench scan`") from error
    except exceptions.FlashFailure as error:
        raise StepFailed(probe, step, str(error), "is the flash protected, or worn?") from error
    except exceptions.TargetSupportError as error:
        raise StepFailed(
            probe,
            step,
            str(error),
            "name the part as device type or label `part`; `pyocd pack find` and `pack install` bring more",
        ) from error
    except exceptions.Error as error:
        raise StepFailed(
            probe, step, str(error), "reset the board, check its power and the SWD wires"
        ) from error
    except Exception as error:
        # USB libraries and parsers of packs beneath pyOCD have errors of their own.
        raise StepFailed(
            probe, step, f"{type(error).__name__}: {error}", "unplug the probe and plug it in again"
        ) from error
