"""Axes as functions take them: one, several or all."""

from __future__ import annotations

import mlx.core as mx

Axis = int | tuple[int, ...] | None


def axes_of(a: mx.array, axis: Axis, op: str) -> list[int]:
    """Their numbers from 0 on, in order. Raises AxisError; ValueError for one that comes twice."""
    axes = range(a.ndim) if axis is None else [axis] if isinstance(axis, int) else axis
    for i in axes:
        if not -a.ndim <= i < a.ndim:
            raise mx.AxisError(f"[{op}] An array of shape {a.shape} has no axis {i}.")
    numbers = sorted(i % a.ndim for i in axes)
    if len(set(numbers)) < len(numbers):
        raise ValueError(f"[{op}] Axes {axis} of an array of {a.ndim} axes must differ.")
    return numbers
