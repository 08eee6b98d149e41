"""Attention against NumPy, through every layout, mask and transform."""

import mlx.core as mx
import numpy as np
import pytest
from children import run_with_isa
from oracle import assert_close, check_derivatives, to_mlx, to_numpy, values

fast = mx.fast
HALF_FLOATS = ["float16", "bfloat16", "float32"]


def attention(q, k, v, scale, mask=None, sinks=None):
    q, k, v = (t.astype("float64") for t in (q, k, v))
    repeats = q.shape[1] // k.shape[1]
    k, v = np.repeat(k, repeats, 1), np.repeat(v, repeats, 1)
    scores = scale * q @ k.swapaxes(-1, -2)
    if mask is not None:
        scores = np.where(mask, scores, -1e30) if mask.dtype == bool else scores + mask
    if sinks is not None:
        column = np.broadcast_to(sinks[:, None, None], (*scores.shape[:-1], 1))
        scores = np.concatenate([scores, column], -1)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    weights = e / e.sum(-1, keepdims=True)
    return weights[..., : k.shape[2]] @ v


@pytest.mark.parametrize("name", HALF_FLOATS)
@pytest.mark.parametrize("heads", [(2, 2), (4, 2), (4, 1)])
@pytest.mark.parametrize("lengths", [(5, 5), (1, 7), (3, 9)])
def test_attention(name, heads, lengths):
    q = values(name, (2, heads[0], lengths[0], 8))
    k, v = (
        values(name, (2, heads[1], lengths[1], 8), 1),
        values(name, (2, heads[1], lengths[1], 6), 2),
    )
    aq, ak, av = (to_mlx(t, name) for t in (q, k, v))
    causal = np.arange(lengths[1]) <= np.arange(lengths[1] - lengths[0], lengths[1])[:, None]
    boolean = values("bool_", (2, heads[0], *lengths)) | causal[None, None]
    additive = values(name, lengths, 3)
    for mask, given in (
        (None, None),
        (causal, "causal"),
        (causal, mx.array(causal)),
        (boolean, mx.array(boolean)),
        (boolean[:, :1], mx.array(boolean[:, :1])),
        (additive, to_mlx(additive, name)),
    ):
        got = fast.scaled_dot_product_attention(aq, ak, av, scale=0.3, mask=given)
        assert got.dtype == aq.dtype
        assert_close(got, attention(q, k, v, 0.3, mask), name, 8)
    sinks = values(name, (heads[0],), 4)
    got = fast.scaled_dot_product_attention(aq, ak, av, scale=0.3, sinks=to_mlx(sinks, name))
    assert_close(got, attention(q, k, v, 0.3, None, sinks), name, 8)


@pytest.mark.parametrize("name", HALF_FLOATS)
@pytest.mark.parametrize("shape", [(300, 300), (260, 700), (1, 3000), (7, 20000), (150, 40)])
def test_attention_in_blocks(name, shape):
    """Several blocks of queries, heads that share keys, and arrays that are not contiguous."""
    queries, keys = shape
    q = values(name, (1, queries, 4, 16))
    k, v = values(name, (1, keys, 2, 16), 1), values(name, (1, keys, 2, 8), 2)
    arrays = [mx.swapaxes(to_mlx(t, name), 1, 2) for t in (q, k, v)]
    q, k, v = (t.swapaxes(1, 2) for t in (q, k, v))
    causal = np.arange(keys) <= np.arange(keys - queries, keys)[:, None]
    causal[~causal.any(1)] = True  # who sees no key takes the mean: equal scores
    for mask, given in ((None, None), (causal, "causal"), (causal, mx.array(causal))):
        got = fast.scaled_dot_product_attention(*arrays, scale=0.25, mask=given)
        want = attention(q, k, v, 0.25, mask)
        rows = slice(max(0, queries - keys) if given is not None else 0, None)
        assert_close(got[:, :, rows], want[:, :, rows], name, 8)
    blind = fast.scaled_dot_product_attention(*arrays, scale=0.25, mask="causal")
    if queries > keys:
        mean = np.repeat(v.astype("float64").mean(2), 2, 1)
        assert_close(blind[:, :, 0], mean, name, 8)
    assert fast.scaled_dot_product_attention(*[a[:, :, :0] for a in arrays], scale=1.0).shape == (
        1,
        4,
        0,
        8,
    )
    empty = fast.scaled_dot_product_attention(
        arrays[0], *[a[:, :, :0] for a in arrays[1:]], scale=1.0
    )
    assert not to_numpy(empty).any()


