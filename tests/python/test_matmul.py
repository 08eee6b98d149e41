"""Matrix products against NumPy in double: dtypes, layouts, batches, transforms and errors."""

import mlx.core as mx
import numpy as np
import pytest
from children import run_python
from derivatives import check_gradient

FLOATS = [mx.float32, mx.float16, mx.bfloat16, mx.float64]
COMPLEX = [mx.complex64, mx.complex128]
INTS = [mx.int8, mx.uint8, mx.int16, mx.uint16, mx.int32, mx.uint32, mx.int64, mx.uint64]
EPS = {mx.float32: 1e-6, mx.float16: 1e-3, mx.bfloat16: 8e-3, mx.float64: 1e-14}
EPS |= {mx.complex64: 2e-6, mx.complex128: 1e-14}

# (shape of a, shape of b): vectors, matrices, batches that broadcast, empty and thin ones.
SHAPES = [
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((2, 3), (3, 4)),
    ((1, 1), (1, 1)),
    ((1, 70), (70, 33)),
    ((33, 70), (70, 1)),
    ((15, 33), (33, 17)),
    ((65, 130), (130, 67)),
    ((5, 2, 3), (3, 4)),
    ((5, 2, 3), (5, 3, 4)),
    ((5, 1, 2, 3), (4, 3, 6)),
    ((2, 3), (5, 3, 4)),
    ((3,), (5, 3, 4)),
    ((5, 2, 3), (3,)),
    ((2, 0), (0, 4)),
    ((0, 3), (3, 4)),
    ((2, 3), (3, 0)),
    ((0, 2, 3), (3, 4)),
]


def random(shape, dtype=mx.float32):
    if dtype in INTS:
        return mx.array(np.random.randint(0, 100, shape)).astype(dtype)
    if dtype in COMPLEX:
        parts = np.random.randn(2, *shape)
        return mx.array(parts[0] + 1j * parts[1], dtype)
    return mx.array(np.random.randn(*shape)).astype(dtype)


def wide(a):
    """The values of an array in a dtype in which NumPy multiplies exactly enough."""
    if a.dtype in COMPLEX:
        return np.array(a).astype(np.complex128)
    if a.dtype in INTS or a.dtype == mx.bool_:
        return np.array(a)
    return np.array(a.astype(mx.float64))


def assert_product(actual, a, b, eps, add=0.0):
    a, b = wide(a), wide(b)
    expected = np.matmul(a, b) + add
    magnitude = np.matmul(np.abs(a), np.abs(b)) + np.abs(add) + 1
    assert actual.shape == expected.shape
    assert np.all(np.abs(wide(actual) - expected) <= eps * magnitude)


def layouts(a):
    """The same values in other layouts."""
    yield a
    if a.ndim >= 2:
        yield mx.contiguous(a.swapaxes(-1, -2)).swapaxes(-1, -2)
    doubled = mx.stack([a, a], axis=-1).reshape(*a.shape[:-1], 2 * a.shape[-1])
    yield doubled[..., ::2]
    yield a[..., ::-1][..., ::-1]


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_matmul(shapes, dtype):
    a, b = (random(shape, dtype) for shape in shapes)
    out = a @ b
    assert out.dtype == dtype
    assert_product(out, a, b, EPS[dtype])


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, *COMPLEX, mx.int32], ids=str)
@pytest.mark.parametrize("shapes", [SHAPES[i] for i in (3, 5, 6, 8, 10, 11)], ids=str)
def test_matmul_layouts(shapes, dtype):
    first, second = (random(shape, dtype) for shape in shapes)
    for a in layouts(first):
        for b in layouts(second):
            assert_product(a @ b, first, second, EPS.get(dtype, 2e-6))


@pytest.mark.parametrize("dtype", INTS, ids=str)
def test_matmul_of_integers_wraps(dtype):
    a, b = random((9, 20), dtype), random((20, 35), dtype)
    out = a @ b
    assert out.dtype == dtype
    assert np.array_equal(np.array(out), np.array(a) @ np.array(b))


