"""Derivatives of linear algebra against central differences in float64, and of second order."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest
from derivatives import check_gradient
from matrices import positive, random, to_mlx, with_singular_values

L = mx.linalg


def symmetric(x):
    return (x + x.swapaxes(-1, -2)) / 2


def joined(*parts):
    return mx.concatenate([p.reshape(-1) for p in parts])


def signless(q):
    """Of vectors in the columns, what does not depend on their signs."""
    return mx.abs(q) + q * q


SHAPES = [(1, 1), (3, 3), (5, 3), (3, 5), (2, 4, 3), (2, 3, 4)]
ANY_SHAPE = {
    "qr": lambda x: joined(*L.qr(x)),
    "svdvals": L.svdvals,
    "svd_reduced": lambda x: joined(*map(signless, L.svd(x, full_matrices=False))),
    "svd_product": lambda x: joined(L.svd(x)[0][..., :1] @ L.svd(x)[2][..., :1, :]),
    "lu": lambda x: joined(*L.lu(x)[1:]),
    "lu_factor": lambda x: L.lu_factor(x)[0],
    "pinv": L.pinv,
    "nuclear": lambda x: L.matrix_norm(x, "nuc"),
    "spectral": lambda x: L.matrix_norm(x, 2),
    "cond": L.cond,
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ANY_SHAPE)
def test_of_any_shape(name, shape):
    check_gradient(ANY_SHAPE[name], [to_mlx(random(shape))], rtol=1e-5, atol=1e-5)


SQUARE = {
    "inv": L.inv,
    "tri_inv": L.tri_inv,
    "tri_inv_upper": lambda x: L.tri_inv(x, upper=True),
    "det": L.det,
    "slogdet": lambda x: L.slogdet(x)[1],
    "power": lambda x: L.matrix_power(x, 3),
    "negative_power": lambda x: L.matrix_power(x, -2),
    "expm": L.expm,
    "trace": L.trace,
    "solve": lambda x: L.solve(x, x * x + 1),
    "solve_vector": lambda x: L.solve(x, x.reshape(-1)[: x.shape[-1]]),
    "triangular": lambda x: L.solve_triangular(x, x * x + 1),
    "triangular_upper": lambda x: L.solve_triangular(x, x * x, upper=True),
    "cholesky": lambda x: L.cholesky(symmetric(x)),
    "cholesky_upper": lambda x: L.cholesky(symmetric(x), upper=True),
    "cholesky_inv": lambda x: L.cholesky_inv(L.cholesky(symmetric(x))),
    "eigvalsh": lambda x: L.eigvalsh(symmetric(x)),
    "eigh": lambda x: joined(*map(signless, L.eigh(symmetric(x)))),
    "eigh_upper": lambda x: joined(*map(signless, L.eigh(symmetric(x), "U"))),
    "lstsq": lambda x: L.lstsq(x, x[..., :1] * x[..., :1])[0],
}


@pytest.mark.tiny
@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (2, 3, 3)])
@pytest.mark.parametrize("name", SQUARE)
def test_of_square_ones(name, shape):
    x = positive(shape) + 0.3 * random(shape, seed=5)
    x = x + 2 * np.eye(shape[-1])
    check_gradient(SQUARE[name], [to_mlx(x)], rtol=1e-5, atol=1e-5)


def test_systems_in_both_arguments():
    a, b = random((2, 3, 3)) + 3 * np.eye(3), random((3, 2), seed=1)
    for f in (L.solve, L.solve_triangular, lambda x, y: L.solve_triangular(x, y, upper=True)):
        check_gradient(f, [to_mlx(a), to_mlx(b)])
    tall = random((5, 3))
    check_gradient(lambda x, y: L.lstsq(x, y)[0], [to_mlx(tall), to_mlx(random((5, 2)))], rtol=1e-5)
    check_gradient(
        lambda x, y: L.lstsq(x, y)[0], [to_mlx(tall.T), to_mlx(random((3, 2)))], rtol=1e-5
    )


def test_full_vectors_of_singular_values():
    """The null space turns as a whole: projections on it are unique."""
    for shape in ((5, 3), (3, 5)):

        def projections(x):
            u, _, vt = L.svd(x)
            return joined(u[:, 3:] @ u[:, 3:].T, vt[3:].T @ vt[3:])

        check_gradient(projections, [to_mlx(random(shape))], rtol=1e-5, atol=1e-6)


SECOND = {
    "inv": L.inv,
    "cholesky": lambda x: L.cholesky(symmetric(x)),
    "eigh": lambda x: signless(L.eigh(symmetric(x))[1]),
    "svdvals": L.svdvals,
    "qr": lambda x: L.qr(x)[1],
    "det": L.det,
    "solve": lambda x: L.solve(x, x * x),
    "lu": lambda x: L.lu_factor(x)[0],
    "expm": L.expm,
    "pinv": lambda x: L.pinv(x[:, :2]),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_order(name):
    x = positive((3, 3)) + 2 * np.eye(3) + 0.3 * random((3, 3), seed=5)
    weights = to_mlx(random(np.array(SECOND[name](to_mlx(x))).shape, seed=2))
    gradient = mx.grad(lambda y: (SECOND[name](y) * weights).sum())
    check_gradient(gradient, [to_mlx(x)], rtol=1e-4, atol=1e-4)


def complex_gradient(f, z):
    """The gradient of a real function by central differences: derivatives by both parts."""
    out, step = np.zeros(z.shape, np.complex128), 1e-2
    for i in np.ndindex(z.shape):
        for part in (1, 1j):
            d = np.zeros(z.shape, np.complex64)
            d[i] = step * part
            out[i] += part * (f(to_mlx(z + d)).item() - f(to_mlx(z - d)).item()) / (2 * step)
    return out


def hermitian(z):
    return (z + mx.conj(z.swapaxes(-1, -2))) / 2


COMPLEX = {
    "inv": L.inv,
    "solve": lambda z: L.solve(z, z * z),
    "cholesky": lambda z: L.cholesky(hermitian(z)),
    "qr": lambda z: joined(*L.qr(z)),
    "lu": lambda z: L.lu_factor(z)[0],
    "svdvals": L.svdvals,
    "eigvalsh": lambda z: L.eigvalsh(hermitian(z)),
    "eigh": lambda z: mx.abs(L.eigh(hermitian(z))[1]),
    "svd": lambda z: L.svd(z)[0][:, :1] @ L.svd(z)[2][:1],
    "eigvals": lambda z: L.eigvals(z).sum(),
    "eig": lambda z: mx.abs(L.eig(z)[1]).sum(),
    "det": L.det,
    "pinv": L.pinv,
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex(name):
    z = positive((3, 3), "complex64") + 0.2 * random((3, 3), "complex64", 4)
    z = (z + np.diag([1, 2, 4])).astype(np.complex64)
    w = to_mlx(random(np.array(COMPLEX[name](to_mlx(z))).shape, "complex64", 2))
    f = lambda x: mx.real(mx.conj(w) * COMPLEX[name](x)).sum()
    got = np.array(mx.grad(f)(to_mlx(z)))
    np.testing.assert_allclose(got, complex_gradient(f, z), rtol=3e-2, atol=2e-3)


def test_eigenvalues_of_real_matrices():
    x = random((4, 4)).astype(np.float32)
    f = lambda y: mx.abs(L.eigvals(y)).sum() + mx.abs(L.eig(y)[1]).sum()
    gradient, step = np.array(mx.grad(f)(to_mlx(x))), 1e-2
    direction = random((4, 4), "float32", 1)
    ahead, behind = (f(to_mlx(x + s * step * direction)).item() for s in (1, -1))
    np.testing.assert_allclose(
        (gradient * direction).sum(), (ahead - behind) / (2 * step), rtol=2e-2
    )
    z = random((3, 3), "complex64")
    assert mx.grad(lambda y: mx.abs(L.eigvals(y)).sum())(to_mlx(z)).dtype == mx.complex64


def test_equal_values_have_finite_derivatives():
    """Functions that do not depend on the choice of vectors have their true derivative."""
    x = np.diag([2.0, 2.0, 2.0, 3.0])
    turned = np.linalg.qr(random((4, 4)))[0]
    for a in (x, turned @ x @ turned.T):

        def power(y):
            w, v = L.eigh(symmetric(y))
            return (v * (w**3)[None, :]) @ v.T

        want = mx.grad(lambda y: (symmetric(y) @ symmetric(y) @ symmetric(y))[0, 1])(to_mlx(a))
        # Between equal values the rule takes no turn, and the difference quotient of w**3 is missing.
        got = mx.grad(lambda y: mx.diag(power(y)).sum())(to_mlx(a))
        trace = mx.grad(lambda y: mx.trace(y @ y @ y))(to_mlx(symmetric(a)))
        np.testing.assert_allclose(np.array(got), np.array(trace), atol=1e-10)
        assert np.isfinite(np.array(want)).all()
    for f in (lambda y: L.svdvals(y).sum(), lambda y: (L.svd(y)[0] @ L.svd(y)[2]).sum()):
        assert np.isfinite(np.array(mx.grad(f)(mx.eye(3)))).all()
    np.testing.assert_allclose(
        np.array(mx.grad(lambda y: L.matrix_norm(y, "nuc"))(mx.eye(3))), np.eye(3), atol=1e-6
    )


def test_null_space_of_singular_values():
    x = with_singular_values(4, 4, np.array([2.0, 1.0]))
    gradient = mx.grad(lambda y: (L.svdvals(y) ** 2).sum())(to_mlx(x))
    np.testing.assert_allclose(np.array(gradient), 2 * x, atol=1e-12)


def test_mapped_derivatives():
    a = to_mlx(positive((3, 3, 3)))
    for f in (L.inv, L.cholesky, L.svdvals, lambda x: L.qr(x)[0], lambda x: L.eigh(x)[0]):
        g = mx.grad(lambda x, f=f: f(x).sum())
        one = np.stack([np.array(g(x)) for x in a])
        np.testing.assert_allclose(np.array(mx.vmap(g)(a)), one, rtol=1e-9, atol=1e-9)
