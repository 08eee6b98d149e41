"""Steps that run as one on a GPU. Where there are few rows: products of one activation, rotations
and updates of a cache; joined or apart, the bits are the same, and so is what fails. In training:
gradients of a layer's bias and weight, and those of a norm with what flows past it."""

import mlx.core as mx
import numpy as np
import pytest

pytestmark = pytest.mark.skipif(not mx.is_available(mx.gpu), reason="needs a GPU")

HALVES_AND_FLOAT = [mx.float32, mx.float16, mx.bfloat16]


@pytest.fixture(autouse=True)
def on_gpu():
    mx.set_default_device(mx.gpu)


def random(seed, *shape, dtype=mx.float32):
    data = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    x = mx.array(data).astype(dtype)
    mx.eval(x)
    return x


def bits(x):
    return np.array(x.view(mx.uint16 if x.itemsize == 2 else mx.uint32))


def groups(make):
    """The ops of each step of evaluating all that `make` returns, in their order."""
    with mx.profiler.trace() as steps:
        mx.eval(make())
    return [step["ops"] for step in steps]


def check_joined(make, ops):
    """Results that are evaluated together run in one step, with the bits of one after the other."""
    assert ops in groups(make), groups(make)
    together = make()
    mx.eval(together)
    for i, x in enumerate(together):
        alone = make()[i]
        mx.eval(alone)
        np.testing.assert_array_equal(bits(x), bits(alone))
    return together


@pytest.mark.parametrize("dtype", HALVES_AND_FLOAT)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 70])
@pytest.mark.parametrize(
    "widths, depth", [((256, 2048, 512), 2048), ((1, 5), 64), ((8, 3000), 200), ((31, 7, 1, 9), 8)]
)
def test_products_of_one_activation(dtype, rows, widths, depth):
    x = random(rows, 1, rows, depth, dtype=dtype)
    weights = [random(n, n, depth, dtype=dtype) for n in widths]
    products = check_joined(lambda: [x @ w.T for w in weights], ["Matmul"] * len(widths))
    for y, matrix in zip(products, weights, strict=True):
        want = np.array(x.astype(mx.float32)) @ np.array(matrix.astype(mx.float32)).T
        error = np.abs(np.array(y.astype(mx.float32)) - want).max() / np.abs(want).max()
        assert error < (1e-5 if dtype == mx.float32 else 2e-2)


@pytest.mark.parametrize("depth", [3, 30, 33])
def test_products_that_cannot_be_read_in_pieces(depth):
    x = random(1, 2, depth, dtype=mx.bfloat16)
    weights = [random(n, n, depth, dtype=mx.bfloat16) for n in (6, 7)]
    check_joined(lambda: [x @ w.T for w in weights], ["Matmul"] * 2)


def test_products_with_matrices_the_other_way_round_and_batches():
    x = random(1, 2, 1, 64)
    straight, turned, batch = random(2, 64, 32), random(3, 48, 64), random(4, 2, 64, 24)
    check_joined(lambda: [x @ straight, x @ turned.T, x @ batch], ["Matmul"] * 3)


@pytest.mark.parametrize("dtype", HALVES_AND_FLOAT)
@pytest.mark.parametrize("rows", [1, 4, 9])
def test_products_with_something_added(dtype, rows):
    x = random(1, rows, 128, dtype=dtype)
    weights = [random(n, n, 128, dtype=dtype) for n in (40, 300, 8)]
    added = [random(7, 40, dtype=dtype), random(8, rows, 300, dtype=dtype)]
    added.append(random(9, 8, dtype=dtype))
    check_joined(
        lambda: [mx.addmm(c, x, w.T) for c, w in zip(added, weights, strict=True)], ["AddMM"] * 3
    )
    scaled = [mx.addmm, lambda *args: mx.addmm(*args, alpha=2.0, beta=0.5)]
    check_joined(
        lambda: [f(c, x, w.T) for f, c, w in zip(scaled, added[:2], weights[:2], strict=True)],
        ["AddMM"] * 2,
    )


def test_more_products_than_one_step_takes():
    x = random(1, 1, 256)
    weights = [random(i, 16 + i, 256) for i in range(11)]
    together = [x @ w.T for w in weights]
    mx.eval(together)
    for y, w in zip(together, weights, strict=True):
        alone = x @ w.T
        np.testing.assert_array_equal(bits(y), bits(alone))


