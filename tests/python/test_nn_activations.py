"""Activations: values and gradients against NumPy, as functions and as modules."""

import math

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

X = np.concatenate(
    [[-100, -6, -3, -1, -0.5, -0.25, 0, 0.25, 0.5, 1, 3, 6, 100], np.linspace(-4, 4, 35)]
)
erf = np.vectorize(math.erf)


def sigmoid(x):
    return 1 / (1 + np.exp(-np.clip(x, -500, 500)))


def softplus(x):
    return np.logaddexp(x, 0)


def softmax(x):
    e = np.exp(x - x.max())
    return e / e.sum()


def elu(x, a=1.0):
    return np.where(x > 0, x, a * np.expm1(np.minimum(x, 0)))


# function of mlx, NumPy, and the module that does the same
CASES = {
    "relu": (nn.relu, lambda x: np.maximum(x, 0), nn.ReLU()),
    "relu2": (nn.relu2, lambda x: np.maximum(x, 0) ** 2, nn.ReLU2()),
    "relu6": (nn.relu6, lambda x: np.clip(x, 0, 6), nn.ReLU6()),
    "leaky_relu": (
        lambda x: nn.leaky_relu(x, 0.2),
        lambda x: np.where(x > 0, x, 0.2 * x),
        nn.LeakyReLU(0.2),
    ),
    "prelu": (
        lambda x: nn.prelu(x, mx.array([0.25])),
        lambda x: np.where(x > 0, x, 0.25 * x),
        nn.PReLU(),
    ),
    "elu": (lambda x: nn.elu(x, 0.7), lambda x: elu(x, 0.7), nn.ELU(0.7)),
    "celu": (
        lambda x: nn.celu(x, 0.7),
        lambda x: np.where(x > 0, x, 0.7 * np.expm1(np.minimum(x, 0) / 0.7)),
        nn.CELU(0.7),
    ),
    "selu": (nn.selu, lambda x: 1.0507 * elu(x, 1.67326), nn.SELU()),
    "sigmoid": (nn.sigmoid, sigmoid, nn.Sigmoid()),
    "silu": (nn.silu, lambda x: x * sigmoid(x), nn.SiLU()),
    "log_sigmoid": (nn.log_sigmoid, lambda x: -softplus(-x), nn.LogSigmoid()),
    "softplus": (nn.softplus, softplus, nn.Softplus()),
    "softsign": (nn.softsign, lambda x: x / (1 + np.abs(x)), nn.Softsign()),
    "softshrink": (
        lambda x: nn.softshrink(x, 0.3),
        lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.3, 0),
        nn.Softshrink(0.3),
    ),
    "hard_shrink": (
        lambda x: nn.hard_shrink(x, 0.3),
        lambda x: np.where(np.abs(x) > 0.3, x, 0),
        nn.HardShrink(0.3),
    ),
    "hard_tanh": (nn.hard_tanh, lambda x: np.clip(x, -1, 1), nn.HardTanh()),
    "hardswish": (nn.hardswish, lambda x: x * np.clip(x + 3, 0, 6) / 6, nn.Hardswish()),
    "tanh": (nn.tanh, np.tanh, nn.Tanh()),
    "mish": (nn.mish, lambda x: x * np.tanh(softplus(x)), nn.Mish()),
    "gelu": (nn.gelu, lambda x: x * (1 + erf(x / math.sqrt(2))) / 2, nn.GELU()),
    "gelu_approx": (
        nn.gelu_approx,
        lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
        nn.GELU("tanh"),
    ),
    "gelu_fast_approx": (
        nn.gelu_fast_approx,
        lambda x: x * sigmoid(1.702 * x),
        nn.GELU("fast"),
    ),
    "step": (lambda x: nn.step(x, 0.25), lambda x: (x >= 0.25).astype(int), nn.Step(0.25)),
    "softmax": (nn.softmax, softmax, nn.Softmax()),
    "softmin": (nn.softmin, lambda x: softmax(-x), nn.Softmin()),
    "log_softmax": (
        nn.log_softmax,
        lambda x: x - x.max() - np.log(np.exp(x - x.max()).sum()),
        nn.LogSoftmax(),
    ),
    "glu": (nn.glu, lambda x: x[:24] * sigmoid(x[24:]), nn.GLU()),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    fn, oracle, module = CASES[name]
    x = mx.array(X.astype(np.float32))
    np.testing.assert_allclose(np.array(fn(x)), oracle(X), rtol=2e-5, atol=1e-5)
    np.testing.assert_array_equal(np.array(module(x)), np.array(fn(x)))
    assert repr(module) == f"{type(module).__name__}()"
    if "soft" not in name or name in ("softplus", "softsign", "softshrink"):
        assert fn(mx.zeros((0, 2))).size == 0


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_half_types(name, dtype):
    fn, oracle, _ = CASES[name]
    if name == "gelu_approx":
        return  # x ** 3 overflows at the ends
    x = mx.array(X.astype(np.float32)).astype(dtype)
    y = fn(x)
    assert y.dtype == (mx.int32 if name == "step" else mx.float32 if name == "prelu" else dtype)
    exact = oracle(np.array(x.astype(mx.float32)).astype(np.float64))
    tolerance = 0.01 if dtype == mx.float16 else 0.05
    np.testing.assert_allclose(
        np.array(y.astype(mx.float32)), exact, rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"step"}))
def test_gradients(name):
    fn, oracle, _ = CASES[name]
    x = np.linspace(-2.9, 3.1, 48)  # no entry on a kink
    weights = np.cos(np.arange(oracle(x).size))
    grad = mx.grad(lambda x: (fn(x) * mx.array(weights.astype(np.float32))).sum())
    numeric = []
    for i in range(x.size):
        d = np.zeros_like(x)
        d[i] = 1e-6
        numeric.append(((oracle(x + d) - oracle(x - d)) * weights).sum() / 2e-6)
    got = np.array(grad(mx.array(x.astype(np.float32))))
    np.testing.assert_allclose(got, numeric, rtol=1e-3, atol=1e-4)


def test_gradients_stay_finite_far_out():
    x = mx.array([-1e4, -90.0, 90.0, 1e4])
    for fn in (nn.sigmoid, nn.silu, nn.softplus, nn.log_sigmoid, nn.mish, nn.gelu, nn.tanh):
        assert np.isfinite(np.array(mx.grad(lambda x, fn=fn: fn(x).sum())(x))).all(), fn


def test_axes():
    x = np.random.normal(size=(2, 4, 3)).astype(np.float32)
    e = np.exp(x)
    np.testing.assert_allclose(
        np.array(nn.softmax(mx.array(x), axis=1)), e / e.sum(1, keepdims=True), rtol=1e-5
    )
    np.testing.assert_allclose(
        np.array(nn.log_softmax(mx.array(x), axis=0)), x - np.log(e.sum(0)), rtol=1e-4, atol=1e-6
    )
    assert nn.glu(mx.array(x), axis=1).shape == (2, 2, 3)
    assert nn.GLU(axis=0)(mx.array(x)).shape == (1, 4, 3)


def test_settings():
    with pytest.raises(ValueError, match="should be in"):
        nn.GELU("exact")
    slopes = nn.PReLU(3, init=0.1)
    assert slopes.weight.shape == (3,)
    np.testing.assert_allclose(np.array(slopes(-mx.ones((2, 3)))), -0.1, rtol=1e-6)
    _, grads = nn.value_and_grad(slopes, lambda x: slopes(x).sum())(-mx.ones((2, 3)))
    np.testing.assert_allclose(np.array(grads["weight"]), -2.0)
