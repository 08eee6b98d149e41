"""Attention's gradients and batching against NumPy in float64."""

import itertools
import os
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from children import run_with_isa
from oracle import assert_close, check_derivatives, to_mlx, to_numpy, values

sdpa = mx.fast.scaled_dot_product_attention
FLOATS = ["float16", "bfloat16", "float32", "float64"]


def hidden_by(mask, queries, keys):
    """Where scores are hidden, for masks as the op takes them."""
    if isinstance(mask, str):
        return np.arange(keys) > np.arange(keys - queries, keys)[:, None]
    return ~mask if mask is not None and mask.dtype == bool else None


def reference(q, k, v, cotangent, scale, mask=None, sinks=None):
    """Result and gradients of queries, keys, values, an additive mask and sinks."""
    q, k, v, cotangent = (t.astype("float64") for t in (q, k, v, cotangent))
    repeats = q.shape[1] // k.shape[1]
    wide_k, wide_v = np.repeat(k, repeats, 1), np.repeat(v, repeats, 1)
    scores = scale * q @ wide_k.swapaxes(-1, -2)
    hidden = hidden_by(mask, q.shape[2], k.shape[2])
    if hidden is not None:
        scores = np.where(hidden, -1e300, scores)
    elif mask is not None:
        scores = scores + mask
    column = np.full((*scores.shape[:3], 1), -np.inf)
    if sinks is not None:
        column = np.broadcast_to(sinks[:, None, None].astype("float64"), column.shape)
    scores = np.concatenate([scores, column], -1)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    result = weights[..., :-1] @ wide_v
    changes = cotangent @ wide_v.swapaxes(-1, -2)
    along = (result * cotangent).sum(-1, keepdims=True)
    changes = weights * (np.concatenate([changes, np.zeros_like(column)], -1) - along)
    by_sink, changes = changes[..., -1].sum((0, 2)), changes[..., :-1]
    if hidden is not None:
        changes = np.where(hidden, 0, changes)

    def per_key_head(a):
        return a.reshape(*k.shape[:2], repeats, *a.shape[2:]).sum(2)

    grads = {
        "queries": scale * changes @ wide_k,
        "keys": per_key_head(scale * changes.swapaxes(-1, -2) @ q),
        "values": per_key_head(weights[..., :-1].swapaxes(-1, -2) @ cotangent),
    }
    if mask is not None and hidden is None:
        shape = (1,) * (4 - mask.ndim) + mask.shape
        axes = tuple(i for i in range(4) if shape[i] == 1)
        grads["mask"] = changes.sum(axes, keepdims=True).reshape(mask.shape)
    if sinks is not None:
        grads["sinks"] = by_sink
    return result, grads


def assert_near(got, want, name, what):
    """Relative to the largest entry: gradients are sums of terms that cancel, a mask's altogether
    along the keys."""
    error = np.abs(to_numpy(got).astype("float64") - want).max(initial=0)
    bound = {"float16": 4e-3, "bfloat16": 3e-2, "float32": 4e-6, "float64": 1e-13}[name]
    bound *= 8 if what == "mask" else 1
    assert error <= bound * max(1.0, np.abs(want).max(initial=0)), (what, error)


def check(name, arrays, given, scale, mask=None, sinks=None, transform=lambda f: f):
    q, k, v = arrays
    cotangent = values(name, (*q.shape[:3], v.shape[3]), 7)
    want, grads = reference(q, k, v, cotangent, scale, mask, sinks)
    arguments = list(given)
    additive = "mask" in grads
    if additive:
        arguments.append(to_mlx(mask, name))
    if sinks is not None:
        arguments.append(to_mlx(sinks, name))
    fixed = mask if mask is None or isinstance(mask, str) else mx.array(mask)

    def f(q, k, v, *rest):
        passed = rest[0] if additive else fixed
        return sdpa(q, k, v, scale=scale, mask=passed, sinks=rest[-1] if "sinks" in grads else None)

    def loss_and_grads(*arguments):
        result, pulled = mx.vjp(f, arguments, [to_mlx(cotangent, name)])
        return result[0], *pulled

    result, *pulled = transform(loss_and_grads)(*arguments)
    assert_near(result, want, name, "result")
    for (what, grad), got, argument in zip(grads.items(), pulled, arguments, strict=True):
        assert got.shape == argument.shape and got.dtype == argument.dtype
        assert_near(got, grad, name, what)


def operands(name, batch, heads, key_heads, queries, keys, width, value_width):
    shapes = (
        (batch, heads, queries, width),
        (batch, key_heads, keys, width),
        (batch, key_heads, keys, value_width),
    )
    return [values(name, shape, seed) for seed, shape in enumerate(shapes)]


