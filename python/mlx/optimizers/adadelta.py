"""Steps in the units of the parameters (Zeiler, 2012)."""

from __future__ import annotations

import mlx.core as mx
from mlx.optimizers.base import Optimizer, Scheduled


class AdaDelta(Optimizer):
    """Scale gradients by the ratio of running means of past steps and past gradients.

    With gradient g::

        v = rho * v + (1 - rho) * g ** 2
        d = sqrt(u + eps) / sqrt(v + eps) * g
        u = rho * u + (1 - rho) * d ** 2
        w = w - learning_rate * d

    Args:
        learning_rate: a number or a schedule.
        rho: the part of the running means that is kept.
        eps: added under both roots.

    Raises:
        ValueError: if `rho` or `eps` is negative.
    """

    def __init__(self, learning_rate: Scheduled, rho: float = 0.9, eps: float = 1e-6) -> None:
        super().__init__()
        if not rho >= 0:
            raise ValueError(f"AdaDelta rho should be >=0, {rho} was provided instead")
        if not eps >= 0:
            raise ValueError(f"AdaDelta epsilon should be >=0, {eps} was provided instead")
        self._maybe_schedule("learning_rate", learning_rate)
        self.rho = rho
        self.eps = eps

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Start the mean squares ``v`` of gradients and ``u`` of steps at zero."""
        state["v"] = mx.zeros_like(parameter)
        state["u"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its mean squares."""
        rate = self.learning_rate.astype(gradient.dtype)
        rho, eps = self.rho, self.eps
        v = rho * state["v"] + (1 - rho) * mx.square(gradient)
        step = mx.sqrt(state["u"] + eps) / mx.sqrt(v + eps) * gradient
        state["v"] = v
        state["u"] = rho * state["u"] + (1 - rho) * mx.square(step)
        return parameter - rate * step
