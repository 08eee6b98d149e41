"""Shape ops against NumPy: every layout and dtype, derivatives, batches, and wrong arguments."""

import mlx.core as mx
import numpy as np
import pytest
from layouts import (
    DTYPES,
    check_grad,
    check_same,
    check_transforms,
    check_vmap,
    layouts,
    to_numpy,
    values,
)

# name, mlx function, NumPy function; all of one two-dimensional array
UNARY = {
    "flatten": (lambda a: mx.flatten(a), lambda n: n.reshape(-1)),
    "transpose": (lambda a: mx.transpose(a), lambda n: n.T),
    "expand_dims": (lambda a: mx.expand_dims(a, (0, -1)), lambda n: np.expand_dims(n, (0, -1))),
    "swapaxes": (lambda a: mx.swapaxes(a, 0, -1), lambda n: np.swapaxes(n, 0, -1)),
    "broadcast": (
        lambda a: mx.broadcast_to(a, (2, *a.shape)),
        lambda n: np.broadcast_to(n, (2, *n.shape)),
    ),
    "flip": (lambda a: mx.flip(a), lambda n: np.flip(n)),
    "flip 1": (lambda a: mx.flip(a, 1), lambda n: np.flip(n, 1)),
    "concatenate 0": (lambda a: mx.concatenate([a, a, a]), lambda n: np.concatenate([n, n, n])),
    "concatenate 1": (lambda a: mx.concatenate([a, a], 1), lambda n: np.concatenate([n, n], 1)),
    "concatenate none": (
        lambda a: mx.concatenate([a, a], axis=None),
        lambda n: np.concatenate([n, n], None),
    ),
    "stack": (lambda a: mx.stack([a, a], 1), lambda n: np.stack([n, n], 1)),
    "stack last": (lambda a: mx.stack([a, a], -1), lambda n: np.stack([n, n], -1)),
    "repeat": (lambda a: mx.repeat(a, 3, 1), lambda n: np.repeat(n, 3, 1)),
    "repeat flat": (lambda a: mx.repeat(a, 2), lambda n: np.repeat(n, 2)),
    "tile": (lambda a: mx.tile(a, (2, 1, 3)), lambda n: np.tile(n, (2, 1, 3))),
    "pad": (
        lambda a: mx.pad(a, [(1, 2), (0, 3)], constant_values=7),
        lambda n: np.pad(n, [(1, 2), (0, 3)], constant_values=7),
    ),
    "roll": (lambda a: mx.roll(a, 3), lambda n: np.roll(n, 3)),
    "roll both": (lambda a: mx.roll(a, (1, -2), (0, 1)), lambda n: np.roll(n, (1, -2), (0, 1))),
    "diagonal": (lambda a: mx.diagonal(a, 1), lambda n: np.diagonal(n, 1)),
    "diagonal below": (lambda a: mx.diagonal(a, -2), lambda n: np.diagonal(n, -2)),
    "tril": (lambda a: mx.tril(a, 1), lambda n: np.tril(n, 1)),
    "triu": (lambda a: mx.triu(a, -1), lambda n: np.triu(n, -1)),
    "contiguous": (lambda a: mx.contiguous(a), lambda n: n),
    "atleast_3d": (lambda a: mx.atleast_3d(a), lambda n: np.atleast_3d(n)),
    "kron": (
        lambda a: mx.kron(a, mx.ones((2, 2), dtype=a.dtype)),
        lambda n: np.kron(n, np.ones((2, 2), n.dtype)) if n.size else n.reshape(0, 2 * n.shape[1]),
    ),
}


@pytest.mark.parametrize("name", UNARY)
def test_every_layout(name):
    ours, theirs = UNARY[name]
    for _, a, n in layouts():
        check_same(ours(a), theirs(n))


@pytest.mark.parametrize("name", UNARY)
def test_every_dtype(name):
    ours, theirs = UNARY[name]
    for dtype in DTYPES:
        a, n = values((3, 5), dtype)
        out = ours(a.T)
        assert out.dtype == a.dtype
        if dtype == "bool_" and name in ("pad", "kron"):
            continue  # NumPy pads bool with the number
        check_same(out, theirs(n.T))


