"""cond, while_loop and scan against plain Python: values, derivatives, maps, compile, export."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest


def values(shape: tuple[int, ...], seed: int = 0) -> mx.array:
    return mx.array(np.random.default_rng(seed).uniform(0.5, 1.5, shape).astype(np.float32))


def same(a, b, tolerance: float = 0) -> None:
    assert a.dtype == b.dtype
    assert a.shape == b.shape
    np.testing.assert_allclose(np.array(a), np.array(b), rtol=tolerance, atol=tolerance)


X, W = values((3,)), values((3,), 1)
MODES = [lambda f: f, mx.compile]


# ------------------------------------------------------------------ cond


def branches(pred, x):
    return mx.cond(pred, lambda a: mx.exp(a) * W, lambda a: mx.sin(a) - W, x)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("flag", [True, False])
def test_cond_takes_one_branch(mode, flag):
    out = mode(branches)(mx.array(flag), X)
    same(out, mx.exp(X) * W if flag else mx.sin(X) - W, 1e-6)


def test_cond_decides_when_it_is_evaluated():
    def positive(x):
        return mx.cond(x.sum() > 0, lambda: {"sign": x * 0 + 1}, lambda: {"sign": x * 0 - 1})

    fun = mx.compile(positive)
    assert fun(X)["sign"].tolist() == [1, 1, 1]
    assert fun(-X)["sign"].tolist() == [-1, -1, -1]


@pytest.mark.parametrize("sign", [1, -1])
def test_cond_comes_after_the_steps_before_it(sign):
    def decide(x):
        for _ in range(4):  # steps enough to be started together
            x = mx.softmax(mx.cumsum(x)) * x
        return mx.cond(x[0] > 0, lambda a: mx.cumsum(a) + 1, lambda a: mx.cumsum(a) - 1, x), x

    for fun in (decide, mx.compile(decide)):
        for _ in range(3):
            out, x = fun(sign * mx.arange(1.0, 9.0))
            same(out, mx.cumsum(x) + sign, 1e-6)


def test_cond_only_runs_the_branch_taken():
    bad = mx.array([7])

    def out_of_range(x):
        return mx.take(x, bad)

    same(mx.cond(True, lambda x: x[:1], out_of_range, X), X[:1])
    with pytest.raises(IndexError):
        mx.eval(mx.cond(False, lambda x: x[:1], out_of_range, X))


@pytest.mark.parametrize("flag", [True, False])
def test_cond_derivatives(flag):
    def loss(x, w):
        return mx.cond(flag, lambda a: (mx.exp(a) * w).sum(), lambda a: (a * a * w).sum(), x)

    gx, gw = mx.grad(loss, argnums=(0, 1))(X, W)
    same(gx, mx.exp(X) * W if flag else 2 * X * W, 1e-5)
    same(gw, mx.exp(X) if flag else X * X, 1e-5)
    (tangent,) = mx.jvp(lambda x: loss(x, W), [X], [W])[1]
    same(tangent, (gx * W).sum(), 1e-5)
    second = mx.grad(lambda x: mx.grad(loss)(x, W).sum())(X)
    same(second, mx.exp(X) * W if flag else 2 * W, 1e-5)


def test_cond_maps():
    xs, flags = values((4, 3)), mx.array([True, False, True, False])
    expected = mx.stack([branches(f, x) for f, x in zip(flags, xs, strict=True)])
    same(mx.vmap(branches)(flags, xs), expected, 1e-6)
    same(mx.vmap(branches, in_axes=(None, 0))(mx.array(True), xs), mx.exp(xs) * W, 1e-6)
    same(mx.vmap(branches, in_axes=(0, None))(flags, xs[0])[1], mx.sin(xs[0]) - W, 1e-6)


def test_cond_refuses_branches_that_differ():
    with pytest.raises(ValueError, match="same"):
        mx.cond(True, lambda: X, lambda: X[:2])
    with pytest.raises(ValueError, match="same"):
        mx.cond(True, lambda: X, lambda: X.astype(mx.float16))
    with pytest.raises(ValueError, match="containers"):
        mx.cond(True, lambda: (X,), lambda: [X])
    with pytest.raises(ValueError, match="one element"):
        mx.cond(X > 0, lambda: X, lambda: X)


# ------------------------------------------------------------------ while_loop


def doubled_until(limit, x):
    return mx.while_loop(
        lambda v: v["x"].sum() < limit,
        lambda v: {"n": v["n"] + 1, "x": v["x"] * 2},
        {"n": 0, "x": x},
    )


@pytest.mark.parametrize("mode", MODES)
def test_while_runs_as_often_as_it_has_to(mode):
    fun = mode(lambda x: doubled_until(100.0, x))
    for x in (X, 200 * X, X / 64):
        n, expected = 0, x
        while expected.sum().item() < 100:
            n, expected = n + 1, expected * 2
        out = fun(x)
        assert out["n"].item() == n
        same(out["x"], expected)


def test_while_many_turns():
    n, total = mx.while_loop(lambda v: v[0] < 5000, lambda v: (v[0] + 1, v[1] + v[0]), (0, 0))
    assert (n.item(), total.item()) == (5000, 5000 * 4999 // 2)


def test_while_forward_derivative():
    def fun(x):
        return doubled_until(100.0, x)["x"]

    (tangent,) = mx.jvp(fun, [X], [W])[1]
    turns = doubled_until(100.0, X)["n"].item()
    same(tangent, W * 2**turns)
    with pytest.raises(ValueError, match="reverse"):
        mx.grad(lambda x: fun(x).sum())(X)


def test_while_maps_until_all_are_done():
    xs = mx.array([[1.0, 2.0], [30.0, 1.0], [500.0, 1.0]])
    out = mx.vmap(lambda x: doubled_until(100.0, x))(xs)
    for i in range(3):
        alone = doubled_until(100.0, xs[i])
        assert out["n"][i].item() == alone["n"].item()
        same(out["x"][i], alone["x"])


def test_while_refuses_what_changes_form():
    with pytest.raises(ValueError, match="stay"):
        mx.while_loop(lambda v: v.sum() < 3, lambda v: mx.concatenate([v, v]), X)
    with pytest.raises(ValueError, match="stay"):
        mx.while_loop(lambda v: v < 3, lambda v: v + 0.5, 0)


# ------------------------------------------------------------------ scan


def turn(carry, x):
    carry = mx.tanh(carry * W + x)
    return carry, {"square": carry * carry, "n": x.sum()}


def plain_scan(fn, carry, xs, reverse=False):
    order = range(xs.shape[0])
    ys = []
    for i in reversed(order) if reverse else order:
        carry, y = fn(carry, xs[i])
        ys.append(y)
    ys = ys[::-1] if reverse else ys
    return carry, {k: mx.stack([y[k] for y in ys]) for k in ys[0]}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 5, 700])
def test_scan_is_a_loop(mode, reverse, length):
    xs = values((length, 3), 2)
    carry, ys = mode(lambda c, xs: mx.scan(turn, c, xs, reverse=reverse))(X, xs)
    expected, all_y = plain_scan(turn, X, xs, reverse)
    same(carry, expected, 1e-6)
    same(ys["square"], all_y["square"], 1e-6)
    same(ys["n"], all_y["n"], 1e-6)


def test_scan_without_arrays_and_without_turns():
    total, ys = mx.scan(lambda c, _: (c + 1, c), 0, length=4)
    assert (total.item(), ys.tolist()) == (4, [0, 1, 2, 3])
    carry, ys = mx.scan(turn, X, mx.zeros((0, 3)))
    same(carry, X)
    assert ys["square"].shape == (0, 3)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_derivatives(reverse):
    xs, direction = values((6, 3), 2), values((6, 3), 3)

    def loss(scan):
        def run(w, c, xs):
            def one(carry, x):
                carry = mx.tanh(carry * w + x)
                return carry, {"y": carry * x}

            carry, ys = scan(one, c, xs, reverse=reverse)
            return (carry * W).sum() + ys["y"].square().sum()

        return run

    args = (W, X, xs)
    ours, plain = loss(mx.scan), loss(plain_scan)
    for a, b in zip(
        mx.grad(ours, argnums=(0, 1, 2))(*args),
        mx.grad(plain, argnums=(0, 1, 2))(*args),
        strict=True,
    ):
        same(a, b, 1e-5)
    tangents = [X, W, direction]
    same(mx.jvp(ours, args, tangents)[1][0], mx.jvp(plain, args, tangents)[1][0], 1e-4)
    for fun in (ours, plain):
        fun.second = mx.grad(lambda w, f=fun: mx.grad(f)(w, X, xs).sum())(W)
    same(ours.second, plain.second, 1e-4)
    same(mx.compile(mx.grad(ours))(*args), mx.grad(plain)(*args), 1e-5)


def test_scan_maps():
    carries, xs = values((4, 3)), values((4, 6, 3), 2)
    carry, ys = mx.vmap(lambda c, x: mx.scan(turn, c, x))(carries, xs)
    for i in range(4):
        expected, all_y = plain_scan(turn, carries[i], xs[i])
        same(carry[i], expected, 1e-6)
        same(ys["square"][i], all_y["square"], 1e-6)
    carry, ys = mx.vmap(lambda c: mx.scan(turn, c, xs[0]))(carries)
    same(carry[2], plain_scan(turn, carries[2], xs[0])[0], 1e-6)
    carry, ys = mx.vmap(lambda x: mx.scan(turn, X, x), in_axes=1, out_axes=1)(mx.swapaxes(xs, 0, 1))
    same(carry[:, 3], plain_scan(turn, X, xs[3])[0], 1e-6)
    gradients = mx.vmap(mx.grad(lambda c, x: mx.scan(turn, c, x)[0].sum()))(carries, xs)
    same(
        gradients[1],
        mx.grad(lambda c: plain_scan(turn, c, xs[1])[0].sum())(carries[1]),
        1e-5,
    )


def test_scan_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="length"):
        mx.scan(turn, X)
    with pytest.raises(ValueError, match="elements"):
        mx.scan(lambda c, x: (c, c), X, (mx.zeros((3, 3)), mx.zeros((4, 3))))
    with pytest.raises(ValueError, match="stay"):
        mx.scan(lambda c, x: (c[:1], c), X, mx.zeros((3, 3)))
    with pytest.raises(ValueError, match="tuple"):
        mx.scan(lambda c, x: c, X, mx.zeros((3, 3)))


# ------------------------------------------------------------------ within each other


def nested(x):
    def one(carry, v):
        carry = mx.cond(v.sum() > 3, lambda c: c + v, lambda c: c * 0.5, carry)
        return mx.while_loop(lambda c: c.sum() > 4, lambda c: c - 1, carry), carry

    return mx.scan(one, X, x)


def test_control_flow_in_control_flow():
    xs = values((5, 3), 4) * 1.1
    carry, kept = X, []
    for i in range(5):
        carry = carry + xs[i] if xs[i].sum().item() > 3 else carry * 0.5
        kept.append(carry)
        while carry.sum().item() > 4:
            carry = carry - 1
    out, ys = nested(xs)
    same(out, carry, 1e-6)
    same(ys, mx.stack(kept), 1e-6)
    same(mx.compile(nested)(xs)[0], carry, 1e-6)


def test_failures_inside_reach_the_result():
    out = mx.scan(lambda c, i: (c, mx.take(c, i)), X, mx.array([0, 1, 9]))
    with pytest.raises(IndexError):
        mx.eval(out)
    same(mx.scan(lambda c, i: (c, mx.take(c, i)), X, mx.array([0, 1]))[1], X[:2])


def test_export(tmp_path):
    file = str(tmp_path / "fun.mlxfn")
    xs = values((5, 3), 4) * 1.1
    mx.export_function(file, nested, xs)
    for a, b in zip(mx.import_function(file)(xs), nested(xs), strict=True):
        same(a, b)
    mx.export_function(file, mx.grad(lambda x: mx.scan(turn, x, xs)[0].sum()), X)
    same(
        mx.import_function(file)(W)[0],
        mx.grad(lambda x: mx.scan(turn, x, xs)[0].sum())(W),
    )
