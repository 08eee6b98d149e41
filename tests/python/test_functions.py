"""Functions that NumPy and the array-API standard have: values, dtypes, corners, derivatives."""

import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from derivatives import check_gradient

RNG = np.random.default_rng(11)
X = RNG.normal(size=(3, 4, 5)).astype("f4")
HOLES = X.copy()
HOLES[0, 1] = np.nan
HOLES[:, 2, 3] = np.nan
AXES = [None, 0, -1, (0, 2)]


def close(got, want, rtol=2e-6):
    assert tuple(got.shape) == np.shape(want)
    np.testing.assert_allclose(np.array(got), want, rtol=rtol, atol=2e-6)


def same(got, want):
    assert tuple(got.shape) == np.shape(want)
    np.testing.assert_array_equal(np.array(got), want)


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "max", "min", "median"])
@pytest.mark.filterwarnings("ignore")
def test_reductions_without_nan(name, axis, keepdims):
    f, g = getattr(mx, "nan" + name), getattr(np, "nan" + name)
    for x in (X, HOLES, np.asfortranarray(HOLES)):
        close(f(mx.array(x), axis, keepdims), g(x, axis=axis, keepdims=keepdims))
    whole = np.arange(12).reshape(3, 4)
    close(f(mx.array(whole), 0), g(whole, axis=0))


@pytest.mark.parametrize("axis", AXES)
@pytest.mark.parametrize("method", ["linear", "lower", "higher", "nearest", "midpoint"])
@pytest.mark.filterwarnings("ignore")
def test_quantiles(axis, method):
    for q in (0.3, [0.0, 0.21, 1.0], [[0.1, 0.9]]):
        for x in (X, HOLES):
            if method != "nearest" or axis != 0:  # ties depend on the rounding of q
                for keepdims in (False, True):
                    options = {"axis": axis, "keepdims": keepdims, "method": method}
                    close(
                        mx.quantile(mx.array(x), mx.array(q), **options),
                        np.quantile(x, q, **options),
                    )
            if np.ndim(q) < 2:  # NumPy puts the axes of more elsewhere
                got = mx.nanpercentile(mx.array(x), mx.array(q) * 100, axis)
                close(got, np.nanpercentile(x, np.multiply(q, 100), axis))
    with pytest.raises(ValueError, match=r"^\[percentile\]"):
        mx.percentile(mx.array(X), 101)


def test_gradients_of_quantiles():
    x = mx.array(RNG.normal(size=(2, 7)), mx.float64)
    check_gradient(lambda a: mx.quantile(a, [0.2, 0.7], 1), [x])
    check_gradient(lambda a: mx.nanmean(a, 0), [x])


def test_gradients_pass_over_nan():
    holes = mx.array([[1.0, np.nan, 3.0, -2.0], [0.5, 1.0, np.nan, 4.0]])
    for name in ("nansum", "nanprod", "nanmean", "nanvar", "nanstd", "nanmax", "nanmedian"):
        f = getattr(mx, name)
        got = np.array(mx.grad(lambda a: f(a, 1).sum())(holes))  # noqa: B023
        for row, gradient in zip(np.array(holes), got, strict=True):
            known = ~np.isnan(row)
            want = mx.grad(f)(mx.array(row[known]))
            np.testing.assert_allclose(gradient[known], np.array(want), rtol=1e-5)
            assert (gradient[~known] == 0).all()


@pytest.mark.parametrize("name", ["nanargmax", "nanargmin"])
def test_positions_without_nan_in_transforms(name):
    f, g = getattr(mx, name), getattr(np, name)
    x = np.where(X > 1, np.nan, X)
    for axis in (0, 1, -1):
        same(mx.compile(lambda a: f(a, axis))(mx.array(x)), g(x, axis))  # noqa: B023
        same(mx.vmap(lambda a: f(a))(mx.array(x)), [g(part) for part in x])
        same(mx.compile(mx.vmap(lambda a: f(a, 0)))(mx.array(x)), g(x, 1))
    same(mx.compile(f)(mx.array(x)), g(x))
    growing = mx.compile(lambda a: f(a, 1, keepdims=True), shapeless=True)
    for part in (x[0], x[0, :2], x[0, :, :3]):
        same(growing(mx.array(part)), g(part, 1, keepdims=True))
    empty_rows = mx.array([[np.nan, np.nan], [1.0, 2.0]])
    got = mx.vmap(f)(empty_rows)
    assert got.dtype == mx.uint32
    assert got.tolist() == [2**32 - 1, f(empty_rows[1]).item()]
    with pytest.raises(ValueError, match="without a number"):
        f(empty_rows, 1)


