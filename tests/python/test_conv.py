"""Convolutions against a plain definition in NumPy, their derivatives and their batching."""

import itertools
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from children import run_python, run_with_isa
from derivatives import check_gradient

EPS = {mx.float32: 2e-6, mx.float16: 2e-3, mx.bfloat16: 1e-2, mx.float64: 1e-14}


def random(shape, dtype=mx.float32):
    return mx.array(np.random.randn(*shape)).astype(dtype)


def dilate(x, dilation):
    """Zeros between the elements of the spatial axes."""
    spatial = [(n - 1) * d + 1 for n, d in zip(x.shape[1:-1], dilation, strict=True)]
    out = np.zeros((x.shape[0], *spatial, x.shape[-1]))
    out[(slice(None), *(slice(None, None, d) for d in dilation))] = x
    return out


def crop_or_pad(x, lo, hi):
    for axis, (before, after) in enumerate(zip(lo, hi, strict=True), start=1):
        widths = [(0, 0)] * x.ndim
        widths[axis] = (max(before, 0), max(after, 0))
        x = np.pad(x, widths)
        x = x.take(range(max(-before, 0), x.shape[axis] - max(-after, 0)), axis)
    return x


def reference(x, w, stride, lo, hi, kernel_dilation, input_dilation, groups, flip):
    x = crop_or_pad(dilate(np.array(x.astype(mx.float64)), input_dilation), lo, hi)
    w = np.array(w.astype(mx.float64))
    spatial = range(len(stride))
    if flip:
        w = np.flip(w, [i + 1 for i in spatial])
    out = [
        (x.shape[i + 1] - (w.shape[i + 1] - 1) * kernel_dilation[i] - 1) // stride[i] + 1
        for i in spatial
    ]
    result = np.zeros((x.shape[0], *out, w.shape[0]))
    channels, features = w.shape[-1], w.shape[0] // groups
    for position in itertools.product(*(range(n) for n in w.shape[1:-1])):
        window = tuple(
            slice(
                position[i] * kernel_dilation[i],
                position[i] * kernel_dilation[i] + (out[i] - 1) * stride[i] + 1,
                stride[i],
            )
            for i in spatial
        )
        seen = x[(slice(None), *window)]
        for g in range(groups):
            part = seen[..., g * channels : (g + 1) * channels]
            rows = slice(g * features, (g + 1) * features)
            result[..., rows] += part @ w[(rows, *position)].T
    return result


# input shape, weight shape, then what differs from the defaults
CASES = [
    ((2, 9, 3), (4, 3, 3), {}),
    ((1, 12, 2), (3, 5, 2), {"stride": [2], "padding": [2]}),
    ((2, 9, 16), (8, 3, 16), {"padding": [1], "kernel_dilation": [2]}),
    ((1, 7, 3), (4, 4, 3), {"input_dilation": [3], "padding": [1]}),
    ((2, 8, 9, 3), (5, 3, 3, 3), {"padding": [1, 1]}),
    ((1, 8, 9, 16), (20, 3, 2, 16), {"stride": [2, 1], "padding": [1, 0]}),
    ((1, 8, 9, 64), (32, 1, 1, 64), {}),
    ((1, 8, 9, 24), (32, 1, 1, 24), {"stride": [2, 2]}),
    ((2, 5, 6, 17), (3, 2, 3, 17), {"input_dilation": [2, 3], "padding": [2, 1]}),
    ((1, 6, 6, 4), (3, 3, 3, 4), {"stride": [3, 2], "input_dilation": [2, 3], "padding": [2, 2]}),
    ((1, 9, 9, 8), (6, 3, 3, 8), {"flip": True, "kernel_dilation": [2, 1]}),
    ((1, 9, 9, 8), (6, 3, 3, 4), {"groups": 2, "padding": [1, 1]}),
    ((1, 9, 9, 33), (33, 3, 3, 1), {"groups": 33, "padding": [1, 1]}),
    ((2, 9, 8, 20), (20, 3, 3, 1), {"groups": 20, "padding": [2, 1], "stride": [2, 1]}),
    ((1, 5, 5, 20), (20, 3, 3, 1), {"groups": 20, "input_dilation": [2, 2], "padding": [1, 1]}),
    ((1, 5, 5, 6), (12, 3, 3, 1), {"groups": 6, "padding": [1, 1]}),
    ((1, 7, 7, 3), (4, 3, 3, 3), {"padding": [-1, 0]}),
    ((1, 4, 5, 6, 3), (4, 2, 3, 2, 3), {"padding": [1, 1, 0], "stride": [1, 2, 1]}),
    ((1, 4, 5, 4, 4), (6, 2, 2, 2, 2), {"groups": 2, "input_dilation": [1, 2, 1]}),
    ((1, 3, 3, 2), (3, 5, 5, 2), {"padding": [2, 2]}),
]


