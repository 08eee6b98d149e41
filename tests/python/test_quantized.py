"""Quantisation bit for bit, and products with quantised matrices against NumPy in double."""

import mlx.core as mx
import numpy as np
import pytest
import quantized_oracle as oracle
from quantized_oracle import FORMATS, name_of

FLOATS = [mx.float32, mx.float16, mx.bfloat16]
EPS = {mx.float32: 2.0**-22, mx.float16: 2.0**-10, mx.bfloat16: 2.0**-7}
# One format of each kind: those that take all paths between them.
KINDS = [
    {"mode": "affine", "bits": 4, "group_size": 64},
    {"mode": "affine", "bits": 3, "group_size": 32},
    {"mode": "mxfp4", "bits": 4, "group_size": 32},
    {"mode": "mxfp8", "bits": 8, "group_size": 32},
    {"mode": "nvfp4", "bits": 4, "group_size": 16},
]
FLOAT_KINDS = KINDS[2:]
each_format = pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
each_kind = pytest.mark.parametrize("fmt", KINDS, ids=name_of)
each_float_kind = pytest.mark.parametrize("fmt", FLOAT_KINDS, ids=name_of)
each_dtype = pytest.mark.parametrize("dtype", FLOATS, ids=lambda t: str(t).split(".")[-1])


def random(*shape, dtype=mx.float32):
    return mx.array(np.random.standard_normal(shape)).astype(dtype)


def wide(a):
    return np.array(a.astype(mx.float64))


def transposed(a):
    return np.swapaxes(a, -1, -2)


def rows_of_all_kinds(k):
    """Rows of different sizes and signs, zeros, constants, ties, and values that codes meet."""
    w = np.random.standard_normal((24, k)) * np.exp2(np.random.randint(-12, 6, (24, 1)))
    w[0], w[1], w[2], w[3], w[4], w[5] = 0, 1.5, -3, np.abs(w[3]), -np.abs(w[4]), -0.0
    w[6], w[7], w[8, ::2] = 0, w[7] * 1e-7, 0
    w[6, 0] = 1e-7
    w[9] = np.round(w[9] * 4) / 4
    w[10] = np.clip(np.round(np.random.standard_normal(k) * 8) / 4, -6, 6)
    w[10, ::16] = 6
    w[11] = w[10] * 2.0**-5
    w[12] *= 1e30
    return w


def same_bits(actual, expected):
    a, b = oracle.single(actual), expected
    return a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


@each_dtype
@each_format
def test_codes_scales_and_biases(fmt, dtype):
    w = mx.array(rows_of_all_kinds(256)).astype(dtype)
    if dtype == mx.float16:
        w = w[:12]  # the next row is infinite
    actual, expected = mx.quantize(w, **fmt), oracle.quantize(w, **fmt)
    assert len(actual) == len(expected) == (3 if fmt["mode"] == "affine" else 2)
    assert all(same_bits(a, b) for a, b in zip(actual, expected, strict=True))
    for out in (None, *FLOATS):
        values = mx.dequantize(*actual, **fmt, dtype=out)
        default = dtype if fmt["mode"] == "affine" else mx.bfloat16
        assert values.dtype == (out or default)
        assert same_bits(values, oracle.rounded(oracle.dequantize(actual, **fmt), values.dtype))


@each_dtype
def test_global_scale(dtype):
    w = random(9, 64, dtype=dtype)
    largest = mx.abs(w).max().astype(mx.float32)
    actual = mx.quantize(w, mode="nvfp4", global_scale=largest)
    scale = np.float32(largest.item())
    fmt = {"mode": "nvfp4", "bits": 4, "group_size": 16, "global_scale": scale}
    assert all(same_bits(a, b) for a, b in zip(actual, oracle.quantize(w, **fmt), strict=True))
    values = mx.dequantize(*actual, mode="nvfp4", global_scale=largest)
    assert values.dtype == mx.float32
    assert same_bits(values, oracle.dequantize(actual, **fmt))
    assert np.allclose(wide(values), wide(w), atol=0.2 * scale, rtol=0.2)