def test_axes_that_are_not_there():
    x = mx.array(X)
    functions = [lambda axis: mx.quantile(x, 0.5, axis), lambda axis: mx.percentile(x, 50, axis)]
    functions += [lambda axis: mx.nanmedian(x, axis), lambda axis: mx.nanquantile(x, 0.5, axis)]
    for f in functions:
        for axis in (3, -4, (0, 7)):
            with pytest.raises(IndexError, match="no axis"):
                f(axis)
        with pytest.raises(ValueError, match="must differ"):
            f((1, -2))
    for axis in (3, -4):
        with pytest.raises(IndexError, match=r"\[insert\]"):
            mx.insert(x, 0, 1.0, axis)
    assert mx.nanvar(mx.array([1.0, np.inf, np.nan])).item() != 0


def test_positions_and_scans_without_nan():
    for name in ("nanargmax", "nanargmin", "nancumsum", "nancumprod"):
        f, g = getattr(mx, name), getattr(np, name)
        for x in (np.where(X > 1, np.nan, X), X, np.arange(12).reshape(3, 4)):
            for axis in (None, 0, 1):
                close(f(mx.array(x), axis), g(x, axis), 1e-5)
    with pytest.raises(ValueError, match="without a number"):
        mx.nanargmax(mx.array([[np.nan, np.nan], [1.0, 2.0]]), 1)
    close(mx.nanvar(mx.array(HOLES), 0, correction=1), np.nanvar(HOLES, 0, correction=1), 1e-5)


@pytest.mark.parametrize("method", ["hazen", "weibull", "median_unbiased", "normal_unbiased"])
def test_places_of_quantiles(method):
    for q in (0.0, 0.3, 0.95, 1.0):
        close(
            mx.quantile(mx.array(X), q, 1, method=method), np.quantile(X, q, 1, method=method), 1e-5
        )


def test_counts():
    x = RNG.integers(0, 9, 50)
    w = RNG.normal(size=50).astype("f4")
    same(mx.bincount(mx.array(x)), np.bincount(x))
    same(mx.bincount(mx.array(x), minlength=20), np.bincount(x, minlength=20))
    close(mx.bincount(mx.array(x), mx.array(w)), np.bincount(x, w))
    same(mx.compile(lambda a: mx.bincount(a, length=5))(mx.array(x)), np.bincount(x)[:5])
    assert mx.bincount(mx.array([], mx.int32)).shape == (0,)
    for bins, bounds in [(10, None), (7, (-1, 1)), ([-2.0, 0.0, 0.5, 3.0], None), (1, None)]:
        for density in (False, True):
            got = mx.histogram(mx.array(X), bins, bounds, density)
            want = np.histogram(X, bins, bounds, density)
            close(got[0], want[0])
            close(got[1], want[1])
    close(mx.histogram(mx.array([2.0, 2.0]), 4)[0], np.histogram([2.0, 2.0], 4)[0])


def test_samples():
    a, b = X[0], X[1]
    for f, g in ((mx.cov, np.cov), (mx.corrcoef, np.corrcoef)):
        close(f(mx.array(a)), g(a), 1e-5)
        close(f(mx.array(a), mx.array(b)), g(a, b), 1e-5)
        close(f(mx.array(a), rowvar=False), g(a, rowvar=False), 1e-5)
        close(f(mx.array(a[0])), g(a[0]), 1e-5)
    counts, shares = np.array([1, 2, 3, 1, 2]), np.array([0.5, 1, 2, 1, 0.1])
    for weights in (
        {"fweights": counts},
        {"aweights": shares},
        {"fweights": counts, "aweights": shares},
    ):
        got = mx.cov(mx.array(a), **{k: mx.array(v) for k, v in weights.items()})
        close(got, np.cov(a, **weights), 1e-5)
    close(mx.average(mx.array(a), 1, mx.array(np.arange(5.0))), np.average(a, 1, np.arange(5.0)))
    close(mx.ptp(mx.array(X), 1), np.ptp(X, 1))


