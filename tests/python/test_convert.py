"""Arrays from Python values and foreign memory, and back."""

import contextlib
import copy
import ctypes
import gc
import pickle

import mlx.core as mx
import numpy as np
import pytest

NUMPY_DTYPES = {
    "bool": np.bool_, "uint8": np.uint8, "uint16": np.uint16, "uint32": np.uint32,
    "uint64": np.uint64, "int8": np.int8, "int16": np.int16, "int32": np.int32,
    "int64": np.int64, "float16": np.float16, "float32": np.float32, "float64": np.float64,
    "complex64": np.complex64, "complex128": np.complex128,
}  # fmt: skip
DTYPES = [mx.bool_ if name == "bool" else getattr(mx, name) for name in NUMPY_DTYPES]


def numpy_of(dtype):
    return NUMPY_DTYPES[str(dtype).removeprefix("mlx.core.")]


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, mx.int32), (True, mx.bool_), (1.0, mx.float32), (1j, mx.complex64), (2**31, mx.int64),
        (-(2**31), mx.int32), (-(2**31) - 1, mx.int64), (2**63, mx.uint64), ([], mx.float32),
        ([[], []], mx.float32), ([1, 2.0], mx.float32), ([True, 1], mx.int32),
        ([True, 1.0], mx.float32), ([1, 1j], mx.complex64), ([1, 2**40], mx.int64),
        ((1, (2,))[:1], mx.int32), (np.float64(1.5), mx.float32), (np.int64(1), mx.int64),
        (np.int8(1), mx.int8), (np.bool_(True), mx.bool_), (np.float32(2), mx.float32),
        (np.zeros(2), mx.float32), (np.zeros(2, np.complex128), mx.complex64), (b"ab", mx.uint8),
        (bytearray(b"ab"), mx.uint8), (memoryview(b"ab"), mx.uint8),
        ([np.float32(1.5), np.int64(2)], mx.float32),
    ],
)  # fmt: skip
def test_default_dtypes(value, dtype):
    a = mx.array(value)
    assert a.dtype == dtype
    if not isinstance(value, bytes | bytearray | memoryview):
        np.testing.assert_array_equal(np.array(a), np.array(value))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_both_ways(dtype):
    base = (np.arange(24) % 5).astype(numpy_of(dtype)).reshape(2, 3, 4)
    layouts = [
        base,
        base.T,
        base[:, ::-1],
        base[::2, :, 1:],
        base[0, 0, 0],
        base[:0],
        base.transpose(1, 0, 2),
    ]
    for a in layouts:
        x = mx.array(a, dtype)
        assert x.dtype == dtype and x.shape == a.shape
        for back in (np.array(x), np.asarray(x), x.numpy(), x.__array__()):
            assert back.dtype == numpy_of(dtype)
            np.testing.assert_array_equal(back, a)
        np.testing.assert_array_equal(np.array(x.T), a.T)
        assert x.tolist() == a.tolist()
        np.testing.assert_array_equal(np.from_dlpack(x), a)


@pytest.mark.parametrize("dtype", DTYPES)
def test_explicit_dtype(dtype):
    assert mx.array([0, 1], dtype).dtype == dtype
    assert mx.array(np.zeros(3), dtype).dtype == dtype
    assert mx.array(mx.array([1, 2]), dtype).dtype == dtype
    assert mx.array(1, dtype=dtype).tolist() == numpy_of(dtype)(1)


def test_narrowing():
    assert mx.array(np.zeros(2), mx.float64).dtype == mx.float64
    assert mx.array([-1], mx.uint8).item() == 255
    assert mx.array(1.7, mx.int32).item() == 1
    assert mx.array([2.5 + 1j], mx.float32).item() == 2.5
    wide = np.array([1 / 3 - 2j / 3])
    assert mx.array(wide).dtype == mx.complex64
    assert mx.array(wide, mx.complex128).item() == wide[0] == mx.array([wide[0]], mx.complex128)[0]
    shared = mx.asarray(wide, copy=False)
    assert shared.dtype == mx.complex128 and np.shares_memory(np.array(shared, copy=False), wide)


