"""Checks of derivatives that the tests of several families share."""

import mlx.core as mx
import numpy as np


def like(x):
    """Normal random values in float64 with the shape of x."""
    return mx.array(np.asarray(np.random.randn(*x.shape), "f8"), dtype=mx.float64)


def check_gradient(f, inputs, rtol=1e-6, atol=1e-6):
    """vjp and jvp of f at float64 inputs against central differences in a random direction."""
    cotangent, tangents = like(f(*inputs)), [like(x) for x in inputs]
    _, gradients = mx.vjp(lambda *xs: [f(*xs)], inputs, [cotangent])
    _, (tangent,) = mx.jvp(lambda *xs: [f(*xs)], inputs, tangents)
    step = 1e-5
    ahead = f(*(x + step * t for x, t in zip(inputs, tangents, strict=True)))
    behind = f(*(x - step * t for x, t in zip(inputs, tangents, strict=True)))
    difference = np.array(ahead - behind) / (2 * step)
    np.testing.assert_allclose(np.array(tangent), difference, rtol=rtol, atol=atol)
    along = sum(np.sum(np.array(g) * np.array(t)) for g, t in zip(gradients, tangents, strict=True))
    expected = np.sum(np.array(cotangent) * difference)
    np.testing.assert_allclose(expected, along, rtol=rtol, atol=atol)
    for gradient, x in zip(gradients, inputs, strict=True):
        assert gradient.shape == x.shape
