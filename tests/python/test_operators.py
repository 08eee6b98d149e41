"""Operators: results against NumPy, weak Python numbers against a written table, in-place forms."""

import operator

import mlx.core as mx
import numpy as np
import pytest

BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow"]
COMPARE = ["eq", "ne", "lt", "le", "gt", "ge"]

# dtype of `array <op> number`, by the array's dtype and the number's: bool, int, float, complex
WEAK = {
    "bool_": ("bool_", "int32", "float32", "complex64"),
    "uint8": ("uint8", "uint8", "float32", "complex64"),
    "uint16": ("uint16", "uint16", "float32", "complex64"),
    "uint32": ("uint32", "uint32", "float32", "complex64"),
    "uint64": ("uint64", "uint64", "float32", "complex64"),
    "int8": ("int8", "int8", "float32", "complex64"),
    "int16": ("int16", "int16", "float32", "complex64"),
    "int32": ("int32", "int32", "float32", "complex64"),
    "int64": ("int64", "int64", "float32", "complex64"),
    "float16": ("float16", "float16", "float16", "complex64"),
    "bfloat16": ("bfloat16", "bfloat16", "bfloat16", "complex64"),
    "float32": ("float32", "float32", "float32", "complex64"),
    "float64": ("float64", "float64", "float64", "complex128"),
    "complex64": ("complex64", "complex64", "complex64", "complex64"),
    "complex128": ("complex128", "complex128", "complex128", "complex128"),
}


@pytest.mark.parametrize("name", WEAK)
def test_weak_numbers(name):
    x = mx.array([0, 1], getattr(mx, name))
    for number, dtype in zip((True, 1, 1.0, 1j), WEAK[name], strict=True):
        want = getattr(mx, dtype)
        results = (x + number, number + x, mx.add(x, number), mx.multiply(number, x))
        assert [r.dtype for r in results] == [want] * 4, number
        assert mx.where(x == 0, x, number).dtype == want
        assert (x == number).dtype == mx.bool_


def test_numpy_scalars_and_arrays_are_weak():
    h, i = mx.ones((2,), mx.float16), mx.ones((2,), mx.int32)
    for value in (np.float32(1), np.float64(1), np.int64(1), np.zeros(2), np.zeros(2, np.int8)):
        assert (h + value).dtype == mx.float16
    assert (i + np.float32(1.5)).tolist() == [2.5, 2.5]
    assert (i + np.int64(5)).dtype == mx.int32


def test_two_numbers():
    assert mx.add(1, 2).dtype == mx.int32 and mx.add(1, 2.0).dtype == mx.float32
    assert mx.add(2**40, 1).item() == 2**40 + 1 and mx.maximum(True, False).dtype == mx.bool_


@pytest.mark.parametrize(
    ("dtype", "number"),
    [("uint8", 300), ("uint8", -1), ("int32", 2**31), ("bool_", 2**40), ("uint64", -1)],
)
def test_ints_that_do_not_fit(dtype, number):
    x = mx.ones((2,), getattr(mx, dtype))
    for f in (
        lambda: x + number,
        lambda: number + x,
        lambda: x - number,
        lambda: mx.maximum(x, number),
    ):
        with pytest.raises(ValueError):
            f()


def test_large_ints_beside_wide_dtypes():
    assert (mx.array([1.0]) * 2**40).item() == 2.0**40
    assert (mx.array([1], mx.int64) + 2**40).item() == 2**40 + 1
    assert (mx.array([0], mx.uint64) + (2**64 - 1)).item() == 2**64 - 1
    assert (mx.array([1], mx.float64) * (2**53 + 1)).item() == float(2**53 + 1)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_arithmetic(name, dtype):
    op = getattr(operator, name)
    a = np.array([[1, 2, 3], [4, 5, 6]], dtype)
    b = np.array([3, 2, 1], dtype)
    with np.errstate(all="ignore"):
        pairs = [(a, b), (b, a)]
        for x, y in pairs:
            np.testing.assert_allclose(np.array(op(mx.array(x), mx.array(y))), op(x, y), rtol=1e-6)
        for number in (2, 3):
            np.testing.assert_allclose(np.array(op(mx.array(a), number)), op(a, number), rtol=1e-6)
            np.testing.assert_allclose(np.array(op(number, mx.array(a))), op(number, a), rtol=1e-6)


@pytest.mark.parametrize("name", COMPARE)
def test_comparisons(name):
    op = getattr(operator, name)
    a, b = np.array([1.0, 2.0, np.nan], np.float32), np.array([2.0, 2.0, np.nan], np.float32)
    np.testing.assert_array_equal(np.array(op(mx.array(a), mx.array(b))), op(a, b))
    np.testing.assert_array_equal(np.array(op(mx.array(a), 1.5)), op(a, 1.5))
    np.testing.assert_array_equal(np.array(op(1.5, mx.array(a))), op(1.5, a))