def test_lists_of_arrays():
    assert mx.array([mx.array(1), mx.array(2)]).tolist() == [1, 2]
    mixed = mx.array([mx.array(1), 2.5])
    assert mixed.tolist() == [1, 2.5] and mixed.dtype == mx.float32
    assert mx.array([mx.array([1, 2]), mx.array([3, 4])]).tolist() == [[1, 2], [3, 4]]
    assert mx.array([[mx.array([1])], [mx.array([3])]]).shape == (2, 1, 1)
    assert mx.array([np.ones(2), np.zeros(2)]).tolist() == [[1, 1], [0, 0]]
    x = mx.array([1.5, 2.5])
    for lists in ([x, [3, 4]], [[3, 4], x], [x, [mx.array(3), 4]]):
        mixed = mx.array(lists)
        assert mixed.dtype == mx.float32 and sorted(mixed.tolist()) == [[1.5, 2.5], [3, 4]]
    assert mx.array([[x, [1, 2]], [[3, 4], x]]).shape == (2, 2, 2)
    for bad in ([x, [1, 2, 3]], [x, 1.0], [1.0, x], [[1, 2], [x]]):
        with pytest.raises(ValueError):
            mx.array(bad)
    grad = mx.grad(lambda x: mx.array([x, 2 * x]).sum())(mx.array(1.0))
    assert grad.item() == 3


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2], [3]], [1, [2]], [[1], 2], [[], [1]], "abc", {}, range(3), object(), ["a"],
        2**64, [mx.zeros((2,)), mx.zeros((3,))], np.array(["a"]), np.array([None]), [[1], "a"],
        np.zeros(2, ">f4"),
    ],
)  # fmt: skip
def test_bad_values(value):
    with pytest.raises((ValueError, TypeError)):
        mx.array(value)


def test_none_is_no_value():
    with pytest.raises(TypeError):
        mx.array(None)


def test_input_is_copied():
    a = np.zeros(3, np.float32)
    x = mx.array(a)
    a[:] = 1
    assert x.tolist() == [0, 0, 0]


def test_memory_outlives_the_array():
    x = mx.arange(4) * 2
    view, array = memoryview(x), x.numpy()
    x += 100
    del x
    assert view.tolist() == [0, 2, 4, 6] and array.tolist() == [0, 2, 4, 6]


def test_buffer_protocol():
    formats = {mx.float32: "f", mx.int32: "i", mx.uint8: "B", mx.float16: "e", mx.bool_: "?"}
    for dtype, letter in formats.items():
        m = memoryview(mx.ones((2, 3), dtype))
        assert m.format == letter and m.shape == (2, 3) and m.contiguous
    assert memoryview(mx.arange(6).reshape(2, 3).T).strides == (4, 12)
    assert bytes(mx.array([[1, 2], [3, 4]], mx.uint8).T) == b"\x01\x03\x02\x04"
    assert memoryview(mx.ones((2,), mx.bfloat16)).format == "bfloat16"


def test_bfloat16():
    x = mx.array([1.5, -2.0], mx.bfloat16)
    assert x.tolist() == [1.5, -2.0] and x[0].item() == 1.5
    with pytest.raises(TypeError):
        x.numpy()
    with pytest.raises((TypeError, ValueError)):
        np.array(x)
    assert np.array(x.astype(mx.float32)).tolist() == [1.5, -2]


def test_torch_tensors():
    torch = pytest.importorskip("torch")
    assert mx.array(torch.ones(2, 3)).shape == (2, 3)
    x = mx.array(torch.tensor([1.5, -2.0], dtype=torch.bfloat16))
    assert x.dtype == mx.bfloat16 and x.tolist() == [1.5, -2.0]


def test_objects_with_protocols():
    class Wrapped:
        def __mlx_array__(self):
            return mx.array([1, 2])

    class WithArray:
        def __array__(self, dtype=None, copy=None):
            return np.array([3, 4], dtype=np.int32)

    assert mx.array(Wrapped()).tolist() == [1, 2] and (mx.array(1) + Wrapped()).tolist() == [2, 3]
    assert mx.array(WithArray()).tolist() == [3, 4]