def test_matmul_of_booleans():
    a, b = random((9, 20)) > 1, random((20, 35)) > 1
    assert np.array_equal(np.array(a @ b), np.array(a) @ np.array(b))


def test_matmul_promotes():
    a = random((3, 4), mx.float16)
    assert (a @ random((4, 2), mx.bfloat16)).dtype == mx.float32
    assert (a @ random((4, 2), mx.int32)).dtype == mx.float16
    assert (a @ random((4, 2), mx.complex64)).dtype == mx.complex64
    assert (random((3, 4), mx.float64) @ random((4, 2), mx.complex64)).dtype == mx.complex128


def test_matmul_of_broadcast_operands():
    a, b = random((4, 1, 3)), random((3,))
    wide_a, wide_b = mx.broadcast_to(a, (4, 5, 3)), mx.broadcast_to(b[:, None], (3, 6))
    assert_product(wide_a @ wide_b, wide_a, wide_b, 1e-6)
    batch = mx.broadcast_to(random((3, 6)), (4, 3, 6))
    assert_product(wide_a @ batch, wide_a, batch, 1e-6)


def test_matmul_blocks():
    """Sizes that take several slabs, and a depth that half types must sum in one go."""
    for dtype, (m, n, k) in [
        (mx.float32, (130, 700, 1100)),
        (mx.bfloat16, (20, 40, 9000)),
        (mx.float16, (200, 64, 3000)),
    ]:
        a, b = random((m, k), dtype), random((k, n), dtype)
        assert_product(a @ b, a, b, EPS[dtype])


@pytest.mark.parametrize("dtype", [*FLOATS, *COMPLEX, mx.int32], ids=str)
@pytest.mark.parametrize(
    "shapes",
    [
        ((4,), (2, 3), (3, 4)),
        ((), (2, 3), (3, 4)),
        ((2, 1), (2, 3), (3, 4)),
        ((2, 4), (2, 3), (3, 4)),
        ((5, 2, 4), (5, 2, 3), (3, 4)),
        ((4,), (5, 2, 3), (3, 4)),
        ((2, 4), (5, 2, 3), (5, 3, 4)),
        ((5, 1, 4), (5, 2, 3), (3, 4)),
        ((40,), (30, 50), (50, 40)),
        ((), (3,), (3,)),
        ((4,), (3,), (3, 4)),
        ((2,), (2, 3), (3,)),
    ],
    ids=str,
)
def test_addmm(shapes, dtype):
    c, a, b = (random(shape, dtype) for shape in shapes)
    assert_product(mx.addmm(c, a, b), a, b, EPS.get(dtype, 2e-6), wide(c))
    if dtype != mx.int32:
        out = mx.addmm(c, a, b, alpha=2.0, beta=0.5)
        assert_product(out, 2 * a, b, 2 * EPS.get(dtype, 2e-6), 0.5 * wide(c))


def test_addmm_does_not_change_its_input():
    c, a, b = random((3, 4)), random((3, 5)), random((5, 4))
    before = np.array(c)
    mx.eval(mx.addmm(c, a, b))
    assert np.array_equal(np.array(c), before)
    out = mx.addmm(c + 1, a, b)
    assert_product(out, a, b, 1e-6, before.astype("f8") + 1)


def test_products_of_other_forms():
    a, b = random((2, 3, 4)), random((3, 4, 5))
    na, nb = np.array(a), np.array(b)
    close = {"rtol": 1e-5, "atol": 1e-5}
    np.testing.assert_allclose(mx.tensordot(a, b), np.tensordot(na, nb), **close)
    np.testing.assert_allclose(mx.tensordot(a, b, 0), np.tensordot(na, nb, 0), **close)
    axes = [[2, 1], [1, 0]]
    np.testing.assert_allclose(mx.tensordot(a, b, axes), np.tensordot(na, nb, axes), **close)
    axes = [[-2], [0]]
    np.testing.assert_allclose(mx.tensordot(a, b, axes), np.tensordot(na, nb, axes), **close)
    np.testing.assert_allclose(mx.inner(a, b[0].T), np.inner(na, nb[0].T), **close)
    np.testing.assert_allclose(mx.inner(a, mx.array(2.0)), na * 2, **close)
    np.testing.assert_allclose(mx.outer(a, b[0]), np.outer(na, nb[0]), **close)
    np.testing.assert_allclose(mx.vecdot(a, a[0], axis=-1), np.sum(na * na[0], axis=-1), **close)
    z = random((3, 4), mx.complex64)
    np.testing.assert_allclose(
        mx.vecdot(z, 2 * z, axis=0), np.sum(np.conj(z) * 2 * np.array(z), axis=0), **close
    )


