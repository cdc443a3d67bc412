"""`smpclient` on a bench board's console, beside MLPerf's commands and the agent's frames."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import serial
from smp import packet
from smpclient import SMPClient
from smpclient.generics import success
from smpclient.requests.image_management import ImageStatesRead, ImageUploadWrite
from smpclient.requests.os_management import EchoWrite, MCUMgrParametersRead, ResetWrite
from smpclient.requests.statistics_management import GroupData, ListOfGroups
from smpclient.transport import SMPTransport
from tests.integration.agent.bench_rig import BENCH_ELF, BENCH_YAML
from tests.integration.agent.emulated_bench import MACHINES, EmulatedBench, example_model, plan_of
from tests.models import livestock
from tests.servers import TIMEOUT_S

from tinyfleet.agent.adapters.emulated_boards import console_of
from tinyfleet.agent.adapters.part_files import load_parts
from tinyfleet.agent.config import Folders
from tinyfleet.agent.core.bench_file import parse_bench
from tinyfleet.agent.main import Agent
from tinyfleet.wire.enums import FrameType
from tinyfleet.wire.frame import Frame, FrameDecoder, encode_frame
from tinyfleet.wire.image import read_image

pytestmark = [pytest.mark.qemu, pytest.mark.timeout(240)]


class Line(SMPTransport):
    """The client's own framing over any console that pyserial can open; `other` is what else was said."""

    def __init__(self) -> None:
        self.other = bytearray()

    async def connect(self, address: str, timeout_s: float) -> None:
        self.port = serial.serial_for_url(address, timeout=timeout_s)

    async def disconnect(self) -> None:
        self.port.close()

    async def send(self, data: bytes) -> None:
        for line in packet.encode(data, line_length=128):
            self.port.write(line)

    async def receive(self) -> bytes:
        decoder = packet.decode()
        next(decoder)
        while line := self.port.read_until(b"\n"):
            at = max(line.rfind(packet.START_DELIMITER), line.rfind(packet.CONTINUE_DELIMITER))
            self.other += line if at < 0 else line[:at]
            try:
                if at >= 0:
                    decoder.send(line[at:])
            except StopIteration as whole:
                return bytes(whole.value)
        raise TimeoutError("the board said nothing")

    async def send_and_receive(self, data: bytes) -> bytes:
        await self.send(data)
        return await self.receive()

    @property
    def mtu(self) -> int:
        return 256


async def use(address: str, largest_echo: int) -> bytes:
    """What it says of its model: the image's digest."""
    line = Line()
    async with SMPClient(line, address, TIMEOUT_S) as client:
        parameters = await client.request(MCUMgrParametersRead())
        assert success(parameters) and parameters.buf_size == 1024
        # One protocol after the other, and a stray delimiter in between.
        echoed = await client.request(EchoWrite(d="x" * largest_echo))
        assert success(echoed) and echoed.r == "x" * largest_echo
        line.port.write(b"name%")
        assert line.port.read_until(b"m-ready\r\n").endswith(b"m-name-dut-[tinyfleet]\r\nm-ready\r\n")
        line.port.write(b"\0" + encode_frame(Frame(FrameType.HELLO, 9, b"")))
        decoder, items = FrameDecoder(), []
        while not any(isinstance(item, Frame) for item in items):
            items += decoder.feed(line.port.read())
        echoed = await client.request(EchoWrite(d="again"))
        assert success(echoed) and echoed.r == "again"
        too_long = await client.request(EchoWrite(d="x" * 400))
        assert not success(too_long) and too_long.rc == 7, too_long
        groups = await client.request(ListOfGroups())
        assert success(groups) and groups.stat_list == ("bench",)
        read = await client.request(GroupData(name="bench"))
        assert success(read) and read.fields["arena_bytes"] > 8000
        # Images come by the probe.
        refused = await client.request(ImageUploadWrite(off=0, data=bytes(64), image=1, len=64))
        assert not success(refused) or refused.rc == 8, refused
        listed = await client.request(ImageStatesRead())
        assert success(listed) and len(listed.images) == 1
        model = listed.images[0]
        assert (model.image, model.slot, model.active, model.confirmed) == (1, 0, True, True)
        assert success(await client.request(ResetWrite()))
        line.port.read_until(b"starting over, as asked")
        assert line.port.read_until(b"m-init-done").endswith(b"m-init-done")
    assert model.hash is not None
    return model.hash


@pytest.mark.parametrize("machine", MACHINES)
def test_a_board_of_mlperf(machine: str, tmp_path: Path) -> None:
    with EmulatedBench(machine, plan_of(example_model(), machine), tmp_path) as board:
        assert (
            asyncio.run(use(board.console, 100)) == read_image((tmp_path / "model.img").read_bytes()).digest
        )


def test_a_microbit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYOCD_QEMU_DIR", str(tmp_path / "boards"))
    model = tmp_path / "v1.model"
    model.write_bytes(livestock("v1", vectors=1))
    with Agent(parse_bench(BENCH_YAML, "b"), Folders(tmp_path)) as agent:
        agent.start_boards()
        agent.flash("microbit-1", load_parts("microbit", firmware=BENCH_ELF, model=model))
        assert len(asyncio.run(use(console_of("qemu-microbit-0001"), 100))) == 32