def test_array_takes_dtype_and_copy():
    x = mx.array([1, 2])
    assert x.__array__(np.float64).dtype == np.float64
    assert np.array(x, dtype=np.int8).dtype == np.int8
    assert not np.shares_memory(x.__array__(copy=True), x.__array__())


@pytest.mark.parametrize("make", [pickle.loads, None])
@pytest.mark.parametrize("dtype", [*DTYPES, mx.bfloat16])
def test_copies(make, dtype):
    x = mx.array([[0, 1, 2], [3, 4, 5]], dtype).T
    for y in (pickle.loads(pickle.dumps(x)), copy.copy(x), copy.deepcopy(x), copy.deepcopy([x])[0]):
        assert y is not x and y.dtype == dtype and y.tolist() == x.tolist()
    y = copy.copy(x)
    y += y
    assert x.tolist() == mx.array([[0, 1, 2], [3, 4, 5]], dtype).T.tolist()


def test_numbers():
    assert isinstance(mx.array(1).item(), int) and isinstance(mx.array([[1.5]]).item(), float)
    assert mx.array(True).item() is True and mx.array(1j).item() == 1j
    assert int(mx.array(1.7)) == 1 and float(mx.array([2])) == 2.0 and complex(mx.array(2)) == 2
    assert [1, 2, 3][mx.array(1)] == 2 and list(range(mx.array(2))) == [0, 1]
    assert bool(mx.array([1])) and not mx.array(0.0)
    for f in (int, float, bool, complex, lambda a: a.item()):
        with pytest.raises(ValueError):
            f(mx.array([1, 2]))
    for bad in (mx.array(1.0), mx.array([1])):
        with pytest.raises(TypeError):
            bad.__index__()


def test_asarray():
    x = mx.array([1, 2])
    assert mx.asarray([1.0, 2.0]).tolist() == [1, 2] and mx.asarray(np.zeros(2)).dtype == mx.float32
    assert mx.asarray(x, dtype=mx.float32).dtype == mx.float32
    y = mx.asarray(x, copy=True)
    y[0] = 9
    assert x.tolist() == [1, 2]


def test_unsigned_64_bit_ints_of_a_mixed_list():
    values = [0, 2**64 - 1, 7]
    assert mx.array(values, dtype=mx.uint64).tolist() == values


# ------------------------------------------------------------------ what others hand over

RAW = np.array([0, 1, 2, 3, 255, 128] * 11, np.uint8)


@pytest.mark.parametrize(
    "make",
    [
        lambda: mx.array(RAW).view(mx.bool_),
        lambda: mx.array(RAW.view(np.bool_)),
        lambda: mx.array(RAW.view(np.bool_)[::-1])[::-1],
        lambda: mx.array(memoryview(RAW.view(np.bool_))),
        lambda: mx.array(RAW).reshape(6, 11).view(mx.bool_).reshape(-1),
    ],
)
def test_bools_of_other_bytes_are_true(make):
    want = RAW != 0
    b = make()
    np.testing.assert_array_equal(np.array(b).view(np.uint8), want)
    assert mx.sum(b).item() == want.sum()
    np.testing.assert_array_equal(np.array(b == mx.array(want)), True)
    np.testing.assert_array_equal(np.array(~b), ~want)
    np.testing.assert_array_equal(np.array(mx.where(b, 7, 9)), np.where(want, 7, 9))


class BigTensor:
    """A DLPack tensor of 2^32 + 2 elements, without memory for them."""

    def __init__(self):
        self.a = np.lib.stride_tricks.as_strided(np.zeros(1, np.int8), (2**32 + 2,), (0,))

    def __dlpack__(self, **kwargs):
        return self.a.__dlpack__()

    def __dlpack_device__(self):
        return self.a.__dlpack_device__()


def test_extents_past_31_bits_are_refused():
    with pytest.raises(ValueError, match="out of range"):
        mx.array(BigTensor())
    with pytest.raises(ValueError, match="out of range"):
        mx.array(BigTensor().a)


class Forgetful(mx.array):
    def __init__(self):
        pass


