"""Maximum and mean over sliding windows, with the channels last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["AvgPool1d", "AvgPool2d", "AvgPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d"]


def _windows(x: mx.array, kernel: tuple, stride: tuple) -> tuple[mx.array, tuple[int, ...]]:
    """All windows of `x` (N, ..., C) as a view, and the axes to reduce in it."""
    dims = len(kernel)
    sizes = x.shape[1:-1]
    if kernel == stride and all(n % k == 0 for n, k in zip(sizes, kernel, strict=True)):
        shape = [x.shape[0]]
        for n, k in zip(sizes, kernel, strict=True):
            shape += [n // k, k]
        return x.reshape(*shape, x.shape[-1]), tuple(range(2, 2 * dims + 1, 2))

    strides = [1]  # of a row contiguous array, innermost first
    for n in reversed(x.shape[1:]):
        strides.append(strides[-1] * n)
    outer, *inner, last = reversed(strides)
    counts = [max((n - k) // s + 1, 0) for n, k, s in zip(sizes, kernel, stride, strict=True)]
    steps = [step * s for step, s in zip(inner, stride, strict=True)]
    shape = [x.shape[0], *counts, *kernel, x.shape[-1]]
    view = mx.as_strided(x, shape, [outer, *steps, *inner, last])
    return view, tuple(range(1 + dims, 1 + 2 * dims))


class _Pool(Module):
    """What all pooling layers share; subclasses set the number of axes and the reduction."""

    _dims: ClassVar[int]
    _reduce: ClassVar[Callable[..., mx.array]]

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] | None = None,
        padding: int | tuple[int, ...] = 0,
    ) -> None:
        super().__init__()
        self._kernel_size = self._checked("kernel_size", kernel_size, 1)
        self._stride = self._kernel_size if stride is None else self._checked("stride", stride, 1)
        self._padding = self._checked("padding", padding, 0)

    def _checked(self, name: str, value: Any, least: int) -> tuple[int, ...]:
        dims = self._dims
        sizes = (value,) * dims if isinstance(value, int) else value
        if (
            not isinstance(sizes, (tuple, list))
            or len(sizes) != dims
            or not all(isinstance(n, int) for n in sizes)
        ):
            raise ValueError(
                f"[{type(self).__name__}] '{name}' must be an integer or a tuple containing "
                f"{dims} integer{'s' if dims > 1 else ''}"
            )
        if any(n < least for n in sizes):
            raise ValueError(
                f"[{type(self).__name__}] '{name}' must be "
                f"{'positive' if least else 'non-negative'} but got {tuple(sizes)}."
            )
        return tuple(sizes)

    def _extra_repr(self) -> str:
        return f"kernel_size={self._kernel_size}, stride={self._stride}, padding={self._padding}"

    def _padding_value(self, dtype: mx.Dtype) -> float:
        return 0

    def __call__(self, x: mx.array) -> mx.array:
        if x.ndim != self._dims + 2:
            raise ValueError(
                f"[{type(self).__name__}] Expected an input with {self._dims + 2} dimensions, "
                f"batch first and channels last, but got shape {x.shape}."
            )
        if any(self._padding):
            widths = [(0, 0), *((p, p) for p in self._padding), (0, 0)]
            x = mx.pad(x, widths, constant_values=self._padding_value(x.dtype))
        windows, axes = _windows(x, self._kernel_size, self._stride)
        return type(self)._reduce(windows, axes)


class _MaxPool(_Pool):
    _reduce = staticmethod(lambda windows, axes: mx.max(windows, axis=axes))

    def _padding_value(self, dtype: mx.Dtype) -> float:
        if mx.issubdtype(dtype, mx.integer):
            return mx.iinfo(dtype).min
        return -float("inf")


class _AvgPool(_Pool):
    _reduce = staticmethod(lambda windows, axes: mx.mean(windows, axis=axes))


class MaxPool1d(_MaxPool):
    """Maximum over windows of sequences (N, L, C).

    Args:
        kernel_size: length of the windows.
        stride: step between windows; `kernel_size` if not given.
        padding: how much of minus infinity, or the smallest integer, to put on both sides.
    """

    _dims = 1


class MaxPool2d(_MaxPool):
    """Maximum over windows of images (N, H, W, C).

    Args:
        kernel_size: height and width of the windows.
        stride: step between windows; `kernel_size` if not given.
        padding: how much of minus infinity, or the smallest integer, to put on both sides.
    """

    _dims = 2


class MaxPool3d(_MaxPool):
    """Maximum over windows of volumes (N, D, H, W, C).

    Args:
        kernel_size: depth, height and width of the windows.
        stride: step between windows; `kernel_size` if not given.
        padding: how much of minus infinity, or the smallest integer, to put on both sides.
    """

    _dims = 3


class AvgPool1d(_AvgPool):
    """Mean over windows of sequences (N, L, C).

    Args:
        kernel_size: length of the windows.
        stride: step between windows; `kernel_size` if not given.
        padding: how much of zeros, which count as entries, to put on both sides.
    """

    _dims = 1


class AvgPool2d(_AvgPool):
    """Mean over windows of images (N, H, W, C).

    Args:
        kernel_size: height and width of the windows.
        stride: step between windows; `kernel_size` if not given.
        padding: how much of zeros, which count as entries, to put on both sides.
    """

    _dims = 2


class AvgPool3d(_AvgPool):
    """Mean over windows of volumes (N, D, H, W, C).

    Args:
        kernel_size: depth, height and width of the windows.
        stride: step between windows; `kernel_size` if not given.
        padding: how much of zeros, which count as entries, to put on both sides.
    """

    _dims = 3
