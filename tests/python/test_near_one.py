"""Inverse functions close to 1, where their derivatives grow without bound: values and derivatives
against NumPy in double, on whichever device is the default."""

import mlx.core as mx
import numpy as np
import pytest

DISTANCES = np.concatenate([[0.0], 2.0 ** -np.arange(0, 24), 3 * 2.0 ** -np.arange(2, 23)])
COMPLEX = {"complex64": np.complex64, "complex128": np.complex128}
EPSILON = {"float16": 2.0**-10, "bfloat16": 2.0**-7, "float32": 2.0**-23, "float64": 2.0**-52}
EPSILON |= {"complex64": 2.0**-23, "complex128": 2.0**-52}

# Derivatives from factors that lose nothing close to 1, and the side on which there are values.
DERIVATIVES = {
    "arccosh": (lambda x: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)), 1),
    "arcsin": (lambda x: 1 / np.sqrt((1 - x) * (1 + x)), -1),
    "arccos": (lambda x: -1 / np.sqrt((1 - x) * (1 + x)), -1),
    "arctanh": (lambda x: 1 / ((1 - x) * (1 + x)), -1),
}


def wide(a):
    kind = np.complex128 if mx.issubdtype(a.dtype, mx.complexfloating) else np.float64
    return np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a).astype(kind)


def near(got, want, dtype, units):
    """Within so many units in the last place of the modulus; infinities are equal."""
    infinite = ~np.isfinite(want)
    np.testing.assert_array_equal(got[infinite], want[infinite])
    got, want = got[~infinite], want[~infinite]
    error = np.abs(got - want)
    assert (error <= units * EPSILON[dtype] * np.abs(want)).all(), error.max()


def slope(f, x):
    return mx.jvp(f, [x], [mx.ones_like(x)])[1][0]


@pytest.mark.parametrize("name", DERIVATIVES)
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@np.errstate(divide="ignore")
def test_real_numbers(name, dtype):
    f, (derivative, side) = getattr(mx, name), DERIVATIVES[name]
    distances = DISTANCES[DISTANCES < 1] if side < 0 else DISTANCES
    x = mx.array(1 + side * distances, mx.float64).astype(getattr(mx, dtype))
    at = wide(x)
    near(wide(f(x)), getattr(np, name)(at), dtype, 2)
    want = derivative(at)
    near(wide(slope(f, x)), want, dtype, 4)
    near(wide(mx.grad(lambda v: f(v).sum())(x)), want, dtype, 4)
    near(wide(mx.compile(mx.grad(lambda v: f(v).sum()))(x)), want, dtype, 4)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arccosh_far_out_and_outside(dtype):
    largest = 1e30 if dtype == "float32" else 1e300
    x = mx.array([1.5, 1e6, largest], getattr(mx, dtype))
    at = wide(x)
    near(wide(mx.arccosh(x)), np.arccosh(at), dtype, 2)
    near(wide(slope(mx.arccosh, x)), 1 / np.sqrt(at - 1) / np.sqrt(at + 1), dtype, 4)
    outside = mx.array([0.5, -2.0, np.nan], getattr(mx, dtype))
    assert mx.isnan(mx.arccosh(outside)).all() and mx.isnan(slope(mx.arccosh, outside)).all()


@pytest.mark.parametrize("dtype", COMPLEX)
def test_complex_arccosh(dtype):
    turns = np.exp(1j * np.pi * np.arange(-7, 8, 2) / 8)
    z = (1 + DISTANCES[1:, None] * turns).astype(COMPLEX[dtype]).reshape(-1)
    x = mx.array(z, getattr(mx, dtype))
    at = wide(x)
    near(wide(mx.arccosh(x)), np.arccosh(at), dtype, 4)
    want = 1 / (np.sqrt(at - 1) * np.sqrt(at + 1))
    near(wide(slope(mx.arccosh, x)), want, dtype, 8)
    # The gradient of a real function of z is the conjugate of its derivative.
    gradient = mx.grad(lambda v: mx.real(mx.arccosh(v)).sum())(x)
    near(wide(gradient), np.conj(want), dtype, 8)


@pytest.mark.parametrize("dtype", COMPLEX)
@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_complex_arccosh_on_the_real_axis(dtype, zero):
    z = np.empty(2 * len(DISTANCES), COMPLEX[dtype])
    z.real, z.imag = np.concatenate([1 + DISTANCES, 1 - DISTANCES]), zero
    got = wide(mx.arccosh(mx.array(z, getattr(mx, dtype))))
    want = np.arccosh(z.astype(np.complex128))
    near(got, want, dtype, 4)
    np.testing.assert_array_equal(np.signbit(got.imag), np.signbit(want.imag))
    assert (got.real >= 0).all()
