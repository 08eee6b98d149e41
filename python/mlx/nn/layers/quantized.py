"""Layers that keep their weights in a few bits, and the conversion of models to them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.utils import tree_map_with_path

__all__ = ["QQLinear", "QuantizedEmbedding", "QuantizedLinear", "quantize"]


def _with_defaults(mode: str, group_size: int | None, bits: int | None) -> tuple[int, int]:
    """Group size and bits, those that `mode` implies where they are not given."""
    modes = mx._quantization_modes
    if mode not in modes:
        raise ValueError(
            f"Invalid quantization mode '{mode}'. Valid modes are: {', '.join(modes)}."
        )
    (_, default_bits), (_, default_group_size) = modes[mode]
    return group_size or default_group_size, bits or default_bits


class QuantizedBase(Module):
    """What layers with a quantized weight share.

    ``weight`` holds packed integers, ``scales`` and, in affine mode, ``biases`` a value for each
    group along the last axis.
    """

    def _set_weight(
        self, weight: mx.array, group_size: int | None, bits: int | None, mode: str
    ) -> None:
        self.group_size, self.bits = _with_defaults(mode, group_size, bits)
        self.mode = mode
        self.weight, self.scales, *biases = mx.quantize(
            weight, group_size=self.group_size, bits=self.bits, mode=mode
        )
        self.biases = biases[0] if biases else None

    def _settings(self) -> str:
        return f"group_size={self.group_size}, bits={self.bits}, mode={self.mode}"


class QuantizedEmbedding(QuantizedBase):
    """:class:`Embedding` with quantized vectors.

    All its arrays start frozen.

    Args:
        num_embeddings: size of the vocabulary.
        dims: length of the vectors.
        group_size: how many weights share a scale; by default what suits `mode`.
        bits: bits per weight; by default what suits `mode`.
        mode: the quantization mode, see ``mx.quantize``.
    """

    def __init__(
        self,
        num_embeddings: int,
        dims: int,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> None:
        super().__init__()
        weight = mx.random.normal(shape=(num_embeddings, dims), scale=math.sqrt(1 / dims))
        self._set_weight(weight, group_size, bits, mode)
        self.num_embeddings = num_embeddings
        self.dims = dims
        self.freeze()

    def _extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.dims}, {self._settings()}"

    def __call__(self, x: mx.array) -> mx.array:
        biases = self.get("biases")
        return mx.dequantize(
            self["weight"][x],
            scales=self["scales"][x],
            biases=None if biases is None else biases[x],
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
        )

    def as_linear(self, x: mx.array) -> mx.array:
        """Products of `x` with all vectors, to score the vocabulary with the same weight."""
        return mx._multiply_by_layer(x, self)

    @classmethod
    def from_embedding(
        cls,
        embedding_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> QuantizedEmbedding:
        """The quantized version of an :class:`Embedding`."""
        num_embeddings, dims = embedding_layer.weight.shape
        layer = cls(num_embeddings, dims, group_size, bits, mode)
        layer._set_weight(embedding_layer.weight, group_size, bits, mode)
        return layer


class QuantizedLinear(QuantizedBase):
    """:class:`Linear` with a quantized weight.

    All its arrays start frozen.

    Args:
        input_dims: size of the last axis of the input.
        output_dims: size of the last axis of the output.
        bias: whether to add a bias.
        group_size: how many weights share a scale; by default what suits `mode`.
        bits: bits per weight; by default what suits `mode`.
        mode: the quantization mode, see ``mx.quantize``.
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        bias: bool = True,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> None:
        super().__init__()
        bound = math.sqrt(1 / input_dims)
        weight = mx.random.uniform(-bound, bound, (output_dims, input_dims))
        self._set_weight(weight, group_size, bits, mode)
        if bias:
            self.bias = mx.zeros((output_dims,))
        self.freeze()

    def _extra_repr(self) -> str:
        output_dims, packed = self.weight.shape
        input_dims = packed * 32 // self.bits
        return (
            f"input_dims={input_dims}, output_dims={output_dims}, bias={'bias' in self}, "
            f"{self._settings()}"
        )

    def __call__(self, x: mx.array) -> mx.array:
        y = mx._multiply_by_layer(x, self)
        return y + self["bias"] if "bias" in self else y

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
    ) -> QuantizedLinear:
        """The quantized version of a :class:`Linear`, whose bias stays trainable."""
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, False, group_size, bits, mode)
        layer._set_weight(linear_layer.weight, group_size, bits, mode)
        if "bias" in linear_layer:
            layer.bias = linear_layer.bias
        return layer