@pytest.mark.parametrize("shapes", [s for s in SHAPES if 0 not in s[0] + s[1]], ids=str)
def test_matmul_gradient(shapes):
    check_gradient(mx.matmul, [random(shape, mx.float64) for shape in shapes])


@pytest.mark.parametrize(
    "shapes", [((4,), (2, 3), (3, 4)), ((2, 1), (5, 2, 3), (3, 4)), ((), (3,), (3,))], ids=str
)
def test_addmm_gradient(shapes):
    inputs = [random(shape, mx.float64) for shape in shapes]
    check_gradient(lambda c, a, b: mx.addmm(c, a, b, alpha=0.5, beta=3.0), inputs)


def test_complex_gradient_conjugates():
    a, b = mx.array([[1 + 2j]]), mx.array([[3 + 1j]])
    _, (da, db) = mx.vjp(lambda a, b: [a @ b], [a, b], [mx.array([[1 + 0j]])])
    assert da.item() == 3 - 1j and db.item() == 1 - 2j


def stacked(f, count, inputs, axes):
    """What vmap is to give: f of each example."""

    def example(x, axis, i):
        return x if axis is None else mx.take(x, i, axis)

    outputs = [
        f(*(example(x, axis, i) for x, axis in zip(inputs, axes, strict=True)))
        for i in range(count)
    ]
    return mx.stack(outputs)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (1, 2), (2, 0)], ids=str)
def test_matmul_vmap(axes):
    a, b = random((4, 4, 4)), random((4, 4, 4))
    expected = stacked(mx.matmul, 4, [a, b], axes)
    assert mx.allclose(mx.vmap(mx.matmul, in_axes=axes)(a, b), expected, atol=1e-5)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0)], ids=str)
def test_matmul_vmap_of_batches(axes):
    """Mapped and batch axes broadcast independently."""
    a = random((4, 3, 2, 5) if axes[0] == 0 else (3, 2, 5))
    b = random((4, 5, 2) if axes[1] == 0 else (5, 2))
    expected = stacked(mx.matmul, 4, [a, b], axes)
    assert mx.allclose(mx.vmap(mx.matmul, in_axes=axes)(a, b), expected, atol=1e-5)


@pytest.mark.parametrize(
    "axes", [(0, None, None), (None, 0, None), (None, None, 0), (0, 0, 0), (0, 1, None)], ids=str
)
def test_addmm_vmap(axes):
    c, a, b = random((3,) if axes[0] is None else (3, 3)), random((3, 3)), random((3, 3))
    a = a if axes[1] is None else random((3, 3, 3))
    b = b if axes[2] is None else random((3, 3, 3))
    expected = stacked(mx.addmm, 3, [c, a, b], axes)
    assert mx.allclose(mx.vmap(mx.addmm, in_axes=axes)(c, a, b), expected, atol=1e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.array(1.0) @ random((3,)),
        lambda: random((2, 3)) @ random((2, 3)),
        lambda: random((2, 2, 3)) @ random((3, 3, 3)),
        lambda: mx.addmm(random((3,)), random((2, 3)), random((3, 2))),
        lambda: mx.addmm(random((5, 2, 2)), random((2, 3)), random((3, 2))),
        lambda: mx.addmm(random((2,)), random((2, 3)), random((2, 3))),
        lambda: mx.inner(random((2, 3)), random((4, 2))),
        lambda: mx.tensordot(random((2, 3)), random((3, 4)), 3),
        lambda: mx.tensordot(random((2, 3)), random((3, 4)), -1),
        lambda: mx.tensordot(random((2, 3)), random((3, 4)), [[0], [1]]),
        lambda: mx.tensordot(random((2, 3)), random((3, 4)), [[0, 1], [1]]),
        lambda: mx.tensordot(random((2, 3)), random((3, 4)), [[5], [1]]),
        lambda: mx.tensordot(random((3, 3)), random((3, 3)), [[0, 0], [0, 1]]),
        lambda: mx.vecdot(random((2, 3)), random((2, 4))),
        lambda: mx.vecdot(random((2, 3)), random((2, 3)), axis=2),
    ],
)
def test_errors_are_raised_by_the_call(call):
    with pytest.raises(ValueError, match=r"\["):
        call()


