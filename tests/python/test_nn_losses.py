"""Losses: values against NumPy, reductions, gradients by finite differences, and bad input."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest

L = nn.losses
rng = np.random.default_rng(3)
A, B, C = (rng.normal(size=(4, 5)).astype(np.float32) for _ in range(3))
P = np.exp(C) / np.exp(C).sum(-1, keepdims=True)
U = rng.uniform(0.05, 0.95, (4, 5)).astype(np.float32)
S = np.sign(C)
T = np.array([0, 4, 2, 2])
W = rng.uniform(0.1, 1, 4).astype(np.float32)


def log_softmax(x, axis=-1):
    return x - np.log(np.exp(x).sum(axis, keepdims=True))


def picked(x):
    return np.take_along_axis(x, T[:, None], 1)[:, 0]


def norm(x, p=2, axis=-1):
    return (np.abs(x) ** p).sum(axis)


def smooth(ls):
    y = log_softmax(A)
    return -(1 - ls) * picked(y) - ls * y.mean(-1)


def triplet(axis=-1, p=2, margin=1.0, eps=1e-6):
    near = (norm(A - B, p, axis) + eps) ** (1 / p)
    far = (norm(A - C, p, axis) + eps) ** (1 / p)
    return np.maximum(near - far + margin, 0)


E = np.abs(A - B)
# name: function of reduction and differentiable arguments, arguments, NumPy value unreduced
CASES = {
    "cross_entropy": (
        lambda r, a: L.cross_entropy(a, mx.array(T), reduction=r),
        (A,),
        -picked(log_softmax(A)),
    ),
    "cross_entropy axis": (
        lambda r, a: L.cross_entropy(a.T, mx.array(T), axis=0, reduction=r),
        (A,),
        -picked(log_softmax(A)),
    ),
    "cross_entropy probabilities": (
        lambda r, a, p: L.cross_entropy(a, p, reduction=r),
        (A, P),
        -(P * log_softmax(A)).sum(-1),
    ),
    "cross_entropy weights": (
        lambda r, a: L.cross_entropy(a, mx.array(T), mx.array(W), reduction=r),
        (A,),
        -W * picked(log_softmax(A)),
    ),
    "cross_entropy smoothing": (
        lambda r, a: L.cross_entropy(a, mx.array(T), label_smoothing=0.1, reduction=r),
        (A,),
        smooth(0.1),
    ),
    "binary_cross_entropy": (
        lambda r, a: L.binary_cross_entropy(a, mx.array(U), reduction=r),
        (A,),
        np.log1p(np.exp(A)) - A * U,
    ),
    "binary_cross_entropy weights": (
        lambda r, a: L.binary_cross_entropy(a, mx.array(U), mx.array(P), reduction=r),
        (A,),
        P * (np.log1p(np.exp(A)) - A * U),
    ),
    "binary_cross_entropy probabilities": (
        lambda r, u: L.binary_cross_entropy(u, mx.array(P), with_logits=False, reduction=r),
        (U,),
        -(P * np.log(U) + (1 - P) * np.log(1 - U)),
    ),
    "l1": (lambda r, a, b: L.l1_loss(a, b, r), (A, B), E),
    "mse": (lambda r, a, b: L.mse_loss(a, b, r), (A, B), E**2),
    "nll": (lambda r, a: L.nll_loss(a, mx.array(T), reduction=r), (A,), -picked(A)),
    "gaussian_nll": (
        lambda r, a, b, v: L.gaussian_nll_loss(a, b, v, reduction=r),
        (A, B, U),
        0.5 * (np.log(U) + E**2 / U),
    ),
    "gaussian_nll full": (
        lambda r, a, b: L.gaussian_nll_loss(a, b, mx.array(U), True, 0.5, r),
        (A, B),
        0.5 * (np.log(np.maximum(U, 0.5)) + E**2 / np.maximum(U, 0.5) + np.log(2 * np.pi)),
    ),
    "kl_div": (
        lambda r, a, b: L.kl_div_loss(a, b, reduction=r),
        (A, B),
        (np.exp(B) * (B - A)).sum(-1),
    ),
    "kl_div axis": (
        lambda r, a, b: L.kl_div_loss(a, b, 0, r),
        (A, B),
        (np.exp(B) * (B - A)).sum(0),
    ),
    "smooth_l1": (
        lambda r, a, b: L.smooth_l1_loss(a, b, 0.7, r),
        (A, B),
        np.where(E < 0.7, 0.5 * E**2 / 0.7, E - 0.35),
    ),
    "triplet": (lambda r, a, b, c: L.triplet_loss(a, b, c, reduction=r), (A, B, C), triplet()),
    "triplet cubes": (
        lambda r, a, b, c: L.triplet_loss(a, b, c, 0, 3, 0.5, 1e-3, r),
        (A, B, C),
        triplet(0, 3, 0.5, 1e-3),
    ),
    "hinge": (lambda r, a: L.hinge_loss(a, mx.array(S), r), (A,), np.maximum(1 - A * S, 0)),
    "huber": (
        lambda r, a, b: L.huber_loss(a, b, 0.7, r),
        (A, B),
        np.where(E <= 0.7, 0.5 * E**2, 0.7 * (E - 0.35)),
    ),
    "log_cosh": (lambda r, a, b: L.log_cosh_loss(a, b, r), (A, B), np.log(np.cosh(A - B))),
    "cosine": (
        lambda r, a, b: L.cosine_similarity_loss(a, b, reduction=r),
        (A, B),
        (A * B).sum(1) / np.sqrt(norm(A) * norm(B)),
    ),
    "cosine eps": (
        lambda r, a, b: L.cosine_similarity_loss(a, b, 0, 100.0, r),
        (A, B),
        (A * B).sum(0) / 100,
    ),
    "margin_ranking": (
        lambda r, a, b: L.margin_ranking_loss(a, b, mx.array(S), 0.3, r),
        (A, B),
        np.maximum(0, -S * (A - B) + 0.3),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_reductions(name):
    fn, arguments, expected = CASES[name]
    arguments = [mx.array(a) for a in arguments]
    for reduction, value in [
        ("none", expected),
        ("mean", expected.mean()),
        ("sum", expected.sum()),
    ]:
        got = fn(reduction, *arguments)
        assert got.dtype == mx.float32
        np.testing.assert_allclose(np.array(got), value, rtol=2e-5, atol=2e-6)
    with pytest.raises(ValueError, match="Invalid reduction"):
        fn("median", *arguments)


@pytest.mark.parametrize("name", CASES)
def test_gradients_agree_with_differences(name):
    fn, arguments, _ = CASES[name]
    n = len(arguments)
    arguments = [mx.array(a) for a in arguments]
    for i in range(n):
        grad = mx.grad(lambda *a: fn("sum", *a), argnums=i)(*arguments)
        direction = mx.array(rng.normal(size=arguments[i].shape).astype(np.float32))
        step = 1e-3

        def along(t, i=i, direction=direction):
            moved = list(arguments)
            moved[i] = moved[i] + t * direction
            return np.array(fn("none", *moved)).astype(np.float64).sum()

        slope = (along(step) - along(-step)) / (2 * step)
        if name == "cross_entropy probabilities" and i == 1:
            continue  # right for directions that keep the sums at one only
        np.testing.assert_allclose((grad * direction).sum().item(), slope, rtol=0.01, atol=0.02)


def test_defaults_of_reduction():
    a, b = mx.array(A), mx.array(B)
    for loss in (L.l1_loss, L.mse_loss, L.smooth_l1_loss, L.binary_cross_entropy):
        assert loss(a, b).ndim == 0
    for loss in (L.hinge_loss, L.huber_loss, L.log_cosh_loss):
        assert loss(a, b).shape == (4, 5)
    assert L.cross_entropy(a, mx.array(T)).shape == (4,)
    assert L.gaussian_nll_loss(a, b, mx.array(U)).ndim == 0


def test_extreme_inputs_stay_finite():
    big = mx.array([[1e4, -1e4, 0.0]])
    np.testing.assert_allclose(L.cross_entropy(big, mx.array([0])).item(), 0.0)
    np.testing.assert_allclose(L.cross_entropy(big, mx.array([1])).item(), 2e4)
    np.testing.assert_allclose(
        np.array(
            L.binary_cross_entropy(mx.array([1e3, -1e3]), mx.array([0.0, 1.0]), reduction="none")
        ),
        [1e3, 1e3],
    )
    certain = L.binary_cross_entropy(
        mx.array([0.0, 1.0]), mx.array([1.0, 1.0]), with_logits=False, reduction="none"
    )
    np.testing.assert_allclose(np.array(certain), [100.0, 0.0])
    np.testing.assert_allclose(
        np.array(L.log_cosh_loss(mx.array([500.0]), mx.array([0.0]))), [500 - np.log(2)], rtol=1e-6
    )
    assert np.isfinite(np.array(L.cosine_similarity_loss(mx.zeros((2, 3)), mx.ones((2, 3))))).all()


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_half_types_stay_half(dtype):
    a = mx.array(A).astype(dtype)
    loss = L.cross_entropy(a, mx.array(T), label_smoothing=0.1)
    assert loss.dtype == dtype
    np.testing.assert_allclose(np.array(loss.astype(mx.float32)), smooth(0.1), rtol=0.05, atol=0.02)
    assert L.mse_loss(a, a).dtype == dtype


def test_shapes_are_checked():
    a, b = mx.array(A), mx.array(B)
    for call in [
        lambda: L.l1_loss(a, b[:2]),
        lambda: L.mse_loss(a, b[:2]),
        lambda: L.smooth_l1_loss(a, b[:2]),
        lambda: L.binary_cross_entropy(a, b[:2]),
        lambda: L.binary_cross_entropy(a, b, mx.ones(4)),
        lambda: L.gaussian_nll_loss(a, b[:2], b),
        lambda: L.gaussian_nll_loss(a, b, b[:2]),
        lambda: L.cross_entropy(a, mx.array(T)[:2]),
        lambda: L.cross_entropy(a, b[:2]),
        lambda: L.cross_entropy(a, mx.array(T), mx.ones((4, 5))),
        lambda: L.cross_entropy(a, mx.array(1)),
        lambda: L.margin_ranking_loss(a, b[0], b),
        lambda: L.cross_entropy(a, mx.array(T), label_smoothing=1.0),
        lambda: L.cross_entropy(a, mx.array(T), label_smoothing=-0.1),
        lambda: L.cross_entropy(a, mx.array(T), axis=5),
        lambda: L.cross_entropy(a, mx.array(T), axis=-5),
    ]:
        with pytest.raises(ValueError):
            call()
