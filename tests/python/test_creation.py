"""Creation ops against NumPy."""

import mlx.core as mx
import numpy as np
import pytest
from layouts import DTYPES, check_grad, check_same, check_vmap, to_numpy

NUMERIC = [d for d in DTYPES if d != "bool_"]


@pytest.mark.parametrize("dtype", NUMERIC)
def test_arange_in_every_dtype(dtype):
    for start, stop, step in [(0, 7, 1), (3, 50, 4), (9, 1, -2), (5, 5, 1), (5, 1, 1)]:
        a = mx.arange(start, stop, step, dtype=getattr(mx, dtype))
        assert a.dtype == getattr(mx, dtype)
        check_same(a, np.arange(start, stop, step))


def test_arange_chooses_its_dtype():
    assert mx.arange(3).dtype == mx.int32
    assert mx.arange(3.0).dtype == mx.float32
    assert mx.arange(0, 1, 0.25).dtype == mx.float32
    assert mx.arange(0, 1, 0.25).tolist() == [0.0, 0.25, 0.5, 0.75]
    assert mx.arange(3.5, dtype=mx.int32).tolist() == [0, 1, 2, 3]
    assert mx.arange(0, 5, 1.7, dtype=mx.int32).tolist() == [0, 1, 2]
    assert mx.arange(-3, 3, dtype=mx.uint8).tolist() == [253, 254, 255, 0, 1, 2]


def test_arange_in_endless_steps():
    for start, stop, step in [(2, 5, np.inf), (5, 2, np.inf), (2, 5, -np.inf), (5, 2, -np.inf)]:
        check_same(mx.arange(start, stop, step), np.arange(start, stop, step))


def test_arange_does_not_add_up_errors():
    n = np.arange(0, 1000, 0.1)
    np.testing.assert_array_equal(np.array(mx.arange(0, 1000, 0.1)), n.astype(np.float32))
    np.testing.assert_array_equal(np.array(mx.arange(0, 1000, 0.1, dtype=mx.float64)), n)
    half = mx.arange(0, 3, 0.1, dtype=mx.float16)
    np.testing.assert_array_equal(np.array(half), np.arange(0, 3, 0.1).astype(np.float16))