@pytest.mark.parametrize(
    "mode, bits_, group",
    [
        ("affine", 4, 64),
        ("affine", 4, 32),
        ("affine", 8, 128),
        ("affine", 3, 64),
        ("affine", 2, 16),
        ("mxfp4", 4, 32),
        ("mxfp8", 8, 32),
        ("nvfp4", 4, 16),
    ],
)
@pytest.mark.parametrize("dtype", HALVES_AND_FLOAT)
@pytest.mark.parametrize("rows", [1, 2, 5, 17, 90])
def test_quantised_products(mode, bits_, group, dtype, rows):
    depth = 512
    x = random(rows, 1, rows, depth, dtype=dtype)
    weights = [
        mx.quantize(random(n, n, depth, dtype=dtype), group, bits_, mode=mode)
        for n in (32, 256, 1000, 1)
    ]
    mx.eval(weights)

    def make():
        return [
            mx.quantized_matmul(x, *w, group_size=group, bits=bits_, mode=mode) for w in weights
        ]

    check_joined(make, ["QuantizedMatmul"] * 4)


def test_quantised_products_of_several_sorts():
    x = random(1, 1, 256, dtype=mx.bfloat16)
    w = random(2, 64, 256, dtype=mx.bfloat16)
    four, eight = mx.quantize(w, 64, 4), mx.quantize(w, 64, 8)
    turned = mx.quantize(random(3, 256, 64, dtype=mx.bfloat16), 64, 4)
    mx.eval(four, eight, turned)
    check_joined(
        lambda: [
            mx.quantized_matmul(x, *four, group_size=64, bits=4),
            mx.quantized_matmul(x, *eight, group_size=64, bits=8),
            mx.quantized_matmul(x, *turned, transpose=False, group_size=64, bits=4),
        ],
        ["QuantizedMatmul"] * 3,
    )


@pytest.mark.parametrize("dtype", HALVES_AND_FLOAT)
@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize("length", [1, 3])
@pytest.mark.parametrize("offset", [0, 5000, "array", "rows"])
def test_rotations(dtype, traditional, length, offset):
    q = random(1, 2, length, 8, 64, dtype=dtype)
    k = random(2, 2, length, 2, 64, dtype=dtype)
    if offset == "array":
        offset = mx.array(77) + mx.array([0])[0]
    elif offset == "rows":
        offset = mx.array([3, 900]) + 1
    mx.eval(offset)

    def make():
        # Made anew, so that rotations may take place where the products lie.
        heads = [mx.contiguous((x * 1).transpose(0, 2, 1, 3)) for x in (q, k)]
        return [
            mx.fast.rope(h, 64, traditional=traditional, base=1e4, scale=1.0, offset=offset)
            for h in heads
        ]

    check_joined(make, ["RoPE"] * 2)


def test_rotations_of_several_sorts():
    q, k = random(1, 1, 8, 1, 64), random(2, 1, 4, 1, 80)
    freqs = [mx.exp(mx.arange(float(n))) for n in (16, 24)]
    mx.eval(freqs)
    check_joined(
        lambda: [
            mx.fast.rope(q, 32, traditional=True, base=1e4, scale=1.0, offset=3),
            mx.fast.rope(k, 48, traditional=False, base=2e3, scale=0.5, offset=9),
        ],
        ["RoPE"] * 2,
    )
    check_joined(
        lambda: [
            mx.fast.rope(x, 2 * f.size, traditional=False, base=None, scale=1.0, offset=i, freqs=f)
            for i, (x, f) in enumerate(zip((q, k), freqs, strict=True))
        ],
        ["RoPE"] * 2,
    )


