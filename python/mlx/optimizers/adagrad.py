"""Steps scaled by all gradients so far (Duchi et al., 2011)."""

from __future__ import annotations

import mlx.core as mx
from mlx.optimizers.base import Optimizer, Scheduled


class Adagrad(Optimizer):
    """Divide gradients by the root of the sum of their squares so far.

    With gradient g::

        v = v + g ** 2
        w = w - learning_rate * g / (sqrt(v) + eps)

    Args:
        learning_rate: a number or a schedule.
        eps: added to the denominator.

    Raises:
        ValueError: if `eps` is negative.
    """

    def __init__(self, learning_rate: Scheduled, eps: float = 1e-8) -> None:
        super().__init__()
        if not eps >= 0:
            raise ValueError(f"Adagrad epsilon should be >=0, {eps} was provided instead")
        self._maybe_schedule("learning_rate", learning_rate)
        self.eps = eps

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Start the sum of squares ``v`` at zero."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its sum of squares."""
        rate = self.learning_rate.astype(gradient.dtype)
        v = state["v"] + mx.square(gradient)
        state["v"] = v
        return parameter - rate * gradient / (mx.sqrt(v) + self.eps)
