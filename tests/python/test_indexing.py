"""Indexing follows NumPy: small keys in combination, read, written and updated, NumPy as oracle."""

import itertools

import mlx.core as mx
import numpy as np
import pytest

SHAPES = [(), (5,), (3, 4), (2, 3, 4), (2, 0, 3)]
INTS = [0, 1, -1]
SLICES = [
    slice(None),
    slice(1, None),
    slice(None, -1),
    slice(None, None, 2),
    slice(None, None, -1),
    slice(-1, None, -2),
    slice(2, 1),
    slice(100, None),
    slice(-100, 100),
]
ARRAYS = [
    np.array([0, 1, 0]),
    np.array([[1], [0]]),
    np.array(1),
    np.array([], dtype=np.int32),
    np.array([-1, 0], dtype=np.int64),
]


def sample(shape, dtype=np.float32):
    return np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)


def to_mx(key):
    """The same key with NumPy arrays as arrays of ours."""
    if isinstance(key, tuple):
        return tuple(to_mx(k) for k in key)
    return mx.array(key) if isinstance(key, np.ndarray) else key


def same(got, want):
    assert got.shape == want.shape
    np.testing.assert_array_equal(np.array(got), want)


def check_read(a, key):
    try:
        want = a[key]
    except IndexError:
        with pytest.raises((IndexError, ValueError)):
            mx.eval(mx.array(a)[to_mx(key)])
        return
    same(mx.array(a)[to_mx(key)], want)


def check_write(a, key):
    """A scalar, a full value and one that broadcasts."""
    try:
        part = a[key]
    except IndexError:
        return
    values = [np.float32(-1), -sample(part.shape) - 1]
    if part.ndim > 0:
        values.append(np.full((1,) * (part.ndim - 1) + part.shape[-1:], -3, np.float32))
    for value in values:
        want = a.copy()
        want[key] = value
        got = mx.array(a)
        got[to_mx(key)] = mx.array(value)
        np.testing.assert_array_equal(np.array(got), want, err_msg=f"{key} = {value}")


def keys_of(ndim):
    """All tuples up to one entry per axis, with ellipses and new axes."""
    entries = [
        0,
        -1,
        slice(None),
        slice(None, None, -1),
        slice(1, 3),
        ARRAYS[0],
        ARRAYS[1],
        None,
        ...,
    ]
    for n in range(1, ndim + 2):
        for key in itertools.product(range(len(entries)), repeat=n):
            chosen = tuple(entries[i] for i in key)
            if sum(k is ... for k in chosen) > 1 or sum(k is None for k in chosen) > 1:
                continue
            if sum(k is not None and k is not ... for k in chosen) <= ndim:
                yield chosen


@pytest.mark.parametrize("shape", SHAPES)
def test_single_keys(shape):
    a = sample(shape)
    for key in [*INTS, *SLICES, *ARRAYS, None, ..., (), 7, -9]:
        check_read(a, key)
        check_write(a, key)


@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_all_short_tuples(shape):
    a = sample(shape)
    for key in keys_of(len(shape)):
        check_read(a, key)
        check_write(a, key)


def test_tuples_of_three():
    a = sample((2, 3, 4))
    entries = [1, slice(None, None, -2), ARRAYS[0], ARRAYS[1]]
    for key in itertools.product(entries, repeat=3):
        check_read(a, key)
        check_write(a, key)


def test_none_between_index_arrays_parts_them():
    a = sample((2, 3, 4))
    i = np.array([0, 1])
    for key in [
        (i, None, i),
        (i, slice(None), i),
        (slice(None), i, None, i),
        (None, i, i),
        (0, ..., i),
    ]:
        check_read(a, key)
        check_write(a, key)


def test_masks_read():
    a = sample((3, 4))
    mask = a % 2 == 0
    for key in [
        mask,
        a > 100,
        mask[:, 0],
        (slice(None), mask[0]),
        (mask[:, 0], 1),
        (mask[:, 0], None),
    ]:
        check_read(a, key)
        check_write(a, key)
    same(mx.array(a)[True], a[True])
    same(mx.array(a)[False], a[False])
    same(mx.array(a)[[True, False, True]], a[[True, False, True]])
    with pytest.raises((IndexError, ValueError)):
        mx.array(a)[mx.array([True, False])]


def test_mask_write_forms():
    a = sample((3, 4))
    mask = a % 3 == 0
    for value in [np.float32(7), np.arange(mask.sum(), dtype=np.float32)]:
        got, want = mx.array(a), a.copy()
        got[mx.array(mask)] = mx.array(value)
        want[mask] = value
        same(got, want)
    rows = np.array([True, False, True])
    for value in [np.arange(4, dtype=np.float32), sample((2, 4)), sample((2, 1)), sample((1, 4))]:
        got, want = mx.array(a), a.copy()
        got[mx.array(rows)] = mx.array(value)
        want[rows] = value
        same(got, want)


def test_mask_takes_the_first_of_more_values():
    a, many = sample((4, 2)), sample((6, 2)) + 100
    for mask in ([True, False, True, False], [False] * 4):
        got, want = mx.array(a), a.copy()
        got[mx.array(mask)] = mx.array(many)
        want[mask] = many[: sum(mask)]
        same(got, want)
    with pytest.raises(ValueError, match="shape"):
        mx.array(a)[mx.array([True, True, True, False])] = mx.array(many[:2])


def test_mask_in_compiled_function():
    def clear(x, m, v):
        x[m] = v
        return x

    a, mask = sample((6,)), np.array([True, False] * 3)
    got = mx.compile(clear)(mx.array(a), mx.array(mask), mx.array([10.0, 20.0, 30.0]))
    same(got, np.array([10, 1, 20, 3, 30, 5], np.float32))


