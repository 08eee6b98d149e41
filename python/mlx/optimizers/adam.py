"""Adaptive moment estimation (Kingma and Ba, 2015)."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
from mlx.optimizers.base import Optimizer, Scheduled


def check_betas(optimizer: str, betas: Sequence[float]) -> None:
    """Raise a ValueError unless there are two numbers in [0, 1)."""
    if len(betas) != 2:
        raise ValueError(f"{optimizer} takes two betas, {len(betas)} were provided")
    for name, beta in zip(("beta1", "beta2"), betas, strict=True):
        if not 0 <= beta < 1:
            raise ValueError(f"{optimizer} {name} should be in [0, 1), {beta} was provided instead")


class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    With gradient g::

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g ** 2
        w = w - learning_rate * m / (sqrt(v) + eps)

    Args:
        learning_rate: a number or a schedule.
        betas: the parts of the two running means that are kept.
        eps: added to the denominator.
        bias_correction: divide both means by the sum of the weights in them so far, as the paper
            does.

    Raises:
        ValueError: if a beta is not in [0, 1) or `eps` is negative.
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        bias_correction: bool = False,
    ) -> None:
        super().__init__()
        check_betas("Adam", betas)
        if not eps >= 0:
            raise ValueError(f"Adam epsilon should be >=0, {eps} was provided instead")
        self._maybe_schedule("learning_rate", learning_rate)
        self.betas = list(betas)
        self.eps = eps
        self.bias_correction = bias_correction

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Start the means ``m`` and ``v`` at zero."""
        state["m"] = mx.zeros_like(parameter)
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its means."""
        rate = self.learning_rate.astype(gradient.dtype)
        beta1, beta2 = self.betas
        m = beta1 * state["m"] + (1 - beta1) * gradient
        v = beta2 * state["v"] + (1 - beta2) * mx.square(gradient)
        state["m"] = m
        state["v"] = v
        if not self.bias_correction:
            return parameter - rate * m / (mx.sqrt(v) + self.eps)

        step = self.step
        weight1 = (rate / (1 - beta1**step)).astype(gradient.dtype)
        weight2 = mx.rsqrt(1 - beta2**step).astype(gradient.dtype)
        return parameter - weight1 * m / (mx.sqrt(v) * weight2 + self.eps)
