"""Files: round trips with NumPy, lazy loading, metadata, file objects, and files that lie."""

from __future__ import annotations

import concurrent.futures
import io
import json
import os
import pathlib
import resource
import struct
import subprocess
import sys
import textwrap
import threading
import zipfile
import zlib

import mlx.core as mx
import numpy as np
import pytest
from children import run_python

DTYPES = {
    "bool_": np.bool_,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "float16": np.float16,
    "float32": np.float32,
    "float64": np.float64,
    "complex64": np.complex64,
    "complex128": np.complex128,
}
# Safetensors have no name for numbers of 16 bytes.
NAMED = {n: t for n, t in DTYPES.items() if n != "complex128"}
SHAPES = [(), (1,), (7,), (0,), (2, 0, 3), (3, 4), (2, 3, 4, 5)]
BROKEN = (RuntimeError, ValueError)


def sample(dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    values = np.random.default_rng(3).integers(0, 100, shape)
    return np.asarray(values % 2 if dtype is np.bool_ else values).astype(dtype)


def to_mx(a: np.ndarray, name: str) -> mx.array:
    return mx.array(a, dtype=getattr(mx, name))


def header_of(raw: bytes) -> dict:
    return json.loads(raw[8 : 8 + struct.unpack("<Q", raw[:8])[0]])


def safetensors_bytes(header: dict | str | bytes, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes | str) else json.dumps(header)
    text = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(text)) + text + data


def npy_bytes(header: str | bytes, data: bytes = b"", version: int = 1) -> bytes:
    text = header.encode("latin1") if isinstance(header, str) else header
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    return b"\x93NUMPY" + bytes([version, 0]) + length + text + data


def load_bytes(raw: bytes, format: str):
    out = mx.load(io.BytesIO(raw), format=format)
    mx.eval(out)
    return out


# ------------------------------------------------------------------ npy


@pytest.mark.parametrize("name", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_npy_round_trips_with_numpy(tmp_path, name, shape):
    expected = sample(DTYPES[name], shape)
    path = str(tmp_path / "a.npy")
    mx.save(path, to_mx(expected, name))
    back = np.load(path)
    assert back.dtype == expected.dtype and back.shape == shape
    np.testing.assert_array_equal(back, expected)
    np.save(path, expected)
    loaded = mx.load(path)
    assert loaded.dtype == getattr(mx, name) and loaded.shape == shape
    np.testing.assert_array_equal(np.array(loaded), expected)


@pytest.mark.parametrize("dtype", ["<i2", ">i2", ">i8", ">f4", ">f8", ">c8", ">f2", "=u4", "|u1"])
def test_npy_byte_orders(tmp_path, dtype):
    expected = np.arange(12).reshape(3, 4).astype(dtype)
    np.save(tmp_path / "a.npy", expected)
    np.testing.assert_array_equal(np.array(mx.load(tmp_path / "a.npy")), expected)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_versions_and_orders(tmp_path, version, order):
    expected = np.asarray(np.arange(24, dtype=np.float32).reshape(2, 3, 4), order=order)
    with open(tmp_path / "a.npy", "wb") as f:
        np.lib.format.write_array(f, expected, version=version)
    np.testing.assert_array_equal(np.array(mx.load(tmp_path / "a.npy")), expected)


def test_npy_saves_any_layout(tmp_path):
    a = np.arange(24, dtype=np.int32).reshape(4, 6)
    x = mx.array(a)
    row = mx.array([1, 2, 3], dtype=mx.int32)
    layouts = [
        (lambda: x.T, a.T),
        (lambda: x[1:3, ::2], a[1:3, ::2]),
        (lambda: x[::-1], a[::-1]),
        (lambda: mx.broadcast_to(row, (2, 3)), np.broadcast_to([1, 2, 3], (2, 3))),
        (lambda: x + 1, a + 1),
    ]
    for make, expected in layouts:
        mx.save(str(tmp_path / "a"), make())
        np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), expected)
        mx.save_safetensors(str(tmp_path / "a"), {"a": make()})
        loaded = mx.load(str(tmp_path / "a.safetensors"))["a"]
        np.testing.assert_array_equal(np.array(loaded), expected)


