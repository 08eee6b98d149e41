"""Limit the size of gradients."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx.utils import tree_map, tree_reduce


def clip_grad_norm(grads: Any, max_norm: float) -> tuple[Any, mx.array]:
    """Scale a tree of gradients down so that their norm is at most `max_norm`.

    Args:
        grads: a tree of arrays.
        max_norm: the largest norm of all of them together.

    Returns:
        The gradients and the norm they had.
    """

    def add_square(total: Any, grad: mx.array) -> mx.array:
        if grad.dtype == mx.float16:  # its squares overflow early
            grad = grad.astype(mx.float32)
        return total + grad.square().sum()

    def rescale(grad: mx.array) -> mx.array:
        scaled = grad * scale
        return scaled.astype(grad.dtype) if mx.issubdtype(grad.dtype, mx.floating) else scaled

    norm = mx.sqrt(tree_reduce(add_square, grads, 0.0))
    scale = mx.minimum(max_norm / (norm + 1e-6), 1.0)
    return tree_map(rescale, grads), norm
