"""Steps of equal size in every parameter (Chen et al., 2023)."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
from mlx.optimizers.adam import check_betas
from mlx.optimizers.base import Optimizer, Scheduled


class Lion(Optimizer):
    """Follow the sign of a mean of gradient and momentum.

    With gradient g::

        c = beta1 * m + (1 - beta1) * g
        m = beta2 * m + (1 - beta2) * g
        w = w - learning_rate * (sign(c) + weight_decay * w)

    Learning rates should be three to ten times smaller than those for Adam, and weight decays as
    much larger.

    Args:
        learning_rate: a number or a schedule.
        betas: the parts of the momentum kept in the step and in the momentum.
        weight_decay: how fast weights shrink.

    Raises:
        ValueError: if a beta is not in [0, 1).
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        betas: Sequence[float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__()
        check_betas("Lion", betas)
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas = list(betas)
        self.weight_decay = weight_decay

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Start the momentum ``m`` at zero."""
        state["m"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its momentum."""
        rate = self.learning_rate.astype(gradient.dtype)
        beta1, beta2 = self.betas
        m = state["m"]
        direction = mx.sign(beta1 * m + (1 - beta1) * gradient)
        state["m"] = beta2 * m + (1 - beta2) * gradient
        if self.weight_decay > 0:
            parameter = (1 - rate * self.weight_decay) * parameter
        return parameter - rate * direction