def test_npy_bfloat16_and_alignment(tmp_path):
    a = mx.array([1.5, -2.0, 3.0], dtype=mx.bfloat16)
    path = tmp_path / "a.npy"
    mx.save(path, a)
    loaded = mx.load(path)
    assert loaded.dtype == mx.bfloat16 and mx.array_equal(loaded, a).item()
    assert path.read_bytes().index(b"\n") % 64 == 63
    assert np.load(path).shape == (3,)


def test_bool_bytes_other_than_one_are_true():
    raw = npy_bytes("{'descr': '|b1', 'fortran_order': False, 'shape': (4,), }", b"\0\1\2\xff")
    a = load_bytes(raw, "npy")
    assert a.tolist() == [False, True, True, True]
    assert a.astype(mx.int32).tolist() == [0, 1, 1, 1]


# ------------------------------------------------------------------ npz


@pytest.mark.parametrize("save", [mx.savez, mx.savez_compressed])
def test_npz_round_trips_with_numpy(tmp_path, save):
    path = str(tmp_path / "a")
    save(path, mx.array([1, 2, 3]), weights=mx.array([[0.5], [1.5]]))
    back = np.load(path + ".npz")
    assert sorted(back) == ["arr_0", "weights"]
    np.testing.assert_array_equal(back["weights"], [[0.5], [1.5]])
    loaded = mx.load(path + ".npz")
    assert sorted(loaded) == ["arr_0", "weights"]
    assert loaded["arr_0"].tolist() == [1, 2, 3] and loaded["weights"].dtype == mx.float32
    np.savez_compressed(path, np.ones((3, 2), np.float16), x=np.asfortranarray(np.eye(3)))
    loaded = mx.load(path + ".npz")
    assert loaded["arr_0"].dtype == mx.float16 and loaded["x"].dtype == mx.float64
    np.testing.assert_array_equal(np.array(loaded["x"]), np.eye(3))
    with pytest.raises(ValueError, match="arr_0"):
        save(path, mx.array(1), arr_0=mx.array(2))
    assert not [f for f in os.listdir(tmp_path) if f.endswith(".tmp")]


def test_npz_is_really_compressed(tmp_path):
    mx.savez_compressed(tmp_path / "a.npz", zeros=mx.array(np.zeros(100_000, np.float32)))
    assert (tmp_path / "a.npz").stat().st_size < 5000
    assert mx.load(tmp_path / "a.npz")["zeros"].shape == (100_000,)


# ------------------------------------------------------------------ safetensors


def test_safetensors_round_trip_with_metadata(tmp_path):
    arrays = {n: to_mx(sample(t, (2, 3)), n) for n, t in NAMED.items()}
    arrays["bfloat16"] = mx.array([[1.5, 2.5]], dtype=mx.bfloat16)
    arrays["scalar"] = mx.array(3)
    arrays["empty"] = mx.array(np.zeros((0, 4), np.float32))
    arrays['name/with.dots \u00e9 "quoted"'] = mx.array([True])
    metadata = {"format": "mlx", "k\u00e9y": "line\nbreak", "": ""}
    path = str(tmp_path / "m")
    mx.save_safetensors(path, arrays, metadata)
    loaded, meta = mx.load(path + ".safetensors", return_metadata=True)
    assert meta == metadata and set(loaded) == set(arrays)
    for name, a in arrays.items():
        assert loaded[name].dtype == a.dtype and loaded[name].shape == a.shape
        np.testing.assert_array_equal(
            np.array(loaded[name].astype(mx.float32)), np.array(a.astype(mx.float32))
        )


def test_safetensors_layout(tmp_path):
    arrays = {f"{i}": to_mx(sample(t, (i + 1,)), n) for i, (n, t) in enumerate(NAMED.items())}
    mx.save_safetensors(str(tmp_path / "m"), arrays)
    raw = (tmp_path / "m.safetensors").read_bytes()
    header = header_of(raw)
    length = struct.unpack("<Q", raw[:8])[0]
    assert length % 8 == 0 and "__metadata__" not in header
    position = 0
    for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        begin, end = entry["data_offsets"]
        assert begin == position and begin % arrays[name].itemsize == 0
        expected = np.array(arrays[name]).tobytes()
        assert raw[8 + length + begin : 8 + length + end] == expected
        position = end
    assert position == len(raw) - 8 - length
    mx.save_safetensors(str(tmp_path / "none"), {})
    assert mx.load(str(tmp_path / "none.safetensors")) == {}