@pytest.mark.parametrize("name", UNARY)
def test_transforms(name):
    check_transforms(UNARY[name][0])


def test_mixed_dtypes_concatenate_in_the_common_one():
    a, b = mx.array([1, 2]), mx.array([0.5], dtype=mx.float16)
    assert mx.concatenate([a, b]).dtype == mx.float16
    check_same(mx.concatenate([a, b]), [1, 2, 0.5])
    check_grad(lambda x, y: mx.concatenate([x * x, y, x], 1), mx.ones((2, 3)), mx.full((2, 1), 2.0))
    check_vmap(lambda x, y: mx.concatenate([x, y]), mx.ones((3, 2)), mx.zeros(4), in_axes=(0, None))


def test_reshape_of_every_layout_to_every_shape():
    for _, a, n in layouts():
        size = a.size
        for shape in [(-1,), (size,), (2, -1), (1, size, 1), (a.shape[1], a.shape[0]), (-1, 1, 1)]:
            if size % max(1, shape[0]) == 0 or -1 in shape[1:]:
                try:
                    want = n.reshape(shape)
                except ValueError:
                    continue
                check_same(a.reshape(shape), want)


def test_scalars_and_empty_arrays():
    s = mx.array(3.0)
    check_same(s.reshape(1, 1), [[3.0]])
    check_same(mx.flatten(s), [3.0])
    check_same(mx.transpose(s), 3.0)
    check_same(mx.atleast_1d(s), [3.0])
    check_same(mx.atleast_3d(s), [[[3.0]]])
    check_same(mx.broadcast_to(s, (2, 2)), np.full((2, 2), 3.0))
    check_same(mx.stack([s, s]), [3.0, 3.0])
    check_same(mx.roll(s, 1), 3.0)
    check_same(mx.repeat(s, 2), [3.0, 3.0])
    check_same(mx.tile(s, (2, 1)), [[3.0], [3.0]])
    e = mx.zeros((0, 3))
    check_same(e.reshape(-1), np.zeros(0))
    check_same(e.reshape(3, 0), np.zeros((3, 0)))
    check_same(mx.concatenate([e, e]), np.zeros((0, 3)))
    check_same(mx.concatenate([e, mx.ones((1, 3))]), np.ones((1, 3)))
    check_same(mx.pad(e, 1), np.zeros((2, 5)))
    check_same(mx.roll(e, 1, 0), np.zeros((0, 3)))
    check_same(mx.roll(mx.arange(6).reshape(2, 3), (), 1), np.arange(6).reshape(2, 3))
    check_same(mx.broadcast_to(mx.zeros((1,)), (0,)), np.zeros(0))
    check_same(mx.tile(mx.ones((2,)), 0), np.zeros(0))


def test_squeeze_flatten_and_unflatten():
    a, n = values((2, 1, 3, 1))
    check_same(mx.squeeze(a), n.squeeze())
    check_same(mx.squeeze(a, -1), n.squeeze(-1))
    check_same(mx.squeeze(a, (1, 3)), n.squeeze((1, 3)))
    check_same(mx.flatten(a, 1, 2), n.reshape(2, 3, 1))
    check_same(mx.flatten(a, -10, 10), n.reshape(-1))
    check_same(
        mx.unflatten(mx.arange(12).reshape(2, 6), 1, (2, -1)), np.arange(12).reshape(2, 2, 3)
    )
    check_transforms(lambda x: mx.squeeze(mx.expand_dims(x, 1), 1))
    check_transforms(lambda x: mx.unflatten(x, -1, (2, -1)))
    check_transforms(lambda x: mx.flatten(x, 1, 2), (2, 3, 2))


def test_axes_move():
    a, n = values((2, 3, 4))
    for i in range(-3, 3):
        for j in range(-3, 3):
            check_same(mx.moveaxis(a, i, j), np.moveaxis(n, i, j))
            check_same(mx.swapaxes(a, i, j), np.swapaxes(n, i, j))
    check_same(a.transpose(2, 0, 1), n.transpose(2, 0, 1))
    check_same(a.transpose(-1, 0, 1), n.transpose(-1, 0, 1))
    check_same(mx.matrix_transpose(a), np.swapaxes(n, 1, 2))
    check_transforms(lambda x: mx.transpose(x, (2, 0, 1)), (2, 3, 2))


