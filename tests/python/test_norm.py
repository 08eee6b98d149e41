"""The fused norms against NumPy, through every transform."""

import mlx.core as mx
import numpy as np
import pytest
from oracle import (
    FLOATS,
    assert_close,
    check_derivatives,
    check_vmap,
    to_mlx,
    to_numpy,
    values,
)

fast = mx.fast


def rms_norm(x, weight=None, eps=1e-5):
    y = x / np.sqrt(np.mean(x * x, -1, keepdims=True) + eps)
    return y if weight is None else y * weight


def layer_norm(x, weight=None, bias=None, eps=1e-5):
    y = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + eps)
    y = y if weight is None else y * weight
    return y if bias is None else y + bias


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize(
    "shape", [(7,), (3, 1), (2, 3, 16), (5, 33), (4, 1000), (2, 5000), (1, 70000)]
)
def test_norms(name, shape):
    x, w, b = values(name, shape), values(name, shape[-1:], 1), values(name, shape[-1:], 2)
    wide = x.astype("float64")
    a, aw, ab = to_mlx(x, name), to_mlx(w, name), to_mlx(b, name)
    for weight, mw in ((None, None), (w, aw)):
        assert_close(fast.rms_norm(a, mw, 1e-5), rms_norm(wide, weight), name, 8)
        for bias, mb in ((None, None), (b, ab)):
            got = fast.layer_norm(a, mw, mb, 1e-5)
            assert got.dtype == a.dtype
            if shape[-1] > 1:
                assert_close(got, layer_norm(wide, weight, bias), name, 20)


def test_norms_of_other_layouts():
    x = values("float32", (6, 5, 8))
    w = mx.array(values("float32", (8,)))
    for a, y in (
        (mx.swapaxes(mx.array(x), 0, 1), x.swapaxes(0, 1)),
        (mx.array(x)[::2, 1:], x[::2, 1:]),
        (mx.broadcast_to(mx.array(x[:1]), x.shape), np.broadcast_to(x[:1], x.shape)),
    ):
        assert_close(fast.rms_norm(a, w, 1e-5), rms_norm(y, np.array(w)), "float32", 4)
        assert_close(fast.layer_norm(a, w, None, 1e-5), layer_norm(y, np.array(w)), "float32", 8)
    a = mx.array(x) + 1  # a temporary whose buffer the norm may take over
    assert_close(fast.layer_norm(a * 2, None, None, 1e-5), layer_norm(2 * (x + 1)), "float32", 8)
    assert_close(a, x + 1, "float32")


def test_norm_dtypes_and_errors():
    x = mx.array([[1.0, 2.0]])
    assert fast.rms_norm(x.astype(mx.float16), mx.ones(2), 1e-5).dtype == mx.float32
    assert fast.rms_norm(x.astype(mx.int32), mx.ones(2, mx.float16), 1e-5).dtype == mx.float16
    assert fast.rms_norm(mx.zeros((0, 4)), None, 1e-5).shape == (0, 4)
    nothing = mx.grad(lambda w: mx.sum(fast.rms_norm(mx.zeros((0, 4)), w, 1e-5)))(mx.ones(4))
    np.testing.assert_array_equal(to_numpy(nothing), np.zeros(4))
    assert fast.layer_norm(mx.zeros((3, 0)), None, None, 1e-5).shape == (3, 0)
    for bad in (
        lambda: fast.rms_norm(mx.array(1.0), None, 1e-5),
        lambda: fast.rms_norm(x, mx.ones(3), 1e-5),
        lambda: fast.rms_norm(x, mx.ones((1, 2)), 1e-5),
        lambda: fast.layer_norm(x, None, mx.ones(3), 1e-5),
        lambda: fast.rms_norm(x.astype(mx.int32), None, 1e-5),
        lambda: fast.layer_norm(x.astype(mx.complex64), None, None, 1e-5),
    ):
        with pytest.raises(ValueError):
            bad()


def packed(f, *shapes):
    """f of several float64 arrays as a function of one flat array, and a value for that."""
    sizes = [int(np.prod(s)) for s in shapes]
    bounds = np.cumsum([0, *sizes])

    def g(flat):
        parts = [
            flat[int(b) : int(b) + n].reshape(s)
            for b, n, s in zip(bounds, sizes, shapes, strict=False)
        ]
        return f(*parts)

    return g, values("float64", (int(bounds[-1]),)) + 0.2