# ------------ Gathered, segmented and masked products


def test_gather_mm():
    a, b = random((5, 2, 3)), random((4, 3, 6))
    na, nb = np.array(a), np.array(b)
    rhs = np.array([[0, 1, 3, 2, 1], [0, 0, 0, -1, 0]])
    out = mx.gather_mm(a, b, rhs_indices=mx.array(rhs))
    np.testing.assert_allclose(out, na[None] @ nb[rhs], rtol=1e-5, atol=1e-5)
    lhs = np.array([4, 2])
    out = mx.gather_mm(a, b, lhs_indices=mx.array(lhs), rhs_indices=mx.array([[1], [0]]))
    np.testing.assert_allclose(out, na[lhs][None] @ nb[[[1], [0]]], rtol=1e-5, atol=1e-5)
    out = mx.gather_mm(a[0, 0], b, rhs_indices=mx.array([1]))
    np.testing.assert_allclose(out, na[0, 0] @ nb[[1]], rtol=1e-5, atol=1e-5)


def test_gather_mm_of_neighbouring_rows():
    """Runs of rows with the same matrix are multiplied together."""
    x, w = random((40, 1, 16)), random((3, 8, 16))
    expert = np.sort(np.random.randint(0, 3, 40))
    for order in (expert, np.random.permutation(expert)):
        out = mx.gather_mm(x, w.swapaxes(-1, -2), rhs_indices=mx.array(order))
        expected = np.array(x) @ np.array(w).transpose(0, 2, 1)[order]
        np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-5)


def test_gather_mm_transforms():
    a, b = random((5, 2, 3), mx.float64), random((4, 3, 6), mx.float64)
    lhs, rhs = mx.array([0, 0, 4, 3, 1, 0]), mx.array([1, 3, 3, 0, 1, 1])
    check_gradient(lambda a, b: mx.gather_mm(a, b, lhs, rhs), [a, b])
    for axes in [(0, None, None), (None, 0, None), (0, 0, 0), (None, None, 0)]:
        inputs = [random((3, 5, 2, 3)), random((3, 4, 3, 6)), mx.array([[0, 1], [3, 2], [1, 1]])]
        inputs = [x if axis == 0 else x[0] for x, axis in zip(inputs, axes, strict=True)]

        def f(a, b, rhs):
            return mx.gather_mm(a, b, mx.array([4, 2]), rhs)

        expected = stacked(f, 3, inputs, axes)
        assert mx.allclose(mx.vmap(f, in_axes=axes)(*inputs), expected, atol=1e-5)


def test_gather_mm_of_nothing():
    a, b, none = mx.zeros((5, 2, 0)), mx.zeros((4, 0, 6)), mx.array([], dtype=mx.int32)
    assert mx.array_equal(mx.gather_mm(a, b, rhs_indices=mx.array([3] * 5)), mx.zeros((5, 2, 6)))
    assert mx.gather_mm(a, b, none, none).shape == (0, 2, 6)
    gradients = mx.grad(lambda a, b: mx.gather_mm(a, b, none, none).sum(), (0, 1))(a, b)
    assert [g.shape for g in gradients] == [a.shape, b.shape]
    a, b = mx.ones((5, 2, 3)), mx.ones((4, 3, 6))
    gradients = mx.grad(lambda a, b: mx.gather_mm(a, b, none, none).sum(), (0, 1))(a, b)
    assert all(not g.any().item() for g in gradients)


