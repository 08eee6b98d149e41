"""Vectors for the members of a vocabulary."""

from __future__ import annotations

import math

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["Embedding"]


class Embedding(Module):
    """Look up a vector for each integer.

    The weight has the shape ``(num_embeddings, dims)`` and starts normal with the standard
    deviation ``dims ** -0.5``.

    Args:
        num_embeddings: size of the vocabulary.
        dims: length of the vectors.
    """

    def __init__(self, num_embeddings: int, dims: int) -> None:
        super().__init__()
        scale = math.sqrt(1 / dims)
        self.weight = mx.random.normal(shape=(num_embeddings, dims), scale=scale)

    def _extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, {self.weight.shape[1]}"

    def __call__(self, x: mx.array) -> mx.array:
        return self["weight"][x]

    def as_linear(self, x: mx.array) -> mx.array:
        """Products of `x` with all vectors, to score the vocabulary with the same weight."""
        return x @ self["weight"].T

    def to_quantized(
        self,
        group_size: int | None = None,
        bits: int | None = None,
        mode: str = "affine",
        quantize_input: bool = False,
    ) -> Module:
        """The quantized layer with the vectors of this one.

        Args:
            group_size: how many weights share a scale; by default what suits `mode`.
            bits: bits per weight; by default what suits `mode`.
            mode: the quantization mode, see ``mx.quantize``.
            quantize_input: not supported, since the inputs are integers.
        """
        from mlx.nn.layers.quantized import QuantizedEmbedding

        if quantize_input:
            raise ValueError("Quantized input is not supported.")
        return QuantizedEmbedding.from_embedding(self, group_size, bits, mode)