def test_global_scales_of_a_batch():
    w, scales = random(3, 8, 64), mx.array([2.0, 5.0, 0.5])
    packed, groups = mx.quantize(w, mode="nvfp4", global_scale=scales)
    values = mx.dequantize(packed, groups, mode="nvfp4", global_scale=scales)
    for i in range(3):
        alone = mx.quantize(w[i], mode="nvfp4", global_scale=scales[i])
        assert mx.array_equal(alone[0], packed[i]) and mx.array_equal(alone[1], groups[i])
        alone = mx.dequantize(*alone, mode="nvfp4", global_scale=scales[i])
        assert mx.array_equal(alone, values[i])


# Whole numbers from -16 to 15 as they stand in files that other programs write.
KNOWN_WORDS = [
    ("affine", 8, [0x19100800, 0x3A322921, 0x5B524A42, 0x7C746B63, 0x9D948C84], 4 / 33),
    ("affine", 3, [0x92489200, 0xDB2491B6, 0xFFFFB6DA], 4),
    ("mxfp4", 4, [0xCCDDDDEE, 0x99AABBC, 0x33221100, 0x65555444], 129),
    ("mxfp8", 8, [0xF5F6F7F8, 0xF1F2F3F4, 0xEAECEEF0, 0xD8E0E4E8, 0x64605800], 123),
]


@pytest.mark.parametrize("mode, bits, words, scale", KNOWN_WORDS)
def test_packed_words_are_those_of_files(mode, bits, words, scale):
    w = (mx.arange(32).reshape(1, 32) - 16).astype(mx.float32)
    packed, scales, *biases = mx.quantize(w, group_size=32, bits=bits, mode=mode)
    assert packed.tolist()[0][: len(words)] == words
    assert np.isclose(scales.item(), scale)
    assert [b.item() for b in biases] == [-16] * (mode == "affine")


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@each_float_kind
def test_what_is_not_finite_stays_so(fmt, value):
    w = np.random.standard_normal((2, 64)).astype("f4")
    w[0, 3] = value
    q = mx.quantize(mx.array(w), **fmt)
    values = wide(mx.dequantize(*q, **fmt))
    assert np.isnan(values[0, : fmt["group_size"]]).all()
    assert np.isfinite(values[0, fmt["group_size"] :]).all() and np.isfinite(values[1]).all()


# ------------------------------------------------------------------ products


def bound(x, w, dtype):
    """The stated error: of rounding the matrix and the result to the dtype, and of the sum."""
    k = x.shape[-1]
    return (EPS[dtype] + k * 2.0**-23) * np.matmul(np.abs(x), np.abs(w)) + 1e-30


def spread(q, fmt, values):
    """Magnitudes that rounding the values of a matrix is relative to."""
    if fmt["mode"] != "affine":
        return np.abs(values)
    biases = np.repeat(np.abs(wide(q[2])), fmt["group_size"], -1)
    return np.abs(values) + 2 * biases


def assert_product(y, x, q, fmt, transpose, values=None):
    exact = [a.astype(mx.float32) if a.dtype != mx.uint32 and len(q) == 3 else a for a in q]
    w = wide(mx.dequantize(*exact, **fmt, dtype=mx.float32)) if values is None else values
    size = spread(q, fmt, w)
    w, size = (transposed(w), transposed(size)) if transpose else (w, size)
    expected = np.matmul(wide(x), w)
    assert y.shape == expected.shape and y.dtype == x.dtype
    assert np.all(np.abs(wide(y) - expected) <= bound(wide(x), size, x.dtype))