def test_safetensors_have_no_wide_complex_numbers(tmp_path):
    with pytest.raises(ValueError, match="complex128"):
        mx.save_safetensors(str(tmp_path / "m"), {"z": mx.zeros((2,), mx.complex128)})


def test_safetensors_eight_bit_floats_and_null_metadata():
    entry = {"dtype": "F8_E4M3", "shape": [2], "data_offsets": [0, 2]}
    a = load_bytes(
        safetensors_bytes({"__metadata__": None, "a": entry}, b"\x38\x40"), "safetensors"
    )
    assert a["a"].dtype == mx.uint8 and a["a"].tolist() == [0x38, 0x40]
    spaced = json.dumps({"a": entry}) + "    "
    assert load_bytes(safetensors_bytes(spaced, b"ab"), "safetensors")["a"].shape == (2,)


def test_loading_is_lazy(tmp_path):
    path = str(tmp_path / "big.safetensors")
    big = np.zeros((1024, 1024), np.float32)
    mx.save_safetensors(path, {f"w{i}": mx.array(big) for i in range(8)})
    before = mx.get_active_memory()
    weights = mx.load(path)
    assert mx.get_active_memory() - before < 1 << 20
    mx.eval(weights["w3"])
    assert (4 << 20) <= mx.get_active_memory() - before < (5 << 20)


def test_loaded_arrays_outlive_the_name_of_the_file(tmp_path):
    path = str(tmp_path / "a.safetensors")
    mx.save_safetensors(path, {"a": mx.array([1, 2, 3])})
    lazy = mx.load(path)["a"]
    mx.save_safetensors(path, {"a": lazy + 1})  # over the file that it is still to be read from
    assert lazy.tolist() == [1, 2, 3]
    assert mx.load(path)["a"].tolist() == [2, 3, 4]


def test_a_failed_save_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.safetensors"
    mx.save_safetensors(str(path), {"a": mx.array([1])})
    with pytest.raises(ValueError):
        mx.save_safetensors(str(path), {"a\udc80": mx.array([2])})
    with pytest.raises(ValueError, match="reserved"):
        mx.save_safetensors(str(path), {"__metadata__": mx.array([2])})
    assert mx.load(str(path))["a"].item() == 1
    assert os.listdir(tmp_path) == ["a.safetensors"]
    os.chmod(path, 0o640)
    mx.save_safetensors(str(path), {"a": mx.array([3])})
    assert path.stat().st_mode & 0o777 == 0o640
    link = tmp_path / "link.safetensors"
    link.symlink_to(path)
    mx.save_safetensors(str(link), {"a": mx.array([4])})
    assert link.is_symlink() and mx.load(str(path))["a"].item() == 4


def test_every_format_keeps_the_old_file_when_the_disk_is_full(tmp_path):
    run_python(
        f"""
        import os, resource, signal
        import mlx.core as mx

        a = mx.arange(1000)
        savers = {{
            "npy": lambda f: mx.save(f, a),
            "npz": lambda f: mx.savez(f, a=a),
            "safetensors": lambda f: mx.save_safetensors(f, {{"a": a}}),
            "gguf": lambda f: mx.save_gguf(f, {{"a": a}}),
            "mlxfn": lambda f: mx.export_function(f, lambda x: x + 1, a),
            "dot": lambda f: mx.export_to_dot(f, mx.sin(a)),
        }}
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        for name, save in savers.items():
            path = os.path.join({str(tmp_path)!r}, "x." + name)
            save(path)
            old = open(path, "rb").read()
            resource.setrlimit(resource.RLIMIT_FSIZE, (20, resource.RLIM_INFINITY))
            try:
                save(path)
                raise AssertionError(name)
            except RuntimeError as e:
                assert path in str(e) and "too large" in str(e) and "Traceback" not in str(e), e
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
            assert open(path, "rb").read() == old, name
            assert len(os.listdir({str(tmp_path)!r})) == 1, name
            os.unlink(path)
        """
    )


