"""Learning rates (or other settings) as functions of the step."""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx

__all__ = ["cosine_decay", "exponential_decay", "join_schedules", "linear_schedule", "step_decay"]


def exponential_decay(init: float, decay_rate: float) -> Callable:
    """``init * decay_rate ** step``.

    Example:
        >>> optimizer = optim.SGD(learning_rate=optim.exponential_decay(1e-1, 0.9))
    """

    def schedule(step):
        return init * decay_rate**step

    return schedule


def step_decay(init: float, decay_rate: float, step_size: int) -> Callable:
    """`init`, multiplied by `decay_rate` after every `step_size` steps."""
    if step_size <= 0:
        raise ValueError(f"step_size must be greater than 0, but got {step_size}.")

    def schedule(step):
        return init * (decay_rate ** (step // step_size))

    return schedule


def cosine_decay(init: float, decay_steps: int, end: float = 0.0) -> Callable:
    """Half a cosine from `init` down to `end` over `decay_steps` steps, then `end`."""
    if decay_steps <= 0:
        raise ValueError(f"decay_steps must be greater than 0, but got {decay_steps}.")

    def schedule(step):
        progress = mx.minimum(step, decay_steps)
        part_left = 0.5 * (1.0 + mx.cos((math.pi / decay_steps) * progress))
        return end + part_left * (init - end)

    return schedule


def join_schedules(schedules: list[Callable], boundaries: list[int]) -> Callable:
    """Follow one schedule after the other, each counting its own steps from zero.

    Args:
        schedules: at least one schedule.
        boundaries: the step at which each but the first one starts.

    Example:
        >>> warmup = optim.linear_schedule(0, 1e-1, steps=10)
        >>> schedule = optim.join_schedules([warmup, optim.cosine_decay(1e-1, 200)], [10])
    """
    if len(schedules) == 0:
        raise ValueError("Must provide at least 1 schedule to join.")
    if len(schedules) != len(boundaries) + 1:
        raise ValueError(
            f"Received {len(boundaries)} boundaries but expected {len(schedules) - 1}."
        )

    def schedule(step):
        value = schedules[0](step)
        for boundary, following in zip(boundaries, schedules[1:], strict=True):
            value = mx.where(step < boundary, value, following(step - boundary))
        return value

    return schedule


def linear_schedule(init: float, end: float, steps: int) -> Callable:
    """A line from `init` to `end` over `steps` steps, then `end`."""
    if steps < 1:
        raise ValueError(f"steps must be greater than 0, but got {steps}.")

    def schedule(step):
        return mx.minimum(step, steps) * ((end - init) / steps) + init

    return schedule