@each_dtype
@each_format
@pytest.mark.parametrize("transpose", [True, False], ids=["wT", "w"])
def test_product(fmt, dtype, transpose):
    q = mx.quantize(random(64, 256, dtype=dtype), **fmt)
    for m in (1, 3, 17):
        x = random(m, 256 if transpose else 64, dtype=dtype)
        y = mx.quantized_matmul(x, *q, transpose=transpose, **fmt)
        assert_product(y, x, q, fmt, transpose)


@each_dtype
@each_kind
@pytest.mark.parametrize("n, k", [(40, 512), (17, 1280), (35, 5632), (16, 640)])
def test_single_rows(fmt, dtype, n, k):
    """As in decoding, with rows of codes that consist of whole units and others."""
    q = mx.quantize(random(n, k, dtype=dtype), **fmt)
    for x in (random(1, k, dtype=dtype), random(3, 1, k, dtype=dtype)):
        assert_product(mx.quantized_matmul(x, *q, **fmt), x, q, fmt, True)
    several = [mx.stack([a, a[::-1]]) for a in q]
    x = random(2, 1, k, dtype=dtype)
    assert_product(mx.quantized_matmul(x, *several, **fmt), x, several, fmt, True)


@each_kind
@pytest.mark.parametrize("m, n, k", [(1, 1, 64), (2, 7, 192), (9, 33, 128), (130, 65, 320)])
def test_odd_sizes(fmt, m, n, k):
    q = mx.quantize(random(n, k), **fmt)
    x = random(m, k)
    assert_product(mx.quantized_matmul(x, *q, **fmt), x, q, fmt, True)
    x = random(m, n)
    assert_product(mx.quantized_matmul(x, *q, transpose=False, **fmt), x, q, fmt, False)


@pytest.mark.parametrize("bits", [4, 8])
def test_groups_that_fill_no_vector(bits):
    """What an earlier product left behind the last group is not taken for part of it."""
    fmt = {"mode": "affine", "bits": bits, "group_size": 64}
    unknown = mx.full((1, 1024), mx.nan, dtype=mx.bfloat16)
    q = mx.quantize(random(8, 1024, dtype=mx.bfloat16), **fmt)
    assert np.isnan(wide(mx.quantized_matmul(unknown, *q, **fmt))).all()
    q = mx.quantize(random(8, 320, dtype=mx.bfloat16), **fmt)
    x = random(1, 320, dtype=mx.bfloat16)
    assert_product(mx.quantized_matmul(x, *q, **fmt), x, q, fmt, True)


@each_kind
def test_batches_broadcast(fmt):
    q = mx.quantize(random(5, 32, 128), **fmt)
    for shape in ((5, 3, 128), (2, 5, 3, 128), (2, 1, 3, 128), (3, 128), (1, 1, 1, 128)):
        x = random(*shape)
        assert_product(mx.quantized_matmul(x, *q, **fmt), x, q, fmt, True)
    vector = random(128)
    y = mx.quantized_matmul(vector, *(a[0] for a in q), **fmt)
    assert y.shape == (32,)
    rows = mx.quantized_matmul(vector[None], *(a[0] for a in q), **fmt)[0]
    assert np.allclose(y, rows, atol=1e-5)


@each_kind
def test_layouts(fmt):
    """Slices, steps and transposes of all operands."""
    q = mx.quantize(random(4, 40, 128), **fmt)
    x = random(128, 6).T[::2]
    part = [a[1:3, 3:36:4] for a in q]
    assert_product(mx.quantized_matmul(x, *part, **fmt), x, part, fmt, True)
    swapped = [a.swapaxes(0, 1) for a in q]
    assert_product(mx.quantized_matmul(x, *swapped, **fmt), x, swapped, fmt, True)


def test_empty():
    q = mx.quantize(mx.zeros((0, 64)))
    assert q[0].shape == (0, 8) and mx.dequantize(*q).shape == (0, 64)
    assert mx.quantized_matmul(mx.ones((3, 64)), *q).shape == (3, 0)
    assert mx.quantized_matmul(mx.ones((0, 64)), *mx.quantize(mx.ones((5, 64)))).shape == (0, 5)
    assert mx.array_equal(
        mx.quantized_matmul(mx.ones((3, 0)), *q, transpose=False), mx.zeros((3, 64))
    )


