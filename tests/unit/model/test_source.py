"""Models inside other files: C arrays, zips, Edge Impulse exports; what is no model is named."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from tests.unit.model.single_ops import chain
from tests.unit.model.tflite_writer import FLOAT32, O, T, write_tflite

from tinyfleet.model.compiler import CompileError, compile_model, lower
from tinyfleet.model.source import SourceError, archive, read_source
from tinyfleet.wire.artifact import OutputKind, decode_artifact


@pytest.fixture(scope="module")
def tflite() -> bytes:
    return chain(np.random.default_rng(3))


@pytest.fixture(scope="module")
def other() -> bytes:
    return chain(np.random.default_rng(4))


def floats() -> bytes:
    tensors = [T((1, 4), dtype=FLOAT32), T((1, 4), dtype=FLOAT32)]
    return write_tflite(tensors, [O(25, (0,), (1,), (9, None))], [0], [1])


def packed(**files: bytes | str) -> bytes:
    """A zip; `__` in a name is a slash, `_dot_` a dot."""
    room = io.BytesIO()
    with zipfile.ZipFile(room, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return room.getvalue()


def hexes(data: bytes) -> str:
    return ",\n".join(", ".join(f"0x{v:02x}" for v in data[i : i + 12]) for i in range(0, len(data), 12))


ARRAYS: dict[str, Callable[[bytes], str]] = {
    "xxd": lambda d: (
        f"unsigned char m_tflite[] = {{\n{hexes(d)}\n}};\nunsigned int m_tflite_len = {len(d)};\n"
    ),
    "arduino": lambda d: (
        '#include "model.h"\n// the bytes: {0x00, 0x01}\n/* {1, 2} */\n'
        f"alignas(8) const unsigned char g_model[] = {{{hexes(d)},}};\nconst int g_model_len = {len(d)};"
    ),
    "tensorflow": lambda d: (
        "#ifdef __has_attribute\n#define HAVE_ATTRIBUTE(x) __has_attribute(x)\n#endif\n"
        "#define DATA_ALIGN_ATTRIBUTE __attribute__((aligned(4)))\n"
        f"const unsigned char g_model[] DATA_ALIGN_ATTRIBUTE = {{{hexes(d)}}};"
    ),
    "decimal": lambda d: f"const uint8_t model[{len(d)}] PROGMEM = {{ {','.join(map(str, d))} }};",
    "signed": lambda d: f"static const int8_t m[] = {{{','.join(str(v - 256 * (v > 127)) for v in d)}}};",
    "std::array": lambda d: f"constexpr std::array<uint8_t, {len(d)}> model = {{{{{hexes(d)}}}}};",
    "suffixes": lambda d: f"const unsigned char model[]={{{','.join(f'0X{v:02X}u' for v in d)}}};",
    "comments inside": lambda d: (
        f'char const m[] = {{ /* 0x1 */ {hexes(d[:12])}, // "{{\n {hexes(d[12:])} }};'
    ),
    "among others": lambda d: (
        f"const int table[] = {{{','.join(map(str, range(40)))}}};\n"
        f"const unsigned char the_model[] = {{{hexes(d)}}};"
    ),
}


@pytest.mark.parametrize("style", ARRAYS)
def test_c_arrays(style: str, tflite: bytes) -> None:
    text = ARRAYS[style](tflite)
    found = read_source(text.encode(), "some/kws model.h")
    assert found.tflite == tflite
    assert found.spec.name == "kws-model"
    assert found.origin.startswith("C array ")


def test_the_array_is_named(tflite: bytes) -> None:
    assert read_source(ARRAYS["among others"](tflite).encode(), "m.h").origin == "C array the_model"
    assert read_source(ARRAYS["tensorflow"](tflite).encode(), "m.cc").origin == "C array g_model"


def test_a_text_without_a_model_names_its_arrays() -> None:
    text = f"int main(void) {{ }}\nconst int table[] = {{{','.join(map(str, range(40)))}}};"
    with pytest.raises(
        SourceError, match=r"no array in this source text is a \.tflite .*its arrays are table:"
    ):
        read_source(text.encode(), "m.c")


def test_two_models_in_one_text_are_named(tflite: bytes, other: bytes) -> None:
    text = f"char a[] = {{{hexes(tflite)}}};\nchar b[] = {{{hexes(other)}}};"
    with pytest.raises(SourceError, match="2 arrays in this source text are models: a, b; leave one"):
        read_source(text.encode(), "m.c")


def test_an_array_of_larger_numbers_is_no_model(tflite: bytes) -> None:
    with pytest.raises(SourceError, match="array a holds 256, which is no byte"):
        read_source(f"int a[] = {{{','.join(map(str, tflite))},256}};".encode(), "m.c")


@pytest.mark.parametrize("text", ["{" * 200_000, "/*" * 200_000, '"' * 200_001 + "{", "x={1," * 100_000])
def test_hostile_texts_end_soon(text: str) -> None:
    with pytest.raises(SourceError, match="no array"):
        read_source(f"x = {{{text}".encode(), "m.c")


def test_a_placeholder_is_said_to_be_damaged() -> None:
    text = "const unsigned char m[] = {0x1c, 0, 0, 0, 0x54, 0x46, 0x4c, 0x33, 0x14, 0, 0x20, 0};"
    with pytest.raises(CompileError, match="the file is damaged"):
        found = read_source(text.encode(), "m.h")
        lower(found.tflite, found.spec)


METADATA = """
#define EI_CLASSIFIER_PROJECT_NAME               "Demo: \\"Cows\\" & co"
#define EI_CLASSIFIER_PROJECT_DEPLOY_VERSION     19
#define EI_CLASSIFIER_NN_INPUT_FRAME_SIZE        96
#define EI_CLASSIFIER_RAW_SAMPLE_COUNT           48
#define EI_CLASSIFIER_RAW_SAMPLES_PER_FRAME      2
#define EI_CLASSIFIER_FREQUENCY                  62.5
#define EI_CLASSIFIER_THRESHOLD                  0.55
#define EI_CLASSIFIER_OBJECT_DETECTION             0
#define EI_CLASSIFIER_COMPILED                      0
#define EI_CLASSIFIER_SENSOR                     EI_CLASSIFIER_SENSOR_ACCELEROMETER
"""
VARIABLES = """
const char* ei_classifier_inferencing_categories_44_1[] = { "rest", "graze", "walk \\"fast\\"" };
ei_model_dsp_t ei_dsp_blocks_44_1[1] = { { 12, 96, &extract_raw_features, 0 } };
"""


def export(metadata: str = METADATA, variables: str = VARIABLES, **files: bytes | str) -> bytes:
    headers = {
        "model-parameters__model_metadata_dot_h": metadata,
        "model-parameters__model_variables_dot_h": variables,
    }
    return packed(**headers, **files)


def test_an_edge_impulse_export_tells_its_window_and_labels(tflite: bytes) -> None:
    found = read_source(export(**{"tflite-model__tflite_learn_44_13_dot_tflite": tflite}), "cows-v19.zip")
    assert found.tflite == tflite
    assert found.origin == "tflite-model/tflite_learn_44_13.tflite in an Edge Impulse export"
    meta = decode_artifact(compile_model(found.tflite, found.spec)).metadata
    assert (meta.name, meta.version) == ("Demo-Cows-co", "19.0.0")
    assert meta.labels == ("rest", "graze", 'walk "fast"')
    assert (meta.sensor, meta.rate_mhz, meta.samples, meta.channels) == ("accelerometer", 62_500, 48, 2)
    assert meta.threshold == 141
    assert not found.notes


def test_an_older_export_holds_the_model_as_an_array(tflite: bytes) -> None:
    files = {
        "src__tflite-model__trained_dot_h": "extern const unsigned char trained_tflite[];",
        "src__tflite-model__trained_dot_cpp": f"const unsigned char trained_tflite[] = {{{hexes(tflite)}}};",
        "src__edge-impulse-sdk__x_dot_h": "float table[] = {1};",
    }
    found = read_source(export(**files), "x.zip")
    assert found.tflite == tflite
    assert "trained.cpp, array trained_tflite in an Edge Impulse export" in found.origin


def test_features_are_not_taken_for_samples(tflite: bytes) -> None:
    variables = VARIABLES.replace("extract_raw_features", "extract_mfcc_features")
    found = read_source(export(variables=variables, **{"m_dot_tflite": tflite}), "x.zip")
    assert found.spec.input.samples is None
    assert found.spec.input.rate_mhz == 0
    assert found.notes == (
        "the model's input of 96 values is what Edge Impulse's block mfcc makes of the samples: feed it "
        "features, not raw samples",
    )


def test_labels_that_do_not_fit_are_left_out_with_a_word(tflite: bytes) -> None:
    variables = VARIABLES.replace('"rest", ', "")
    found = read_source(export(variables=variables, **{"m_dot_tflite": tflite}), "x.zip")
    assert found.spec.labels == ()
    assert found.notes == ("2 labels for 3 outputs: left out",)


def test_a_detector_is_raw(tflite: bytes) -> None:
    metadata = METADATA.replace("OBJECT_DETECTION             0", "OBJECT_DETECTION             1")
    found = read_source(export(metadata, **{"m_dot_tflite": tflite}), "x.zip")
    assert found.spec.output_kind is OutputKind.RAW
    assert "boxes are not decoded" in found.notes[0]


def test_an_eon_export_is_refused_with_what_to_choose() -> None:
    array = f"const uint8_t tensor_data1[] = {{{hexes(bytes(90))}}};"
    with pytest.raises(SourceError, match=r"EON Compiler.*with the engine 'TensorFlow Lite' instead"):
        read_source(export(**{"tflite-model__tflite_learn_13_compiled_dot_cpp": array}), "x.zip")


def test_a_zip_with_one_int8_model_among_others(tflite: bytes) -> None:
    found = read_source(packed(a_dot_tflite=floats(), b_dot_lite=tflite), "x.zip")
    assert (found.tflite, found.origin) == (tflite, "b.lite in a zip")


def test_a_zip_with_two_models_names_them(tflite: bytes, other: bytes) -> None:
    with pytest.raises(SourceError, match=r"holds 2 models: a\.tflite, b\.tflite; unpack it"):
        read_source(packed(a_dot_tflite=tflite, b_dot_tflite=other), "x.zip")


def test_the_same_model_twice_is_one(tflite: bytes) -> None:
    assert read_source(packed(a_dot_tflite=tflite, b_dot_tflite=tflite), "x.zip").tflite == tflite


@pytest.mark.parametrize(
    ("mark", "says"),
    [
        ("model_dot_weights_dot_h5", "a Keras model"),
        ("m__saved_model_dot_pb", "a TensorFlow SavedModel"),
        ("archive__data_dot_pkl", "a PyTorch model"),
        ("m_dot_onnx", "an ONNX model"),
        ("readme_dot_txt", r"this zip holds no \.tflite and no C array of one \(1 files\)"),
    ],
)
def test_other_zips_are_named(mark: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        read_source(packed(**{mark: b"x"}), "x.zip")


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SourceError, match=r"bomb\.tflite in the zip has more than 67108864 bytes"):
        read_source(packed(bomb_dot_tflite=bytes(2**26 + 1)), "x.zip")
    monkeypatch.setattr(archive, "MEMBERS_MAX", 1)
    with pytest.raises(SourceError, match="the zip has 2 files; at most 1"):
        read_source(packed(a=b"", b=b""), "x.zip")


def test_names_in_a_zip_are_no_paths(tflite: bytes) -> None:
    found = read_source(packed(**{"..__..__etc__\x1bx_dot_tflite": tflite}), "x.zip")
    assert found.origin == "../../etc/\\x1bx.tflite in a zip"


def test_damaged_zips_are_refused(tflite: bytes) -> None:
    good = packed(m_dot_tflite=tflite, readme=b"x" * 500)
    for cut in range(4, len(good), 97):
        with pytest.raises(CompileError):
            read_source(good[:cut], "x.zip")
    for at in range(0, len(good), 13):
        broken = bytearray(good)
        broken[at] ^= 0x55
        try:
            read_source(bytes(broken), "x.zip")
        except CompileError:
            continue


@pytest.mark.parametrize("data", [b"\x00" * 64, b"\xff" * 64, b"hello", bytes(range(256))])
def test_what_nobody_knows_is_said(data: bytes) -> None:
    with pytest.raises(CompileError, match=r"give a \.tflite"):
        read_source(data, "x.bin")


def test_a_known_other_file_is_named() -> None:
    with pytest.raises(CompileError, match="git lfs pull"):
        read_source(b"version https://git-lfs.github.com/spec/v1\n", "m.tflite")
