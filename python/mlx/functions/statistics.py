"""Counts of values and moments of samples."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
from mlx.functions.axes import Axis


def bincount(
    x: mx.array, weights: mx.array | None = None, minlength: int = 0, *, length: int | None = None
) -> mx.array:
    """How often each int from 0 on occurs in `x`, or the sum of the weights at it. The result has
    `length` elements, and values beyond are not counted; without it the largest value is read."""
    if x.ndim != 1 or not mx.issubdtype(x.dtype, mx.integer):
        raise ValueError(f"[bincount] Needs a vector of ints, got {x.dtype} of shape {x.shape}.")
    if length is None:
        length = max(minlength, int(x.max()) + 1 if x.size else 0)
        if x.size and int(x.min()) < 0:
            raise ValueError("[bincount] Values must not be negative.")
    counted = mx.ones(x.shape, mx.int32) if weights is None else weights
    inside = mx.logical_and(x >= 0, x < length)
    zeros = mx.zeros((length,), counted.dtype)
    if length == 0:
        return zeros
    return zeros.at[mx.where(inside, x, 0)].add(mx.where(inside, counted, 0))


def _edges(a: mx.array, bins: int, bounds: tuple[float, float] | None, dtype: mx.Dtype) -> mx.array:
    if bounds is None and a.size:
        low, high = a.min().astype(dtype), a.max().astype(dtype)
    else:
        low, high = (mx.array(float(v), dtype) for v in bounds or (0, 1))
    flat = low == high
    low, high = mx.where(flat, low - 0.5, low), mx.where(flat, high + 0.5, high)
    steps = mx.arange(bins + 1, dtype=dtype) / bins
    return mx.where(steps == 1, high, low + (high - low) * steps)


def histogram(
    a: mx.array,
    bins: int | Sequence[float] | mx.array = 10,
    range: tuple[float, float] | None = None,
    density: bool = False,
    weights: mx.array | None = None,
) -> tuple[mx.array, mx.array]:
    """How many values fall between neighbouring edges, the last edge included, and the edges."""
    if mx.issubdtype(a.dtype, mx.complexfloating):
        raise ValueError(f"[histogram] Complex numbers have no order; got {a.dtype}.")
    a = a.reshape(-1)
    dtype = mx.float64 if a.dtype == mx.float64 else mx.float32
    if isinstance(bins, int):
        if bins < 1:
            raise ValueError(f"[histogram] Got {bins} bins; at least 1 is needed.")
        edges = _edges(a, bins, range, dtype)
    else:
        edges = bins if isinstance(bins, mx.array) else mx.array(list(bins), dtype)
    n = edges.size - 1
    values = a.astype(mx.result_type(a, edges))
    place = mx.searchsorted(edges.astype(values.dtype), values, side="right").astype(mx.int32) - 1
    place = mx.where(values == edges[-1], n - 1, place)
    counts = bincount(place, None if weights is None else weights.reshape(-1), length=n)
    if density:
        counts = counts / (counts.sum() * mx.diff(edges))
    return counts, edges


def average(a: mx.array, axis: Axis = None, weights: mx.array | None = None) -> mx.array:
    """The mean, or the mean weighted by `weights`: shaped as `a`, or a vector along an axis."""
    if weights is None:
        return mx.mean(a, axis)
    if weights.shape != a.shape:
        if weights.ndim != 1 or not isinstance(axis, int):
            raise ValueError(f"[average] Weights {weights.shape} do not fit values {a.shape}.")
        shape = [1] * a.ndim
        shape[axis] = -1
        weights = mx.broadcast_to(weights.reshape(shape), a.shape)
    return (a * weights).sum(axis) / weights.sum(axis)


def ptp(a: mx.array, axis: Axis = None, keepdims: bool = False) -> mx.array:
    """The largest value less the smallest."""
    return a.max(axis, keepdims=keepdims) - a.min(axis, keepdims=keepdims)


def cov(
    m: mx.array,
    y: mx.array | None = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: int | None = None,
    fweights: mx.array | None = None,
    aweights: mx.array | None = None,
) -> mx.array:
    """The covariances of the rows of `m` (its columns without `rowvar`) and those of `y`. Samples
    count as often as `fweights` say, and as much as `aweights` do."""

    def rows(x: mx.array) -> mx.array:
        x = x if mx.issubdtype(x.dtype, mx.inexact) else x.astype(mx.float32)
        x = x if x.ndim >= 2 else x.reshape(1, -1)
        return x if rowvar or x.shape[0] == 1 else x.T

    samples = rows(m) if y is None else mx.concatenate([rows(m), rows(y)], 0)
    ddof = (0 if bias else 1) if ddof is None else ddof
    if fweights is None and aweights is None:
        centred = samples - samples.mean(1, keepdims=True)
        return mx.squeeze(centred @ mx.conj(centred).T / (samples.shape[1] - ddof))
    ones = mx.ones((samples.shape[1],), mx.real(samples).dtype)
    counts = ones if fweights is None else mx.asarray(fweights, dtype=ones.dtype)
    shares = ones if aweights is None else mx.asarray(aweights, dtype=ones.dtype)
    if counts.shape != ones.shape or shares.shape != ones.shape:
        raise ValueError(f"[cov] Weights need the shape {ones.shape}, one for each sample.")
    weights = counts * shares
    total = weights.sum()
    centred = samples - (samples * weights).sum(1, keepdims=True) / total
    lost = ddof * (weights * shares).sum() / total
    return mx.squeeze((centred * weights) @ mx.conj(centred).T / (total - lost))


def corrcoef(x: mx.array, y: mx.array | None = None, rowvar: bool = True) -> mx.array:
    """The correlations of the rows of `x` (its columns without `rowvar`) and those of `y`."""
    c = cov(x, y, rowvar)
    if c.ndim == 0:
        return c / c
    spread = mx.sqrt(mx.real(mx.diagonal(c)))
    return mx.clip(c / spread[:, None] / spread[None, :], -1, 1)