def test_paths_of_graphs_in_the_dot_language(tmp_path):
    y = mx.sin(mx.ones(2))
    with pytest.raises(ValueError, match="null"):
        mx.export_to_dot(str(tmp_path / "a\0b"), y)
    with pytest.raises(RuntimeError, match="nowhere"):
        mx.export_to_dot(tmp_path / "nowhere" / "x.dot", y)
    with pytest.raises(TypeError, match="path or a file"):
        mx.export_to_dot(5, y)
    name = os.fsdecode(b"caf\xe9.dot")
    mx.export_to_dot(tmp_path / name, y)
    assert os.listdir(tmp_path) == [name]


# ------------------------------------------------------------------ paths and file objects


def test_paths_and_formats(tmp_path):
    mx.save(tmp_path / "a", mx.array([1, 2]))
    assert mx.load(pathlib.Path(tmp_path / "a.npy")).tolist() == [1, 2]
    os.rename(tmp_path / "a.npy", tmp_path / "plain")
    assert mx.load(str(tmp_path / "plain"), format="npy").tolist() == [1, 2]
    assert mx.load(str(tmp_path / "plain"), format="npy", stream=mx.cpu).tolist() == [1, 2]
    with pytest.raises(ValueError, match="format"):
        mx.load(str(tmp_path / "plain"))
    with pytest.raises(ValueError, match="zzz"):
        mx.load(str(tmp_path / "plain"), format="zzz")
    with pytest.raises(ValueError, match="etadata"):
        mx.load(str(tmp_path / "plain"), format="npy", return_metadata=True)
    with pytest.raises(RuntimeError, match="missing"):
        mx.load(str(tmp_path / "missing.npy"))
    with pytest.raises(RuntimeError):
        mx.load(str(tmp_path), format="npy")
    with pytest.raises(RuntimeError):
        mx.save(str(tmp_path / "no" / "folder.npy"), mx.array(1))
    with pytest.raises(TypeError):
        mx.load(3)
    with pytest.raises(RuntimeError, match="missing"):
        mx.load(str(tmp_path / "missing.gguf"))
    with pytest.raises(ValueError, match="strings"):
        mx.save_safetensors(str(tmp_path / "a"), {"a": 1})
    with pytest.raises(ValueError, match="string"):
        mx.save_safetensors(str(tmp_path / "a"), {"a": mx.array(1)}, {"a": 1})


def test_file_objects(tmp_path):
    f = io.BytesIO()
    mx.save(f, mx.array([1, 2]))
    mx.save(f, mx.array([3.5]))
    f.seek(0)
    first, second = mx.load(f, format="npy"), mx.load(f, format="npy")
    f.close()
    assert first.tolist() == [1, 2] and second.tolist() == [3.5]

    f = io.BytesIO()
    mx.save_safetensors(f, {"a": mx.array([1, 2])}, {"k": "v"})
    f.seek(0)
    arrays, metadata = mx.load(f, format="safetensors", return_metadata=True)
    assert arrays["a"].tolist() == [1, 2] and metadata == {"k": "v"}

    f = io.BytesIO()
    mx.savez(f, mx.array([1, 2]), b=mx.array(3))
    f.seek(0)
    assert mx.load(f, format="npz")["b"].item() == 3

    mx.save(tmp_path / "a.npy", mx.array([5]))
    with open(tmp_path / "a.npy", "rb") as opened:
        a = mx.load(opened)
    assert a.item() == 5
    with open(tmp_path / "text.npy", "w") as opened, pytest.raises(TypeError):
        mx.save(opened, mx.array([5]))
    with pytest.raises(ValueError):
        mx.load(io.StringIO("text" * 50), format="npy")


class FailingFile(io.BytesIO):
    """Gives the header, then fails."""

    def read(self, n=-1):
        if self.tell() >= 100:
            raise OSError("the disk is gone")
        return super().read(n)


def test_errors_of_file_objects_come_through():
    f = io.BytesIO()
    mx.save(f, mx.array([1, 2]))
    with pytest.raises(OSError, match="the disk is gone"):
        mx.load(FailingFile(f.getvalue()), format="npy")