def test_attention_of_masked_rows_and_errors():
    def call(q=(1, 2, 3, 4), k=(1, 2, 5, 4), v=(1, 2, 5, 4), dtype=mx.float32, **options):
        arrays = [mx.zeros(s, dtype=dtype) for s in (q, k, v)]
        return fast.scaled_dot_product_attention(*arrays, scale=1.0, **options)

    eye = mx.eye(4)[None, None]
    blind = fast.scaled_dot_product_attention(
        mx.zeros((1, 1, 2, 4)),
        mx.zeros((1, 1, 4, 4)),
        eye,
        scale=1.0,
        mask=mx.zeros((2, 4), dtype=mx.bool_),
    )
    np.testing.assert_allclose(to_numpy(blind), 0.25)
    for bad in (
        {"q": (2, 3, 4)},
        {"q": (1, 3, 3, 4)},
        {"k": (1, 2, 5, 6)},
        {"v": (1, 1, 5, 4)},
        {"v": (1, 2, 6, 4)},
        {"q": (2, 2, 3, 4)},
        {"dtype": mx.int32},
        {"mask": "foo"},
        {"mask": mx.zeros((4, 5))},
        {"mask": mx.zeros((3, 5)), "dtype": mx.float16},
        {"sinks": mx.zeros((3,))},
    ):
        with pytest.raises(ValueError):
            call(**bad)


def test_attention_derivatives():
    def f(x):
        q, k, v = x[:24].reshape(1, 4, 3, 2), x[24:40].reshape(1, 2, 4, 2), x[40:]
        v = v.reshape(1, 2, 4, 3)
        return fast.scaled_dot_product_attention(q, k, v, scale=0.5, mask="causal")

    check_derivatives(f, values("float64", (64,)) + 0.2, 1e-5)


def test_attention_through_transforms():
    q, k, v = (mx.array(values("float32", (2, 4, 5, 8), i)) for i in range(3))

    def f(q):
        return fast.scaled_dot_product_attention(q, k, v, scale=0.3, mask="causal")

    want = to_numpy(f(q))
    assert_close(mx.compile(f)(q), want, "float32", 4)
    assert_close(mx.vjp(f, [q], [q])[0][0], want, "float32", 4)
    batched = mx.vmap(
        lambda q, k, v: fast.scaled_dot_product_attention(q, k, v, scale=0.3, mask="causal")
    )
    got = batched(*(mx.stack([t, t + 1]) for t in (q, k, v)))
    assert_close(got[0], want, "float32", 4)


def check_masks(name, arrays, given, scale):
    """Without a mask, causal, and with masks of every shape that broadcasts."""
    q, k, v = arrays
    batch, heads, queries, keys = *q.shape[:3], k.shape[2]
    causal = np.arange(keys) <= np.arange(keys - queries, keys)[:, None]
    full = values("bool_", (batch, heads, queries, keys)) | (np.arange(keys) == 0)
    cases = [(None, None), (full, mx.array(full))]
    if queries <= keys:
        cases.append((causal, "causal"))
    cases.append((full[:1, :, :1], mx.array(full[:1, :, :1])))
    cases.append((full[0, 0].T.copy().T, mx.array(full[0, 0].T.copy()).T))
    bias = values(name, (heads, 1, keys), 3)
    cases.append((bias, to_mlx(bias, name)))
    for mask, passed in cases:
        got = fast.scaled_dot_product_attention(*given, scale=scale, mask=passed)
        assert got.dtype == given[0].dtype
        assert_close(got, attention(q, k, v, scale, mask), name, 8)


