"""Maximum and mean over sliding windows, with the channels last."""

from __future__ import annotations

from typing import Any, ClassVar

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["AvgPool1d", "AvgPool2d", "AvgPool3d", "MaxPool1d", "MaxPool2d", "MaxPool3d"]


class _Pool(Module):
    """What all pooling layers share; subclasses set the number of axes and the kind."""

    _dims: ClassVar[int]
    _kind: ClassVar[str]

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

    def __call__(self, x: mx.array) -> mx.array:
        if x.ndim != self._dims + 2:
            raise ValueError(
                f"[{type(self).__name__}] Expected an input with {self._dims + 2} dimensions, "
                f"batch first and channels last, but got shape {x.shape}."
            )
        return mx._pool(x, self._kind, self._kernel_size, self._stride, self._padding)


class _MaxPool(_Pool):
    _kind = "max"


class _AvgPool(_Pool):
    _kind = "mean"


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