def test_gather_mm_errors():
    a, b = random((5, 2, 3)), random((4, 3, 6))
    with pytest.raises(ValueError, match="gather_mm"):
        mx.gather_mm(a, b, rhs_indices=mx.array([1.0]))
    with pytest.raises(ValueError, match="gather_mm"):
        mx.gather_mm(a, b.swapaxes(-1, -2), rhs_indices=mx.array([1]))
    for index in (4, -5):
        with pytest.raises(IndexError, match="out of bounds"):
            mx.eval(mx.gather_mm(a, b, lhs_indices=mx.array([0]), rhs_indices=mx.array([index])))


def test_segmented_mm():
    a, b = random((3, 6), mx.float64), random((6, 4), mx.float64)
    segments = np.array([[[0, 2], [2, 5]], [[5, 6], [3, 3]]], dtype=np.uint32)
    out = np.array(mx.segmented_mm(a, b, mx.array(segments)))
    na, nb = np.array(a), np.array(b)
    for i in np.ndindex(2, 2):
        begin, end = segments[i]
        np.testing.assert_allclose(out[i], na[:, begin:end] @ nb[begin:end], atol=1e-12)
    check_gradient(lambda a, b: mx.segmented_mm(a, b, mx.array(segments)), [a, b])
    with pytest.raises(IndexError):
        mx.eval(mx.segmented_mm(a, b, mx.array([[0, 7]])))
    with pytest.raises(ValueError, match="segmented_mm"):
        mx.segmented_mm(a[None], b, mx.array(segments))


def test_block_masked_mm():
    a, b = random((50, 70)), random((70, 40))
    mask_out = np.array([[True, False], [False, True]])
    mask_lhs = np.random.randn(2, 3).astype("f4")
    mask_rhs = np.random.rand(3, 2) > 0.5

    def full(mask, rows, cols):
        return np.kron(mask, np.ones((32, 32)))[:rows, :cols]

    out = mx.block_masked_mm(a, b, 32, mx.array(mask_out), mx.array(mask_lhs), mx.array(mask_rhs))
    left = np.array(a) * full(mask_lhs, 50, 70)
    right = np.array(b) * full(mask_rhs, 70, 40)
    expected = left @ right * full(mask_out, 50, 40)
    np.testing.assert_allclose(out, expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(ValueError, match="block"):
        mx.block_masked_mm(a, b, 16)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16], ids=str)
@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 8, 9, 16, 17, 40])
@pytest.mark.parametrize("columns, length", [(1, 8), (7, 64), (300, 136), (4100, 1032), (64, 33)])
def test_few_rows_times_a_matrix(dtype, rows, columns, length):
    x, w = random((rows, length), dtype), random((columns, length), dtype)
    c = random((columns,), dtype)
    assert_product(x @ w.T, x, w.T, EPS[dtype])
    lines = mx.contiguous(w.T)
    assert_product(x @ lines, x, lines, EPS[dtype])
    assert_product(lines.T @ x.T, lines.T, x.T, EPS[dtype])
    assert_product(mx.addmm(c, x, w.T), x, w.T, EPS[dtype], add=wide(c))
    expected = np.maximum(np.matmul(wide(x), wide(w).T), 0)
    error = np.abs(wide(mx.maximum(x @ w.T, 0)) - expected)
    assert np.all(error <= EPS[dtype] * (np.matmul(np.abs(wide(x)), np.abs(wide(w)).T) + 1))
    tail = w[:, 1:]
    assert_product(x[:, 1:] @ tail.T, x[:, 1:], tail.T, EPS[dtype])
    batch = random((rows, 1, length), dtype)
    assert_product(batch @ w.T, batch, w.T, EPS[dtype])


