"""Layers whose weights are divided among the processes of a group.

Each process computes a part of a product here; in `fully_sharded` it stores a part only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.nn.layers.fully_sharded import FullyShardedModule, fully_shard
from mlx.nn.layers.quantized import QuantizedBase, QuantizedLinear
from mlx.utils import tree_map_with_path

__all__ = [
    "AllToShardedLinear",
    "FullyShardedModule",
    "QuantizedAllToShardedLinear",
    "QuantizedShardedToAllLinear",
    "ShardedToAllLinear",
    "fully_shard",
    "shard_inplace",
    "shard_linear",
    "sum_gradients",
]

Group = Any  # mx.distributed.Group
Segments = int | list
Sharding = str | Callable[[str, mx.array], Any]


@lru_cache
def sum_gradients(group: Group) -> Callable[..., Any]:
    """The identity, whose gradients are summed over the processes of `group`."""
    if group.size() == 1:
        return lambda x: x

    @mx.custom_function
    def identity(x: mx.array) -> mx.array:
        return x

    @identity.vjp
    def identity_vjp(x: mx.array, cotangent: mx.array, _: mx.array) -> mx.array:
        return mx.distributed.all_sum(cotangent, group=group)

    return identity


def _cut(weight: mx.array, segments: Segments, axis: int) -> list[mx.array]:
    """Cut a weight that holds several others, given their number or where they begin."""
    if isinstance(segments, int):
        return mx.split(weight, segments, axis=axis)
    size = weight.shape[axis]
    if isinstance(segments[0], float):
        segments = [int(fraction * size) for fraction in segments]
    return mx.split(weight, segments, axis=axis)


def _all_to_sharded(segments: Segments) -> Callable[[str, mx.array], Any]:
    def rule(path: str, weight: mx.array) -> tuple[int, Segments]:
        return max(weight.ndim - 2, 0), segments

    return rule


def _sharded_to_all(segments: Segments) -> Callable[[str, mx.array], Any]:
    def rule(path: str, weight: mx.array) -> tuple[int, Segments] | None:
        return None if path.endswith("bias") else (-1, segments)

    return rule


_RULES = {"all-to-sharded": _all_to_sharded, "sharded-to-all": _sharded_to_all}


def _check_sharding(sharding: Sharding) -> None:
    if sharding not in _RULES:
        raise ValueError(
            f"Sharding type {sharding=} not supported, choose one of 'all-to-sharded' or "
            "'sharded-to-all'"
        )


def _own_part(parameters: dict, rule: Callable[[str, mx.array], Any], group: Group) -> dict:
    """What this process keeps of a tree of weights."""
    size, rank = group.size(), group.rank()

    def keep(path: str, weight: Any) -> Any:
        choice = rule(path, weight) if isinstance(weight, mx.array) else None
        if choice is None:
            return weight
        axis, segments = choice if isinstance(choice, tuple) else (choice, 1)
        parts = [mx.split(part, size, axis=axis)[rank] for part in _cut(weight, segments, axis)]
        return mx.contiguous(mx.concatenate(parts, axis=axis))

    return tree_map_with_path(keep, parameters)


def shard_inplace(
    module: Module,
    sharding: Sharding,
    *,
    segments: Segments = 1,
    group: Group | None = None,
) -> None:
    """Replace the parameters of a module by this process's part of them.

    Args:
        module: the module.
        sharding: ``"all-to-sharded"`` divides the outputs of linear maps, ``"sharded-to-all"``
            the inputs. Or a function that receives path and weight and returns ``None`` to keep
            it whole, the axis to divide, or the axis and `segments`.
        segments: how many weights are stored in one along the divided axis, or where all but the
            first begin, as indices or as fractions. Each is divided on its own.
        group: the group of processes; all if not given.
    """
    if callable(sharding):
        rule = sharding
    else:
        _check_sharding(sharding)
        rule = _RULES[sharding](segments)
    module.update(_own_part(module.parameters(), rule, group or mx.distributed.init()))


def shard_linear(
    module: Module,
    sharding: str,
    *,
    segments: Segments = 1,
    group: Group | None = None,
) -> Module:
    """The layer that computes this process's part of a linear layer, quantized or not.

    Args:
        module: the layer.
        sharding: ``"all-to-sharded"`` for a part of the outputs of a common input,
            ``"sharded-to-all"`` for common outputs of a part of the input.
        segments: how many weights are stored in one along the divided axis, or where all but the
            first begin, as indices or as fractions.
        group: the group of processes; all if not given.
    """
    _check_sharding(sharding)
    to_sharded = sharding == "all-to-sharded"
    if isinstance(module, QuantizedLinear):
        quantized = QuantizedAllToShardedLinear if to_sharded else QuantizedShardedToAllLinear
        return quantized.from_quantized_linear(module, segments=segments, group=group)
    plain = AllToShardedLinear if to_sharded else ShardedToAllLinear
    return plain.from_linear(module, segments=segments, group=group)


def _part_of_output(output_dims: int, group: Group) -> int:
    if output_dims % group.size() != 0:
        raise ValueError(
            f"Cannot shard the output of size {output_dims} across {group.size()} devices."
        )
    return output_dims // group.size()


def _part_of_input(input_dims: int, group: Group) -> int:
    if input_dims % group.size() != 0:
        raise ValueError(
            f"The input of size {input_dims} cannot be sharded across {group.size()} devices."
        )
    return input_dims // group.size()


class AllToShardedLinear(Module):
    """:class:`Linear` of which each process computes a part of the output.

    All processes have the whole input, and its gradients are summed over them.

    Args:
        input_dims: size of the input.
        output_dims: size of the whole output, a multiple of the number of processes.
        bias: whether to add a bias.
        group: the group of processes; all if not given.
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group: Group | None = None,
    ) -> None:
        super().__init__()
        self.group = group or mx.distributed.init()
        part = _part_of_output(output_dims, self.group)
        bound = math.sqrt(1.0 / input_dims)
        self.weight = mx.random.uniform(-bound, bound, (part, input_dims))
        if bias:
            self.bias = mx.random.uniform(-bound, bound, (part,))

    def _extra_repr(self) -> str:
        part, input_dims = self.weight.shape
        output_dims = part * self.group.size()
        return f"input_dims={input_dims}, output_dims={output_dims}, bias={'bias' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        x = sum_gradients(self.group)(x)
        if "bias" in self:
            return mx.addmm(self["bias"], x, self["weight"].T)
        return x @ self["weight"].T

    @classmethod
    def from_linear(
        cls, linear_layer: Module, *, segments: Segments = 1, group: Group | None = None
    ) -> AllToShardedLinear:
        """This process's part of a :class:`Linear`."""
        group = group or mx.distributed.init()
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, "bias" in linear_layer, group)
        layer.update(_own_part(linear_layer.parameters(), _all_to_sharded(segments), group))
        return layer


