"""Steps scaled by the size of recent gradients (Tieleman and Hinton, 2012)."""

from __future__ import annotations

import mlx.core as mx
from mlx.optimizers.base import Optimizer, Scheduled


class RMSprop(Optimizer):
    """Divide gradients by the root of a running mean of their squares.

    With gradient g::

        v = alpha * v + (1 - alpha) * g ** 2
        w = w - learning_rate * g / (sqrt(v) + eps)

    Args:
        learning_rate: a number or a schedule.
        alpha: the part of the running mean that is kept.
        eps: added to the denominator.

    Raises:
        ValueError: if `alpha` or `eps` is negative.
    """

    def __init__(self, learning_rate: Scheduled, alpha: float = 0.99, eps: float = 1e-8) -> None:
        super().__init__()
        if not alpha >= 0:
            raise ValueError(f"RMSprop alpha should be >=0, {alpha} was provided instead")
        if not eps >= 0:
            raise ValueError(f"RMSprop epsilon should be >=0, {eps} was provided instead")
        self._maybe_schedule("learning_rate", learning_rate)
        self.alpha = alpha
        self.eps = eps

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Start the mean square ``v`` at zero."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its mean square."""
        rate = self.learning_rate.astype(gradient.dtype)
        v = self.alpha * state["v"] + (1 - self.alpha) * mx.square(gradient)
        state["v"] = v
        return parameter - rate * gradient / (mx.sqrt(v) + self.eps)