def arguments(x_shape, options):
    spatial = len(x_shape) - 2
    full = {
        "stride": [1] * spatial,
        "padding": [0] * spatial,
        "kernel_dilation": [1] * spatial,
        "input_dilation": [1] * spatial,
        "groups": 1,
        "flip": False,
    }
    full.update(options)
    return full


def expected_of(x, w, options):
    o = arguments(x.shape, options)
    return reference(
        x,
        w,
        o["stride"],
        o["padding"],
        o["padding"],
        o["kernel_dilation"],
        o["input_dilation"],
        o["groups"],
        o["flip"],
    )


def assert_close(actual, expected, eps, terms):
    assert actual.shape == expected.shape
    actual = np.array(actual.astype(mx.float64))
    np.testing.assert_allclose(actual, expected, rtol=eps, atol=eps * np.sqrt(terms) * 4)


@pytest.mark.parametrize("dtype", EPS, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv_general(case, dtype):
    x_shape, w_shape, options = case
    x, w = random(x_shape, dtype), random(w_shape, dtype)
    out = mx.conv_general(x, w, **arguments(x_shape, options))
    assert out.dtype == dtype
    assert_close(out, expected_of(x, w, options), EPS[dtype], np.prod(w_shape[1:]))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_conv_of_other_layouts(case):
    """Transposed images and weights, and images cut out of larger ones."""
    x_shape, w_shape, options = case
    x, w = random(x_shape, mx.float64), random(w_shape, mx.float64)
    args, expected = arguments(x_shape, options), expected_of(x, w, options)
    terms = np.prod(w_shape[1:])
    turned = mx.contiguous(mx.moveaxis(x, -1, 1))
    assert_close(mx.conv_general(mx.moveaxis(turned, 1, -1), w, **args), expected, 1e-14, terms)
    turned = mx.contiguous(mx.moveaxis(w, 0, -1))
    assert_close(mx.conv_general(x, mx.moveaxis(turned, -1, 0), **args), expected, 1e-14, terms)
    padded = mx.pad(x, [(0, 0), (1, 2)] + [(0, 0)] * (x.ndim - 2))
    cut = padded[:, 1 : 1 + x_shape[1]]
    assert_close(mx.conv_general(cut, w, **args), expected, 1e-14, terms)


# Enough channels for the kernels that work on tiles of them, with odd tails.
MANY_CHANNELS = [
    ((2, 7, 6, 16), (72, 3, 3, 16), {"padding": [1, 1]}),
    ((2, 9, 8, 24), (136, 3, 2, 24), {"padding": [1, 0], "stride": [2, 1]}),
    ((1, 7, 6, 6), (130, 2, 3, 6), {"stride": [3, 1], "input_dilation": [2, 3]}),
    ((1, 6, 7, 80), (96, 3, 3, 40), {"groups": 2, "flip": True, "kernel_dilation": [1, 2]}),
    ((2, 6, 7, 64), (64, 3, 3, 2), {"groups": 32, "padding": [1, 1]}),
    ((2, 9, 9, 40), (40, 3, 3, 1), {"groups": 40, "padding": [1, 1], "stride": [2, 2]}),
    ((2, 9, 9, 48), (96, 3, 3, 1), {"groups": 48, "padding": [0, 1]}),
    ((2, 17, 16), (40, 5, 16), {"padding": [2], "stride": [2]}),
    ((1, 4, 5, 6, 16), (48, 2, 3, 2, 16), {"padding": [1, 1, 0], "stride": [1, 2, 2]}),
    ((2, 6, 5, 40), (72, 1, 1, 40), {}),
    ((4, 24, 24, 64), (144, 3, 3, 64), {"padding": [1, 1]}),
    ((2, 23, 21, 3), (40, 7, 7, 3), {"padding": [3, 3], "stride": [2, 2]}),
    ((2, 30, 34, 16), (16, 3, 3, 16), {"padding": [1, 1]}),
    ((1, 300, 3), (24, 9, 3), {"padding": [4]}),
    ((3, 12, 14, 24), (24, 7, 7, 1), {"groups": 24, "padding": [3, 3]}),
    ((3, 12, 14, 17), (17, 5, 5, 1), {"groups": 17, "padding": [2, 2]}),
    ((2, 7, 12, 24), (24, 7, 7, 1), {"groups": 24, "padding": [3, 3]}),
    ((2, 7, 8, 9), (18, 5, 5, 1), {"groups": 9, "padding": [2, 2]}),
    ((1, 9, 12, 20), (20, 3, 3, 1), {"groups": 20, "padding": [2, 2], "kernel_dilation": [2, 2]}),
    ((1, 9, 12, 20), (20, 2, 3, 1), {"groups": 20, "padding": [1, 1], "flip": True}),
    ((1, 1, 40, 600), (20, 1, 3, 600), {"padding": [0, 1]}),
    ((2, 9, 11, 36), (36, 3, 3, 2), {"groups": 18, "padding": [1, 1], "stride": [2, 1]}),
    ((2, 9, 11, 24), (24, 3, 2, 4), {"groups": 6, "padding": [1, 1], "input_dilation": [2, 1]}),
    ((1, 9, 11, 40), (40, 3, 3, 8), {"groups": 5, "flip": True, "kernel_dilation": [1, 2]}),
]


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16], ids=str)
@pytest.mark.parametrize("case", MANY_CHANNELS, ids=str)
def test_many_channels(case, dtype):
    """Values and both derivatives against those in float64."""
    x_shape, w_shape, options = case
    args = arguments(x_shape, options)
    x, w = random(x_shape, dtype), random(w_shape, dtype)

    def f(x, w):
        return mx.conv_general(x, w, **args)

    cotangent = random(f(x, w).shape, dtype)
    wide = [v.astype(mx.float64) for v in (x, w, cotangent)]
    outputs, gradients = mx.vjp(f, [x, w], [cotangent])
    expected, expected_gradients = mx.vjp(f, wide[:2], wide[2:])
    assert_close(expected[0], expected_of(wide[0], wide[1], options), 1e-13, np.prod(w_shape[1:]))
    terms = [np.prod(w_shape[1:]), np.prod(w_shape[:-1]), cotangent.size // w_shape[0]]
    results = zip(outputs + gradients, expected + expected_gradients, terms, strict=True)
    for actual, wanted, count in results:
        assert actual.dtype == dtype
        assert_close(actual, np.array(wanted), EPS[dtype], count)


@pytest.mark.parametrize("isa", ["v2", "v3"])
def test_lower_instruction_sets(isa):
    """Values and derivatives by the kernels that this machine would not choose."""
    run_with_isa(
        isa,
        "test_conv",
        """
        for case in t.MANY_CHANNELS:
            t.test_many_channels(case, mx.float32)
        for dtype in t.EPS:
            for case in t.CASES:
                t.test_conv_general(case, dtype)
        """,
    )


def test_bits_do_not_depend_on_threads():
    program = """
        import hashlib, numpy as np, mlx.core as mx, test_conv as t
        mx.set_default_device(mx.cpu)
        np.random.seed(3)
        found = hashlib.sha256()
        for x_shape, w_shape, options in t.MANY_CHANNELS:
            args = t.arguments(x_shape, options)
            x, w = t.random(x_shape), t.random(w_shape)
            f = lambda x, w: mx.square(mx.conv_general(x, w, **args)).sum()
            for gradient in mx.grad(f, argnums=(0, 1))(x, w):
                found.update(np.array(gradient).tobytes())
        print(found.hexdigest())
        """
    path = f"{Path(mx.__file__).parents[1]}:{Path(__file__).parent}"
    one, many = (run_python(program, MLX_NUM_THREADS=n, PYTHONPATH=path) for n in ("1", "5"))
    assert one == many


# What planning may run behind a convolution: the direct kernels, tiles of matrices, depthwise ones,
# and several phases of a dilated input.
BEHIND = [
    ((2, 9, 8, 24), (40, 3, 3, 24), {"padding": [1, 1]}),
    ((2, 9, 8, 24), (24, 3, 3, 12), {"groups": 2, "stride": [2, 2]}),
    ((2, 9, 8, 24), (40, 1, 1, 24), {}),
    ((2, 9, 8, 24), (24, 3, 3, 1), {"groups": 24, "padding": [1, 1]}),
    ((2, 5, 4, 24), (40, 3, 3, 24), {"input_dilation": [2, 2], "padding": [1, 1]}),
    ((2, 5, 4, 24), (24, 3, 3, 1), {"groups": 24, "input_dilation": [2, 2]}),
]


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=str)
@pytest.mark.parametrize("case", BEHIND, ids=str)
def test_programs_behind_a_convolution(case, dtype):
    """Bias, residual and activation give the bits of separate steps."""
    x_shape, w_shape, options = case
    x, w, bias = random(x_shape, dtype), random(w_shape, dtype), random(w_shape[:1], dtype)
    made = mx.conv_general(x, w, **arguments(x_shape, options))
    residual = random(made.shape, dtype)
    mx.eval(made, residual)
    expected = mx.maximum(made + bias + residual, 0)
    made = mx.conv_general(x, w, **arguments(x_shape, options))
    assert mx.array_equal(mx.maximum(made + bias + residual, 0), expected)
    made = mx.conv_general(x, w, **arguments(x_shape, options))
    assert mx.array_equal((made > bias), mx.array(np.array(made > bias)))