def test_interpolation():
    xp, fp = np.array([0.0, 1.0, 1.0, 3.0]), np.array([1.0, -1.0, 4.0, 2.0])
    x = np.array([[-1.0, 0.0, 0.25], [2.5, 3.0, 9.0]])
    close(mx.interp(mx.array(x), mx.array(xp), mx.array(fp)), np.interp(x, xp, fp))
    close(mx.interp(mx.array(x), mx.array(xp), mx.array(fp), -5, 7), np.interp(x, xp, fp, -5, 7))
    got = mx.interp(mx.array(x * 4), mx.array(xp), mx.array(fp), period=2.5)
    close(got, np.interp(x * 4, xp, fp, period=2.5), 1e-5)
    assert np.isnan(mx.interp(mx.array(np.nan), mx.array(xp), mx.array(fp)).item())
    points = [mx.array(v, mx.float64) for v in ([0.3, 1.7], [0.0, 1.0, 2.0], [1.0, 4.0, 2.0])]
    check_gradient(mx.interp, points)


def test_integrals_differences_and_polynomials():
    t = np.array([0.0, 0.5, 2.0, 2.5])
    close(mx.trapezoid(mx.array(X), dx=0.3), np.trapezoid(X, dx=0.3), 1e-5)
    close(
        mx.trapezoid(mx.array(X), mx.array(t, mx.float32), axis=1), np.trapezoid(X, t, axis=1), 1e-5
    )
    close(
        mx.polyval(mx.array([2.0, -1.0, 0.5]), mx.array(X)), np.polyval([2.0, -1.0, 0.5], X), 1e-5
    )
    for args, axis in [
        ((), None),
        ((0.5,), 1),
        ((mx.array(t, mx.float32),), 1),
        ((2.0, 3.0), (0, 2)),
    ]:
        got = mx.gradient(mx.array(X), *args, axis=axis)
        want = np.gradient(X, *[np.array(a) for a in args], axis=axis)
        for g, w in zip(*([got, want] if isinstance(got, list) else [[got], [want]]), strict=True):
            close(g, w, 1e-5)
    for args in ((), (mx.array(t, mx.float32),)):
        got = mx.gradient(mx.array(X), *args, axis=1, edge_order=2)
        close(got, np.gradient(X, *[np.array(a) for a in args], axis=1, edge_order=2), 1e-5)
    with pytest.raises(ValueError, match=r"^\[gradient\]"):
        mx.gradient(mx.ones((1, 3)))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.filterwarnings("ignore")
def test_bits_of_floats(dtype):
    corners = [0.0, -0.0, 1.0, -1.0, 1.5, np.inf, -np.inf, np.nan, -np.nan]
    a, b = (v.ravel().astype(dtype) for v in np.meshgrid(corners, corners))
    x, y = (mx.array(v, getattr(mx, dtype)) for v in (a, b))
    for name in ("copysign", "nextafter", "hypot"):
        same(getattr(mx, name)(x, y), getattr(np, name)(a, b)) if name != "hypot" else close(
            mx.hypot(x, y), np.hypot(a, b), 1e-3
        )
    same(mx.signbit(x), np.signbit(a))
    assert mx.signbit(mx.array([-1, 0])).tolist() == [True, False]
    assert mx.hypot(mx.array(3e38), mx.array(1e38)).item() == pytest.approx(3.1623e38, rel=1e-4)


