"""Gradients of functions of a model, recomputation and averaging of gradients over processes."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module


def value_and_grad(model: Module, fn: Callable) -> Callable:
    """Make a function that returns what `fn` returns and the gradients of the model.

    Args:
        model: the model that `fn` uses; its trainable parameters are differentiated.
        fn: returns a scalar loss or a tuple that starts with one.

    Returns:
        A function with the arguments of `fn` that returns ``(value, gradients)``, where the
        gradients have the structure of ``model.trainable_parameters()``.

    Example:
        >>> def loss_fn(x, y):
        ...     return nn.losses.mse_loss(model(x), y)
        >>> loss, grads = nn.value_and_grad(model, loss_fn)(x, y)
        >>> optimizer.update(model, grads)
    """

    def with_parameters(parameters: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        model.update(parameters)
        return fn(*args, **kwargs)

    differentiated = mx.value_and_grad(with_parameters)

    @wraps(fn)
    def call(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        parameters = model.trainable_parameters()
        try:
            return differentiated(parameters, *args, **kwargs)
        finally:
            model.update(parameters)

    return call


def checkpoint(module: Module, fn: Callable | None = None) -> Callable:
    """Make a function that keeps no intermediate results and recomputes them for gradients.

    Args:
        module: the module whose parameters the computation uses.
        fn: the function to call; the module itself if not given.

    Returns:
        A function with the arguments of `fn`.
    """
    target = module if fn is None else fn

    def with_parameters(parameters: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        module.update(parameters)
        return target(*args, **kwargs)

    recomputed = mx.checkpoint(with_parameters)

    @wraps(target)
    def call(*args: Any, **kwargs: Any) -> Any:
        return recomputed(module.trainable_parameters(), *args, **kwargs)

    return call