def test_dtypes_promote():
    q = mx.quantize(random(32, 64, dtype=mx.bfloat16))
    for dtype, result in [(mx.float32, mx.float32), (mx.float16, mx.float32), (mx.int32, None)]:
        x = random(2, 64).astype(dtype)
        assert mx.quantized_matmul(x, *q).dtype == (result or mx.bfloat16)


@each_kind
@pytest.mark.parametrize("transpose", [True, False], ids=["wT", "w"])
def test_gathered_product(fmt, transpose):
    q = mx.quantize(random(6, 32, 128), **fmt)
    x = random(4, 3, 128 if transpose else 32)
    w = wide(mx.dequantize(*q, **fmt, dtype=mx.float32))
    lhs, rhs = np.array([[0, 3], [1, -4]]), np.array([[5, 0], [-1, 2]])
    y = (
        mx.gather_qmm(x, *q, mx.array(lhs), mx.array(rhs), transpose, **fmt)
        if len(q) == 3
        else (mx.gather_qmm(x, *q, None, mx.array(lhs), mx.array(rhs), transpose, **fmt))
    )
    values = w[rhs]
    expected = np.matmul(wide(x)[lhs], transposed(values) if transpose else values)
    assert y.shape == expected.shape and np.allclose(y, expected, atol=1e-4, rtol=1e-4)
    # Sorted experts, many rows each, as of a mixture.
    rhs = np.sort(np.random.randint(0, 6, 50))
    rows = random(50, 1, x.shape[-1])
    y = mx.gather_qmm(
        rows, *q, rhs_indices=mx.array(rhs), transpose=transpose, sorted_indices=True, **fmt
    )
    expected = np.matmul(wide(rows), transposed(w[rhs]) if transpose else w[rhs])
    assert np.allclose(y, expected, atol=1e-4, rtol=1e-4)


def test_gathered_product_with_global_scales():
    scales = mx.array([1.0, 3.0, 0.25])
    w = random(3, 16, 64)
    q = mx.quantize(w, mode="nvfp4", global_scale=scales)
    values = wide(mx.dequantize(*q, mode="nvfp4", global_scale=scales))
    x, picked = random(4, 1, 64), mx.array([2, 0, 1, 2])
    y = mx.gather_qmm(x, *q, rhs_indices=picked, mode="nvfp4", global_scale=scales)
    expected = np.matmul(wide(x), transposed(values[np.array(picked)]))
    assert np.allclose(y, expected, atol=1e-4, rtol=1e-4)


def test_indices_out_of_range():
    q = mx.quantize(random(3, 16, 64))
    with pytest.raises(IndexError):
        mx.eval(mx.gather_qmm(random(2, 1, 64), *q, rhs_indices=mx.array([0, 3])))


# ------------------------------------------------------------------ both operands


def round_trip(a, fmt, **scale):
    return mx.dequantize(*mx.quantize(a, **fmt, **scale), **fmt, **scale, dtype=mx.float32)


@each_dtype
@each_float_kind
def test_product_of_both(fmt, dtype):
    x, w = random(2, 5, 128, dtype=dtype), random(32, 128, dtype=dtype)
    q = mx.quantize(w, **fmt)
    expected = np.matmul(wide(round_trip(x, fmt)), transposed(wide(round_trip(w, fmt))))
    size = np.matmul(np.abs(wide(round_trip(x, fmt))), np.abs(wide(round_trip(w, fmt)).T))
    for y in (mx.qqmm(x, w, **fmt), mx.qqmm(x, *q, **fmt)):
        assert y.dtype == dtype
        assert np.all(np.abs(wide(y) - expected) <= (EPS[dtype] + 128 * 2.0**-23) * size)


