"""Attention over several heads, and the encoder and decoder stacks built of it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mlx.core as mx
from mlx.nn.layers.activations import relu
from mlx.nn.layers.base import Module
from mlx.nn.layers.dropout import Dropout
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.normalization import LayerNorm

__all__ = [
    "MultiHeadAttention",
    "Transformer",
    "TransformerDecoder",
    "TransformerDecoderLayer",
    "TransformerEncoder",
    "TransformerEncoderLayer",
]


class MultiHeadAttention(Module):
    """Scaled dot product attention in several heads between projections (Vaswani et al., 2017).

    Args:
        dims: size of the model, divided among the heads.
        num_heads: the number of heads.
        query_input_dims: size of the queries; `dims` if not given.
        key_input_dims: size of the keys; `dims` if not given.
        value_input_dims: size of the values; that of the keys if not given.
        value_dims: size of the projected values; `dims` if not given.
        value_output_dims: size of the output; `dims` if not given.
        bias: whether the projections have biases.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        query_input_dims: int | None = None,
        key_input_dims: int | None = None,
        value_input_dims: int | None = None,
        value_dims: int | None = None,
        value_output_dims: int | None = None,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if dims % num_heads != 0:
            raise ValueError(
                "The input feature dimensions should be divisible by the number of heads "
                f"({dims} % {num_heads}) != 0"
            )
        query_input_dims = query_input_dims or dims
        key_input_dims = key_input_dims or dims
        value_input_dims = value_input_dims or key_input_dims
        value_dims = value_dims or dims
        value_output_dims = value_output_dims or dims

        self.num_heads = num_heads
        self.query_proj = Linear(query_input_dims, dims, bias=bias)
        self.key_proj = Linear(key_input_dims, dims, bias=bias)
        self.value_proj = Linear(value_input_dims, value_dims, bias=bias)
        self.out_proj = Linear(value_dims, value_output_dims, bias=bias)

    def _split_heads(self, x: mx.array) -> mx.array:
        return mx.unflatten(x, -1, (self.num_heads, -1)).transpose(0, 2, 1, 3)

    def __call__(
        self,
        queries: mx.array,
        keys: mx.array,
        values: mx.array,
        mask: mx.array | str | None = None,
    ) -> mx.array:
        """Attend.

        Args:
            queries: (N, queries, dims).
            keys: (N, keys, dims).
            values: (N, keys, dims).
            mask: what ``mx.fast.scaled_dot_product_attention`` takes as mask.

        Returns:
            An array (N, queries, output dims).
        """
        q = self._split_heads(self.query_proj(queries))
        k = self._split_heads(self.key_proj(keys))
        v = self._split_heads(self.value_proj(values))
        scale = math.sqrt(1 / q.shape[-1])
        y = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask=mask)
        return self.out_proj(y.transpose(0, 2, 1, 3).flatten(-2, -1))

    @staticmethod
    def create_additive_causal_mask(N: int, dtype: mx.Dtype = mx.float32) -> mx.array:
        """A mask (N, N) of zeros, and of the lowest finite numbers where keys are in the future."""
        indices = mx.arange(N)
        future = indices[:, None] < indices[None]
        return future.astype(dtype) * mx.finfo(dtype).min