def masks_for(name, batch, heads, queries, keys):
    full = values("bool_", (batch, heads, queries, keys)) | (np.arange(keys) == 0)
    yield None
    yield "causal"
    yield full
    yield full[:1, :, :1]
    yield full[0, 0]
    yield full[:, :1, :, :1] | True
    yield values(name, (batch, heads, queries, keys), 3)
    yield values(name, (heads, 1, keys), 4)
    yield values(name, (queries, 1), 5)


SIZES = [
    (1, 2, 2, 5, 7, 8, 8),
    (2, 6, 2, 37, 61, 16, 24),
    (2, 4, 1, 1, 9, 8, 3),
    (1, 3, 3, 70, 33, 7, 5),
    (1, 2, 1, 150, 300, 64, 64),
    (1, 1, 1, 1, 1, 1, 1),
]


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("sizes", SIZES)
def test_gradients(name, sizes):
    """Every mask, with sinks and without; heads that share keys; tails; rows that see no key."""
    arrays = operands(name, *sizes)
    given = [to_mlx(a, name) for a in arrays]
    batch, heads, _, queries, keys = sizes[:5]
    sinks = values(name, (heads,), 6)
    for mask in masks_for(name, batch, heads, queries, keys):
        check(name, arrays, given, 0.3125, mask)
        check(name, arrays, given, 0.3125, mask, sinks)


@pytest.mark.parametrize("name", FLOATS)
def test_gradients_of_rows_that_see_nothing(name):
    arrays = operands(name, 1, 2, 2, 20, 40, 8, 8)
    given = [to_mlx(a, name) for a in arrays]
    mask = values("bool_", (20, 40))
    mask[3] = mask[17] = False
    check(name, arrays, given, 0.3125, mask)
    check(name, arrays, given, 0.3125, mask, values(name, (2,), 6))


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
def test_gradients_compiled(name):
    arrays = operands(name, 2, 4, 2, 33, 65, 16, 16)
    given = [to_mlx(a, name) for a in arrays]
    for mask in masks_for(name, 2, 4, 33, 65):
        check(name, arrays, given, 0.3125, mask, transform=mx.compile)


@pytest.mark.parametrize("name", ["float32", "float16"])
def test_gradients_of_views(name):
    """Positions before heads, slices of a longer buffer, reversed, broadcast, columns first."""
    makers = [
        lambda a: a.reshape(a.shape[0], a.shape[2], a.shape[1], a.shape[3]).swapaxes(1, 2),
        lambda a: a[:, :, 3:],
        lambda a: a[:, ::-1, ::-1],
        lambda a: a[..., ::-1],
        lambda a: a.reshape(*a.shape[:2], a.shape[3], a.shape[2]).swapaxes(2, 3),
        lambda a: a[..., 1:7],
    ]
    for make in makers:
        arrays = operands(name, 2, 4, 2, 50, 90, 8, 8)
        given = [make(to_mlx(a, name)) for a in arrays]
        check(name, [make(a) for a in arrays], given, 0.3125, "causal")
    arrays = operands(name, 1, 1, 1, 50, 90, 8, 8)
    given = [mx.broadcast_to(to_mlx(a, name), (2, 2, *a.shape[2:])) for a in arrays]
    arrays = [np.broadcast_to(a, (2, 2, *a.shape[2:])) for a in arrays]
    check(name, arrays, given, 0.3125)


@pytest.mark.parametrize("name", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    "length, width, heads", [(48, 16, (4, 4)), (70, 64, (4, 2)), (1, 8, (2, 1))]
)
def test_gradients_of_one_product(name, length, width, heads):
    """Queries, keys and values that are bands of a matrix, and results that become rows again."""
    queries, shared = heads
    columns = (queries + 2 * shared) * width
    cuts = [queries * width, (queries + shared) * width]

    def f(x, weight):
        bands = mx.split(x @ weight, cuts, -1)
        q, k, v = (mx.swapaxes(b.reshape(2, length, -1, width), 1, 2) for b in bands)
        y = sdpa(q, k, v, scale=0.25, mask="causal")
        return mx.swapaxes(y, 1, 2).reshape(2, length, queries * width)

    x, weight = values(name, (2, length, 24)), values(name, (24, columns), 1) / 8
    cotangent = values(name, (2, length, queries * width), 2)
    primals = [to_mlx(x, name), to_mlx(weight, name)]
    with mx.stream(mx.cpu):
        wide = [
            mx.array(np.asarray(a, "float64"), dtype=mx.float64) for a in (x, weight, cotangent)
        ]
        want, want_grads = mx.vjp(f, wide[:2], wide[2:])
    for transform in (lambda f: f, mx.compile):
        result, grads = transform(lambda *p: mx.vjp(f, p, [to_mlx(cotangent, name)]))(*primals)
        for got, exact in zip([*result, *grads], [*want, *want_grads], strict=True):
            error = np.abs(to_numpy(got) - to_numpy(exact)).max()
            bound = {"float32": 1e-5, "bfloat16": 4e-2}[name]
            assert error <= bound * max(1.0, np.abs(to_numpy(exact)).max())