@each_float_kind
def test_gathered_product_of_both(fmt):
    x, w = random(4, 3, 128), random(3, 32, 128)
    lhs, rhs = mx.array([3, 0, 1]), mx.array([2, 2, 0])
    picked = wide(round_trip(x, fmt))[np.array(lhs)], wide(round_trip(w, fmt))[np.array(rhs)]
    expected = np.matmul(picked[0], transposed(picked[1]))
    for weight in ([w], mx.quantize(w, **fmt)):
        y = mx.gather_qqmm(x, *weight, lhs_indices=lhs, rhs_indices=rhs, **fmt)
        assert np.allclose(y, expected, atol=1e-4, rtol=1e-4)


def test_product_of_both_with_global_scales():
    fmt = {"mode": "nvfp4"}
    x, w, gx, gw = random(3, 64), random(16, 64), mx.array(3.5), mx.array(4.0)
    a, b = round_trip(x, fmt, global_scale=gx), round_trip(w, fmt, global_scale=gw)
    expected = np.matmul(wide(a), wide(b).T)
    q = mx.quantize(w, mode="nvfp4", global_scale=gw)
    for weight in ([w], q):
        y = mx.qqmm(x, *weight, global_scale_x=gx, global_scale_w=gw)
        assert np.allclose(y, expected, atol=1e-4, rtol=1e-4)


# ------------------------------------------------------------------ transforms


@each_kind
@pytest.mark.parametrize("transpose", [True, False], ids=["wT", "w"])
def test_gradient_of_x(fmt, transpose):
    q = mx.quantize(random(5, 32, 128), **fmt)
    w = mx.dequantize(*q, **fmt, dtype=mx.float32)
    w = w.swapaxes(-1, -2) if transpose else w
    x = random(3, 1, 4, w.shape[-2])
    cotangent = random(3, 5, 4, w.shape[-1])
    f = lambda x: mx.quantized_matmul(x, *q, transpose=transpose, **fmt)
    (got,), (want,) = (mx.vjp(g, [x], [cotangent])[1] for g in (f, lambda x: x @ w))
    assert np.allclose(got, want, atol=1e-4, rtol=1e-4)
    (got,), (want,) = (mx.jvp(g, [x], [x])[1] for g in (f, lambda x: x @ w))
    assert np.allclose(got, want, atol=1e-4, rtol=1e-4)


def values_of(codes, scales, biases, group):
    """The values of a matrix as a function of scales and biases, by plain operations."""
    return codes * mx.repeat(scales, group, -1) + mx.repeat(biases, group, -1)


@pytest.mark.parametrize("fmt", KINDS[:2], ids=name_of)
@pytest.mark.parametrize("gathered", [False, True])
def test_gradients_of_scales_and_biases(fmt, gathered):
    packed, scales, biases = mx.quantize(random(3, 16, 64), **fmt)
    codes = mx.array(oracle.unpack(np.array(packed), fmt["bits"]).astype("f4"))
    picked = mx.array([2, 0, 2]) if gathered else mx.array([0, 1, 2])
    x, cotangent = random(3, 4, 64), random(3, 4, 16)

    def product(x, s, b):
        if gathered:
            return mx.gather_qmm(x, packed, s, b, rhs_indices=picked, **fmt)
        return mx.quantized_matmul(x, packed, s, b, **fmt)

    def plain(x, s, b):
        return x @ values_of(codes, s, b, fmt["group_size"])[picked].swapaxes(-1, -2)

    inputs = [x, scales, biases]
    for transform, direction in ((mx.vjp, [cotangent]), (mx.jvp, inputs[::-1])):
        if transform is mx.jvp:
            direction = [x + 1, scales * 2, biases - 1]
        pairs = zip(
            transform(lambda *a: [product(*a)], inputs, direction)[1],
            transform(lambda *a: [plain(*a)], inputs, direction)[1],
            strict=True,
        )
        for got, want in pairs:
            assert np.allclose(got, want, atol=1e-3, rtol=1e-3)


