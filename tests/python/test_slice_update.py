"""Slices and slice updates against NumPy."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
from layouts import DTYPES, check_grad, check_same, check_transforms, check_vmap, layouts, values

BOUNDS = (None, 0, 1, 3, -1, -3, 9, -9)
STEPS = (None, 1, 2, -1, -2, 5, -7)


def test_every_slice_of_a_vector():
    a, n = values((6,))
    for start, stop, step in itertools.product(BOUNDS, BOUNDS, STEPS):
        part = slice(start, stop, step)
        got = a[part]
        check_same(got, n[part])


def test_slices_of_every_layout():
    for _, a, n in layouts():
        for part in np.s_[1:, ::2], np.s_[::-1, 1:-1], np.s_[:0], np.s_[..., -1], np.s_[2:3, ::-3]:
            if a.shape[0] == 0 and part == np.s_[2:3, ::-3]:
                continue
            check_same(a[part], n[part])


def test_every_update_of_a_vector():
    a, n = values((6,))
    for start, stop, step in itertools.product(BOUNDS, BOUNDS, STEPS):
        part = slice(start, stop, step)
        b, m = mx.array(a), n.copy()
        m[part] = np.arange(len(n[part])) + 100
        b[part] = mx.arange(len(n[part])) + 100
        check_same(b, m)


@pytest.mark.parametrize("dtype", DTYPES)
def test_updates_in_every_dtype(dtype):
    a, n = values((5, 6), dtype)
    u, v = values((3, 2), dtype)
    b, m = mx.array(a), n.copy()
    b[::2, 1:-1:3] = u
    m[::2, 1:-1:3] = v
    check_same(b, m)
    b[:, -1] = 1
    m[:, -1] = 1
    check_same(b, m)
    assert b.dtype == a.dtype


def test_updates_of_every_layout():
    for _, a, n in layouts():
        for _, u, v in layouts():
            if u.shape[0] > a.shape[0] or u.shape[1] > a.shape[1] or a.size == 0:
                continue
            part = np.s_[a.shape[0] - u.shape[0] :, : u.shape[1]]
            b, m = a + 0, n.copy()
            b[part] = u
            m[part] = v
            check_same(b, m)


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
def test_at_with_slices(name):
    n = np.arange(1.0, 25.0, dtype=np.float32).reshape(4, 6)
    u = np.array([2, 4, 8], dtype=np.float32)
    for part in np.s_[1:3, ::2], np.s_[::-2, 3:], np.s_[2, :3], np.s_[:, 1:4]:
        want = n.copy()
        getattr(np, name)(want[part], u, out=want[part])
        check_same(getattr(mx.array(n).at[part], name)(mx.array(u)), want)
    check_grad(
        lambda a, b: getattr(a.at[1:3, ::2], name)(b), mx.array(n) / 7, mx.array(u + 0.3) / 5
    )


def test_broadcast_updates():
    a = mx.zeros((3, 4))
    a[1:] = mx.array([1, 2, 3, 4])
    a[:, ::2] = mx.array([[5], [6], [7]])
    a[0, 1] = 9.7
    check_same(a, np.array([[5, 9.7, 5, 0], [6, 2, 6, 4], [7, 2, 7, 4]], dtype=np.float32))
    with pytest.raises(ValueError):
        a[1:] = mx.zeros((3, 4))
    with pytest.raises(ValueError):
        a[1:] = mx.zeros((5,))


def test_an_update_does_not_reach_other_arrays():
    a = mx.arange(6.0)
    mx.eval(a)
    b, view = mx.array(a), a[1:4]
    same = a
    a[2] = 100
    assert b.tolist() == [0, 1, 2, 3, 4, 5]
    assert view.tolist() == [1, 2, 3]
    assert same.tolist() == [0, 1, 100, 3, 4, 5]
    a[1:] = a[:-1]
    assert a.tolist() == [0, 0, 1, 100, 3, 4]
    a[::-1] = a
    assert a.tolist() == [4, 3, 100, 1, 0, 0]


def test_transforms_of_slices():
    check_transforms(lambda x: x[1:, ::-2] ** 2)
    check_transforms(lambda x: x[-1] * x[0])
    check_transforms(lambda x: x[5:])

    def put(x, u):
        x = x * 1
        x[::2, 1:] = u
        return x**2

    rng = np.random.default_rng(0)
    x = mx.array(rng.uniform(1, 2, (2, 3, 4)).astype(np.float32))
    u = mx.array(rng.uniform(1, 2, (2, 2, 3)).astype(np.float32))
    check_grad(put, x[0], u[0])
    check_vmap(put, x, u)
    check_vmap(put, x, u[0], in_axes=(0, None))
    check_vmap(put, x[0], u, in_axes=(None, 0))


def test_dynamic_slices():
    a, n = values((4, 6))
    for dtype in (mx.int32, mx.uint8, mx.int64):
        start = mx.array([1, 2], dtype=dtype)
        check_same(mx.slice(a, start, (0, 1), (2, 3)), n[1:3, 2:5])
        check_same(mx.slice(a, start, (1, 0), (2, 3)), n[2:4, 1:4])
        want = n.copy()
        want[1:3, 2:5] = -1
        check_same(mx.slice_update(a, mx.full((2, 3), -1.0), start, (0, 1)), want)
    check_same(mx.slice(a.T, mx.array([3]), (0,), (2, 4)), n.T[3:5])
    check_transforms(lambda x: mx.slice(x, mx.array([1]), (1,), (3, 2)) ** 2)
    starts = mx.array([[0, 1], [2, 2], [1, 0]])
    f = lambda x, s: mx.slice(x, s, (0, 1), (2, 3))
    g = lambda x, s: mx.slice_update(x, mx.ones((2, 3)), s, (0, 1))
    for h in (f, g):
        check_vmap(h, mx.stack([a] * 3), starts)
        check_vmap(h, a, starts, in_axes=(None, 0))
        check_vmap(h, mx.stack([a] * 3), starts[0], in_axes=(0, None))


def test_a_bad_start_fails_each_update_that_begins_there():
    bad, good = mx.array([2]) + 1, mx.array([1]) + 1
    new = mx.ones((2, 6))
    failing = [mx.slice_update(mx.zeros((4, 6)), new * i, bad, (0,)) for i in range(3)]
    tall = mx.slice_update(mx.zeros((5, 6)), new, bad, (0,))
    fine = mx.slice_update(mx.zeros((4, 6)), new, good, (0,))
    after = failing[2] + 1
    mx.async_eval(*failing, tall, fine, after)
    for x in (*failing, after):
        with pytest.raises(IndexError):
            mx.eval(x)
    np.testing.assert_array_equal(tall[:, 0], [0, 0, 0, 1, 1])
    np.testing.assert_array_equal(fine[:, 0], [0, 0, 1, 1])


def test_dynamic_slices_outside_raise():
    a = mx.zeros((4, 6))
    for start in (3, -1, 2**31 - 1):
        with pytest.raises(IndexError):
            mx.eval(mx.slice(a, mx.array([start]), (0,), (2, 6)))
        with pytest.raises(IndexError):
            mx.eval(mx.slice_update(a, mx.zeros((2, 6)), mx.array([start]), (0,)))
    for call in (
        lambda: mx.slice(a, mx.array([0]), (0,), (5, 6)),
        lambda: mx.slice(a, mx.array([0]), (0,), (2,)),
        lambda: mx.slice(a, mx.array([0, 0]), (0,), (2, 6)),
        lambda: mx.slice(a, mx.array([0.5]), (0,), (2, 6)),
        lambda: mx.slice(a, mx.array([0, 0]), (0, 0), (2, 6)),
        lambda: mx.slice_update(a, mx.zeros((2, 2, 2)), mx.array([0]), (0,)),
    ):
        with pytest.raises(ValueError, match=r"^\[slice"):
            call()


def test_large_strided_updates():
    n = np.random.rand(1024, 1030).astype(np.float32)
    u = np.random.rand(512, 515).astype(np.float32)
    b = mx.array(n) * 1.0
    b[::2, ::2] = mx.array(u)
    want = n.copy()
    want[::2, ::2] = u
    check_same(b, want)
    check_same(mx.contiguous(b[::2, ::2]), u)
    check_same(b.T.at[3:, ::-1].add(1.0)[3:], want.T[3:] + np.float32(1))
