"""Linear maps of the last axis, and the layer that does nothing."""

from __future__ import annotations

import math
from typing import Any

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["Bilinear", "Identity", "Linear"]


class Identity(Module):
    """Return the input; all arguments of the constructor are accepted and ignored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def __call__(self, x: mx.array) -> mx.array:
        return x


class Linear(Module):
    """Affine map ``x @ weight.T + bias`` of the last axis.

    The weight has the shape ``(output_dims, input_dims)``. Weight and bias start uniform between
    plus and minus ``input_dims ** -0.5``.

    Args:
        input_dims: size of the last axis of the input.
        output_dims: size of the last axis of the output.
        bias: whether to add a bias.
    """

    def __init__(self, input_dims: int, output_dims: int, bias: bool = True) -> None:
        super().__init__()
        bound = math.sqrt(1.0 / input_dims)
        self.weight = mx.random.uniform(-bound, bound, (output_dims, input_dims))
        if bias:
            self.bias = mx.random.uniform(-bound, bound, (output_dims,))

    def _extra_repr(self) -> str:
        output_dims, input_dims = self.weight.shape
        return f"input_dims={input_dims}, output_dims={output_dims}, bias={'bias' in self}"

    def __call__(self, x: mx.array) -> mx.array:
        if "bias" in self:
            return mx.addmm(self["bias"], x, self["weight"].T)
        return x @ self["weight"].T

    def to_quantized(
        self,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
        quantize_input: bool = False,
    ) -> Module:
        """The quantized layer with the weights of this one.

        Args:
            group_size: how many weights share a scale; by default what suits `mode`.
            bits: bits per weight; by default what suits `mode`.
            mode: the quantization mode, see ``mx.quantize``.
            quantize_input: make a layer that quantizes its input too, for ``"nvfp4"`` and
                ``"mxfp8"`` and layers without bias only.
        """
        from mlx.nn.layers.quantized import QQLinear, QuantizedLinear

        if not quantize_input:
            return QuantizedLinear.from_linear(self, group_size, bits, mode)
        if mode not in ("nvfp4", "mxfp8"):
            raise ValueError(
                f"Quantized activations are only supported for 'nvfp4' and 'mxfp8' modes, "
                f"got {mode}."
            )
        return QQLinear.from_linear(self, group_size, bits, mode)


class Bilinear(Module):
    """Bilinear map: output k is ``x1 @ weight[k].T @ x2 + bias[k]`` for the last axes.

    The weight has the shape ``(output_dims, input2_dims, input1_dims)``. Weight and bias start
    uniform between plus and minus ``input1_dims ** -0.5``.

    Args:
        input1_dims: size of the last axis of the first input.
        input2_dims: size of the last axis of the second input.
        output_dims: size of the last axis of the output.
        bias: whether to add a bias.
    """

    def __init__(
        self, input1_dims: int, input2_dims: int, output_dims: int, bias: bool = True
    ) -> None:
        super().__init__()
        bound = math.sqrt(1.0 / input1_dims)
        self.weight = mx.random.uniform(-bound, bound, (output_dims, input2_dims, input1_dims))
        if bias:
            self.bias = mx.random.uniform(-bound, bound, (output_dims,))

    def _extra_repr(self) -> str:
        output_dims, input2_dims, input1_dims = self.weight.shape
        return (
            f"input1_dims={input1_dims}, input2_dims={input2_dims}, "
            f"output_dims={output_dims}, bias={'bias' in self}"
        )

    def __call__(self, x1: mx.array, x2: mx.array) -> mx.array:
        output_dims, input2_dims, input1_dims = self.weight.shape
        lead = x1.shape[:-1]
        flat = self.weight.reshape(output_dims * input2_dims, input1_dims)
        mapped = (x1.reshape(-1, input1_dims) @ flat.T).reshape(-1, output_dims, input2_dims)
        y = (mapped @ x2.reshape(-1, input2_dims, 1)).reshape(*lead, output_dims)
        return y + self.bias if "bias" in self else y