def test_gradient_through_dequantize():
    packed, scales, biases = mx.quantize(random(4, 64), bits=5)
    codes = mx.array(oracle.unpack(np.array(packed), 5).astype("f4"))
    f = lambda s, b: (mx.dequantize(packed, s, b, bits=5) ** 2).sum()
    g = lambda s, b: (values_of(codes, s, b, 64) ** 2).sum()
    got, want = (mx.grad(h, argnums=(0, 1))(scales, biases) for h in (f, g))
    assert all(np.allclose(a, b, rtol=1e-4, atol=1e-3) for a, b in zip(got, want, strict=True))


@each_float_kind
def test_gradients_pass_through_the_rounding_of_both(fmt):
    x, w, cotangent = random(5, 64), random(32, 64), random(5, 32)
    a, b = round_trip(x, fmt), round_trip(w, fmt)
    dx, dw = mx.vjp(lambda x, w: [mx.qqmm(x, w, **fmt)], [x, w], [cotangent])[1]
    assert np.allclose(dx, cotangent @ b, atol=1e-4)
    assert np.allclose(dw, cotangent.T @ a, atol=1e-4)
    (tangent,) = mx.jvp(lambda x, w: [mx.qqmm(x, w, **fmt)], [x, w], [w[:5], x[:1] + w])[1]
    assert np.allclose(tangent, w[:5] @ b.T + a @ (x[:1] + w).T, atol=1e-4)


@each_kind
@pytest.mark.parametrize("mapped", ["x", "w", "both"])
def test_vmap_of_the_product(fmt, mapped):
    q = mx.quantize(random(5, 16, 64) if mapped != "x" else random(16, 64), **fmt)
    x = random(3, 5, 64) if mapped != "w" else random(3, 64)
    axes = (1 if mapped != "w" else None, *(0 if mapped != "x" else None for _ in q))
    f = lambda x, *q: mx.quantized_matmul(x, *q, **fmt)
    y = mx.vmap(f, in_axes=axes)(x, *q)
    for i in range(5):
        own = f(x[:, i] if mapped != "w" else x, *((a[i] for a in q) if mapped != "x" else q))
        assert np.allclose(y[i], own, atol=1e-5)


@each_kind
@pytest.mark.parametrize("mapped", ["x", "w", "indices", "all"])
def test_vmap_of_the_gathered_product(fmt, mapped):
    many = lambda what: mapped in (what, "all")
    q = mx.quantize(random(2, 3, 16, 64) if many("w") else random(3, 16, 64), **fmt)
    x = random(2, 4, 1, 64) if many("x") else random(4, 1, 64)
    rhs = mx.array([[0, 1, 1, 2], [0, 0, 2, 2]]) if many("indices") else mx.array([0, 1, 1, 2])
    axis = lambda what: 0 if many(what) else None
    at = lambda what, a, i: a[i] if many(what) else a
    f = lambda x, r, *q: mx.gather_qmm(x, *q, rhs_indices=r, sorted_indices=True, **fmt)
    y = mx.vmap(f, in_axes=(axis("x"), axis("indices"), *(axis("w") for _ in q)))(x, rhs, *q)
    for i in range(2):
        own = f(at("x", x, i), at("indices", rhs, i), *(at("w", a, i) for a in q))
        assert np.allclose(y[i], own, atol=1e-5)


@each_kind
def test_vmap_of_quantize_and_dequantize(fmt):
    w = random(8, 3, 64)
    mapped = mx.vmap(lambda w: mx.quantize(w, **fmt), in_axes=1)(w)
    for i in range(3):
        alone = mx.quantize(w[:, i], **fmt)
        assert all(mx.array_equal(a[i], b) for a, b in zip(mapped, alone, strict=True))
    values = mx.vmap(lambda *q: mx.dequantize(*q, **fmt))(*mapped)
    assert mx.array_equal(values, mx.dequantize(*mapped, **fmt))
    one = mx.vmap(lambda s: mx.dequantize(mapped[0][0], s, *(a[0] for a in mapped[2:]), **fmt))(
        mapped[1]
    )
    assert mx.array_equal(one[0], values[0])