# ------------------------------------------------------------------ files that lie

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HOSTILE_SAFETENSORS = {
    "empty": b"",
    "short_length": b"\x10\0\0",
    "no_header": struct.pack("<Q", 0),
    "header_past_the_end": struct.pack("<Q", 1000) + b"{}",
    "huge_header": struct.pack("<Q", 1 << 62) + b"{}",
    "negative_header": struct.pack("<q", -1) + b"{}",
    "not_json": safetensors_bytes(b"not json at all"),
    "a_list": safetensors_bytes("[]"),
    "a_number": safetensors_bytes("12"),
    "cut_json": safetensors_bytes('{"a": {"dtype": "F32"'),
    "two_values": safetensors_bytes("{}{}"),
    "trailing_text": safetensors_bytes('{} "x"'),
    "deep_lists": safetensors_bytes("[" * 1_000_000),
    "deep_objects": safetensors_bytes('{"a":' * 200_000),
    "deep_shape": safetensors_bytes('{"a":{"shape":' + "[" * 1_000_000),
    "bad_utf8": safetensors_bytes(b'{"\xff\xfe": 1}'),
    "duplicate": safetensors_bytes(
        '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
        '"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}',
        b"ab",
    ),
    "duplicate_key": safetensors_bytes(
        '{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"a"
    ),
    "unknown_key": safetensors_bytes({"a": F32 | {"x": "y"}}, bytes(8)),
    "missing_key": safetensors_bytes({"a": {"dtype": "F32", "shape": [2]}}, bytes(8)),
    "unknown_dtype": safetensors_bytes({"a": F32 | {"dtype": "F33"}}, bytes(8)),
    "metadata_not_text": safetensors_bytes({"__metadata__": {"a": 1}, "a": F32}, bytes(8)),
    "negative_shape": safetensors_bytes({"a": F32 | {"shape": [-2]}}, bytes(8)),
    "fractional_shape": safetensors_bytes({"a": F32 | {"shape": [2.0]}}, bytes(8)),
    "huge_extent": safetensors_bytes({"a": F32 | {"shape": [1 << 40]}}, bytes(8)),
    "overflowing_shape": safetensors_bytes({"a": F32 | {"shape": [1 << 30] * 9}}, bytes(8)),
    "wrapping_shape": safetensors_bytes({"a": F32 | {"shape": [1 << 30, 1 << 30, 16]}}, bytes(8)),
    "integer_past_64_bits": safetensors_bytes({"a": F32 | {"shape": [1 << 70]}}, bytes(8)),
    "many_axes": safetensors_bytes({"a": F32 | {"shape": [1] * 100_000 + [2]}}, bytes(8)),
    "wrong_size": safetensors_bytes({"a": F32 | {"shape": [3]}}, bytes(8)),
    "truncated": safetensors_bytes({"a": F32}, bytes(7)),
    "offsets_swapped": safetensors_bytes({"a": F32 | {"data_offsets": [8, 0]}}, bytes(8)),
    "offsets_past_the_end": safetensors_bytes({"a": F32 | {"data_offsets": [8, 16]}}, bytes(8)),
    "offsets_wrap": safetensors_bytes({"a": F32 | {"data_offsets": [(1 << 64) - 8, 0]}}, bytes(8)),
    "three_offsets": safetensors_bytes({"a": F32 | {"data_offsets": [0, 8, 8]}}, bytes(8)),
    "overlap": safetensors_bytes({"a": F32, "b": F32 | {"data_offsets": [4, 12]}}, bytes(12)),
    "same_bytes": safetensors_bytes({"a": F32, "b": F32}, bytes(8)),
    "gap": safetensors_bytes({"a": F32, "b": F32 | {"data_offsets": [12, 20]}}, bytes(20)),
    "trailing_data": safetensors_bytes({"a": F32}, bytes(9)),
}


@pytest.mark.parametrize("name", HOSTILE_SAFETENSORS)
def test_hostile_safetensors(tmp_path, name):
    (tmp_path / "x.safetensors").write_bytes(HOSTILE_SAFETENSORS[name])
    mx.reset_peak_memory()
    before = mx.get_peak_memory()
    with pytest.raises(BROKEN, match=r"\[load"):
        mx.load(str(tmp_path / "x.safetensors"))
    assert mx.get_peak_memory() - before < 1 << 20


