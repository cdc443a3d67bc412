"""The compiler's side of signal ops: options read with care, what cannot run refused, state and its reset."""

import numpy as np
import pytest
from tests.unit.model.signal_ops import SUBTRACTION, cast, custom, flexbuffer, whole_front_end
from tests.unit.model.tflite_writer import (
    BOOL,
    FLOAT32,
    INT16,
    INT32,
    UINT32,
    UINT64,
    O,
    T,
    options,
    write_tflite,
)

from tinyfleet.model.compiler import CompileError, ModelSpec, UnsupportedModel, compile_model
from tinyfleet.model.compiler.errors import TfliteError
from tinyfleet.model.compiler.flexbuffer import read_map
from tinyfleet.model.compiler.lower_signal import SIGNAL_OPS
from tinyfleet.model.twin import Twin, runtime_ops
from tinyfleet.wire.artifact_ops import OpCode

SPEC = ModelSpec("case", "1")


@pytest.mark.parametrize("value", [0, 1, -1, 127, 128, -129, 40_000, 2**31 - 1, -(2**31), 2**40])
def test_maps_of_any_width_are_read(value: int) -> None:
    assert read_map(flexbuffer(b=True, a=value, long_name=3), "op") == {"a": value, "b": 1, "long_name": 3}


def test_a_map_as_the_converter_writes_it() -> None:
    """FilterBankSpectralSubtraction's, whose values have two bytes."""
    numbers = {**SUBTRACTION, "num_channels": 40}
    assert read_map(flexbuffer(**numbers), "op") == {name: int(value) for name, value in numbers.items()}


def test_broken_maps_are_refused_with_our_error() -> None:
    sound = flexbuffer(frame_size=512, frame_step=400, prefill=True)
    refused = 0
    for at in range(len(sound)):
        for flip in (0x01, 0x80, 0xFF):
            broken = sound[:at] + bytes([sound[at] ^ flip]) + sound[at + 1 :]
            try:
                read_map(broken, "op")
            except TfliteError:
                refused += 1
    assert refused > 40
    for cut in range(len(sound)):
        with pytest.raises(TfliteError):
            read_map(sound[:cut], "op")


def model(tensors: list[T], op: O, outputs: list[int]) -> bytes:
    return write_tflite(tensors, [op], [0], outputs)


def rfft(length: int, kind: int = INT16, given: int | None = None) -> bytes:
    tensors = [T((given or length,), dtype=kind), T((length + 2,), dtype=kind)]
    return model(tensors, custom("SignalRfft", (0,), (1,), T=kind, fft_length=length), [1])


def window(weights: T, shift: int = 12) -> bytes:
    tensors = [T((8,), dtype=INT16), weights, T((8,), dtype=INT16)]
    return model(tensors, custom("SignalWindow", (0, 1), (2,), shift=shift), [2])


def stacker(step: int) -> bytes:
    tensors = [T((4,), dtype=INT16), T((12,), dtype=INT16), T((), dtype=BOOL)]
    op = custom(
        "SignalStacker",
        (0,),
        (1, 2),
        num_channels=4,
        stacker_left_context=1,
        stacker_right_context=1,
        stacker_step=step,
    )
    return model(tensors, op, [1])


def circular(cycles: int) -> bytes:
    tensors = [T((1, 1, 1, 4), 0.5, 0), T((1, 3, 1, 4), 0.5, 0, variable=True)]
    op = O(32, (0,), (1,), custom="CIRCULAR_BUFFER", custom_options=flexbuffer(cycles_max=cycles))
    return model(tensors, op, [1])


def division(by: list[int]) -> bytes:
    tensors = [T((2,), dtype=INT32), T((2,), dtype=INT32, data=by), T((2,), dtype=INT32)]
    return model(tensors, O(42, (0, 1), (2,), options(29, ("b", 0))), [2])


@pytest.mark.parametrize(
    ("tflite", "says"),
    [
        (rfft(64, FLOAT32), "this model is float-only"),
        (rfft(28), "has the factor 7; kissfft in TFLM takes 2, 3 and 5. Use a power of two"),
        (rfft(64, given=65), "expected rows of at most 64 and of 66"),
        (window(T((3,), dtype=INT16, data=[1, 2, 3])), "is no number of windows of 3"),
        (window(T((8,), dtype=INT32, data=range(8))), "is INT32, expected INT16"),
        (window(T((8,), dtype=INT16, data=range(8)), shift=32), "option shift is 32, expected 0 to 31"),
        (stacker(0), "option stacker_step is 0, expected 1 to 3"),
        (stacker(4), "option stacker_step is 4, expected 1 to 3"),
        (circular(2), "it lets what follows run once in 2 times, which a plan does not"),
        (circular(0), "it lets what follows run once in 2 times, which a plan does not"),
        (division([3, 0]), "holds 0, and it divides by it"),
        (
            model(
                [T((4,), dtype=UINT32), T((4,), dtype=INT16)], O(32, (0,), (1,), custom="SignalMagic"), [1]
            ),
            "no such op in this runtime: op 0 CUSTOM SignalMagic",
        ),
        (
            model([T((8,), dtype=INT16), T((8,), dtype=INT16)], O(32, (0,), (1,), custom="SignalDelay"), [1]),
            "op 0 CUSTOM SignalDelay (tensor 1 't1'), custom options",
        ),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value[:40],
)
def test_what_cannot_run_is_refused_by_name(tflite: bytes, says: str) -> None:
    with pytest.raises(CompileError) as refusal:
        compile_model(tflite, SPEC)
    assert says in str(refusal.value)


def test_a_computed_filter_bank_is_refused() -> None:
    tensors = [
        T((9,), dtype=INT32),
        *(T((4,), dtype=INT16) for _ in range(5)),
        T((9,), dtype=UINT32),
        T((3,), dtype=UINT64),
        T((), dtype=INT32, data=0),
        T((3,), dtype=UINT32),
        T((3,), dtype=INT32),
    ]
    ops = [
        cast(0, 6),
        custom("SignalFilterBank", (6, 1, 2, 3, 4, 5), (7,), num_channels=3),
        custom("SignalFilterBankSquareRoot", (7, 8), (9,)),
        cast(9, 10),
    ]
    with pytest.raises(UnsupportedModel, match="is computed, expected a constant"):
        compile_model(write_tflite(tensors, ops, list(range(6)), [10]), SPEC)


def test_a_stream_begins_anew_after_a_reset() -> None:
    case = whole_front_end(np.random.default_rng(2))
    twin = Twin(compile_model(case.tflite, SPEC))
    inputs = [b"".join(values.tobytes() for values in step) for step in case.steps]

    def stream() -> list[bytes]:
        twin.reset()
        return [b"".join(y.tobytes() for y in twin.run_all(step)) for step in inputs]

    first, second = stream(), stream()
    assert first == second
    twin.run_all(inputs[0])
    assert b"".join(y.tobytes() for y in twin.run_all(inputs[0])) != first[0], "nothing was remembered"


def test_the_build_names_all_its_signal_ops() -> None:
    ours = {code for code in OpCode if OpCode.WINDOW <= code <= OpCode.ARITHMETIC} | {OpCode.CAST}
    assert ours <= runtime_ops()
    assert len(SIGNAL_OPS) == len(ours) - 2
