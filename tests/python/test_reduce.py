"""Reductions against NumPy: every dtype, layout and choice of axes, edge values, derivatives."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
from dtypes import COMPLEX, EVERY, real_of
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

AXES = [None, 0, 1, 2, -1, (0, 1), (0, 2), (1, 2), (0, 1, 2), ()]
NAN, INF = float("nan"), float("inf")


def sum_dtype(name):
    if name in ("bool_", "int8", "int16"):
        return "int32"
    return "uint32" if name in ("uint8", "uint16") else name


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("op", ["sum", "prod"])
def test_sum_and_prod(op, name):
    for (a, x), axis, keepdims in itertools.product(layouts(name), AXES, [False, True]):
        got = getattr(mx, op)(a, axis=axis, keepdims=keepdims)
        assert got.dtype == getattr(mx, sum_dtype(name))
        wide = x.astype("complex128" if name in COMPLEX else "float64") if name in EPS else x
        kind = None if name in EPS else ("bool_", sum_dtype(name))[1]
        with np.errstate(over="ignore"):
            want = getattr(np, op)(wide, axis=axis, keepdims=keepdims, dtype=kind)
        if op == "prod" and name in EPS:  # relative to the size of the result
            got, want = to_numpy(got), np.asarray(want)
            np.testing.assert_allclose(got, want, rtol=20 * EPS[name], atol=20 * EPS[name])
        else:
            assert_close(got, want, name, 20)


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("op", ["max", "min", "all", "any"])
def test_extrema_and_truth(op, name):
    for (a, x), axis in itertools.product(layouts(name), AXES):
        got = getattr(mx, op)(a, axis=axis)
        assert got.dtype == (mx.bool_ if op in ("all", "any") else a.dtype)
        np.testing.assert_array_equal(to_numpy(got), getattr(np, op)(x, axis=axis))


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("op", ["argmax", "argmin"])
def test_positions(op, name):
    for (a, x), axis in itertools.product(layouts(name), [None, 0, 1, 2, -1]):
        got = getattr(mx, op)(a, axis=axis, keepdims=True)
        assert got.dtype == mx.uint32
        np.testing.assert_array_equal(to_numpy(got), getattr(np, op)(x, axis=axis, keepdims=True))


@pytest.mark.parametrize("name", EVERY)
def test_statistics(name):
    out = name if name in EPS else "float32"
    for (a, x), axis in itertools.product(layouts(name), AXES):
        wide = x.astype("complex128" if name in COMPLEX else "float64")
        assert_close(mx.mean(a, axis=axis), wide.mean(axis), out, 4)
        if axis == ():
            continue
        real = real_of(out)
        assert_close(
            mx.var(a, axis=axis), wide.var(axis), real, 10_000 if x.size and name not in EPS else 40
        )
        assert_close(mx.std(a, axis=axis, ddof=1), wide.std(axis, ddof=1), real, 100)
        assert_close(mx.median(a, axis=axis), np.median(wide, axis), out, 4)
        assert_close(mx.count_nonzero(a, axis=axis), np.count_nonzero(x, axis=axis), "int32")


@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS])
def test_logsumexp(name):
    out = name if name in EPS else "float32"
    for (a, x), axis in itertools.product(layouts(name), AXES):
        wide = x.astype("float64")
        want = np.log(np.sum(np.exp(wide), axis=axis))
        assert_close(mx.logsumexp(a, axis=axis), want, out, 8)


@pytest.mark.parametrize(
    "shape", [(70000,), (300, 700), (3, 40000), (40000, 3), (5000, 17), (2, 9, 4097), (4100, 1030)]
)
def test_sizes_that_split(shape):
    """Work cut into chunks, tiles and narrow columns."""
    x = values("float32", shape)
    a, wide = mx.array(x), x.astype("float64")
    for axis in [None, *range(len(shape))]:
        assert_close(mx.sum(a, axis), wide.sum(axis), "float32", 40)
        assert_close(mx.var(a, axis), wide.var(axis), "float32", 4)
        assert_close(mx.logsumexp(a, axis), np.log(np.exp(wide).sum(axis)), "float32", 4)
        np.testing.assert_array_equal(to_numpy(mx.max(a, axis)), x.max(axis))
        np.testing.assert_array_equal(to_numpy(mx.argmin(a, axis)), x.argmin(axis))


@pytest.mark.parametrize("length", [37, 4096, 70001])
def test_logsumexp_of_extremes(length):
    x = np.linspace(-90, 90, length, dtype="f4") * np.ones((9, 1), "f4")  # a greatest that rises
    x[1] = x[0][::-1]
    x[2, length // 2] = INF
    x[3, ::3] = -INF
    x[4] = -INF
    x[5, 5], x[5, -1] = INF, NAN
    x[6], x[7, 7] = np.finfo("f4").min, np.finfo("f4").max
    x[8, ::2], x[8, 9] = -INF, INF
    with np.errstate(all="ignore"):
        want = np.logaddexp.reduce(x.astype("f8"), axis=1)
    for a, axis in ((mx.array(x), 1), (mx.array(np.ascontiguousarray(x.T)), 0)):
        np.testing.assert_allclose(to_numpy(mx.logsumexp(a, axis)), want, rtol=1e-6)


def test_error_of_long_sums():
    x = np.full(1 << 22, 0.1, "float32")
    assert abs(mx.sum(mx.array(x)).item() / x.astype("float64").sum() - 1) < 1e-6
    half = mx.array(np.full(100_000, 1.0), dtype=mx.float16)
    assert mx.mean(half).item() == 1.0  # the sum does not fit float16
    assert mx.sum(mx.array(np.full(4096, 1.0), dtype=mx.bfloat16)).item() == 4096


def test_var_of_large_offset():
    x = (np.random.standard_normal((8, 5000)) + 1e4).astype("float32")
    for a, y in ((mx.array(x), x), (mx.array(x).T, x.T)):
        for axis in (0, 1, None):
            np.testing.assert_allclose(
                to_numpy(mx.var(a, axis)), y.astype("float64").var(axis), rtol=1e-5
            )


def test_nan_wins():
    x = mx.array([1.0, NAN, 3.0, NAN, 2.0])
    for op in (mx.sum, mx.max, mx.min, mx.mean, mx.median, mx.logsumexp, mx.var):
        assert np.isnan(op(x).item()), op
    assert mx.argmax(x).item() == 1 and mx.argmin(x).item() == 1
    long = np.random.standard_normal((5, 3000)).astype("float32")
    long[2, 2500] = NAN
    for a in (mx.array(long), mx.array(np.ascontiguousarray(long.T)).T):
        assert np.isnan(to_numpy(mx.max(a, 1))).tolist() == [False, False, True, False, False]
        assert mx.argmax(a, 1)[2].item() == 2500


def test_infinities():
    assert mx.logsumexp(mx.array([-INF, -INF])).item() == -INF
    assert mx.logsumexp(mx.array([INF, 1.0])).item() == INF
    parts = mx.array([[[7296.0, 1.0]], [[-INF, INF]], [[2.0, NAN]]])
    for a, axis in (
        (parts[:2], (0, 2)),
        (parts[:2], None),
        (mx.tile(parts[:2], (1, 1, 9000)), None),
    ):
        assert np.all(to_numpy(mx.logsumexp(a, axis)) == INF)
    assert np.isnan(mx.logsumexp(parts).item())
    assert mx.logsumexp(mx.array([1000.0, 1000.0])).item() == pytest.approx(1000 + np.log(2))
    assert mx.max(mx.array([-INF, -INF])).item() == -INF
    assert np.isnan(mx.sum(mx.array([INF, -INF])).item())


def test_bools_are_bytes_of_0_and_1():
    for a in (mx.zeros((3, 0), dtype=mx.int32), mx.zeros((0, 3), dtype=mx.bool_)):
        assert mx.all(a, keepdims=True).astype(mx.int8).tolist() == [[1]]
        assert mx.all(a, keepdims=True).view(mx.uint8).tolist() == [[1]]
        assert mx.any(a, keepdims=True).view(mx.uint8).tolist() == [[0]]


def test_integer_wrap():
    assert mx.sum(mx.array([127, 127], dtype=mx.int8)).item() == 254
    assert mx.prod(mx.array([2**30, 8], dtype=mx.int32)).item() == 0
    assert mx.sum(mx.array([2**63, 2**63], dtype=mx.uint64)).item() == 0


def test_empty():
    none, columns = mx.zeros((0,)), mx.zeros((0, 3))
    assert mx.sum(none).item() == 0 and mx.prod(none).item() == 1
    assert mx.all(none).item() is True and mx.any(none).item() is False
    assert mx.sum(columns, axis=0).tolist() == [0, 0, 0]
    assert mx.sum(columns, axis=1).shape == (0,)
    assert np.isnan(mx.mean(none).item()) and np.isnan(mx.var(none).item())
    for op in (mx.max, mx.min, mx.argmax, mx.argmin, mx.median, mx.minmax, mx.logsumexp):
        with pytest.raises(ValueError):
            op(columns, axis=0)
    assert mx.max(columns, axis=1).shape == (0,)


def test_bad_axes():
    x = mx.zeros((2, 3))
    for op in (
        mx.sum,
        mx.max,
        mx.mean,
        mx.var,
        mx.logsumexp,
        mx.argmax,
        mx.median,
        mx.count_nonzero,
    ):
        with pytest.raises((IndexError, ValueError)):
            op(x, axis=2)
    with pytest.raises(ValueError):
        mx.sum(x, axis=(0, 0))


def test_minmax_and_ddof():
    x = values("float32", (4, 5))
    low, high = mx.minmax(mx.array(x), axis=1)
    np.testing.assert_array_equal(to_numpy(low), x.min(1))
    np.testing.assert_array_equal(to_numpy(high), x.max(1))
    assert np.isnan(mx.var(mx.array([1.0]), ddof=1).item())


OPS = {
    "sum": mx.sum,
    "mean": mx.mean,
    "prod": mx.prod,
    "max": mx.max,
    "min": mx.min,
    "var": mx.var,
    "std": mx.std,
    "logsumexp": mx.logsumexp,
    "median": mx.median,
}


@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("axis", [None, 0, 2, (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_derivatives(op, axis, keepdims):
    x = np.random.default_rng(3).permutation(24).reshape(2, 3, 4) / 10 - 1.03
    check_derivatives(lambda a: OPS[op](a, axis=axis, keepdims=keepdims), x)
    check_derivatives(lambda a: mx.sum(OPS[op](a, axis=axis, keepdims=keepdims) ** 2), x)


def test_gradient_of_prod_with_zeros():
    def grad(x):
        return mx.grad(lambda a: mx.prod(a))(mx.array(x)).tolist()

    assert grad([0.0, 2.0, 3.0]) == [6, 0, 0]
    assert grad([0.0, 0.0, 3.0]) == [0, 0, 0]
    assert grad([[1.0, 2.0], [3.0, 4.0]]) == [[24, 12], [8, 6]]


def test_gradient_is_shared_by_ties():
    assert mx.grad(lambda a: mx.max(a))(mx.array([1.0, 3.0, 3.0])).tolist() == [0, 0.5, 0.5]
    assert mx.grad(lambda a: mx.min(a))(mx.array([1.0, 1.0, 3.0])).tolist() == [0.5, 0.5, 0]


def test_gradients_of_discrete_results_are_zero():
    for f in (mx.argmax, mx.any, mx.all):
        grad = mx.grad(lambda a, f=f: f(a).astype(mx.float32))(mx.array([3.0, 1.0, 2.0]))
        assert grad.tolist() == [0, 0, 0]


@pytest.mark.parametrize("op", OPS)
def test_vmap(op):
    for axis, keepdims in itertools.product([None, 0, 1, (0, 1)], [False, True]):
        check_vmap(lambda a, axis=axis, k=keepdims: OPS[op](a, axis=axis, keepdims=k), (4, 5))


def test_vmap_of_positions():
    for axis, keepdims in itertools.product([0, 1], [False, True]):
        check_vmap(lambda a, axis=axis, k=keepdims: mx.argmax(a, axis=axis, keepdims=k), (4, 5))
    check_vmap(lambda a: mx.argmin(a), (4, 5))


@pytest.mark.parametrize("name", ["bool_", "int16", "uint64", *FLOATS])
def test_reduction_of_computed_values(name):
    """Element-wise work in front of a reduction runs inside it."""
    out = name if name in EPS else "float32"
    for (a, x), axis in itertools.product(layouts(name), AXES):
        scale = to_mlx(values("float32", x.shape[-1:], 1), out)
        wide = (x.astype("float64") * to_numpy(scale)) ** 2
        for op, tolerance in ((mx.sum, 40), (mx.mean, 8), (mx.max, 4), (mx.logsumexp, 40)):
            if op is mx.logsumexp and name not in EPS:
                continue  # NumPy's exp would overflow
            got = op(mx.square(a.astype(getattr(mx, out)) * scale), axis=axis)
            if op is mx.logsumexp:
                want = np.log(np.sum(np.exp(wide), axis))
            else:
                want = getattr(np, op.__name__)(wide, axis)
            eps = EPS[out] * tolerance
            np.testing.assert_allclose(to_numpy(got), want, rtol=eps, atol=eps)
        np.testing.assert_array_equal(to_numpy(mx.any(a == a, axis)), np.any(x == x, axis))
        np.testing.assert_array_equal(to_numpy(mx.sum(a > 0, axis)), np.sum(x > 0, axis))


@pytest.mark.parametrize("shape", [(70000,), (300, 700), (3, 40000), (40000, 3), (7, 33, 1100)])
def test_long_reductions_of_computed_values(shape):
    x = values("float32", shape)
    a = mx.array(x)
    for axis in [None, *range(len(shape))]:
        want = np.sum((x.astype("float64") - 1) ** 2, axis)
        assert_close(mx.sum(mx.square(a - 1), axis), want, "float32", 40)
        assert_close(mx.var(mx.exp(a), axis), np.exp(x.astype("float64")).var(axis), "float32", 40)
        strided = mx.sum(a[..., ::-1] * a, axis)
        assert_close(strided, np.sum(x[..., ::-1].astype("float64") * x, axis), "float32", 100)
        np.testing.assert_array_equal(np.array(a), x)
        flipped = mx.max(mx.transpose(a) * 2, axis)
        np.testing.assert_array_equal(to_numpy(flipped), 2 * x.T.max(axis))


def test_values_that_are_needed_elsewhere():
    x = mx.array(values("float32", (50, 60)))
    y = mx.square(x)
    total, largest = mx.sum(y, 0), mx.max(y, 1)
    mx.eval(total, largest)
    assert_close(total, np.sum(np.array(x) ** 2, 0), "float32", 10)
    assert_close(largest, np.max(np.array(x) ** 2, 1), "float32")
    assert_close(y, np.array(x) ** 2, "float32")
    z = mx.exp(x)
    both = mx.sum(z * 2) + mx.sum(z)
    assert_close(both, 3 * np.exp(np.array(x, "float64")).sum(), "float32", 10)
    empty = mx.sum(mx.zeros((0, 3)) + 1, axis=0)
    assert empty.tolist() == [0, 0, 0]
    grad = mx.grad(lambda a: mx.mean(mx.square(a - 1)))(x)
    assert_close(grad, 2 * (np.array(x) - 1) / x.size, "float32")


def test_scalar():
    assert mx.sum(mx.array(2.0)).item() == 2 and mx.argmax(mx.array(2.0)).item() == 0
    assert to_mlx(np.array(3), "int8").sum().item() == 3


def test_gradient_of_logsumexp_keeps_its_digits():
    x = np.random.default_rng(3).normal(size=1000).astype("f4") + 1000
    gradient = np.array(mx.grad(lambda a: mx.logsumexp(a))(mx.array(x)))
    e = np.exp(x.astype("f8") - 1000)
    np.testing.assert_allclose(gradient, e / e.sum(), rtol=5e-7)


def test_axes_by_position():
    x = mx.array([[1.0, 0.0, 2.0], [0.0, 0.0, 3.0]])
    assert mx.count_nonzero(x, 1).tolist() == [2, 1]
    assert mx.count_nonzero(x, 0, True).tolist() == [[1, 0, 2]]
    assert mx.vecdot(x, x, 0).tolist() == [1, 0, 13]
