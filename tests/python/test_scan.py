"""Running folds against NumPy: dtypes, layouts, directions, lengths, derivatives, vmap."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
from dtypes import COMPLEX, EVERY
from oracle import (
    EPS,
    FLOATS,
    INTEGERS,
    assert_close,
    check_derivatives,
    check_vmap,
    layouts,
    to_mlx,
    to_numpy,
    values,
)

NUMPY = {
    "cumsum": np.add,
    "cumprod": np.multiply,
    "cummax": np.maximum,
    "cummin": np.minimum,
    "logcumsumexp": np.logaddexp,
}
FLAGS = list(itertools.product([False, True], [True, False]))
NAN, INF = float("nan"), float("inf")


def identity(op, dtype):
    if op in ("cumsum", "cumprod"):
        return op == "cumprod"
    if np.issubdtype(dtype, np.bool_):
        return op == "cummin"
    if np.issubdtype(dtype, np.integer):
        return np.iinfo(dtype).min if op == "cummax" else np.iinfo(dtype).max
    return INF if op == "cummin" else -INF


def scan(op, x, axis, reverse=False, inclusive=True):
    if axis is None:
        x, axis = x.reshape(-1), 0
    x = np.flip(x, axis) if reverse else x
    y = NUMPY[op].accumulate(x, axis, dtype=x.dtype)
    if not inclusive:
        first = np.full_like(y.take([0], axis), identity(op, y.dtype))
        y = np.concatenate([first, y.take(np.arange(y.shape[axis] - 1), axis)], axis)
    return np.flip(y, axis) if reverse else y


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("op", ["cumsum", "cumprod", "cummax", "cummin"])
def test_values(op, name):
    for (a, x), axis, (reverse, inclusive) in itertools.product(
        layouts(name), [None, 0, 1, -1], FLAGS
    ):
        if name in COMPLEX and not inclusive and op in ("cummax", "cummin"):
            continue
        got = getattr(mx, op)(a, axis=axis, reverse=reverse, inclusive=inclusive)
        out = "int32" if name == "bool_" and op == "cumsum" else name
        assert got.dtype == getattr(mx, out)
        x = x.astype("int32") if out == "int32" else x
        with np.errstate(over="ignore"):
            assert_close(got, scan(op, x, axis, reverse, inclusive), out, 20)


@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS])
def test_logcumsumexp(name):
    out = name if name in EPS else "float32"
    for (a, x), axis, (reverse, inclusive) in itertools.product(
        layouts(name), [None, 0, 1, -1], FLAGS
    ):
        got = mx.logcumsumexp(a, axis=axis, reverse=reverse, inclusive=inclusive)
        assert_close(
            got, scan("logcumsumexp", x.astype("float64"), axis, reverse, inclusive), out, 20
        )


@pytest.mark.parametrize("n", [1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 100, 2049, 300_001])
@pytest.mark.parametrize("name", ["float32", "float64", "int32", "int64", "int8", "float16"])
def test_lengths(name, n):
    x = values(name, (2, n))
    if name == "float16":
        x = np.sign(x)  # sums that float16 holds exactly
    a = to_mlx(x, name)
    for reverse, inclusive in FLAGS:
        flags = {"reverse": reverse, "inclusive": inclusive}
        wide = x.astype("float64") if name in EPS else x
        want = scan("cumsum", wide, 1, **flags)
        got = to_numpy(mx.cumsum(a, axis=1, **flags))
        if name in EPS:
            np.testing.assert_allclose(got, want, atol=1e-6 * n if name == "float32" else 1e-9)
        else:
            np.testing.assert_array_equal(got, want)
        got = to_numpy(mx.cummax(a, axis=1, **flags))
        np.testing.assert_array_equal(got, scan("cummax", x, 1, **flags))


@pytest.mark.parametrize(
    "shape", [(50, 3000), (3, 40, 1500), (3000, 2), (20_000, 70), (70_000, 3, 1), (200_001, 1, 1)]
)
def test_columns(shape):
    x = values("float32", shape)
    for reverse, inclusive in FLAGS:
        got = mx.cumsum(mx.array(x), axis=-2, reverse=reverse, inclusive=inclusive)
        want = scan("cumsum", x.astype("float64"), len(shape) - 2, reverse, inclusive)
        np.testing.assert_allclose(to_numpy(got), want, atol=max(1e-3, 1e-7 * x.size))


@pytest.mark.parametrize("n", [4096, 5000, 2_000_000])
@pytest.mark.parametrize("op", NUMPY)
def test_long_rows(op, n):
    """Rows in several parts, aligned and not."""
    for x in (values("float32", (n,)), values("float32", (2, n + 1))):
        x = 1 + x / 1000 if op == "cumprod" else x
        for reverse, inclusive in FLAGS:
            flags = {"axis": -1, "reverse": reverse, "inclusive": inclusive}
            got = to_numpy(getattr(mx, op)(mx.array(x), **flags))
            want = scan(op, x.astype("float64"), **flags)
            np.testing.assert_allclose(got, want, rtol=2e-4, atol=1e-6 * n)


@pytest.mark.parametrize("length", [2049, 2600])
def test_many_long_rows(length):
    x = np.random.randint(-8, 8, (4100, length)).astype("float32")
    for reverse, inclusive in ((False, True), (True, False)):
        flags = {"axis": 1, "reverse": reverse, "inclusive": inclusive}
        np.testing.assert_array_equal(mx.cumsum(mx.array(x), **flags), scan("cumsum", x, **flags))


def test_special_values():
    assert np.isnan(to_numpy(mx.cummax(mx.array([1.0, NAN, 3.0])))).tolist() == [False, True, True]
    long = np.ones((2, 100), "float32")
    long[0, 40] = NAN
    assert np.isnan(to_numpy(mx.cummin(mx.array(long), axis=1))).sum() == 60
    assert mx.logcumsumexp(mx.array([-INF, 2.0, INF, 1.0])).tolist() == [-INF, 2, INF, INF]
    for at in (0, 1, 70):
        long[:] = 1.0
        long[0, at] = NAN
        assert np.isnan(to_numpy(mx.logcumsumexp(mx.array(long), axis=1))).sum() == 100 - at
    assert mx.cumsum(mx.array([100, 100], dtype=mx.int8)).tolist() == [100, -56]
    assert mx.cumsum(mx.array([1, 2, 3]), dtype=mx.float32).dtype == mx.float32
    assert mx.cumprod(mx.array([100, 100], dtype=mx.int8), dtype=mx.int32).tolist() == [100, 10000]
    assert mx.cumprod(mx.array([65535] * 3, dtype=mx.uint16)).tolist() == [65535, 1, 65535]
    assert mx.cumsum(mx.array(3.0)).tolist() == [3]
    assert mx.cumsum(mx.zeros((0, 3)), axis=1).shape == (0, 3)
    with pytest.raises((IndexError, ValueError)):
        mx.cumsum(mx.zeros((2,)), axis=1)


@pytest.mark.parametrize("op", NUMPY)
@pytest.mark.parametrize("reverse,inclusive", FLAGS)
def test_derivatives(op, reverse, inclusive):
    x = np.random.default_rng(5).permutation(12).reshape(3, 4) / 7 - 0.83

    def f(a, axis=0):
        y = getattr(mx, op)(a, axis=axis, reverse=reverse, inclusive=inclusive)
        return mx.where(mx.isinf(y), mx.zeros_like(y), y)

    for axis in (0, 1):
        check_derivatives(lambda a, axis=axis: f(a, axis), x, 1e-5)
        check_derivatives(lambda a, axis=axis: f(a, axis) ** 2, x, 1e-5)


@pytest.mark.parametrize("reverse,inclusive", FLAGS)
@pytest.mark.parametrize("zeros", [[0], [2], [1, 3], [0, 1, 2]])
def test_derivatives_of_cumprod_at_zeros(zeros, reverse, inclusive):
    x = values("float64", (5,)) + 2
    x[zeros] = 0
    check_derivatives(lambda a: mx.cumprod(a, reverse=reverse, inclusive=inclusive), x)


def test_gradients_at_ties():
    def grad(f):
        return mx.grad(lambda a: mx.sum(f(a)))(mx.array([2.0, 2.0, 1.0, 3.0])).tolist()

    assert grad(mx.cummax) == [1, 2, 0, 1]
    assert grad(mx.cummin) == [1, 1, 2, 0]


@pytest.mark.parametrize("op", NUMPY)
def test_vmap(op):
    for axis, (reverse, inclusive) in itertools.product([0, 1], FLAGS):
        flags = {"axis": axis, "reverse": reverse, "inclusive": inclusive}
        check_vmap(lambda a, flags=flags: getattr(mx, op)(a, **flags), (4, 5))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("n", [0, 1, 2, 3, 7])
def test_diff(name, n):
    for (a, x), axis in itertools.product(layouts(name), [0, 1, -1]):
        got = mx.diff(a, n=n, axis=axis)
        assert got.dtype == a.dtype
        assert_close(got, np.diff(x, n=n, axis=axis), name, 8)
    with pytest.raises(ValueError):
        mx.diff(a, n=-1)


def test_logcumsumexp_of_small_values_before_large_ones():
    x = np.array([0.0, 0.0, 0.0, 333.4, 402.8, 169.1, 569.7, 0.0, -40.0, 12.5])
    for n in (3, 5, 7, 10):  # the largest value is at another distance each time
        got = to_numpy(mx.logcumsumexp(mx.array(x[:n], dtype=mx.float64)))
        np.testing.assert_allclose(got, np.logaddexp.accumulate(x[:n]), rtol=4e-15, atol=0)


@pytest.mark.parametrize("reverse, inclusive", FLAGS)
def test_second_derivatives_of_logcumsumexp(reverse, inclusive):
    x = mx.array(np.random.default_rng(5).normal(size=(2, 6)), mx.float64)

    def first(a):
        running = mx.logcumsumexp(a, 1, reverse=reverse, inclusive=inclusive)
        weights = mx.arange(12, dtype=mx.float64).reshape(2, 6) - 5
        return mx.where(mx.isinf(running), 0, running * weights).sum()

    check_derivatives(mx.grad(first), [x])
    check_derivatives(mx.grad(lambda a: mx.square(mx.grad(first)(a)).sum()), [x])
    batched = mx.vmap(mx.grad(lambda row: mx.grad(first)(mx.stack([row, row])).sum()))(x)
    rows = [mx.grad(lambda row: mx.grad(first)(mx.stack([row, row])).sum())(r) for r in x]
    np.testing.assert_allclose(np.array(batched), np.array(mx.stack(rows)), rtol=1e-12)


def test_hessian_of_logcumsumexp_is_finite():
    x = mx.array([1000.0, 0.0, 1001.0])
    jacobian = mx.grad(lambda a: mx.grad(lambda b: mx.logcumsumexp(b)[2])(a)[0])(x)
    p = 1 / (1 + np.e)
    np.testing.assert_allclose(np.array(jacobian), [p * (1 - p), 0, -p * (1 - p)], rtol=1e-3)
