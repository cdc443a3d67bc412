"""One reader for a console, many who watch, one who holds; ports that go away; those who are slow."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinyfleet.agent.core.console_line import (
    ConsoleLine,
    LineStream,
    format_line,
    parse_line,
    printable,
)
from tinyfleet.agent.core.console_wire import PAYLOAD_MAX_BYTES, Kind, Message, Messages, told_line
from tinyfleet.agent.core.errors import BoardBusyError, ConsoleError, NoSuchBoardError, StepTimeout
from tinyfleet.agent.services.console_hub import TAIL_LINES, ConsoleHub
from tinyfleet.agent.services.console_queues import (
    EVENTS_MAX,
    HOLD_MAX_BYTES,
    Hold,
    LostLines,
    PortState,
    Unfinished,
    Watch,
    WatchEvent,
)
from tinyfleet.agent.services.console_watch import ConsoleExpecter
from tinyfleet.wire.frame import Frame, encode_frame

WAIT_S = 10.0
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=80)


class Clock:
    def __init__(self) -> None:
        self._ticks = itertools.count()

    def monotonic_s(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return 1_700_000_000.0 + next(self._ticks)


class Port:
    """A console by hand: what the test puts in is what the board says; None: it goes away."""

    def __init__(self) -> None:
        self.says: queue.Queue[bytes | None] = queue.Queue()
        self.written: queue.Queue[bytes] = queue.Queue()
        self.bauds: list[int] = []
        self.closed = threading.Event()

    def read(self, timeout_s: float) -> bytes:
        try:
            data = self.says.get(timeout=timeout_s)
        except queue.Empty:
            return b""
        if data is None:
            raise ConsoleError("b1", "console read", "it was pulled out", "plug it in")
        return data

    def write(self, data: bytes) -> None:
        self.written.put(data)

    def set_baud(self, baud: int) -> None:
        self.bauds.append(baud)

    def close(self) -> None:
        self.closed.set()


class Ports:
    """`services.ports.Consoles`: those plugged in, one after the other."""

    def __init__(self, *ports: Port) -> None:
        self.waiting: queue.Queue[Port] = queue.Queue()
        for port in ports:
            self.waiting.put(port)

    def open(self, address: str, baud: int) -> Port:
        try:
            return self.waiting.get_nowait()
        except queue.Empty:
            raise NoSuchBoardError(f"no {address}", "plug it in") from None


@pytest.fixture
def port() -> Port:
    return Port()


@pytest.fixture
def kept() -> list[str]:
    return []


@pytest.fixture
def ports(port: Port) -> Ports:
    return Ports(port)


@pytest.fixture
def hub(ports: Ports, kept: list[str]) -> Iterator[ConsoleHub]:
    hub = ConsoleHub("b1", lambda: "/dev/b1", 115_200, ports, Clock(), lambda line: kept.append(line.text))
    hub.start()
    yield hub
    hub.close()


def until(watch: Watch, wanted: Callable[[WatchEvent], bool]) -> WatchEvent:
    end_s = time.monotonic() + WAIT_S
    while time.monotonic() < end_s:
        event = watch.next(0.5)
        if event is not None and wanted(event):
            return event
    pytest.fail("it did not come")


def line(watch: Watch, text: str) -> ConsoleLine:
    found = until(watch, lambda event: isinstance(event, ConsoleLine) and event.text == text)
    assert isinstance(found, ConsoleLine)
    return found


def up(watch: Watch) -> None:
    until(watch, lambda event: isinstance(event, PortState) and event.up)


def test_a_port_that_cannot_even_be_closed_is_read_again(
    hub: ConsoleHub, port: Port, ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A driver's close may fail for a device that is gone."""
    watch = hub.watch()
    up(watch)

    def fail() -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(port, "close", fail)
    port.says.put(None)
    other = Port()
    ports.waiting.put(other)
    other.says.put(b"back\n")
    line(watch, "back")


def test_all_who_watch_see_each_line_with_its_times(hub: ConsoleHub, port: Port, kept: list[str]) -> None:
    one, other = hub.watch(), hub.watch()
    up(one)
    port.says.put(b"first\r\nsec")
    port.says.put(b"ond\n")
    first, second = line(one, "first"), line(one, "second")
    assert first.wall_s < second.wall_s and first.monotonic_s <= second.monotonic_s
    assert line(other, "second") == second
    assert kept == ["-- the console is open", "first", "second"]
    assert hub.counts.lines == 2
    late = hub.watch(tail=1)
    assert [late.next(1), late.next(1)] == [PortState(True, "", None), second]


def test_a_prompt_is_shown_before_its_line_ends(hub: ConsoleHub, port: Port) -> None:
    watch = hub.watch()
    up(watch)
    port.says.put(b"login: ")
    assert until(watch, lambda event: isinstance(event, Unfinished)) == Unfinished("login: ")
    port.says.put(b"me\n")
    line(watch, "login: me")


