"""Activation functions, and each of them as a module.

The functions are plain compositions of array operations; evaluation fuses them into one pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import mlx.core as mx
from mlx.nn.layers.base import Module

__all__ = [
    "CELU",
    "ELU",
    "GELU",
    "GLU",
    "SELU",
    "HardShrink",
    "HardTanh",
    "Hardswish",
    "LeakyReLU",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PReLU",
    "ReLU",
    "ReLU2",
    "ReLU6",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softmin",
    "Softplus",
    "Softshrink",
    "Softsign",
    "Step",
    "Tanh",
    "celu",
    "elu",
    "gelu",
    "gelu_approx",
    "gelu_fast_approx",
    "glu",
    "hard_shrink",
    "hard_tanh",
    "hardswish",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "prelu",
    "relu",
    "relu2",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softmax",
    "softmin",
    "softplus",
    "softshrink",
    "softsign",
    "step",
    "tanh",
]


def sigmoid(x: mx.array) -> mx.array:
    """``1 / (1 + exp(-x))``."""
    return mx.sigmoid(x)


def relu(x: mx.array) -> mx.array:
    """``max(x, 0)``."""
    return mx.maximum(x, 0)


def relu2(x: mx.array) -> mx.array:
    """``max(x, 0) ** 2``."""
    return mx.square(mx.maximum(x, 0))


def relu6(x: mx.array) -> mx.array:
    """``min(max(x, 0), 6)``."""
    return mx.minimum(mx.maximum(x, 0), 6.0)


def leaky_relu(x: mx.array, negative_slope: float = 0.01) -> mx.array:
    """``max(x, negative_slope * x)``."""
    return mx.maximum(negative_slope * x, x)


def prelu(x: mx.array, alpha: mx.array) -> mx.array:
    """``max(0, x) + alpha * min(0, x)``, where `alpha` is usually learned."""
    return mx.maximum(0, x) + alpha * mx.minimum(0, x)


def log_softmax(x: mx.array, axis: int = -1) -> mx.array:
    """``x - logsumexp(x)`` along `axis`, in float32 inside for half types."""
    wide = x.astype(mx.float32) if x.itemsize == 2 else x
    out = wide - mx.logsumexp(wide, axis=axis, keepdims=True)
    return out.astype(x.dtype) if x.dtype in (mx.float16, mx.bfloat16) else out


def softmax(x: mx.array, axis: int = -1) -> mx.array:
    """``exp(x) / sum(exp(x))`` along `axis`."""
    return mx.softmax(x, axis=axis)


def softmin(x: mx.array, axis: int = -1) -> mx.array:
    """Softmax of ``-x`` along `axis`."""
    return mx.softmax(-x, axis=axis)


def elu(x: mx.array, alpha: float = 1.0) -> mx.array:
    """``x`` where positive, ``alpha * (exp(x) - 1)`` elsewhere."""
    return mx.where(x > 0, x, alpha * (mx.exp(x) - 1))


def celu(x: mx.array, alpha: float = 1.0) -> mx.array:
    """``max(x, 0) + min(0, alpha * (exp(x / alpha) - 1))``."""
    return mx.maximum(x, 0.0) + alpha * (mx.exp(mx.minimum(x, 0.0) / alpha) - 1)


def selu(x: mx.array) -> mx.array:
    """ELU with the two constants that keep mean and variance through deep networks."""
    return elu(x, 1.67326) * 1.0507


def softplus(x: mx.array) -> mx.array:
    """``log(1 + exp(x))``."""
    return mx.logaddexp(x, 0)


def softsign(x: mx.array) -> mx.array:
    """``x / (1 + |x|)``."""
    return mx.divide(x, 1 + mx.abs(x))


def softshrink(x: mx.array, lambd: float = 0.5) -> mx.array:
    """``x`` moved by `lambd` towards zero, zero between plus and minus `lambd`."""
    return mx.where(mx.abs(x) > lambd, x - mx.sign(x) * lambd, 0)


def hard_shrink(x: mx.array, lambd: float = 0.5) -> mx.array:
    """``x`` with everything between plus and minus `lambd` set to zero."""
    return mx.where(mx.abs(x) > lambd, x, 0)


def hard_tanh(x: mx.array, min_val: float = -1.0, max_val: float = 1.0) -> mx.array:
    """``x`` limited to the range from `min_val` to `max_val`."""
    return mx.minimum(mx.maximum(x, min_val), max_val)


def hardswish(x: mx.array) -> mx.array:
    """``x * min(max(x + 3, 0), 6) / 6``."""
    return x * mx.minimum(mx.maximum(x + 3, 0), 6) / 6


def silu(x: mx.array) -> mx.array:
    """``x * sigmoid(x)``, also known as swish."""
    return x * mx.sigmoid(x)


def log_sigmoid(x: mx.array) -> mx.array:
    """``log(sigmoid(x))``, exact also where the sigmoid underflows."""
    return -softplus(-x)


def mish(x: mx.array) -> mx.array:
    """``x * tanh(softplus(x))``."""
    return x * mx.tanh(softplus(x))


def tanh(x: mx.array) -> mx.array:
    """Hyperbolic tangent."""
    return mx.tanh(x)


def step(x: mx.array, threshold: float = 0.0) -> mx.array:
    """1 from `threshold` upwards and 0 elsewhere, as integers."""
    return mx.where(x >= threshold, 1, 0)


def gelu(x: mx.array) -> mx.array:
    """``x`` times the normal distribution function of ``x``."""
    return x * (1 + mx.erf(x / math.sqrt(2))) / 2


def gelu_approx(x: mx.array) -> mx.array:
    """GELU by a hyperbolic tangent; within 0.0005 of :func:`gelu`."""
    return 0.5 * x * (1 + mx.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_fast_approx(x: mx.array) -> mx.array:
    """GELU as ``x * sigmoid(1.702 * x)``; within 0.021 of :func:`gelu`."""
    return x * mx.sigmoid(1.702 * x)


def glu(x: mx.array, axis: int = -1) -> mx.array:
    """The first half of `x` along `axis` times the sigmoid of the second half."""
    a, b = mx.split(x, indices_or_sections=2, axis=axis)
    return a * mx.sigmoid(b)


class _Pointwise(Module):
    """Base of the modules that have no settings."""

    _fn: ClassVar[Callable[..., mx.array]]

    def __call__(self, x: mx.array) -> mx.array:
        return type(self)._fn(x)


class Sigmoid(_Pointwise):
    """:func:`sigmoid` as a module."""

    _fn = staticmethod(sigmoid)


class Mish(_Pointwise):
    """:func:`mish` as a module."""

    _fn = staticmethod(mish)


class ReLU(_Pointwise):
    """:func:`relu` as a module."""

    _fn = staticmethod(relu)


class ReLU2(_Pointwise):
    """:func:`relu2` as a module."""

    _fn = staticmethod(relu2)


class ReLU6(_Pointwise):
    """:func:`relu6` as a module."""

    _fn = staticmethod(relu6)


class SELU(_Pointwise):
    """:func:`selu` as a module."""

    _fn = staticmethod(selu)


class SiLU(_Pointwise):
    """:func:`silu` as a module."""

    _fn = staticmethod(silu)


class Softplus(_Pointwise):
    """:func:`softplus` as a module."""

    _fn = staticmethod(softplus)


class Softsign(_Pointwise):
    """:func:`softsign` as a module."""

    _fn = staticmethod(softsign)


class Softmax(_Pointwise):
    """:func:`softmax` as a module."""

    _fn = staticmethod(softmax)


class Softmin(_Pointwise):
    """:func:`softmin` as a module."""

    _fn = staticmethod(softmin)


class LogSoftmax(_Pointwise):
    """:func:`log_softmax` as a module."""

    _fn = staticmethod(log_softmax)


class LogSigmoid(_Pointwise):
    """:func:`log_sigmoid` as a module."""

    _fn = staticmethod(log_sigmoid)


class Hardswish(_Pointwise):
    """:func:`hardswish` as a module."""

    _fn = staticmethod(hardswish)


class HardTanh(_Pointwise):
    """:func:`hard_tanh` as a module."""

    _fn = staticmethod(hard_tanh)


class Tanh(_Pointwise):
    """:func:`tanh` as a module."""

    _fn = staticmethod(tanh)


class LeakyReLU(Module):
    """:func:`leaky_relu` as a module.

    Args:
        negative_slope: slope below zero.
    """

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self._negative_slope = negative_slope

    def __call__(self, x: mx.array) -> mx.array:
        return leaky_relu(x, self._negative_slope)


class ELU(Module):
    """:func:`elu` as a module.

    Args:
        alpha: scale of the negative branch.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self._alpha = alpha

    def __call__(self, x: mx.array) -> mx.array:
        return elu(x, self._alpha)


