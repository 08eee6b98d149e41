"""Reductions that pass over NaN. `axis` is None for all axes, an int or a tuple of them."""

from __future__ import annotations

import mlx.core as mx

Axis = int | tuple[int, ...] | None


def _filled(a: mx.array, value: float) -> mx.array:
    return a if not mx.issubdtype(a.dtype, mx.inexact) else mx.where(mx.isnan(a), value, a)


def _count(a: mx.array, axis: Axis, keepdims: bool) -> mx.array:
    known = mx.logical_not(mx.isnan(a)).astype(mx.float32)
    return known.sum(axis, keepdims=keepdims)


def nansum(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The sum of what is a number."""
    return _filled(a, 0).sum(axis, keepdims=keepdims)


def nanprod(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The product of what is a number."""
    return _filled(a, 1).prod(axis, keepdims=keepdims)


def nanmean(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The mean of what is a number; NaN if nothing is."""
    return nansum(a, axis, keepdims) / _count(a, axis, keepdims).astype(_mean_dtype(a))


def _mean_dtype(a: mx.array) -> mx.Dtype:
    return a.dtype if mx.issubdtype(a.dtype, mx.inexact) else mx.float32


def nanvar(a: mx.array, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> mx.array:
    """The variance of what is a number, by n - ddof; NaN if there are not that many."""
    distance = a - nanmean(a, axis, True)
    squares = nansum(mx.abs(distance) ** 2, axis, keepdims)
    degrees = _count(a, axis, keepdims) - ddof
    return mx.where(degrees > 0, squares / degrees.astype(squares.dtype), mx.nan)


def nanstd(a: mx.array, axis: Axis = None, keepdims: bool = False, ddof: int = 0) -> mx.array:
    """The square root of `nanvar`."""
    return mx.sqrt(nanvar(a, axis, keepdims, ddof))


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