def test_index_types():
    x = mx.arange(5)
    assert x[np.int64(2)].item() == 2
    assert x[mx.array(3)].item() == 3
    assert x[np.array([1, 2])].tolist() == [1, 2]
    assert x[[1, 2]].tolist() == [1, 2]
    assert x[[]].shape == (0,)
    assert x[mx.array(1) :].tolist() == [1, 2, 3, 4]
    assert x[mx.array([1], mx.uint8)].tolist() == [1]


@pytest.mark.parametrize("key", [5, -6, (0, 0), "x", 1.0, (..., ...), {}, slice(0, 2, 0)])
def test_bad_keys(key):
    x = mx.arange(5)
    with pytest.raises((IndexError, ValueError)):
        x[key]
    with pytest.raises((IndexError, ValueError)):
        x[key] = 1


def test_out_of_range_int_is_an_index_error_at_once():
    x = mx.zeros((3, 4))
    for key in [3, -4, (0, 4), (slice(None), -5)]:
        with pytest.raises(IndexError):
            x[key]
        with pytest.raises(IndexError):
            x[key] = 0
    with pytest.raises(IndexError):
        mx.take(x, 3, axis=0)


def test_float_indices_are_refused():
    with pytest.raises(ValueError):
        mx.arange(3)[mx.array([0.0])]


def test_write_takes_dtype_of_the_array():
    x = mx.zeros((3,), mx.int32)
    x[0] = 2.7
    x[1:] = mx.array([1.5, 2.5])
    assert x.dtype == mx.int32 and x.tolist() == [2, 1, 2]
    x[:] = [7, 8, 9]
    assert x.tolist() == [7, 8, 9]


def test_write_reaches_every_name_but_no_other_array():
    x = mx.arange(3)
    alias, copy, derived = x, mx.array(x), x + 0
    x[0] = 9
    assert alias.tolist() == [9, 1, 2]
    assert copy.tolist() == [0, 1, 2] and derived.tolist() == [0, 1, 2]


def test_write_refuses_values_that_do_not_fit():
    x = mx.zeros((2, 3))
    for key, shape in [
        (0, (2,)),
        (slice(None), (3, 3)),
        (mx.array([0, 1]), (3, 3)),
        ((0, 0), (2,)),
    ]:
        with pytest.raises(ValueError):
            x[key] = mx.ones(shape)


UPDATES = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


@pytest.mark.parametrize("name", UPDATES)
def test_at_counts_every_index(name):
    a = sample((4, 3)) + 1
    keys = [
        np.array([0, 0, 2]),
        (np.array([0, 1, 0]), np.array([2, 2, 2])),
        1,
        slice(None, None, 2),
        (slice(1, 3), np.array([0, 0])),
        (slice(None, None, -1), 1),
    ]
    for key in keys:
        for value in [np.float32(2), sample(a[key].shape) + 1]:
            want = a.copy()
            UPDATES[name].at(want, key, value)
            got = getattr(mx.array(a).at[to_mx(key)], name)(mx.array(value))
            np.testing.assert_allclose(np.array(got), want, rtol=1e-6)


def test_at_leaves_the_array_alone_and_needs_an_index():
    x = mx.array([1, 2, 3])
    y = x.at[0].add(5)
    assert x.tolist() == [1, 2, 3] and y.tolist() == [6, 2, 3] and y.dtype == mx.int32
    assert mx.array([7, 8]).at[:].divide(2).tolist() == [3, 4]
    with pytest.raises(ValueError):
        x.at.add(1)


def test_gradients_flow_through_reads_and_writes():
    x = mx.array([1.0, 2.0, 3.0, 4.0])
    i = mx.array([0, 0, 3])
    assert mx.grad(lambda v: (v[i] * mx.array([1.0, 2.0, 3.0])).sum())(x).tolist() == [3, 0, 0, 3]
    assert mx.grad(lambda v: (v[::-2] ** 2).sum())(x).tolist() == [0, 4, 0, 8]

    def write(v):
        w = v * 2
        w[1:3] = v[0]
        return (w * w).sum()

    assert mx.grad(write)(x).tolist() == [12, 0, 0, 32]


def test_iteration():
    x = mx.arange(6).reshape(3, 2)
    assert [r.tolist() for r in x] == [[0, 1], [2, 3], [4, 5]]
    assert len(x) == 3 and list(mx.zeros((0, 2))) == []
    for f in (len, iter, list):
        with pytest.raises(TypeError):
            f(mx.array(1))
    assert 4 in mx.arange(5) and 7 not in mx.arange(5)


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 3), (2, 0, 3)])
def test_masks_of_empty_arrays(shape):
    x, mask = np.zeros(shape, np.float32), np.zeros(shape, bool)
    a, m = mx.array(x), mx.array(mask)
    assert a[m].shape == x[mask].shape
    a[m] = mx.zeros((0,))
    a[m] = 1.0
    a[mx.zeros((0,), mx.int32)] += 1.0
    assert a.shape == shape


def test_ints_that_do_not_fit_are_not_stored():
    x = mx.zeros((3,), mx.uint8)
    for index, value in [(0, 300), (slice(None), -1), (slice(None), [300, 1, 2])]:
        with pytest.raises(ValueError, match="uint8 would result in overflow"):
            x[index] = value
    for update in ("add", "subtract", "multiply", "divide", "maximum", "minimum"):
        with pytest.raises(ValueError, match="uint8 would result in overflow"):
            getattr(x.at[0], update)(256)
    assert x.tolist() == [0, 0, 0]
    x[1:] = [255, True]
    assert x.tolist() == [0, 255, 1]
