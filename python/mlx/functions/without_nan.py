"""Reductions that pass over NaN. `axis` is None for all axes, an int or a tuple of them."""

from __future__ import annotations

import mlx.core as mx

Axis = int | tuple[int, ...] | None


def _filled(a: mx.array, value: float) -> mx.array:
    return a if not mx.issubdtype(a.dtype, mx.inexact) else mx.where(mx.isnan(a), value, a)


def _count(a: mx.array, axis: Axis, keepdims: bool) -> mx.array:
    return mx.logical_not(mx.isnan(a)).sum(axis, keepdims=keepdims)


def _wide(a: mx.array) -> mx.array:
    """Half types as float32, in which their sums and counts fit."""
    return a.astype(mx.float32) if a.dtype in (mx.float16, mx.bfloat16) else a


def nansum(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The sum of what is a number."""
    return _filled(a, 0).sum(axis, keepdims=keepdims)


def nanprod(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The product of what is a number."""
    return _filled(a, 1).prod(axis, keepdims=keepdims)


def nanmean(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The mean of what is a number; NaN if nothing is."""
    total = nansum(_wide(a), axis, keepdims)
    dtype = a.dtype if mx.issubdtype(a.dtype, mx.inexact) else mx.float32
    return (total / _count(a, axis, keepdims).astype(_wide(mx.zeros((), dtype)).dtype)).astype(
        dtype
    )


def nanvar(
    a: mx.array,
    axis: Axis = None,
    keepdims: bool = False,
    ddof: float = 0,
    *,
    correction: float | None = None,
) -> mx.array:
    """The variance of what is a number, by n - ddof (or n - correction); NaN if there are not that
    many."""
    ddof = ddof if correction is None else correction
    values = _wide(a)
    squares = nansum(mx.abs(values - nanmean(values, axis, True)) ** 2, axis, keepdims)
    degrees = _count(a, axis, keepdims).astype(squares.dtype) - ddof
    variance = mx.where(degrees > 0, squares / degrees, mx.nan)
    return variance if values is a else variance.astype(a.dtype)


def nanstd(
    a: mx.array,
    axis: Axis = None,
    keepdims: bool = False,
    ddof: float = 0,
    *,
    correction: float | None = None,
) -> mx.array:
    """The square root of `nanvar`."""
    return mx.sqrt(nanvar(a, axis, keepdims, ddof, correction=correction))


def _extremum(a: mx.array, best: mx.array, axis: Axis, keepdims: bool) -> mx.array:
    if not mx.issubdtype(a.dtype, mx.inexact):
        return best
    return mx.where(mx.isnan(a).all(axis, keepdims=keepdims), mx.nan, best)


def nanmax(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The largest number; NaN if there is none."""
    return _extremum(a, _filled(a, -mx.inf).max(axis, keepdims=keepdims), axis, keepdims)


def nanmin(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The smallest number; NaN if there is none."""
    return _extremum(a, _filled(a, mx.inf).min(axis, keepdims=keepdims), axis, keepdims)


def _check_known(a: mx.array, axis: int | None, op: str) -> None:
    if mx.issubdtype(a.dtype, mx.inexact) and mx.isnan(a).all(axis).any():
        raise ValueError(f"[{op}] There is a part of shape {a.shape} without a number.")


def nanargmax(a: mx.array, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Where the largest number is. Raises ValueError where there is none, for which it reads."""
    _check_known(a, axis, "nanargmax")
    return mx.argmax(_filled(a, -mx.inf), axis, keepdims=keepdims)


def nanargmin(a: mx.array, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Where the smallest number is. Raises ValueError where there is none, for which it reads."""
    _check_known(a, axis, "nanargmin")
    return mx.argmin(_filled(a, mx.inf), axis, keepdims=keepdims)


def nancumsum(a: mx.array, axis: int | None = None) -> mx.array:
    """Running sums of what is a number."""
    return mx.cumulative_sum(_scanned(a, 0, axis), axis=axis or 0)


def nancumprod(a: mx.array, axis: int | None = None) -> mx.array:
    """Running products of what is a number."""
    return mx.cumulative_prod(_scanned(a, 1, axis), axis=axis or 0)


def _scanned(a: mx.array, value: float, axis: int | None) -> mx.array:
    return _filled(a.reshape(-1) if axis is None else a, value)
