"""Interpolation, integrals and differences of samples, and functions of the bits of floats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx

Number = float | mx.array
_BITS = {2: mx.int16, 4: mx.int32, 8: mx.int64}


def _is_complex(x: Any) -> bool:
    return isinstance(x, mx.array) and mx.issubdtype(x.dtype, mx.complexfloating)


def _floats(op: str, *values: Any) -> list[mx.array]:
    """The values as arrays of one float dtype; numbers beside arrays are weak."""
    for v in values:
        if isinstance(v, complex) or _is_complex(v):
            raise ValueError(f"[{op}] Needs real numbers, got complex ones.")
    arrays = [v for v in values if isinstance(v, (mx.array, int, float))]
    if not any(isinstance(v, mx.array) for v in arrays) or len(arrays) < len(values):
        arrays = [mx.asarray(v) for v in values]
    dtype = mx.result_type(*arrays)
    dtype = dtype if mx.issubdtype(dtype, mx.floating) else mx.float32
    return [mx.asarray(v, dtype=dtype) for v in values]


def interp(
    x: mx.array,
    xp: mx.array,
    fp: mx.array,
    left: Number | None = None,
    right: Number | None = None,
    period: float | None = None,
) -> mx.array:
    """The piecewise linear function through (xp, fp), xp ascending, at x; outside of it `left` and
    `right`, by default the first and the last of fp. With a period, xp may come in any order."""
    if _is_complex(fp):
        x, xp = _floats("interp", x, xp)
    else:
        x, xp, fp = _floats("interp", x, xp, fp)
    if period is not None:
        if period == 0:
            raise ValueError("[interp] The period must not be 0.")
        period = abs(period)
        x, xp = x % period, xp % period
        order = mx.argsort(xp)
        xp, fp = xp[order], fp[order]
        xp = mx.concatenate([xp[-1:] - period, xp, xp[:1] + period])
        fp = mx.concatenate([fp[-1:], fp, fp[:1]])
        left = right = None
    if xp.ndim != 1 or xp.shape != fp.shape or xp.size == 0:
        raise ValueError(
            f"[interp] Points of shapes {xp.shape} and {fp.shape} must be two vectors."
        )
    if xp.size == 1:
        inside = mx.broadcast_to(fp, x.shape) if x.ndim else fp[0]
    else:
        i = mx.clip(mx.searchsorted(xp, x, side="right").astype(mx.int32) - 1, 0, xp.size - 2)
        width = xp[i + 1] - xp[i]
        share = mx.where(width == 0, 0, (x - xp[i]) / mx.where(width == 0, 1, width))
        inside = fp[i] + (fp[i + 1] - fp[i]) * share
    inside = mx.where(x < xp[0], fp[0] if left is None else left, inside)
    inside = mx.where(x > xp[-1], fp[-1] if right is None else right, inside)
    return mx.where(mx.isnan(x), x, inside)


def trapezoid(y: mx.array, x: mx.array | None = None, dx: float = 1.0, axis: int = -1) -> mx.array:
    """The integral along an axis by the trapezoidal rule, at points `x` or in steps of `dx`."""
    y = mx.moveaxis(y, axis, -1)
    pairs = y[..., 1:] + y[..., :-1]
    if x is None:
        return (pairs * (dx / 2)).sum(-1)
    return (pairs * mx.diff(x if x.ndim == 1 else mx.moveaxis(x, axis, -1)) / 2).sum(-1)


def polyval(p: mx.array, x: mx.array) -> mx.array:
    """The polynomial with coefficients `p`, that of the highest power first, at x."""
    p, x = mx.asarray(p), mx.asarray(x)
    total = mx.zeros(x.shape, mx.result_type(p, x))
    for i in range(p.shape[0]):
        total = total * x + p[i]
    return total


def _gradient_along(f: mx.array, spacing: Number, axis: int, edge_order: int) -> mx.array:
    n = f.shape[axis]
    if n <= edge_order:
        raise ValueError(
            f"[gradient] Axis {axis} of shape {f.shape} needs at least {edge_order + 1} elements."
        )
    f = mx.moveaxis(f, axis, -1)
    steps = mx.asarray(spacing)
    steps = mx.diff(steps) if steps.ndim else mx.broadcast_to(steps, (n - 1,))
    slopes = (f[..., 1:] - f[..., :-1]) / steps
    before, after = steps[:-1], steps[1:]
    inner = (slopes[..., :-1] * after + slopes[..., 1:] * before) / (before + after)
    first, last = slopes[..., :1], slopes[..., -1:]
    if edge_order == 2:  # the parabola through the three outermost points
        first = first + (first - inner[..., :1])
        last = last + (last - inner[..., -1:])
    return mx.moveaxis(mx.concatenate([first, inner, last], -1), -1, axis)


def gradient(
    f: mx.array,
    *varargs: Number,
    axis: int | Sequence[int] | None = None,
    edge_order: int = 1,
) -> mx.array | list[mx.array]:
    """Central differences, one-sided at the ends, exact there for lines or, with an `edge_order` of
    2, for parabolas: for one axis an array, else a list of them. `varargs` are steps or
    coordinates, one for all axes or one for each."""
    if edge_order not in (1, 2):
        raise ValueError(f"[gradient] The edge_order is 1 or 2, not {edge_order}.")
    f = f if _is_complex(f) else _floats("gradient", f)[0]
    axes = range(f.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    spacings = list(varargs) or [1.0]
    spacings = spacings * len(axes) if len(spacings) == 1 else spacings
    if len(spacings) != len(axes):
        raise ValueError(f"[gradient] Got {len(spacings)} spacings for {len(axes)} axes.")
    parts = [_gradient_along(f, s, a, edge_order) for s, a in zip(spacings, axes, strict=True)]
    return parts[0] if len(parts) == 1 else parts


def hypot(x1: mx.array, x2: mx.array) -> mx.array:
    """sqrt(x1^2 + x2^2) without overflow on the way."""
    x1, x2 = _floats("hypot", x1, x2)
    dtype = x1.dtype
    if dtype.size == 2:  # rounded once, at the end
        x1, x2 = x1.astype(mx.float32), x2.astype(mx.float32)
    x1, x2 = mx.abs(x1), mx.abs(x2)
    high, low = mx.maximum(x1, x2), mx.minimum(x1, x2)
    ratio = low / mx.where(high == 0, 1, high)
    infinite = mx.logical_or(mx.isinf(x1), mx.isinf(x2))
    return mx.where(infinite, mx.inf, high * mx.sqrt(1 + ratio * ratio)).astype(dtype)


def signbit(x: mx.array) -> mx.array:
    """Whether the sign is set, that of zeros and NaN, too."""
    if not mx.issubdtype(x.dtype, mx.inexact):
        return x < 0
    (x,) = _floats("signbit", x)
    return x.view(_BITS[x.dtype.size]) < 0


def copysign(x1: mx.array, x2: mx.array) -> mx.array:
    """x1 with the sign of x2."""
    x1, x2 = _floats("copysign", x1, x2)
    return mx.where(signbit(x1) == signbit(x2), x1, -x1)


def nextafter(x1: mx.array, x2: mx.array) -> mx.array:
    """The number of x1's dtype that comes next after it on the way to x2."""
    x1, x2 = _floats("nextafter", x1, x2)
    x1, x2 = mx.broadcast_arrays(x1, x2)
    bits = _BITS[x1.dtype.size]
    outwards = (x2 > x1) == (x1 > 0)
    stepped = (x1.view(bits) + mx.where(outwards, 1, -1).astype(bits)).view(x1.dtype)
    least = copysign(mx.ones(x1.shape, bits).view(x1.dtype), x2)
    moved = mx.where(x1 == 0, least, stepped)
    unordered = mx.logical_or(mx.isnan(x1), mx.isnan(x2))
    return mx.where(unordered, mx.nan, mx.where(x1 == x2, x2, moved))