GOOD = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"
HOSTILE_NPY = {
    "empty": b"",
    "magic_only": b"\x93NUMPY",
    "wrong_magic": b"\x93NUMPZ\1\0" + bytes(100),
    "version_9": npy_bytes(GOOD, bytes(8), version=9),
    "version_0": b"\x93NUMPY\0\0" + bytes(100),
    "header_past_the_end": b"\x93NUMPY\1\0\xff\xff" + GOOD.encode(),
    "huge_header": b"\x93NUMPY\2\0\xff\xff\xff\xff" + GOOD.encode(),
    "no_dict": npy_bytes("print('hello')"),
    "unclosed": npy_bytes("{'descr': '<f4"),
    "expression": npy_bytes(GOOD.replace("(2,)", "(__import__('os'),)"), bytes(8)),
    "missing_key": npy_bytes("{'descr': '<f4', 'shape': (2,), }", bytes(8)),
    "extra_key": npy_bytes(GOOD.replace("}", "'x': 1}"), bytes(8)),
    "repeated_key": npy_bytes(GOOD.replace("}", "'descr': '<f4'}"), bytes(8)),
    "after_the_dict": npy_bytes(GOOD + "{}", bytes(8)),
    "negative_shape": npy_bytes(GOOD.replace("(2,)", "(-2,)"), bytes(8)),
    "float_shape": npy_bytes(GOOD.replace("(2,)", "(2.0,)"), bytes(8)),
    "huge_extent": npy_bytes(GOOD.replace("(2,)", "(99999999999,)"), bytes(8)),
    "extent_past_64_bits": npy_bytes(GOOD.replace("(2,)", "(9" + "9" * 30 + ",)"), bytes(8)),
    "overflow": npy_bytes(GOOD.replace("(2,)", "(2000000000, 2000000000, 2000000000)"), bytes(8)),
    "many_axes": npy_bytes(GOOD.replace("(2,)", "(" + "1," * 5000 + ")"), bytes(8)),
    "truncated": npy_bytes(GOOD, bytes(7)),
    "claims_a_gigabyte": npy_bytes(GOOD.replace("(2,)", "(268435456,)"), bytes(8)),
    "objects": npy_bytes(GOOD.replace("<f4", "|O"), bytes(16)),
    "strings": npy_bytes(GOOD.replace("<f4", "<U1"), bytes(8)),
    "complex256": npy_bytes(GOOD.replace("<f4", "<c32"), bytes(64)),
    "no_dtype": npy_bytes(GOOD.replace("<f4", ""), bytes(8)),
    "structured": npy_bytes(GOOD.replace("'<f4'", "[('a', '<f4')]"), bytes(8)),
    "deep": npy_bytes("{'shape': " + "(" * 30_000),
}


@pytest.mark.parametrize("name", HOSTILE_NPY)
def test_hostile_npy(tmp_path, name):
    (tmp_path / "x.npy").write_bytes(HOSTILE_NPY[name])
    mx.reset_peak_memory()
    before = mx.get_peak_memory()
    with pytest.raises(BROKEN, match=r"\[load"):
        mx.load(str(tmp_path / "x.npy"))
    assert mx.get_peak_memory() - before < 1 << 20


def lying_archive(claimed: int, content: bytes) -> bytes:
    """An archive whose member says that it unpacks to `claimed` bytes."""
    f = io.BytesIO()
    with zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as z:
        z.writestr("a.npy", content)
    raw = f.getvalue()
    true_size = struct.pack("<I", len(content))
    return raw.replace(true_size, struct.pack("<I", claimed))


HOSTILE_NPZ = {
    "empty": b"",
    "not_a_zip": b"PK\3\4" + bytes(50),
    "claims_a_gigabyte": lying_archive(
        1 << 30, npy_bytes(GOOD.replace("(2,)", "(268435424,)"), bytes(8))
    ),
    "claims_less": lying_archive(20, npy_bytes(GOOD, bytes(8))),
    "bad_checksum": lying_archive(
        len(npy_bytes(GOOD, bytes(8))), npy_bytes(GOOD, bytes(8))
    ).replace(struct.pack("<I", zlib.crc32(npy_bytes(GOOD, bytes(8)))), b"abcd"),
}