@pytest.mark.parametrize(
    "use",
    [
        mx.eval,
        lambda x: x + 1,
        lambda x: mx.array([x]),
        memoryview,
        lambda x: mx.concatenate([x, x]),
        str,
        lambda x: mx.ones(3)[x],
        lambda x: mx.compile(lambda v: v)(x),
        lambda x: mx.issubdtype(x, mx.floating),
        lambda x: mx.save_safetensors("never.safetensors", {"a": x}),
    ],
)
@pytest.mark.parametrize("make", [lambda: mx.array.__new__(mx.array), Forgetful])
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_array_without_a_value_is_an_error(use, make):
    with pytest.raises((ValueError, TypeError, BufferError)):
        use(make())


class Shrinking:
    """Converts to NumPy, and empties the list that it is in."""

    def __init__(self, holder):
        self.holder = holder

    def __array__(self, *args, **kwargs):
        self.holder.clear()
        return np.array(1.0)


def test_containers_that_change_while_they_are_read():
    holder: list = []
    holder += [float(i) for i in range(50)] + [Shrinking(holder)] + [1.5] * 50
    with pytest.raises(ValueError, match="changed its length"):
        mx.array(holder)
    endless: list = [1.0]
    endless.append(endless)
    with pytest.raises(ValueError):
        mx.array(endless)


class Clearing:
    """An int that empties the list that it is in when it is asked for its value."""

    def __init__(self, holder):
        self.holder = holder

    def __index__(self):
        self.holder.clear()
        gc.collect()
        return 1


def clearing(*rest):
    holder: list = []
    holder += [Clearing(holder), *rest]
    return holder


@pytest.mark.parametrize(
    "use",
    [
        lambda ints: mx.zeros(ints),
        lambda ints: mx.ones((2, 2, 2, 2)).sum(axis=ints),
        lambda ints: mx.tile(mx.ones(2), ints),
        lambda ints: mx.reshape(mx.ones(24), ints),
        lambda ints: mx.ones((2, 2, 2, 2)).transpose(ints),
        lambda ints: mx.split(mx.ones(9), ints),
        lambda ints: mx.pad(mx.ones((2, 2)), ints),
        lambda ints: mx.pad(mx.ones((2, 2)), [ints, ints]),
        lambda ints: mx.as_strided(mx.ones(24), ints, ints),
        lambda ints: mx.roll(mx.ones((2, 2)), ints, ints),
        lambda ints: mx.conv_general(mx.ones((1, 4, 4, 1)), mx.ones((1, 2, 2, 1)), ints),
        lambda ints: mx.fft.fftn(mx.ones((4, 4, 4)), s=ints, axes=ints),
        lambda ints: mx.tensordot(mx.ones((2, 2)), mx.ones((2, 2)), [ints, ints]),
        lambda ints: mx.expand_dims(mx.ones(2), ints),
        lambda ints: mx.unflatten(mx.ones(24), 0, ints),
        lambda ints: mx.random.normal(ints),
        lambda ints: mx.linalg.norm(mx.ones((2, 2)), axis=ints),
        lambda ints: mx.grad(lambda *x: x[0], argnums=ints)(*mx.ones(4)),
        lambda ints: mx.vmap(lambda *x: x[0], in_axes=ints)(*mx.ones((4, 2, 2))),
        lambda ints: mx.einsum_path("ij,jk->ik", mx.ones((2, 2)), ints),
        lambda ints: mx.ones((2, 2, 2))[ints],
        lambda ints: mx.slice_update(mx.ones(4), mx.ones(1), mx.array([0]), axes=ints),
    ],
)
def test_ints_of_a_list_that_changes_while_they_are_read(use):
    for rest in ((), (1, 2, 3), (Clearing([]), 2, 1), (1,) * 100):
        # Whatever it makes of them, it goes on.
        with contextlib.suppress(TypeError, ValueError, IndexError, RuntimeError):
            mx.eval(use(clearing(*rest)))


