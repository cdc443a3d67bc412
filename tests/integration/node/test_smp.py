"""A real node driven by `smpclient`: over UDP as far as its configuration opens it, and over its console."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from smp.header import Version
from smpclient import SMPClient
from smpclient.exceptions import SMPUploadError
from smpclient.generics import success
from smpclient.requests.image_management import (
    ImageErase,
    ImageStatesRead,
    ImageStatesWrite,
    ImageUploadWrite,
)
from smpclient.requests.os_management import (
    BootloaderInformationRead,
    EchoWrite,
    MCUMgrParametersRead,
    ResetWrite,
)
from smpclient.requests.statistics_management import GroupData, ListOfGroups
from smpclient.transport.serial import SMPSerialTransport
from smpclient.transport.udp import SMPUDPTransport
from tests.servers import LOOPBACK, free_port

from tinyfleet.agent.adapters.emulator import EmulatedNode
from tinyfleet.wire.enums import SmpDoor, UpdateState
from tinyfleet.wire.image import read_image
from tinyfleet.wire.messages import Birth

from .conftest import Board, Manager, Node, Release, Workshop

pytestmark = [pytest.mark.qemu, pytest.mark.broker]

TIMEOUT_S = 15.0


class Udp(SMPUDPTransport):
    """To another port than the protocol's own: several nodes share this machine."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    async def connect(self, address: str, timeout_s: float, port: int = 0) -> None:
        await super().connect(address, timeout_s, port or self._port)


class Door:
    """A node whose SMP can be reached, and clients for it."""

    def __init__(self, node: Node, port: int) -> None:
        self.node = node
        self.port = port

    def udp(self) -> SMPClient:
        return SMPClient(Udp(self.port), LOOPBACK, TIMEOUT_S)

    def serial(self) -> SMPClient:
        return SMPClient(SMPSerialTransport(), self.node.emulator.tty(), TIMEOUT_S)


@pytest.fixture
def door(
    bare_node: Node, tmp_path: Path, board: Board, request: pytest.FixtureRequest, manager: Manager
) -> Iterator[Door]:
    """Started, with a terminal and a UDP port, which is as open as the test asks by indirect
    parametrisation."""
    port = free_port()
    emulator = EmulatedNode(
        flash=bare_node.flash,
        kernel=board.boot_elf,
        state_dir=tmp_path / "open",
        machine=board.memory.board,
        udp_port=port,
        typing=True,
    )
    node = replace(bare_node, emulator=emulator)
    node.provision(smp=getattr(request, "param", SmpDoor.FULL))
    node.start()
    manager.wait(Birth)
    yield Door(node, port)
    emulator.stop()


async def images(client: SMPClient) -> dict[tuple[int, int], Any]:
    listed = await client.request(ImageStatesRead())
    assert success(listed), listed
    return {(int(image.image or 0), image.slot): image for image in listed.images}


async def upload(client: SMPClient, image: bytes, number: int) -> list[int]:
    return [offset async for offset in client.upload(image, slot=number)]


def digest(image: bytes) -> bytes:
    found = read_image(image).digest
    assert found is not None
    return found


async def look(client: SMPClient) -> None:
    async with client:
        for version in Version:
            echoed = await client.request(EchoWrite(version=version, d="héllo"))
            assert success(echoed) and echoed.r == "héllo"
        parameters = await client.request(MCUMgrParametersRead())
        assert success(parameters) and parameters.buf_size == 1472
        loader = await client.request(BootloaderInformationRead())
        assert success(loader) and loader.bootloader == "tinyfleet"
        running = (await images(client))[0, 0]
        assert running.active and running.confirmed and running.bootable and running.version == "0.1.0"
        groups = await client.request(ListOfGroups())
        assert success(groups) and groups.stat_list == ("node", "model", "network", "runtime")
        for group in groups.stat_list:
            read = await client.request(GroupData(name=group))
            assert success(read) and read.fields, read
        node = await client.request(GroupData(name="node"))
        assert success(node) and node.fields["boot"] == 1
        unknown = await client.request(GroupData(name="weather"))
        assert not success(unknown) and unknown.err.rc == 2, unknown
        unknown = await client.request(GroupData(version=Version.V1, name="weather"))
        assert not success(unknown) and unknown.rc == 5, unknown


def test_both_transports_answer(door: Door) -> None:
    asyncio.run(look(door.udp()))
    asyncio.run(look(door.serial()))


async def bring(client: SMPClient, image: bytes, number: int) -> None:
    """Upload and test; what came with it was refused before."""
    async with client:
        offsets = await upload(client, image, number)
        assert offsets[-1] == len(image) and offsets == sorted(offsets)
        held = (await images(client)).values()
        mine = [one for one in held if one.hash == digest(image)]
        assert [(one.pending, one.active, one.confirmed) for one in mine] == [(None, None, None)], held
        tested = await client.request(ImageStatesWrite(hash=digest(image)))
        assert success(tested), tested
        assert [one.pending for one in tested.images if one.hash == digest(image)] == [True]


def test_a_model_is_brought_tried_and_confirmed(door: Door, first: Release, manager: Manager) -> None:
    asyncio.run(bring(door.udp(), first.image, 1))
    birth = manager.wait(Birth, lambda b: b.model is not None and b.model.image == first.digest)
    # A want of the manager's would come before it: no generation stands for what somebody brought.
    assert (birth.generation, birth.state) == (0, UpdateState.CONFIRMED)

    async def after() -> None:
        async with door.udp() as client:
            model = (await images(client))[1, 0]
            assert model.active and model.confirmed and model.hash == first.digest
            again = await client.request(ImageStatesWrite(hash=first.digest))
            assert not success(again) and again.err.rc == 33, again
            assert success(await client.request(ImageStatesWrite(hash=first.digest, confirm=True)))
            slot = await client.request(ImageErase(slot=2))
            assert not success(slot) and slot.err.rc == 9, slot

    asyncio.run(after())


