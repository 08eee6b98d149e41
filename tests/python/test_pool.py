"""Pooling as one node: against windows taken in NumPy, with its derivatives."""

import itertools

import mlx.core as mx
import numpy as np
import pytest
from children import run_with_isa
from derivatives import check_gradient


def windows(shape, kernel, stride, padding):
    """For each window its place in the output, and the slices of the padded image under it."""
    counts = [
        max((n + 2 * p - k) // s + 1, 0)
        for n, k, s, p in zip(shape[1:-1], kernel, stride, padding, strict=True)
    ]
    for place in itertools.product(*(range(n) for n in counts)):
        under = (slice(i * s, i * s + k) for i, s, k in zip(place, stride, kernel, strict=True))
        yield (slice(None), *place), (slice(None), *under)


def expected_of(x, kind, kernel, stride, padding, cotangent=None):
    """The result in float64, or the gradient for a cotangent of it."""
    lowest = -np.inf if kind == "max" else 0
    widths = [(0, 0), *((p, p) for p in padding), (0, 0)]
    x = np.array(x.astype(mx.float64))
    wide = np.pad(x, widths, constant_values=lowest)
    axes = tuple(range(1, x.ndim - 1))
    out = {}
    gradient = np.zeros_like(wide)
    for place, under in windows(x.shape, kernel, stride, padding):
        seen = wide[under]
        out[place[1:]] = seen.max(axes) if kind == "max" else seen.mean(axes)
        if cotangent is not None:
            best = seen == seen.max(axes, keepdims=True) if kind == "max" else np.ones_like(seen)
            share = np.array(cotangent.astype(mx.float64))[place]
            share = share.reshape(share.shape[0], *[1] * len(axes), share.shape[-1])
            gradient[under] += best / best.sum(axes, keepdims=True) * share
    if cotangent is None:
        places = [max(i) + 1 for i in zip(*out, strict=True)]
        return np.stack(list(out.values()), 1).reshape(x.shape[0], *places, x.shape[-1])
    inner = (slice(None), *(slice(p, n + p) for p, n in zip(padding, x.shape[1:-1], strict=True)))
    return gradient[inner]


# image, kernel, stride, padding
CASES = [
    ((2, 8, 6, 16), (2, 2), (2, 2), (0, 0)),
    ((3, 9, 8, 5), (2, 2), (2, 2), (0, 0)),
    ((2, 11, 9, 17), (3, 3), (2, 2), (1, 1)),
    ((1, 7, 8, 40), (3, 2), (1, 3), (1, 0)),
    ((2, 30, 12), (5,), (1,), (2,)),
    ((1, 13, 3), (2,), (5,), (0,)),
    ((2, 5, 6, 7, 4), (2, 3, 2), (2, 1, 3), (1, 1, 0)),
    ((1, 3, 3, 2), (3, 3), (3, 3), (0, 0)),
    ((1, 64, 70, 33), (3, 3), (2, 2), (1, 1)),
]


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.float64], ids=str)
@pytest.mark.parametrize("kind", ["max", "mean"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case, kind, dtype):
    shape, *window = case
    x = mx.array(np.round(np.random.randn(*shape) * 4)).astype(dtype)  # many are equal
    out = mx._pool(x, kind, *window)
    assert out.dtype == dtype
    expected = expected_of(x, kind, *window)
    assert out.shape == expected.shape
    tol = 1e-2 if dtype == mx.float16 else 1e-6
    np.testing.assert_allclose(np.array(out.astype(mx.float64)), expected, tol, tol)
    cotangent = mx.array(np.random.randn(*out.shape)).astype(dtype)
    _, (gradient,) = mx.vjp(lambda x: mx._pool(x, kind, *window), [x], [cotangent])
    assert gradient.dtype == dtype
    found = np.array(gradient.astype(mx.float64))
    np.testing.assert_allclose(found, expected_of(x, kind, *window, cotangent), tol, tol)


@pytest.mark.parametrize("isa", ["v2", "v3"])
def test_lower_instruction_sets(isa):
    run_with_isa(
        isa,
        "test_pool",
        """
        for case in t.CASES:
            for kind in ("max", "mean"):
                t.test_values_and_gradients(case, kind, mx.float32)
        """,
    )


def test_numbers_that_are_none():
    x = np.zeros((1, 4, 4, 3), np.float32)
    x[0, 1, 1, 1], x[0, 3, 0, 2] = np.nan, -np.inf
    out = np.array(mx._pool(mx.array(x), "max", (2, 2), (2, 2), (0, 0)))
    assert np.isnan(out[0, 0, 0, 1]) and np.isnan(out).sum() == 1
    lowest = mx.full((1, 2, 2, 20), -float("inf"))
    assert mx.array_equal(mx._pool(lowest, "max", (2, 2), (2, 2), (1, 1)), lowest)


@pytest.mark.parametrize("dtype", [mx.int8, mx.uint16, mx.int32, mx.bool_], ids=str)
def test_integers(dtype):
    x = mx.array(np.random.randint(-3, 3, (1, 5, 6, 3))).astype(dtype)
    out = mx._pool(x, "max", (3, 3), (2, 2), (1, 1))
    assert out.dtype == dtype
    expected = expected_of(x, "max", (3, 3), (2, 2), (1, 1))
    assert np.array_equal(np.array(out.astype(mx.float64)), expected)
    assert mx._pool(x, "mean", (2, 2), (2, 2), (0, 0)).dtype == mx.float32


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_other_transforms(kind):
    x = mx.array(np.random.randn(2, 5, 6, 3)).astype(mx.float64)
    window = ((3, 2), (2, 1), (1, 0))
    check_gradient(lambda x: mx._pool(x, kind, *window), [x])
    check_gradient(lambda x: mx.grad(lambda x: mx._pool(x, kind, *window).square().sum())(x), [x])
    many = mx.array(np.random.randn(3, 2, 5, 6, 3).astype(np.float32))
    found = mx.vmap(lambda x: mx._pool(x, kind, *window))(many)
    expected = mx.stack([mx._pool(x, kind, *window) for x in many])
    np.testing.assert_allclose(np.array(found), np.array(expected), 1e-6, 1e-6)


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_export(kind, tmp_path):
    x = mx.array(np.random.randn(1, 5, 6, 3).astype(np.float32))
    f = mx.grad(lambda x: mx._pool(x, kind, (3, 2), (2, 2), (1, 0)).square().sum())
    mx.export_function(str(tmp_path / "f.mlxfn"), f, x)
    (found,) = mx.import_function(str(tmp_path / "f.mlxfn"))(x)
    assert mx.array_equal(found, f(x))


@pytest.mark.parametrize("kind", ["max", "mean"])
def test_layouts_and_empty_images(kind):
    x = mx.array(np.random.randn(3, 8, 6, 4).astype(np.float32))
    turned = mx.contiguous(x.swapaxes(1, 3)).swapaxes(1, 3)
    window = ((2, 2), (2, 2), (0, 0))
    assert mx.array_equal(mx._pool(turned, kind, *window), mx._pool(x, kind, *window))
    for shape in ((0, 4, 4, 3), (2, 1, 1, 3), (2, 4, 4, 0)):
        image = mx.zeros(shape)
        gradient = mx.grad(lambda x: mx._pool(x, kind, *window).sum())(image)
        assert gradient.shape == shape and not np.any(np.array(gradient))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: mx._pool(x, "sum", (2, 2), (2, 2), (0, 0)),
        lambda x: mx._pool(x, "max", (2,), (2, 2), (0, 0)),
        lambda x: mx._pool(x, "max", (2, 2), (2, 0), (0, 0)),
        lambda x: mx._pool(x, "max", (2, 0), (2, 2), (0, 0)),
        lambda x: mx._pool(x, "max", (2, 2), (2, 2), (0, -1)),
        lambda x: mx._pool(x[0, 0], "max", (), (), ()),
    ],
)
def test_errors_are_raised_by_the_call(call):
    with pytest.raises(ValueError, match=r"\[pool\]"):
        call(mx.zeros((1, 4, 4, 2)))
