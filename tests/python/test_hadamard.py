"""The Hadamard transform against matrices that are orthogonal and hold signs alone."""

import mlx.core as mx
import numpy as np
import pytest
from derivatives import check_gradient

SIZES = [1, 2, 8, 64, 128, 1024, 12, 24, 96, 20, 40, 28, 56]


def matrix(n):
    """The transform's own matrix: the images of unit vectors."""
    return np.array(mx.hadamard_transform(mx.eye(n), scale=1.0)).T


@pytest.mark.parametrize("n", SIZES)
def test_matrix(n):
    h = matrix(n)
    assert np.all(np.abs(h) == 1)
    assert np.array_equal(h @ h.T, n * np.eye(n))


@pytest.mark.parametrize("n", [1, 2, 4, 16, 256])
def test_powers_of_two_are_sylvesters(n):
    h = np.ones((1, 1))
    while len(h) < n:
        h = np.block([[h, h], [h, -h]])
    assert np.array_equal(matrix(n), h)


@pytest.mark.parametrize("m", [12, 20, 28])
def test_odd_factors_are_the_slow_axis(m):
    assert np.array_equal(matrix(4 * m), np.kron(matrix(m), matrix(4)))


def test_known_rows():
    """Rows of the odd matrices as other programs have them."""
    rows = {12: "+-++++++++++", 20: "+----+----++--++-++-", 28: "+------++----++-+--+-+--++--"}
    for n, row in rows.items():
        assert "".join("+" if v > 0 else "-" for v in matrix(n)[0]) == row


@pytest.mark.parametrize("n", [64, 96, 4096, 28 * 128])
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_values(n, dtype):
    x = mx.array(np.random.standard_normal((3, 2, n))).astype(dtype)
    y = mx.hadamard_transform(x)
    assert y.dtype == dtype and y.shape == x.shape
    wide = np.array(x.astype(mx.float64))
    h = np.array(mx.hadamard_transform(mx.eye(n).astype(mx.bfloat16), scale=1.0).astype(mx.int8))
    expected = np.matmul(wide, h.astype("f8")) / np.sqrt(n)
    eps = {mx.float32: 1e-6, mx.float16: 1e-3, mx.bfloat16: 8e-3}[dtype]
    scale = np.abs(wide).sum(-1, keepdims=True) / np.sqrt(n)
    error = np.abs(np.array(y.astype(mx.float64)) - expected)
    assert np.all(error <= eps * np.abs(expected) + 1e-6 * scale)
    scaled = np.array(mx.hadamard_transform(x, scale=2.0).astype(mx.float64)) / (2 * np.sqrt(n))
    assert np.all(np.abs(scaled - expected) <= eps * np.abs(expected) + 1e-6 * scale)


def test_transforms():
    x = mx.array(np.random.standard_normal((3, 48)), dtype=mx.float64)
    check_gradient(lambda x: mx.hadamard_transform(x), [x])
    mapped = mx.vmap(mx.hadamard_transform, in_axes=1, out_axes=1)(x.T)
    assert np.allclose(mapped, mx.hadamard_transform(x).T)
    assert np.allclose(mx.compile(mx.hadamard_transform)(x), mx.hadamard_transform(x))


def test_small_and_other_inputs():
    assert mx.hadamard_transform(mx.array(3.0)).item() == 3.0
    assert mx.hadamard_transform(mx.ones((0, 8))).shape == (0, 8)
    assert mx.hadamard_transform(mx.ones((4,), dtype=mx.int32)).tolist() == [2, 0, 0, 0]
    x = mx.array(np.random.standard_normal((8, 6)).astype("f4"))
    assert np.allclose(mx.hadamard_transform(x.T), mx.hadamard_transform(mx.contiguous(x.T)))


@pytest.mark.parametrize("n", [0, 3, 6, 7, 36 * 3])
def test_other_sizes_raise(n):
    with pytest.raises(ValueError, match=rf"\[hadamard_transform\] .*m \* 2\^k.* is {n}\."):
        mx.hadamard_transform(mx.ones((2, n)))