def test_split_and_unstack():
    a, n = values((6, 4))
    for ours, theirs in [
        (mx.split(a, 3), np.split(n, 3)),
        (mx.split(a, 2, axis=-1), np.split(n, 2, axis=-1)),
        (mx.split(a, [1, 4]), np.split(n, [1, 4])),
        (mx.split(a, [4, 1]), np.split(n, [4, 1])),
        (mx.split(a, [-1], axis=1), np.split(n, [-1], axis=1)),
        (mx.split(a, [2, 9]), np.split(n, [2, 9])),
        (mx.split(a.T, 2), np.split(n.T, 2)),
        (mx.unstack(a), list(n)),
        (mx.unstack(a, axis=1), list(n.T)),
    ]:
        assert len(ours) == len(theirs)
        for x, y in zip(ours, theirs, strict=False):
            check_same(x, y)
    check_transforms(lambda x: mx.split(x, 2, axis=1)[1] * mx.split(x, 2, axis=1)[0])
    check_transforms(lambda x: mx.split(x, [2, 1], axis=0)[2] * 2, mapped=True)
    check_transforms(lambda x: sum(mx.unstack(x)))


def test_views_as_another_dtype():
    for size, dtype in [(8, "int8"), (4, "int16"), (2, "float32"), (1, "int64"), (4, "float16")]:
        a, n = values((3, size), dtype)
        for target in ("uint8", "int16", "float32", "int64", "uint32"):
            check_same(mx.view(a, getattr(mx, target)), n.view(getattr(np, target)))
    a, n = values((4, 6), "int32")
    for part in (np.s_[:, 2:4], np.s_[::2, ::3], np.s_[:, 1:3], np.s_[::-1]):
        check_same(mx.view(a[part], mx.int16), np.ascontiguousarray(n[part]).view(np.int16))
        check_same(mx.view(a[part], mx.int64), np.ascontiguousarray(n[part]).view(np.int64))
    assert mx.view(mx.array(1.0), mx.int32).item() == 0x3F800000
    assert mx.view(mx.zeros((2, 0)), mx.int64).shape == (2, 0)
    check_vmap(lambda x: mx.view(x, mx.int32), mx.ones((3, 2)))
    check_vmap(lambda x: mx.view(x, mx.int8), mx.ones((3, 2)))


def test_as_strided():
    a, n = values((4, 6))
    windows = np.lib.stride_tricks.sliding_window_view(n.reshape(-1), 5)
    check_same(mx.as_strided(a, (20, 5), (1, 1), 0), windows)
    check_same(mx.as_strided(a.T, (3,), (1,), 1), n.T.reshape(-1)[1:4])
    check_same(mx.as_strided(a, (4,), (-2,), 7), n.reshape(-1)[7::-2])
    check_same(mx.as_strided(a, (2, 3), (0, 1), 2), np.stack([n.reshape(-1)[2:5]] * 2))
    check_transforms(lambda x: mx.as_strided(x, (4, 3), (2, 1), 1) ** 2)
    check_transforms(lambda x: mx.as_strided(x, (3,), (0,), 2))


@pytest.mark.parametrize("mode", ["edge", "reflect", "symmetric"])
def test_padding_by_elements(mode):
    for _, a, n in layouts():
        if a.size:
            check_same(mx.pad(a, [(2, 3), (1, 9)], mode=mode), np.pad(n, [(2, 3), (1, 9)], mode))
    check_transforms(lambda x: mx.pad(x, 2, mode=mode))
    with pytest.raises(ValueError, match="pad"):
        mx.pad(mx.zeros((0,)), 1, mode=mode)


