"""Momentum orthogonalised by Newton-Schulz iterations (Jordan et al., 2024)."""

from __future__ import annotations

import mlx.core as mx
from mlx.optimizers.base import Optimizer, Scheduled

# Coefficients of the quintic iteration: steep at zero, so that small singular values grow fast.
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def _orthogonalised(x: mx.array, steps: int) -> mx.array:
    """The matrix with the singular vectors of `x` and singular values of about one."""
    a, b, c = _COEFFICIENTS
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.T
    x = x / (mx.sqrt(mx.sum(mx.square(x))) + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        step = mx.addmm(b * gram, gram, gram, beta=1.0, alpha=c)
        x = mx.addmm(a * x, step, x, beta=1.0, alpha=1.0)
    return x.T if tall else x


class Muon(Optimizer):
    """Momentum whose matrices are replaced by the nearest (semi-)orthogonal ones.

    Meant for the matrices inside networks; arrays with more than two axes are flattened to
    matrices (first, rest), and others follow their momentum unchanged. Embeddings, output layers,
    biases and gains are better given to another optimizer by way of :class:`MultiOptimizer`.

    With gradient g (plus ``weight_decay * w``)::

        v = momentum * v + (1 - momentum) * g
        w = w - learning_rate * sqrt(max(1, rows / columns)) * orthogonalised(v)

    Args:
        learning_rate: a number or a schedule.
        momentum: the part of the momentum that is kept.
        weight_decay: L2 penalty.
        nesterov: look ahead along the momentum.
        ns_steps: the number of Newton-Schulz iterations.
    """

    def __init__(
        self,
        learning_rate: Scheduled,
        momentum: float = 0.95,
        weight_decay: float = 0.01,
        nesterov: bool = True,
        ns_steps: int = 5,
    ) -> None:
        super().__init__()
        self._maybe_schedule("learning_rate", learning_rate)
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.nesterov = nesterov
        self.ns_steps = ns_steps

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Start the momentum ``v`` at zero."""
        state["v"] = mx.zeros_like(parameter)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its momentum."""
        if self.weight_decay != 0:
            gradient = gradient + self.weight_decay * parameter
        v = self.momentum * state["v"] + (1 - self.momentum) * gradient
        state["v"] = v
        update = v
        if self.nesterov:
            update = gradient * (1 - self.momentum) + v * self.momentum

        rate = self.learning_rate.astype(gradient.dtype)
        if update.ndim >= 2:
            matrix = update.reshape(update.shape[0], -1)
            update = _orthogonalised(matrix, self.ns_steps).reshape(update.shape)
            rate = rate * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5
        return parameter - rate * update