@pytest.mark.parametrize("name", HOSTILE_NPZ)
def test_hostile_npz(tmp_path, name):
    (tmp_path / "x.npz").write_bytes(HOSTILE_NPZ[name])
    mx.reset_peak_memory()
    before = mx.get_peak_memory()
    with pytest.raises(BROKEN, match=r"\[load"):
        mx.load(str(tmp_path / "x.npz"))
    assert mx.get_peak_memory() - before < 1 << 20


def test_npz_with_odd_members():
    for name, content, method in (
        ("a.txt", b"hello", zipfile.ZIP_STORED),
        ("a.npy", b"hello", zipfile.ZIP_STORED),
        ("a.npy", npy_bytes(GOOD, bytes(8)), zipfile.ZIP_LZMA),
    ):
        f = io.BytesIO()
        with zipfile.ZipFile(f, "w", method) as z:
            z.writestr(name, content)
        with pytest.raises(BROKEN, match=r"\[load"):
            load_bytes(f.getvalue(), "npz")


def test_a_file_that_shrinks_after_loading(tmp_path):
    path = str(tmp_path / "a.npy")
    np.save(path, np.arange(1000))
    a = mx.load(path)
    os.truncate(path, 500)
    with pytest.raises(RuntimeError, match="end"):
        mx.eval(a)


def mutations(raw: bytes, count: int):
    rng = np.random.default_rng(1234)
    for _ in range(count):
        out = bytearray(raw)
        for _ in range(rng.integers(1, 4)):
            kind = rng.integers(0, 4)
            at = int(rng.integers(0, len(out)))
            if kind == 0:
                out[at] = int(rng.integers(0, 256))
            elif kind == 1:
                out[at] ^= 1 << int(rng.integers(0, 8))
            elif kind == 2:
                del out[at : at + int(rng.integers(1, 9))]
            else:
                out[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 9)), dtype=np.uint8))
            if not out:
                break
        yield bytes(out)


@pytest.mark.parametrize("format", ["npy", "npz", "safetensors"])
def test_damaged_files_raise_or_load(format):
    f = io.BytesIO()
    arrays = {"a": mx.array([[1.0, 2.0]]), "bc": mx.array([3, 4, 5], dtype=mx.int16)}
    if format == "npy":
        mx.save(f, arrays["a"])
    elif format == "npz":
        mx.savez_compressed(f, **arrays)
    else:
        mx.save_safetensors(f, arrays, {"k": "v"})
    mx.reset_peak_memory()
    before = mx.get_peak_memory()
    failures = 0
    for raw in mutations(f.getvalue(), 400):
        try:
            load_bytes(raw, format)
        except BROKEN:
            failures += 1
    assert failures > 100
    assert mx.get_peak_memory() - before < 1 << 20


def test_a_model_file_is_read_once_and_in_place(tmp_path):
    """Loading and evaluating takes the memory of the arrays and little more."""
    path = str(tmp_path / "w.safetensors")
    weights = np.zeros((1024, 1024), np.float16)
    mx.save_safetensors(path, {f"w{i}": mx.array(weights) for i in range(8)})
    code = f"""
import mlx.core as mx
w = mx.load({path!r})
mx.eval(w)
size = sum(a.nbytes for a in w.values())
assert size == 8 * 2 << 20, size
assert mx.get_peak_memory() < 1.05 * size, mx.get_peak_memory()
"""
    subprocess.run([sys.executable, "-c", code], check=True)


# ------------------------------------------------------------------ safe saving

SAVERS = {
    "npy": lambda path, a: mx.save(path, a),
    "npz": lambda path, a: mx.savez(path, a=a),
    "safetensors": lambda path, a: mx.save_safetensors(path, {"a": a}),
}


def load_one(path):
    loaded = mx.load(str(path))
    return loaded["a"] if isinstance(loaded, dict) else loaded


