"""Layers that set random parts of their input to zero while training."""

from __future__ import annotations

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["Dropout", "Dropout2d", "Dropout3d"]


class Dropout(Module):
    """Set each entry to zero with probability `p` and scale the others by ``1 / (1 - p)``.

    In evaluation mode the input comes back unchanged.

    Args:
        p: the probability, at least 0 and below 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if p < 0 or p >= 1:
            raise ValueError(f"The dropout probability {p} is not in [0, 1)")
        self._p_1 = 1 - p

    def _extra_repr(self) -> str:
        return f"p={1 - self._p_1}"

    def _mask_shape(self, x: mx.array) -> list[int]:
        return list(x.shape)

    def __call__(self, x: mx.array) -> mx.array:
        if self._p_1 == 1 or not self.training:
            return x
        mask = mx.random.bernoulli(self._p_1, self._mask_shape(x))
        return (mask * x) * (1 / self._p_1)


class _ChannelDropout(Dropout):
    """Drop whole channels, which are last, of inputs with or without a batch axis."""

    _dims: int

    def _mask_shape(self, x: mx.array) -> list[int]:
        if x.ndim not in (self._dims + 1, self._dims + 2):
            raise ValueError(
                f"Received input with {x.ndim} dimensions. "
                f"Expected {self._dims + 1} or {self._dims + 2} dimensions."
            )
        shape = list(x.shape)
        shape[-1 - self._dims : -1] = [1] * self._dims
        return shape


class Dropout2d(_ChannelDropout):
    """:class:`Dropout` of whole channels of images (N, H, W, C) or (H, W, C).

    Args:
        p: the probability, at least 0 and below 1.
    """

    _dims = 2


class Dropout3d(_ChannelDropout):
    """:class:`Dropout` of whole channels of volumes (N, D, H, W, C) or (D, H, W, C).

    Args:
        p: the probability, at least 0 and below 1.
    """

    _dims = 3