NORMS = {
    "rms": (lambda x: fast.rms_norm(x, None, 1e-3), [(3, 5)]),
    "rms weight": (lambda x, w: fast.rms_norm(x, w, 1e-3), [(2, 3, 5), (5,)]),
    "layer": (lambda x: fast.layer_norm(x, None, None, 1e-3), [(3, 5)]),
    "layer weight": (lambda x, w: fast.layer_norm(x, w, None, 1e-3), [(3, 5), (5,)]),
    "layer bias": (lambda x, b: fast.layer_norm(x, None, b, 1e-3), [(3, 5), (5,)]),
    "layer both": (lambda x, w, b: fast.layer_norm(x, w, b, 1e-3), [(2, 3, 5), (5,), (5,)]),
}


@pytest.mark.parametrize("case", NORMS)
def test_norm_derivatives(case):
    f, shapes = NORMS[case]
    g, x = packed(f, *shapes)
    check_derivatives(g, x, 1e-5)
    check_derivatives(lambda a: g(a) ** 2, x, 1e-5)
    # second derivatives, through the backward node's fallback
    check_derivatives(mx.grad(lambda a: mx.sum(g(a) ** 3)), x, 1e-4)


def test_norm_gradients_in_half_precision():
    x, w, c = (
        values("float16", (50, 64)),
        values("float16", (64,), 1),
        values("float16", (50, 64), 2),
    )

    def loss(x, w, dtype):
        x, w = mx.array(x, dtype=dtype), mx.array(w, dtype=dtype)
        return mx.grad(
            lambda x, w: mx.sum(fast.rms_norm(x, w, 1e-5) * mx.array(c, dtype=dtype)), (0, 1)
        )(x, w)

    for half, full in zip(loss(x, w, mx.float16), loss(x, w, mx.float32), strict=True):
        np.testing.assert_allclose(to_numpy(half), to_numpy(full), atol=0.05)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize(
    "shape",
    [
        (1, 1),
        (1, 8),
        (700, 24),
        (33, 129),
        (5, 1, 1537),
        (2100, 96),
        (300, 768),
        (70, 1000),
        (17, 1024),
        (9, 4096),
        (3, 8192),
        (3, 9000),
    ],
)
def test_norm_gradients_of_all_sizes(name, shape):
    """Against float64, which goes through other kernels on a GPU."""
    n = shape[-1]
    x, c = values(name, shape), values(name, shape, 1)
    w, b = values(name, (n,), 2), values(name, (n,), 3)

    def layer(x, w, b):
        return fast.layer_norm(x, w, b, 1e-5)

    def rms(x, w, b):
        return fast.rms_norm(x, w, 1e-5) + b

    for f in (layer, rms):
        primals = [to_mlx(a, name) for a in (x, w, b)]
        got = mx.vjp(lambda *p, f=f: [f(*p)], primals, [to_mlx(c, name)])[1]
        wide = [mx.array(a.astype("float64"), dtype=mx.float64) for a in (x, w, b, c)]
        with mx.stream(mx.cpu):
            want = mx.vjp(lambda *p, f=f: [f(*p)], wide[:3], [wide[3]])[1]
        for a, e in zip(got, want, strict=True):
            size = max(1.0, float(np.abs(to_numpy(e)).max()))
            assert_close(a / size, to_numpy(e) / size, name, 8)


