"""The board's frame code against the host's, under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinyfleet.wire.frame import ENCODED_MAX_BYTES, Frame, FrameDecoder, encode_frame

HERE = Path(__file__).parent
FIRMWARE = HERE.parents[2] / "firmware"
TIMEOUT_S = 60

types = st.one_of(st.integers(1, 0x1F), st.integers(0x7F, 0xFF))
frames = st.builds(Frame, types, st.integers(0, 255), st.binary(max_size=1024))
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(scope="module")
def filter_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("frame") / "filter"
    subprocess.run(
        [
            *("gcc", "-std=c11", "-O1", "-g", "-Wall", "-Wextra", "-Werror"),
            *("-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{FIRMWARE / 'include'}"),
            *("-o", str(program), str(HERE / "frame_filter.c"), str(FIRMWARE / "console" / "frame.c")),
        ],
        check=True,
        timeout=TIMEOUT_S,
    )
    return program


def through_the_board(program: Path, stream: bytes) -> bytes:
    done = subprocess.run([str(program)], input=stream, capture_output=True, timeout=TIMEOUT_S, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@quick
@given(st.lists(frames, max_size=20))
def test_both_encode_the_same_bytes(filter_program: Path, sent: list[Frame]) -> None:
    stream = b"".join(map(encode_frame, sent))
    assert through_the_board(filter_program, stream) == stream


@pytest.mark.parametrize("size", [0, 247, 248, 249, 250, 502, 503, 1023, 1024])
@pytest.mark.parametrize("byte", [b"\0", b"x"])
def test_sizes_around_a_full_run(filter_program: Path, size: int, byte: bytes) -> None:
    stream = encode_frame(Frame(2, 0, byte * size))
    assert through_the_board(filter_program, stream) == stream


@quick
@given(
    st.lists(st.one_of(st.binary(max_size=1200), frames.map(encode_frame)), max_size=8), st.binary(max_size=8)
)
def test_any_bytes_are_survived_and_never_a_frame_the_host_would_not_see(
    filter_program: Path, pieces: list[bytes], tail: bytes
) -> None:
    stream = b"\0".join(pieces) + tail
    decoder = FrameDecoder()
    answer = through_the_board(filter_program, stream)
    seen = [item for item in decoder.feed(answer) if isinstance(item, Frame)]
    assert b"".join(map(encode_frame, seen)) == answer
    # Between delimiters both read alike.
    host = {item for item in FrameDecoder().feed(stream) if isinstance(item, Frame)}
    assert set(seen) >= {frame for frame in host if encode_frame(frame) in stream}


def test_a_flipped_bit_is_dropped_and_the_next_frame_heard(filter_program: Path) -> None:
    good = encode_frame(Frame(3, 9, b"\x05\x00"))
    for at in range(1, len(good) - 1):
        for bit in range(8):
            broken = bytearray(good)
            broken[at] ^= 1 << bit
            assert through_the_board(filter_program, bytes(broken) + good) == good


def test_a_run_that_points_beyond_a_full_buffer_reads_nothing_there(filter_program: Path) -> None:
    full = b"\x02x" * (ENCODED_MAX_BYTES // 2) + b"\xff"
    assert len(full) == ENCODED_MAX_BYTES
    good = encode_frame(Frame(1, 0, b""))
    assert through_the_board(filter_program, b"\0" + full + good) == good