def test_who_holds_has_the_bytes_and_others_their_lines(hub: ConsoleHub, port: Port, kept: list[str]) -> None:
    watch = hub.watch()
    up(watch)
    hub.write(b"typed")
    assert port.written.get(timeout=WAIT_S) == b"typed"
    hold = hub.hold("a run", 9600)
    assert hub.state.holder == "a run"
    with pytest.raises(BoardBusyError, match="the console of b1 is held by a run; wait for its end"):
        hub.hold("another", timeout_s=0)
    with pytest.raises(BoardBusyError, match="held by a run"):
        hub.write(b"typed")
    hold.write(b"\0ask\0")
    assert port.written.get(timeout=WAIT_S) == b"\0ask\0"
    frame = encode_frame(Frame(0x81, 7, b"answer"))
    port.says.put(b"a line\n" + frame + b"another\n")
    assert hold.read(WAIT_S) == b"a line\n" + frame + b"another\n"
    line(watch, "another")
    hold.close()
    with pytest.raises(ConsoleError, match="let go"):
        hold.read(0)
    with pytest.raises(ConsoleError, match="let go"):
        hold.write(b"x")
    hub.write(b"typed again")
    assert port.bauds == [9600, 115_200]
    assert kept[1:] == ["a line", "another"], "and no frame"


def test_programs_protocols_are_no_text(hub: ConsoleHub, port: Port, kept: list[str]) -> None:
    watch = hub.watch()
    up(watch)
    port.says.put(b"m-init-done\r\n")
    line(watch, "m-init-done")
    hold = hub.hold("mlperf", mlperf=True)
    port.says.put(b"m-ready\r\ne-[no]\nbetween\n\x06\tAAA=\n\x04\x14BBB=\n")
    line(watch, "between")
    hold.close()
    port.says.put(b"m-ready\r\n")
    line(watch, "m-ready")
    assert kept[1:] == ["m-init-done", "between", "m-ready"]


def test_a_port_that_goes_away_is_opened_again(
    hub: ConsoleHub, port: Port, ports: Ports, kept: list[str]
) -> None:
    watch = hub.watch()
    up(watch)
    hold = hub.hold("a run")
    port.says.put(b"half a li")
    assert hold.read(WAIT_S) == b"half a li"
    port.says.put(None)
    with pytest.raises(ConsoleError, match="it was pulled out"):
        hold.read(WAIT_S)
    line(watch, "half a li")
    down = until(watch, lambda event: isinstance(event, PortState) and not event.up)
    assert isinstance(down, PortState) and "it was pulled out" in down.trouble
    assert port.closed.wait(WAIT_S)
    hold.close()
    with pytest.raises(NoSuchBoardError, match="the console of b1 is not there"):
        hub.hold("a run", timeout_s=0.01)
    again = Port()
    ports.waiting.put(again)
    up(watch)
    with pytest.raises(ConsoleError):
        hold.write(b"x")
    held = hub.hold("a run")
    held.write(b"hello")
    assert again.written.get(timeout=WAIT_S) == b"hello"
    again.says.put(b"here\n")
    line(watch, "here")
    assert kept[-2:] == ["-- the console is there again", "here"]
    assert (hub.counts.opened, hub.counts.errors) == (2, 1)


def test_a_port_is_lent_to_a_program_that_opens_it_itself(
    hub: ConsoleHub, port: Port, ports: Ports, kept: list[str]
) -> None:
    watch = hub.watch()
    up(watch)
    lent = hub.lend("arduino-cli")
    assert port.closed.is_set()
    until(watch, lambda event: event == PortState(False, "lent to arduino-cli", "arduino-cli"))
    again = Port()
    ports.waiting.put(again)
    for other in (hub.lend, hub.hold):
        with pytest.raises(BoardBusyError, match="held by arduino-cli"):
            other("a run")
    assert not ports.waiting.empty(), "it is left alone"
    lent.close()
    up(watch)
    again.says.put(b"programmed\n")
    line(watch, "programmed")
    hold = hub.hold("a run")
    with pytest.raises(BoardBusyError, match="held by a run"):
        hub.lend("arduino-cli")
    hold.close()
    # One whose port is not there is lent, too: the board may be in its bootloader.
    again.says.put(None)
    until(watch, lambda event: isinstance(event, PortState) and not event.up)
    hub.lend("arduino-cli").close()
    again_open = ["-- lent to arduino-cli", "-- the console is there again", "programmed"]
    assert kept == ["-- the console is open", *again_open, "-- b1: console read: it was pulled out"]


def test_a_board_that_comes_late_is_waited_for(ports: Ports, port: Port) -> None:
    absent = Ports()
    hub = ConsoleHub("b1", lambda: "/dev/b1", 115_200, absent, Clock())
    hub.start()
    threading.Timer(0.2, lambda: absent.waiting.put(port)).start()
    hub.hold("a run", timeout_s=WAIT_S).close()
    hub.close()
    assert port.closed.is_set()
    assert hub.counts.errors == 0, "to be absent is no error"


