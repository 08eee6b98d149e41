"""Recurrent loops: one node against a loop in NumPy, and its derivatives and batches."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from derivatives import check_gradient

GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}
TOLERANCES = {mx.float64: 1e-12, mx.float32: 3e-6, mx.float16: 4e-3, mx.bfloat16: 3e-2}


def normal(*shape):
    return np.random.default_rng(sum(shape) + len(shape)).standard_normal(shape)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def loop(kind, x, w, bias=None, hidden=None, cell=None):
    """All states by NumPy."""
    size = w.shape[1]
    lead = np.broadcast_shapes(
        x.shape[:-2], *(s.shape[:-1] for s in (hidden, cell) if s is not None)
    )
    h = np.zeros((*lead, size)) if hidden is None else hidden
    c = np.zeros((*lead, size)) if cell is None else cell
    hs, cs = [], []
    for t in range(x.shape[-2]):
        a, b = x[..., t, :], h @ w.T
        if kind == "lstm":
            i, f, g, o = np.split(a + b, 4, -1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        elif kind == "gru":
            r, z = np.split(sigmoid(a[..., : 2 * size] + b[..., : 2 * size]), 2, -1)
            q = b[..., 2 * size :] + (0 if bias is None else bias)
            h = (1 - z) * np.tanh(a[..., 2 * size :] + r * q) + z * h
        else:
            h = np.tanh(a + b) if kind == "rnn_tanh" else np.maximum(a + b, 0)
        hs.append(np.broadcast_to(h, (*lead, size)))
        cs.append(np.broadcast_to(c, (*lead, size)))
    states = [hs, cs] if kind == "lstm" else [hs]
    return [np.stack(s, -2) if s else np.zeros((*lead, 0, size)) for s in states]


def operands(kind, lead, length, size, states=True, dtype=mx.float64):
    """Arguments of the loop by name, in a dtype."""
    values = {
        "projections": normal(*lead, length, GATES[kind] * size),
        "weight": normal(GATES[kind] * size, size) / np.sqrt(size),
    }
    if kind == "gru":
        values["bias"] = normal(size)
    if states:
        values["hidden"] = normal(*lead, size)
    if states and kind == "lstm":
        values["cell"] = normal(*lead, size) + 0.5
    return {k: mx.array(v, dtype=dtype) for k, v in values.items()}


def in_numpy(arrays):
    return [np.array(a.astype(mx.float64)) for a in arrays]


def expected(kind, given):
    names = ("projections", "weight", "bias", "hidden", "cell")
    return loop(kind, *(None if n not in given else in_numpy([given[n]])[0] for n in names))


def check(kind, given, tolerance, **others):
    states = mx._recurrent(kind, **given, **others)
    for got, want in zip(states, expected(kind, given), strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(in_numpy([got])[0], want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("dtype", TOLERANCES, ids=str)
@pytest.mark.parametrize("states", [True, False])
def test_values(kind, dtype, states):
    for lead in ((), (1,), (7,), (2, 5)):
        for length, size in ((1, 3), (6, 8), (4, 17), (3, 40)):
            check(kind, operands(kind, lead, length, size, states, dtype), TOLERANCES[dtype])


@pytest.mark.parametrize("kind", GATES)
def test_many_rows_and_units(kind):
    for lead, length, size in (((150,), 5, 24), ((3,), 4, 300), ((1,), 3, 600), ((40,), 9, 128)):
        given = operands(kind, lead, length, size, dtype=mx.float32)
        check(kind, given, 2e-5)
        ours, _ = gradients(kind, given)
        given64 = {k: v.astype(mx.float64) for k, v in given.items()}
        for got, want in zip(ours, gradients(kind, given64)[0], strict=True):
            scale = np.abs(want).max()
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5 * scale)


@pytest.mark.parametrize("kind", GATES)
def test_without_steps_rows_or_units(kind):
    for lead, length, size in (((2,), 0, 4), ((0,), 3, 4), ((2,), 3, 0), ((), 0, 4)):
        given = operands(kind, lead, length, size, dtype=mx.float32)
        check(kind, given, 0)
        for gradient, value in zip(gradients(kind, given)[0], given.values(), strict=True):
            assert gradient.shape == value.shape
            assert not gradient.any() or length == 0


def test_no_steps_pass_nothing_on():
    given = operands("lstm", (2,), 0, 3)
    assert all((g == 0).all() for g in gradients("lstm", given)[0])


def gradients(kind, given):
    """Gradients of a weighted sum of all states, and the states."""
    names = list(given)
    dtype = given["weight"].dtype

    def total(*values):
        states = mx._recurrent(kind, **dict(zip(names, values, strict=True)))
        sums = [(s * mx.array(normal(*s.shape), dtype=dtype)).sum() for s in states]
        return sum(sums[1:], sums[0]), states

    grad = mx.value_and_grad(total, argnums=list(range(len(names))))
    (_, states), grads = grad(*given.values())
    return in_numpy(grads), in_numpy(states)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("states", [True, False])
def test_derivatives(kind, states):
    for lead, length, size in (((), 3, 4), ((5,), 4, 9), ((2, 3), 2, 5), ((2,), 1, 3)):
        given = operands(kind, lead, length, size, states)
        names = list(given)

        def f(*values, names=names):
            found = mx._recurrent(kind, **dict(zip(names, values, strict=True)))
            return mx.concatenate(found, axis=-1)

        check_gradient(f, list(given.values()), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("states", [True, False])
def test_second_derivatives(kind, states):
    given = operands(kind, (2,), 3, 3, states)
    names = list(given)

    def slopes(*values):
        def total(*inner):
            found = mx._recurrent(kind, **dict(zip(names, inner, strict=True)))
            return sum((mx.sin(s).sum() for s in found), mx.array(0, dtype=mx.float64))

        found = mx.grad(total, argnums=list(range(len(values))))(*values)
        return mx.concatenate([g.reshape(-1) for g in found])

    check_gradient(slopes, list(given.values()), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("kind", GATES)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16], ids=str)
def test_gradients_of_half_types(kind, dtype):
    given = operands(kind, (4,), 6, 12, dtype=dtype)
    wide = {k: v.astype(mx.float64) for k, v in given.items()}
    for got, want in zip(gradients(kind, given)[0], gradients(kind, wide)[0], strict=True):
        assert np.abs(got - want).max() <= 3 * TOLERANCES[dtype] * np.abs(want).max()


@pytest.mark.parametrize("kind", GATES)
def test_layouts_and_broadcast_states(kind):
    given = operands(kind, (4,), 6, 8, dtype=mx.float32)
    given["projections"] = mx.swapaxes(mx.swapaxes(given["projections"], 0, 1) * 1, 0, 1)
    given["weight"] = mx.concatenate([given["weight"]] * 2, axis=1)[:, ::2]
    check(kind, given, 1e-5)
    given["hidden"] = given["hidden"][0]
    check(kind, given, 1e-5)
    given["projections"] = given["projections"][0]
    given["hidden"] = mx.array(normal(3, 8), dtype=mx.float32)
    if kind == "lstm":
        del given["cell"]
    check(kind, given, 1e-5)


@pytest.mark.parametrize("kind", GATES)
def test_vmap(kind):
    given = operands(kind, (3, 2), 4, 5)
    names = list(given)
    shared = {"weight", "bias"}
    axes = [None if n in shared else 0 for n in names]

    def f(*values):
        found = mx._recurrent(kind, **dict(zip(names, values, strict=True)))
        return mx.concatenate(found, axis=-1)

    want = np.concatenate(expected(kind, given), -1)
    got = mx.vmap(f, in_axes=axes)(*given.values())
    np.testing.assert_allclose(np.array(got), want, rtol=1e-12)
    # States alone, the projections alone, and along another axis.
    got = mx.vmap(lambda x: mx._recurrent(kind, x, given["weight"])[0], in_axes=1, out_axes=1)(
        given["projections"]
    )
    alone = loop(kind, np.array(given["projections"]), np.array(given["weight"]))[0]
    np.testing.assert_allclose(np.array(got), alone, rtol=1e-12)
    # Every entry of the batch with a weight of its own.
    weights = mx.stack([given["weight"], given["weight"] * 2, -given["weight"]])
    got = mx.vmap(lambda x, w: mx._recurrent(kind, x, w)[0])(given["projections"], weights)
    each = [
        loop(kind, np.array(x), np.array(w))[0]
        for x, w in zip(given["projections"], weights, strict=True)
    ]
    np.testing.assert_allclose(np.array(got), np.stack(each), rtol=1e-12)


@pytest.mark.parametrize("kind", GATES)
def test_vmap_of_gradients(kind):
    given = operands(kind, (3, 2), 4, 5)
    x, w = given["projections"], given["weight"]

    def slope(x, w):
        return mx.grad(lambda x, w: mx.sin(mx._recurrent(kind, x, w)[0]).sum(), (0, 1))(x, w)

    together = mx.vmap(slope, in_axes=(0, None))(x, w)
    each = [slope(part, w) for part in x]
    for k in range(2):
        want = np.stack([np.array(e[k]) for e in each])
        np.testing.assert_allclose(np.array(together[k]), want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", GATES)
def test_compiled(kind):
    given = operands(kind, (3,), 5, 6, dtype=mx.float32)
    names = list(given)
    weights = [mx.array(normal(3, 5, 6), dtype=mx.float32)] * 2

    def total(*values):
        states = mx._recurrent(kind, **dict(zip(names, values, strict=True)))
        return sum((s * w).sum() for s, w in zip(states, weights, strict=False))

    grad = mx.grad(total, argnums=list(range(len(names))))
    for got, want in zip(mx.compile(grad)(*given.values()), grad(*given.values()), strict=True):
        np.testing.assert_array_equal(np.array(got), np.array(want))


def test_errors():
    x, w = mx.zeros((2, 5, 12)), mx.zeros((12, 3))
    with pytest.raises(ValueError, match="unknown kind"):
        mx._recurrent("elman", x, w)
    with pytest.raises(ValueError, match=r"projections must have shape \(\.\.\., L, 12\)"):
        mx._recurrent("lstm", x[..., :9], w)
    with pytest.raises(ValueError, match=r"\(3 H, H\), not \(12,3\)"):
        mx._recurrent("gru", x, w)
    with pytest.raises(ValueError, match="hidden state"):
        mx._recurrent("lstm", x, w, hidden=mx.zeros((2, 4)))
    with pytest.raises(ValueError, match="only an lstm"):
        mx._recurrent("rnn_tanh", mx.zeros((2, 5, 3)), w[:3], cell=mx.zeros((2, 3)))
    with pytest.raises(ValueError, match="only a gru"):
        mx._recurrent("lstm", x, w, bias=mx.zeros(3))
    with pytest.raises(ValueError, match="floating"):
        mx._recurrent("lstm", x.astype(mx.int32), w.astype(mx.int32))
    with pytest.raises(ValueError, match="broadcast"):
        mx._recurrent("lstm", x, w, hidden=mx.zeros((3, 3)))


def test_layers_take_the_node():
    """A nonlinearity of one's own goes step by step, to the same values."""
    x, h = mx.array(normal(4, 6, 3)), mx.array(normal(4, 5))
    for named, own in ((nn.tanh, lambda v: mx.tanh(v)), (nn.relu, lambda v: mx.maximum(v, 0))):
        layer, plain = nn.RNN(3, 5, nonlinearity=named), nn.RNN(3, 5, nonlinearity=own)
        plain.update(layer.parameters())
        for state in (None, h):
            got, want = np.array(layer(x, state)), np.array(plain(x, state))
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)
        assert plain(x[:, :0]).shape == layer(x[:, :0]).shape == (4, 0, 5)


def test_unread_values_take_no_memory():
    x, w = mx.random.normal((16, 256, 4 * 256)), mx.random.normal((4 * 256, 256))
    mx.eval(x, w)
    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(mx._recurrent("lstm", x, w))
    states = 2 * 16 * 256 * 256 * 4
    assert mx.get_peak_memory() - before < 1.5 * states
