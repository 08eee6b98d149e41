"""Reductions that pass over NaN. `axis` is None for all axes, an int or a tuple of them."""

from __future__ import annotations

import mlx.core as mx
from mlx.functions.axes import Axis

NOWHERE = 2**32 - 1  # a place that no array has


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
    deviations = mx.where(mx.isnan(values), 0, values - nanmean(values, axis, True))
    squares = (mx.abs(deviations) ** 2).sum(axis, keepdims=keepdims)
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


def _position(a: mx.array, place: mx.array, axis: int | None, keepdims: bool, op: str) -> mx.array:
    """`place`, unless all of what it is a place in is NaN."""
    if not mx.issubdtype(a.dtype, mx.inexact):
        return place
    unknown = mx.isnan(a).all(axis, keepdims=keepdims)
    try:
        is_known = not unknown.any()
    except ValueError:  # a transform traces it
        return mx.where(unknown, NOWHERE, place)
    if not is_known:
        raise ValueError(f"[{op}] There is a part of shape {a.shape} without a number.")
    return place


def nanargmax(a: mx.array, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Where the largest number is. Raises ValueError where there is none, for which it reads;
    within `compile` and `vmap`, where values cannot be read, that place is 2^32 - 1."""
    place = mx.argmax(_filled(a, -mx.inf), axis, keepdims=keepdims)
    return _position(a, place, axis, keepdims, "nanargmax")


def nanargmin(a: mx.array, axis: int | None = None, keepdims: bool = False) -> mx.array:
    """Where the smallest number is; where there is none, as `nanargmax`."""
    place = mx.argmin(_filled(a, mx.inf), axis, keepdims=keepdims)
    return _position(a, place, axis, keepdims, "nanargmin")


def nancumsum(a: mx.array, axis: int | None = None) -> mx.array:
    """Running sums of what is a number."""
    return mx.cumulative_sum(_scanned(a, 0, axis), axis=axis or 0)


def nancumprod(a: mx.array, axis: int | None = None) -> mx.array:
    """Running products of what is a number."""
    return mx.cumulative_prod(_scanned(a, 1, axis), axis=axis or 0)


def _scanned(a: mx.array, value: float, axis: int | None) -> mx.array:
    return _filled(a.reshape(-1) if axis is None else a, value)