class QQLinear(Module):
    """Linear map whose weight and input are both quantized for the product.

    The weight is an ordinary array in training mode and quantized in evaluation mode.

    Args:
        input_dims: size of the last axis of the input.
        output_dims: size of the last axis of the output.
        group_size: how many weights share a scale; by default what suits `mode`.
        bits: bits per weight; by default what suits `mode`.
        mode: ``"nvfp4"`` or ``"mxfp8"``.
    """

    def __init__(
        self,
        input_dims: int,
        output_dims: int,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "nvfp4",
    ) -> None:
        super().__init__()
        self.group_size, self.bits = _with_defaults(mode, group_size, bits)
        self.mode = mode
        bound = math.sqrt(1 / input_dims)
        self.weight = mx.random.uniform(-bound, bound, (output_dims, input_dims))
        self._quantized = False

    def _extra_repr(self) -> str:
        output_dims, input_dims = self.weight.shape
        if self._quantized:
            input_dims = input_dims * 32 // self.bits
        return (
            f"input_dims={input_dims}, output_dims={output_dims}, "
            f"group_size={self.group_size}, bits={self.bits}, mode={self.mode}"
        )

    def quantize(self) -> None:
        """Quantize the weight if it is not."""
        if not self._quantized:
            self.weight, self.scales = mx.quantize(
                self.weight, group_size=self.group_size, bits=self.bits, mode=self.mode
            )
            self._quantized = True

    def dequantize(self) -> None:
        """Make the weight an ordinary array if it is not."""
        if self._quantized:
            self.weight = mx.dequantize(
                self.weight,
                scales=self.scales,
                group_size=self.group_size,
                bits=self.bits,
                mode=self.mode,
            )
            del self.scales
            self._quantized = False

    def _set_training_mode(self, mode: bool) -> None:
        super()._set_training_mode(mode)
        if mode:
            self.dequantize()
        else:
            self.quantize()

    def __call__(self, x: mx.array) -> mx.array:
        return mx.qqmm(
            x,
            self["weight"],
            scales=self.get("scales"),
            group_size=self.group_size,
            bits=self.bits,
            mode=self.mode,
        )

    @classmethod
    def from_linear(
        cls,
        linear_layer: Module,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "nvfp4",
    ) -> QQLinear:
        """The version of a :class:`Linear` without bias that quantizes its input."""
        if "bias" in linear_layer:
            raise NotImplementedError("QQLinear does not support bias yet.")
        output_dims, input_dims = linear_layer.weight.shape
        layer = cls(input_dims, output_dims, group_size, bits, mode)
        layer.weight = linear_layer.weight
        layer.train(linear_layer.training)
        return layer


def quantize(
    model: Module,
    group_size: int | None = None,
    bits: int | None = None,
    *,
    mode: str = "affine",
    quantize_input: bool = False,
    class_predicate: Callable[[str, Module], bool | dict] | None = None,
) -> None:
    """Replace the layers of a model by quantized ones.

    Args:
        model: the model to change.
        group_size: how many weights share a scale; by default what suits `mode`.
        bits: bits per weight; by default what suits `mode`.
        mode: the quantization mode, see ``mx.quantize``.
        quantize_input: use layers that quantize their input too.
        class_predicate: receives the path and the module and says whether to quantize it, or
            returns the arguments for its ``to_quantized``. By default all modules that have this
            method are quantized.
    """
    wanted = class_predicate or (lambda _, module: hasattr(module, "to_quantized"))

    def convert(path: str, module: Any) -> Any:
        choice = wanted(path, module)
        if not choice:
            return module
        if not hasattr(module, "to_quantized"):
            raise ValueError(f"Unable to quantize model of type {type(module)}")
        if isinstance(choice, dict):
            return module.to_quantized(**choice)
        arguments = {"group_size": group_size, "bits": bits, "mode": mode}
        if quantize_input:
            arguments["quantize_input"] = True
        return module.to_quantized(**arguments)

    leaves = model.leaf_modules()
    model.update_modules(tree_map_with_path(convert, leaves, is_leaf=Module.is_module))
