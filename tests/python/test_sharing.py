"""Memory shared with others: taken when asked for, lent as strided views, let go with large parents."""

import gc
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest

BASE = np.arange(24, dtype="f4").reshape(2, 3, 4)


def views():
    base = BASE.copy()
    return [base, base.T, base[:, ::2], base[::-1, :, 1:], base[1], base[0, 0, 0:0], base[:, :, 2]]


@pytest.mark.parametrize("index", range(len(views())))
def test_numpy_memory_is_shared_when_asked_for(index):
    source = views()[index]
    x = mx.asarray(source, copy=False)
    assert x.shape == source.shape and x.dtype == mx.float32
    source += 100
    np.testing.assert_array_equal(np.array(x), source)
    np.testing.assert_array_equal(np.array(x * 2), source * 2)
    kept = mx.asarray(source)
    before = source.copy()
    source += 1
    np.testing.assert_array_equal(np.array(kept), before)


def test_arrays_never_write_to_shared_memory():
    source = BASE.copy()
    for f in (lambda x: x + 1, mx.sort, mx.exp, lambda x: x.at[0].add(5)):
        mx.eval(f(mx.asarray(source, copy=False)))
    x = mx.asarray(source, copy=False)
    x += 1
    x[0] = 7
    mx.eval(x)
    np.testing.assert_array_equal(source, BASE)


@pytest.mark.parametrize("dtype", ["u1", "i2", "i8", "f2", "f8", "c8", "?"])
def test_shared_dtypes(dtype):
    source = np.ones((3, 2), dtype)
    assert mx.asarray(source, copy=False).tolist() == source.tolist()
    assert mx.from_dlpack(source, copy=False).tolist() == source.tolist()
    assert mx.asarray(memoryview(source)[1:], copy=False).tolist() == source[1:].tolist()


def test_memory_lives_as_long_as_an_array_uses_it():
    x = mx.asarray(np.arange(1 << 16, dtype="i4"), copy=False)
    part = x[5:8]
    del x
    gc.collect()
    assert part.tolist() == [5, 6, 7]
    resized = bytearray(16)
    y = mx.asarray(resized, copy=False)
    with pytest.raises(BufferError):
        resized.extend(b"1")
    del y
    gc.collect()
    resized.extend(b"1")


def unaligned():
    return np.frombuffer(bytearray(9), "u1")[1:].view("f4")


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1.5, None), ([1, 2], None), (BASE, mx.int32), (np.ones(2, "c16"), mx.complex64),
        (np.broadcast_to(np.ones(3, "f4"), (2, 3)), None), (np.frombuffer(b"12345678", "f4"), None),
        (unaligned(), None), (mx.ones((2,)), mx.int32), (np.ones(2, ">f4"), None),
    ],
)  # fmt: skip
def test_what_cannot_be_shared_raises(value, dtype):
    with pytest.raises(ValueError, match=r"copy=False|Big-endian"):
        mx.asarray(value, dtype=dtype, copy=False)


def test_an_array_is_itself_without_a_copy():
    x = mx.ones((3,))
    y = mx.asarray(x, dtype=mx.float32, copy=False)
    assert y.tolist() == x.tolist()
    assert mx.from_dlpack(x, copy=False).tolist() == x.tolist()


# ------------------------------------------------------------------ views of our own arrays


def test_strided_views():
    x = mx.arange(10)
    half = x[::2]
    view = memoryview(half)
    assert view.strides == (8,) and view.tolist() == [0, 2, 4, 6, 8]
    assert np.asarray(x.reshape(2, 5).T).strides == (4, 20)
    assert mx.array(memoryview(np.arange(9.0, dtype="f4"))[::3]).tolist() == [0, 3, 6]


def test_broadcasts_are_lent_without_a_copy():
    x = mx.broadcast_to(mx.array([1.0, 2.0, 3.0]), (4, 3))
    for view in (np.asarray(x), np.from_dlpack(x), x.numpy(), np.array(x, copy=False)):
        assert view.strides == (0, 4) and not view.flags.writeable
        np.testing.assert_array_equal(view, np.broadcast_to([1, 2, 3], (4, 3)))
    assert memoryview(x).readonly and np.array(x).flags.writeable


@pytest.mark.parametrize("make", [mx.zeros, mx.ones, lambda s: mx.full(s, 3.0)])
def test_constants_can_be_written_to(make):
    view = np.asarray(make((3, 2)))
    view[0, 0] = 9
    assert view.sum() == 9 + 5 * view[1, 1] and view.strides == (8, 4)
    assert np.from_dlpack(make((3, 2))).strides == (8, 4)


@pytest.mark.skipif(mx.default_device() != mx.cpu, reason="counts the memory of the host")
@pytest.mark.parametrize(
    "part",
    [
        lambda a: mx.contiguous(a[:10]), lambda a: mx.array(a[:10]), lambda a: mx.array(a[5]),
        lambda a: mx.asarray(a[:10], copy=True), lambda a: mx.contiguous(a.reshape(1024, -1)[:, :3]),
    ],
)  # fmt: skip
def test_a_part_lets_the_whole_go(part):
    code_size = 1 << 22
    before = mx.get_active_memory()
    a = mx.zeros((code_size // 4,)) + 1
    mx.eval(a)
    kept = part(a)
    mx.eval(kept)
    del a
    gc.collect()
    assert mx.get_active_memory() - before < code_size // 8
    del kept


def test_views_of_what_is_traced_raise():
    with pytest.raises(ValueError, match="eval"):
        mx.compile(lambda a: (np.asarray(a), a)[1])(mx.ones((2,)))


def test_shared_memory_at_the_end_of_the_process():
    code = """
import mlx.core as mx, numpy as np
x = mx.asarray(np.ones(1000, 'f4'), copy=False)
y = x + 1
mx.async_eval(y)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
