"""Rotary position encoding against NumPy: dtypes, layouts, offsets, and every transform."""

import io

import mlx.core as mx
import numpy as np
import pytest
from oracle import FLOATS, assert_close, check_derivatives, check_vmap, to_mlx, values

PLAIN = {"traditional": False, "base": 100.0, "scale": 1.0, "offset": 0}


def rope(x, dims, traditional, base, scale, offset, freqs=None):
    half = dims // 2
    inverse = base ** (-np.arange(half) / half) if freqs is None else 1 / np.asarray(freqs)
    offset = np.broadcast_to(offset, x.shape[:1]).reshape(-1, *[1] * (x.ndim - 2))
    theta = ((np.arange(x.shape[-2]) + offset) * scale)[..., None] * inverse
    c, s = np.cos(theta), np.sin(theta)
    out = x.astype("float64").copy()
    first, second = (
        (slice(0, dims, 2), slice(1, dims, 2))
        if traditional
        else (slice(0, half), slice(half, dims))
    )
    out[..., first] = x[..., first] * c - x[..., second] * s
    out[..., second] = x[..., first] * s + x[..., second] * c
    return out


@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize("shape", [(2, 3, 8), (2, 3, 4, 8), (1, 2, 3, 4, 8), (2, 2, 1, 8)])
def test_rope(name, traditional, shape):
    x = values(name, shape)
    a = to_mlx(x, name)
    for dims, scale, offset in ((8, 1.0, 0), (4, 0.5, 7), (8, 1.0, 100), (6, -2.0, -3)):
        got = mx.fast.rope(a, dims, traditional=traditional, base=100.0, scale=scale, offset=offset)
        assert got.dtype == a.dtype
        assert_close(got, rope(x, dims, traditional, 100.0, scale, offset), name, 4)
    freqs = [1.0, 3.0, 7.0, 20.0]
    got = mx.fast.rope(
        a, 8, traditional=traditional, base=None, scale=1.0, offset=3, freqs=mx.array(freqs)
    )
    assert_close(got, rope(x, 8, traditional, None, 1.0, 3, freqs), name, 4)
    for dtype in (mx.int32, mx.int64, mx.uint8):
        offsets = np.arange(shape[0]) * 5
        got = mx.fast.rope(
            a, 8, **{**PLAIN, "traditional": traditional, "offset": mx.array(offsets, dtype)}
        )
        assert_close(got, rope(x, 8, traditional, 100.0, 1.0, offsets), name, 4)


@pytest.mark.parametrize("traditional", [False, True])
@pytest.mark.parametrize("name", FLOATS)
@pytest.mark.parametrize("dims", [2, 66, 300, 514])
def test_rope_sizes(name, traditional, dims):
    """Rows longer than a buffer of the kernels, more positions than a block, more heads than one
    task."""
    x = values(name, (1, 37, 19, 520))
    got = mx.fast.rope(to_mlx(x, name), dims, **{**PLAIN, "traditional": traditional})
    assert_close(got, rope(x, dims, traditional, 100.0, 1.0, 0), name, 4)


@pytest.mark.parametrize("traditional", [False, True])
def test_rope_layouts(traditional):
    """Strided inputs, kept or handed over as temporaries."""
    x = values("float32", (4, 6, 5, 16))
    a = mx.array(x)
    for read in (
        lambda t: t.swapaxes(1, 2),
        lambda t: t.swapaxes(0, 1),
        lambda t: t.swapaxes(2, 3)[:, :, :, :4].swapaxes(1, 3),
        lambda t: t[::2, ::-1, 1:, 3:13],
        lambda t: t[:, :, :, ::2],
    ):
        want = rope(read(x), 4, traditional, 100.0, 1.0, 9)
        options = {**PLAIN, "traditional": traditional, "offset": 9}
        assert_close(mx.fast.rope(read(a), 4, **options), want, "float32", 4)
        kept = mx.fast.rope(read(a + 0), 4, **options)
        assert_close(kept, want, "float32", 4)
        assert_close(kept * 2, 2 * want, "float32", 4)
    assert_close(a, x, "float32")
    wide = np.broadcast_to(x[:1, :1], x.shape)
    got = mx.fast.rope(mx.broadcast_to(a[:1, :1], x.shape), 16, **PLAIN)
    assert_close(got, rope(wide, 16, False, 100.0, 1.0, 0), "float32", 4)
    for empty in ((0, 2, 3, 8), (2, 0, 3, 8), (2, 2, 0, 8)):
        assert mx.fast.rope(mx.zeros(empty), 8, **PLAIN).shape == empty


