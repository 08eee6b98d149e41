"""GGUF files, against the `gguf` package: types, metadata, quantised blocks, and files that lie."""

from __future__ import annotations

import struct
import typing

import gguf
import mlx.core as mx
import numpy as np
import pytest

T = gguf.GGMLQuantizationType
DECODED = ["Q5_0", "Q5_1", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]
DECODED += ["MXFP4", "NVFP4", "TQ1_0", "TQ2_0"]
DECODED += ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S"]
PACKED = {"Q4_0": 4, "Q4_1": 4, "Q8_0": 8}


def write(path, fill: typing.Callable[[gguf.GGUFWriter], object], **options) -> str:
    writer = gguf.GGUFWriter(path, "test", **options)
    fill(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return str(path)


def random_blocks(name: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Any bytes are a block; only the float16 scales in it are made to be of bearable size."""
    size = gguf.GGML_QUANT_SIZES[T[name]][1]
    raw = rng.integers(0, 256, (rows, 2, size), dtype=np.uint8)
    scale_at = {"Q2_K": (80, 82), "Q3_K": (108,), "Q6_K": (208,), "MXFP4": (), "IQ1_M": ()}
    scale_at["NVFP4"] = ()
    scale_at |= {"TQ1_0": (52,), "TQ2_0": (64,)}
    for at in scale_at.get(name, (0, 2) if name in ("Q5_1", "Q4_K", "Q5_K") else (0,)):
        scales = rng.standard_normal((rows, 2, 1)).astype(np.float16)
        raw[..., at : at + 2] = scales.view(np.uint8)
    if name == "MXFP4":
        raw[..., 0] = rng.integers(120, 134, (rows, 2))
    if name == "NVFP4":
        raw[..., :4] &= 127
    if name == "IQ1_M":  # four bits of the scale at the top of each of four words
        scales = rng.standard_normal((rows, 2, 1)).astype(np.float16).view(np.uint16)
        top = (scales >> (4 * np.arange(4, dtype=np.uint16)) & 15) << 4
        raw[..., 49::2] = raw[..., 49::2] & 15 | top
    return raw.reshape(rows, 2 * size)


@pytest.mark.parametrize("name", DECODED)
def test_block_types_are_decoded(tmp_path, name):
    raw = random_blocks(name, 5, np.random.default_rng(0))
    path = write(tmp_path / "a.gguf", lambda w: w.add_tensor("w.weight", raw, raw_dtype=T[name]))
    loaded = mx.load(path)
    assert list(loaded) == ["w.weight"]
    expected = gguf.dequantize(raw, T[name])
    assert loaded["w.weight"].dtype == mx.float16
    assert loaded["w.weight"].shape == expected.shape
    with np.errstate(over="ignore"):
        expected = expected.astype(np.float16)
    got = np.array(loaded["w.weight"])
    np.testing.assert_array_equal(got.view(np.uint16), expected.view(np.uint16))


@pytest.mark.parametrize("name", PACKED)
@pytest.mark.parametrize("shape", [(4, 256), (3, 2, 64), (32,), (0, 32)])
def test_packed_types_are_what_quantized_matmul_takes(tmp_path, name, shape):
    values = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    bits, quantized = PACKED[name], T[name]
    size = gguf.GGML_QUANT_SIZES[quantized][1]
    raw = (
        gguf.quantize(values, quantized)
        if values.size
        else np.zeros((0, shape[-1] // 32 * size), np.uint8)
    )
    path = write(tmp_path / "a.gguf", lambda w: w.add_tensor("w.weight", raw, raw_dtype=quantized))
    loaded = mx.load(path)
    assert set(loaded) == {"w.weight", "w.scales", "w.biases"}
    assert loaded["w.weight"].dtype == mx.uint32
    assert loaded["w.weight"].shape == (*shape[:-1], shape[-1] * bits // 32)
    assert loaded["w.scales"].dtype == mx.float16
    assert loaded["w.scales"].shape == loaded["w.biases"].shape == (*shape[:-1], shape[-1] // 32)
    if len(shape) > 1 and values.size:
        decoded = mx.dequantize(
            *(loaded[f"w.{part}"] for part in ("weight", "scales", "biases")),
            group_size=32,
            bits=bits,
        )
        expected = gguf.dequantize(raw, quantized)
        np.testing.assert_allclose(np.array(decoded), expected, rtol=2e-3, atol=4e-3)


def test_plain_types(tmp_path):
    values = np.arange(-6, 6).reshape(2, 3, 2)
    kinds = (np.float16, np.float32, np.float64, np.int8, np.int16, np.int32, np.int64)

    def fill(writer):
        for kind in kinds:
            writer.add_tensor(kind.__name__, values.astype(kind))
        raw = gguf.quantize(values.astype(np.float32), T.BF16)
        writer.add_tensor("bfloat16", raw, raw_dtype=T.BF16)

    loaded = mx.load(write(tmp_path / "a.gguf", fill))
    assert len(loaded) == len(kinds) + 1
    for name, a in loaded.items():
        assert a.dtype == getattr(mx, name)
        assert a.tolist() == values.tolist()


def test_metadata_of_all_types(tmp_path):
    integers = {"uint8": 200, "int8": -3, "uint16": 60000, "int16": -300, "uint32": 2**32 - 1}
    integers |= {"int32": -70000, "uint64": 2**63, "int64": -(2**40)}

    def fill(writer):
        for name, value in integers.items():
            getattr(writer, f"add_{name}")(name, value)
        writer.add_float32("float32", 1.5)
        writer.add_float64("float64", 0.1)
        writer.add_bool("bool", True)
        writer.add_string("text", "héllo")
        writer.add_array("texts", ["a", "", "ü"])
        writer.add_array("numbers", [1, 2, 3])
        writer.add_array("fractions", [1.0, 2.5])
        writer.add_array("truths", [True, False])
        writer.add_array("lists", [[1, 2], [3]])

    arrays, metadata = mx.load(write(tmp_path / "a.gguf", fill), return_metadata=True)
    assert arrays == {}
    for name, value in integers.items():
        assert metadata[name].dtype == getattr(mx, name) and metadata[name].item() == value
    assert metadata["float32"].item() == 1.5
    assert metadata["float64"].dtype == mx.float64 and metadata["float64"].item() == 0.1
    assert metadata["bool"].dtype == mx.bool_ and metadata["bool"].item() is True
    assert metadata["text"] == "héllo" and metadata["texts"] == ["a", "", "ü"]
    assert metadata["numbers"].tolist() == [1, 2, 3]
    assert metadata["fractions"].tolist() == [1.0, 2.5]
    assert metadata["truths"].tolist() == [True, False]
    assert metadata["lists"] is None


def test_saved_files_are_read_by_others_and_here(tmp_path):
    path = str(tmp_path / "a")
    arrays = {
        "half": mx.ones((2, 3), mx.float16),
        "transposed": mx.arange(6.0).reshape(2, 3).T,
        "scalar": mx.array(2.0),
        "empty": mx.zeros((0, 3)),
        "deep": mx.arange(16.0).reshape(1, 2, 1, 2, 4),
        "bytes": mx.array([-1, 2], mx.int8),
        "brain": mx.array([1.5, -2], mx.bfloat16),
    }
    metadata = {"text": "ü", "texts": ["a", "b"], "none": [], "count": mx.array(3), "plain": 2.5}
    metadata |= {"row": mx.array([1, 2], mx.uint16), "flags": mx.array([True, False])}
    mx.save_gguf(path, arrays, metadata)
    loaded, found = mx.load(path + ".gguf", return_metadata=True)
    assert set(loaded) == set(arrays)
    for name, a in arrays.items():
        assert loaded[name].dtype == a.dtype and loaded[name].shape == a.shape
        assert mx.array_equal(loaded[name], a)
    assert found["text"] == "ü" and found["texts"] == ["a", "b"] and found["none"] == []
    assert found["count"].item() == 3 and found["plain"].item() == 2.5
    assert found["row"].dtype == mx.uint16 and found["row"].tolist() == [1, 2]
    assert found["flags"].tolist() == [True, False]
    reader = gguf.GGUFReader(path + ".gguf")
    tensors = {t.name: t for t in reader.tensors}
    assert tensors["transposed"].data.tolist() == np.arange(6.0).reshape(2, 3).T.tolist()
    assert tensors["brain"].tensor_type == T.BF16
    assert reader.fields["text"].contents() == "ü"


def test_what_the_format_does_not_have(tmp_path):
    path = str(tmp_path / "a.gguf")
    for dtype in (mx.bool_, mx.uint8, mx.uint32, mx.complex64):
        with pytest.raises(ValueError, match=r"'x'.*dtype"):
            mx.save_gguf(path, {"x": mx.ones((2,)).astype(dtype)})
    for value in (mx.ones((1, 2)), mx.array(1.5, mx.float16), None, [None]):
        with pytest.raises((ValueError, TypeError)):
            mx.save_gguf(path, {"x": mx.ones((2,))}, {"k": value})
    assert not (tmp_path / "a.gguf").exists()
    with pytest.raises(ValueError, match="path"):
        mx.load((tmp_path / "b.gguf").open("wb"), format="gguf")
    with pytest.raises(RuntimeError, match="type 9"):
        raw = np.zeros((1, 40), np.uint8)
        mx.load(write(tmp_path / "b.gguf", lambda w: w.add_tensor("w", raw, raw_dtype=T.Q8_1)))


def good_file(tmp_path) -> bytes:
    def fill(writer):
        writer.add_array("texts", ["a", "b"])
        raw = gguf.quantize(np.ones((2, 32), np.float32), T.Q8_0)
        writer.add_tensor("w.weight", raw, raw_dtype=T.Q8_0)
        writer.add_tensor("b", np.ones(3, np.float32))

    return (tmp_path / write(tmp_path / "good.gguf", fill)).read_bytes()


def test_cut_and_changed_files_raise_or_load(tmp_path):
    good, path = good_file(tmp_path), tmp_path / "bad.gguf"
    rng = np.random.default_rng(0)
    for length in range(0, len(good) - 32, 3):
        path.write_bytes(good[:length])
        with pytest.raises(RuntimeError, match=r"bad\.gguf"):
            mx.load(str(path))
    for _ in range(2000):
        bad = bytearray(good)
        for at in rng.integers(0, len(bad), rng.integers(1, 4)):
            bad[at] = rng.choice([0, 1, 127, 255, rng.integers(256)])
        path.write_bytes(bad)
        try:
            mx.eval(mx.load(str(path)))
        except (RuntimeError, UnicodeDecodeError):
            continue


def tensor(name: bytes, extents: tuple, kind: int, offset: int) -> bytes:
    start = struct.pack("<Q", len(name)) + name + struct.pack("<I", len(extents))
    return start + struct.pack(f"<{len(extents)}qIQ", *extents, kind, offset)


def refuse(path, tensors: bytes, count: int, message: str, pairs: bytes = b"", keys: int = 0):
    """Of a file with 64 bytes of data."""
    start = b"GGUF" + struct.pack("<IQQ", 3, count, keys) + pairs + tensors
    path.write_bytes(start + bytes(-len(start) % 32) + bytes(64))
    with pytest.raises(RuntimeError, match=message):
        mx.load(str(path))


@pytest.mark.parametrize("name", [*DECODED, *PACKED])
def test_lengths_of_blocks_that_lie(tmp_path, name):
    elements, size = gguf.GGML_QUANT_SIZES[T[name]]
    path, kind, many = tmp_path / "bad.gguf", int(T[name]), 64 // size + 1
    refuse(path, tensor(b"a", (elements + 1,), kind, 0), 1, rf"{name} has.*multiple of {elements}")
    refuse(path, tensor(b"a", (elements, many), kind, 0), 1, f"'a'.* {size * many} bytes from 0")
    huge = (elements, 2**31 - 1, 2**31 - 1)
    refuse(path, tensor(b"a", huge, kind, 0), 1, "'a'.*(bytes|extent)")


def test_lies(tmp_path):
    def refused(*arguments, **options):
        refuse(tmp_path / "bad.gguf", *arguments, **options)

    refused(tensor(b"a", (8,), 0, 0) + tensor(b"b", (8,), 0, 0), 2, "overlaps")
    refused(tensor(b"a", (8,), 0, 0) + tensor(b"a", (8,), 0, 32), 2, "twice")
    refused(tensor(b"a", (32,), 0, 0), 1, "128 bytes from 0")
    refused(tensor(b"a", (8,), 0, 2**63), 1, "9223372036854775808")
    refused(tensor(b"a", (8,), 0, 4), 1, "no multiple")
    refused(tensor(b"a", (-8,), 0, 0), 1, "extent -8")
    refused(tensor(b"a", (2**31 - 1, 2**31 - 1, 2**31 - 1), 0, 0), 1, "more bytes than")
    refused(tensor(b"a", (33,), 8, 0), 1, "multiple of 32")
    refused(tensor(b"a", (8,), 99, 0), 1, "type 99")
    refused(b"", 2**60, "tensors")
    refused(b"", 0, "metadata", keys=2**60)
    nested = struct.pack("<IQ", 9, 1) * 12 + struct.pack("<IQ", 0, 0)
    key = struct.pack("<Q", 1) + b"k"
    refused(b"", 0, "nested", key + struct.pack("<I", 9) + nested, 1)
    refused(b"", 0, "unknown type 77", key + struct.pack("<I", 77), 1)
    many = key + struct.pack("<IIQ", 9, 8, 2**40)
    refused(b"", 0, "parts of a list", many, 1)
    alignment = struct.pack("<Q", 17) + b"general.alignment"
    refused(b"", 0, "alignment", alignment + struct.pack("<II", 4, 3), 1)
