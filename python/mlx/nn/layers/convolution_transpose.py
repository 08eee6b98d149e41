"""Transposed convolutions: what takes the outputs of a convolution back to its input's size."""

from __future__ import annotations

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.convolution import random_weight, spatial

__all__ = ["ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]


class ConvTranspose1d(Module):
    """Transposed convolution of sequences (N, L, C).

    The weight has the shape ``(out_channels, kernel_size, in_channels)`` and starts uniform
    between plus and minus ``(in_channels * kernel_size) ** -0.5``; the bias starts at 0.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: length of the filters.
        stride: distance of the input's entries in the output.
        padding: entries dropped from both ends of the output.
        dilation: distance between the entries of a filter.
        output_padding: entries added to the end of the output.
        bias: whether to add a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        output_padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = random_weight(in_channels, out_channels, (kernel_size,), 1)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = padding
        self.dilation = dilation
        self.stride = stride
        self.output_padding = output_padding

    def _extra_repr(self) -> str:
        out_channels, kernel_size, in_channels = self.weight.shape
        return (
            f"{in_channels}, {out_channels}, kernel_size={kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"output_padding={self.output_padding}, bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.conv_transpose1d(
            x, self.weight, self.stride, self.padding, self.dilation, self.output_padding
        )
        return y + self.bias if "bias" in self else y


class _ConvTransposeNd(Module):
    """What the transposed convolutions over two and three axes share."""

    _dims: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple = 0,
        dilation: int | tuple = 1,
        output_padding: int | tuple = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        dims = self._dims
        self.weight = random_weight(in_channels, out_channels, spatial(kernel_size, dims), 1)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = spatial(padding, dims)
        self.stride = spatial(stride, dims)
        self.output_padding = spatial(output_padding, dims)
        self.dilation = dilation

    def _extra_repr(self) -> str:
        return (
            f"{self.weight.shape[-1]}, {self.weight.shape[0]}, "
            f"kernel_size={self.weight.shape[1:-1]}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, "
            f"output_padding={self.output_padding}, bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        transpose = mx.conv_transpose2d if self._dims == 2 else mx.conv_transpose3d
        y = transpose(x, self.weight, self.stride, self.padding, self.dilation, self.output_padding)
        return y + self.bias if "bias" in self else y


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution of images (N, H, W, C).

    The weight has the shape ``(out_channels, *kernel_size, in_channels)`` and starts uniform
    between plus and minus ``(in_channels * prod(kernel_size)) ** -0.5``; the bias starts at 0.
    Sizes are one number or a pair.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the filters.
        stride: distance of the input's entries in the output.
        padding: entries dropped from all sides of the output.
        dilation: distance between the entries of a filter.
        output_padding: entries added to the end of each axis of the output.
        bias: whether to add a bias.
    """

    _dims = 2


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution of volumes (N, D, H, W, C); see :class:`ConvTranspose2d`.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: depth, height and width of the filters.
        stride: distance of the input's entries in the output.
        padding: entries dropped from all sides of the output.
        dilation: distance between the entries of a filter.
        output_padding: entries added to the end of each axis of the output.
        bias: whether to add a bias.
    """

    _dims = 3