class ShardedToAllLinear(Module):
    """:class:`Linear` of which each process has a part of the input.

    All processes get the whole output, the sum of what they compute.

    Args:
        input_dims: size of the whole input, a multiple of the number of processes.
        output_dims: size of the output.
        bias: whether to add a bias.
        group: the group of processes; all if not given.
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group: Group | None = None,
    ) -> None:
        super().__init__()
        self.group = group or mx.distributed.init()
        part = _part_of_input(input_dims, self.group)
        bound = math.sqrt(1.0 / input_dims)
        self.weight = mx.random.uniform(-bound, bound, (output_dims, part))
        if bias:
            self.bias = mx.random.uniform(-bound, bound, (output_dims,))

    def _extra_repr(self) -> str:
        output_dims, part = self.weight.shape
        input_dims = part * self.group.size()
        return f"input_dims={input_dims}, output_dims={output_dims}, bias={'bias' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.distributed.all_sum(x @ self["weight"].T, group=self.group)
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_linear(
        cls, linear_layer: Module, *, segments: Segments = 1, group: Group | None = None
    ) -> ShardedToAllLinear:
        """This process's part of a :class:`Linear`."""
        group = group or mx.distributed.init()
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, "bias" in linear_layer, group)
        layer.update(_own_part(linear_layer.parameters(), _sharded_to_all(segments), group))
        return layer