def test_rope_at_large_positions():
    """Sines of large angles keep all digits: the rounding of the angle is all that is lost."""
    x = values("float32", (1, 2, 3, 8))
    for offset, base in ((1 << 23, 1.0), (1 << 30, 1.0)):
        got = mx.fast.rope(mx.array(x), 8, **{**PLAIN, "base": base, "offset": offset})
        angle = np.float32(np.arange(3) + offset).astype("f8")[:, None]
        first, second = x[..., :4].astype("f8"), x[..., 4:]
        want = np.concatenate(
            [
                first * np.cos(angle) - second * np.sin(angle),
                first * np.sin(angle) + second * np.cos(angle),
            ],
            -1,
        )
        assert_close(got, want, "float32")


def test_rope_errors():
    x = mx.zeros((1, 2, 3, 8))
    for dims, change in (
        (3, {}),
        (10, {}),
        (0, {}),
        (8, {"base": None}),
        (8, {"freqs": mx.ones(4)}),
        (8, {"base": None, "freqs": mx.ones(3)}),
        (8, {"offset": mx.array([1, 2])}),
        (8, {"offset": mx.array([1.0])}),
    ):
        with pytest.raises(ValueError):
            mx.fast.rope(x, dims, **{**PLAIN, **change})
    with pytest.raises(ValueError):
        mx.fast.rope(x[0, 0], 8, **PLAIN)
    with pytest.raises(ValueError):
        mx.fast.rope(x.astype(mx.int32), 8, **PLAIN)


@pytest.mark.parametrize("traditional", [False, True])
def test_rope_derivatives(traditional):
    options = {**PLAIN, "traditional": traditional, "offset": 3}
    x = values("float64", (2, 3, 6))
    check_derivatives(lambda a: mx.fast.rope(a, 4, **options), x)
    check_derivatives(mx.grad(lambda a: mx.sum(mx.fast.rope(a, 4, **options) ** 3)), x, 1e-5)
    each = {**options, "offset": mx.array([2, 5])}
    check_derivatives(lambda a: mx.fast.rope(a, 6, **each), x)
    a = mx.array(x, dtype=mx.float64)
    with_freqs = {**options, "base": None}
    check_derivatives(
        lambda f: mx.fast.rope(a, 6, **with_freqs, freqs=f), np.array([1.0, 2.5, 7.0])
    )


def test_rope_vmap():
    check_vmap(lambda a: mx.fast.rope(a, 4, **PLAIN), (2, 3, 6))
    each = {**PLAIN, "offset": mx.array([2, 5])}
    check_vmap(lambda a: mx.fast.rope(a, 6, **each), (2, 4, 3, 6))
    x = values("float32", (3, 2, 4, 6))
    a = mx.array(x)

    def at(a, offset):
        return mx.fast.rope(a, 6, **{**PLAIN, "offset": offset})

    for offsets in (np.array([1, 4, 9]), np.array([[1, 2], [3, 4], [7, 8]])):
        both, one = (
            mx.vmap(at)(a, mx.array(offsets)),
            mx.vmap(at, (None, 0))(a[0], mx.array(offsets)),
        )
        for i in range(3):
            assert_close(both[i], rope(x[i], 6, False, 100.0, 1.0, offsets[i]), "float32", 4)
            assert_close(one[i], rope(x[0], 6, False, 100.0, 1.0, offsets[i]), "float32", 4)
    twice = mx.vmap(mx.vmap(at, (0, None)), (None, 0))(a, mx.array([2, 3]))
    for i, offset in enumerate((2, 3)):
        for j in range(3):
            assert_close(twice[i, j], rope(x[j], 6, False, 100.0, 1.0, offset), "float32", 4)
    freqs = mx.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    got = mx.vmap(lambda f: mx.fast.rope(a, 6, **{**PLAIN, "base": None}, freqs=f))(freqs)
    for i in range(2):
        assert_close(got[i], rope(x, 6, False, None, 1.0, 0, np.array(freqs[i])), "float32", 4)


def test_compiled_rope_takes_its_offset_as_an_argument():
    x = values("float32", (2, 3, 1, 8))
    compiled = mx.compile(
        lambda a, offset: mx.fast.rope(a, 8, **{**PLAIN, "offset": offset}), shapeless=True
    )
    for offset in (0, 1, 17):
        got = compiled(mx.array(x), mx.array(offset))
        assert_close(got, rope(x, 8, False, 100.0, 1.0, offset), "float32", 4)
    longer = values("float32", (2, 3, 5, 8))
    assert_close(
        compiled(mx.array(longer), mx.array(2)),
        rope(longer, 8, False, 100.0, 1.0, 2),
        "float32",
        4,
    )


def test_rope_and_its_derivative_are_one_node():
    x = mx.array(values("float32", (2, 3, 4, 8)))
    for made in (
        mx.fast.rope(x, 8, **PLAIN),
        mx.grad(lambda a: mx.sum(mx.fast.rope(a, 8, **PLAIN)))(x),
        mx.vmap(lambda a: mx.fast.rope(a, 8, **PLAIN))(x),
    ):
        text = io.StringIO()
        mx.export_to_dot(text, made)
        assert text.getvalue().count("RoPE") == 1
        assert "Cos" not in text.getvalue()