def test_arange_of_large_integers():
    big = 2**53
    assert mx.arange(3_000_000_000, 3_000_000_003, dtype=mx.int64).tolist() == [
        3_000_000_000 + i for i in range(3)
    ]
    assert mx.arange(big - 4, big, 2, dtype=mx.int64).tolist() == [big - 4, big - 2]
    assert mx.arange(100_000, dtype=mx.int32)[-1].item() == 99_999


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.arange(1, 5, 0),
        lambda: mx.arange(float("nan")),
        lambda: mx.arange(float("inf")),
        lambda: mx.arange(0, 1, 1e-12),
        lambda: mx.arange(1e30),
        lambda: mx.arange(3, dtype=mx.bool_),
        lambda: mx.linspace(0, 1, -1),
        lambda: mx.zeros((-2,)),
        lambda: mx.full((-1, 2), 3),
        lambda: mx.full((2, 2), mx.array([1, 2, 3])),
        lambda: mx.ones((2**31 - 1, 2**31 - 1, 2**31 - 1)),
        lambda: mx.eye(-1),
        lambda: mx.eye(3, -1),
    ],
)
def test_wrong_arguments_raise(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize("num", [0, 1, 2, 7, 50, 1001])
@pytest.mark.parametrize("endpoint", [True, False])
def test_linspace(num, endpoint):
    for start, stop in [(0, 1), (-3.5, 12.25), (5, 5), (1, -1)]:
        want = np.linspace(start, stop, num, endpoint=endpoint)
        got = np.array(mx.linspace(start, stop, num, endpoint=endpoint))
        np.testing.assert_allclose(got, want, rtol=1e-7, atol=1e-7)
        exact = np.array(mx.linspace(start, stop, num, endpoint=endpoint, dtype=mx.float64))
        np.testing.assert_allclose(exact, want, rtol=1e-15, atol=1e-15)
        if num > 1 and endpoint:
            assert got[0] == start and got[-1] == stop


def test_linspace_dtypes():
    assert mx.linspace(0, 10, 5, dtype=mx.int32).tolist() == [0, 2, 5, 7, 10]
    assert mx.linspace(0, 1, 5, dtype=mx.float16).dtype == mx.float16
    assert mx.linspace(0, 1).shape == (50,)


@pytest.mark.parametrize("dtype", DTYPES)
def test_constants_in_every_dtype(dtype):
    t = getattr(mx, dtype)
    for shape in [(), (3,), (2, 0), (2, 3, 4)]:
        for a, value in [(mx.zeros(shape, dtype=t), 0), (mx.ones(shape, dtype=t), 1)]:
            assert a.dtype == t
            check_same(a, np.full(shape, value))
        like = mx.zeros(shape, dtype=t)
        check_same(mx.ones_like(like), np.ones(shape))
        assert mx.zeros_like(like).dtype == t
        check_same(mx.full(shape, mx.array(1, dtype=t)), np.ones(shape))


def test_full():
    check_same(mx.full((2, 2), mx.array([1, 2])), [[1, 2], [1, 2]])
    check_same(mx.full(3, 2.5), [2.5, 2.5, 2.5])
    assert mx.full((2,), True).dtype == mx.bool_
    assert mx.full((2,), 3).dtype == mx.int32
    check_same(mx.full_like(mx.zeros(2, dtype=mx.int32), 3.5), [3, 3])
    assert mx.full_like(mx.zeros(2), 1, dtype=mx.float16).dtype == mx.float16
    check_grad(lambda x: mx.full((2, 3), x) ** 2, mx.array(2.0))
    check_vmap(lambda x: mx.full((2, 3), x), mx.arange(3.0))


def test_constants_take_no_memory_until_written():
    before = mx.get_active_memory()
    a = mx.zeros((1 << 14, 1 << 14))
    mx.eval(a)
    assert mx.get_active_memory() - before < 1 << 20
    b = mx.zeros((3, 4))
    b[1, 2] = 5
    assert b.tolist() == [[0, 0, 0, 0], [0, 0, 5, 0], [0, 0, 0, 0]]


def test_eye_and_tri():
    for n, m in [(3, 3), (3, 5), (5, 3), (0, 2), (1, 1)]:
        for k in (-7, -1, 0, 2, 9):
            check_same(mx.eye(n, m, k), np.eye(n, m, k))
            check_same(mx.tri(n, m, k), np.tri(n, m, k))
    check_same(mx.identity(3), np.identity(3))
    assert mx.eye(2, dtype=mx.bool_).tolist() == [[True, False], [False, True]]
    assert mx.tri(2, dtype=mx.int8).dtype == mx.int8
    check_same(mx.eye(3, 3, 2**31 - 1), np.zeros((3, 3)))
    check_same(mx.eye(3, 3, -(2**31)), np.zeros((3, 3)))
    check_same(mx.triu(mx.ones((2, 2)), -(2**31)), np.ones((2, 2)))


def test_diag_and_trace():
    n = np.arange(12.0).reshape(3, 4)
    a = mx.array(n)
    for k in (-5, -1, 0, 1, 3, 6):
        check_same(mx.diag(a, k), np.diag(n, k))
        check_same(mx.diag(a[0], k), np.diag(n[0], k))
        check_same(mx.diag(a[0, :0], k), np.diag(n[0, :0], k))
        check_same(mx.trace(a, k), np.trace(n, k))
    cube = np.arange(24.0).reshape(2, 3, 4)
    check_same(mx.trace(mx.array(cube), 1, -1, 0), np.trace(cube, 1, -1, 0))
    assert mx.trace(mx.ones((2, 2), dtype=mx.bool_)).item() == 2
    assert mx.trace(mx.ones((2, 2), dtype=mx.int8)).dtype == mx.int32
    assert mx.trace(a, dtype=mx.float16).dtype == mx.float16
    check_grad(lambda x: mx.diag(x, 1) ** 2, mx.array([1.0, 2.0]))
    assert mx.grad(lambda x: mx.diagonal(x).sum())(mx.zeros((0, 5))).shape == (0, 5)
    check_grad(lambda x: mx.trace(x * x), mx.array(n.astype(np.float32)) / 10)
    check_vmap(lambda x: mx.diag(x, -1), mx.arange(6.0).reshape(2, 3))


@pytest.mark.parametrize("name", ["hanning", "hamming", "bartlett", "blackman"])
def test_windows(name):
    for m in (-1, 0, 1, 2, 3, 8, 513):
        got = to_numpy(getattr(mx, name)(m))
        np.testing.assert_allclose(got, getattr(np, name)(m), rtol=1e-6, atol=1e-7)
        assert got.dtype == np.float32


def test_fill_values_that_do_not_fit():
    for make in (
        lambda v, t: mx.full((2,), v, t),
        lambda v, t: mx.full_like(mx.zeros((2,), t), v),
        lambda v, t: mx.full_like(mx.zeros((2,)), v, t),
    ):
        for value, dtype in [
            (300, mx.uint8),
            (-1, mx.uint64),
            (2**31, mx.int32),
            (2**64, mx.uint64),
        ]:
            with pytest.raises(ValueError, match="would result in overflow"):
                make(value, dtype)
        assert make(2**63, mx.uint64).tolist() == [2**63] * 2
