"""Reading and writing by index arrays, masks and the functions along an axis, against NumPy."""

import mlx.core as mx
import numpy as np
import pytest
from dtypes import COMPLEX
from layouts import DTYPES, check_grad, check_same, check_transforms, check_vmap, layouts, values

INDEX_DTYPES = ["uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"]


def ints(*items, dtype="int32"):
    return mx.array(np.array(items), dtype=getattr(mx, dtype))


def test_take_from_every_layout():
    for _, a, n in layouts():
        for axis in (0, 1, -1):
            extent = a.shape[axis]
            if extent == 0:
                continue
            index = np.array([[0, extent - 1, -1], [extent // 2, 0, -extent]])
            check_same(mx.take(a, mx.array(index), axis=axis), np.take(n, index, axis=axis))
        if a.size:
            index = np.arange(0, a.size, 3)
            check_same(mx.take(a, mx.array(index)), np.take(n, index))


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype(dtype):
    a, n = values((5, 6), dtype)
    rows, columns = np.array([4, 0, 2]), np.array([[1], [-1]])
    check_same(a[mx.array(rows)], n[rows])
    check_same(a[mx.array(rows), mx.array(columns)], n[rows, columns])
    check_same(mx.take(a, mx.array(rows), axis=1), n[:, rows])
    along = np.array([[0], [5], [1], [2], [-1]])
    check_same(mx.take_along_axis(a, mx.array(along), 1), np.take_along_axis(n, along, 1))
    b = mx.array(a)
    b[mx.array(rows)] = a[:3]
    m = n.copy()
    m[rows] = n[:3]
    check_same(b, m)


@pytest.mark.parametrize("dtype", INDEX_DTYPES)
def test_every_index_dtype(dtype):
    a, n = values((5, 6))
    index = ints(4, 0, 2, dtype=dtype)
    check_same(a[index], n[[4, 0, 2]])
    check_same(mx.take(a, index, axis=1), n[:, [4, 0, 2]])
    along = mx.broadcast_to(index[None], (5, 3))
    check_same(mx.take_along_axis(a, along, 1), n[:, [4, 0, 2]])
    check_same(a.at[index].add(1.0), n + np.eye(5)[[4, 0, 2]].sum(0)[:, None])


def test_take_one_index():
    a, n = values((3, 4))
    check_same(mx.take(a, 1, axis=1), n[:, 1])
    check_same(mx.take(a, -1, axis=0), n[-1])
    check_same(mx.take(a, 7), n.reshape(-1)[7])
    for bad in (4, -5):
        with pytest.raises(IndexError):
            mx.take(a, bad, axis=1)


@pytest.mark.parametrize("axis", [0, 1, 2, None])
def test_along_axis_against_numpy(axis):
    a, n = values((4, 5, 6))
    n = n.astype(np.float32)
    order = np.argsort(-n, axis=axis)
    check_same(mx.take_along_axis(a, mx.array(order), axis), np.take_along_axis(n, order, axis))
    want = np.zeros_like(n)
    np.put_along_axis(want, order, n if axis is not None else n.reshape(-1), axis)
    source = a if axis is not None else a.reshape(-1)
    check_same(mx.put_along_axis(mx.zeros_like(a), mx.array(order), source, axis), want)


def test_along_axis_broadcasts():
    a, n = values((4, 5))
    index = np.array([[1, 3]])
    check_same(mx.take_along_axis(a, mx.array(index), 1), n[:, [1, 3]])
    check_same(
        mx.take_along_axis(a[:1], mx.array([[1], [3]]), 1),
        n[:1].repeat(2, 0)[[0, 1], [1, 3]][:, None],
    )
    want = n.copy()
    want[:, [1, 3]] = [[100], [200], [300], [400]]
    values_ = mx.array([[100.0], [200.0], [300.0], [400.0]])
    check_same(mx.put_along_axis(a, mx.array(index), values_, 1), want)
    check_same(mx.put_along_axis(a, mx.array(index), mx.array(7), 1)[:, 1], np.full(4, 7))


def test_later_writes_win():
    a = mx.zeros(4)
    index = ints(1, 1, 2, 1)
    a[index] = mx.array([1.0, 2.0, 3.0, 4.0])
    assert a.tolist() == [0, 4, 3, 0]
    b = mx.put_along_axis(mx.zeros((1, 3)), ints(0, 0)[None], mx.array([[1.0, 2.0]]), 1)
    assert b.tolist() == [[2, 0, 0]]


@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "maximum", "minimum"])
def test_updates_at_repeated_indices(name):
    n = np.arange(1.0, 13.0, dtype=np.float32).reshape(4, 3)
    updates = np.array([[2, 4, 8], [1, 2, 4], [4, 2, 1]], dtype=np.float32)
    index = np.array([1, 3, 1])
    ours = getattr(mx.array(n).at[mx.array(index)], name)(mx.array(updates))
    getattr(np, name).at(n, index, updates)
    check_same(ours, n)


def test_large_gathers_and_scatters():
    rng = np.random.default_rng(0)
    n = rng.standard_normal((700, 1000)).astype(np.float32)
    rows = rng.integers(-700, 700, 9000)
    a, index = mx.array(n), mx.array(rows)
    check_same(a[index], n[rows])
    check_same(mx.take(a, index, axis=0)[:, ::7], n[rows][:, ::7])
    columns = rng.integers(-1000, 1000, 3000)
    check_same(mx.take(a, mx.array(columns), axis=1), n[:, columns])
    small = n.astype(np.int32)
    u = rng.integers(0, 9, (9000, 1000)).astype(np.int32)
    want = small.copy()
    np.add.at(want, rows, u)
    check_same(mx.array(small).at[index].add(mx.array(u)), want)
    # All updates of one row: threads then share columns.
    check_same(
        mx.zeros((4, 1000), dtype=mx.int32).at[mx.zeros(9000, dtype=mx.int32)].add(mx.array(u))[0],
        u.sum(0),
    )
    flat = rng.integers(0, 5000, 300000)
    want = np.zeros(5000, np.int64)
    np.add.at(want, flat, 1)
    check_same(mx.zeros(5000, dtype=mx.int64).at[mx.array(flat)].add(1), want)


@pytest.mark.parametrize("count, targets", [(300, 40), (5000, 1), (20000, 100), (90000, 70000)])
@pytest.mark.parametrize("width", [1, 64])
def test_sums_at_repeated_indices(count, targets, width):
    rng = np.random.default_rng(0)
    rows = rng.integers(-targets, targets, count)
    n = rng.standard_normal((count, width)).astype(np.float32)
    index, updates = mx.array(rows), mx.array(n)
    start = mx.ones((targets, width))
    first = start.at[index].add(updates)
    for _ in range(3):
        assert mx.array_equal(start.at[index].add(updates), first)
    want, size = np.ones((targets, width)), np.ones((targets, width))
    np.add.at(want, rows, n.astype(np.float64))
    np.add.at(size, rows, np.abs(n.astype(np.float64)))
    assert np.all(np.abs(np.array(first) - want) <= 4 * np.finfo(np.float32).eps * size)


def test_sums_along_an_axis_at_repeated_indices():
    rng = np.random.default_rng(0)
    columns = rng.integers(0, 7, (50, 3, 200))
    weights = rng.standard_normal(columns.shape).astype(np.float32)

    def picked(x):
        return (mx.take_along_axis(x, mx.array(columns), 2) * mx.array(weights)).sum()

    want = np.zeros((50, 3, 7))
    places = np.indices(columns.shape)
    np.add.at(want, (places[0], places[1], columns), weights.astype(np.float64))
    gradient = mx.grad(picked)(mx.zeros((50, 3, 7)))
    np.testing.assert_allclose(np.array(gradient), want, atol=2e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", *COMPLEX])
def test_products_and_sums_of_each_type(dtype):
    rows = np.arange(4000) % 2000
    values = (1 + np.arange(4000) % 3).astype(np.float32)
    index, updates = mx.array(rows), mx.array(values).astype(getattr(mx, dtype))
    start = mx.full((2000,), 2, getattr(mx, dtype))
    check_same(start.at[index].add(updates).astype(mx.float32), 2 + values[:2000] + values[2000:])
    check_same(
        start.at[index].multiply(updates).astype(mx.float32), 2 * values[:2000] * values[2000:]
    )


@pytest.mark.parametrize("bad", [5, -6, 2**31 - 1, -(2**31), 2**40, -(2**63), 2**63 - 1])
def test_indices_outside_raise(bad):
    a = mx.arange(20.0).reshape(5, 4)
    index = mx.array(np.array([0, bad]))
    with pytest.raises(IndexError, match="out of range"):
        mx.eval(mx.take(a, index, axis=0))
    with pytest.raises(IndexError, match="out of range"):
        mx.eval(mx.take(a, index, axis=1))
    with pytest.raises(IndexError, match="out of range"):
        mx.eval(a[index, index])
    with pytest.raises(IndexError, match="out of range"):
        mx.eval(a.at[index].add(1.0))
    with pytest.raises(IndexError, match="out of range"):
        mx.eval(mx.take_along_axis(a, mx.broadcast_to(index[:, None], (2, 4)), 0))
    with pytest.raises(IndexError, match="out of range"):
        mx.eval(mx.put_along_axis(a, mx.broadcast_to(index[:, None], (2, 4)), mx.array(1.0), 0))
    assert a.sum().item() == 190


def test_unsigned_indices_outside_raise():
    a = mx.arange(5.0)
    for dtype in ("uint8", "uint16", "uint32", "uint64"):
        top = np.iinfo(dtype).max
        with pytest.raises(IndexError):
            mx.eval(a[mx.array(np.array([top], dtype=dtype))])


def test_an_error_stays_with_its_array():
    a = mx.arange(5.0)
    bad = a[ints(9)]
    for use in (mx.eval, np.array, memoryview, mx.array.tolist, repr, lambda x: mx.eval(x + 1)):
        for _ in range(2):
            with pytest.raises((IndexError, BufferError), match="out of range"):
                use(bad)
    assert (a + 1).tolist() == [1, 2, 3, 4, 5]


def test_wrong_calls_raise_at_once():
    a = mx.zeros((5, 4))
    for call in (
        lambda: mx.take(a, mx.array([0.5]), axis=0),
        lambda: mx.take(a, mx.array([0]), axis=2),
        lambda: mx.take(mx.zeros((0, 4)), mx.array([0]), axis=0),
        lambda: mx.take_along_axis(a, mx.array([0]), 0),
        lambda: mx.take_along_axis(a, mx.array([[0, 1]]), 0),
        lambda: mx.take_along_axis(a, mx.array([[0.5]]), 0),
        lambda: mx.put_along_axis(a, mx.array([[0], [1]]), mx.array(1), 1),
        lambda: mx.put_along_axis(a, mx.array([[0]]), mx.zeros((3, 3)), 1),
        lambda: mx.put_along_axis(a, mx.array([[0]]), mx.array(1), 3),
    ):
        with pytest.raises(ValueError, match=r"^\[\w+\] "):
            call()


def test_empty_indices_and_arrays():
    a = mx.zeros((5, 4))
    none = mx.zeros((0,), dtype=mx.int32)
    check_same(mx.take(a, none, axis=0), np.zeros((0, 4)))
    check_same(mx.take(a, none, axis=1), np.zeros((5, 0)))
    check_same(a.at[none].add(mx.zeros((0, 4))), np.zeros((5, 4)))
    check_same(mx.take(mx.zeros((0, 4)), mx.array([1, 2]), axis=1), np.zeros((0, 2)))
    check_same(mx.take_along_axis(a, mx.zeros((5, 0), dtype=mx.int32), 1), np.zeros((5, 0)))


def test_derivatives_and_batches_of_reads():
    index = ints(1, 0, 1, -1)
    check_transforms(lambda x: mx.take(x, index, axis=0) ** 2)
    check_transforms(lambda x: mx.take(x, index, axis=1) ** 2)
    check_transforms(lambda x: mx.take(x, index) ** 2)
    check_transforms(lambda x: x[index, ints(0, 1, 1, 2)] ** 2)
    check_transforms(lambda x: x[mx.array([[0], [2]]), ints(0, 3)] ** 2)
    check_transforms(lambda x: mx.take_along_axis(x, ints(1, 1, 0)[:, None], 1) ** 2)
    a = mx.arange(24.0).reshape(2, 3, 4)
    many = mx.array([[0, 2], [1, 1]])
    for axes in ((0, 0), (0, None), (None, 0), (2, 1)):
        x = a[0] if axes[0] is None else mx.moveaxis(a, 0, axes[0])
        check_vmap(lambda x, i: mx.take(x, i, axis=1), x, many, in_axes=axes)
        check_vmap(lambda x, i: mx.take(x, i, axis=0), x, many, in_axes=axes)
    along = mx.array([[[1], [0], [2]], [[3], [3], [1]]])
    for axes in ((0, 0), (0, None), (None, 0)):
        check_vmap(
            lambda x, i: mx.take_along_axis(x, i, 1),
            a if axes[0] == 0 else a[0],
            along if axes[1] == 0 else along[0],
            in_axes=axes,
        )


@pytest.mark.parametrize("name", ["add", "multiply", "maximum", "minimum"])
def test_derivatives_and_batches_of_writes(name):
    rng = np.random.default_rng(3)
    x = mx.array(rng.uniform(1, 2, (4, 3)).astype(np.float32))
    u = mx.array(rng.uniform(1, 2, (3, 3)).astype(np.float32))
    for index in (ints(0, 2, 1), ints(2, 0, 2)):
        check_grad(lambda a, b, i=index: getattr(a.at[i], name)(b), x, u)
    xs, us = mx.stack([x, x + 1]), mx.stack([u, u * 2])
    i2 = mx.array([[0, 2, 2], [1, 1, 3]])
    for axes in ((0, 0, 0), (0, 0, None), (0, None, 0), (None, 0, 0), (None, None, 0)):
        args = [
            b if k == 0 else s for b, s, k in zip((xs, us, i2), (x, u, i2[0]), axes, strict=False)
        ]
        check_vmap(lambda a, b, i: getattr(a.at[i], name)(b), *args, in_axes=axes)


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_equal_extremes_share_a_derivative(name):
    index = ints(1, 1, 2)
    sign = 1 if name == "maximum" else -1
    got = mx.grad(lambda b: getattr(mx.zeros((4,)).at[index], name)(b * sign).sum())(mx.ones((3,)))
    check_same(got, np.array([0.5, 0.5, 1.0]) * sign)


def test_derivatives_of_replacing_writes():
    def put(a, b):
        a = a * 1
        a[ints(1, 3, 1)] = b
        return a

    rng = np.random.default_rng(3)
    x = mx.array(rng.uniform(1, 2, (4, 3)).astype(np.float32))
    u = mx.array(rng.uniform(1, 2, (3, 3)).astype(np.float32))
    check_grad(put, x, u)
    index = mx.array([[0, 0, 2], [1, 2, 1]])
    check_grad(lambda a, b: mx.put_along_axis(a, index, b, 1), x[:2], u[:2])
    check_vmap(
        lambda a, b: mx.put_along_axis(a, index, b, 1), mx.stack([x[:2]] * 2), mx.stack([u[:2]] * 2)
    )


def test_many_axes_and_slices_between_indices():
    a, n = values((3, 4, 5, 6))
    i, j = np.array([0, 2]), np.array([[1], [3]])
    check_same(a[mx.array(i), :, mx.array(j)], n[i, :, j])
    check_same(a[:, mx.array(i), mx.array(j)], n[:, i, j])
    check_same(a[..., mx.array(i)], n[..., i])
    check_same(a[1:, mx.array(i), ::2], n[1:, i, ::2])


def test_masks():
    a, n = values((4, 5))
    mask = n % 3 == 0
    check_same(a[mx.array(mask)], n[mask])
    rows = np.array([True, False, True, False])
    check_same(a[mx.array(rows)], n[rows])
    b, m = mx.array(a), n.copy()
    b[mx.array(mask)] = -1
    m[mask] = -1
    check_same(b, m)
    b[mx.array(rows)] = mx.arange(10.0).reshape(2, 5)
    m[rows] = np.arange(10.0).reshape(2, 5)
    check_same(b, m)