def test_gradients_of_equal_operands():
    """One array in all three places, and bands that overlap."""
    x = values("float32", (2, 3, 20, 8))
    c = values("float32", (2, 3, 20, 8), 1)

    def alone(a):
        return sdpa(a, a, a, scale=0.5)

    def overlapping(a):
        return sdpa(a[..., :4], a[..., 2:6], a[..., 4:], scale=0.5)

    for f, columns in ((alone, slice(None)), (overlapping, slice(4))):
        got = mx.vjp(f, [mx.array(x)], [mx.array(c[..., columns])])[1][0]
        with mx.stream(mx.cpu):
            wide = [mx.array(a.astype("float64"), dtype=mx.float64) for a in (x, c[..., columns])]
            want = mx.vjp(f, wide[:1], wide[1:])[1][0]
        np.testing.assert_allclose(to_numpy(got), to_numpy(want), rtol=1e-4, atol=1e-5)


def test_gradients_of_empty_arrays():
    for sizes in (
        (0, 2, 1, 3, 5, 4, 6),
        (2, 0, 2, 3, 5, 4, 6),
        (1, 2, 2, 0, 5, 4, 6),
        (1, 2, 2, 3, 0, 4, 6),
        (1, 2, 2, 3, 5, 0, 6),
        (1, 2, 2, 3, 5, 4, 0),
    ):
        given = [mx.array(a) for a in operands("float32", *sizes)]
        cotangent = mx.ones((*given[0].shape[:3], sizes[-1]))
        for sinks in ([], [mx.zeros((sizes[1],))]):

            def f(q, k, v, *sinks):
                return sdpa(q, k, v, scale=1.0, sinks=sinks[0] if sinks else None)

            grads = mx.vjp(f, [*given, *sinks], [cotangent])[1]
            assert [g.shape for g in grads] == [a.shape for a in [*given, *sinks]]
            assert all(np.isfinite(to_numpy(g)).all() for g in grads)


def test_derivatives():
    """Second ones too, of everything that has one."""

    def f(x):
        q, k, v = x[:24].reshape(1, 4, 3, 2), x[24:40].reshape(1, 2, 4, 2), x[40:64]
        return sdpa(
            q,
            k,
            v.reshape(1, 2, 4, 3),
            scale=0.5,
            mask=x[64:76].reshape(3, 4),
            sinks=x[76:80],
        )

    check_derivatives(f, values("float64", (80,)) + 0.2, 1e-5)
    check_derivatives(mx.grad(lambda x: (f(x) ** 2).sum()), values("float64", (80,)) + 0.2, 1e-4)


@pytest.mark.parametrize("kind", ["none", "mask", "sinks", "both"])
def test_vmap(kind):
    """Every choice of mapped inputs, of results and gradients."""
    size = 3
    one = [
        values("float32", s, i) for i, s in enumerate([(2, 4, 5, 8), (2, 2, 6, 8), (2, 2, 6, 4)])
    ]
    if kind in ("mask", "both"):
        one.append(values("float32", (4, 1, 6), 3))
    if kind in ("sinks", "both"):
        one.append(values("float32", (4,), 4))
    every = [np.stack([a + i for i in range(size)]) for a in one]

    def f(q, k, v, *rest):
        mask = rest[0] if kind in ("mask", "both") else None
        sinks = rest[-1] if kind in ("sinks", "both") else None
        return sdpa(q, k, v, scale=0.3125, mask=mask, sinks=sinks)

    def all_of(*arguments):
        result = f(*arguments)
        return result, *mx.vjp(f, arguments, [mx.cos(result)])[1]

    for mapped in itertools.product((False, True), repeat=len(one)):
        if not any(mapped):
            continue
        arguments = [mx.array(every[i] if m else one[i]) for i, m in enumerate(mapped)]
        got = mx.vmap(all_of, in_axes=[0 if m else None for m in mapped])(*arguments)
        for i in range(size):
            want = all_of(*[a[i] if m else a for a, m in zip(arguments, mapped, strict=True)])
            for g, w in zip(got, want, strict=True):
                np.testing.assert_allclose(to_numpy(g[i]), to_numpy(w), rtol=2e-5, atol=2e-5)


