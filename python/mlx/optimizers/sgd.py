"""Gradient descent with momentum."""

from __future__ import annotations

import mlx.core as mx
from mlx.optimizers.base import Optimizer, Scheduled


class SGD(Optimizer):
    """Stochastic gradient descent.

    With gradient g (plus ``weight_decay * w``)::

        v = momentum * v + (1 - dampening) * g
        w = w - learning_rate * v

    Without momentum the second line uses g, with Nesterov momentum ``g + momentum * v``.

    Args:
        learning_rate: a number or a schedule.
        momentum: the part of the velocity that is kept.
        weight_decay: L2 penalty.
        dampening: the part of the gradient kept out of the velocity.
        nesterov: look ahead along the velocity; needs momentum and no dampening.
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening.")
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.dampening = dampening
        self.nesterov = nesterov

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Start the velocity ``v`` at zero."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its velocity."""
        if self.weight_decay != 0:
            gradient = gradient + self.weight_decay * parameter
        rate = self.learning_rate.astype(gradient.dtype)
        if self.momentum <= 0:
            return parameter - rate * gradient

        v = self.momentum * state["v"]
        v = v + ((1 - self.dampening) * gradient if self.dampening > 0 else gradient)
        state["v"] = v
        return parameter - rate * (gradient + self.momentum * v if self.nesterov else v)