def test_padding_widths_and_value():
    a, n = values((2, 3))
    check_same(mx.pad(a, 1), np.pad(n, 1))
    check_same(mx.pad(a, (1, 2)), np.pad(n, (1, 2)))
    check_same(mx.pad(a, [(1, 0)]), np.pad(n, (1, 0)))
    check_same(
        mx.pad(a.astype(mx.int32), 1, constant_values=5.7),
        np.pad(n.astype(int), 1, constant_values=5),
    )
    check_grad(
        lambda x, v: mx.pad(x, [(1, 0), (2, 1)], constant_values=v) ** 2,
        mx.ones((2, 2)),
        mx.array(2.0),
    )
    f = lambda x, v: mx.pad(x, 1, constant_values=v)
    check_vmap(f, mx.ones((3, 2)), mx.arange(3.0))
    check_vmap(f, mx.ones((3, 2)), mx.array(1.0), in_axes=(0, None))
    check_vmap(f, mx.ones((2,)), mx.arange(3.0), in_axes=(None, 0))


def test_meshgrid_and_broadcast_arrays():
    x, y, z = mx.arange(2), mx.arange(3), mx.arange(4)
    for arrays in ([x], [x, y], [x, y, z]):
        for sparse in (False, True):
            for indexing in ("xy", "ij"):
                ours = mx.meshgrid(*arrays, sparse=sparse, indexing=indexing)
                theirs = np.meshgrid(
                    *[np.array(a) for a in arrays], sparse=sparse, indexing=indexing
                )
                for a, n in zip(ours, theirs, strict=False):
                    check_same(a, n)
    for a, n in zip(
        mx.broadcast_arrays(x, mx.zeros((3, 1)), mx.array(5)),
        np.broadcast_arrays(np.arange(2), np.zeros((3, 1)), 5),
        strict=False,
    ):
        check_same(a, n)
    assert mx.broadcast_arrays() in ([], ())


def test_kron_of_any_rank():
    for s, t in [((2,), (3,)), ((2, 3), (2,)), ((), (3,)), ((2, 1, 2), (3, 2))]:
        (a, n), (b, m) = values(s), values(t)
        check_same(mx.kron(a, b), np.kron(n, m))


def test_stop_gradient_and_depends():
    x = mx.array([1.0, 2.0])
    assert mx.grad(lambda v: (v * mx.stop_gradient(v)).sum())(x).tolist() == [1.0, 2.0]
    check_same(mx.depends(x, mx.exp(x)), [1.0, 2.0])
    check_same(mx.vmap(mx.stop_gradient)(x), [1.0, 2.0])


def test_sharing_memory_does_not_mix_values():
    a = mx.arange(24.0).reshape(4, 6)
    b = a.T.reshape(24)
    c = a[::2] * 1 + 0
    a[:] = 0
    assert b.tolist() == np.arange(24.0).reshape(4, 6).T.reshape(-1).tolist()
    assert c.tolist() == np.arange(24.0).reshape(4, 6)[::2].tolist()


def test_large_transposes_and_concatenations():
    n = np.random.rand(513, 1027).astype(np.float32)
    a = mx.array(n)
    check_same(mx.contiguous(a.T), n.T)
    check_same(mx.concatenate([a.T, a.T[::-1]], axis=1), np.concatenate([n.T, n.T[::-1]], axis=1))
    check_same(mx.pad(a, 3), np.pad(n, 3))
    check_same(mx.roll(a, (5, -7), (0, 1)), np.roll(n, (5, -7), (0, 1)))


A = mx.zeros((2, 3))

