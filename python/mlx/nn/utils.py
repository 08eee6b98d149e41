"""Gradients of functions of a model, recomputation and averaging of gradients over processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.utils import tree_flatten, tree_map, tree_map_with_path


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
    return mx.value_and_grad(model, fn)


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


def average_gradients(
    gradients: Any,
    group: Any | None = None,
    all_reduce_size: int = 32 * 1024**2,
    communication_stream: mx.Stream | None = None,
) -> Any:
    """Average a tree of gradients over the processes of a group.

    Args:
        gradients: a tree of arrays, of the same structure in all processes.
        group: the group of processes; all if not given.
        all_reduce_size: join arrays of the same dtype until a message has this many bytes; with
            zero or less each array is sent on its own.
        communication_stream: the stream to communicate on; the default one if not given.
    """
    group = group or mx.distributed.init()
    size = group.size()
    if size == 1:
        return gradients

    def average(x: mx.array) -> mx.array:
        return mx.distributed.all_sum(x, group=group, stream=communication_stream) / size

    if all_reduce_size <= 0:
        return tree_map(average, gradients)

    averaged: dict[str, mx.array] = {}
    for batch in _batches(tree_flatten(gradients), all_reduce_size):
        ends, end = [], 0
        for _, x in batch[:-1]:
            end += x.size
            ends.append(end)
        total = average(mx.concatenate([x.reshape(-1) for _, x in batch]))
        pieces = mx.split(total, ends) if ends else [total]
        for (path, x), piece in zip(batch, pieces, strict=True):
            averaged[path] = piece.reshape(x.shape)
    return tree_map_with_path(lambda path, _: averaged[path or ""], gradients)


def _batches(leaves: list[tuple[str, mx.array]], size: int) -> Iterator[list[tuple[str, mx.array]]]:
    """Cut a list of named arrays into lists of one dtype and about `size` bytes."""
    by_dtype: dict[Any, list[tuple[str, mx.array]]] = {}
    for path, x in leaves:
        batch = by_dtype.setdefault(x.dtype, [])
        batch.append((path, x))
        if sum(y.nbytes for _, y in batch) >= size:
            yield by_dtype.pop(x.dtype)
    yield from by_dtype.values()


def clip_grad_norm_sharded(
    gradients: Any, max_norm: float, group: Any | None = None
) -> tuple[Any, mx.array]:
    """Scale gradients that are divided among processes so that their norm is at most `max_norm`.

    Args:
        gradients: a tree of arrays, this process's part.
        max_norm: the largest norm of all parts together.
        group: the group of processes; all if not given.

    Returns:
        The gradients and the norm that all parts had together.
    """
    from mlx.optimizers.clip import scale_to_norm, sum_of_squares

    group = group or mx.distributed.init()
    total = mx.distributed.all_sum(mx.array(sum_of_squares(gradients)), group=group)
    return scale_to_norm(gradients, mx.sqrt(total), max_norm)
