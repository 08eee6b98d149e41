"""Modules that store a part of their parameters and gather the rest for each call.

The whole parameters exist during a call only; gradients come back averaged over the processes and
divided in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.utils import tree_flatten, tree_unflatten

__all__ = ["FullyShardedModule", "fully_shard"]

Group = Any  # mx.distributed.Group


def _joined(arrays: list[mx.array], rows: int) -> mx.array:
    return mx.concatenate([a.reshape(rows, -1) for a in arrays], axis=1)


def _separated(flat: mx.array, like: list[mx.array], rows: int) -> list[mx.array]:
    """Undo :func:`_joined`; each array gets `rows` times the first axis of that in `like`."""
    ends, end = [], 0
    for a in like[:-1]:
        end += a.size
        ends.append(end)
    pieces = mx.split(flat.reshape(rows, -1), ends, axis=1) if ends else [flat]
    return [
        piece.reshape(rows * a.shape[0], *a.shape[1:])
        for piece, a in zip(pieces, like, strict=True)
    ]


def _part_of(a: mx.array, group: Group) -> mx.array:
    """This process's part of an array along its first axis."""
    return mx.contiguous(mx.split(a, group.size())[group.rank()])


def _make_gather(group: Group, dtype: mx.Dtype) -> Callable:
    """A function from parts to whole arrays of a dtype, in one communication."""
    size = group.size()

    @mx.custom_function
    def gather(parts: list[mx.array]) -> list[mx.array]:
        flat = _joined([part.astype(dtype) for part in parts], 1)
        return _separated(mx.distributed.all_gather(flat, group=group), parts, size)

    @gather.vjp
    def gather_vjp(parts: list[mx.array], cotangents: list[mx.array], _: Any) -> list[mx.array]:
        total = mx.distributed.sum_scatter(_joined(cotangents, size), group=group)
        gradients = _separated(total / size, parts, 1)
        return [g.astype(part.dtype) for g, part in zip(gradients, parts, strict=True)]

    return gather


def _is_other(module: Module, key: str, value: Any) -> bool:
    """Accept parameters but those of modules that gather for themselves."""
    return Module.valid_parameter_filter(module, key, value) and not isinstance(
        value, FullyShardedModule
    )


class FullyShardedModule(Module):
    """Wrap a module and keep this process's part of its parameters.

    Each parameter is divided along its first axis. Modules of this kind below the wrapped one
    take care of themselves.

    Args:
        module: the module to wrap; it is changed.
        group: the group of processes; all if not given.
        compute_dtype: dtype of the gathered floating point parameters; their own if not given.

    Raises:
        ValueError: if a parameter cannot be divided.
    """

    def __init__(
        self,
        module: Module,
        group: Group | None = None,
        compute_dtype: mx.Dtype | None = None,
    ) -> None:
        super().__init__()
        group = group or mx.distributed.init()
        size = group.size()
        parameters = tree_flatten(module.filter_and_map(_is_other))
        for path, value in parameters:
            if value.ndim == 0:
                raise ValueError(f"Cannot shard parameter '{path}' because it is a scalar.")
            if value.shape[0] % size != 0:
                raise ValueError(
                    f"Cannot shard parameter '{path}' with shape {value.shape} across {size} "
                    f"devices: axis 0 must be divisible by {size}."
                )
        parts = [(path, _part_of(a, group)) for path, a in parameters]
        if parts:
            module.update(tree_unflatten(parts))
        self.module = module
        self._group = group
        self._compute_dtype = compute_dtype

    def _extra_repr(self) -> str:
        return f"num_sharded_params={len(self._parts())}"

    def _parts(self) -> dict[str, mx.array]:
        return tree_flatten(self.module.filter_and_map(_is_other), destination={})

    def _gathered(self, parts: dict[str, mx.array]) -> dict[str, mx.array]:
        by_dtype: dict[Any, list[str]] = {}
        for path, part in parts.items():
            dtype = part.dtype
            if self._compute_dtype is not None and mx.issubdtype(dtype, mx.floating):
                dtype = self._compute_dtype
            by_dtype.setdefault(dtype, []).append(path)
        whole: dict[str, mx.array] = {}
        for dtype, paths in by_dtype.items():
            arrays = _make_gather(self._group, dtype)([parts[path] for path in paths])
            whole.update(zip(paths, arrays, strict=True))
        return whole

    def _gathered_call(self, fn: Callable, *args: Any, **kwargs: Any) -> Any:
        parts = self._parts()
        if not parts:
            return fn(*args, **kwargs)
        whole = self._gathered(parts)
        self.module.update(tree_unflatten(whole))
        try:
            result = fn(*args, **kwargs)
            # What the call replaced, such as running statistics, is kept.
            for path, value in self._parts().items():
                if value is not whole[path]:
                    parts[path] = _part_of(value, self._group)
        finally:
            self.module.update(tree_unflatten(parts))
        return result

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._gathered_call(self.module, *args, **kwargs)

    def as_linear(self, *args: Any, **kwargs: Any) -> Any:
        """Call ``as_linear`` of the wrapped module."""
        return self._gathered_call(self.module.as_linear, *args, **kwargs)


def fully_shard(
    module: Module,
    *,
    group: Group | None = None,
    compute_dtype: mx.Dtype | None = None,
) -> Module:
    """Wrap a module in a :class:`FullyShardedModule`.

    A module of this kind, or any in a group of one process, comes back as it is.

    Args:
        module: the module; it is changed.
        group: the group of processes; all if not given.
        compute_dtype: dtype of the gathered floating point parameters; their own if not given.
    """
    group = group or mx.distributed.init()
    if group.size() == 1 or isinstance(module, FullyShardedModule):
        return module
    return FullyShardedModule(module, group, compute_dtype)
