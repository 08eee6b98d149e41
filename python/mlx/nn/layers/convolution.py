"""Convolutions over sequences, images and volumes with the channels last."""

from __future__ import annotations

import math

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["Conv1d", "Conv2d", "Conv3d"]


def spatial(value: int | tuple, dims: int) -> tuple:
    """`value` for each of `dims` axes, if it is a single number."""
    return (value,) * dims if isinstance(value, int) else tuple(value)


def random_weight(in_channels: int, out_channels: int, kernel_size: tuple, groups: int) -> mx.array:
    """A weight (out, *kernel, in / groups), uniform within one over the root of its fan-in."""
    inputs = in_channels // groups
    bound = math.sqrt(1.0 / (inputs * math.prod(kernel_size)))
    return mx.random.uniform(-bound, bound, (out_channels, *kernel_size, inputs))


class Conv1d(Module):
    """Convolution of sequences (N, L, C).

    The weight has the shape ``(out_channels, kernel_size, in_channels / groups)`` and starts
    uniform between plus and minus one over the root of its fan-in, the product of the last two;
    the bias starts at 0.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: length of the filters.
        stride: step between positions.
        padding: zeros put before and after the sequence.
        dilation: distance between the entries of a filter.
        groups: the number of parts of the channels that do not see each other.
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
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_channels % groups != 0:
            raise ValueError(
                f"The number of input channels ({in_channels}) must be "
                f"divisible by the number of groups ({groups})"
            )
        self.weight = random_weight(in_channels, out_channels, (kernel_size,), groups)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = padding
        self.dilation = dilation
        self.stride = stride
        self.groups = groups

    def _extra_repr(self) -> str:
        out_channels, kernel_size, in_channels = self.weight.shape
        return (
            f"{in_channels * self.groups}, {out_channels}, kernel_size={kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"groups={self.groups}, bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.conv1d(x, self.weight, self.stride, self.padding, self.dilation, self.groups)
        return y + self.bias if "bias" in self else y


class Conv2d(Module):
    """Convolution of images (N, H, W, C).

    The weight has the shape ``(out_channels, *kernel_size, in_channels / groups)`` and starts
    uniform between plus and minus one over the root of its fan-in, the product of all but the
    first; the bias starts at 0. Sizes are one number or a pair.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: height and width of the filters.
        stride: step between positions.
        padding: zeros put on both sides of the image.
        dilation: distance between the entries of a filter.
        groups: the number of parts of the channels that do not see each other.
        bias: whether to add a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple = 0,
        dilation: int | tuple = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_channels % groups != 0:
            raise ValueError(
                f"The number of input channels ({in_channels}) must be "
                f"divisible by the number of groups ({groups})"
            )
        self.weight = random_weight(in_channels, out_channels, spatial(kernel_size, 2), groups)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = spatial(padding, 2)
        self.stride = spatial(stride, 2)
        self.dilation = dilation
        self.groups = groups

    def _extra_repr(self) -> str:
        return (
            f"{self.weight.shape[-1] * self.groups}, {self.weight.shape[0]}, "
            f"kernel_size={self.weight.shape[1:-1]}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, groups={self.groups}, "
            f"bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.conv2d(x, self.weight, self.stride, self.padding, self.dilation, self.groups)
        return y + self.bias if "bias" in self else y


class Conv3d(Module):
    """Convolution of volumes (N, D, H, W, C).

    The weight has the shape ``(out_channels, *kernel_size, in_channels)`` and starts uniform
    between plus and minus ``(in_channels * prod(kernel_size)) ** -0.5``; the bias starts at 0.
    Sizes are one number or a triple.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: depth, height and width of the filters.
        stride: step between positions.
        padding: zeros put on both sides of the volume.
        dilation: distance between the entries of a filter.
        bias: whether to add a bias.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple,
        stride: int | tuple = 1,
        padding: int | tuple = 0,
        dilation: int | tuple = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.weight = random_weight(in_channels, out_channels, spatial(kernel_size, 3), 1)
        if bias:
            self.bias = mx.zeros((out_channels,))
        self.padding = spatial(padding, 3)
        self.stride = spatial(stride, 3)
        self.dilation = dilation

    def _extra_repr(self) -> str:
        return (
            f"{self.weight.shape[-1]}, {self.weight.shape[0]}, "
            f"kernel_size={self.weight.shape[1:-1]}, stride={self.stride}, "
            f"padding={self.padding}, dilation={self.dilation}, bias={'bias' in self}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.conv3d(x, self.weight, self.stride, self.padding, self.dilation)
        return y + self.bias if "bias" in self else y
