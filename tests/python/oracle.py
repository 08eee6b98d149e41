"""What test families share: arrays of every dtype in every layout, and derivative checks.

NumPy is the oracle. `layouts` yields pairs of an mlx array and the NumPy array that it must equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import mlx.core as mx
import numpy as np
from derivatives import check_gradient
from dtypes import COMPLEX, INTEGERS, REALS
from layouts import to_numpy

FLOATS = REALS
INTEGERS = ["bool_", *INTEGERS]

# Relative precision to expect of a result of few operations.
EPS = {"float16": 2e-3, "bfloat16": 2e-2, "float32": 2e-6, "float64": 1e-12}
EPS |= {"complex64": 4e-6, "complex128": 2e-12}


def to_mlx(x: np.ndarray, name: str) -> mx.array:
    """`x` as an mlx array of the named dtype, on the CPU where float64 lives."""
    return mx.array(x, dtype=getattr(mx, name))


def values(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random values that the dtype represents exactly, small enough that sums do not overflow."""
    rng = np.random.default_rng(seed)
    if name == "bool_":
        return rng.random(shape) < 0.5
    if name.startswith("u"):
        return rng.integers(0, 100, shape).astype(name)
    if name.startswith("int"):
        return rng.integers(-50, 50, shape).astype(name)
    if name in COMPLEX:
        return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(name)
    x = rng.standard_normal(shape)
    if name == "bfloat16":  # 8 bits of significand, held in float32
        bits = x.astype("float32").view("uint32")
        return (bits & np.uint32(0xFFFF0000)).view("float32")
    return x.astype(name)


def layouts(name: str, shape: tuple[int, ...] = (3, 5, 4)) -> Iterator[tuple[mx.array, np.ndarray]]:
    """Arrays of one dtype: contiguous, transposed, sliced, reversed, broadcast, scalar."""
    x = values(name, shape)
    a = to_mlx(x, name)
    last = len(shape) - 1
    yield a, x
    yield mx.transpose(a), x.T
    yield mx.swapaxes(a, 0, 1), x.swapaxes(0, 1)
    yield mx.swapaxes(a, 1, last), x.swapaxes(1, last)
    yield a[1:, ::2, 1:3], x[1:, ::2, 1:3]
    yield a[:, :, ::-1], x[:, :, ::-1]
    yield a[::-1, :, :], x[::-1, :, :]
    yield mx.broadcast_to(a[:, :1], shape), np.broadcast_to(x[:, :1], shape)
    yield mx.broadcast_to(a[0, 0, 0], shape), np.broadcast_to(x[0, 0, 0], shape)


def assert_close(got: mx.array, want: np.ndarray, name: str, scale: float = 1.0) -> None:
    """Equal for integers; for floats within `scale` times the precision of the dtype."""
    got = to_numpy(got)
    want = np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    if name in EPS:
        eps = EPS[name] * scale
        np.testing.assert_allclose(got, want, rtol=eps, atol=eps)
    else:
        np.testing.assert_array_equal(got, want)


def check_derivatives(f: Callable[[mx.array], mx.array], x: np.ndarray, tol: float = 1e-6) -> None:
    """vjp and jvp of f in float64 agree with central differences and with each other."""
    check_gradient(f, [mx.array(np.asarray(x, "float64"), dtype=mx.float64)], tol, tol)


def check_vmap(f: Callable[[mx.array], mx.array], shape: tuple[int, ...]) -> None:
    """f over a batch axis in any place equals f on each member."""
    for axis in range(len(shape) + 1):
        full = (*shape[:axis], 3, *shape[axis:])
        x = values("float32", full)
        got = mx.vmap(f, in_axes=axis)(mx.array(x))
        for i in range(3):
            want = to_numpy(f(mx.array(np.ascontiguousarray(np.take(x, i, axis)))))
            np.testing.assert_allclose(to_numpy(got[i]), want, rtol=1e-5, atol=1e-6)
