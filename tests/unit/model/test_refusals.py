"""Models of a kind that cannot run here are refused by its name, with what to do; so are other files."""

from __future__ import annotations

import numpy as np
import pytest
from tests.unit.model.single_ops import chain
from tests.unit.model.tflite_writer import (
    FLOAT16,
    FLOAT32,
    INT4,
    INT8,
    INT16,
    INT32,
    NONE,
    UINT8,
    O,
    T,
    conv_options,
    fully_connected_options,
    write_tflite,
)

from tinyfleet.model.compiler import ModelSpec, TfliteError, UnsupportedModel, lower
from tinyfleet.model.compiler.errors import OtherFile

SPEC = ModelSpec("m", "1")
DEQUANTIZE, FULLY_CONNECTED, CUSTOM = 6, 9, 32


def dense(window: int, weights: int) -> bytes:
    """A FULLY_CONNECTED of these types."""
    quantised = {} if window == FLOAT32 else {"scale": 0.1}
    tensors = [
        T((1, 4), dtype=window, **quantised),
        T((1, 2), dtype=window, **quantised),
        T((2, 4), None if weights == FLOAT32 else 0.1, 0, weights, np.ones((2, 4))),
    ]
    options = fully_connected_options(NONE)
    return write_tflite(tensors, [O(FULLY_CONNECTED, (0, 2, -1), (1,), options)], [0], [1])


def halves() -> bytes:
    """Float16 weights that a DEQUANTIZE makes floats, as the converter writes them."""
    tensors = [
        T((1, 4), dtype=FLOAT32),
        T((1, 2), dtype=FLOAT32),
        T((2, 4), dtype=FLOAT16, data=np.ones((2, 4))),
        T((2, 4), dtype=FLOAT32),
    ]
    ops = [
        O(DEQUANTIZE, (2,), (3,)),
        O(FULLY_CONNECTED, (0, 3, -1), (1,), fully_connected_options(NONE)),
    ]
    return write_tflite(tensors, ops, [0], [1])


def custom(*names: str, stream: bytes = b"") -> bytes:
    tensors = [T((1, 4), 0.1, 0) for _ in range(len(names) + 1)]
    ops = [O(CUSTOM, (i,), (i + 1,), custom=name, custom_options=stream) for i, name in enumerate(names)]
    return write_tflite(tensors, ops, [0], [len(names)])


def partly() -> bytes:
    """An int8 FULLY_CONNECTED, and one that stayed float."""
    tensors = [
        T((1, 4), 0.1, 0),
        T((1, 2), 0.1, 0),
        T((2, 4), 0.1, 0, data=np.ones((2, 4))),
        T((1, 2), dtype=FLOAT32, name="loose"),
        T((2, 2), dtype=FLOAT32, data=np.ones((2, 2))),
        T((1, 2), dtype=FLOAT32, name="head"),
    ]
    ops = [
        O(FULLY_CONNECTED, (0, 2, -1), (1,), fully_connected_options(NONE)),
        O(DEQUANTIZE, (1,), (3,)),
        O(FULLY_CONNECTED, (3, 4, -1), (5,), fully_connected_options(NONE)),
    ]
    return write_tflite(tensors, ops, [0], [5])


