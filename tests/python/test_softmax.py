"""Softmax against NumPy in float64: dtypes, layouts, axes, infinities, derivatives, vmap."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
from dtypes import COMPLEX
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


def softmax(x, axis):
    x = x.astype("complex128" if np.iscomplexobj(x) else "float64")
    e = np.exp(x - x.real.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


@pytest.mark.parametrize("name", [*INTEGERS, *FLOATS, *COMPLEX])
def test_values(name):
    out = name if name in EPS else "float32"
    for (a, x), axis in itertools.product(
        layouts(name), [None, 0, 1, 2, -1, (0, 1), (0, 2), (0, 1, 2)]
    ):
        got = mx.softmax(a, axis=axis)
        assert got.dtype == getattr(mx, out)
        assert_close(got, softmax(x, axis), out, 4)
        assert_close(mx.softmax(a, axis=axis, precise=True), softmax(x, axis), out, 4)


@pytest.mark.parametrize("n", [1, 2, 7, 15, 16, 17, 63, 64, 65, 130, 1000, 40000])
def test_lengths(n):
    x = 5 * values("float32", (3, n))
    assert_close(mx.softmax(mx.array(x), -1), softmax(x, -1), "float32", 4)
    assert_close(mx.softmax(mx.array(x.T.copy()), 0), softmax(x, -1).T, "float32", 4)
    wide = values("float32", (n, 700 if n <= 1000 else 20))
    assert_close(mx.softmax(mx.array(wide), 0), softmax(wide, 0), "float32", 4)


def test_extremes():
    inf = float("inf")
    assert mx.softmax(mx.array([0.0, -inf, 0.0]), -1).tolist() == [0.5, 0, 0.5]
    assert mx.softmax(mx.array([1e30, 0.0]), -1).tolist() == [1, 0]
    assert np.isnan(to_numpy(mx.softmax(mx.array([-inf, -inf]), -1))).all()
    assert np.isnan(to_numpy(mx.softmax(mx.array([inf, 1.0]), -1))).all()
    assert np.isnan(to_numpy(mx.softmax(mx.array([float("nan"), 1.0]), -1))).all()
    assert mx.softmax(mx.zeros((0, 3)), 0).shape == (0, 3)
    assert mx.softmax(mx.array(3.0)).item() == 1
    assert mx.softmax(mx.array([1.0, 2.0]), axis=()).tolist() == [1, 1]


def test_bad_axis():
    for axis in (2, -3, (0, 0)):
        with pytest.raises((IndexError, ValueError)):
            mx.softmax(mx.zeros((2, 2)), axis=axis)


def test_takes_over_its_input_unharmed():
    x = mx.array(values("float32", (64, 64)))
    y = x + 1
    kept = np.array(y)
    z = mx.softmax(y, -1)
    mx.eval(z)
    np.testing.assert_array_equal(np.array(y), kept)
    assert_close(mx.softmax(x * 2, -1), softmax(2 * np.array(x), -1), "float32", 4)


@pytest.mark.parametrize("axis", [None, 0, 1, -1, (0, 2)])
def test_derivatives(axis):
    x = values("float64", (2, 3, 4))
    check_derivatives(lambda a: mx.softmax(a, axis=axis), x)
    check_derivatives(lambda a: mx.softmax(a, axis=axis) ** 2 * a, x)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("n", [1, 5, 100, 3000])
def test_gradient_values(name, n):
    x, d = values(name, (6, n)), values(name, (6, n), 1)
    for axis in (-1, (0, 1)):
        _, (got,) = mx.vjp(
            lambda a, axis=axis: mx.softmax(a, axis=axis), [to_mlx(x, name)], [to_mlx(d, name)]
        )
        y = softmax(x, axis)
        want = y * (d - (y * d).sum(axis, keepdims=True))
        assert_close(got, want, name, 4)


def test_vmap_of_gradient():
    check_vmap(mx.grad(lambda a: mx.sum(mx.softmax(a, -1) ** 2)), (4, 5))


def test_vmap():
    for axis in (None, 0, 1, (0, 1)):
        check_vmap(lambda a, axis=axis: mx.softmax(a, axis=axis), (4, 5))