def test_a_firmware_is_brought_and_confirms_itself(
    door: Door, workshop: Workshop, node_binary: bytes, manager: Manager
) -> None:
    image = workshop.sign_firmware(node_binary, "0.2.0")

    async def reset_into_it() -> None:
        await bring(door.udp(), image, 0)
        async with door.udp() as client:
            # It is tried first, and nobody but itself can confirm it.
            early = await client.request(ImageStatesWrite(hash=digest(image), confirm=True))
            assert not success(early) and early.err.rc == 32, early
            assert success(await client.request(ResetWrite()))

    asyncio.run(reset_into_it())
    door.node.console("0.2.0 from slot B, on trial")
    birth = manager.wait(
        Birth, lambda b: b.firmware.image == digest(image) and b.state is UpdateState.CONFIRMED
    )
    assert birth.firmware.version == "0.2.0"


async def refused(client: SMPClient, image: bytes, number: int) -> Any:
    with pytest.raises(SMPUploadError) as caught:
        await upload(client, image, number)
    return caught.value.args[0]


def test_what_may_not_run_here_is_refused(door: Door, foreign: Release, workshop: Workshop) -> None:
    async def try_all() -> None:
        async with door.udp() as client:
            answer = await refused(client, foreign.image, 1)
            assert answer.rc == 11 and answer.rsn == "signed by a key that is not in the trust record"
            damaged = bytearray(foreign.image)
            damaged[200] ^= 1
            answer = await refused(client, bytes(damaged), 1)
            assert answer.rc == 9 and answer.rsn == "the digest is not of this image"
            answer = await refused(client, foreign.image, 0)
            assert answer.rc == 11, "another kind, but the signature comes first"
            assert (await refused(client, foreign.image, 2)).err.rc == 14
            assert (await refused(client, bytes(100), 1)).err.rc == 23
            start = ImageUploadWrite(off=0, data=foreign.image[:64], image=1, len=3 * 1024 * 1024)
            large = await client.request(start)
            assert not success(large) and large.err.rc == 30, large
            # Nothing that was refused is there, and none of it can be tried.
            assert list(await images(client)) == [(0, 0)]
            absent = await client.request(ImageStatesWrite(hash=foreign.digest))
            assert not success(absent) and absent.err.rc == 3, absent
            none = await client.request(ImageStatesWrite())
            assert not success(none) and none.err.rc == 24, none

    asyncio.run(try_all())


def test_an_upload_goes_on_where_it_was_broken_off(door: Door, first: Release, manager: Manager) -> None:
    async def half() -> int:
        async with door.serial() as client:
            async for offset in client.upload(first.image, slot=1):
                if offset > len(first.image) // 2:
                    return offset
        raise AssertionError("the upload ended by itself")

    async def rest() -> list[int]:
        async with door.serial() as client:
            return await upload(client, first.image, 1)

    stopped = asyncio.run(half())
    offsets = asyncio.run(rest())
    assert offsets[0] == stopped and offsets[-1] == len(first.image)


@pytest.mark.parametrize("door", [SmpDoor.READ], indirect=True)
def test_a_door_for_reading_changes_nothing(door: Door, first: Release) -> None:
    async def look_and_try() -> None:
        async with door.udp() as client:
            assert (0, 0) in await images(client)
            answer = await refused(client, first.image, 1)
            assert answer.rc == 11 and answer.rsn == "only reading is open here"
            for request in (ResetWrite(), ImageErase(slot=1), ImageStatesWrite(hash=bytes(32))):
                answer = await client.request(request)
                assert not success(answer) and answer.rc == 11, answer

    asyncio.run(look_and_try())


@pytest.mark.parametrize("door", [None, SmpDoor.OFF], indirect=True)
def test_without_a_word_in_the_configuration_no_datagram_is_answered(door: Door) -> None:
    async def knock() -> None:
        client = SMPClient(Udp(door.port), LOOPBACK, 1.0)
        await client._transport.connect(LOOPBACK, 1.0)
        with pytest.raises((TimeoutError, OSError)):
            await client.request(EchoWrite(d="anyone"))
        await client.disconnect()
        async with door.serial() as holder:
            echoed = await holder.request(EchoWrite(d="here"))
            assert success(echoed) and echoed.r == "here"

    asyncio.run(knock())


def test_power_fails_in_the_middle_of_an_upload(door: Door, second: Release, manager: Manager) -> None:
    async def part() -> None:
        client = door.udp()
        async with client:
            async for offset in client.upload(second.image, slot=1):
                if offset > len(second.image) // 2:
                    return

    async def look_and_bring() -> None:
        async with door.udp() as client:
            assert list(await images(client)) == [(0, 0)], "half an image is none"
            tested = await client.request(ImageStatesWrite(hash=second.digest))
            assert not success(tested) and tested.err.rc == 3, tested
        await bring(door.udp(), second.image, 1)

    asyncio.run(part())
    door.node.emulator.kill()
    manager.forget()
    door.node.start()
    manager.wait(Birth)
    asyncio.run(look_and_bring())
    manager.wait(Birth, lambda b: b.model is not None and b.model.image == second.digest)