def test_float64_is_exact():
    a = np.random.default_rng(1).normal(size=(5, 40))
    a[1, 3] = np.nan
    x = mx.array(a, dtype=mx.float64)
    exact = {"rtol": 1e-14, "atol": 1e-15}
    for name in ("nansum", "nanmean", "nanvar", "nanstd", "nanmedian"):
        np.testing.assert_allclose(getattr(mx, name)(x, 1), getattr(np, name)(a, 1), **exact)
    for q in (0.1, [0.3, 0.7]):
        np.testing.assert_allclose(mx.nanquantile(x, q, 1), np.nanquantile(a, q, 1), **exact)
    for bins in (7, [-1.0, 0.1, 0.7]):
        counts, edges = mx.histogram(x[0], bins)
        want, want_edges = np.histogram(a[0], bins)
        np.testing.assert_array_equal(counts, want)
        np.testing.assert_allclose(edges, want_edges, **exact)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_means_of_half_types_do_not_overflow(dtype):
    x = mx.full((70_000,), 300.0).astype(getattr(mx, dtype))
    x[0] = mx.nan
    assert mx.nanmean(x).item() == 300 and mx.nanmean(x).dtype == x.dtype
    assert mx.nanvar(x).item() == 0 and mx.nanstd(x).dtype == x.dtype


def test_places_in_long_arrays():
    x = mx.arange(2**25, dtype=mx.int32)[::-1]
    want = np.array([12345678, 2**25 - 2]) / (2**25 - 1)
    got = mx.quantile(x.astype(mx.float64), want.tolist(), method="nearest")
    assert got.tolist() == [12345678, 2**25 - 2]


def test_complex_numbers():
    z = X[0, :, 0] + 1j * X[1, :, 0]
    x, t = mx.array(z), mx.array([0.3, 1.2])
    close(mx.gradient(x), np.gradient(z), 1e-5)
    close(mx.interp(t, mx.arange(3.0), x[:3]), np.interp([0.3, 1.2], range(3), z[:3]), 1e-5)
    close(mx.nanmean(x), z.mean(), 1e-5)
    for name in ("hypot", "copysign", "nextafter"):
        with pytest.raises(ValueError, match=rf"^\[{name}\]"):
            getattr(mx, name)(x, 1.0)
    for f in (mx.signbit, mx.nanmedian, mx.histogram, lambda a: mx.quantile(a, 0.5)):
        with pytest.raises(ValueError, match="omplex"):
            f(x)


def test_stacking():
    rows, matrices = [X[0, 0], X[0, 1]], [X[0], X[1]]
    for name in ("vstack", "hstack", "dstack", "column_stack"):
        for parts in (rows, matrices):
            same(getattr(mx, name)([mx.array(p) for p in parts]), getattr(np, name)(parts))
    for name in ("fliplr", "flipud"):
        same(getattr(mx, name)(mx.array(X)), getattr(np, name)(X))
    for k in range(-1, 5):
        same(mx.rot90(mx.array(X), k, (2, 0)), np.rot90(X, k, (2, 0)))
    for cut in (3, 2, [1, 3]):
        for got, want in zip(
            mx.array_split(mx.array(X), cut, 2), np.array_split(X, cut, 2), strict=True
        ):
            same(got, want)


@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_elements_put_in_and_taken_out(axis):
    a = np.arange(12.0, dtype="f4").reshape(3, 4)
    x = mx.array(a)
    for where in (0, -1, 2, [0, 2], [1, 1], slice(0, 2), [], slice(None, None, 2)):
        same(
            mx.delete(x, where, axis),
            np.delete(a, np.array(where, int) if where == [] else where, axis),
        )
        if where != []:
            same(mx.insert(x, where, 7.0, axis), np.insert(a, where, 7.0, axis))
    same(mx.insert(x, [2, 0], [1.0, 2.0], None), np.insert(a, [2, 0], [1.0, 2.0], None))
    same(mx.insert(x, 1, [1.0, 2.0, 3.0], 1), np.insert(a, 1, [1.0, 2.0, 3.0], 1))
    same(mx.insert(x, 1, [1.0, 2.0, 3.0, 4.0], 0), np.insert(a, 1, [1.0, 2.0, 3.0, 4.0], 0))
    same(mx.append(x, x, axis), np.append(a, a, axis))
    with pytest.raises(IndexError, match=r"^\[delete\]"):
        mx.delete(x, 12, axis)