# Columns of keys and of values, queries and keys.
SIZES = [
    (64, 64, 65, 257),
    (64, 64, 1, 333),
    (128, 128, 129, 129),
    (128, 128, 5, 130),
    (40, 72, 130, 64),
    (7, 5, 33, 70),
    (192, 128, 65, 257),
    (256, 250, 20, 200),
    (256, 250, 3, 50),
    (1, 1, 2, 9),
    (8, 260, 7, 7),
]


@pytest.mark.parametrize("name", HALF_FLOATS)
@pytest.mark.parametrize("sizes", SIZES)
def test_attention_sizes(name, sizes):
    """Tails of rows, keys and columns; few and many queries; heads that share keys."""
    d, e, queries, keys = sizes
    for batch, heads, shared in ((1, 3, 3), (2, 6, 2)):
        q = values(name, (batch, heads, queries, d))
        k, v = values(name, (batch, shared, keys, d), 1), values(name, (batch, shared, keys, e), 2)
        check_masks(name, [q, k, v], [to_mlx(a, name) for a in (q, k, v)], d**-0.5)


@pytest.mark.parametrize("name", HALF_FLOATS)
@pytest.mark.parametrize("queries", [2, 70])
def test_attention_layouts(name, queries):
    """Arrays that are views: heads behind positions, slices, reversed, broadcast, columns first."""
    makers = {
        "heads last": lambda a, x: (a.swapaxes(1, 2), x.swapaxes(1, 2)),
        "slice": lambda a, x: (a[:, 1:, ::2, :8], x[:, 1:, ::2, :8]),
        "unaligned": lambda a, x: (a[:, :, :, 3:12], x[:, :, :, 3:12]),
        "reversed": lambda a, x: (a[:, ::-1, ::-1], x[:, ::-1, ::-1]),
        "reversed columns": lambda a, x: (a[..., ::-1], x[..., ::-1]),
        "columns": lambda a, x: (a.swapaxes(2, 3), x.swapaxes(2, 3)),
        "broadcast": lambda a, x: (
            mx.broadcast_to(a[:1, :1], a.shape),
            np.broadcast_to(x[:1, :1], x.shape),
        ),
    }
    for kind, make in makers.items():
        lengths = (queries, 90, 90)
        given, arrays = [], []
        for seed, length in enumerate(lengths):
            shape = {
                "heads last": (2, length, 4, 32),
                "slice": (2, 5, 2 * length, 40),
                "columns": (2, 4, 32, length),
            }.get(kind, (2, 4, length, 32))
            x = values(name, shape, seed)
            a, x = make(to_mlx(x, name), x)
            given.append(a)
            arrays.append(x)
        check_masks(name, arrays, given, 0.2)


@pytest.mark.parametrize("name", HALF_FLOATS)
@pytest.mark.parametrize("queries", [1, 3, 40])
def test_attention_long_keys(name, queries):
    """Keys that are split among blocks, whose parts then meet; some parts see nothing."""
    q = values(name, (1, 4, queries, 64))
    k, v = values(name, (1, 2, 1500, 64), 1), values(name, (1, 2, 1500, 64), 2)
    given = [to_mlx(a, name) for a in (q, k, v)]
    rng = np.random.default_rng(5)
    late = np.arange(1500) >= rng.integers(0, 1499, (queries, 1))
    early = np.arange(1500) < 40
    for mask in (None, late, early):
        passed = None if mask is None else mx.array(np.ascontiguousarray(mask))
        got = fast.scaled_dot_product_attention(*given, scale=0.125, mask=passed)
        assert_close(got, attention(q, k, v, 0.125, mask), name, 8)