def test_rotations_of_one_array():
    x = random(1, 1, 4, 2, 32)
    y = x * 1

    def make():
        y = x * 1
        return [
            mx.fast.rope(y, 32, traditional=False, base=1e4, scale=1.0, offset=i) for i in (1, 2)
        ]

    mx.eval(y)
    check_joined(make, ["RoPE"] * 2)


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float32])
@pytest.mark.parametrize("heads, width", [((4, 4), (64, 64)), ((1, 1), (64, 64)), ((2, 3), (8, 5))])
@pytest.mark.parametrize("dynamic", [False, True])
def test_updates_of_a_cache(dtype, heads, width, dynamic):
    caches = [mx.zeros((1, h, 40, w), dtype) for h, w in zip(heads, width, strict=True)]
    want = [np.zeros((1, h, 40, w), np.float32) for h, w in zip(heads, width, strict=True)]
    position = mx.array(0) + mx.array([0])[0]
    mx.eval(caches, position)
    at = 0
    for step, length in enumerate([7, 1, 1, 3, 1]):
        new = [
            random(9 * step + i, 1, length, h, w, dtype=dtype)
            for i, (h, w) in enumerate(zip(heads, width, strict=True))
        ]

        def make(caches=caches, new=new, length=length, at=at, position=position):
            rows = [x.transpose(0, 2, 1, 3) for x in new]
            if dynamic:
                return [
                    mx.slice_update(c, r, position, axes=(2,))
                    for c, r in zip(caches, rows, strict=True)
                ]
            for c, r in zip(caches, rows, strict=True):
                c[..., at : at + length, :] = r
            return list(caches)

        with mx.profiler.trace() as steps:
            updated = make()
            mx.eval(updated)
        name = "DynamicSliceUpdate" if dynamic else "SliceUpdate"
        assert [name] * 2 in [s["ops"] for s in steps]
        caches = updated
        for w, x in zip(want, new, strict=True):
            w[:, :, at : at + length] = np.array(x.astype(mx.float32)).transpose(0, 2, 1, 3)
        for c, w in zip(caches, want, strict=True):
            np.testing.assert_array_equal(np.array(c.astype(mx.float32)), w)
        at += length
        position = position + length
        mx.eval(position)


def test_updates_that_add_and_updates_of_one_source():
    source = random(1, 6, 8)
    rows = [random(i, 2, 8) for i in (2, 3)]

    def make():
        return [mx.slice_update(source, r, mx.array([i]), axes=(0,)) for i, r in enumerate(rows)]

    check_joined(make, ["DynamicSliceUpdate"] * 2)
    check_joined(
        lambda: [source.at[1:3].add(rows[0]), source.at[2:4].add(rows[1])], ["SliceUpdate"] * 2
    )


@pytest.mark.parametrize("on_device", [False, True])
def test_a_bad_start_concerns_one_update_alone(on_device):
    zero = mx.array([0]) + mx.array([0]) if on_device else mx.array([0])
    bad = mx.array([5]) + mx.array([0]) if on_device else mx.array([5])
    mx.eval(zero, bad)
    a, b, row = mx.zeros((4, 8)), mx.zeros((4, 8)), random(1, 1, 8)
    mx.eval(a, b)
    wrong = mx.slice_update(a, row, bad, axes=(0,))
    right = mx.slice_update(b, row, zero, axes=(0,))
    mx.async_eval(wrong, right)
    np.testing.assert_array_equal(np.array(right)[0], np.array(row)[0])
    with pytest.raises(IndexError):
        mx.eval(wrong)


def test_a_failure_concerns_one_product_alone():
    table = mx.arange(12.0).reshape(4, 3)
    index = mx.array([9])
    x = random(1, 1, 3)
    with pytest.raises(IndexError):
        broken = mx.take(table, index + 0, axis=0)
        mx.eval(broken)
    whole = mx.take(table, mx.array([1, 2]), axis=0)
    mx.eval(whole)
    bad, good = x @ broken.T, x @ whole.T
    mx.async_eval(bad, good)
    np.testing.assert_allclose(np.array(good), np.array(x) @ np.array(whole).T, rtol=1e-5)
    with pytest.raises(IndexError):
        mx.eval(bad)


def test_what_needs_the_other_is_not_joined():
    x, w = random(1, 1, 64), random(2, 64, 64)

    def make():
        first = x @ w.T
        second = x @ (w * first).T
        return [first, second, mx.sum(first)]

    assert ["Matmul"] * 2 not in groups(make)
    first, second, total = make()
    mx.eval(first, second, total)
    alone = x @ w.T
    np.testing.assert_array_equal(bits(first), bits(alone))
    np.testing.assert_array_equal(bits(second), bits(x @ (w * alone).T))


def test_large_results_are_not_made_before_they_are_used():
    x, weights = random(1, 2048, 64), [random(i, 256, 64) for i in range(3)]
    assert all(ops.count("Matmul") <= 1 for ops in groups(lambda: [x @ w.T for w in weights]))


