"""Ways to tell attention where things are."""

from __future__ import annotations

import math

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = ["ALiBi", "RoPE", "SinusoidalPositionalEncoding"]


class RoPE(Module):
    """Rotate pairs of features by angles that grow with the position (Su et al., 2021).

    The position is the second axis from the end, the features are the last one.

    Args:
        dims: how many features to rotate; the others stay.
        traditional: pair neighbours rather than the two halves.
        base: the ratio between the fastest and the slowest rotation.
        scale: factor of the positions.
    """

    def __init__(
        self, dims: int, traditional: bool = False, base: float = 10000, scale: float = 1.0
    ) -> None:
        super().__init__()
        self.dims = dims
        self.traditional = traditional
        self.base = base
        self.scale = scale

    def _extra_repr(self) -> str:
        return f"{self.dims}, traditional={self.traditional}"

    def __call__(self, x: mx.array, offset: int | mx.array = 0) -> mx.array:
        return mx.fast.rope(
            x,
            self.dims,
            traditional=self.traditional,
            base=self.base,
            scale=self.scale,
            offset=offset,
        )


class SinusoidalPositionalEncoding(Module):
    """Sines and cosines of the positions (Vaswani et al., 2017).

    The input is an array of positions; the encoding becomes a new last axis.

    Args:
        dims: size of the encoding, even.
        min_freq: the lowest frequency.
        max_freq: the highest frequency.
        scale: factor of the encoding; ``sqrt(2 / dims)`` if not given.
        cos_first: put the cosines before the sines.
        full_turns: count frequencies in turns rather than in radians.
    """

    def __init__(
        self,
        dims: int,
        min_freq: float = 0.0001,
        max_freq: float = 1,
        scale: float | None = None,
        cos_first: bool = False,
        full_turns: bool = False,
    ) -> None:
        super().__init__()
        if dims <= 0 or dims % 2 != 0:
            raise ValueError(
                f"[SinusoidalPositionalEncoding] dims must be positive and even but got {dims}."
            )
        half = dims // 2
        fraction = 1 - mx.arange(0, half) / max(half - 1, 1)
        low, high = math.log(min_freq), math.log(max_freq)
        frequencies = mx.exp(fraction * (high - low) + low)
        # The underscore keeps it out of the parameters.
        self._sigmas = frequencies * (2 * math.pi) if full_turns else frequencies
        self.scale = math.sqrt(2 / dims) if scale is None else scale
        self.cos_first = cos_first

    def __call__(self, x: mx.array) -> mx.array:
        angles = x[..., None] * self._sigmas
        waves = [mx.sin(angles), mx.cos(angles)]
        if self.cos_first:
            waves.reverse()
        y = mx.concatenate(waves, axis=-1)
        return y * self.scale if self.scale != 1 else y


class ALiBi(Module):
    """Lower attention scores with the distance, by another slope in each head (Press et al., 2022).

    The scores have the shape (batch, heads, queries, keys).
    """

    @staticmethod
    def create_alibi_matrix(
        q_sequence_length: int,
        k_sequence_length: int,
        num_heads: int,
        offset: int = 0,
        dtype: mx.Dtype = mx.float32,
    ) -> mx.array:
        """What to add to the scores.

        Args:
            q_sequence_length: the end of the range of query positions.
            k_sequence_length: the number of keys.
            num_heads: the number of heads.
            offset: the position of the first query.
            dtype: dtype of the result.

        Returns:
            An array (1, heads, queries, keys).
        """
        queries = mx.arange(offset, q_sequence_length)
        keys = mx.arange(0, k_sequence_length)
        distances = -mx.abs(mx.expand_dims(queries[:, None] - keys[None, :], (0, 1)))
        slopes = ALiBi.create_alibi_slope(num_heads, dtype)
        return distances.astype(dtype) * slopes

    @staticmethod
    def create_alibi_slope(num_heads: int, dtype: mx.Dtype = mx.float32) -> mx.array:
        """The slopes of the heads, of the shape (heads, 1, 1).

        They are powers with even exponents between 0 and -8. Where the number of heads is not a
        power of two, every other slope for twice the heads fills up those for fewer heads.
        """

        def powers(n: int) -> list[float]:
            return [2.0 ** (-8 * (i + 1) / n) for i in range(n)]

        whole = 2 ** int(math.log2(num_heads))
        slopes = powers(whole) + powers(2 * whole)[::2][: num_heads - whole]
        return mx.expand_dims(mx.array(slopes, dtype=dtype), (-1, -2))

    def __call__(
        self, attention_scores: mx.array, offset: int = 0, mask: mx.array | None = None
    ) -> mx.array:
        bias = self.create_alibi_matrix(
            attention_scores.shape[-2] + offset,
            attention_scores.shape[-1],
            attention_scores.shape[1],
            offset,
            attention_scores.dtype,
        )
        return attention_scores + (bias if mask is None else bias + mask)