def test_bits():
    a, b = np.array([1, 6, 12], np.int32), np.array([3, 5, 2], np.int32)
    x, y = mx.array(a), mx.array(b)
    for name in ("and_", "or_", "xor", "lshift", "rshift"):
        op = getattr(operator, name)
        np.testing.assert_array_equal(np.array(op(x, y)), op(a, b))
        np.testing.assert_array_equal(np.array(op(x, 2)), op(a, 2))
        np.testing.assert_array_equal(np.array(op(2, x)), op(2, a))
    np.testing.assert_array_equal(np.array(~x), ~a)
    assert (~mx.array([True, False])).tolist() == [False, True]
    for f in (lambda: mx.array([1.0]) & 1, lambda: ~mx.array([1.0])):
        with pytest.raises(ValueError):
            f()


def test_unary():
    x = mx.array([-1, 2])
    assert (-x).tolist() == [1, -2] and (+x).tolist() == [-1, 2] and abs(x).tolist() == [1, 2]
    q, r = divmod(x, 2)
    assert q.tolist() == [-1, 1] and r.tolist() == [1, 0]
    assert [v.tolist() for v in divmod(5, mx.array([2, 3]))] == [[2, 1], [1, 2]]
    with pytest.raises(ValueError):
        -mx.array([True])


IN_PLACE = [
    "iadd",
    "isub",
    "imul",
    "ifloordiv",
    "imod",
    "ipow",
    "iand",
    "ior",
    "ixor",
    "ilshift",
    "irshift",
]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_changes_the_object(name):
    op = getattr(operator, name)
    a = np.array([5, 6, 7], np.int32)
    x = mx.array(a)
    alias, derived = x, x + 0
    assert op(x, 2) is x and alias is x
    want = op(a.copy(), np.int32(2))
    np.testing.assert_array_equal(np.array(alias), want)
    assert derived.tolist() == [5, 6, 7]


def test_in_place_forms():
    x = mx.array([1, 2])
    x += 1.5
    assert x.dtype == mx.float32 and x.tolist() == [2.5, 3.5]
    x /= 2
    assert x.tolist() == [1.25, 1.75]
    with pytest.raises(ValueError):
        y = mx.array([1, 2])
        y /= 2
    m = mx.eye(2)
    m @= mx.ones((2, 2))
    assert m.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize("other", [None, "text", object(), [1, 2], {}])
def test_other_types(other):
    x = mx.array([1, 2])
    assert (x == other) is False and (x != other) is True
    for f in (operator.add, operator.mul, operator.matmul, operator.lt, operator.and_):
        with pytest.raises((TypeError, ValueError)):
            f(x, other)


def test_reflected_operators_of_other_types_get_their_turn():
    class Other:
        def __radd__(self, x):
            return "other"

        def __eq__(self, x):
            return "equal"

        __hash__ = None

    assert mx.array(1) + Other() == "other" and (mx.array(1) == Other()) == "equal"


def test_hash_and_identity():
    x = mx.array([1, 2])
    table = {x: 1}
    assert table[x] == 1 and hash(x) == hash(x) and x in [x]


def test_chain_of_constants_is_right():
    x = mx.array(0.0)
    for k in range(300):
        x = x + float(k % 7) - (k % 3)
    assert x.item() == sum(k % 7 - k % 3 for k in range(300))
    assert (mx.array([0.0]) * -0.0).tolist() == [0.0]
    assert str(mx.array([1.0]) * -0.0) == "array([-0], dtype=float32)"


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_xor"])
@pytest.mark.parametrize("number", [300, -1, 0, 2**70, True, 0.0, 0.5])
def test_truth_of_numbers_of_any_size(name, number):
    x, f = mx.array([0, 1, 255], mx.uint8), getattr(mx, name)
    want = getattr(np, name)(np.array([False, True, True]), bool(number))
    for got in (f(x, number), f(number, x)):
        assert got.dtype == mx.bool_ and got.tolist() == want.tolist()


@pytest.mark.parametrize("number", [300, -1, 2**40, -(2**70), 2**70])
@pytest.mark.parametrize("name", COMPARE)
def test_comparisons_with_ints_beyond_the_dtype(name, number):
    op = getattr(operator, name)
    for values in ([0, 7, 255], []):
        x, exact = mx.array(values, mx.uint8), np.array(values, object)
        want = [bool(op(v, number)) for v in exact]
        assert op(x, number).tolist() == want
        assert op(number, x).tolist() == [bool(op(number, v)) for v in exact]
    function = {"eq": "equal", "ne": "not_equal", "lt": "less", "gt": "greater"}.get(name)
    if function:
        got = getattr(mx, function)(number, x)
        assert got.dtype == mx.bool_ and got.shape == x.shape
    grid = mx.zeros((2, 3), mx.int64)
    assert mx.vmap(lambda row: op(row, 2**70))(grid).tolist() == [[bool(op(0, 1))] * 3] * 2
