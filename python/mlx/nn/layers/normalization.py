"""Layers that bring groups of entries to mean zero and variance one."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"]


def _check_eps(layer: str, eps: float) -> None:
    if not eps > 0:
        raise ValueError(f"[{layer}] 'eps' must be positive but got {eps}.")


def _standardised(x: mx.array, axes: tuple[int, ...], eps: float) -> mx.array:
    """Mean zero and variance one over the axes, in float32 inside for half types."""
    wide = x.astype(mx.float32) if x.itemsize == 2 else x
    mean = mx.mean(wide, axis=axes, keepdims=True)
    var = mx.var(wide, axis=axes, keepdims=True)
    out = (wide - mean) * mx.rsqrt(var + eps)
    return out.astype(x.dtype) if x.dtype in (mx.float16, mx.bfloat16) else out


class InstanceNorm(Module):
    """Normalise each channel of each sample over the axes between the first and the last.

    Args:
        dims: the number of channels, the last axis.
        eps: added to the variance.
        affine: whether to learn a scale and a shift for each channel.
    """

    def __init__(self, dims: int, eps: float = 1e-5, affine: bool = False) -> None:
        super().__init__()
        _check_eps("InstanceNorm", eps)
        if affine:
            self.weight = mx.ones((dims,))
            self.bias = mx.zeros((dims,))
        self.dims = dims
        self.eps = eps

    def _extra_repr(self) -> str:
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        x = _standardised(x, tuple(range(1, x.ndim - 1)), self.eps)
        return self.weight * x + self.bias if "weight" in self else x


class LayerNorm(Module):
    """Normalise the last axis (Ba et al., 2016).

    Args:
        dims: size of the last axis.
        eps: added to the variance.
        affine: whether to learn a scale.
        bias: whether to learn a shift as well.
    """

    def __init__(
        self, dims: int, eps: float = 1e-5, affine: bool = True, bias: bool = True
    ) -> None:
        super().__init__()
        _check_eps("LayerNorm", eps)
        if affine:
            self.weight = mx.ones((dims,))
            if bias:
                self.bias = mx.zeros((dims,))
        self.eps = eps
        self.dims = dims

    def _extra_repr(self) -> str:
        return f"{self.dims}, eps={self.eps}, affine={'weight' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.layer_norm(x, self.get("weight"), self.get("bias"), self.eps)


class RMSNorm(Module):
    """Divide by the root of the mean square of the last axis and scale (Zhang and Sennrich, 2019).

    Args:
        dims: size of the last axis.
        eps: added to the mean square.
    """

    def __init__(self, dims: int, eps: float = 1e-5) -> None:
        super().__init__()
        _check_eps("RMSNorm", eps)
        self.weight = mx.ones((dims,))
        self.eps = eps

    def _extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, eps={self.eps}"

    def __call__(self, x: mx.array) -> mx.array:
        return mx.fast.rms_norm(x, self["weight"], self.eps)


class GroupNorm(Module):
    """Normalise groups of channels of each sample (Wu and He, 2018).

    Args:
        num_groups: the number of groups.
        dims: the number of channels, the last axis.
        eps: added to the variance.
        affine: whether to learn a scale and a shift for each channel.
        pytorch_compatible: let each group consist of neighbouring channels, as PyTorch does,
            rather than of every `num_groups`-th one.
    """

    def __init__(
        self,
        num_groups: int,
        dims: int,
        eps: float = 1e-5,
        affine: bool = True,
        pytorch_compatible: bool = False,
    ) -> None:
        super().__init__()
        _check_eps("GroupNorm", eps)
        if num_groups < 1 or dims % num_groups != 0:
            raise ValueError(f"[GroupNorm] {dims} channels do not make {num_groups} equal groups.")
        if affine:
            self.bias = mx.zeros((dims,))
            self.weight = mx.ones((dims,))
        self.num_groups = num_groups
        self.dims = dims
        self.eps = eps
        self.pytorch_compatible = pytorch_compatible

    def _extra_repr(self) -> str:
        return (
            f"{self.num_groups}, {self.dims}, eps={self.eps}, "
            f"affine={'weight' in self}, pytorch_compatible={self.pytorch_compatible}"
        )

    def _neighbouring_groups(self, x: mx.array) -> mx.array:
        batch, *rest, dims = x.shape
        x = x.reshape(batch, -1, self.num_groups, dims // self.num_groups)
        x = x.transpose(0, 2, 1, 3).reshape(batch, self.num_groups, -1)
        x = mx.fast.layer_norm(x, None, None, self.eps)
        x = x.reshape(batch, self.num_groups, -1, dims // self.num_groups)
        return x.transpose(0, 2, 1, 3).reshape(batch, *rest, dims)

    def _interleaved_groups(self, x: mx.array) -> mx.array:
        batch, *rest, dims = x.shape
        x = _standardised(x.reshape(batch, -1, self.num_groups), (1,), self.eps)
        return x.reshape(batch, *rest, dims)

    def __call__(self, x: mx.array) -> mx.array:
        normalise = (
            self._neighbouring_groups if self.pytorch_compatible else self._interleaved_groups
        )
        x = normalise(x)
        return self.weight * x + self.bias if "weight" in self else x


class BatchNorm(Module):
    """Normalise each channel, the last axis, over all others (Ioffe and Szegedy, 2015).

    Inputs have two to four axes: (N, C), (N, L, C) or (N, H, W, C). In training mode the
    statistics are those of the input, and the running ones follow them. In evaluation mode the
    running ones are used.

    Args:
        num_features: the number of channels.
        eps: added to the variance.
        momentum: the weight of a new statistic in the running one.
        affine: whether to learn a scale and a shift for each channel.
        track_running_stats: whether to keep running statistics.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__()
        _check_eps("BatchNorm", eps)
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        if affine:
            self.weight = mx.ones((num_features,))
            self.bias = mx.zeros((num_features,))
        if track_running_stats:
            self.running_mean = mx.zeros((num_features,))
            self.running_var = mx.ones((num_features,))
            self.freeze(keys=["running_mean", "running_var"], recurse=False)

    def unfreeze(self, *args: Any, **kwargs: Any) -> Module:
        """Undo :meth:`freeze`, but never make the running statistics trainable."""
        super().unfreeze(*args, **kwargs)
        self.freeze(keys=["running_mean", "running_var"], recurse=False)
        return self

    def _extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={'weight' in self}, track_running_stats={self.track_running_stats}"
        )

    def _follow(self, mean: mx.array, var: mx.array, count: int) -> None:
        """Let the running statistics follow those of `count` values."""
        unbiased = var * (count / max(count - 1, 1))
        keep = 1 - self.momentum
        self.running_mean = keep * self.running_mean + self.momentum * mean
        self.running_var = keep * self.running_var + self.momentum * unbiased

    def __call__(self, x: mx.array) -> mx.array:
        if x.ndim < 2 or x.ndim > 4:
            raise ValueError(
                f"Expected input tensor to have 2, 3 or 4 dimensions, but got {x.ndim}"
            )
        weight, bias = self.get("weight"), self.get("bias")
        if not self.training and self.track_running_stats:
            x = (x - self.running_mean) * mx.rsqrt(self.running_var + self.eps)
            return x if weight is None else weight * x + bias

        count = x.size // x.shape[-1]
        if self.training and count == 1:
            raise ValueError("BatchNorm training requires more than one value per channel.")
        x, mean, var = mx._batch_norm(x, weight, bias, self.eps)
        if self.training and self.track_running_stats:
            self._follow(mean, var, count)
        return x
