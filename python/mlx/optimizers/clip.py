"""Limit the size of gradients."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
from mlx.utils import tree_map, tree_reduce


def sum_of_squares(grads: Any) -> Any:
    """The sum over a tree of arrays, 0.0 if it is empty."""

    def add_square(total: Any, grad: mx.array) -> mx.array:
        if grad.dtype == mx.float16:  # its squares overflow early
            grad = grad.astype(mx.float32)
        return total + grad.square().sum()

    return tree_reduce(add_square, grads, 0.0)


def scale_to_norm(grads: Any, norm: mx.array, max_norm: float) -> tuple[Any, mx.array]:
    """The tree, scaled from `norm` to at most `max_norm`, and `norm`."""
    scale = mx.minimum(max_norm / (norm + 1e-6), 1.0)

    def rescale(grad: mx.array) -> mx.array:
        scaled = grad * scale
        return scaled.astype(grad.dtype) if mx.issubdtype(grad.dtype, mx.floating) else scaled

    return tree_map(rescale, grads), norm


def clip_grad_norm(grads: Any, max_norm: float) -> tuple[Any, mx.array]:
    """Scale a tree of gradients down so that their norm is at most `max_norm`.

    Args:
        grads: a tree of arrays.
        max_norm: the largest norm of all of them together.

    Returns:
        The gradients and the norm they had.
    """
    if max_norm < 0:
        raise ValueError(f"max_norm should be >=0, {max_norm} was provided instead")
    return scale_to_norm(grads, mx.sqrt(sum_of_squares(grads)), max_norm)
