"""Matrices that the tests of linear algebra share: every shape, layout and condition."""

import mlx.core as mx
import numpy as np
from dtypes import COMPLEX

SHAPES = [
    (1, 1),
    (2, 2),
    (5, 5),
    (33, 33),
    (7, 3),
    (3, 7),
    (40, 5),
    (5, 40),
    (2, 3, 4, 4),
    (3, 9, 4),
    (3, 4, 9),
]
SQUARE = [s for s in SHAPES if s[-1] == s[-2]]
EMPTY = [(0, 0), (0, 3), (3, 0), (0, 2, 2), (2, 0, 0), (2, 0, 3)]
DTYPES = {d: np.dtype(d).type for d in ("float32", "float64", *COMPLEX)}


def random(shape, dtype="float64", seed=0):
    """Normal values; complex ones have both parts."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if dtype in COMPLEX:
        x = x + 1j * rng.standard_normal(shape)
    return x.astype(DTYPES[dtype])


def adjoint(x):
    return np.conj(np.swapaxes(x, -1, -2))


def positive(shape, dtype="float64", seed=0):
    """Hermitian positive definite, well conditioned."""
    x = random(shape, dtype, seed)
    return (x @ adjoint(x) / shape[-1] + np.eye(shape[-1])).astype(x.dtype)


def with_singular_values(m, n, values, dtype="float64"):
    """A matrix that has these singular values."""
    u = np.linalg.qr(random((m, m), seed=1))[0][:, : len(values)]
    v = np.linalg.qr(random((n, n), seed=2))[0][:, : len(values)]
    return ((u * values) @ v.T).astype(DTYPES[dtype])


def to_mlx(x):
    return mx.array(x, dtype=getattr(mx, str(x.dtype)))


def layouts(x):
    """Arrays of the same values that share memory in different ways."""
    yield to_mlx(x)
    yield to_mlx(np.ascontiguousarray(np.swapaxes(x, -1, -2))).swapaxes(-1, -2)
    wide = np.zeros((*x.shape[:-2], 2 * x.shape[-2] + 1, 3 * x.shape[-1] + 1), x.dtype)
    wide[..., 1::2, 1::3] = x
    yield to_mlx(wide)[..., 1::2, 1::3]


def check_close(got, want, scale, factor=5, dtype=None):
    """|got - want| <= factor n eps scale in the Frobenius norm, n the largest extent."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, (got.shape, want.shape)
    if got.size == 0:
        return
    n = max(got.shape[-2:]) if got.ndim > 1 else got.shape[0]
    eps = np.finfo(dtype or got.dtype).eps
    error = np.linalg.norm((got - want).reshape(-1))
    assert (
        error
        <= factor
        * max(n, scale.shape[-1], scale.shape[-2])
        * eps
        * np.linalg.norm(scale.reshape(-1))
        + 1e-300
    ), error / (n * eps * np.linalg.norm(scale.reshape(-1)))


def check_orthonormal(q, factor=5):
    """The columns of q."""
    q = np.asarray(q)
    wide = q.astype(np.complex128 if q.dtype.kind == "c" else np.float64)
    eye = np.broadcast_to(np.eye(q.shape[-1]), (*q.shape[:-2], q.shape[-1], q.shape[-1]))
    error = np.abs(adjoint(wide) @ wide - eye)
    assert error.size == 0 or error.max() <= factor * max(q.shape[-2:]) * np.finfo(q.dtype).eps