@pytest.mark.parametrize("channels", [4, 48], ids=str)
def test_infinities(channels):
    """An infinity reaches the outputs that read it, as such, and no others."""
    x, w = np.ones((1, 6, 6, 8), np.float32), np.ones((channels, 3, 3, 8), np.float32)
    x[0, 0, 0, 3], x[0, 5, 5, 0] = np.inf, np.nan
    x[0, 0, 5, 1] = np.finfo(np.float32).max
    out = np.array(mx.conv2d(mx.array(x), mx.array(w)))
    assert np.all(np.isposinf(out[0, 0, 0])) and np.all(np.isnan(out[0, 3, 3]))
    assert np.all(out[0, 0, 3] == np.finfo(np.float32).max)
    assert np.all(out[0, 1:3, 1:3] == 72)
    gradient = mx.grad(lambda w: mx.conv2d(mx.array(x[:, :5, :5]), w).sum())(mx.array(w))
    assert np.all(np.isposinf(np.array(gradient)[:, 0, 0, 3]))
    assert np.all(np.array(gradient)[:, 1:, 1:] == 9)


def test_asymmetric_padding():
    x, w = random((1, 6, 7, 3)), random((4, 3, 3, 3))
    out = mx.conv_general(x, w, padding=([1, 0], [2, 3]))
    expected = reference(x, w, [1, 1], [1, 0], [2, 3], [1, 1], [1, 1], 1, False)
    assert_close(out, expected, 2e-6, 27)