def test_vmap_of_inner_axes_and_masks():
    q, k, v = (mx.array(values("float32", (2, 2, 5, 8), i)) for i in range(3))
    stacked = mx.stack([q, 2 * q, 3 * q], axis=2)
    for shape in ((3, 5, 5), (3, 2, 1, 1, 5), (3, 1, 2, 5, 5)):
        mask = mx.array(values("bool_", shape)) | (mx.arange(5) == 0)
        got = mx.vmap(
            lambda q, mask: sdpa(q, k, v, scale=0.3125, mask=mask), in_axes=(2, 0), out_axes=1
        )(stacked, mask)
        for i in range(3):
            want = sdpa((i + 1) * q, k, v, scale=0.3125, mask=mask[i])
            assert_close(got[:, i], to_numpy(want), "float32", 16)
    empty = mx.vmap(lambda q: sdpa(q, k, v, scale=1.0))(mx.zeros((0, 2, 2, 5, 8)))
    assert empty.shape == (0, 2, 2, 5, 8)


THREADS = """
import hashlib, sys
import mlx.core as mx

def of(queries, keys, heads, shared, mask, dtype):
    q, k, v = (
        mx.random.normal(s, dtype=dtype, key=mx.random.key(i))
        for i, s in enumerate([(1, heads, queries, 32), (1, shared, keys, 32), (1, shared, keys, 32)])
    )
    f = lambda *a: mx.fast.scaled_dot_product_attention(*a, scale=0.2, mask=mask)
    out = f(q, k, v)
    return [out, *mx.vjp(f, [q, k, v], [mx.sin(out)])[1]]

digest = hashlib.sha256()
for case in ((300, 1100, 2, 1, None), (1300, 1300, 3, 3, "causal"), (1, 5000, 8, 2, None)):
    for dtype in (mx.float32, mx.bfloat16):
        for a in of(*case, dtype):
            digest.update(memoryview(a.astype(mx.float32)).tobytes())
print(digest.hexdigest())
"""


def test_bits_do_not_depend_on_threads():
    digests = set()
    for threads in ("1", "2", "5"):
        environment = os.environ | {"MLX_NUM_THREADS": threads}
        run = subprocess.run(
            [sys.executable, "-c", THREADS], env=environment, capture_output=True, text=True
        )
        assert run.returncode == 0, run.stderr
        digests.add(run.stdout)
    assert len(digests) == 1


@pytest.mark.parametrize("name", ["bfloat16", "float32"])
def test_long_gradients(name):
    """Stretches of keys whose parts are added, with large shares that nobody or that few see."""
    arrays = operands(name, 1, 2, 1, 600, 2300, 16, 16)
    given = [to_mlx(a, name) for a in arrays]
    near = np.abs(np.arange(600)[:, None] * 3 - np.arange(2300)) < 50
    near[100:103] = False
    for mask in (None, "causal", np.arange(2300) < 700, near, near.astype("float32")):
        check(name, arrays, given, 0.25, mask)


@pytest.mark.parametrize("isa, dots", [("v2", "0"), ("v3", "0"), ("v4", "0"), ("v4", "1")])
def test_instruction_sets(isa, dots):
    """Kernels that this machine would not choose, and bf16 by dot products if there are any."""
    run_with_isa(
        isa,
        "test_attention_backward",
        """
        for name in ("float16", "bfloat16", "float32"):
            for sizes in t.SIZES[1:5]:
                t.test_gradients(name, sizes)
            t.test_gradients_of_rows_that_see_nothing(name)
        """,
        MLX_CPU_AMX="0",
        MLX_CPU_BF16_DOT=dots,
    )


@pytest.mark.parametrize(
    "mask, heads, lengths",
    [(None, (4, 4), (512, 512)), ("causal", (4, 4), (512, 512)), ("causal", (4, 2), (300, 900))],
)
def test_large_attentions_of_half_types(mask, heads, lengths):
    """Sizes that a library may take over, in layouts that it is given as they lie."""
    (h, k), (queries, keys) = heads, lengths
    arrays = [
        mx.swapaxes(to_mlx(values("bfloat16", (16, n, few, 64), i), "bfloat16"), 1, 2)
        for i, (n, few) in enumerate([(queries, h), (keys, k), (keys, k), (queries, h)])
    ]

    def all_of(*arrays):
        def f(*a):
            return sdpa(*a, scale=0.125, mask=mask)

        outputs, grads = mx.vjp(f, arrays[:3], arrays[3:])
        return [*outputs, *grads]

    wide = all_of(*(a.astype(mx.float32) for a in arrays))
    for got, want in zip(all_of(*arrays), wide, strict=True):
        assert got.dtype == mx.bfloat16
        error = mx.linalg.norm((got.astype(mx.float32) - want).flatten())
        assert error.item() < 0.01 * mx.linalg.norm(want.flatten()).item()
