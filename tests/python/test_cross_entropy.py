"""The loss of class indices against NumPy in float64: values, gradients, and every transform."""

import io

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from oracle import FLOATS, assert_close, check_derivatives, check_vmap, to_mlx, to_numpy, values


def losses(x, targets):
    """Losses and logits' gradients of their sum; targets outside count as a logit of 0."""
    x = np.asarray(x, "f8")
    n = x.shape[-1]
    shift = x.max(-1, keepdims=True)
    e = np.exp(x - shift)
    total = e.sum(-1, keepdims=True)
    valid = (targets >= 0) & (targets < n)
    index = np.where(valid, targets, 0)[..., None]
    score = np.where(valid, np.take_along_axis(x, index, -1)[..., 0], 0)
    onehot = (np.arange(n) == np.asarray(targets)[..., None]) * 1.0
    return (shift + np.log(total))[..., 0] - score, e / total - onehot


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize(
    "shape", [(5,), (1, 1), (4, 5, 7), (3, 1000), (2, 2048), (300, 40), (3, 5001)]
)
def test_cross_entropy(name, shape):
    x = values(name, shape) * 4
    targets = np.random.default_rng(1).integers(0, shape[-1], shape[:-1])
    want, gradient = losses(x, targets)
    a = to_mlx(x, name)
    got = mx.fast.cross_entropy(a, mx.array(targets))
    inner = "float64" if name == "float64" else "float32"
    assert got.dtype == getattr(mx, inner)
    assert_close(got, want, inner, 4)
    got = mx.grad(lambda a: mx.sum(mx.fast.cross_entropy(a, mx.array(targets))))(a)
    assert got.dtype == a.dtype
    assert_close(got, gradient, name)


def test_targets_of_all_dtypes_and_outside_the_classes():
    x = values("float32", (6, 7))
    targets = np.array([0, 6, 7, 100, 3, 1])
    want, gradient = losses(x, targets)
    for dtype in ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"):
        t = mx.array(targets, getattr(mx, dtype))
        assert_close(mx.fast.cross_entropy(mx.array(x), t), want, "float32")
        got = mx.grad(lambda a, t=t: mx.sum(mx.fast.cross_entropy(a, t)))(mx.array(x))
        assert_close(got, gradient, "float32")
    negative = np.array([-1, -7, -100, 2, 3, 4])
    want, _ = losses(x, negative)
    assert_close(mx.fast.cross_entropy(mx.array(x), mx.array(negative)), want, "float32")


def test_layouts_and_donation():
    x = values("float32", (6, 5, 8))
    a = mx.array(x)
    for read in (
        lambda b: b.swapaxes(0, 1),
        lambda b: b[::2, 1:],
        lambda b: b.swapaxes(1, 2)[:, :, ::-1],
    ):
        wide = read(x)
        targets = np.random.default_rng(2).integers(0, wide.shape[-1], wide.shape[:-1])
        want, gradient = losses(wide, targets)
        t = mx.array(targets)
        assert_close(mx.fast.cross_entropy(read(a), t), want, "float32")
        got = mx.grad(lambda b, f=read, t=t: mx.sum(mx.fast.cross_entropy(f(b), t)))(a)
        assert_close(read(got), gradient, "float32")
    # Logits that nobody holds any more: their buffer becomes the gradient's.
    targets = np.random.default_rng(2).integers(0, 8, (6, 5))
    _, gradient = losses(2 * x, targets)
    got = mx.grad(lambda b: mx.sum(mx.fast.cross_entropy(2 * b, mx.array(targets))))(a)
    assert_close(got, 2 * gradient, "float32")
    assert_close(a, x, "float32")
    assert mx.fast.cross_entropy(mx.zeros((0, 3)), mx.zeros((0,), mx.int32)).shape == (0,)


def test_large_and_infinite_logits():
    x = np.array([[3e4, 3e4 - 2, 3e4 - 5], [-3e4, -3e4 + 1, -3e4]], "f4")
    targets = np.array([1, 0])
    want, gradient = losses(x, targets)
    a, t = mx.array(x), mx.array(targets)
    assert_close(mx.fast.cross_entropy(a, t), want, "float32")
    got = mx.grad(lambda a: mx.sum(mx.fast.cross_entropy(a, t)))(a)
    assert_close(got, gradient, "float32")
    for n in (3, 5000):
        rows = np.zeros((5, n), "f4")
        rows[0] = -np.inf
        rows[1, 0] = np.inf
        rows[2, -1] = -np.inf
        rows[3, 0] = np.nan
        rows[4, [0, -1]] = np.inf, np.nan
        got = to_numpy(mx.fast.cross_entropy(mx.array(rows), mx.full((5,), 1, mx.int32)))
        np.testing.assert_array_equal(np.isnan(got), [True, False, False, True, True])
        assert got[1] == np.inf
        np.testing.assert_allclose(got[2], np.log(n - 1), rtol=1e-6)


