"""Quantiles of sorted values: of all values, or of those that are no NaN."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
from mlx.functions.axes import Axis, axes_of

Fraction = float | Sequence[float] | mx.array
# Of continuous methods, what places the values by: Hyndman and Fan (1996).
PLACES = {
    "linear": (1.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
    "interpolated_inverted_cdf": (0.0, 1.0),
}
METHODS = (*PLACES, "lower", "higher", "nearest", "midpoint")


def _fractions(q: Fraction, whole: float, op: str) -> mx.array:
    if not isinstance(q, mx.array):
        listed = [q] if isinstance(q, (int, float)) else list(q)
        if not all(0 <= v <= whole for v in listed):
            raise ValueError(f"[{op}] Fractions must lie between 0 and {whole:g}, got {q}.")
        q = mx.array(q, mx.float64)
    return q.astype(mx.float64) / whole  # as exact as places in long arrays need it


def _rows(a: mx.array, axis: Axis, op: str) -> tuple[mx.array, list[int]]:
    """`a` with the axes to reduce as one at the end, and their numbers."""
    reduced = axes_of(a, axis, op)
    kept = [i for i in range(a.ndim) if i not in reduced]
    moved = mx.transpose(a, kept + reduced)
    return moved.reshape([a.shape[i] for i in kept] + [-1]), reduced


def _between(low: mx.array, high: mx.array, share: mx.array, method: str) -> mx.array:
    if method == "lower":
        return low
    if method == "higher":
        return mx.where(share > 0, high, low)
    if method == "nearest":
        return mx.where(share > 0.5, high, low)
    share = mx.where(share > 0, 0.5, 0.0) if method == "midpoint" else share
    return mx.where(low == high, low, low + (high - low) * share.astype(low.dtype))


def _quantile(
    a: mx.array, q: mx.array, axis: Axis, keepdims: bool, method: str, skips_nan: bool, op: str
) -> mx.array:
    if method not in METHODS:
        raise ValueError(f"[{op}] Unknown method '{method}'; known are {', '.join(METHODS)}.")
    if a.size == 0:
        raise ValueError(f"[{op}] An array of shape {a.shape} has no quantiles.")
    if mx.issubdtype(a.dtype, mx.complexfloating):
        raise ValueError(f"[{op}] Complex numbers have no order; got {a.dtype}.")
    a = a if mx.issubdtype(a.dtype, mx.floating) else a.astype(mx.float32)
    a = a if a.ndim else a.reshape(1)
    rows, reduced = _rows(a, axis, op)
    ordered = mx.sort(rows, -1)
    unknown = mx.isnan(ordered).sum(-1, keepdims=True)
    last = rows.shape[-1] - 1 - (unknown if skips_nan else 0)
    alpha, beta = PLACES.get(method, (1.0, 1.0))
    place = q.reshape(-1) * (last + (2 - alpha - beta)) + (alpha - 1)
    place = mx.clip(place, 0, mx.maximum(last, 0))
    place = mx.broadcast_to(place, [*rows.shape[:-1], q.size])
    below, above = (mx.stop_gradient(f(place).astype(mx.int32)) for f in (mx.floor, mx.ceil))
    low = mx.take_along_axis(ordered, below, -1)
    high = mx.take_along_axis(ordered, above, -1)
    out = _between(low, high, place - below, method)
    is_nan = unknown == rows.shape[-1] if skips_nan else unknown > 0
    out = mx.moveaxis(mx.where(is_nan, mx.nan, out), -1, 0)
    if keepdims:
        out = mx.expand_dims(out, [i + 1 for i in reduced])
    return out.reshape([*q.shape, *out.shape[1:]])


def quantile(
    a: mx.array, q: Fraction, axis: Axis = None, keepdims: bool = False, *, method: str = "linear"
) -> mx.array:
    """The value that a fraction `q` of the values lies below; several fractions make a leading
    axis. NaN where there is a NaN. Between two values, `method` says what to take."""
    return _quantile(a, _fractions(q, 1, "quantile"), axis, keepdims, method, False, "quantile")


def percentile(
    a: mx.array, q: Fraction, axis: Axis = None, keepdims: bool = False, *, method: str = "linear"
) -> mx.array:
    """As `quantile`, with `q` out of 100."""
    return _quantile(
        a, _fractions(q, 100, "percentile"), axis, keepdims, method, False, "percentile"
    )


def nanquantile(
    a: mx.array, q: Fraction, axis: Axis = None, keepdims: bool = False, *, method: str = "linear"
) -> mx.array:
    """As `quantile`, of what is a number."""
    return _quantile(
        a, _fractions(q, 1, "nanquantile"), axis, keepdims, method, True, "nanquantile"
    )


def nanpercentile(
    a: mx.array, q: Fraction, axis: Axis = None, keepdims: bool = False, *, method: str = "linear"
) -> mx.array:
    """As `percentile`, of what is a number."""
    fractions = _fractions(q, 100, "nanpercentile")
    return _quantile(a, fractions, axis, keepdims, method, True, "nanpercentile")


def nanmedian(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The median of what is a number."""
    return _quantile(
        a, _fractions(0.5, 1, "nanmedian"), axis, keepdims, "linear", True, "nanmedian"
    )
