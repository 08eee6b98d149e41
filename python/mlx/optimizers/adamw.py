"""Adam with decoupled weight decay (Loshchilov and Hutter, 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
from mlx.optimizers.adam import Adam
from mlx.optimizers.base import Scheduled


class AdamW(Adam):
    """:class:`Adam` applied to weights shrunk by ``learning_rate * weight_decay``.

    Args:
        learning_rate: a number or a schedule.
        betas: the parts of the two running means that are kept.
        eps: added to the denominator.
        weight_decay: how fast weights shrink.
        bias_correction: divide both means by the sum of the weights in them so far.
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        betas: Sequence[float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
        bias_correction: bool = False,
    ) -> None:
        super().__init__(learning_rate, betas, eps, bias_correction)
        self.weight_decay = weight_decay

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its means."""
        rate = self.learning_rate.astype(gradient.dtype)
        shrunk = parameter * (1 - rate * self.weight_decay)
        return super().apply_single(gradient, shrunk, state)