class CELU(Module):
    """:func:`celu` as a module.

    Args:
        alpha: scale of the negative branch.
    """

    def __init__(self, alpha: float = 1.0) -> None:
        super().__init__()
        self._alpha = alpha

    def __call__(self, x: mx.array) -> mx.array:
        return celu(x, self._alpha)


class Softshrink(Module):
    """:func:`softshrink` as a module.

    Args:
        lambd: half the width of the zero range.
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def __call__(self, x: mx.array) -> mx.array:
        return softshrink(x, self.lambd)


class HardShrink(Module):
    """:func:`hard_shrink` as a module.

    Args:
        lambd: half the width of the zero range.
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def __call__(self, x: mx.array) -> mx.array:
        return hard_shrink(x, self.lambd)


class Step(Module):
    """:func:`step` as a module.

    Args:
        threshold: where the output changes from 0 to 1.
    """

    def __init__(self, threshold: float = 0.0) -> None:
        super().__init__()
        self.threshold = threshold

    def __call__(self, x: mx.array) -> mx.array:
        return step(x, self.threshold)


class GLU(Module):
    """:func:`glu` as a module.

    Args:
        axis: the axis to split.
    """

    def __init__(self, axis: int = -1) -> None:
        super().__init__()
        self.axis = axis

    def __call__(self, x: mx.array) -> mx.array:
        return glu(x, self.axis)


class PReLU(Module):
    """:func:`prelu` with a learned slope, held in ``weight``.

    Args:
        num_parameters: 1, or one slope for each entry of the last axis.
        init: the slope to start from.
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25) -> None:
        super().__init__()
        self.weight = mx.full([num_parameters], init)

    def __call__(self, x: mx.array) -> mx.array:
        return prelu(x, self.weight)


_GELUS = {"none": gelu, "precise": gelu_approx, "tanh": gelu_approx, "fast": gelu_fast_approx}


class GELU(Module):
    """GELU in the form that `approx` names.

    Args:
        approx: ``"none"`` for :func:`gelu`, ``"precise"`` or ``"tanh"`` for
            :func:`gelu_approx`, ``"fast"`` for :func:`gelu_fast_approx`.

    Raises:
        ValueError: for any other `approx`.
    """

    def __init__(self, approx: str = "none") -> None:
        super().__init__()
        if approx not in _GELUS:
            raise ValueError(
                f"The approximation should be in {list(_GELUS)} but '{approx}' was given"
            )
        self._approx = approx

    def __call__(self, x: mx.array) -> mx.array:
        return _GELUS[self._approx](x)