@pytest.mark.parametrize("kind", SAVERS)
class TestSafeSaving:
    def test_a_failed_save_leaves_the_old_file(self, kind, tmp_path):
        path = tmp_path / ("w" * 230 + "." + kind)
        SAVERS[kind](path, mx.arange(10))
        old = path.read_bytes()
        code = f"""
            import resource, mlx.core as mx
            big = mx.zeros((1 << 20,)) + 1
            resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, resource.RLIM_INFINITY))
            try:
                {{"npy": lambda: mx.save(p, big), "npz": lambda: mx.savez(p, a=big),
                  "safetensors": lambda: mx.save_safetensors(p, {{"a": big}})}}["{kind}"]()
            except RuntimeError as e:
                print("raised", "File too large" in str(e))
        """
        code = "p = " + repr(str(path)) + textwrap.dedent(code)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.stdout == "raised True\n" and done.stderr == ""
        assert path.read_bytes() == old
        assert os.listdir(tmp_path) == [path.name]

    def test_a_file_that_cannot_be_made_leaves_what_is_there(self, kind, tmp_path):
        path = tmp_path / f"a.{kind}"
        SAVERS[kind](path, mx.arange(10))
        old, values = path.read_bytes(), mx.arange(20)
        mx.eval(values)
        free = os.open(os.devnull, os.O_RDONLY)
        os.close(free)
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (free, limits[1]))  # for root, too
        try:
            with pytest.raises(RuntimeError, match="Failed to open"):
                SAVERS[kind](path, values)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert path.read_bytes() == old
        assert os.listdir(tmp_path) == [path.name]

    def test_mode_and_links_stay(self, kind, tmp_path):
        path, link = tmp_path / f"a.{kind}", tmp_path / f"link.{kind}"
        before = os.umask(0o027)
        try:
            SAVERS[kind](path, mx.arange(3))
        finally:
            os.umask(before)
        assert path.stat().st_mode & 0o777 == 0o640
        path.chmod(0o600)
        link.symlink_to(path.name)
        SAVERS[kind](link, mx.arange(4))
        assert link.is_symlink() and path.stat().st_mode & 0o777 == 0o600
        np.testing.assert_array_equal(np.array(load_one(path)), np.arange(4))
        dangling = tmp_path / f"dangling.{kind}"
        dangling.symlink_to(f"made.{kind}")
        SAVERS[kind](dangling, mx.arange(5))
        assert dangling.is_symlink()
        np.testing.assert_array_equal(np.array(load_one(tmp_path / f"made.{kind}")), np.arange(5))
        loop = tmp_path / f"loop.{kind}"
        loop.symlink_to(loop.name)
        with pytest.raises(RuntimeError, match="Failed to open"):
            SAVERS[kind](loop, mx.arange(5))

    def test_threads_that_save_under_one_name_do_not_mix(self, kind, tmp_path):
        path = tmp_path / f"both.{kind}"
        arrays = [mx.full((1 << 16,), float(i)) for i in range(3)]
        mx.eval(arrays)
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            list(pool.map(lambda i: SAVERS[kind](path, arrays[i % 3]), range(24)))
        values = np.unique(np.array(load_one(path)))
        assert values.size == 1 and os.listdir(tmp_path) == [path.name]

    def test_names_that_are_no_text(self, kind, tmp_path):
        path = os.fsdecode(os.fsencode(str(tmp_path)) + b"/\xff\xfe." + kind.encode())
        SAVERS[kind](path, mx.arange(3))
        np.testing.assert_array_equal(np.array(load_one(path)), np.arange(3))
        with pytest.raises(RuntimeError, match="Failed to open"):
            mx.load(path.replace("\udcff", "\udcfd"))
        for name in ("a\0b", "a\0"):
            with pytest.raises(ValueError, match="null byte"):
                SAVERS[kind](f"{tmp_path}/{name}.{kind}", mx.arange(3))
            with pytest.raises((ValueError, RuntimeError)):
                mx.load(f"{tmp_path}/{name}.{kind}")

    def test_pipes_are_written_as_they_are(self, kind, tmp_path):
        path = tmp_path / f"pipe.{kind}"
        os.mkfifo(path)
        read = []
        reader = threading.Thread(target=lambda: read.append(path.read_bytes()))
        reader.start()
        SAVERS[kind](path, mx.arange(3))
        reader.join()
        copy = tmp_path / f"copy.{kind}"
        copy.write_bytes(read[0])
        np.testing.assert_array_equal(np.array(load_one(copy)), np.arange(3))