def test_vmap_of_global_scales():
    w, scales = random(8, 64), mx.array([1.0, 2.0, 4.0])
    f = lambda g: mx.dequantize(
        *mx.quantize(w, mode="nvfp4", global_scale=g), mode="nvfp4", global_scale=g
    )
    y = mx.vmap(f)(scales)
    assert all(mx.array_equal(y[i], f(scales[i])) for i in range(3))


def test_vmap_beside_global_scales_of_a_batch():
    """Scales that belong to matrices, where more axes come in front of the matrices alone."""
    scales = mx.array([1.0, 3.0, 0.25])
    w, x = random(2, 3, 16, 64), random(2, 4, 1, 64)
    settings = {"mode": "nvfp4", "global_scale": scales}
    q = mx.vmap(lambda w: mx.quantize(w, **settings))(w)
    values = mx.vmap(lambda *q: mx.dequantize(*q, **settings))(*q)
    rhs = mx.array([2, 0, 1, 2])
    y = mx.vmap(lambda x, *q: mx.gather_qmm(x, *q, rhs_indices=rhs, **settings))(x, *q)
    for i in range(2):
        alone = mx.quantize(w[i], **settings)
        assert all(mx.array_equal(a[i], b) for a, b in zip(q, alone, strict=True))
        assert mx.array_equal(values[i], mx.dequantize(*alone, **settings))
        own = mx.gather_qmm(x[i], *alone, rhs_indices=rhs, **settings)
        assert np.allclose(y[i], own, atol=1e-5)
    g = lambda x, s, *q: mx.gather_qmm(x, *q, rhs_indices=rhs, mode="nvfp4", global_scale=s)
    y = mx.vmap(g)(x, scales[:2], *q)
    assert all(np.allclose(y[i], g(x[i], scales[i], *(a[i] for a in q)), atol=1e-5) for i in (0, 1))


@each_float_kind
def test_vmap_of_products_of_both(fmt):
    x, w = random(3, 4, 64), random(3, 16, 64)
    f = lambda x, w: mx.qqmm(x, w, **fmt)
    y = mx.vmap(f)(x, w)
    assert all(np.allclose(y[i], f(x[i], w[i]), atol=1e-5) for i in range(3))
    r = mx.array([[0, 2], [1, 1], [2, 0]])
    g = lambda x, r: mx.gather_qqmm(x, w, lhs_indices=r, rhs_indices=r, **fmt)
    stack = mx.stack([x, x + 1, x - 1])
    y = mx.vmap(g)(stack, r)
    assert all(np.allclose(y[i], g(stack[i], r[i]), atol=1e-5) for i in range(3))


@each_kind
def test_compiled(fmt):
    q = mx.quantize(random(32, 64), **fmt)
    f = lambda x, *q: mx.quantized_matmul(mx.maximum(x, 0), *q, **fmt) + 1
    for m in (2, 5):
        x = random(m, 64)
        assert np.allclose(mx.compile(f)(x, *q), f(x, *q), atol=1e-6)
        assert np.allclose(mx.compile(f, shapeless=True)(x, *q), f(x, *q), atol=1e-6)


def test_second_derivative():
    q = [a.astype(mx.float32) for a in mx.quantize(random(8, 32), group_size=32)][1:]
    packed = mx.quantize(random(8, 32), group_size=32)[0]
    f = lambda s: (mx.quantized_matmul(mx.ones((2, 32)), packed, s, q[1], group_size=32) ** 3).sum()
    gradient = mx.grad(lambda s: (mx.grad(f)(s) ** 2).sum())(q[0])
    codes = mx.array(oracle.unpack(np.array(packed), 4).astype("f4"))
    g = lambda s: ((mx.ones((2, 32)) @ values_of(codes, s, q[1], 32).T) ** 3).sum()
    expected = mx.grad(lambda s: (mx.grad(g)(s) ** 2).sum())(q[0])
    assert np.allclose(gradient, expected, rtol=1e-3)


