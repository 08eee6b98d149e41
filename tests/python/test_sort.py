"""Order against NumPy: dtypes, layouts, lengths, NaN, stability, selection, derivatives, vmap."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
from dtypes import COMPLEX, EVERY
from oracle import FLOATS, check_derivatives, check_vmap, layouts, to_mlx, to_numpy, values

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("name", EVERY)
def test_sort_and_argsort(name):
    for (a, x), axis in itertools.product(layouts(name), [None, 0, 1, -1]):
        np.testing.assert_array_equal(to_numpy(mx.sort(a, axis=axis)), np.sort(x, axis=axis))
        got = mx.argsort(a, axis=axis)
        assert got.dtype == mx.uint32
        np.testing.assert_array_equal(to_numpy(got), np.argsort(x, axis=axis, kind="stable"))


@pytest.mark.parametrize("n", [1, 2, 8, 9, 40, 41, 257, 2048, 2049, 4096, 4097, 8200])
@pytest.mark.parametrize(
    "name", ["uint8", "int16", "float16", "int32", "float32", "float64", "uint64", *COMPLEX]
)
def test_lengths(name, n):
    x = values(name, (3, n))
    a = to_mlx(x, name)
    np.testing.assert_array_equal(to_numpy(mx.sort(a)), np.sort(x))
    np.testing.assert_array_equal(to_numpy(mx.argsort(a)), np.argsort(x, kind="stable"))


def test_long_rows():
    """Rows that several threads sort in parts and merge."""
    for name in ("float32", "int64"):
        x = values(name, (600_011,))
        a = to_mlx(x, name)
        np.testing.assert_array_equal(to_numpy(mx.sort(a)), np.sort(x))
        np.testing.assert_array_equal(to_numpy(mx.argsort(a)), np.argsort(x, kind="stable"))
    for x in (np.arange(500_000), np.arange(500_000)[::-1].copy(), np.zeros(500_000, "int32")):
        np.testing.assert_array_equal(to_numpy(mx.sort(mx.array(x))), np.sort(x))


@pytest.mark.parametrize("shape", [(70_000, 3), (40_000, 1), (300, 5000), (2, 100_003)])
def test_many_rows(shape):
    x = values("float32", shape).round(2)  # with ties
    a = mx.array(x)
    np.testing.assert_array_equal(to_numpy(mx.sort(a)), np.sort(x))
    np.testing.assert_array_equal(to_numpy(mx.argsort(a)), np.argsort(x, kind="stable"))


@pytest.mark.parametrize("name", ["int8", "float32", *COMPLEX])
@pytest.mark.parametrize("n", [300, 9000])
def test_ties_keep_their_order(name, n):
    x = np.random.default_rng(3).integers(-2, 3, (2, n)).astype(name)
    if name != "int8":
        x[:, ::3] *= -1  # zeros of both signs
        x[:, ::11] = NAN
        x[0, ::22] = -NAN
    a = to_mlx(x, name)
    np.testing.assert_array_equal(to_numpy(mx.argsort(a)), np.argsort(x, kind="stable"))
    np.testing.assert_array_equal(to_numpy(mx.sort(a)), np.sort(x, kind="stable"))


def test_extreme_values():
    x = mx.array([5.0, NAN, -NAN, -INF, INF, 0.0, -0.0])
    np.testing.assert_array_equal(to_numpy(mx.sort(x)), [-INF, 0, 0, 5, INF, NAN, NAN])
    assert mx.argsort(x).tolist() == [3, 5, 6, 0, 4, 1, 2]
    for name in ("int8", "int64", "uint8", "uint64"):
        info = np.iinfo(name)
        y = np.array([0, info.max, info.min, 1], name)
        np.testing.assert_array_equal(to_numpy(mx.sort(mx.array(y))), np.sort(y))
    z = mx.array([1 + 2j, 1 - 2j, complex(NAN, 1), complex(1, NAN), 0j])
    np.testing.assert_array_equal(to_numpy(mx.sort(z))[:3], [0, 1 - 2j, 1 + 2j])
    assert np.isnan(to_numpy(mx.sort(z))[3:]).all()


def test_empty_and_errors():
    assert mx.sort(mx.zeros((0, 3)), axis=0).shape == (0, 3)
    assert mx.argsort(mx.zeros((3, 0))).shape == (3, 0)
    for f in (mx.sort, mx.argsort):
        with pytest.raises((IndexError, ValueError)):
            f(mx.zeros((2, 2)), axis=2)
    for f in (mx.partition, mx.argpartition):
        for kth in (3, -4):
            with pytest.raises(ValueError):
                f(mx.zeros((3,)), kth)
    for k in (-1, 4):
        with pytest.raises(ValueError):
            mx.topk(mx.zeros((3,)), k)


def assert_partitioned(x, kth):
    """Along the last axis."""
    k = kth % x.shape[-1]
    want = np.sort(x)[..., k : k + 1]
    np.testing.assert_array_equal(x[..., k : k + 1], want)
    rank = [np.argsort(np.argsort(row, kind="stable")) for row in x.reshape(-1, x.shape[-1])]
    for row, ranks in zip(x.reshape(-1, x.shape[-1]), rank, strict=True):
        pivot = np.sort(row)[k]
        below = [v for v in row[:k] if not np.isnan(v)]
        assert all(v <= pivot or np.isnan(pivot) for v in below) and len(ranks) == len(row)
        assert all(v >= pivot or np.isnan(v) for v in row[k + 1 :])


@pytest.mark.parametrize("name", [d for d in EVERY if d not in ("bool_", *COMPLEX)])
@pytest.mark.parametrize("n", [1, 5, 100, 3000, 20_000])
def test_partition(name, n):
    x = values(name, (2, n))
    a = to_mlx(x, name)
    for kth in {0, n // 2, n - 1, -1, -(n // 30) - 1, n // 40}:
        order = to_numpy(mx.argpartition(a, kth))
        np.testing.assert_array_equal(np.sort(order), np.broadcast_to(np.arange(n), (2, n)))
        assert_partitioned(np.take_along_axis(x, order.astype("int64"), -1), kth)
        np.testing.assert_array_equal(
            to_numpy(mx.partition(a, kth)), np.take_along_axis(x, order.astype("int64"), -1)
        )


def test_partition_of_axes_and_nan():
    x = values("float32", (6, 40, 3))
    got = to_numpy(mx.partition(mx.array(x), 7, axis=1))
    assert_partitioned(np.moveaxis(got, 1, -1), 7)
    assert_partitioned(to_numpy(mx.partition(mx.array(x), 7, axis=None)), 7)
    y = values("float32", (1, 2000))
    y[0, 5::7] = NAN
    for kth in (3, 1000, 1990, -3):
        assert_partitioned(to_numpy(mx.partition(mx.array(y), kth)), kth)
    for z in (np.arange(2000.0), np.arange(2000.0)[::-1], np.zeros(2000), np.full(2000, -INF)):
        for kth in (10, 1980):
            assert_partitioned(
                to_numpy(mx.partition(mx.array(z[None].astype("float32")), kth)), kth
            )


def test_partition_of_ties_in_many_rows():
    x = np.random.default_rng(4).integers(0, 7, (300, 5003)).astype("float32")
    for kth in (0, 100, 2500, -40):
        order = to_numpy(mx.argpartition(mx.array(x), kth)).astype("int64")
        assert (np.sort(order) == np.arange(5003)).all()
        got = np.take_along_axis(x, order, -1)
        k = kth % 5003
        pivot = np.sort(x)[:, k : k + 1]
        np.testing.assert_array_equal(got[:, k : k + 1], pivot)
        assert (got[:, :k] <= pivot).all() and (got[:, k:] >= pivot).all()


def test_topk():
    for (a, x), axis, k in itertools.product(layouts("float32"), [0, 1, -1], [0, 1, 2]):
        n = x.shape[axis]
        want = np.sort(x, axis).take(np.arange(n - k, n), axis)
        np.testing.assert_array_equal(np.sort(to_numpy(mx.topk(a, k, axis=axis)), axis), want)
    assert sorted(mx.topk(mx.array([3, 1, 2]), 3).tolist()) == [1, 2, 3]


@pytest.mark.parametrize("name", [d for d in EVERY if d not in COMPLEX])
@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(name, side):
    x = np.sort(values(name, (37,)))
    v = values(name, (4, 6), seed=1)
    v[0] = x[:6]
    got = mx.searchsorted(to_mlx(x, name), to_mlx(v, name), side=side)
    assert got.dtype == mx.uint32
    np.testing.assert_array_equal(to_numpy(got), np.searchsorted(x, v, side))


def test_searchsorted_cases():
    x = mx.array([1.0, 2.0, NAN, NAN])
    assert mx.searchsorted(x, mx.array([2.0, 0.0, 9.0, NAN])).tolist() == [1, 0, 2, 2]
    assert mx.searchsorted(x, mx.array([NAN]), side="right").tolist() == [4]
    assert mx.searchsorted(mx.array([1, 2, 3]), mx.array([1.5, 2.5])).tolist() == [1, 2]
    assert mx.searchsorted(mx.zeros((0,)), mx.array([1.0])).tolist() == [0]
    assert mx.searchsorted(mx.array([-0.0, 0.0]), mx.array(0.0)).item() == 0
    for bad in (mx.array(1.0), mx.zeros((2, 2))):
        with pytest.raises(ValueError):
            mx.searchsorted(bad, mx.array([1.0]))
    with pytest.raises(ValueError):
        mx.searchsorted(x, x, side="middle")


@pytest.mark.parametrize("name", EVERY)
def test_unique(name):
    for a, x in layouts(name):
        want, index, inverse, counts = np.unique(
            x, return_index=True, return_inverse=True, return_counts=True
        )
        n = len(want)
        got = mx.unique(a, size=n, return_index=True, return_inverse=True, return_counts=True)
        np.testing.assert_array_equal(to_numpy(got[0]), want)
        np.testing.assert_array_equal(to_numpy(got[1]), index)
        np.testing.assert_array_equal(to_numpy(got[2]), inverse.reshape(x.shape))
        np.testing.assert_array_equal(to_numpy(got[3]), counts)


def test_unique_of_many():
    for x in (values("int32", (300_001,)), np.arange(50_000)[::-1].copy()):
        want = np.unique(x, return_index=True, return_inverse=True, return_counts=True)
        flags = {"return_index": True, "return_inverse": True, "return_counts": True}
        got = mx.unique(mx.array(x), size=len(want[0]), **flags)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_array_equal(to_numpy(a), b)


def test_unique_sizes():
    x = mx.array([3, 1, 1, 2, 3])
    flags = {"return_index": True, "return_inverse": True, "return_counts": True}
    got = [a.tolist() for a in mx.unique(x, size=5, **flags)]
    assert got == [[1, 2, 3, 1, 1], [1, 3, 0, 1, 1], [2, 0, 0, 1, 2], [2, 1, 2, 0, 0]]
    got = [a.tolist() for a in mx.unique(x, size=2, **flags)]
    assert got == [[1, 2], [1, 3], [1, 0, 0, 1, 1], [2, 1]]
    assert mx.unique(x, size=5, fill_value=9).tolist() == [1, 2, 3, 9, 9]
    nans = mx.unique(mx.array([1.0, NAN, NAN, 2.0]), size=4, return_counts=True)
    assert nans[1].tolist() == [1, 1, 1, 1]
    assert mx.unique(mx.zeros((0,)), size=2, fill_value=7).tolist() == [7, 7]
    for bad in (lambda: mx.unique(mx.zeros((0,)), size=2), lambda: mx.unique(x, size=-1)):
        with pytest.raises(ValueError):
            bad()


@pytest.mark.parametrize("axis", [0, 1, -1, None])
def test_derivatives(axis):
    x = np.random.default_rng(5).permutation(24).reshape(2, 4, 3) / 7 - 0.83
    weight = mx.array(values("float64", (24,)), dtype=mx.float64)

    def weighted(f):
        def g(a):
            y = f(a)
            return y * weight[: y.size].reshape(y.shape)

        return g

    check_derivatives(weighted(lambda a: mx.sort(a, axis=axis)), x)
    check_derivatives(weighted(lambda a: mx.partition(a, 1, axis=axis)), x)
    check_derivatives(weighted(lambda a: mx.topk(a, 2, axis=axis)), x)


def test_vmap():
    for axis in (0, 1):
        check_vmap(lambda a, axis=axis: mx.sort(a, axis=axis), (4, 5))
        check_vmap(lambda a, axis=axis: mx.argsort(a, axis=axis), (4, 5))
        check_vmap(lambda a, axis=axis: mx.topk(a, 2, axis=axis), (4, 5))
    check_vmap(lambda a: mx.unique(a, size=6), (6,))
    x, v = np.sort(values("float32", (3, 9))), values("float32", (3, 4), seed=2)
    got = mx.vmap(mx.searchsorted)(mx.array(x), mx.array(v))
    want = [np.searchsorted(a, b) for a, b in zip(x, v, strict=True)]
    np.testing.assert_array_equal(to_numpy(got), want)
    got = mx.vmap(mx.searchsorted, in_axes=(None, 0))(mx.array(x[0]), mx.array(v))
    np.testing.assert_array_equal(to_numpy(got), np.searchsorted(x[0], v))


@pytest.mark.parametrize("name", FLOATS)
def test_half_types_keep_their_values(name):
    x = values(name, (500,))
    assert mx.sort(to_mlx(x, name)).dtype == getattr(mx, name)
    np.testing.assert_array_equal(to_numpy(mx.sort(to_mlx(x, name))), np.sort(x))


def test_a_shapeless_partition_refuses_axes_that_are_too_short():
    for op in (mx.partition, mx.argpartition):
        third = mx.compile(lambda x, op=op: op(x, 3), shapeless=True)
        assert third(mx.arange(5)).tolist() == op(mx.arange(5), 3).tolist()
        with pytest.raises(ValueError, match="artition"):
            mx.eval(third(mx.arange(2)))
