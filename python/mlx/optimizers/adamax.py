"""Adam with the maximum norm (Kingma and Ba, 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
from mlx.optimizers.adam import Adam
from mlx.optimizers.base import Scheduled


class Adamax(Adam):
    """Steps scaled by a decaying maximum of the gradient.

    With gradient g::

        m = beta1 * m + (1 - beta1) * g
        v = max(beta2 * v, |g|)
        w = w - learning_rate * m / (v + eps)

    Args:
        learning_rate: a number or a schedule.
        betas: the part of the mean that is kept, and the decay of the maximum.
        eps: added to the denominator.

    Raises:
        ValueError: if a beta is not in [0, 1) or `eps` is negative.
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(learning_rate, betas, eps)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its mean and maximum."""
        rate = self.learning_rate.astype(gradient.dtype)
        beta1, beta2 = self.betas
        m = beta1 * state["m"] + (1 - beta1) * gradient
        v = mx.maximum(beta2 * state["v"], mx.abs(gradient))
        state["m"] = m
        state["v"] = v
        return parameter - rate * m / (v + self.eps)