@pytest.mark.parametrize("name", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("shape", [(1, 8), (5, 3, 129), (300, 768), (9, 4096), (3, 9000)])
def test_norm_gradients_meet_what_flows_past(name, shape):
    """A block adds what it reads to what it makes; the sum of both gradients has the bits of an
    addition of its own."""
    n = shape[-1]
    x, c = to_mlx(values(name, shape), name), to_mlx(values(name, shape, 1), name)
    w, b = to_mlx(values(name, (n,), 2), name), to_mlx(values(name, (n,), 3), name)
    for f, primals in (
        (lambda x, w, b: fast.layer_norm(x, w, b, 1e-5), [x, w, b]),
        (lambda x, w: fast.rms_norm(x, w, 1e-5), [x, w]),
        (lambda x: fast.rms_norm(x, None, 1e-5), [x]),
    ):
        alone = mx.vjp(lambda *p, f=f: [f(*p)], primals, [c])[1]
        mx.eval(alone)
        got = mx.vjp(lambda *p, f=f: [p[0] + f(*p)], primals, [c])[1]
        for a, e in zip(got, [c + alone[0], *alone[1:]], strict=True):
            assert mx.array_equal(a, e)
        row = mx.vjp(lambda *p, f=f: [f(*p)], primals, [c])[1][0] + b
        assert mx.array_equal(row, alone[0] + b)


def test_norm_gradients_that_are_kept():
    """One that is added to another and wanted itself as well."""
    x, c = mx.array(values("float32", (40, 64))), mx.array(values("float32", (40, 64), 1))
    w = mx.array(values("float32", (64,), 2))
    alone, kept = (
        mx.vjp(lambda *p: [fast.layer_norm(*p, None, 1e-5)], [x, w], [c])[1] for _ in range(2)
    )
    mx.eval(alone)
    total, scaled = kept[0] + c, kept[1] * 2
    mx.eval(total, scaled)
    assert mx.array_equal(total, alone[0] + c) and mx.array_equal(scaled, alone[1] * 2)
    assert mx.array_equal(kept[0], alone[0]) and mx.array_equal(kept[1], alone[1])
    both = mx.compile(
        lambda c: [
            g + 1 for g in mx.vjp(lambda *p: [fast.layer_norm(*p, None, 1e-5)], [x, w], [c])[1]
        ]
    )
    for got, gradient in zip(both(c), alone, strict=True):
        assert mx.array_equal(got, gradient + 1)


def test_norm_gradients_take_over_buffers():
    """Cotangents and inputs that nobody else holds."""
    x, w = values("float32", (40, 64)), mx.array(values("float32", (64,), 1))
    a = mx.array(x)

    def loss(a):
        return mx.sum(fast.layer_norm(2 * a, w, None, 1e-5) ** 2)

    got, again = mx.grad(loss)(a), mx.grad(loss)(mx.array(x))
    assert_close(got, to_numpy(again), "float32")
    assert_close(a, x, "float32")
    c = mx.array(values("float32", (40, 64), 2))
    kept = to_numpy(c).copy()
    mx.eval(mx.vjp(lambda a: [fast.rms_norm(a, w, 1e-5)], [a], [c])[1])
    assert_close(c, kept, "float32")


def test_norm_vmap():
    w, b = mx.array(values("float32", (5,))), mx.array(values("float32", (5,), 1))
    check_vmap(lambda x: fast.layer_norm(x, w, b, 1e-5), (3, 5))
    check_vmap(lambda x: fast.rms_norm(x, w, 1e-5), (3, 5))
    x, ws = mx.array(values("float32", (4, 5))), mx.array(values("float32", (3, 5)))
    got = mx.vmap(lambda w: fast.rms_norm(x, w, 1e-5))(ws)
    for i in range(3):
        assert_close(got[i], to_numpy(fast.rms_norm(x, ws[i], 1e-5)), "float32", 4)
    grads = mx.vmap(mx.grad(lambda x: mx.sum(fast.rms_norm(x, w, 1e-5) ** 2)))(x)
    for i in range(4):
        want = mx.grad(lambda x: mx.sum(fast.rms_norm(x, w, 1e-5) ** 2))(x[i])
        assert_close(grads[i], to_numpy(want), "float32", 20)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16, mx.float64], ids=str)
@pytest.mark.parametrize("shapes", [((3, 5, 64),) * 2, ((3, 5, 64), (64,)), ((1, 1, 7), (4, 2, 7))])
@pytest.mark.parametrize("held", ["by others", "by the graph", "by nobody"])
def test_norms_behind_a_sum_are_those_of_the_sum(dtype, shapes, held):
    def run(separately):
        a, b = (mx.array(values).astype(dtype) for values in operands)
        x = a + b
        if separately:
            mx.eval(x)
        y = mx.fast.rms_norm(x, weight, 1e-5)
        z = mx.fast.layer_norm(y + x if held == "by the graph" else y + a, weight, weight, 1e-5)
        if held == "by nobody":
            del a, b, x
            mx.eval(z)
            return [z]
        results = [z, y, x] if held == "by others" else [z]
        mx.eval(results)
        return results

    operands = [np.random.randn(*shape) for shape in shapes]
    weight = mx.array(np.random.randn(shapes[0][-1])).astype(dtype)
    for together, apart in zip(run(False), run(True), strict=True):
        assert mx.array_equal(together, apart).item()


def test_norms_of_sums_with_transposed_operands():
    a, b = mx.random.normal((4, 6)), mx.random.normal((6, 4))
    mx.eval(a, b)
    y = mx.fast.rms_norm(a + b.T, None, 1e-5)
    x = np.array(a) + np.array(b).T
    expected = x / np.sqrt((x.astype("f8") ** 2).mean(-1, keepdims=True) + 1e-5)
    assert np.allclose(np.array(y), expected, atol=1e-6)
