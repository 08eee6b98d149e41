"""Use that is wrong raises instead of giving numbers: in transforms, indices, layers and shapes."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest

X = mx.array([1.0, 2.0, 3.0])
I = mx.array([0, 2])
TABLE = mx.arange(6.0).reshape(3, 2)
ROWS = mx.ones((2, 1, 64))
EXPERTS = mx.quantize(mx.ones((3, 64, 64)))
FLOATS = mx.quantize(mx.ones((3, 64, 64)), mode="mxfp8")


def transforms():
    return [mx.compile, mx.grad, lambda f: mx.vmap(lambda a: f(a)), mx.checkpoint]


@pytest.mark.parametrize("transform", transforms()[:3])
def test_async_eval_within_a_transform(transform):
    def f(a):
        mx.async_eval(a * 2)
        return a.sum()

    with pytest.raises(ValueError, match="eval"):
        transform(f)(X)


@pytest.mark.parametrize(
    "f",
    [
        lambda i: X[i], lambda i: mx.take(TABLE, i, axis=0),
        lambda i: mx.take_along_axis(X, i, axis=0), lambda i: mx.zeros((3,)).at[i].add(1.0),
        lambda i: mx.put_along_axis(X, i, mx.array(0.0), axis=0),
        lambda i: mx.slice(X, i[:1], (0,), (2,)),
        lambda i: mx.slice_update(X, X[:2], i[:1], (0,)),
        lambda i: mx.gather_mm(mx.ones((3, 1, 2)), mx.ones((2, 2, 2)), lhs_indices=i),
        lambda i: mx.gather_mm(mx.ones((2, 1, 2)), mx.ones((3, 2, 2)), rhs_indices=i),
        lambda i: mx.segmented_mm(TABLE.T, TABLE, i.astype(mx.uint32)[None]),
        lambda i: mx.gather_qmm(ROWS, *EXPERTS, rhs_indices=i),
        lambda i: mx.gather_qqmm(ROWS, *FLOATS, rhs_indices=i, mode="mxfp8"),
    ],
)  # fmt: skip
def test_indices_have_no_derivative(f):
    out = f(I)
    with pytest.raises(ValueError, match="stop_gradient"):
        mx.vjp(f, [I], [mx.ones(out.shape)])
    with pytest.raises(ValueError, match="stop_gradient"):
        mx.jvp(f, [I], [mx.ones(I.shape, mx.int32)])

    def stopped(i):
        return f(mx.stop_gradient(i))

    assert not mx.vjp(stopped, [I], [mx.ones(out.shape)])[1][0].any().item()


@pytest.mark.parametrize("mode", ["affine", "mxfp4"])
def test_packed_weights_have_no_derivative(mode):
    x, packed = mx.ones((1, 64)), mx.quantize(mx.ones((64, 64)), mode=mode)

    def product(w, *others):
        return mx.quantized_matmul(x, w, *others, mode=mode).sum()

    with pytest.raises(ValueError, match="packed weights"):
        mx.grad(product)(*packed)
    with pytest.raises(ValueError, match="packed weights"):
        mx.jvp(product, packed, [mx.ones_like(a) for a in packed])
    stopped = mx.grad(lambda v: product(packed[0], *packed[1:]) * v)(mx.array(1.0))
    assert stopped.item() == product(*packed).item()


def whole(x):
    return mx.clip(mx.floor(x).astype(mx.int32) - 1, 0, 2)


@pytest.mark.parametrize(
    "f",
    [
        lambda x, i: X[i], lambda x, i: mx.take(TABLE, i, axis=0),
        lambda x, i: mx.take_along_axis(X, i, axis=0) * x, lambda x, i: mx.zeros((3,)).at[i].add(x),
        lambda x, i: mx.put_along_axis(X, i, x, axis=0), lambda x, i: mx.slice(x, i[:1], (0,), (2,)),
        lambda x, i: mx.slice_update(X, x[:2], i[:1], (0,)),
        lambda x, i: mx.gather_mm(mx.ones((3, 1, 2)), mx.ones((3, 2, 2)), rhs_indices=i),
    ],
)  # fmt: skip
def test_positions_that_numbers_are_rounded_to_have_no_derivative(f):
    def rounds(x):
        return f(x, whole(x))

    def stopped(x):
        return f(x, mx.stop_gradient(whole(x)))

    out = rounds(X)
    with pytest.raises(ValueError, match="stop_gradient"):
        mx.vjp(rounds, [X], [mx.ones(out.shape)])
    with pytest.raises(ValueError, match="stop_gradient"):
        mx.jvp(rounds, [X], [mx.ones_like(X)])
    mx.vjp(stopped, [X], [mx.ones(out.shape)])
    mx.jvp(stopped, [X], [mx.ones_like(X)])
    # Numbers, not positions: the parts before and behind the point.
    assert mx.grad(lambda x: ((x - whole(x)) * X).sum())(X).tolist() == X.tolist()


def test_derivatives_of_quantiles_pass_by_their_positions():
    x, q = mx.array([1.0, 4.0, 2.0]), mx.array(0.3)
    assert mx.grad(lambda v: mx.quantile(v, q))(x).tolist() == pytest.approx([0.4, 0, 0.6])
    assert mx.grad(lambda v: mx.quantile(x, v))(q).item() == pytest.approx(2.0)


@pytest.mark.parametrize("wrap", [lambda f: f, mx.checkpoint, mx.custom_function])
def test_indices_beside_what_is_differentiated(wrap):
    lookup = wrap(lambda table, i: (table[i] ** 2).sum())
    got = mx.grad(lookup)(TABLE, I)
    np.testing.assert_array_equal(np.array(got), np.array(TABLE) * [[2], [0], [2]])
    picked = mx.grad(lambda x: x[mx.argmax(x)] * 2 + x[mx.argsort(x)[0]])(X)
    assert picked.tolist() == [1, 0, 2]
    _, tangent = mx.jvp(lambda t: lookup(t, I), [TABLE], [mx.ones_like(TABLE)])
    assert tangent[0].item() == pytest.approx(float((2 * TABLE[I]).sum().item()))


@pytest.mark.parametrize("make", [nn.LayerNorm, nn.RMSNorm, nn.InstanceNorm, nn.BatchNorm])
def test_epsilons_are_positive(make):
    for eps in (0.0, -1e-5, float("nan")):
        with pytest.raises(ValueError, match="eps"):
            make(3, eps=eps)
    with pytest.raises(ValueError, match="eps"):
        nn.GroupNorm(1, 3, eps=-1.0)


def test_groups_divide_and_probabilities_are_in_range():
    for groups in (2, 0, -1):
        with pytest.raises(ValueError, match="groups"):
            nn.GroupNorm(groups, 3)
    for make in (nn.Dropout, nn.Dropout2d, nn.Dropout3d):
        for p in (1.5, -0.1):
            with pytest.raises(ValueError):
                make(p)
    with pytest.raises(ValueError, match="max_norm"):
        optim.clip_grad_norm({"a": X}, -1.0)


def test_axes_of_vmap():
    a = mx.arange(6.0).reshape(2, 3)
    assert mx.vmap(lambda x: x * 2, out_axes=(1,))(a).shape == (3, 2)
    assert mx.vmap(lambda x: x * 2, out_axes=[1])(a).tolist() == (a.T * 2).tolist()
    assert mx.vmap(lambda x, y: x + y, in_axes=(1, None))(a, mx.ones((2,))).shape == (3, 2)
    for axes in ({"in_axes": (0, 0)}, {"in_axes": 5}, {"out_axes": (0, 1)}, {"out_axes": 7}):
        with pytest.raises((ValueError, IndexError)):
            mx.vmap(lambda x: x * 2, **axes)(a)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.zeros((2**31,)), lambda: mx.broadcast_to(X, (2**31, 3)),
        lambda: X.reshape(2**31, -1), lambda: mx.reshape(X, (2**40,)),
        lambda: mx.full(2**33, 1.0), lambda: mx.tile(mx.zeros((2**16, 1)), (2**16, 1)),
        lambda: mx.repeat(mx.zeros((2**16,)), 2**16),
        lambda: mx.concatenate([mx.broadcast_to(mx.array(0, mx.int8), (2**30,))] * 3),
        lambda: mx.broadcast_to(mx.array(0, mx.int8), (2**20, 2**20)).reshape(-1),
        lambda: mx.pad(mx.broadcast_to(mx.array(0, mx.int8), (2**30,)), 2**30),
    ],
)  # fmt: skip
def test_extents_beyond_31_bits_overflow(call):
    with pytest.raises(OverflowError):
        call()
    with pytest.raises(ValueError):
        call()


def test_corners_of_rearrangements():
    for shape in ((0,), (0, 0)):
        assert mx.diag(mx.zeros(shape)).shape == np.diag(np.zeros(shape)).shape
    assert mx.diag(mx.zeros((0,)), k=2).shape == (2, 2)
    ints = mx.array([1, 2, 3, 4])
    assert mx.roll(ints, (1, 1), axis=0).tolist() == [3, 4, 1, 2]
    assert mx.roll(ints, (1, 2), axis=(0,)).tolist() == [2, 3, 4, 1]


def test_versions_are_three_integers():
    assert len([int(part) for part in mx.__version__.split(".")]) == 3
