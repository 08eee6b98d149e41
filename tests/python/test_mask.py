"""Reads and writes under masks, of every size of element and row."""

import mlx.core as mx
import numpy as np
import pytest
from dtypes import COMPLEX
from layouts import to_numpy

SIZES = [1, 7, 16, 4095, 4096, 4097, 20001]
DTYPES = ["bool_", "uint8", "float16", "bfloat16", "float32", "int64", *COMPLEX]


def sample(shape, dtype="float32"):
    rng = np.random.default_rng(sum(shape))
    return mx.array(rng.integers(0, 120, shape).astype(np.float32)).astype(getattr(mx, dtype))


def mask_of(shape, share=0.5):
    return np.random.default_rng(3).random(shape) < share


def same(got, want):
    assert got.shape == want.shape
    np.testing.assert_array_equal(to_numpy(got), want)


@pytest.mark.parametrize("dtype", DTYPES)
def test_elements(dtype):
    a, mask = sample((5000,), dtype), mask_of((5000,))
    same(a[mx.array(mask)], to_numpy(a)[mask])


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 1])
def test_sizes(n, share):
    a, mask = sample((n,)), mask_of((n,), share)
    same(a[mx.array(mask)], to_numpy(a)[mask])
    values = np.arange(mask.sum(), dtype=np.float32)
    want = to_numpy(a).copy()
    want[mask] = values
    a[mx.array(mask)] = mx.array(values)
    same(a, want)


@pytest.mark.parametrize("rows", [(3,), (4,), (5, 7), (64,), (1000,)])
def test_rows(rows):
    a, mask = sample((5000, *rows)), mask_of((5000,))
    same(a[mx.array(mask)], to_numpy(a)[mask])
    values = sample((int(mask.sum()), *rows)) + 500
    want = to_numpy(a).copy()
    want[mask] = to_numpy(values)
    a[mx.array(mask)] = values
    same(a, want)


def test_layouts():
    a, mask = sample((60, 70)), mask_of((60, 70))
    x = to_numpy(a)
    same(a.T[mx.array(mask).T], x.T[mask.T])
    same(a[::2, 3:][mx.array(mask)[::2, 3:]], x[::2, 3:][mask[::2, 3:]])
    same(mx.broadcast_to(a[0], a.shape)[mx.array(mask)], np.broadcast_to(x[0], x.shape)[mask])
    same(a[1:][mx.array(mask[:, 0])[1:]], x[1:][mask[1:, 0]])
    same(mx.zeros((0, 3))[mx.zeros((0,), mx.bool_)], np.zeros((0, 3), np.float32))
    same(mx.zeros((4, 0))[mx.array([True, False, True, True])], np.zeros((3, 0), np.float32))


def test_what_was_kept_stays():
    a, mask = sample((300,)) + 0, mx.array(mask_of((300,)))
    view, before = a[:], to_numpy(a).copy()
    a[mask] = mx.zeros((int(mask.sum().item()),)) - 1
    same(view, before)
    assert (to_numpy(a)[np.array(mask)] == -1).all()


def test_in_keys_of_several_parts():
    a, mask = sample((40, 50, 3)), mask_of((40, 50))
    same(a[mx.array(mask), 1], to_numpy(a)[mask, 1])
    same(a[:, mx.array(mask[0])], to_numpy(a)[:, mask[0]])


def test_derivatives_of_reads():
    a, mask = sample((30, 4)), mask_of((30,))
    weights = mx.arange(float(mask.sum() * 4)).reshape(-1, 4)
    want = np.zeros(a.shape, np.float32)
    want[mask] = to_numpy(weights)
    same(mx.grad(lambda x: (x[mx.array(mask)] * weights).sum())(a), want)
    tangents = mx.jvp(lambda x: x[mx.array(mask)], [a], [a + 1])[1]
    same(tangents[0], to_numpy(a)[mask] + 1)
    twice = mx.grad(lambda x: mx.grad(lambda y: (y[mx.array(mask)] ** 3).sum())(x).sum())(a)
    same(twice, np.where(mask[:, None], 6 * to_numpy(a), 0).astype(np.float32))


def test_derivatives_of_writes():
    a, mask = sample((50,)), mask_of((50,))
    values = mx.arange(float(mask.sum()))

    def loss(x, v):
        y = x * 1
        y[mx.array(mask)] = v
        return (y * y).sum()

    got = mx.grad(loss, argnums=(0, 1))(a, values)
    same(got[0], np.where(mask, 0, 2 * to_numpy(a)))
    same(got[1], 2 * to_numpy(values))


def test_vmap():
    a, mask = sample((6, 20, 3)), mx.array(mask_of((20,)))
    want = np.stack([to_numpy(a)[i][np.array(mask)] for i in range(6)])
    same(mx.vmap(lambda x: x[mask])(a), want)
    same(mx.vmap(lambda x: x[mask], in_axes=1)(mx.swapaxes(a, 0, 1)), want)


def test_compiled_write_checks_its_values():
    def write(x, m, v):
        x[m] = v
        return x

    mask = mx.array([True, False, True, True])
    for v in (mx.arange(3.0), mx.arange(5.0)):
        got = mx.compile(write)(mx.zeros((4,)), mask, v)
        same(got, np.array([0, 0, 1, 2], np.float32))
    with pytest.raises(IndexError, match="masked_scatter"):
        mx.eval(mx.compile(write)(mx.zeros((4,)), mask, mx.arange(2.0)))


def test_errors():
    a = sample((4, 5))
    for mask in (mx.zeros((5,), mx.bool_), mx.zeros((4, 5, 1), mx.bool_)):
        with pytest.raises(ValueError, match="mask of shape"):
            a[mask]
        with pytest.raises(ValueError, match="mask of shape"):
            a[mask] = 1
    with pytest.raises(ValueError):
        a[mx.array([True, False, True, True])] = mx.zeros((2, 5))