def test_positions():
    a = (RNG.normal(size=(4, 5)) > 0.3).astype("i4")
    x = mx.array(a)
    for got, want in zip(mx.nonzero(x), np.nonzero(a), strict=True):
        same(got, want)
    same(mx.argwhere(x), np.argwhere(a))
    same(mx.flatnonzero(x), np.flatnonzero(a))
    same(mx.compress(mx.array([True, False, True]), x, 1), np.compress([1, 0, 1], a, 1))
    for k in (-1, 0, 2):
        for name in ("tril_indices", "triu_indices"):
            for got, want in zip(
                getattr(mx, name)(3, k, 5), getattr(np, name)(3, k, 5), strict=True
            ):
                same(got, want)
    index = np.array([0, 7, 59])
    parts = np.unravel_index(index, (3, 4, 5))
    for got, want in zip(mx.unravel_index(mx.array(index), (3, 4, 5)), parts, strict=True):
        same(got, want)
    same(mx.ravel_multi_index([mx.array(p) for p in parts], (3, 4, 5)), index)
    outside = [np.array([1, 5]), np.array([-1, 3])]
    for options in ({"mode": "wrap"}, {"mode": "clip", "order": "F"}, {"mode": ("wrap", "clip")}):
        got = mx.ravel_multi_index([mx.array(p) for p in outside], (3, 4), **options)
        same(got, np.ravel_multi_index(outside, (3, 4), **options))
    with pytest.raises(ValueError, match="outside"):
        mx.ravel_multi_index([mx.array(p) for p in outside], (3, 4))
    fortran = np.unravel_index(index, (3, 4, 5), order="F")
    for got, want in zip(mx.unravel_index(mx.array(index), (3, 4, 5), "F"), fortran, strict=True):
        same(got, want)


def test_distinct_values():
    a = RNG.integers(0, 6, (5, 7))
    want = np.unique_all(a)
    for got, expected in zip(mx.unique_all(mx.array(a)), want, strict=True):
        same(got, expected)
    same(mx.unique_counts(mx.array(a)).counts, want.counts)
    same(mx.unique_inverse(mx.array(a)).inverse_indices, want.inverse_indices)
    same(mx.unique_values(mx.array(a)), want.values)
    assert mx.unique_values(mx.array([np.nan, 1.0, np.nan])).shape == (3,)
    assert all(p.size == 0 for p in mx.unique_all(mx.zeros((0,))))
    for values in ([1, 3, 9], [], [2.5, 1.0]):
        other = mx.array(values) if values else mx.zeros((0,))
        same(mx.isin(mx.array(a), other), np.isin(a, values))
        same(mx.isin(mx.array(a), other, invert=True), np.isin(a, values, invert=True))


def test_the_namespace_describes_itself():
    xp = mx.array(1.0).__array_namespace__()
    assert xp is mx and xp.__array_api_version__ == "2024.12"
    info = xp.__array_namespace_info__()
    assert info.dtypes(kind="real floating") == {"float32": mx.float32, "float64": mx.float64}
    assert info.dtypes()["bool"] == mx.bool_ and len(info.dtypes(kind="integral")) == 8
    assert info.default_dtypes()["integral"] == mx.array(1).dtype
    assert mx.default_device() in info.devices()
    with pytest.raises(ValueError, match="Unknown kind"):
        info.dtypes(kind="text")


def test_functions_load_when_they_are_asked_for():
    code = "import mlx.core, sys; assert 'mlx.functions' not in sys.modules; mlx.core.nansum"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert not hasattr(mx, "no_such_function")


def test_a_missing_name_says_where_the_list_is():
    assert not hasattr(mx, "no_such_name")
    with pytest.raises(AttributeError, match=r"'no_such_name' \(docs/compatibility.md lists"):
        mx.no_such_name  # noqa: B018
