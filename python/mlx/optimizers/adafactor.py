"""Adam with the second moments of a matrix kept as rows and columns (Shazeer and Stern, 2018)."""

from __future__ import annotations

import mlx.core as mx
from mlx.optimizers.base import Optimizer, Scheduled


def _rms(x: mx.array) -> mx.array:
    return mx.sqrt(mx.mean(mx.square(x)))


class Adafactor(Optimizer):
    """Adaptive steps with memory for one row and one column instead of a matrix.

    Args:
        learning_rate: a number or a schedule, used unless `relative_step`.
        eps: added to squared gradients, and the smallest size of a parameter for
            `scale_parameter`.
        clip_threshold: the largest root mean square of a step before the learning rate.
        decay_rate: the part of the second moments that is replaced is ``step ** decay_rate``.
        beta_1: the part of the first moment that is kept; without it there is none.
        weight_decay: how fast weights shrink.
        scale_parameter: scale steps by the root mean square of the parameter.
        relative_step: use ``min(0.01, step ** -0.5)`` when there is no learning rate.
        warmup_init: with `relative_step`, start from ``1e-6 * step``.
    """

    def __init__(
        self,
        learning_rate: Scheduled | None = None,
        eps: tuple[float, float] = (1e-30, 1e-3),
        clip_threshold: float = 1.0,
        decay_rate: float = -0.8,
        beta_1: float | None = None,
        weight_decay: float = 0.0,
        scale_parameter: bool = True,
        relative_step: bool = True,
        warmup_init: bool = False,
    ) -> None:
        super().__init__()
        if learning_rate is not None:
            self._maybe_schedule("learning_rate", learning_rate)
        self.eps = eps
        self.clip_threshold = clip_threshold
        self.decay_rate = decay_rate
        self.beta_1 = beta_1
        self.weight_decay = weight_decay
        self.scale_parameter = scale_parameter
        self.relative_step = relative_step
        self.warmup_init = warmup_init

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Start the moments at zero: factored for arrays of at least two axes."""
        dtype, shape = parameter.dtype, parameter.shape
        if parameter.ndim >= 2:
            state["exp_avg_sq_row"] = mx.zeros(shape[:-1], dtype=dtype)
            state["exp_avg_sq_col"] = mx.zeros((*shape[:-2], shape[-1]), dtype=dtype)
        else:
            state["exp_avg_sq"] = mx.zeros_like(parameter)
        if self.beta_1 is not None:
            state["exp_avg"] = mx.zeros_like(parameter)

    def _rate(self, parameter_rms: mx.array) -> mx.array:
        if self.relative_step:
            step = self.step
            limit = 1e-6 * step if self.warmup_init else 1e-2
            rate = mx.minimum(limit, mx.rsqrt(step))
        else:
            rate = self.learning_rate
        rate = rate.astype(parameter_rms.dtype)
        return mx.maximum(self.eps[1], parameter_rms) * rate if self.scale_parameter else rate

    def _preconditioned(self, gradient: mx.array, state: dict) -> mx.array:
        """The gradient over the root of its second moment; updates the moment."""
        beta2 = 1.0 - (self.step**self.decay_rate).astype(gradient.dtype)
        square = mx.square(gradient) + self.eps[0]
        if gradient.ndim < 2:
            moment = beta2 * state["exp_avg_sq"] + (1 - beta2) * square
            state["exp_avg_sq"] = moment
            return mx.rsqrt(moment) * gradient

        row = beta2 * state["exp_avg_sq_row"] + (1 - beta2) * mx.mean(square, axis=-1)
        column = beta2 * state["exp_avg_sq_col"] + (1 - beta2) * mx.mean(square, axis=-2)
        state["exp_avg_sq_row"] = row
        state["exp_avg_sq_col"] = column
        row_factor = mx.rsqrt(row / mx.mean(row, axis=-1, keepdims=True))
        outer = mx.expand_dims(row_factor, -1) * mx.expand_dims(mx.rsqrt(column), -2)
        return outer * gradient

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and update its moments."""
        rate = self._rate(_rms(parameter))
        update = self._preconditioned(gradient, state)
        update = update / mx.maximum(1.0, _rms(update) / self.clip_threshold)
        update = rate * update
        if self.beta_1 is not None:
            update = self.beta_1 * state["exp_avg"] + (1 - self.beta_1) * update
            state["exp_avg"] = update
        if self.weight_decay != 0:
            parameter = parameter + parameter * (-self.weight_decay * rate)
        return parameter - update