def test_pairs_of_a_list_that_changes_while_they_are_read():
    class Pair:
        def __init__(self, holder):
            self.holder = holder

        def __len__(self):
            return 2

        def __getitem__(self, i):
            self.holder.clear()
            gc.collect()
            if i > 1:
                raise IndexError
            return ("T", mx.float32)[i]

    holder: list = []
    holder += [Pair(holder), ("U", 3), ("V", True)]
    for use in (
        lambda: mx.fast.metal_kernel("k", ["a"], ["b"], "")(
            inputs=[mx.ones(2)],
            template=holder,
            output_shapes=[(2,)],
            output_dtypes=[mx.float32],
            grid=(1, 1, 1),
            threadgroup=(1, 1, 1),
        ),
        lambda: mx.pad(mx.ones((2, 2)), holder),
    ):
        with pytest.raises((TypeError, ValueError, RuntimeError)):
            use()


@pytest.mark.parametrize("kind", [ctypes.c_int32, ctypes.c_float, ctypes.c_int8, ctypes.c_bool])
def test_memory_whose_owner_gives_no_strides(kind):
    row = (kind * 3)(1, 0, 1)
    assert mx.array(row).tolist() == list(row)
    table = ((kind * 3) * 2)(row, row)
    assert mx.array(table).tolist() == [list(row)] * 2
    assert mx.array(((kind * 0) * 2)()).shape == (2, 0)
    assert mx.asarray(row, copy=False).tolist() == list(row)


def test_values_that_are_no_arrays():
    for value in (np.datetime64("2020"), np.timedelta64(1, "s"), np.array(["2020"], "M8[D]")):
        with pytest.raises(ValueError):
            mx.array(value)
    with pytest.raises(ValueError, match="no dtype here"):
        mx.array((ctypes.c_longdouble * 2)())


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("kind", [mx.Stream, mx.ThreadLocalStream, mx.Device, mx.Dtype])
def test_objects_without_a_value_are_nowhere_taken(kind):
    raw = kind.__new__(kind)
    for use in (
        lambda: mx.add(1, 2, stream=raw),
        lambda: mx.new_stream(raw),
        lambda: mx.stream(raw),
        lambda: mx.set_default_device(raw),
        lambda: mx.set_default_stream(raw),
        lambda: mx.ones(2, dtype=raw),
        lambda: mx.issubdtype(raw, mx.floating),
        lambda: mx.array([1], raw),
        lambda: mx.synchronize(raw),
        lambda: mx.compile(lambda x, c: x)(mx.ones(1), raw),
        lambda: raw.__enter__(),
        lambda: hash(raw),
        lambda: repr(raw),
        lambda: pickle.dumps(raw),
    ):
        with pytest.raises((TypeError, ValueError, AttributeError, pickle.PicklingError)):
            use()
    assert mx.float32 != raw and mx.default_device() != raw
    assert mx.default_stream(mx.cpu) != raw


class Tensor(ctypes.Structure):
    """DLPack's struct of a tensor, and its manager behind it."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device", ctypes.c_int32 * 2),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        ("manager", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class HandMade:
    """Two elements of any type, given by DLPack."""

    def __init__(self, code, bits, lanes=1):
        self.memory = np.arange(64, dtype=np.uint8)
        self.shape = (ctypes.c_int64 * 1)(2)
        self.tensor = Tensor(self.memory.ctypes.data, (1, 0), 1, code, bits, lanes, self.shape)

    def __dlpack__(self, **kwargs):
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = (
            ctypes.py_object,
            [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p],
        )
        return new(ctypes.addressof(self.tensor), b"dltensor", None)

    def __dlpack_device__(self):
        return (1, 0)


def test_elements_of_odd_sizes_are_refused():
    made = HandMade(1, 16)  # DLPack's codes: int, uint, float, opaque, bfloat, complex, bool
    assert mx.array(made).tolist() == [0x100, 0x302]
    for code in range(8):
        for bits in (0, 1, 4, 8, 12, 24, 40, 48, 56, 128, 248):
            if (code, bits) not in ((0, 8), (1, 8), (6, 8), (5, 128)):
                with pytest.raises(ValueError):
                    mx.array(HandMade(code, bits))
    for lanes in (0, 2, 65535):
        with pytest.raises(ValueError):
            mx.array(HandMade(0, 8, lanes))
