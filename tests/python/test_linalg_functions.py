"""What is made of factorisations: pseudo-inverses, determinants, powers, norms and samples."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
import scipy.linalg
from matrices import check_close, positive, random, to_mlx, with_singular_values

L = mx.linalg


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (6, 3), (3, 6), (2, 5, 3)])
def test_pinv(shape):
    x = random(shape)
    check_close(L.pinv(to_mlx(x)), np.linalg.pinv(x), np.linalg.pinv(x), 20)
    z = random(shape, "complex64")
    check_close(L.pinv(to_mlx(z)), np.linalg.pinv(z), np.linalg.pinv(z), 20)
    cut = L.pinv(to_mlx(x), rcond=0.5)
    check_close(cut, np.linalg.pinv(x, rcond=0.5), np.linalg.pinv(x), 20)


@pytest.mark.parametrize("m, n, rank", [(6, 4, 4), (4, 6, 4), (6, 4, 2), (5, 5, 3)])
def test_lstsq(m, n, rank):
    a, b = with_singular_values(m, n, np.linspace(1, 2, rank)), random((m, 3))
    x, squares, r, s = L.lstsq(to_mlx(a), to_mlx(b))
    want, rest, want_rank, values = np.linalg.lstsq(a, b, rcond=None)
    check_close(x, want, b, 20)
    assert r.item() == want_rank == rank
    np.testing.assert_allclose(np.array(s), values, atol=1e-14)
    np.testing.assert_allclose(np.array(squares), ((a @ want - b) ** 2).sum(0), atol=1e-13)
    if rest.size:
        np.testing.assert_allclose(np.array(squares), rest, atol=1e-13)
    vector = L.lstsq(to_mlx(a), to_mlx(b[:, 0]))
    assert vector[0].shape == (n,) and vector[1].shape == ()
    check_close(np.array(vector[0])[:, None], want[:, :1], b, 20)


@pytest.mark.parametrize("shape", [(1, 1), (3, 3), (8, 8), (2, 3, 4, 4)])
def test_determinants(shape):
    x = random(shape)
    np.testing.assert_allclose(np.array(L.det(to_mlx(x))), np.linalg.det(x), rtol=1e-12)
    for got, want in zip(L.slogdet(to_mlx(x)), np.linalg.slogdet(x), strict=True):
        np.testing.assert_allclose(np.array(got), want, rtol=1e-12, atol=1e-13)
    z = random(shape, "complex64")
    np.testing.assert_allclose(np.array(L.det(to_mlx(z))), np.linalg.det(z), rtol=1e-4)
    sign, log = L.slogdet(to_mlx(z))
    np.testing.assert_allclose(np.array(sign), np.linalg.slogdet(z)[0], rtol=1e-4)
    np.testing.assert_allclose(np.array(log), np.linalg.slogdet(z)[1], rtol=1e-4, atol=1e-5)
    whole = np.round(3 * x).astype(np.int32)
    got = L.det(mx.array(whole))
    assert got.dtype == mx.float32
    np.testing.assert_allclose(np.array(got), np.linalg.det(whole), rtol=1e-4, atol=1e-4)
    got = L.det(mx.array(x.astype(np.float16)))
    assert got.dtype == mx.float16
    np.testing.assert_allclose(
        np.array(got), np.linalg.det(x.astype(np.float16).astype("f4")), rtol=2e-3
    )


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 3, 7, 16])
def test_powers(n):
    x = random((2, 4, 4))
    want = np.linalg.matrix_power(x, n)
    check_close(L.matrix_power(to_mlx(x), n), want, want, 200)


def test_products_of_integers():
    x = np.array([[1, 1], [1, 0]])
    for dtype in (mx.int32, mx.int64, mx.uint8):
        got = L.matrix_power(mx.array(x).astype(dtype), 10)
        assert got.dtype == dtype and got.tolist() == [[89, 55], [55, 34]]
        assert L.trace(got).item() == 123
    assert L.matrix_power(mx.array(x).astype(mx.int64), 80)[0, 1].item() == 23416728348467685


@pytest.mark.parametrize("scale", [1e-8, 0.1, 1, 3, 20, 100])
def test_expm(scale):
    x = random((5, 5)) * scale / 5
    want = scipy.linalg.expm(x)
    check_close(L.expm(to_mlx(x)), want, want, 20 * max(scale, 1))
    single = x.astype(np.float32)
    want = scipy.linalg.expm(single.astype("f8"))
    check_close(L.expm(to_mlx(single)), want, want, 20 * max(scale, 1), np.float32)


def test_expm_of_batches_and_limits():
    x = random((3, 4, 4)) * np.array([0.01, 1, 30])[:, None, None]
    for got, a, scale in zip(L.expm(to_mlx(x)), x, (1, 5, 100), strict=True):
        check_close(got, scipy.linalg.expm(a), scipy.linalg.expm(a), 20 * scale)
    z = random((4, 4), "complex64")
    check_close(L.expm(to_mlx(z)), scipy.linalg.expm(z), scipy.linalg.expm(z), 50)
    assert np.isnan(np.array(L.expm(to_mlx(np.eye(2) * -1e9)))).all()


@pytest.mark.parametrize("ord", [2, -2, "nuc"])
@pytest.mark.parametrize("axes", [(0, 1), (1, 0), (0, 2), (2, 0), (-1, -3), (1, 2)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms_of_singular_values(ord, axes, keepdims):
    x = random((3, 4, 5))
    got = L.norm(to_mlx(x), ord, axis=axes, keepdims=keepdims)
    want = np.linalg.norm(x, ord, axis=axes, keepdims=keepdims)
    assert got.shape == want.shape
    np.testing.assert_allclose(np.array(got), want, rtol=1e-13)


def test_named_norms():
    x = random((2, 3, 4))
    for ord in ("fro", "nuc", 1, -1, 2, -2, float("inf"), -float("inf")):
        got = L.matrix_norm(to_mlx(x), ord, keepdims=True)
        np.testing.assert_allclose(
            np.array(got), np.linalg.matrix_norm(x, ord=ord, keepdims=True), rtol=1e-13
        )
    for ord in (0, 1, 2, 3, float("inf")):
        for axis in (None, 0, -1):
            got = L.vector_norm(to_mlx(x), ord, axis=axis, keepdims=True)
            want = np.linalg.vector_norm(x, ord=ord, axis=axis, keepdims=True)
            assert got.shape == want.shape
            np.testing.assert_allclose(np.array(got), want, rtol=1e-13)


def test_cond():
    x = random((2, 4, 4))
    for p in (None, 2, -2, 1, -1, float("inf"), "fro"):
        np.testing.assert_allclose(np.array(L.cond(to_mlx(x), p)), np.linalg.cond(x, p), rtol=1e-11)
    tall = random((5, 3))
    np.testing.assert_allclose(L.cond(to_mlx(tall)).item(), np.linalg.cond(tall), rtol=1e-12)


def test_ranks():
    for rank in (0, 1, 3):
        x = np.stack([with_singular_values(5, 4, np.linspace(1, 2, rank)) for _ in range(2)])
        assert L.matrix_rank(to_mlx(x)).tolist() == [rank, rank]
        assert L.matrix_rank(to_mlx(x.astype(np.float32))).tolist() == [rank, rank]


@pytest.mark.parametrize("method", ["svd", "eigh", "cholesky"])
def test_multivariate_normal(method):
    cov = positive((3, 3), "float32")
    mean = np.array([1.0, -2.0, 0.5], np.float32)
    key = mx.random.key(3)
    x = mx.random.multivariate_normal(
        mx.array(mean), mx.array(cov), [200000], key=key, method=method
    )
    assert x.shape == (200000, 3) and x.dtype == mx.float32
    np.testing.assert_allclose(np.array(x).mean(0), mean, atol=0.02)
    np.testing.assert_allclose(np.cov(np.array(x).T), cov, atol=0.03)


def test_shapes_of_samples():
    normal = mx.random.multivariate_normal
    assert normal(mx.zeros(3), mx.eye(3)).shape == (3,)
    assert normal(mx.zeros((2, 3)), mx.eye(3)).shape == (2, 3)
    assert normal(mx.zeros(3), mx.broadcast_to(mx.eye(3), (4, 3, 3))).shape == (4, 3)
    assert normal(mx.zeros((2, 3)), mx.eye(3), [5, 2]).shape == (5, 2, 3)
    same = [normal(mx.zeros(3), mx.eye(3), key=mx.random.key(1)).tolist() for _ in range(2)]
    assert same[0] == same[1]
