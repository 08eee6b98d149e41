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


def unravel_index(
    indices: mx.array, shape: Sequence[int], order: str = "C"
) -> tuple[mx.array, ...]:
    """Positions in row-major ("C") or column-major ("F") order as one array for each axis of a
    shape."""
    _check_order(order, "unravel_index")
    rest = mx.asarray(indices)
    parts = []
    for extent in shape if order == "F" else reversed(shape):
        parts.append(rest % extent if extent else rest)
        rest = rest // extent if extent else rest
    return tuple(parts if order == "F" else reversed(parts))


def _check_order(order: str, op: str) -> None:
    if order not in ("C", "F"):
        raise ValueError(f"[{op}] The order is 'C' or 'F', not '{order}'.")


def ravel_multi_index(
    multi_index: Sequence[mx.array],
    dims: Sequence[int],
    mode: str | Sequence[str] = "raise",
    order: str = "C",
) -> mx.array:
    """Positions in row-major ("C") or column-major ("F") order from one array of positions for each
    axis of a shape. What lies outside raises ValueError, for which positions are read, or is
    brought inside by the mode "wrap" or "clip"."""
    _check_order(order, "ravel_multi_index")
    if len(multi_index) != len(dims):
        raise ValueError(
            f"[ravel_multi_index] Got {len(multi_index)} indices for {len(dims)} axes."
        )
    modes = [mode] * len(dims) if isinstance(mode, str) else list(mode)
    total = mx.array(0)
    for i, (index, extent, how) in enumerate(zip(multi_index, dims, modes, strict=True)):
        step = math.prod(dims[i + 1 :] if order == "C" else dims[:i])
        total = total + _inside(mx.asarray(index), extent, how) * step
    return total


def _inside(index: mx.array, extent: int, mode: str) -> mx.array:
    if mode == "wrap":
        return index % extent
    if mode == "clip":
        return mx.clip(index, 0, extent - 1)
    if mode != "raise":
        raise ValueError(f"[ravel_multi_index] Unknown mode '{mode}'.")
    if mx.logical_or(index < 0, index >= extent).any():
        raise ValueError(f"[ravel_multi_index] There are positions outside an axis of {extent}.")
    return index


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[mx.array, ...]:
    """The positions on and below diagonal k of an n by m matrix."""
    return nonzero(mx.tri(n, m, k, mx.bool_))


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[mx.array, ...]:
    """The positions on and above diagonal k of an n by m matrix."""
    return nonzero(mx.logical_not(mx.tri(n, m, k - 1, mx.bool_)))
