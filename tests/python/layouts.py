"""Arrays in every layout that ops must cope with, and checks of values and transforms."""

import mlx.core as mx
import numpy as np
from derivatives import check_gradient
from dtypes import EVERY as DTYPES

__all__ = ["DTYPES"]


def to_numpy(a):
    """As NumPy, with bfloat16 widened to float32, which holds all its values."""
    return np.array(a.astype(mx.float32) if a.dtype == mx.bfloat16 else a)


def values(shape, dtype="float32"):
    """Small integers, so that every dtype holds them exactly; a pair (mlx, NumPy)."""
    n = np.arange(int(np.prod(shape)), dtype=np.int64).reshape(shape) % 113
    a = mx.array(n.astype(np.int32)).astype(getattr(mx, dtype))
    return a, to_numpy(a)


def layouts(dtype="float32"):
    """Named pairs (mlx, NumPy) of two-dimensional arrays that share memory in different ways."""
    a, n = values((6, 8), dtype)
    yield "rows", a, n
    yield "transposed", a.T, n.T
    yield "slice", a[1:5, 2:7], n[1:5, 2:7]
    yield "steps", a[::2, 1::3], n[::2, 1::3]
    yield "negative", a[::-1, ::-2], n[::-1, ::-2]
    yield "broadcast", mx.broadcast_to(a[:1], (5, 8)), np.broadcast_to(n[:1], (5, 8))
    yield "one column", a[:, 3:4], n[:, 3:4]
    yield "empty", a[:0], n[:0]


def check_same(a, n):
    """Equal shape and equal elements, dtype aside."""
    got, want = to_numpy(a), np.asarray(n)
    assert got.shape == want.shape, (got.shape, want.shape)
    np.testing.assert_array_equal(got, want)


def check_grad(f, *args):
    """vjp and jvp of f at these values, in float64."""
    check_gradient(f, [mx.array(a).astype(mx.float64) for a in args])


def check_vmap(f, *args, in_axes=0):
    """vmap of f against a loop. Axes of None are shared."""
    axes = in_axes if isinstance(in_axes, tuple) else (in_axes,) * len(args)
    batch = next(a.shape[x] for a, x in zip(args, axes, strict=False) if x is not None)
    want = []
    for i in range(batch):
        each = [a if x is None else mx.take(a, i, axis=x) for a, x in zip(args, axes, strict=False)]
        want.append(to_numpy(f(*each)))
    check_same(mx.vmap(f, in_axes=axes)(*args), np.stack(want))


def check_transforms(f, shape=(3, 4), mapped=True):
    """Derivatives and batching of a function of one array."""
    rng = np.random.default_rng(1)
    x = mx.array(rng.uniform(0.5, 2.0, shape).astype(np.float32))
    check_grad(f, x)
    if mapped:
        batched = mx.array(rng.uniform(0.5, 2.0, (2, *shape)).astype(np.float32))
        check_vmap(f, batched)
        check_vmap(f, mx.array(np.moveaxis(np.array(batched), 0, -1)), in_axes=-1)