@pytest.mark.parametrize("batch", [(), (3,), (2, 3)])
@pytest.mark.parametrize("kind", [np.float32, np.complex64, np.complex128])
def test_gradient_of_a_transposed_operand(batch, kind):
    rng = np.random.default_rng(4)
    x, w, c = (rng.standard_normal(s).astype(np.float32) for s in ((*batch, 6, 5), (7, 5), (7,)))
    x, w = (a.astype(kind) * kind(1 if kind is np.float32 else 1 - 0.5j) for a in (x, w))
    cotangent = mx.array(np.broadcast_to(c, (*batch, 6, 7)).astype(kind))
    got = mx.vjp(lambda v: mx.array(x) @ v.T, [mx.array(w)], [cotangent])[1][0]
    rows = x.reshape(-1, 5)
    want = np.broadcast_to(c, (len(rows), 7)).T.astype(kind) @ np.conj(rows)
    np.testing.assert_allclose(np.array(got), want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64", "complex128", "int8"])
def test_bits_do_not_depend_on_threads(dtype):
    code = f"""
        import hashlib
        import mlx.core as mx
        mx.set_default_device(mx.cpu)
        total = hashlib.sha256()
        for m, k, n in [(300, 700, 900), (64, 2100, 640), (3, 5000, 800), (1100, 64, 70),
                        (24, 3000, 1000)]:
            a = (mx.random.normal((m, k), key=mx.random.key(1)) * 9).astype(mx.{dtype})
            b = (mx.random.normal((k, n), key=mx.random.key(2)) * 9).astype(mx.{dtype})
            total.update(bytes(memoryview(mx.exp(a @ b / 99).view(mx.uint8))))
        print(total.hexdigest())
    """
    digests = {run_python(code, MLX_NUM_THREADS=str(threads)) for threads in (1, 2, 3, 16)}
    assert len(digests) == 1


def test_panels_that_threads_pack_side_by_side():
    code = """
        import mlx.core as mx
        import numpy as np
        mx.set_default_device(mx.cpu)
        for m, k, n in [(300, 700, 900), (170, 300, 500), (1100, 64, 700)]:
            a, b = mx.random.normal((m, k)), mx.random.normal((k, n))
            want = np.array(a, np.float64) @ np.array(b, np.float64)
            for _ in range(20):
                assert np.abs(np.array(a @ b) - want).max() < 1e-3
    """
    run_python(code, MLX_NUM_THREADS="16")


SMALLEST = float(np.finfo(np.float32).tiny)  # that is not denormal


def products_of(x):
    """Products with a square matrix, each of which gives `x` where it keeps the values."""
    n = x.shape[0]
    one = mx.eye(n, dtype=x.dtype)
    image, kernel = x.reshape(1, 1, n, n), one.reshape(n, 1, 1, n)
    return {
        "matmul": x @ one,
        "matvec": mx.stack([one @ x[:, j] for j in range(n)], 1),
        "addmm": mx.addmm(mx.zeros_like(x), x, one),
        "gather_mm": mx.gather_mm(x[None], one[None], mx.array([0]), mx.array([0]))[0],
        "conv": mx.conv2d(image, kernel).reshape(n, n),
        "weight_gradient": mx.vjp(
            lambda w: mx.conv2d(image, w), [kernel], [one.reshape(1, 1, n, n)]
        )[1][0].reshape(n, n),
        "attention": mx.fast.scaled_dot_product_attention(
            200 * one[None, None], one[None, None], x[None, None], scale=1.0
        )[0, 0],
    }


def test_products_take_denormals_as_zeros_on_the_cpu():
    n = 40
    with mx.stream(mx.cpu):
        for name, got in products_of(mx.full((n, n), SMALLEST / 4)).items():
            assert not np.array(got).any(), name
        for kept in (np.full((n, n), SMALLEST, np.float32), np.full((n, n), 1e-310)):
            for name, got in products_of(mx.array(kept, getattr(mx, str(kept.dtype)))).items():
                assert np.array_equal(np.array(got), kept), (name, kept.dtype)


def test_programs_behind_products_keep_denormals():
    with mx.stream(mx.cpu):
        x = mx.full((40, 40), 2.0**-100)
        got = mx.compile(lambda x: (x @ mx.eye(40)) * 2.0**-40)(x)
        assert np.array_equal(np.array(got), np.full((40, 40), 2.0**-140, np.float32))
    assert mx.array(2.0**-140).item() * 1.0 == (mx.array(2.0**-139) * 0.5).item()
