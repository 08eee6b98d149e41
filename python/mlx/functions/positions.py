"""Positions in arrays: of what is true, below a diagonal, and as one number or several."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mlx.core as mx


def flatnonzero(a: mx.array) -> mx.array:
    """Positions, in row-major order, of the elements that are not zero."""
    flat = a.reshape(-1)
    return mx.arange(flat.size)[flat != 0]


def nonzero(a: mx.array) -> tuple[mx.array, ...]:
    """One array of positions for each axis, of the elements that are not zero."""
    if a.ndim == 0:
        raise ValueError("[nonzero] A scalar has no positions.")
    return unravel_index(flatnonzero(a), a.shape)


def argwhere(a: mx.array) -> mx.array:
    """The positions of the elements that are not zero as rows of a matrix."""
    return mx.stack(nonzero(a), 1) if a.ndim else mx.zeros((int(bool(a)), 0), mx.int32)


def compress(condition: mx.array, a: mx.array, axis: int | None = None) -> mx.array:
    """The slices of `a` along an axis, or its elements, for which the condition holds."""
    source, axis = (a.reshape(-1), 0) if axis is None else (a, axis)
    return mx.take(source, flatnonzero(mx.asarray(condition)), axis)


def unravel_index(indices: mx.array, shape: Sequence[int]) -> tuple[mx.array, ...]:
    """Positions in row-major order as one array for each axis of a shape."""
    rest = mx.asarray(indices)
    parts = []
    for extent in reversed(shape):
        parts.append(rest % extent if extent else rest)
        rest = rest // extent if extent else rest
    return tuple(reversed(parts))


def ravel_multi_index(multi_index: Sequence[mx.array], dims: Sequence[int]) -> mx.array:
    """Positions in row-major order from one array of positions for each axis of a shape."""
    if len(multi_index) != len(dims):
        raise ValueError(
            f"[ravel_multi_index] Got {len(multi_index)} indices for {len(dims)} axes."
        )
    steps = [math.prod(dims[i + 1 :]) for i in range(len(dims))]
    total = mx.array(0)
    for index, step in zip(multi_index, steps, strict=True):
        total = total + mx.asarray(index) * step
    return total


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[mx.array, ...]:
    """The positions on and below diagonal k of an n by m matrix."""
    return nonzero(mx.tri(n, m, k, mx.bool_))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[mx.array, ...]:
    """The positions on and above diagonal k of an n by m matrix."""
    return nonzero(mx.logical_not(mx.tri(n, m, k - 1, mx.bool_)))
