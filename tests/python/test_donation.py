"""Buffers that change hands: every family on inputs that only the graph holds, in every layout.

An op may write over an input that nobody else needs. Each case builds its inputs afresh, drops every
reference before evaluating, and compares what several readers see with NumPy.
"""

import mlx.core as mx
import numpy as np
import pytest

SHAPES = [(1, 6), (6, 1), (1, 1), (4, 6), (3, 1, 6), (1, 6, 1), (6,), (2, 3, 4)]


def fresh(n):
    """A pair of an unevaluated array with a buffer of its own, and its values."""
    return mx.array(n) + 0, n


def layouts(shape, rng):
    """Pairs (name, array that only the graph holds, NumPy array), all of one shape."""

    def base(extents):
        return fresh(rng.integers(1, 9, extents).astype(np.float32))

    a, n = base(shape)
    yield "rows", a, n
    a, n = base(shape[::-1])
    yield "transposed", a.T, n.T
    a, n = base((*shape[:-1], 2 * shape[-1] + 1))
    yield "sliced", a[..., 1::2], n[..., 1::2]
    a, n = base((*shape[:-1], 1))
    yield "broadcast", mx.broadcast_to(a, shape), np.broadcast_to(n, shape)
    a, n = base((*shape[:-1], 3))
    yield "one column", mx.broadcast_to(a[..., 1:2], shape), np.broadcast_to(n[..., 1:2], shape)
    a, n = base(shape)
    yield "reshaped", a.reshape(-1).reshape(shape), n
    a, n = base(shape[-1:])
    yield "one row", mx.broadcast_to(a, shape), np.broadcast_to(n, shape)
    a, n = base(shape)
    yield "reversed", a[..., ::-1], n[..., ::-1]


def check_readers(make, want):
    """Reads the result whole, by element, transposed, sliced and through further ops."""
    want = np.asarray(want, np.float64)

    def same(got, wanted):
        assert got.shape == wanted.shape
        np.testing.assert_allclose(np.array(got), wanted, rtol=1e-5, atol=1e-5)

    y = make()
    mx.eval(y)
    same(y, want)
    last = (-1,) * want.ndim
    same(make()[last], want[last])
    same(make().T, want.T)
    same(make()[..., :1] * 2, want[..., :1] * 2)
    same(mx.sum(make(), axis=-1), want.sum(-1))
    y = make()
    same(mx.concatenate([y, mx.array(y)], axis=0), np.concatenate([want, want]))
    same(mx.softmax(make() * 0, axis=-1), np.full(want.shape, 1 / want.shape[-1]))


def updated(a, value):
    a[..., -1] = value
    return a


def updated_numpy(n, value):
    n = n.copy()
    n[..., -1] = value
    return n


def softmax(n):
    e = np.exp(n - n.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def norm(n):
    return n / np.sqrt((n.astype(np.float64) ** 2).mean(-1, keepdims=True) + 1e-5)


FAMILIES = {
    "elementwise": (lambda a: a * 2 + 1, lambda n: n * 2 + 1),
    "broadcast": (lambda a: a[None] + a, lambda n: n[None] + n),
    "cast": (lambda a: a.astype(mx.int32), lambda n: n),
    "view": (lambda a: a.view(mx.int32).view(mx.float32), lambda n: n),
    "copy": (mx.array, lambda n: n),
    "contiguous": (mx.contiguous, lambda n: n),
    "reduce": (lambda a: mx.max(a, axis=0, keepdims=True), lambda n: n.max(0, keepdims=True)),
    "softmax": (lambda a: mx.softmax(a, axis=-1), softmax),
    "rms_norm": (lambda a: mx.fast.rms_norm(a, None, 1e-5), norm),
    "scan": (lambda a: mx.cumsum(a, axis=-1), lambda n: np.cumsum(n, -1)),
    "sort": (lambda a: mx.sort(a, axis=-1), lambda n: np.sort(n, -1)),
    "flatten": (lambda a: mx.abs(a.reshape(-1)), lambda n: n.reshape(-1)),
    "slice update": (lambda a: updated(a, 5), lambda n: updated_numpy(n, 5)),
    "scatter": (lambda a: a.at[mx.array([0])].add(2.0), lambda n: np.r_[n[:1] + 2, n[1:]]),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("family", FAMILIES)
def test_results_keep_their_own_layout(family, shape):
    f, reference = FAMILIES[family]
    for name in [name for name, _, _ in layouts(shape, np.random.default_rng(0))]:

        def pick(name=name):
            cases = layouts(shape, np.random.default_rng(0))
            return next((a, n) for case, a, n in cases if case == name)

        check_readers(lambda pick=pick: f(pick()[0]), reference(pick()[1]))


def biases(rows, columns, rng):
    """Pairs of a bias that only the graph holds and its values, of all shapes that broadcast."""
    for shape in [(columns,), (1, columns), (rows, columns), (rows, 1), (1, 1), (1,), ()]:
        yield fresh(rng.integers(1, 9, shape).astype(np.float32))
    a, n = fresh(rng.integers(1, 9, (columns, rows)).astype(np.float32))
    yield a.T, n.T
    a, n = fresh(rng.integers(1, 9, (2 * columns,)).astype(np.float32))
    yield a[::2], n[::2]
    a, n = fresh(rng.integers(1, 9, (1,)).astype(np.float32))
    yield mx.broadcast_to(a, (columns,)), np.broadcast_to(n, (columns,))


@pytest.mark.parametrize("beta", [1.0, 0.5])
@pytest.mark.parametrize("batch", [(), (1,), (2,), (1, 1)], ids=str)
@pytest.mark.parametrize("rows", [1, 3])
@pytest.mark.parametrize("columns", [1, 5])
def test_products_take_over_a_bias_of_another_shape(rows, columns, batch, beta):
    rng = np.random.default_rng(1)
    x = rng.integers(-3, 4, (*batch, rows, 4)).astype(np.float32)
    w = rng.integers(-3, 4, (columns, 4)).astype(np.float32)
    for which in range(len(list(biases(rows, columns, rng)))):

        def case(which=which):
            return list(biases(rows, columns, np.random.default_rng(2)))[which]

        want = beta * case()[1] + x @ w.T
        check_readers(
            lambda case=case: mx.addmm(case()[0], mx.array(x), mx.array(w).T, beta=beta), want
        )


def test_layers_in_a_row_on_one_row():
    import mlx.nn as nn

    for _ in range(3):
        model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
        x = np.ones((1, 3), np.float32)
        y = model(mx.array(x))
        p = model.parameters()["layers"]
        del model
        want = x
        hidden = [(np.array(mx.array(layer["weight"])), layer["bias"]) for layer in p]
        for weight, bias in hidden:
            want = want @ weight.T + np.array(mx.array(bias))
        np.testing.assert_allclose(np.array(y), want, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(y[0, 1].item(), want[0, 1], rtol=1e-4, atol=1e-5)


def test_one_element_arrays_of_different_rank():
    y = mx.addmm(mx.array([1.0]) + 0, mx.ones((1, 1)), mx.ones((1, 1)))
    assert y[0, 0].item() == 2.0
    z = (mx.array(3.0) + 0) * mx.ones((1, 1, 1))
    assert z[0, 0, 0].item() == 3.0
