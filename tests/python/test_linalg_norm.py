"""Norms and cross products against NumPy."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

norm, cross = mx.linalg.norm, mx.linalg.cross
INF = float("inf")


def values(shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("order", [None, 0, 1, 2, 3, -1, -2, 0.5, INF, -INF])
@pytest.mark.parametrize("axis", [None, 0, 1, 2, -1])
@pytest.mark.parametrize("keepdims", [False, True])
def test_vectors(order, axis, keepdims):
    x = values((7,)) if axis is None else values((3, 4, 5))
    out = norm(mx.array(x), order, axis=axis, keepdims=keepdims)
    expected = np.linalg.norm(x, order, axis=axis, keepdims=keepdims)
    assert out.shape == expected.shape and out.dtype == mx.float32
    np.testing.assert_allclose(np.array(out), expected, rtol=2e-6)


@pytest.mark.parametrize("order", [None, "fro", 1, -1, INF, -INF])
@pytest.mark.parametrize("axes", [None, (0, 1), (1, 0), (0, 2), (-1, -3)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_matrices(order, axes, keepdims):
    x = values((3, 4)) if axes is None else values((3, 4, 5))
    out = norm(mx.array(x), order, axis=axes, keepdims=keepdims)
    expected = np.linalg.norm(x, order, axis=axes, keepdims=keepdims)
    assert out.shape == expected.shape
    np.testing.assert_allclose(np.array(out), expected, rtol=2e-6)


def test_all_elements_of_any_shape():
    for shape in [(), (0,), (2, 0), (3,), (2, 3, 4, 5)]:
        x = values(shape)
        out = norm(mx.array(x))
        np.testing.assert_allclose(out.item(), np.linalg.norm(x.ravel()), rtol=1e-6)
        assert norm(mx.array(x), keepdims=True).shape == (1,) * len(shape)
    assert norm(mx.array(values((3, 4)).T)).shape == ()


def test_dtypes():
    for dtype in (mx.bool_, mx.uint8, mx.int8, mx.int32):
        x = mx.array([3, 4, 0]).astype(dtype)
        expected = np.linalg.norm(np.array(x).astype(np.float32))
        assert norm(x).dtype == mx.float32
        np.testing.assert_allclose(norm(x).item(), expected, rtol=1e-6)
    assert norm(mx.array([-100, 100], dtype=mx.int8)).item() == pytest.approx(141.42136)
    for dtype in (mx.float16, mx.bfloat16):
        # The squares overflow or lose all digits in the dtype itself.
        x = mx.array([300.0, 400.0], dtype=dtype)
        for order in (None, 2):
            out = norm(x, order)
            assert out.dtype == dtype and out.item() == 500
    with mx.stream(mx.cpu):
        x = mx.array([1e200, 1e-200, 2.0], dtype=mx.float64) * 1e-100
        assert norm(x).dtype == mx.float64 and norm(x, 1).item() == pytest.approx(1e100)
    z = mx.array([3 + 4j, 12j])
    assert norm(z).dtype == mx.float32 and norm(z).item() == pytest.approx(13)
    assert norm(z, 1).item() == pytest.approx(17) and norm(z, INF).item() == pytest.approx(12)


def test_gradients():
    x = mx.array([3.0, -4.0, 0.5])
    np.testing.assert_allclose(
        np.array(mx.grad(norm)(x)), np.array(x) / np.linalg.norm(np.array(x)), rtol=1e-6
    )
    grad = mx.grad(lambda v: norm(v, 3))(x)
    expected = np.sign(np.array(x)) * np.array(x) ** 2 / np.linalg.norm(np.array(x), 3) ** 2
    np.testing.assert_allclose(np.array(grad), expected, rtol=1e-5)
    rows = mx.vmap(norm)(mx.array(values((4, 5))))
    np.testing.assert_allclose(np.array(rows), np.linalg.norm(values((4, 5)), axis=1), rtol=1e-6)


BAD = {
    "order_of_matrix": lambda: norm(mx.zeros((2, 2)), 3),
    "zero_of_matrix": lambda: norm(mx.zeros((2, 2)), 0),
    "word": lambda: norm(mx.zeros((2, 2)), "max"),
    "word_for_vector": lambda: norm(mx.zeros((2,)), "fro"),
    "order_of_three_axes": lambda: norm(mx.zeros((2, 2, 2)), 1),
    "three_axes": lambda: norm(mx.zeros((2, 2, 2)), axis=(0, 1, 2)),
    "axis_twice": lambda: norm(mx.zeros((2, 2)), axis=(0, -2)),
    "axis": lambda: norm(mx.zeros((2, 2)), axis=2),
    "order_of_scalar": lambda: norm(mx.array(1.0), 1),
    "largest_of_none": lambda: norm(mx.zeros((0,)), INF),
    "cross_extent": lambda: cross(mx.zeros((4,)), mx.zeros((4,))),
    "cross_extents": lambda: cross(mx.zeros((3,)), mx.zeros((1,))),
    "cross_axis": lambda: cross(mx.zeros((3,)), mx.zeros((3,)), axis=1),
    "cross_scalar": lambda: cross(mx.array(1.0), mx.array(1.0)),
    "cross_shapes": lambda: cross(mx.zeros((5, 3)), mx.zeros((4, 3))),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_when_called(name):
    with pytest.raises(ValueError):
        BAD[name]()


def test_cross():
    a, b = values((4, 3), 1), values((4, 3), 2)
    np.testing.assert_allclose(np.array(cross(mx.array(a), mx.array(b))), np.cross(a, b), atol=1e-6)
    out = cross(mx.array(a.T), mx.array(b.T), axis=0)
    np.testing.assert_allclose(np.array(out), np.cross(a, b).T, atol=1e-6)
    out = cross(mx.array(a), mx.array(values((2, 4, 3))))
    np.testing.assert_allclose(np.array(out), np.cross(a, values((2, 4, 3))), atol=1e-6)
    ints = cross(mx.array([1, 2, 3]), mx.array([4, 5, 6]))
    assert ints.dtype == mx.int32 and ints.tolist() == [-3, 6, -3]
    assert cross(mx.array([1.0, 2.0]), mx.array([3.0, 4.0])).tolist() == [0, 0, -2]
    assert cross(mx.array([1.0, 2.0]), mx.array([3.0, 4.0, 5.0])).tolist() == [10, -5, -2]
    grad = mx.grad(lambda v: cross(v, mx.array([0.0, 0.0, 1.0]))[0])(mx.array([1.0, 2.0, 3.0]))
    assert grad.tolist() == [0, 1, 0]