def test_cross_entropy_errors():
    x = mx.zeros((2, 3))
    for logits, targets in (
        (x.astype(mx.int32), mx.array([0, 1])),
        (x, mx.array([0, 1, 2])),
        (x, mx.array([0.0, 1.0])),
        (mx.array(1.0), mx.array(0)),
        (mx.zeros((2, 0)), mx.array([0, 1])),
    ):
        with pytest.raises(ValueError, match="cross_entropy"):
            mx.fast.cross_entropy(logits, targets)


def test_cross_entropy_derivatives():
    t = mx.array([1, 0, 9])
    x = values("float64", (3, 4))

    def f(a):
        return mx.fast.cross_entropy(a, t)

    check_derivatives(f, x)
    check_derivatives(mx.grad(lambda a: mx.sum(f(a) ** 2)), x, 1e-5)
    check_derivatives(
        mx.grad(lambda a: mx.sum(mx.grad(lambda b: mx.sum(f(b) ** 2))(a) ** 2)), x, 1e-4
    )


def test_cross_entropy_vmap():
    t = mx.array([1, 0, 2])
    check_vmap(lambda a: mx.fast.cross_entropy(a, t), (3, 4))
    check_vmap(mx.grad(lambda a: mx.sum(mx.fast.cross_entropy(a, t) ** 2)), (3, 4))
    x = values("float32", (3, 4))
    targets = np.array([[0, 1, 2], [3, 3, 3]])
    got = mx.vmap(mx.fast.cross_entropy, (None, 0))(mx.array(x), mx.array(targets))
    for i in range(2):
        assert_close(got[i], losses(x, targets[i])[0], "float32")
    got = mx.vmap(mx.fast.cross_entropy, (1, 0))(mx.array(x), mx.array([[0, 1, 2]] * 4)[:, 0])
    assert_close(got, losses(x.T, np.zeros(4, int))[0], "float32")


def test_loss_and_gradient_are_a_node_each():
    x, t = mx.array(values("float32", (3, 4))), mx.array([0, 1, 2])
    step = mx.value_and_grad(lambda a: mx.sum(mx.fast.cross_entropy(a, t)))
    text = io.StringIO()
    mx.export_to_dot(text, step(x)[1])
    assert text.getvalue().count('"CrossEntropy"') == 1
    assert text.getvalue().count('"CrossEntropyBackward"') == 1
    compiled = mx.compile(step)
    for got, want in zip(compiled(x), step(x), strict=True):
        assert_close(got, to_numpy(want), "float32")
    shapeless = mx.compile(mx.fast.cross_entropy, shapeless=True)
    for rows in (3, 5):
        wide, targets = values("float32", (rows, 6)), np.arange(rows)
        got = shapeless(mx.array(wide), mx.array(targets))
        assert_close(got, losses(wide, targets)[0], "float32")


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
def test_the_layers_loss_uses_it(name):
    x = values(name, (4, 6))
    targets = np.array([0, 5, -1, -6])
    want, gradient = losses(x, targets % 6)
    a = to_mlx(x, name)
    got = nn.losses.cross_entropy(a, mx.array(targets))
    assert got.dtype == a.dtype
    assert_close(got, want, name)
    factors = mx.array([1.0, 2.0, 0.0, -1.0])
    got = nn.losses.cross_entropy(a, mx.array(targets), weights=factors, reduction="sum")
    assert_close(got, (want * np.array(factors)).sum(), name)
    text = io.StringIO()
    mx.export_to_dot(text, nn.losses.cross_entropy(a, mx.array(targets)))
    assert text.getvalue().count('"CrossEntropy"') == 1
    got = mx.grad(lambda a: nn.losses.cross_entropy(a, mx.array(targets), reduction="sum"))(a)
    assert_close(got, gradient, name)
    with pytest.raises((IndexError, ValueError)):
        mx.eval(nn.losses.cross_entropy(a, mx.array([0, 1, 2, 6])))
