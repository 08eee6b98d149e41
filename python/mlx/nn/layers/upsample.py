"""Change the spatial size of sequences, images and volumes (N, ..., C) by interpolation.

Every method works axis by axis: an output entry is a weighted sum of a few input entries, the
taps, along each axis.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["Upsample", "upsample_cubic", "upsample_linear", "upsample_nearest"]

Tap = tuple[mx.array, mx.array]  # where to read along an axis, and the weights


def _positions(size: int, scale: float, align_corners: bool) -> mx.array:
    """The place in the input of each output entry."""
    count = int(scale * size)
    if align_corners:
        return mx.arange(count) * ((size - 1) / max(count - 1, 1))
    # The centres of input and output coincide.
    return (mx.arange(count) - (count - 1) / 2) * (1 / scale) + (size - 1) / 2


def _linear_taps(size: int, scale: float, align_corners: bool) -> list[Tap]:
    position = mx.clip(_positions(size, scale, align_corners), 0, size - 1)
    low = mx.floor(position)
    fraction = position - low
    first = low.astype(mx.int32)
    return [(first, 1 - fraction), (mx.minimum(first + 1, size - 1), fraction)]


def _triangle(distance: mx.array) -> mx.array:
    return mx.maximum(1 - distance, 0)


def _cubic(distance: mx.array, a: float) -> mx.array:
    """The cubic convolution kernel with the slope `a` at distance 1 (Keys, 1981)."""
    d = distance
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = a * (((d - 5) * d + 8) * d - 4)
    return mx.where(d <= 1, near, mx.where(d < 2, far, 0))


def _cubic_taps(size: int, scale: float, align_corners: bool) -> list[Tap]:
    position = _positions(size, scale, align_corners)
    low = mx.floor(position)
    taps = []
    for offset in range(-1, 3):
        place = low + offset
        weight = _cubic(mx.abs(position - place), -0.75)
        taps.append((mx.clip(place, 0, size - 1).astype(mx.int32), weight))
    return taps


def _smoothed_taps(
    size: int, scale: float, kernel: Callable[[mx.array], mx.array], radius: int
) -> list[Tap]:
    """Taps of a kernel that grows when the size shrinks; weights inside the input sum to one."""
    squeeze = min(scale, 1.0)
    reach = radius / squeeze
    position = _positions(size, scale, align_corners=False)
    low = mx.floor(position - reach) + 1
    places, weights = [], []
    for offset in range(math.ceil(2 * reach)):
        place = low + offset
        inside = (place >= 0) & (place <= size - 1)
        weights.append(mx.where(inside, kernel(mx.abs(position - place) * squeeze), 0))
        places.append(mx.clip(place, 0, size - 1).astype(mx.int32))
    total = sum(weights[1:], weights[0])
    return [(place, weight / total) for place, weight in zip(places, weights, strict=True)]


def _interpolate(
    x: mx.array, scale_factor: Sequence[float], taps: Callable[[int, float], list[Tap]]
) -> mx.array:
    for axis, scale in enumerate(scale_factor, start=1):
        column = [1] * x.ndim
        column[axis] = -1
        terms = [
            mx.take(x, place, axis) * weight.reshape(column)
            for place, weight in taps(x.shape[axis], scale)
        ]
        x = sum(terms[1:], terms[0])
    return x


def upsample_nearest(x: mx.array, scale_factor: Sequence[float]) -> mx.array:
    """Take the nearest entry.

    Args:
        x: an array (N, ..., C).
        scale_factor: a factor for each spatial axis.
    """
    for axis, scale in enumerate(scale_factor, start=1):
        size = x.shape[axis]
        count = int(scale * size)
        if scale == int(scale):
            x = mx.repeat(x, count // max(size, 1), axis=axis)
            continue
        ratio = size / max(count, 1)
        if scale < 1:
            place = mx.floor(mx.arange(count) * ratio)
        else:
            place = mx.round((mx.arange(count) + 0.5) * ratio - 0.5)
        x = mx.take(x, mx.clip(place, 0, size - 1).astype(mx.int32), axis)
    return x


def _check_antialias(align_corners: bool, antialias: bool) -> None:
    if antialias and align_corners:
        raise ValueError(
            "[Upsample] antialias=True with align_corners=True is not supported. "
            "Use align_corners=False for antialiased interpolation."
        )


def upsample_linear(
    x: mx.array,
    scale_factor: Sequence[float],
    align_corners: bool = False,
    antialias: bool = False,
) -> mx.array:
    """Interpolate on the lines between entries.

    Args:
        x: an array (N, ..., C).
        scale_factor: a factor for each spatial axis.
        align_corners: let the first and last entries of input and output coincide, rather than
            the centres and the spacing.
        antialias: average over all entries that an output entry covers when the size shrinks.
    """
    _check_antialias(align_corners, antialias)
    if antialias:
        return _interpolate(x, scale_factor, lambda n, s: _smoothed_taps(n, s, _triangle, 1))
    return _interpolate(x, scale_factor, lambda n, s: _linear_taps(n, s, align_corners))


def upsample_cubic(
    x: mx.array,
    scale_factor: Sequence[float],
    align_corners: bool = False,
    antialias: bool = False,
) -> mx.array:
    """Interpolate with piecewise cubic polynomials.

    Args:
        x: an array (N, ..., C).
        scale_factor: a factor for each spatial axis.
        align_corners: let the first and last entries of input and output coincide, rather than
            the centres and the spacing.
        antialias: average over all entries that an output entry covers when the size shrinks.
    """
    _check_antialias(align_corners, antialias)
    if antialias:
        return _interpolate(
            x, scale_factor, lambda n, s: _smoothed_taps(n, s, lambda d: _cubic(d, -0.5), 2)
        )
    return _interpolate(x, scale_factor, lambda n, s: _cubic_taps(n, s, align_corners))


class Upsample(Module):
    """Change the size of all axes between the first (batch) and the last (channels).

    Args:
        scale_factor: one factor, or one for each spatial axis. The size is rounded down.
        mode: ``"nearest"``, ``"linear"`` or ``"cubic"``.
        align_corners: for linear and cubic: let the first and last entries of input and output
            coincide.
        antialias: for linear and cubic: average over what an output entry covers when the size
            shrinks.
    """

    def __init__(
        self,
        scale_factor: float | tuple,
        mode: Literal["nearest", "linear", "cubic"] = "nearest",
        align_corners: bool = False,
        antialias: bool = False,
    ) -> None:
        super().__init__()
        if mode not in ("nearest", "linear", "cubic"):
            raise ValueError(f"[Upsample] Got unsupported upsampling algorithm: {mode}")
        if antialias and mode == "nearest":
            raise ValueError(
                "[Upsample] Antialiasing is not supported for nearest neighbor upsampling"
            )
        _check_antialias(align_corners, antialias)
        self.scale_factor: float | tuple[float, ...]
        if isinstance(scale_factor, (list, tuple)):
            self.scale_factor = tuple(float(factor) for factor in scale_factor)
        else:
            self.scale_factor = float(scale_factor)
        self.mode = mode
        self.align_corners = align_corners
        self.antialias = antialias

    def _extra_repr(self) -> str:
        return (
            f"scale_factor={self.scale_factor}, mode={self.mode!r}, "
            f"align_corners={self.align_corners}" + (", antialias=True" if self.antialias else "")
        )

    def __call__(self, x: mx.array) -> mx.array:
        dims = x.ndim - 2
        if dims <= 0:
            raise ValueError(
                "[Upsample] The input should have at least 1 spatial dimension which means it "
                f"should be at least 3D but {x.ndim}D was provided"
            )
        factors = self.scale_factor
        if not isinstance(factors, tuple):
            factors = (factors,) * dims
        if len(factors) != dims:
            raise ValueError(
                "[Upsample] One scale per spatial dimension is required but scale_factor="
                f"{factors} and the number of spatial dimensions were {dims}"
            )
        if self.mode == "nearest":
            return upsample_nearest(x, factors)
        interpolate = upsample_linear if self.mode == "linear" else upsample_cubic
        return interpolate(x, factors, self.align_corners, self.antialias)