class _QuantizedSharded(QuantizedBase):
    """What the quantized divided layers share; they stay frozen."""

    def _draw(
        self, output_dims: int, input_dims: int, bound: float, bias: bool, *settings: Any
    ) -> None:
        weight = mx.random.uniform(-bound, bound, (output_dims, input_dims))
        self._set_weight(weight, *settings)
        if bias:
            self.bias = mx.zeros((output_dims,))
        self.freeze()

    def unfreeze(self, *args: Any, **kwargs: Any) -> Module:
        """Unfreeze the modules below, but nothing of this one."""
        super().unfreeze(*args, **kwargs)
        return self.freeze(recurse=False)

    def _describe(self, output_factor: int, input_factor: int) -> str:
        output_dims, packed = self.weight.shape
        input_dims = packed * 32 // self.bits
        return (
            f"input_dims={input_dims * input_factor}, output_dims={output_dims * output_factor}, "
            f"bias={'bias' in self}, {self._settings()}"
        )

    @classmethod
    def _from_quantized(
        cls, source: Module, rule: Callable[[str, mx.array], Any], group: Group
    ) -> Any:
        output_dims, packed = source.weight.shape
        layer = cls(  # type: ignore[call-arg]
            packed * 32 // source.bits,
            output_dims,
            bias="bias" in source,
            group_size=source.group_size,
            bits=source.bits,
            mode=source.mode,
            group=group,
        )
        layer.update(_own_part(source.parameters(), rule, group))
        return layer


class QuantizedAllToShardedLinear(_QuantizedSharded):
    """:class:`QuantizedLinear` of which each process computes a part of the output.

    Args:
        input_dims: size of the input.
        output_dims: size of the whole output, a multiple of the number of processes.
        bias: whether to add a bias.
        group_size: how many weights share a scale.
        bits: bits per weight.
        mode: the quantization mode, see ``mx.quantize``.
        group: the group of processes; all if not given.
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
        mode: str = "affine",
        group: Group | None = None,
    ) -> None:
        super().__init__()
        self.group = group or mx.distributed.init()
        part = _part_of_output(output_dims, self.group)
        bound = math.sqrt(1.0 / input_dims)
        self._draw(part, input_dims, bound, bias, group_size, bits, mode)

    def _extra_repr(self) -> str:
        return self._describe(self.group.size(), 1)

    def __call__(self, x: mx.array) -> mx.array:
        y = mx._multiply_by_layer(sum_gradients(self.group)(x), self)
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_quantized_linear(
        cls, quantized_linear_layer: Module, *, segments: Segments = 1, group: Group | None = None
    ) -> QuantizedAllToShardedLinear:
        """This process's part of a :class:`QuantizedLinear`."""
        group = group or mx.distributed.init()
        return cls._from_quantized(quantized_linear_layer, _all_to_sharded(segments), group)


class QuantizedShardedToAllLinear(_QuantizedSharded):
    """:class:`QuantizedLinear` of which each process has a part of the input.

    Args:
        input_dims: size of the whole input, a multiple of the number of processes.
        output_dims: size of the output.
        bias: whether to add a bias.
        group_size: how many weights share a scale.
        bits: bits per weight.
        mode: the quantization mode, see ``mx.quantize``.
        group: the group of processes; all if not given.
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int = 64,
        bits: int = 4,
        mode: str = "affine",
        group: Group | None = None,
    ) -> None:
        super().__init__()
        self.group = group or mx.distributed.init()
        part = _part_of_input(input_dims, self.group)
        bound = math.sqrt(1.0 / input_dims)
        self._draw(output_dims, part, bound, bias, group_size, bits, mode)

    def _extra_repr(self) -> str:
        return self._describe(1, self.group.size())

    def __call__(self, x: mx.array) -> mx.array:
        y = mx.distributed.all_sum(mx._multiply_by_layer(x, self), group=self.group)
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_quantized_linear(
        cls, quantized_linear_layer: Module, *, segments: Segments = 1, group: Group | None = None
    ) -> QuantizedShardedToAllLinear:
        """This process's part of a :class:`QuantizedLinear`."""
        group = group or mx.distributed.init()
        return cls._from_quantized(quantized_linear_layer, _sharded_to_all(segments), group)