def test_who_is_slow_loses_the_oldest_lines_and_is_told(hub: ConsoleHub, port: Port, kept: list[str]) -> None:
    slow, quick = hub.watch(), hub.watch()
    count = EVENTS_MAX + 500
    up(quick)
    for first in range(0, count, 100):
        port.says.put(b"".join(b"line %d\n" % i for i in range(first, first + 100)))
        line(quick, f"line {first + 99}")
    assert slow.next(1) == LostLines(500)
    event = slow.next(1)
    assert isinstance(event, ConsoleLine) and event.text == "line 500"
    assert len(kept) == count + 1, "the log has them all"
    slow.close()
    assert hub.counts.lost_lines == 500
    late = hub.watch(tail=TAIL_LINES + 1)
    assert late.next(0) == PortState(True, "", None)
    assert [late.next(0) is None for _ in range(TAIL_LINES + 1)] == [False] * TAIL_LINES + [True]


def test_bytes_that_a_holder_leaves_are_bounded() -> None:
    hold = Hold("b1", "a run", 1, lambda hold, data: None, lambda hold: None)
    hold.put(bytes(HOLD_MAX_BYTES))
    hold.put(b"too much")
    assert len(hold.read(0)) == HOLD_MAX_BYTES
    assert (hold.lost_bytes, hold.read(0)) == (8, b"")
    with pytest.raises(ValueError, match="hold it at 9600"):
        hold.set_baud(9600)


def test_the_end_of_a_hub_is_told(hub: ConsoleHub, port: Port) -> None:
    watch = hub.watch()
    up(watch)
    hold = hub.hold("a run")
    hub.close()
    with pytest.raises(ConsoleError, match="the agent ended"):
        hold.read(WAIT_S)
    with pytest.raises(EOFError):
        for _ in range(5):
            watch.next(0)
    assert port.closed.is_set()


def test_expect(hub: ConsoleHub, port: Port) -> None:
    expecter = ConsoleExpecter("b1", hub.watch(), Clock())
    port.says.put(b"one\ntwo 42\nthree\n")
    assert expecter.expect(r"two \d+", WAIT_S).text == "two 42"
    port.says.put(b"four\n")
    with pytest.raises(
        StepTimeout, match=r"no line with 'two' within 0.1 s; it said last: one \| two 42 \| three"
    ):
        expecter.expect("two", 0.1)


@given(st.lists(st.one_of(TEXT, st.binary(max_size=40)), max_size=10), st.data())
def test_lines_are_found_wherever_the_bytes_are_cut(parts: list[str | bytes], data: st.DataObject) -> None:
    """Frames between lines leave no trace, and `unfinished` only ever shows a line's beginning."""
    stream = b"".join(
        encode_frame(Frame(1, 0, part))
        if isinstance(part, bytes)
        else part.replace("\0", "").encode() + b"\n"
        for part in parts
    )
    whole = LineStream()
    expected = [line.text for line in whole.feed(stream, 1, 2)]
    cut = LineStream()
    got: list[str] = []
    held: str | None = None
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        for each in cut.feed(stream[:size], 1, 2):
            if held is not None and "�" not in held:
                assert each.text.startswith(held.rstrip("\r"))
            held = None
            got.append(each.text)
        held = cut.unfinished() or held
        stream = stream[size:]
    assert got == expected
    assert all("\n" not in text for text in got)


@given(st.floats(0, 1e9), st.floats(0, 4e9), TEXT)
def test_a_log_s_line_is_read_as_it_was_written(monotonic_s: float, wall_s: float, text: str) -> None:
    back = parse_line(format_line(ConsoleLine(monotonic_s, wall_s, text)))
    assert back is not None and back.text == printable(text)
    assert back.monotonic_s == pytest.approx(monotonic_s, abs=1e-6)
    assert back.wall_s == pytest.approx(wall_s, abs=2e-6)


@given(TEXT)
def test_what_is_no_line_of_a_log_is_passed_over(text: str) -> None:
    assert parse_line(text) is None
    assert parse_line("2026-13-45T00:00:00.000000Z 1.000000 x") is None


@given(st.lists(st.builds(Message, st.sampled_from(Kind), st.binary(max_size=300)), max_size=8), st.data())
def test_messages_arrive_whole_and_in_order(messages: list[Message], data: st.DataObject) -> None:
    stream = b"".join(message.encode() for message in messages)
    reader = Messages()
    got: list[Message] = []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        got += reader.feed(stream[:size])
        stream = stream[size:]
    assert got == messages


@given(st.binary(min_size=5, max_size=64))
def test_nonsense_is_refused_or_waits_for_more(data: bytes) -> None:
    try:
        for message in Messages().feed(data):
            assert message.encode() in data
    except ValueError:
        pass


def test_a_message_s_bounds() -> None:
    with pytest.raises(ValueError):
        Message(Kind.DATA, bytes(PAYLOAD_MAX_BYTES + 1)).encode()
    with pytest.raises(ValueError):
        Messages().feed(b"\x04\xff\xff\xff\xff")
    wanted = ConsoleLine(1.5, 2.5, "x\x00é")
    assert told_line(wanted).line() == wanted
    with pytest.raises(ValueError):
        Message(Kind.LINE, b"short").line()
    with pytest.raises(ValueError):
        Message(Kind.STATE, b"[]").json()
