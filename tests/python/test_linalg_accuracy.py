"""The stated error bounds of linear algebra, as multiples of n eps, on matrices of every condition."""

import mlx.core as mx
import numpy as np
import pytest
from matrices import DTYPES, adjoint, random, to_mlx

L = mx.linalg

ON_GPU = mx.default_device() == mx.Device(mx.gpu)
# As mlx/linalg.h states them.
BOUNDS = {
    "qr": 5,
    "orthonormal": 5,
    "large orthonormal": 10 if ON_GPU else 5,
    "svd": 20,
    "vectors of svd": 5,
    "vectors of large svd": 50 if ON_GPU else 5,
    "lu": 5,
    "cholesky": 5,
    "inv": 5,
    "solve": 5,
    "tri_inv": 5,
    "eigh": 5,
    "eig": 5,
}
SHAPES = [
    (1, 1),
    (2, 2),
    (3, 3),
    (8, 8),
    (33, 33),
    (64, 64),
    (130, 130),
    (1, 7),
    (40, 13),
    (13, 140),
]


def wide(x):
    x = np.asarray(x)
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)


def with_values(shape, dtype, values):
    m, n = shape
    k = min(shape)
    u, v = (np.linalg.qr(wide(random((rows, k), dtype, rows)))[0] for rows in (m, n))
    return (u * values(k)) @ adjoint(v)


def digits(dtype):
    return 14 if dtype == "float64" else 6


KINDS = {
    "random": lambda s, d: wide(random(s, d)),
    "ill conditioned": lambda s, d: with_values(s, d, lambda k: np.logspace(0, -digits(d), k)),
    "past eps": lambda s, d: with_values(s, d, lambda k: np.logspace(0, -2 * digits(d), k)),
    "clusters": lambda s, d: with_values(s, d, lambda k: np.where(np.arange(k) < k // 2, 1, 1e-3)),
    "half rank": lambda s, d: with_values(s, d, lambda k: np.arange(k) <= k // 2),
    "ones": lambda s, d: np.ones(s),
    "graded": lambda s, d: wide(random(s, d)) * np.logspace(0, -digits(d), s[0])[:, None],
    "positive": lambda s, d: np.abs(random(s, d)),
}


class Case:
    def __init__(self, kind, shape, dtype):
        self.dtype = DTYPES[dtype]
        self.a = KINDS[kind](shape, dtype).astype(self.dtype)
        self.large = max(shape) > 64
        self.unit = max(shape) * np.finfo(self.dtype).eps

    def check(self, op, error, scale):
        size, most = np.linalg.norm(error), np.linalg.norm(scale) * self.unit
        assert size <= BOUNDS[op] * most, (op, size / most)

    def check_orthonormal(self, q, op="orthonormal"):
        self.check(op, adjoint(q) @ q - np.eye(q.shape[-1]), 1)

    def check_svd(self, u, s, vt):
        k = s.size
        op = "vectors of large svd" if self.large else "vectors of svd"
        self.check("svd", (u[:, :k] * s) @ vt[:k] - wide(self.a), self.a)
        self.check_orthonormal(u, op)
        self.check_orthonormal(adjoint(vt), op)


@pytest.fixture(params=DTYPES)
def dtype(request):
    return request.param


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_factors(kind, shape, dtype):
    case = Case(kind, shape, dtype)
    a, x = wide(case.a), to_mlx(case.a)
    q, r = map(wide, L.qr(x))
    case.check("qr", q @ r - a, a)
    case.check_orthonormal(q, "large orthonormal" if case.large else "orthonormal")
    case.check_svd(*map(wide, L.svd(x)))
    p, l, u = L.lu(x)
    l, u = wide(l), wide(u)
    case.check("lu", (l @ u)[np.array(p)] - a, np.linalg.norm(l) * np.linalg.norm(u))


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize("shape", [(4, 4), (24, 9), (9, 24), (64, 64), (100, 20)])
def test_singular_values_of_batches(shape, full, dtype):
    cases = [Case(kind, shape, dtype) for kind in KINDS]
    x = mx.stack([to_mlx(case.a) for case in cases])
    u, s, vt = map(wide, L.svd(x, full_matrices=full))
    alone = wide(L.svd(x, compute_uv=False))
    for i, case in enumerate(cases):
        case.check_svd(u[i], s[i], vt[i])
        case.check("svd", s[i] - alone[i], case.a)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[0] == s[1]])
@pytest.mark.parametrize("kind", KINDS)
def test_of_square_ones(kind, shape, dtype):
    case = Case(kind, shape, dtype)
    n, norm = shape[0], np.linalg.norm
    a, x, eye = wide(case.a), to_mlx(case.a), np.eye(shape[0])
    hermitian = ((case.a + adjoint(case.a)) / 2).astype(case.dtype)
    w, v = map(wide, L.eigh(to_mlx(hermitian)))
    case.check("eigh", wide(hermitian) @ v - v * w, hermitian)
    case.check_orthonormal(v)
    gram = a @ adjoint(a)
    gram = (gram + 8 * case.unit * norm(gram) * eye).astype(case.dtype)
    lower = L.cholesky(to_mlx(gram))
    l = wide(lower)
    case.check("cholesky", l @ adjoint(l) - wide(gram), gram)
    inverse = wide(L.tri_inv(lower))
    case.check("tri_inv", l @ inverse - eye, norm(l) * norm(inverse))
    case.unit = n * np.finfo(np.float32).eps
    w, v = map(wide, L.eig(x))
    case.check("eig", a @ v - v * w, a)


@pytest.mark.parametrize("shape", [s for s in SHAPES if s[0] == s[1]])
@pytest.mark.parametrize("kind", ["random", "ill conditioned", "graded", "positive"])
def test_solutions(kind, shape, dtype):
    case = Case(kind, shape, dtype)
    norm, b = np.linalg.norm, random((shape[0], 5), dtype, 3)
    a, x = wide(case.a), to_mlx(case.a)
    inverse, y = wide(L.inv(x)), wide(L.solve(x, to_mlx(b)))
    case.check("inv", a @ inverse - np.eye(shape[0]), norm(a) * norm(inverse))
    case.check("solve", a @ y - b, norm(a) * norm(y))