BAD_VALUES = {
    "size": lambda: A.reshape(5),
    "two unknown": lambda: A.reshape(-1, -1),
    "unknown does not fit": lambda: A.reshape(4, -1),
    "negative extent": lambda: A.reshape(-2, 3),
    "size past 64 bits": lambda: A.reshape(2**31 - 1, 2**31 - 1, 2**31 - 1),
    "unknown of nothing": lambda: mx.zeros((0, 3)).reshape(0, -1),
    "unflatten": lambda: mx.unflatten(A, 1, (2, 2)),
    "unflatten empty": lambda: mx.unflatten(A, 1, ()),
    "flatten order": lambda: mx.flatten(A, 1, 0),
    "squeeze size": lambda: mx.squeeze(A, 0),
    "squeeze twice": lambda: mx.squeeze(mx.zeros((1, 1)), (0, -2)),
    "expand twice": lambda: mx.expand_dims(A, (0, 0)),
    "transpose count": lambda: mx.transpose(A, (0,)),
    "transpose twice": lambda: mx.transpose(A, (0, 0)),
    "broadcast rank": lambda: mx.broadcast_to(A, (3,)),
    "broadcast extent": lambda: mx.broadcast_to(A, (3, 3)),
    "broadcast negative": lambda: mx.broadcast_to(A, (2, -1, 3)),
    "broadcast past 64 bits": lambda: mx.broadcast_to(A, (2**31 - 1, 2**31 - 1, 2, 3)),
    "broadcast arrays": lambda: mx.broadcast_arrays(A, mx.zeros((2,))),
    "strided outside": lambda: mx.as_strided(A, (3, 3), (3, 1), 0),
    "strided before": lambda: mx.as_strided(A, (3,), (-1,), 1),
    "strided far": lambda: mx.as_strided(A, (2,), (2**62,), 2**62),
    "strided ranks": lambda: mx.as_strided(A, (2, 2), (1,), 0),
    "view multiple": lambda: mx.view(A, mx.int64),
    "view scalar": lambda: mx.view(mx.array(1.0), mx.int8),
    "split parts": lambda: mx.split(A, 2, axis=1),
    "split none": lambda: mx.split(A, 0),
    "split negative": lambda: mx.split(A, -1),
    "concatenate nothing": lambda: mx.concatenate([]),
    "concatenate ranks": lambda: mx.concatenate([A, mx.zeros(3)]),
    "concatenate extents": lambda: mx.concatenate([A, mx.zeros((2, 4))], 0),
    "concatenate too long": lambda: mx.concatenate([mx.zeros((2**31 - 1,))] * 2),
    "stack nothing": lambda: mx.stack([]),
    "stack shapes": lambda: mx.stack([A, mx.zeros((3, 2))]),
    "repeat negative": lambda: mx.repeat(A, -1),
    "repeat too long": lambda: mx.repeat(A, 2**30, axis=1),
    "tile negative": lambda: mx.tile(A, -1),
    "tile too long": lambda: mx.tile(A, 2**30),
    "pad negative": lambda: mx.pad(A, -1),
    "pad count": lambda: mx.pad(A, [(1, 1)] * 3),
    "pad mode": lambda: mx.pad(A, 1, mode="wrap"),
    "pad value": lambda: mx.pad(A, 1, constant_values=mx.zeros(2)),
    "pad too long": lambda: mx.pad(A, 2**31 - 1),
    "diagonal rank": lambda: mx.diagonal(mx.zeros(3)),
    "diagonal axes": lambda: mx.diagonal(A, 0, 0, 0),
    "diag rank": lambda: mx.diag(mx.zeros((1, 1, 1))),
    "tril rank": lambda: mx.tril(mx.zeros(3)),
    "meshgrid": lambda: mx.meshgrid(mx.zeros(2), indexing="yx"),
}

BAD_AXES = {
    "flip": lambda: mx.flip(A, 2),
    "unflatten": lambda: mx.unflatten(A, 2, (1,)),
    "squeeze": lambda: mx.squeeze(A, 2),
    "expand_dims": lambda: mx.expand_dims(A, 4),
    "transpose": lambda: mx.transpose(A, (0, 2)),
    "swapaxes": lambda: mx.swapaxes(A, 0, -3),
    "moveaxis": lambda: mx.moveaxis(A, 2, 0),
    "split": lambda: mx.split(A, 1, axis=2),
    "split scalar": lambda: mx.split(mx.array(1), 1),
    "unstack": lambda: mx.unstack(A, axis=2),
    "concatenate": lambda: mx.concatenate([A, A], 2),
    "stack": lambda: mx.stack([A, A], 3),
    "repeat": lambda: mx.repeat(A, 2, axis=2),
    "roll": lambda: mx.roll(A, 1, 2),
    "diagonal": lambda: mx.diagonal(A, 0, 0, 2),
}


@pytest.mark.parametrize("name", BAD_VALUES)
def test_wrong_arguments_raise_at_the_call(name):
    with pytest.raises(ValueError, match=r"^\[\w+\] "):
        BAD_VALUES[name]()