@pytest.mark.parametrize("dtype", HALVES_AND_FLOAT)
@pytest.mark.parametrize("keys", [300, 2000, 20000])
@pytest.mark.parametrize("heads", [(8, 1), (32, 4), (8, 8)])
@pytest.mark.parametrize("width", [(64, 64), (128, 128), (40, 24), (64, 90)])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_of_few_queries_to_split_keys(dtype, keys, heads, width, masked):
    q = random(1, 1, heads[0], 1, width[0], dtype=dtype)
    k = random(2, 1, heads[1], keys, width[0], dtype=dtype)
    v = random(3, 1, heads[1], keys, width[1], dtype=dtype)
    mask = mx.arange(keys)[None] < keys - 17 if masked else None

    def attend():
        return mx.fast.scaled_dot_product_attention(q, k, v, scale=0.2, mask=mask)

    results = [attend() for _ in range(5)]
    mx.eval(results)
    for again in results[1:]:
        np.testing.assert_array_equal(bits(results[0]), bits(again))
    wide = [np.array(x.astype(mx.float32)).astype(np.float64) for x in (q, k, v)]
    share = heads[0] // heads[1]
    scores = 0.2 * wide[0] @ np.repeat(wide[1], share, 1).swapaxes(-1, -2)
    if masked:
        scores[..., keys - 17 :] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    want = weights / weights.sum(-1, keepdims=True) @ np.repeat(wide[2], share, 1)
    bound = 3e-5 if dtype == mx.float32 else 1e-2
    assert np.abs(np.array(results[0].astype(mx.float32)) - want).max() < bound


# ------------------------------------------------------------------ training


def wide(x):
    return np.array(x.astype(mx.float32)).astype(np.float64)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize(
    "rows, depth, n", [((8, 128), 256, 512), ((3, 7), 24, 16), ((2048,), 768, 2304), ((5,), 9, 7)]
)
def test_gradients_of_bias_and_weight(dtype, turned, rows, depth, n):
    x, c = random(1, *rows, depth, dtype=dtype), random(2, *rows, n, dtype=dtype)
    w = random(3, n, depth, dtype=dtype) if turned else random(3, depth, n, dtype=dtype)
    b = random(4, n, dtype=dtype)

    def gradients():
        layer = lambda w, b: [mx.addmm(b, x, w.T if turned else w)]
        return mx.vjp(layer, [w, b], [c * 1])[1]  # views of what is there are no steps

    assert ["Matmul", "Sum"] in groups(gradients), groups(gradients)
    rows_of_x, rows_of_c = wide(x).reshape(-1, depth), wide(c).reshape(-1, n)
    want = rows_of_x.T @ rows_of_c
    for _ in range(3):  # measured, then chosen
        weight, bias = gradients()
        for got, exact, size in (
            (weight, want.T if turned else want, np.abs(rows_of_x).T @ np.abs(rows_of_c)),
            (bias, rows_of_c.sum(0), np.abs(rows_of_c).sum(0)),
        ):
            bound = 2.0 ** (-10 if dtype == mx.float16 else -7) * np.abs(exact)
            size = size.T if turned and size.ndim == 2 else size
            assert (np.abs(wide(got) - exact) <= bound + 1e-5 * size).all()


def test_other_reductions_of_an_operand():
    """What a product does not make stays a step of its own."""
    x, c = random(1, 64, 48, dtype=mx.bfloat16), random(2, 64, 32, dtype=mx.bfloat16)
    for reduce in (
        lambda a: a.max(0),
        lambda a: a.sum(1),
        lambda a: a.sum(),
        lambda a: mx.mean(a, 0),
        lambda a: a.sum(0, keepdims=True),
        lambda a: a[::2].sum(0),
    ):
        y = c * 2
        product, reduced = x.T @ y, reduce(y)
        mx.eval(product, reduced)
        alone = c * 2
        mx.eval(alone)
        error = np.abs(wide(reduced) - wide(reduce(alone))).max()
        assert error <= 2.0**-7 * np.abs(wide(reduced)).max()
        want = wide(x).T @ wide(alone)
        assert np.abs(wide(product) - want).max() <= 2.0**-7 * np.abs(want).max()


@pytest.mark.parametrize("dtype", HALVES_AND_FLOAT)
def test_gradients_of_a_norm_and_what_flows_past(dtype):
    x, c = random(1, 4, 128, 768, dtype=dtype), random(2, 4, 128, 768, dtype=dtype)
    w, b = random(3, 768, dtype=dtype), random(4, 768, dtype=dtype)
    block = lambda x, w, b: [x + mx.fast.layer_norm(x, w, b, 1e-5)]
    make = lambda: mx.vjp(block, [x, w, b], [c])[1]
    assert ["LayerNormBackward", "Add"] in groups(make), groups(make)
    alone = mx.vjp(lambda *p: [mx.fast.layer_norm(*p, 1e-5)], [x, w, b], [c])[1]
    mx.eval(alone)
    for got, want in zip(make(), [c + alone[0], *alone[1:]], strict=True):
        np.testing.assert_array_equal(bits(got), bits(want))