KINDS = {
    "ethos-u": (custom("ethos-u"), r"Vela .*Ethos-U.*give the \.tflite that went into Vela"),
    "edge tpu": (
        custom("edgetpu-custom-op", stream=bytes(3 * 2**20)),
        r"Edge TPU.*went into edgetpu_compiler",
    ),
    "neutron": (custom("NeutronGraph"), r"Neutron"),
    "flex": (
        custom("FlexErf", "FlexRFFT"),
        r"SELECT_TF_OPS.*\(FlexErf, FlexRFFT\).*TFLITE_BUILTINS_INT8 alone",
    ),
    "post-processing": (custom("TFLite_Detection_PostProcess"), r"cut the model before"),
    "float": (dense(FLOAT32, FLOAT32), r"float-only: it was never quantised.*representative_dataset"),
    "dynamic": (
        dense(FLOAT32, INT8),
        r"dynamic-range quantised \(hybrid\).*representative dataset is missing",
    ),
    "float16": (halves(), r"float16-quantised: weights are halves"),
    "int16": (dense(INT16, INT8), r"quantised 16x8: activations are int16.*this runtime computes with int8"),
    "uint8": (dense(UINT8, UINT8), r"quantised to uint8, as TensorFlow 1 did.*TensorFlow 2"),
    "int4": (dense(INT8, INT4), r"weights of 4 bits"),
    "partly": (
        partly(),
        r"int8 only in part: 1 of 2 ops with weights are float-only: op 2 FULLY_CONNECTED .*head5",
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_is_named_with_what_to_do(kind: str) -> None:
    tflite, says = KINDS[kind]
    with pytest.raises(UnsupportedModel, match=rf"this model is .*{says}") as refusal:
        lower(tflite, SPEC)
    assert "What to do: " in str(refusal.value)
    assert "First refused: " in str(refusal.value)


def test_a_float_model_without_weights_is_named() -> None:
    tensors = [T((1, 4), dtype=FLOAT32), T((1, 4), dtype=FLOAT32)]
    with pytest.raises(UnsupportedModel, match="this model is float-only"):
        lower(write_tflite(tensors, [O(25, (0,), (1,), (9, None))], [0], [1]), SPEC)


def test_an_int8_model_keeps_its_own_refusal() -> None:
    tensors = [
        T((1, 8, 8, 2), 0.1, 0),
        T((1, 8, 7, 3), 0.1, 0),
        T((3, 3, 3, 2), 0.1, 0, data=np.ones((3, 3, 3, 2))),
    ]
    tflite = write_tflite(tensors, [O(3, (0, 2), (1,), conv_options(0, 1, 1, NONE))], [0], [1])
    with pytest.raises(UnsupportedModel, match=r"^op 0 CONV_2D .*output \(1, 8, 7, 3\)"):
        lower(tflite, SPEC)


def test_a_shape_that_is_not_fixed_is_named() -> None:
    tensors = [T((1, -1, 4), 0.1, 0), T((1, 2), 0.1, 0)]
    with pytest.raises(
        UnsupportedModel, match=r"tensor 0 't0' has no fixed shape, \(1, -1, 4\): convert .* batch 1"
    ):
        lower(write_tflite(tensors, [O(25, (0,), (1,), (9, None))], [0], [1]), SPEC)


def test_an_open_batch_is_named_where_something_depends_on_it() -> None:
    """WHERE on a shape: nothing that folds away."""
    tensors = [T((1, 4), 0.1, 0, signature=(-1, 4)), T((2,), dtype=INT32), T((2, 1), dtype=4)]
    ops = [O(77, (0,), (1,), (55, None)), O(109, (1,), (2,))]
    with pytest.raises(
        UnsupportedModel, match=r"WHERE .*tensor 0 't0', an input, has no fixed shape .*batch 1"
    ):
        lower(write_tflite(tensors, ops, [0], [2]), SPEC)


OTHERS = {
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(64), r"Keras model in HDF5"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0" + bytes(32), "an ONNX model"),
    "git-lfs": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
    "zip": (b"PK\x03\x04" + bytes(60), "a zip archive"),
    "saved model": (b"\x08\x01\x12\xfe\x01" + bytes(40) + b"serve" + bytes(40), "SavedModel"),
    "executorch": (b"\x30\0\0\0ET12" + bytes(60), "ExecuTorch .*litert-torch"),
    "web page": (b"\n<!DOCTYPE html><html>", "a web page"),
    "gzip": (b"\x1f\x8b\x08" + bytes(30), "a gzip archive"),
    "pickle": (b"\x80\x04\x95" + bytes(30), "a Python pickle"),
    "elf": (b"\x7fELF" + bytes(30), r"\.eim"),
    "json": (b' {"name": "x"}', "a JSON file"),
    "plan": (b"TFP1" + bytes(60), "a compiled plan"),
    "empty": (b"", "an empty file"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_named(kind: str) -> None:
    data, says = OTHERS[kind]
    with pytest.raises(OtherFile, match=rf"this is .*{says}") as refusal:
        lower(data, SPEC)
    assert "not a .tflite: " in str(refusal.value)


def test_a_truncated_file_is_said_to_be_damaged() -> None:
    source = chain(np.random.default_rng(3))
    with pytest.raises(TfliteError, match=r"the file is damaged or not a \.tflite: export it again"):
        lower(source[: len(source) // 2], SPEC)