def hiding_masks(rows, keys):
    """Masks that hide whole blocks of keys, from rows that see others and from rows that see none."""
    near = np.abs(np.arange(rows)[:, None] * keys // rows - np.arange(keys)) < 40
    near[rows // 3 : rows // 3 + 5] = False
    yield near
    yield np.stack([near, np.arange(keys) >= keys - 3 + 0 * near])[None]
    yield np.arange(rows)[:, None] % 70 < 35


@pytest.mark.parametrize("name", HALF_FLOATS)
@pytest.mark.parametrize("shape", [(300, 900), (70, 530)])
def test_attention_of_hidden_blocks(name, shape):
    rows, keys = shape
    q = values(name, (1, 2, rows, 32))
    k, v = values(name, (1, 1, keys, 32), 1), values(name, (1, 1, keys, 24), 2)
    given = [to_mlx(a, name) for a in (q, k, v)]
    sinks = values(name, (2,), 3)
    for mask in hiding_masks(rows, keys):
        passed = mx.array(np.ascontiguousarray(mask))
        got = fast.scaled_dot_product_attention(*given, scale=0.2, mask=passed)
        assert_close(
            got, attention(q, k, v, 0.2, np.broadcast_to(mask, (1, 2, rows, keys))), name, 8
        )
        got = fast.scaled_dot_product_attention(
            *given, scale=0.2, mask=passed, sinks=to_mlx(sinks, name)
        )
        assert_close(got, attention(q, k, v, 0.2, mask, sinks), name, 8)


@pytest.mark.parametrize("isa, dots", [("v2", "0"), ("v3", "0"), ("v4", "0"), ("v4", "1")])
def test_instruction_sets(isa, dots):
    """Kernels that this machine would not choose, and bf16 by dot products if there are any."""
    run_with_isa(
        isa,
        "test_attention",
        """
        for name in t.HALF_FLOATS:
            for sizes in ((64, 64, 65, 257), (40, 72, 130, 64), (7, 5, 33, 70)):
                t.test_attention_sizes(name, sizes)
            t.test_attention_of_hidden_blocks(name, (70, 530))
            t.test_attention_of_extreme_scores(name, 100)
        """,
        MLX_CPU_AMX="0",
        MLX_CPU_BF16_DOT=dots,
    )


@pytest.mark.parametrize("name", HALF_FLOATS)
@pytest.mark.parametrize("queries", [1, 100])
def test_attention_of_extreme_scores(name, queries):
    """Large scores, any sign of the scale, and additive masks that hide."""
    q = values(name, (1, 2, queries, 16)) * 8
    k, v = values(name, (1, 2, 200, 16), 1) * 8, values(name, (1, 2, 200, 16), 2)
    given = [to_mlx(a, name) for a in (q, k, v)]
    for scale in (1.0, -1.0, 0.0, 1e-3) if name == "float32" else (0.01, -0.01, 0.0):
        got = fast.scaled_dot_product_attention(*given, scale=scale)
        assert_close(got, attention(q, k, v, scale), name, 40)
        got = fast.scaled_dot_product_attention(*given, scale=scale, mask="causal")
        causal = np.arange(200) <= np.arange(200 - queries, 200)[:, None]
        assert_close(got, attention(q, k, v, scale, causal), name, 40)
    hidden = np.where(values("bool_", (queries, 200)), 0, -np.inf).astype("float32")
    hidden[:, 3] = 0
    lowest = np.maximum(hidden, float(mx.finfo(getattr(mx, name)).min))
    for mask in (hidden, lowest):
        passed = mx.array(mask).astype(getattr(mx, name))
        got = fast.scaled_dot_product_attention(*given, scale=1e-2, mask=passed)
        assert_close(got, attention(q, k, v, 1e-2, mask), name, 40)
    blind = mx.full((queries, 200), float("-inf"), dtype=getattr(mx, name))
    got = fast.scaled_dot_product_attention(*given, scale=1.0, mask=blind)
    assert np.isnan(to_numpy(got)).all()


def test_attention_of_empty_arrays():
    for q, k, e in (
        ((0, 2, 3, 4), (0, 1, 5, 4), 6),
        ((2, 0, 3, 4), (2, 1, 5, 4), 6),
        ((1, 2, 3, 0), (1, 2, 5, 0), 6),
        ((1, 2, 3, 4), (1, 2, 5, 4), 0),
        ((1, 2, 40, 0), (1, 2, 50, 0), 6),
    ):
        v = values("float32", (*k[:3], e))
        got = fast.scaled_dot_product_attention(mx.zeros(q), mx.zeros(k), mx.array(v), scale=1.0)
        assert got.shape == (*q[:3], e)
        if got.size:  # equal scores
            want = np.repeat(v.mean(2, keepdims=True), q[1] // k[1], 1)
            assert_close(got, np.broadcast_to(want, got.shape), "float32", 4)