class TransformerEncoderLayer(Module):
    """Self-attention and a two-layer network, each with normalisation, dropout and a shortcut.

    Args:
        dims: size of the model.
        num_heads: heads of the attention.
        mlp_dims: size of the hidden layer; ``4 * dims`` if not given.
        dropout: probability of dropout.
        activation: activation of the hidden layer.
        norm_first: normalise what enters the blocks rather than what leaves them.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        mlp_dims = mlp_dims or dims * 4
        self.attention = MultiHeadAttention(dims, num_heads)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.activation = activation
        self.norm_first = norm_first

    def _attend(self, x: mx.array, mask: mx.array | None) -> mx.array:
        return self.dropout1(self.attention(x, x, x, mask))

    def _feed_forward(self, x: mx.array) -> mx.array:
        return self.linear2(self.dropout2(self.activation(self.linear1(x))))

    def __call__(self, x: mx.array, mask: mx.array | None) -> mx.array:
        if self.norm_first:
            x = x + self._attend(self.ln1(x), mask)
            return x + self._feed_forward(self.ln2(x))
        x = self.ln1(x + self._attend(x, mask))
        return self.ln2(x + self._feed_forward(x))


class TransformerEncoder(Module):
    """A stack of :class:`TransformerEncoderLayer` and a final normalisation.

    Args:
        num_layers: the number of layers.
        dims: size of the model.
        num_heads: heads of the attention.
        mlp_dims: size of the hidden layers; ``4 * dims`` if not given.
        dropout: probability of dropout.
        activation: activation of the hidden layers.
        norm_first: normalise what enters the blocks rather than what leaves them.
        checkpoint: recompute the layers for gradients rather than keep their intermediates.
    """

    def __init__(
        self,
        num_layers: int,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.layers = [
            TransformerEncoderLayer(dims, num_heads, mlp_dims, dropout, activation, norm_first)
            for _ in range(num_layers)
        ]
        self.ln = LayerNorm(dims)
        self.checkpoint = checkpoint

    def __call__(self, x: mx.array, mask: mx.array | None) -> mx.array:
        for layer in self.layers:
            x = _recomputed(layer, self.checkpoint)(x, mask)
        return self.ln(x)


class TransformerDecoderLayer(Module):
    """Self-attention, attention to a memory and a two-layer network.

    Args:
        dims: size of the model.
        num_heads: heads of both attentions.
        mlp_dims: size of the hidden layer; ``4 * dims`` if not given.
        dropout: probability of dropout.
        activation: activation of the hidden layer.
        norm_first: normalise what enters the blocks rather than what leaves them.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
    ) -> None:
        super().__init__()
        mlp_dims = mlp_dims or dims * 4
        self.self_attention = MultiHeadAttention(dims, num_heads)
        self.cross_attention = MultiHeadAttention(dims, num_heads)
        self.ln1 = LayerNorm(dims)
        self.ln2 = LayerNorm(dims)
        self.ln3 = LayerNorm(dims)
        self.linear1 = Linear(dims, mlp_dims)
        self.linear2 = Linear(mlp_dims, dims)
        self.dropout1 = Dropout(dropout)
        self.dropout2 = Dropout(dropout)
        self.dropout3 = Dropout(dropout)
        self.activation = activation
        self.norm_first = norm_first

    def _attend(self, x: mx.array, mask: mx.array | None) -> mx.array:
        return self.dropout1(self.self_attention(x, x, x, mask))

    def _look_up(self, x: mx.array, memory: mx.array, mask: mx.array | None) -> mx.array:
        return self.dropout2(self.cross_attention(x, memory, memory, mask))

    def _feed_forward(self, x: mx.array) -> mx.array:
        return self.linear2(self.dropout3(self.activation(self.linear1(x))))

    def __call__(
        self,
        x: mx.array,
        memory: mx.array,
        x_mask: mx.array | None,
        memory_mask: mx.array | None,
    ) -> mx.array:
        if self.norm_first:
            x = x + self._attend(self.ln1(x), x_mask)
            x = x + self._look_up(self.ln2(x), memory, memory_mask)
            return x + self._feed_forward(self.ln3(x))
        x = self.ln1(x + self._attend(x, x_mask))
        x = self.ln2(x + self._look_up(x, memory, memory_mask))
        return self.ln3(x + self._feed_forward(x))


class TransformerDecoder(Module):
    """A stack of :class:`TransformerDecoderLayer` and a final normalisation.

    Args:
        num_layers: the number of layers.
        dims: size of the model.
        num_heads: heads of the attentions.
        mlp_dims: size of the hidden layers; ``4 * dims`` if not given.
        dropout: probability of dropout.
        activation: activation of the hidden layers.
        norm_first: normalise what enters the blocks rather than what leaves them.
        checkpoint: recompute the layers for gradients rather than keep their intermediates.
    """

    def __init__(
        self,
        num_layers: int,
        dims: int,
        num_heads: int,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        self.layers = [
            TransformerDecoderLayer(dims, num_heads, mlp_dims, dropout, activation, norm_first)
            for _ in range(num_layers)
        ]
        self.ln = LayerNorm(dims)
        self.checkpoint = checkpoint

    def __call__(
        self,
        x: mx.array,
        memory: mx.array,
        x_mask: mx.array | None,
        memory_mask: mx.array | None,
    ) -> mx.array:
        for layer in self.layers:
            x = _recomputed(layer, self.checkpoint)(x, memory, x_mask, memory_mask)
        return self.ln(x)


class Transformer(Module):
    """Encoder and decoder (Vaswani et al., 2017).

    Args:
        dims: size of the model.
        num_heads: heads of the attentions.
        num_encoder_layers: layers of the encoder.
        num_decoder_layers: layers of the decoder.
        mlp_dims: size of the hidden layers; ``4 * dims`` if not given.
        dropout: probability of dropout.
        activation: activation of the hidden layers.
        custom_encoder: a module to use in place of the encoder.
        custom_decoder: a module to use in place of the decoder.
        norm_first: normalise what enters the blocks rather than what leaves them.
        checkpoint: recompute the layers for gradients rather than keep their intermediates.
    """

    def __init__(
        self,
        dims: int = 512,
        num_heads: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        mlp_dims: int | None = None,
        dropout: float = 0.0,
        activation: Callable[[Any], Any] = relu,
        custom_encoder: Any | None = None,
        custom_decoder: Any | None = None,
        norm_first: bool = True,
        checkpoint: bool = False,
    ) -> None:
        super().__init__()
        shared = (dims, num_heads, mlp_dims, dropout, activation, norm_first, checkpoint)
        if custom_encoder is None:
            custom_encoder = TransformerEncoder(num_encoder_layers, *shared)
        if custom_decoder is None:
            custom_decoder = TransformerDecoder(num_decoder_layers, *shared)
        self.encoder = custom_encoder
        self.decoder = custom_decoder

    def __call__(
        self,
        src: mx.array,
        tgt: mx.array,
        src_mask: mx.array | None,
        tgt_mask: mx.array | None,
        memory_mask: mx.array | None,
    ) -> mx.array:
        memory = self.encoder(src, src_mask)
        return self.decoder(tgt, memory, tgt_mask, memory_mask)


def _recomputed(layer: Module, wanted: bool) -> Callable:
    from mlx.nn.utils import checkpoint  # imports the layers

    return checkpoint(layer) if wanted else layer