def test_named_forms():
    x, w = random((2, 9, 4)), random((6, 3, 2))
    out = mx.conv1d(x, w, stride=2, padding=1, dilation=2, groups=2)
    assert_close(out, reference(x, w, [2], [1], [1], [2], [1], 2, False), 2e-6, 6)
    x, w = random((2, 8, 9, 4)), random((6, 3, 2, 4))
    out = mx.conv2d(x, w, stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    assert_close(out, reference(x, w, [2, 1], [1, 0], [1, 0], [1, 2], [1, 1], 1, False), 2e-6, 24)
    x, w = random((1, 4, 5, 6, 3)), random((4, 2, 3, 2, 3))
    out = mx.conv3d(x, w, padding=1)
    assert_close(
        out, reference(x, w, [1] * 3, [1] * 3, [1] * 3, [1] * 3, [1] * 3, 1, False), 2e-6, 36
    )


def test_promotion():
    x, w = random((1, 5, 4), mx.float16), random((3, 3, 4))
    assert mx.conv1d(x, w).dtype == mx.float32


TRANSPOSED = [
    (1, 0, 1, 0),
    (2, 0, 1, 0),
    (2, 1, 1, 0),
    (2, 1, 1, 1),
    (3, 1, 2, 2),
    (1, 3, 1, 0),
]


@pytest.mark.parametrize("spatial", [1, 2, 3])
@pytest.mark.parametrize("case", TRANSPOSED, ids=str)
def test_transposed_is_the_adjoint(case, spatial):
    """<conv(y), x> = <y, conv_transpose(x)> where no output padding is asked for."""
    stride, padding, dilation, output_padding = case
    x, w = random((2, *[5] * spatial, 4), mx.float64), random((3, *[3] * spatial, 4), mx.float64)
    transposed = getattr(mx, f"conv_transpose{spatial}d")
    kinds = (lambda v: v) if spatial == 1 else (lambda v: (v,) * spatial)
    out = transposed(x, w, kinds(stride), kinds(padding), kinds(dilation), kinds(output_padding))
    assert out.shape[1] == (5 - 1) * stride - 2 * padding + dilation * 2 + output_padding + 1
    lo = [dilation * 2 - padding] * spatial
    hi = [dilation * 2 - padding + output_padding] * spatial
    expected = reference(
        x, w, [1] * spatial, lo, hi, [dilation] * spatial, [stride] * spatial, 1, True
    )
    assert_close(out, expected, 1e-14, 4 * 3**spatial)
    if output_padding == 0:
        y = random(out.shape, mx.float64)
        back = mx.conv_general(
            y, w.swapaxes(0, -1), [stride] * spatial, [padding] * spatial, [dilation] * spatial
        )
        assert np.isclose(mx.sum(back * x).item(), mx.sum(out * y).item())


def test_transposed_with_groups():
    x, w = random((1, 5, 4)), random((6, 3, 2))
    out = mx.conv_transpose1d(x, w, stride=2, groups=2)
    assert_close(out, reference(x, w, [1], [2], [2], [1], [2], 2, True), 2e-6, 6)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient(case):
    x_shape, w_shape, options = case
    args = arguments(x_shape, options)
    inputs = [random(x_shape, mx.float64), random(w_shape, mx.float64)]
    check_gradient(lambda x, w: mx.conv_general(x, w, **args), inputs)


@pytest.mark.parametrize("case", [CASES[i] for i in (0, 5, 9, 11, 13)], ids=str)
def test_second_gradient(case):
    x_shape, w_shape, options = case
    args = arguments(x_shape, options)
    x, w = random(x_shape, mx.float64), random(w_shape, mx.float64)

    def weight_gradient(x, w):
        return mx.grad(lambda w: mx.square(mx.conv_general(x, w, **args)).sum())(w)

    def input_gradient(x, w):
        return mx.grad(lambda x: mx.square(mx.conv_general(x, w, **args)).sum())(x)

    check_gradient(weight_gradient, [x, w])
    check_gradient(input_gradient, [x, w])


@pytest.mark.parametrize("case", [CASES[i] for i in (0, 5, 11, 13)], ids=str)
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 2)], ids=str)
def test_vmap(case, axes):
    x_shape, w_shape, options = case
    args = arguments(x_shape, options)
    x, w = random((3, *x_shape), mx.float64), random((3, *w_shape), mx.float64)

    def f(x, w):
        return mx.conv_general(x, w, **args)

    def g(x, w):
        return mx.grad(lambda w: mx.square(f(x, w)).sum())(w)

    inputs = [
        v[0] if axis is None else mx.moveaxis(v, 0, axis)
        for v, axis in zip((x, w), axes, strict=True)
    ]
    for function in (f, g):
        expected = mx.stack(
            [
                function(x[i if axes[0] is not None else 0], w[i if axes[1] is not None else 0])
                for i in range(3)
            ]
        )
        out = mx.vmap(function, in_axes=axes)(*inputs)
        assert mx.allclose(out, expected, rtol=1e-10, atol=1e-10)