# ------------------------------------------------------------------ errors

W = mx.zeros((8, 64))
Q = mx.quantize(W)
X = mx.zeros((2, 64))
N = mx.quantize(W, mode="nvfp4")
MISTAKES = [
    (lambda: mx.quantize(mx.zeros((3, 100))), r"\[quantize\] .*multiple of .* 64.*\(3,100\)"),
    (lambda: mx.quantize(W, mode="int4"), r"\[quantize\] .*'int4'.*'affine'.*'nvfp4'"),
    (lambda: mx.quantize(W, bits=7), "1, 2, 3, 4, 5, 6 or 8, but got 7"),
    (lambda: mx.quantize(W, 48), "16, 32, 64 or 128, but got 48"),
    (lambda: mx.quantize(W, 64, mode="mxfp4"), "'mxfp4' needs a group size of 32, but got 64"),
    (lambda: mx.quantize(mx.zeros((3, 16)), 16, 3), "16 values of 3 bits"),
    (lambda: mx.quantize(W.astype(mx.int32)), "int32"),
    (lambda: mx.quantize(mx.zeros((64,))), r"two dimensions.*\(64\)"),
    (lambda: mx.quantize(W, global_scale=mx.array(1.0)), "global scale"),
    (lambda: mx.quantize(W, mode="nvfp4", global_scale=mx.ones((2,))), r"scalar.*\(2\)"),
    (lambda: mx.quantize(W, mode="nvfp4", global_scale=mx.array(1)), "float32.*int32"),
    (lambda: mx.dequantize(*Q[:2]), r"\[dequantize\] .*needs biases"),
    (lambda: mx.dequantize(*Q, dtype=mx.int32), "int32"),
    (lambda: mx.dequantize(*N, Q[2], mode="nvfp4"), "no biases"),
    (lambda: mx.dequantize(N[0], Q[1], mode="nvfp4"), "uint8.*float32"),
    (lambda: mx.quantized_matmul(X, Q[0].astype(mx.int32), *Q[1:]), "uint32.*int32"),
    (lambda: mx.quantized_matmul(X, *Q, bits=8), r"\(8,8\).*no whole number"),
    (lambda: mx.quantized_matmul(X, Q[0], Q[1][:4], Q[2][:4]), r"\(8,1\).*\(4,1\)"),
    (lambda: mx.quantized_matmul(X, Q[0], Q[1], Q[2][:4]), r"\(8,1\).*\(4,1\)"),
    (lambda: mx.quantized_matmul(mx.zeros((2, 32)), *Q), r"\(2,32\) must be 64.*\(8,8\)"),
    (lambda: mx.quantized_matmul(X, *Q, transpose=False), r"\(2,64\) must be 8"),
    (lambda: mx.quantized_matmul(X.astype(mx.int32), *N, mode="nvfp4"), "int32"),
    (lambda: mx.gather_qmm(X, *Q, rhs_indices=mx.array([0.5])), r"\[gather_qmm\] .*integral"),
    (lambda: mx.qqmm(X, W, mode="affine"), r"\[qqmm\] .*'affine'"),
    (lambda: mx.qqmm(X, N[0]), "scales"),
    (lambda: mx.qqmm(X, mx.zeros((8, 32))), r"\(2,64\).*\(8,32\)"),
    (lambda: mx.qqmm(X, W, global_scale_x=mx.array(1.0)), "both"),
    (lambda: mx.gather_qqmm(X, mx.zeros((2, 8, 32))), r"\[gather_qqmm\]"),
]


@pytest.mark.parametrize("mistake, message", MISTAKES, ids=range(len(MISTAKES)))
def test_mistakes_are_named(mistake, message):
    with pytest.raises(ValueError, match=message):
        mistake()
