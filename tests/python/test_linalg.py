"""Factorisations and solvers against NumPy and SciPy, in errors that are multiples of n eps."""

from __future__ import annotations

import os

import mlx.core as mx
import numpy as np
import pytest
import scipy.linalg
from children import run_python, run_with_isa
from dtypes import COMPLEX, complex_of, real_of
from matrices import (
    DTYPES,
    EMPTY,
    SHAPES,
    SQUARE,
    adjoint,
    check_close,
    check_orthonormal,
    layouts,
    positive,
    random,
    to_mlx,
    with_singular_values,
)

L = mx.linalg


def wide(x):
    x = np.asarray(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_qr(shape, dtype):
    x = random(shape, dtype)
    m, n = shape[-2:]
    k = min(m, n)
    for a in layouts(x):
        q, r = L.qr(a)
        assert q.shape == (*shape[:-2], m, k) and r.shape == (*shape[:-2], k, n)
        check_orthonormal(q)
        assert np.array_equal(np.array(r), np.triu(np.array(r)))
        check_close(wide(q) @ wide(r), wide(x), x, dtype=DTYPES[dtype])
    want = np.linalg.qr(wide(x))[1]
    check_close(np.abs(r), np.abs(want), x, 50)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_svd(shape, dtype):
    x = random(shape, dtype)
    m, n = shape[-2:]
    k = min(m, n)
    want = np.linalg.svd(wide(x), compute_uv=False)
    for a in layouts(x):
        for full in (True, False):
            u, s, vt = L.svd(a, full_matrices=full)
            assert u.shape == (*shape[:-2], m, m if full else k)
            assert vt.shape == (*shape[:-2], n if full else k, n)
            assert s.dtype == getattr(mx, real_of(dtype))
            check_orthonormal(u)
            check_orthonormal(adjoint(np.array(vt)))
            product = (wide(u)[..., :k] * wide(s)[..., None, :]) @ wide(vt)[..., :k, :]
            check_close(product, wide(x), x, dtype=DTYPES[dtype])
            check_close(s, want, x)
        check_close(L.svdvals(a), want, x)
        check_close(L.svd(a, compute_uv=False), want, x)


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
@pytest.mark.parametrize("upper", [False, True])
def test_cholesky(shape, dtype, upper):
    x = positive(shape, dtype)
    # The other triangle is not read.
    other = np.triu(x) if upper else np.tril(x)
    for a in layouts(other):
        factor = np.array(L.cholesky(a, upper=upper))
        assert np.array_equal(factor, np.triu(factor) if upper else np.tril(factor))
        f = wide(factor)
        check_close(adjoint(f) @ f if upper else f @ adjoint(f), wide(x), x, dtype=DTYPES[dtype])
    inverse = L.cholesky_inv(to_mlx(factor), upper=upper)
    check_close(wide(inverse) @ x, np.broadcast_to(np.eye(shape[-1]), shape), x, 50, DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_lu(shape, dtype):
    x = random(shape, dtype)
    m, n = shape[-2:]
    k = min(m, n)
    for a in layouts(x):
        p, l, u = L.lu(a)
        assert p.dtype == mx.uint32 and p.shape == shape[:-1]
        assert l.shape == (*shape[:-2], m, k) and u.shape == (*shape[:-2], k, n)
        assert np.abs(np.array(l)).max() <= 1 + 1e-6 or dtype in COMPLEX
        lp = np.take_along_axis(wide(l), np.array(p).astype(np.int64)[..., None], -2)
        check_close(lp @ wide(u), wide(x), x, 10, DTYPES[dtype])
        packed, pivots = L.lu_factor(a)
        assert pivots.dtype == mx.uint32 and pivots.shape == (*shape[:-2], k)
        check_close(np.triu(np.array(packed)[..., :k, :]), np.array(u), x)
    if len(shape) == 2 and m == n:
        want, exchanged = scipy.linalg.lu_factor(x)
        check_close(packed, want, x, 50)
        np.testing.assert_array_equal(np.array(pivots), exchanged)


@pytest.mark.tiny
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
def test_inverses_and_systems(shape, dtype):
    x = positive(shape, dtype) + np.triu(random(shape, dtype), 1) / shape[-1]
    x = x.astype(DTYPES[dtype])
    eye = np.broadcast_to(np.eye(shape[-1]), shape)
    b = random((*shape[:-1], 6), dtype, 3)
    for a in layouts(x):
        check_close(wide(x) @ wide(L.inv(a)), eye, x, 20, DTYPES[dtype])
        for right in layouts(b):
            check_close(L.solve(a, right), np.linalg.solve(wide(x), wide(b)), b, 20)
        for upper in (False, True):
            t = np.triu(wide(x)) if upper else np.tril(wide(x))
            check_close(t @ wide(L.tri_inv(a, upper=upper)), eye, x, 20, DTYPES[dtype])
            for right in layouts(b):
                got = L.solve_triangular(a, right, upper=upper)
                check_close(got, np.linalg.solve(t, wide(b)), b, 20)
        vector = b.reshape(-1)[: shape[-1]]
        want = np.linalg.solve(wide(x), np.broadcast_to(wide(vector)[:, None], (*shape[:-1], 1)))
        check_close(L.solve(a, to_mlx(vector)), want[..., 0], vector[:, None], 20 * len(x))


@pytest.mark.parametrize("isa", ["v2", "v3", "v4"])
def test_instruction_sets(isa):
    run_with_isa(
        isa,
        "test_linalg",
        """
        for dtype in t.DTYPES:
            for shape in ((1, 1), (33, 33), (3, 70, 70), (300, 300)):
                t.test_inverses_and_systems(shape, dtype)
            for shape in ((7, 7), (70, 130), (130, 70), (200, 200), (150, 301)):
                t.test_lu(shape, dtype)
            for shape in ((7, 7), (70, 70), (201, 201)):
                t.test_cholesky(shape, dtype, True)
                t.test_cholesky(shape, dtype, False)
        """,
    )


def test_batches_broadcast():
    a, b = random((2, 1, 3, 3)), random((4, 3, 2), seed=1)
    check_close(L.solve(to_mlx(a), to_mlx(b)), np.linalg.solve(a, b), b, 500)
    got = L.solve_triangular(to_mlx(a), to_mlx(b), upper=True)
    check_close(got, np.linalg.solve(np.triu(a), b), b, 1e4)
    same = mx.broadcast_to(to_mlx(a[0]), (5, 3, 3))
    check_close(L.inv(same), np.linalg.inv(np.broadcast_to(a[0], (5, 3, 3))), a, 500)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
@pytest.mark.parametrize("triangle", ["L", "U"])
def test_eigh(shape, dtype, triangle):
    x = positive(shape, dtype)
    read = np.tril(x) if triangle == "L" else np.triu(x)
    want = np.linalg.eigvalsh(wide(x))
    for a in layouts(read):
        w, v = L.eigh(a, triangle)
        assert w.dtype == getattr(mx, real_of(dtype))
        check_close(w, want, x)
        check_close(L.eigvalsh(a, triangle), want, x)
        check_orthonormal(v)
        check_close(wide(x) @ wide(v), wide(v) * wide(w)[..., None, :], x, dtype=DTYPES[dtype])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SQUARE)
def test_eig(shape, dtype):
    x = random(shape, dtype)
    for a in layouts(x):
        w, v = L.eig(a)
        assert w.dtype == v.dtype == getattr(mx, complex_of(dtype))
        eps = np.finfo(dtype).eps
        check_close(wide(x) @ wide(v), wide(v) * wide(w)[..., None, :], x, 10, np.dtype(dtype))
        np.testing.assert_allclose(np.linalg.norm(wide(v), axis=-2), 1, rtol=100 * eps)
        bound = {"rtol": 1e4 * eps, "atol": 1e4 * eps}
        np.testing.assert_allclose(np.array(L.eigvals(a)), np.array(w), **bound)
        want = np.sort_complex(np.linalg.eigvals(wide(x)))
        np.testing.assert_allclose(np.sort_complex(wide(w)), want, **bound)


@pytest.mark.parametrize("n", [257, 300, 520])
def test_large_ones_take_blocks(n):
    eye = np.eye(n)
    for f in ("float32", "float64"):
        x, spd = random((n, n), f), positive((n, n), f)
        q, r = L.qr(to_mlx(x))
        check_orthonormal(q)
        check_close(wide(q) @ wide(r), wide(x), x, dtype=DTYPES[f])
        l = wide(L.cholesky(to_mlx(spd)))
        check_close(l @ l.T, wide(spd), spd, dtype=DTYPES[f])
        u = wide(L.cholesky(to_mlx(spd), upper=True))
        check_close(u.T @ u, wide(spd), spd, dtype=DTYPES[f])
        for shape in ((n, n), (n, n // 2), (n // 2, n)):
            part = x[: shape[0], : shape[1]]
            p, l, u = L.lu(to_mlx(part))
            check_close(wide(l)[np.array(p)] @ wide(u), wide(part), part, 50, DTYPES[f])
            q, r = L.qr(to_mlx(part))
            check_close(wide(q) @ wide(r), wide(part), part, dtype=DTYPES[f])
        check_close(wide(spd) @ wide(L.inv(to_mlx(spd))), eye, spd, 20, DTYPES[f])
        check_close(wide(spd) @ wide(L.solve(to_mlx(spd), to_mlx(x))), wide(x), spd, 20, DTYPES[f])
    z = random((n, n), "complex64")
    q, r = L.qr(to_mlx(z))
    check_close(wide(q) @ wide(r), wide(z), z, dtype=np.float32)
    p, l, u = L.lu(to_mlx(z))
    check_close(wide(l)[np.array(p)] @ wide(u), wide(z), z, 50, np.float32)
    hermitian = positive((n, n), "complex64")
    l = wide(L.cholesky(to_mlx(hermitian)))
    check_close(l @ adjoint(l), wide(hermitian), hermitian, dtype=np.float32)


def test_factors_have_the_same_bits_for_any_number_of_threads():
    code = """
        import hashlib, mlx.core as mx, numpy as np
        digest, rng = hashlib.sha1(), np.random.default_rng(0)
        for dtype in ("float32", "float64", "complex64"):
            for shape in ((300, 300), (513, 257), (130, 640)):
                x = rng.standard_normal(shape)
                a = mx.array((x if dtype != "complex64" else x + 1j * x[::-1]).astype(dtype))
                results = mx.linalg.lu_factor(a, stream=mx.cpu)
                if shape[0] == shape[1]:
                    results += (mx.linalg.inv(a, stream=mx.cpu),)
                    if dtype != "complex64":
                        positive = a @ a.T + 1e3 * mx.eye(shape[0])
                        results += (mx.linalg.cholesky(positive, stream=mx.cpu),)
                    results += (mx.linalg.solve(a, a[:, :77], stream=mx.cpu),)
                for result in results:
                    digest.update(np.array(result).tobytes())
        print(digest.hexdigest())
        """
    digests = {run_python(code, MLX_NUM_THREADS=str(threads)) for threads in (1, 2, 3, 16)}
    assert len(digests) == 1


SPECTRA = {
    "random": lambda x: x,
    "tiny": lambda x: x * 1e-30,
    "huge": lambda x: x * 1e30,
    "zero": lambda x: x * 0,
    "diagonal": lambda x: x * np.eye(*x.shape),
    "low rank": lambda x: x[:, :9] @ x[:9],
    "clustered": lambda x: np.eye(*x.shape) + 1e-3 * x[:, :1] @ x[:1],
    "graded": lambda x: x * np.logspace(0, -20, x.shape[1]),
}


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize("kind", SPECTRA)
def test_large_spectra(kind, dtype):
    for shape in ((128, 128), (300, 300), (200, 270), (270, 200)):
        x = SPECTRA[kind](random(shape, dtype)).astype(dtype)
        k = min(shape)
        for full in (True, False):
            u, s, vt = L.svd(to_mlx(x), full_matrices=full)
            check_orthonormal(u)
            check_orthonormal(adjoint(np.array(vt)))
            product = (wide(u)[:, :k] * wide(s)) @ wide(vt)[:k]
            check_close(product, wide(x), wide(x), dtype=DTYPES[dtype])
            check_close(
                wide(s), np.linalg.svd(wide(x), compute_uv=False), wide(x), dtype=DTYPES[dtype]
            )
        if shape[0] == shape[1]:
            x = x + adjoint(x)
            for triangle in "LU":
                w, v = L.eigh(to_mlx(x), triangle)
                check_orthonormal(v)
                check_close(
                    (wide(v) * wide(w)) @ adjoint(wide(v)), wide(x), wide(x), dtype=DTYPES[dtype]
                )


def test_ill_conditioned():
    n = 20
    a = with_singular_values(n, n, np.logspace(0, -14, n))
    check_close(L.svdvals(to_mlx(a)), np.logspace(0, -14, n), a)
    x, b = L.solve(to_mlx(a), to_mlx(random((n, 2)))), random((n, 2))
    residual = np.linalg.norm(a @ np.array(x) - b)
    assert residual <= 5 * n * np.finfo("f8").eps * np.linalg.norm(a) * np.linalg.norm(np.array(x))
    assert L.matrix_rank(to_mlx(a), 1e-7).item() == 10
    np.testing.assert_allclose(L.cond(to_mlx(a)).item(), 1e14, rtol=0.1)
    q, _ = L.qr(to_mlx(a))
    check_orthonormal(q)


@pytest.mark.parametrize("shape", EMPTY)
def test_empty(shape):
    x, a = np.zeros(shape), mx.zeros(shape, dtype=mx.float64)
    for got, want in zip(L.qr(a), np.linalg.qr(x), strict=True):
        assert got.shape == want.shape
    for got, want in zip(L.svd(a), np.linalg.svd(x), strict=True):
        np.testing.assert_array_equal(np.array(got), want)
    assert L.svdvals(a).shape == np.linalg.svd(x, compute_uv=False).shape
    assert L.pinv(a).shape == np.linalg.pinv(x).shape
    p, l, u = L.lu(a)
    assert p.shape == shape[:-1] and l.shape[-1] == u.shape[-2] == min(shape[-2:])
    if shape[-1] == shape[-2]:
        for f in (L.inv, L.tri_inv, L.cholesky, L.cholesky_inv, L.expm):
            assert f(a).shape == shape
        np.testing.assert_array_equal(np.array(L.det(a)), np.linalg.det(x))
        np.testing.assert_array_equal(np.array(L.slogdet(a)[1]), np.linalg.slogdet(x)[1])
        assert [y.shape for y in L.eigh(a)] == [shape[:-1], shape]
        assert [y.shape for y in L.eig(a)] == [shape[:-1], shape]
        assert L.solve(a, a).shape == shape
        assert L.solve(a, mx.zeros((*shape[:-1], 0), dtype=mx.float64)).shape == (*shape[:-1], 0)


SINGULAR = {
    "inv": (lambda a: L.inv(a), "linalg::inv.*Matrix 2 of 4.*singular: pivot 1"),
    "solve": (lambda a: L.solve(a, a), "linalg::solve.*Matrix 2 of 4.*singular"),
    "tri_inv": (lambda a: L.tri_inv(a), "Matrix 2 of 4.*element 1 of its diagonal"),
    "cholesky": (lambda a: L.cholesky(-a), "Matrix 0 of 4.*not positive definite.*size 1"),
    "svd": (lambda a: L.svd(a / 0)[1], "Matrix 0 of 4.*NaN or infinite"),
    "eig": (lambda a: L.eig(a / 0)[1], "Matrix 0 of 4.*NaN or infinite"),
}


@pytest.mark.parametrize("name", SINGULAR)
def test_failures_say_which_matrix_and_why(name):
    x = np.stack([np.eye(3)] * 4)
    x[2, 1, 1] = 0
    f, message = SINGULAR[name]
    with pytest.raises(RuntimeError, match=message):
        mx.eval(f(to_mlx(x)))
    # The library is as good as before.
    np.testing.assert_array_equal(np.array(L.inv(to_mlx(x[0]))), np.eye(3))


def test_singular_matrices_have_factors():
    x = np.array([[1.0, 2.0], [2.0, 4.0]])
    assert L.det(to_mlx(x)).item() == 0
    sign, log = L.slogdet(to_mlx(x))
    assert sign.item() == 0 and log.item() == -np.inf
    _, _, u = L.lu(to_mlx(x))
    assert np.array(u)[1, 1] == 0
    assert L.matrix_rank(to_mlx(x)).item() == 1
    np.testing.assert_allclose(np.array(L.pinv(to_mlx(x))), np.linalg.pinv(x), atol=1e-15)
    assert np.isnan(np.array(L.eigvalsh(to_mlx(x) * np.nan))).all()


BAD = {
    "dtype": lambda: L.qr(mx.zeros((2, 2), dtype=mx.int32)),
    "half": lambda: L.svd(mx.zeros((2, 2), dtype=mx.float16)),
    "vector": lambda: L.lu(mx.zeros((3,))),
    "inv": lambda: L.inv(mx.zeros((2, 3))),
    "cholesky": lambda: L.cholesky(mx.zeros((2, 3))),
    "eigh": lambda: L.eigh(mx.zeros((2, 3))),
    "triangle": lambda: L.eigh(mx.zeros((2, 2)), "X"),
    "eig": lambda: L.eig(mx.zeros((2, 3))),
    "det": lambda: L.det(mx.zeros((2, 3))),
    "solve": lambda: L.solve(mx.zeros((2, 2)), mx.zeros((3, 1))),
    "solve_dtypes": lambda: L.solve(mx.zeros((2, 2)), mx.zeros((2, 1), dtype=mx.complex64)),
    "solve_batches": lambda: L.solve(mx.zeros((2, 2, 2)), mx.zeros((3, 2, 1))),
    "solve_scalar": lambda: L.solve(mx.zeros((2, 2)), mx.array(1.0)),
    "lstsq": lambda: L.lstsq(mx.zeros((3, 2)), mx.zeros((2, 1))),
    "power": lambda: L.matrix_power(mx.zeros((2, 3)), 2),
    "trace": lambda: L.trace(mx.zeros((2,))),
    "method": lambda: mx.random.multivariate_normal(mx.zeros(2), mx.eye(2), method="lu"),
    "mean": lambda: mx.random.multivariate_normal(mx.zeros(3), mx.eye(2)),
    "samples": lambda: mx.random.multivariate_normal(mx.zeros((2, 2)), mx.eye(2), [3]),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_when_called(name):
    with pytest.raises(ValueError):
        BAD[name]()


def test_children_of_a_fork_can_go_on():
    x = to_mlx(positive((300, 300), "float32"))
    before = np.array(L.inv(x, stream=mx.cpu))
    child = os.fork()
    if child == 0:
        same = False
        try:
            same = np.array_equal(np.array(L.inv(x, stream=mx.cpu)), before)
        finally:
            os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_compiled_and_mapped():
    a = to_mlx(positive((3, 4, 4), "float32"))
    f = mx.compile(lambda x: L.solve(x, L.cholesky(x)) @ L.eigh(x)[1])
    want = L.solve(a, L.cholesky(a)) @ L.eigh(a)[1]
    np.testing.assert_allclose(np.array(f(a)), np.array(want), rtol=1e-5, atol=1e-6)
    for g in (L.inv, L.cholesky, L.svdvals, L.det, L.pinv, L.expm, lambda x: L.qr(x)[1]):
        one = np.stack([np.array(g(x)) for x in a])
        np.testing.assert_allclose(np.array(mx.vmap(g)(a)), one, rtol=1e-5, atol=1e-6)
        last = mx.vmap(g, in_axes=2)(mx.moveaxis(a, 0, 2))
        np.testing.assert_allclose(np.array(last), one, rtol=1e-5, atol=1e-6)
    shared = mx.vmap(lambda y: L.solve(a[0], y @ y.T), in_axes=-1)(mx.moveaxis(a, 0, -1))
    want = np.stack([np.array(L.solve(a[0], y @ y.T)) for y in a])
    np.testing.assert_allclose(np.array(shared), want, rtol=1e-4, atol=1e-5)
    batch = mx.vmap(L.solve_triangular, in_axes=(None, 0))(a, mx.stack([a, a * a]))
    want = np.stack([np.array(L.solve_triangular(a, y)) for y in (a, a * a)])
    np.testing.assert_allclose(np.array(batch), want, rtol=1e-4, atol=1e-5)
    b = to_mlx(random((4, 5), "float32"))
    mapped = mx.vmap(L.solve, in_axes=(None, 1))(a[0], b)
    np.testing.assert_allclose(np.array(mapped).T, np.array(L.solve(a[0], b)), rtol=1e-4, atol=1e-5)