def test_empty_batch():
    x, w = mx.zeros((0, 5, 4)), mx.ones((3, 3, 4))
    assert mx.conv1d(x, w, padding=1).shape == (0, 5, 3)
    gradient = mx.grad(lambda w: mx.conv1d(x, w).sum())(w)
    assert mx.array_equal(gradient, mx.zeros_like(w))


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.conv1d(random((5, 2)), random((3, 3, 2))),
        lambda: mx.conv1d(random((1, 5, 2)), random((3, 3, 3))),
        lambda: mx.conv1d(random((1, 5, 2)), random((3, 2))),
        lambda: mx.conv1d(random((1, 5, 4)), random((3, 3, 2)), groups=2),
        lambda: mx.conv1d(random((1, 5, 4)), random((3, 3, 4)), groups=0),
        lambda: mx.conv1d(random((1, 2, 4)), random((3, 3, 4))),
        lambda: mx.conv1d(random((1, 0, 4)), random((3, 3, 4))),
        lambda: mx.conv1d(random((1, 5, 4)), random((3, 3, 4)), stride=0),
        lambda: mx.conv1d(random((1, 5, 4)), random((3, 3, 4)), dilation=0),
        lambda: mx.conv1d(mx.ones((1, 5, 4), mx.int32), mx.ones((3, 3, 4), mx.int32)),
        lambda: mx.conv1d(random((1, 5, 4)).astype(mx.complex64), random((3, 3, 4))),
        lambda: mx.conv2d(random((1, 5, 4)), random((3, 3, 4))),
        lambda: mx.conv_general(random((1, 5, 5, 4)), random((3, 3, 3, 4)), padding=[1, 1, 1]),
        lambda: mx.conv_transpose2d(random((1, 5, 4)), random((3, 3, 4))),
    ],
)
def test_errors_are_raised_by_the_call(call):
    with pytest.raises(ValueError, match=r"\[conv"):
        call()


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("dtype", ["bool_", "uint8", "int8", "int32", "int64", "complex64"])
@pytest.mark.parametrize("sizes", [(7, 3), (3, 7), (4, 4), (1, 1), (6, 1)])
def test_convolve_is_exact_for_integers(mode, dtype, sizes):
    rng = np.random.default_rng(0)
    a, v = (rng.integers(0, 2 if dtype == "bool_" else 1000, n).astype(dtype) for n in sizes)
    with np.errstate(over="ignore"):
        expected = np.convolve(a, v, mode)
    found = mx.convolve(mx.array(a), mx.array(v), mode=mode)
    assert found.dtype == getattr(mx, dtype)
    assert np.array(found).tolist() == expected.tolist()