@pytest.mark.parametrize("name", BAD_AXES)
def test_wrong_axes_are_index_and_value_errors(name):
    for error in (IndexError, ValueError):
        with pytest.raises(error, match=r"^\[\w+\] Axis"):
            BAD_AXES[name]()


def test_messages_name_the_shapes():
    with pytest.raises(ValueError, match=r"size 6.*\(2,3\).*\(5\)"):
        A.reshape(5)
    with pytest.raises(ValueError, match=r"\(2,3\).*\(3,3\)"):
        mx.broadcast_to(A, (3, 3))


def test_to_numpy_widens_bfloat16():
    assert to_numpy(mx.array([1.5], dtype=mx.bfloat16)).tolist() == [1.5]


SHAPELESS = {
    "slice": lambda x: x[:, 1:] * 2,
    "slice from the end": lambda x: x[:-1, -1],
    "reverse": lambda x: x[::-1],
    "pad": lambda x: mx.pad(x, 1),
    "split": lambda x: mx.split(x, 2, axis=1)[1],
    "reshape": lambda x: x.reshape(-1, 2),
    "flatten": lambda x: mx.flatten(x),
    "unflatten": lambda x: mx.unflatten(x, 1, (-1, 2)),
    "concatenate": lambda x: mx.concatenate([x, x]),
    "gather": lambda x: x[mx.array([0, 1])],
    "take": lambda x: mx.take(x, mx.array([[1, 0]]), axis=1),
    "diag": lambda x: mx.diag(x),
    "roll": lambda x: mx.roll(x, (1, -1), (0, 1)),
    "repeat": lambda x: mx.repeat(x, 2, 0),
    "tile": lambda x: mx.tile(x, (2, 1)),
    "stack": lambda x: mx.stack([x, x], 1),
}


@pytest.mark.parametrize("name", SHAPELESS)
def test_graphs_follow_other_shapes(name):
    f = SHAPELESS[name]
    g = mx.compile(f, shapeless=True)
    for shape in [(2, 4), (3, 6), (5, 2)]:
        x = mx.random.normal(shape)
        check_same(g(x), to_numpy(f(x)))


def test_graphs_with_shapes_that_cannot_follow_raise():
    for f, smaller in [
        (lambda x: mx.as_strided(x, (2, 2), (4, 1), 0), (1, 4)),
        (lambda x: x.at[1:3].add(mx.ones((2, 4))), (2, 4)),
        (lambda x: x.at[mx.array([0])].add(mx.ones((1, 4))), (4, 2)),
    ]:
        g = mx.compile(f, shapeless=True)
        mx.eval(g(mx.ones((4, 4))))
        with pytest.raises(ValueError, match=r"^\[\w+\] "):
            mx.eval(g(mx.ones(smaller)))


@pytest.mark.parametrize(
    "order", [(0, 2, 1, 3), (2, 0, 1, 3), (2, 1, 0, 3), (1, 0, 2, 3), (1, 2, 0, 3), (0, 1, 3, 2)]
)
@pytest.mark.parametrize("reverse", [1, -1])
def test_large_rows_in_another_order(order, reverse):
    """Copies so large that they are written past the caches, in the order of the source or not."""
    x = np.arange(5 * 36 * 70 * 340, dtype=np.float32).reshape(5, 36, 70, 340)
    view = x[:, ::reverse].transpose(order)
    got = mx.contiguous(mx.array(x)[:, ::reverse].transpose(*order))
    assert np.array_equal(np.array(got), view)
    cut = mx.array(x)[..., 1:-2].transpose(*order) if order[3] == 3 else got
    want = x[..., 1:-2].transpose(order) if order[3] == 3 else view
    assert np.array_equal(np.array(mx.contiguous(cut)), want)


def test_large_rows_of_a_broadcast_array():
    x = np.arange(70 * 33 * 129, dtype=np.float32).reshape(70, 1, 33, 129)
    view = np.broadcast_to(x, (70, 20, 33, 129)).transpose(1, 2, 0, 3)
    got = mx.contiguous(mx.broadcast_to(mx.array(x), (70, 20, 33, 129)).transpose(1, 2, 0, 3))
    assert np.array_equal(np.array(got), view)
