"""Layers: outputs against NumPy, gradients, training mode, printing and bad input."""

import math

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map

rng = np.random.default_rng(5)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def close(a, b, tol=1e-5):
    np.testing.assert_allclose(np.array(a), np.array(b), rtol=tol, atol=tol)


def randomised(layer):
    """The layer with normal parameters, so that no bias is zero and no scale one."""
    return layer.update(
        tree_map(
            lambda p: mx.array(normal(*p.shape)) if p.dtype == mx.float32 else p, layer.parameters()
        )
    )


def check_gradients(layer, *inputs, tol=2e-2):
    """Compare the gradients of parameters and inputs with differences along random directions."""
    inputs = [mx.array(x) for x in inputs]
    weights = mx.array(normal(*layer(*inputs).shape))

    def loss(parameters, *inputs):
        layer.update(parameters)
        return (layer(*inputs) * weights).sum()

    arguments = (layer.trainable_parameters(), *inputs)
    grads = mx.grad(loss, argnums=list(range(len(arguments))))(*arguments)
    directions = tree_map(lambda a: mx.array(normal(*a.shape)), arguments)
    slope = sum(
        (g * d).sum().item()
        for (_, g), (_, d) in zip(tree_flatten(grads), tree_flatten(directions), strict=True)
    )
    step = 2e-3

    def along(t):
        y = layer.update(tree_map(lambda a, d: a + t * d, arguments[0], directions[0]))(
            *(a + t * d for a, d in zip(inputs, directions[1:], strict=True))
        )
        return (np.array(y).astype(np.float64) * np.array(weights)).sum()

    numeric = (along(step) - along(-step)) / (2 * step)
    layer.update(arguments[0])
    np.testing.assert_allclose(slope, numeric, rtol=tol, atol=tol)


# ------------------------------------------------------------------ linear


@pytest.mark.parametrize("lead", [(), (3,), (2, 3), (0,)])
@pytest.mark.parametrize("bias", [True, False])
def test_linear(lead, bias):
    layer = nn.Linear(5, 4, bias=bias)
    x = normal(*lead, 5)
    expected = x @ np.array(layer.weight).T + (np.array(layer.bias) if bias else 0)
    close(layer(mx.array(x)), expected)
    assert repr(layer) == f"Linear(input_dims=5, output_dims=4, bias={bias})"
    if lead == (3,):
        check_gradients(layer, x)


def test_linear_bounds_and_bad_input():
    layer = nn.Linear(100, 50)
    for value in (layer.weight, layer.bias):
        assert np.abs(np.array(value)).max() <= 0.1 and np.array(value).std() > 0.04
    with pytest.raises(ValueError):
        layer(mx.ones((2, 99)))


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_bilinear(lead):
    layer = nn.Bilinear(5, 4, 3)
    x, y = normal(*lead, 5), normal(*lead, 4)
    expected = np.einsum("...i,kji,...j->...k", x, np.array(layer.weight), y) + np.array(layer.bias)
    close(layer(mx.array(x), mx.array(y)), expected)
    assert repr(layer) == "Bilinear(input1_dims=5, input2_dims=4, output_dims=3, bias=True)"


def test_identity_and_sequential():
    x = mx.array(normal(2, 3))
    assert nn.Identity(1, any=2)(x) is x
    layer = nn.Linear(3, 2)
    close(nn.Sequential(layer, mx.tanh, nn.ReLU())(x), np.maximum(np.tanh(np.array(layer(x))), 0))


def test_embedding():
    layer = nn.Embedding(10, 4)
    ids = mx.array([[1, 9], [1, 0]])
    close(layer(ids), np.array(layer.weight)[np.array(ids)])
    close(layer.as_linear(mx.ones((2, 4))), np.ones((2, 4)) @ np.array(layer.weight).T)
    assert repr(layer) == "Embedding(10, 4)"
    _, grads = nn.value_and_grad(layer, lambda ids: layer(ids).sum())(ids)
    close(np.array(grads["weight"]).sum(1), [4, 8, 0, 0, 0, 0, 0, 0, 0, 4])


# ------------------------------------------------------------------ convolution


def pair(v, n):
    return (v,) * n if isinstance(v, int) else v


def convolved(x, w, stride=1, padding=0, dilation=1, groups=1):
    """Cross-correlation of (N, ..., C) with (O, ..., C / groups), one window at a time."""
    n = x.ndim - 2
    stride, padding, dilation = pair(stride, n), pair(padding, n), pair(dilation, n)
    x = np.pad(x, [(0, 0), *((p, p) for p in padding), (0, 0)])
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[1:-1], strict=True)]
    size = [(x.shape[i + 1] - reach[i]) // stride[i] + 1 for i in range(n)]
    y = np.zeros((x.shape[0], *size, w.shape[0]))
    ins, outs = x.shape[-1] // groups, w.shape[0] // groups
    for place in np.ndindex(*size):
        window = x[
            (
                slice(None),
                *(
                    slice(p * s, p * s + r, d)
                    for p, s, r, d in zip(place, stride, reach, dilation, strict=True)
                ),
            )
        ]
        for g in range(groups):
            part = window[..., g * ins : (g + 1) * ins].reshape(x.shape[0], -1)
            kernel = w[g * outs : (g + 1) * outs].reshape(outs, -1)
            y[(slice(None), *place, slice(g * outs, (g + 1) * outs))] = part @ kernel.T
    return y


def spread(x, w, stride=1, padding=0, dilation=1, output_padding=0):
    """Transposed convolution by adding each input entry times the kernel to the output."""
    n = x.ndim - 2
    stride, padding, dilation, extra = (
        pair(v, n) for v in (stride, padding, dilation, output_padding)
    )
    reach = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[1:-1], strict=True)]
    full = [(x.shape[i + 1] - 1) * stride[i] + reach[i] + extra[i] for i in range(n)]
    y = np.zeros((x.shape[0], *full, w.shape[0]))
    for place in np.ndindex(*x.shape[1:-1]):
        target = tuple(
            slice(p * s, p * s + r, d)
            for p, s, r, d in zip(place, stride, reach, dilation, strict=True)
        )
        y[(slice(None), *target)] += np.einsum("nc,o...c->n...o", x[(slice(None), *place)], w)
    crop = tuple(slice(p, y.shape[i + 1] - p) for i, p in enumerate(padding))
    return y[(slice(None), *crop)]


CONVOLUTIONS = [
    ("Conv1d", (4, 6, 3), (2, 9, 4), {}),
    ("Conv1d", (4, 6, 3), (2, 9, 4), {"stride": 2, "padding": 1}),
    ("Conv1d", (4, 6, 3), (2, 9, 4), {"groups": 2, "dilation": 2, "bias": False}),
    ("Conv2d", (3, 4, (3, 2)), (2, 7, 6, 3), {}),
    ("Conv2d", (4, 6, 3), (2, 7, 6, 4), {"stride": (2, 1), "padding": (1, 0)}),
    ("Conv2d", (4, 6, 3), (2, 7, 6, 4), {"groups": 2, "dilation": 2, "padding": 2}),
    ("Conv3d", (2, 3, 2), (2, 4, 5, 3, 2), {"stride": (2, 1, 1), "padding": (1, 0, 1)}),
]


@pytest.mark.parametrize("name, sizes, shape, settings", CONVOLUTIONS)
def test_convolutions(name, sizes, shape, settings):
    layer = randomised(getattr(nn, name)(*sizes, **settings))
    x = normal(*shape)
    plain = {k: v for k, v in settings.items() if k != "bias"}
    expected = convolved(x, np.array(layer.weight), **plain)
    if "bias" in layer:
        expected = expected + np.array(layer.bias)
    close(layer(mx.array(x)), expected, 1e-4)
    if name != "Conv3d":
        check_gradients(layer, x)


TRANSPOSED = [
    ("ConvTranspose1d", (4, 6, 3), (2, 5, 4), {}),
    ("ConvTranspose1d", (4, 6, 3), (2, 5, 4), {"stride": 2, "padding": 1, "output_padding": 1}),
    ("ConvTranspose2d", (3, 2, (3, 2)), (2, 4, 3, 3), {"stride": (2, 1), "dilation": (1, 2)}),
    ("ConvTranspose3d", (2, 3, 2), (1, 2, 3, 2, 2), {"bias": False, "stride": 2}),
]


@pytest.mark.parametrize("name, sizes, shape, settings", TRANSPOSED)
def test_transposed_convolutions(name, sizes, shape, settings):
    layer = randomised(getattr(nn, name)(*sizes, **settings))
    x = normal(*shape)
    plain = {k: v for k, v in settings.items() if k != "bias"}
    expected = spread(x, np.array(layer.weight), **plain)
    if "bias" in layer:
        expected = expected + np.array(layer.bias)
    close(layer(mx.array(x)), expected, 1e-4)


def test_convolutions_print_and_check_groups():
    assert repr(nn.Conv2d(4, 6, 3, groups=2)) == (
        "Conv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=(0, 0), "
        "dilation=1, groups=2, bias=True)"
    )
    assert repr(nn.ConvTranspose1d(2, 3, 4)) == (
        "ConvTranspose1d(2, 3, kernel_size=4, stride=1, padding=0, "
        "dilation=1, output_padding=0, bias=True)"
    )
    assert repr(nn.Conv3d(2, 3, 2)).startswith(
        "Conv3d(2, 3, kernel_size=(2, 2, 2), stride=(1, 1, 1)"
    )
    for make in (nn.Conv1d, nn.Conv2d):
        with pytest.raises(ValueError, match="divisible"):
            make(3, 4, 2, groups=2)


# ------------------------------------------------------------------ dropout


def test_dropout():
    layer = nn.Dropout(0.25)
    x = mx.ones((200, 50))
    y = np.array(layer(x))
    assert set(np.unique(y.round(4))) == {0.0, np.float32(1.3333)}
    assert abs((y == 0).mean() - 0.25) < 0.02
    np.testing.assert_array_equal(np.array(layer.eval()(x)), 1)
    np.testing.assert_array_equal(np.array(nn.Dropout(0.0)(x)), 1)
    mx.random.seed(7)
    close(nn.Dropout(0.5)(mx.ones((2, 6))), [[2, 2, 0, 2, 0, 2], [0, 2, 0, 2, 0, 2]])
    assert layer(mx.ones(3, mx.float16)).dtype == mx.float16


@pytest.mark.parametrize("make, dims", [(nn.Dropout2d, 2), (nn.Dropout3d, 3)])
@pytest.mark.parametrize("batch", [(), (20,)])
def test_channel_dropout(make, dims, batch):
    y = np.array(make(0.5)(mx.ones((*batch, *([2] * dims), 30))))
    flat = y.reshape(*batch, -1, 30)
    np.testing.assert_array_equal(flat, np.broadcast_to(flat[..., :1, :], flat.shape))
    assert {0.0, 2.0} == set(np.unique(y))
    with pytest.raises(ValueError, match="dimensions"):
        make(0.5)(mx.ones((2,)))


def test_dropout_probabilities():
    for make in (nn.Dropout, nn.Dropout2d, nn.Dropout3d):
        assert make().__repr__().endswith("(p=0.5)")
        for p in (1.0, -0.1):
            with pytest.raises(ValueError, match="probability"):
                make(p)


# ------------------------------------------------------------------ normalisation


def standardised(x, axes, eps=1e-5):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


def affine(layer, y):
    return y * np.array(layer.weight) + np.array(layer.bias)


def test_layer_norm_and_rms_norm():
    x = 3 * normal(4, 5, 6) + 1
    layer = randomised(nn.LayerNorm(6))
    close(layer(mx.array(x)), affine(layer, standardised(x, -1)), 1e-4)
    check_gradients(layer, x)
    close(nn.LayerNorm(6, affine=False, eps=0.1)(mx.array(x)), standardised(x, -1, 0.1), 1e-4)
    plain = nn.LayerNorm(6, bias=False)
    assert set(plain.parameters()) == {"weight"}
    close(plain(mx.array(x)), standardised(x, -1), 1e-4)
    layer = randomised(nn.RMSNorm(6))
    expected = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5) * np.array(layer.weight)
    close(layer(mx.array(x)), expected, 1e-4)
    check_gradients(layer, x)


def test_instance_norm():
    x = 3 * normal(2, 7, 5, 4) + 1
    close(nn.InstanceNorm(4)(mx.array(x)), standardised(x, (1, 2)), 1e-4)
    layer = randomised(nn.InstanceNorm(4, affine=True))
    close(layer(mx.array(x)), affine(layer, standardised(x, (1, 2))), 1e-4)
    assert nn.InstanceNorm(4).parameters() == {}


@pytest.mark.parametrize("shape", [(3, 6), (3, 5, 6), (3, 4, 5, 6)])
def test_group_norm(shape):
    x = 3 * normal(*shape) + 1
    split = x.reshape(3, -1, 2, 3)
    torch = standardised(split, (1, 3)).reshape(shape)
    layer = randomised(nn.GroupNorm(2, 6, pytorch_compatible=True))
    close(layer(mx.array(x)), affine(layer, torch), 1e-4)
    split = x.reshape(3, -1, 2)
    interleaved = standardised(split, 1).reshape(shape)
    close(nn.GroupNorm(2, 6, affine=False)(mx.array(x)), interleaved, 1e-4)
    if len(shape) == 3:
        check_gradients(layer, x)


@pytest.mark.parametrize("shape", [(8, 4), (3, 5, 4), (2, 3, 5, 4)])
def test_batch_norm(shape):
    layer = randomised(nn.BatchNorm(4, momentum=0.3))
    layer.running_var = mx.abs(layer.running_var)
    x = 3 * normal(*shape) + 1
    axes = tuple(range(len(shape) - 1))
    mean, var = np.array(layer.running_mean), np.array(layer.running_var)
    close(layer(mx.array(x)), affine(layer, standardised(x, axes)), 1e-4)
    mean = 0.7 * mean + 0.3 * x.mean(axes)
    var = 0.7 * var + 0.3 * x.var(axes, ddof=1)
    close(layer.running_mean, mean, 1e-4)
    close(layer.running_var, var, 1e-4)
    y = affine(layer.eval(), (x - mean) / np.sqrt(var + 1e-5))
    close(layer(mx.array(x)), y, 1e-4)
    close(layer.running_mean, mean, 1e-4)


def test_batch_norm_modes_and_bad_input():
    x = mx.array(normal(8, 4))
    free = nn.BatchNorm(4, affine=False, track_running_stats=False)
    assert free.parameters() == {}
    close(free(x), free.eval()(x))
    with pytest.raises(ValueError, match="more than one value"):
        nn.BatchNorm(4)(mx.ones((1, 4)))
    for shape in [(4,), (1, 1, 1, 1, 4)]:
        with pytest.raises(ValueError, match="2, 3 or 4 dimensions"):
            nn.BatchNorm(4)(mx.ones(shape))


def test_running_statistics_change_inside_gradients_and_compiled_steps():
    layer = nn.BatchNorm(2)
    x = mx.array(normal(8, 2) + 5)
    nn.value_and_grad(layer, lambda x: layer(x).sum())(x)
    close(layer.running_mean, 0.1 * np.array(x).mean(0), 1e-4)
    step = mx.compile(lambda x: layer(x), inputs=layer.state, outputs=layer.state)
    step(x)
    close(layer.running_mean, 0.19 * np.array(x).mean(0), 1e-4)


# ------------------------------------------------------------------ pooling


def pooled(x, reduce, kernel, stride, padding, value):
    n = x.ndim - 2
    x = np.pad(x, [(0, 0), *[(padding, padding)] * n, (0, 0)], constant_values=value)
    size = [(s - kernel) // stride + 1 for s in x.shape[1:-1]]
    y = np.zeros((x.shape[0], *size, x.shape[-1]), x.dtype)
    for place in np.ndindex(*size):
        window = x[(slice(None), *(slice(p * stride, p * stride + kernel) for p in place))]
        y[(slice(None), *place)] = reduce(window, axis=tuple(range(1, n + 1)))
    return y


@pytest.mark.parametrize("dims", [1, 2, 3])
@pytest.mark.parametrize(
    "kernel, stride, padding", [(2, 2, 0), (3, 3, 0), (3, 2, 1), (2, 1, 0), (2, 3, 0)]
)
def test_pooling(dims, kernel, stride, padding):
    x = normal(2, *(8, 6, 5)[:dims], 3)
    for kind, reduce, value in (("Max", np.max, -np.inf), ("Avg", np.mean, 0)):
        layer = getattr(nn, f"{kind}Pool{dims}d")(kernel, stride, padding)
        close(layer(mx.array(x)), pooled(x, reduce, kernel, stride, padding, value))
    if dims < 3:
        check_gradients(layer, x)
        permuted = rng.permutation(x.size).reshape(x.shape).astype(np.float32)  # no ties
        check_gradients(getattr(nn, f"MaxPool{dims}d")(kernel, stride, padding), permuted, tol=0.5)


def test_pooling_of_integers_views_and_ties():
    x = mx.array([[1, 5, 2, 4]]).reshape(1, 4, 1)
    assert nn.MaxPool1d(2, padding=1)(x).flatten().tolist() == [1, 5, 4]
    assert nn.MaxPool1d(3, 1)(-x).flatten().tolist() == [-1, -2]
    wide = normal(2, 3, 6, 6)
    view = mx.array(wide).transpose(0, 2, 3, 1)
    expected = pooled(wide.transpose(0, 2, 3, 1), np.max, 3, 2, 0, 0)
    close(nn.MaxPool2d(3, 2)(view), expected)
    assert nn.MaxPool2d(2)(mx.zeros((1, 1, 1, 3))).shape == (1, 0, 0, 3)
    grad = mx.grad(lambda x: nn.MaxPool1d(2)(x).sum())(mx.ones((1, 4, 1)))
    close(grad.flatten(), [0.5] * 4)


def test_pooling_settings():
    assert repr(nn.MaxPool2d(2, padding=(1, 0))) == (
        "MaxPool2d(kernel_size=(2, 2), stride=(2, 2), padding=(1, 0))"
    )
    assert nn.AvgPool1d((2,)).parameters() == {}
    for call in [
        lambda: nn.MaxPool1d(0),
        lambda: nn.MaxPool2d((2, 2, 2)),
        lambda: nn.AvgPool2d(2.5),
        lambda: nn.AvgPool3d(2, stride=-1),
        lambda: nn.MaxPool2d(2, padding=-1),
        lambda: nn.MaxPool2d(2)(mx.zeros((2, 4, 4))),
    ]:
        with pytest.raises(ValueError, match="Pool"):
            call()


# ------------------------------------------------------------------ positions


def rotated(x, dims, base=10000.0, scale=1.0, offset=0, traditional=False):
    positions = (np.arange(x.shape[-2]) + offset) * scale
    angles = positions[:, None] * base ** (-np.arange(0, dims, 2) / dims)
    a, b = (
        (x[..., 0:dims:2], x[..., 1:dims:2])
        if traditional
        else (x[..., : dims // 2], x[..., dims // 2 : dims])
    )
    c, s = np.cos(angles), np.sin(angles)
    y = x.copy()
    if traditional:
        y[..., 0:dims:2], y[..., 1:dims:2] = a * c - b * s, a * s + b * c
    else:
        y[..., : dims // 2], y[..., dims // 2 : dims] = a * c - b * s, a * s + b * c
    return y


@pytest.mark.skipif(not hasattr(mx.fast, "rope"), reason="needs mx.fast.rope")
def test_rope():
    x = normal(2, 3, 5, 8)
    close(nn.RoPE(8)(mx.array(x)), rotated(x, 8), 1e-4)
    layer = nn.RoPE(4, traditional=True, base=1000.0, scale=0.5)
    close(layer(mx.array(x), offset=3), rotated(x, 4, 1000.0, 0.5, 3, True), 1e-4)
    assert repr(layer) == "RoPE(4, traditional=True)"


def test_sinusoidal_encoding():
    positions = np.arange(5.0, dtype=np.float32)
    frequencies = np.exp(np.linspace(0, math.log(1e-4), 4))
    angles = positions[:, None] * frequencies
    layer = nn.SinusoidalPositionalEncoding(8)
    expected = np.concatenate([np.sin(angles), np.cos(angles)], -1) / 2
    close(layer(mx.array(positions)), expected, 1e-4)
    other = nn.SinusoidalPositionalEncoding(8, 0.1, 2.0, scale=1.0, cos_first=True, full_turns=True)
    angles = positions[:, None] * np.geomspace(2.0, 0.1, 4) * 2 * np.pi
    close(other(mx.array(positions)), np.concatenate([np.cos(angles), np.sin(angles)], -1), 1e-4)
    assert layer.parameters() == {}
    assert nn.SinusoidalPositionalEncoding(2)(mx.array([0])).shape == (1, 2)
    for dims in (7, 0):
        with pytest.raises(ValueError, match="even"):
            nn.SinusoidalPositionalEncoding(dims)


def test_alibi():
    slopes = 2.0 ** -np.arange(1, 9)
    distances = -np.abs(np.arange(3)[:, None] - np.arange(4))
    scores = normal(2, 8, 3, 4)
    close(nn.ALiBi()(mx.array(scores)), scores + distances * slopes[:, None, None])
    mask = normal(3, 4)
    close(
        nn.ALiBi()(mx.array(scores), mask=mx.array(mask)),
        scores + distances * slopes[:, None, None] + mask,
    )
    later = nn.ALiBi()(mx.zeros((1, 8, 1, 3)), offset=2)
    close(later[0, 0, 0], [-1, -0.5, 0])
    close(nn.ALiBi.create_alibi_slope(6).flatten(), [0.25, 0.0625, 2**-6, 2**-8, 0.5, 0.125])
    assert nn.ALiBi.create_alibi_matrix(3, 4, 2, dtype=mx.float16).dtype == mx.float16


# ------------------------------------------------------------------ recurrent


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def run_rnn(p, x, h):
    out = []
    for t in range(x.shape[-2]):
        h = np.tanh(x[..., t, :] @ p["Wxh"].T + h @ p["Whh"].T + p.get("bias", 0))
        out.append(h)
    return np.stack(out, -2)


def run_gru(p, x, h):
    out = []
    n = p["Wh"].shape[1]
    for t in range(x.shape[-2]):
        gx, gh = x[..., t, :] @ p["Wx"].T + p.get("b", 0), h @ p["Wh"].T
        r, z = np.split(sigmoid(gx[..., : 2 * n] + gh[..., : 2 * n]), 2, -1)
        new = np.tanh(gx[..., 2 * n :] + r * (gh[..., 2 * n :] + p.get("bhn", 0)))
        h = (1 - z) * new + z * h
        out.append(h)
    return np.stack(out, -2)


def run_lstm(p, x, h, c):
    hs, cs = [], []
    for t in range(x.shape[-2]):
        i, f, g, o = np.split(x[..., t, :] @ p["Wx"].T + h @ p["Wh"].T + p.get("bias", 0), 4, -1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        hs.append(h)
        cs.append(c)
    return np.stack(hs, -2), np.stack(cs, -2)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("lead", [(), (2,)])
def test_recurrent_layers(bias, lead):
    x, h, c = normal(*lead, 5, 3), normal(*lead, 4), normal(*lead, 4)
    zero = np.zeros_like(h)
    for make, run in ((nn.RNN, run_rnn), (nn.GRU, run_gru)):
        layer = make(3, 4, bias=bias)
        p = {k: np.array(v) for k, v in layer.parameters().items()}
        close(layer(mx.array(x)), run(p, x, zero), 1e-4)
        close(layer(mx.array(x), mx.array(h)), run(p, x, h), 1e-4)
        check_gradients(layer, x, h)
    layer = nn.LSTM(3, 4, bias=bias)
    p = {k: np.array(v) for k, v in layer.parameters().items()}
    for got, expected in zip(layer(mx.array(x)), run_lstm(p, x, zero, zero), strict=True):
        close(got, expected, 1e-4)
    states = layer(mx.array(x), mx.array(h), mx.array(c))
    for got, expected in zip(states, run_lstm(p, x, h, c), strict=True):
        close(got, expected, 1e-4)


def test_recurrent_settings():
    layer = nn.RNN(3, 4, nonlinearity=nn.relu)
    assert (np.array(layer(mx.array(normal(2, 5, 3)))) >= 0).all()
    assert (np.array(nn.RNN(3, 4, nonlinearity=nn.ReLU())(mx.array(normal(5, 3)))) >= 0).all()
    assert repr(nn.GRU(3, 4, bias=False)) == "GRU(input_dims=3, hidden_size=4, bias=False)"
    assert repr(nn.LSTM(3, 4)) == "LSTM(input_dims=3, hidden_size=4, bias=True)"
    assert nn.GRU(3, 4)(mx.ones((2, 0, 3))).shape == (2, 0, 4)
    with pytest.raises(ValueError, match="callable"):
        nn.RNN(3, 4, nonlinearity="tanh")
    with pytest.raises(ValueError):
        nn.RNN(3, 4)(mx.ones((2, 5, 2)))


# ------------------------------------------------------------------ attention

needs_attention = pytest.mark.skipif(
    not hasattr(mx.fast, "scaled_dot_product_attention"), reason="needs the attention op"
)


def attended(layer, q, k, v, mask=0.0):
    p = {name: np.array(x) for name, x in tree_flatten(layer.parameters())}

    def project(x, name):
        return x @ p[f"{name}.weight"].T + p.get(f"{name}.bias", 0)

    def heads(x):
        return x.reshape(*x.shape[:2], layer.num_heads, -1).transpose(0, 2, 1, 3)

    q, k, v = (heads(project(x, f"{n}_proj")) for x, n in ((q, "query"), (k, "key"), (v, "value")))
    scores = q @ k.transpose(0, 1, 3, 2) / math.sqrt(q.shape[-1]) + mask
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    y = (weights / weights.sum(-1, keepdims=True)) @ v
    return project(y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1), "out_proj")


@needs_attention
def test_multi_head_attention():
    layer = nn.MultiHeadAttention(8, 2, bias=True)
    x = normal(2, 5, 8)
    mask = nn.MultiHeadAttention.create_additive_causal_mask(5)
    a = mx.array(x)
    close(layer(a, a, a), attended(layer, x, x, x), 1e-4)
    close(layer(a, a, a, mask), attended(layer, x, x, x, np.array(mask)), 1e-4)
    other = nn.MultiHeadAttention(8, 2, 5, 6, 7, 4, 3)
    q, k, v = normal(2, 5, 5), normal(2, 3, 6), normal(2, 3, 7)
    y = other(mx.array(q), mx.array(k), mx.array(v))
    assert y.shape == (2, 5, 3)
    close(y, attended(other, q, k, v), 1e-4)
    check_gradients(other, q, k, v)


def test_attention_settings():
    assert nn.MultiHeadAttention(8, 2, key_input_dims=5).value_proj.weight.shape == (8, 5)
    with pytest.raises(ValueError, match="divisible"):
        nn.MultiHeadAttention(8, 3)
    mask = np.array(nn.MultiHeadAttention.create_additive_causal_mask(3))
    np.testing.assert_array_equal(mask < -3e38, np.triu(np.ones((3, 3)), 1) > 0)
    assert nn.MultiHeadAttention.create_additive_causal_mask(2, mx.float16).min().item() == -65504


@needs_attention
@pytest.mark.parametrize("norm_first", [True, False])
def test_transformer_layers(norm_first):
    x, memory = mx.array(normal(2, 5, 8)), mx.array(normal(2, 4, 8))
    mask = nn.MultiHeadAttention.create_additive_causal_mask(5)
    e = nn.TransformerEncoderLayer(8, 2, norm_first=norm_first, activation=nn.gelu)
    net = lambda layer, x: layer.linear2(nn.gelu(layer.linear1(x)))
    if norm_first:
        n = e.ln1(x)
        y = x + e.attention(n, n, n, mask)
        expected = y + net(e, e.ln2(y))
    else:
        y = e.ln1(x + e.attention(x, x, x, mask))
        expected = e.ln2(y + net(e, y))
    close(e(x, mask), expected)
    d = nn.TransformerDecoderLayer(8, 2, 12, norm_first=norm_first, activation=nn.gelu)
    if norm_first:
        n = d.ln1(x)
        y = x + d.self_attention(n, n, n, mask)
        y = y + d.cross_attention(d.ln2(y), memory, memory, None)
        expected = y + net(d, d.ln3(y))
    else:
        y = d.ln1(x + d.self_attention(x, x, x, mask))
        y = d.ln2(y + d.cross_attention(y, memory, memory, None))
        expected = d.ln3(y + net(d, y))
    close(d(x, memory, mask, None), expected)


@needs_attention
def test_transformers():
    x = mx.array(normal(2, 5, 8))
    model = nn.Transformer(8, 2, 1, 2, 12, dropout=0.1).eval()
    assert model(x, x, None, None, None).shape == (2, 5, 8)
    close(model(x, x, None, None, None), model.decoder(x, model.encoder(x, None), None, None))
    plain = nn.TransformerEncoder(2, 8, 2)
    saving = nn.TransformerEncoder(2, 8, 2, checkpoint=True)
    saving.update(plain.parameters())
    value, grads = nn.value_and_grad(plain, lambda x: plain(x, None).sum())(x)
    again, regrads = nn.value_and_grad(saving, lambda x: saving(x, None).sum())(x)
    close(value, again)
    for (name, a), (_, b) in zip(tree_flatten(grads), tree_flatten(regrads), strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-4, atol=1e-4, err_msg=name)
    own = nn.Transformer(8, 2, custom_encoder=plain, custom_decoder=nn.Identity())
    assert own.encoder is plain


# ------------------------------------------------------------------ upsampling

# What a line of three entries becomes, as a matrix, by mode, factor, align_corners and antialias.
LINES = {
    ("nearest", 2.0, False, False): [[1, 0, 0]] * 2 + [[0, 1, 0]] * 2 + [[0, 0, 1]] * 2,
    ("nearest", 2.5, False, False): [[1, 0, 0]] * 2 + [[0, 1, 0]] * 3 + [[0, 0, 1]] * 2,
    ("linear", 2.0, False, False): [
        [1, 0, 0], [0.75, 0.25, 0], [0.25, 0.75, 0], [0, 0.75, 0.25], [0, 0.25, 0.75], [0, 0, 1],
    ],
    ("linear", 2.0, True, False): [
        [1, 0, 0], [0.6, 0.4, 0], [0.2, 0.8, 0], [0, 0.8, 0.2], [0, 0.4, 0.6], [0, 0, 1],
    ],
    ("cubic", 2.0, False, False): [
        [1.10546875, -0.10546875, 0], [0.7734375, 0.26171875, -0.03515625],
        [0.2265625, 0.87890625, -0.10546875], [-0.10546875, 0.87890625, 0.2265625],
        [-0.03515625, 0.26171875, 0.7734375], [0, -0.10546875, 1.10546875],
    ],
    ("cubic", 2.0, True, False): [
        [1, 0, 0], [0.612, 0.46, -0.072], [0.176, 0.92, -0.096],
        [-0.096, 0.92, 0.176], [-0.072, 0.46, 0.612], [0, 0, 1],
    ],
    ("linear", 0.7, False, True): [[17 / 37, 17 / 37, 3 / 37], [3 / 37, 17 / 37, 17 / 37]],
    ("linear", 1.0, False, False): np.eye(3),
}  # fmt: skip


@pytest.mark.parametrize("setting", LINES)
def test_upsampling_a_line(setting):
    mode, factor, align_corners, antialias = setting
    layer = nn.Upsample(factor, mode, align_corners, antialias)
    y = layer(mx.eye(3)[None])[0]
    if antialias:
        np.testing.assert_allclose(np.array(y).sum(1), 1, rtol=1e-5)
        np.testing.assert_allclose(np.array(y)[::-1, ::-1], np.array(y), atol=1e-5)
    else:
        close(y, LINES[setting], 1e-5)


def test_shrinking():
    line = np.array(nn.Upsample(0.5, "linear", antialias=True)(mx.eye(6)[None])[0])
    close(line[0], [3 / 7, 3 / 7, 1 / 7, 0, 0, 0])
    close(line[1], [0, 0.125, 0.375, 0.375, 0.125, 0])
    line = np.array(nn.Upsample(0.5, "cubic", antialias=True)(mx.eye(6)[None])[0])
    close(line.sum(1), 1)
    for size, factor, places in [
        (6, 0.5, [0, 2, 4]),
        (7, 0.4, [0, 3]),
        (4, 1.3, [0, 1, 2, 2, 3]),
        (4, 1.7, [0, 0, 1, 2, 2, 3]),
        (4, 1.75, [0, 0, 1, 2, 2, 3, 3]),
    ]:
        close(nn.Upsample(factor)(mx.arange(size).reshape(1, size, 1)).flatten(), places)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_upsampling_images(mode):
    x = normal(2, 3, 4, 2)
    rows = np.array(nn.Upsample(2.0, mode)(mx.eye(3)[None])[0])
    columns = np.array(nn.Upsample(1.5, mode)(mx.eye(4)[None])[0])
    layer = nn.Upsample((2.0, 1.5), mode)
    close(layer(mx.array(x)), np.einsum("ai,bj,nijc->nabc", rows, columns, x), 1e-4)
    check_gradients(layer, x)


def test_upsampling_settings():
    assert repr(nn.Upsample(2, "linear")) == (
        "Upsample(scale_factor=2.0, mode='linear', align_corners=False)"
    )
    assert repr(nn.Upsample(0.5, "cubic", antialias=True)).endswith("antialias=True)")
    for call in [
        lambda: nn.Upsample(2, "spline"),
        lambda: nn.Upsample(2, antialias=True),
        lambda: nn.Upsample(2, "linear", align_corners=True, antialias=True),
        lambda: nn.Upsample(2)(mx.ones((2, 2))),
        lambda: nn.Upsample((2, 2))(mx.ones((1, 2, 2))),
    ]:
        with pytest.raises(ValueError, match="Upsample"):
            call()


# ------------------------------------------------------------------ quantized

needs_quantize = pytest.mark.skipif(not hasattr(mx, "quantize"), reason="needs mx.quantize")


@needs_quantize
@pytest.mark.parametrize("bits, tolerance", [(4, 0.15), (8, 0.01)])
def test_quantized_layers_are_near_the_plain_ones(bits, tolerance):
    linear, embedding = nn.Linear(64, 32), nn.Embedding(16, 64)
    x = mx.array(normal(3, 64))
    close(linear.to_quantized(bits=bits)(x), linear(x), 3 * tolerance)
    ids = mx.array([[1, 2], [0, 15]])
    close(embedding.to_quantized(bits=bits)(ids), embedding(ids), tolerance)
    close(embedding.to_quantized(bits=bits).as_linear(x), embedding.as_linear(x), 6 * tolerance)


@needs_quantize
def test_quantized_settings_and_freezing():
    layer = nn.QuantizedLinear(64, 32)
    assert repr(layer) == (
        "QuantizedLinear(input_dims=64, output_dims=32, bias=True, "
        "group_size=64, bits=4, mode=affine)"
    )
    assert layer.weight.shape == (32, 8) and layer.scales.shape == (32, 1)
    assert layer.trainable_parameters() == {}
    kept = nn.Linear(64, 32).to_quantized(group_size=32, bits=8)
    assert (kept.group_size, kept.bits) == (32, 8)
    assert set(kept.trainable_parameters()) == {"bias"}
    with pytest.raises(ValueError, match="mode"):
        nn.QuantizedLinear(64, 32, mode="ternary")
    with pytest.raises(ValueError, match="activations"):
        nn.Linear(64, 32, bias=False).to_quantized(quantize_input=True)
    with pytest.raises(ValueError, match="input"):
        nn.Embedding(4, 64).to_quantized(quantize_input=True)
    with pytest.raises(NotImplementedError, match="bias"):
        nn.Linear(64, 32).to_quantized(mode="nvfp4", quantize_input=True)


@needs_quantize
def test_quantize_a_model():
    def model():
        return nn.Sequential(nn.Embedding(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.Linear(64, 3))

    def kinds(model):
        return [type(layer).__name__ for layer in model.layers]

    m = model()
    nn.quantize(m, 32, 8)
    assert kinds(m) == ["QuantizedEmbedding", "ReLU", "QuantizedLinear", "QuantizedLinear"]
    assert m.layers[2].group_size == 32 and m.layers[2].bits == 8
    m = model()
    nn.quantize(m, class_predicate=lambda path, module: path == "layers.2")
    assert kinds(m) == ["Embedding", "ReLU", "QuantizedLinear", "Linear"]
    m = model()
    nn.quantize(m, class_predicate=lambda p, x: {"bits": 8} if isinstance(x, nn.Linear) else False)
    assert kinds(m)[2:] == ["QuantizedLinear"] * 2 and m.layers[3].bits == 8
    with pytest.raises(ValueError, match="Unable to quantize"):
        nn.quantize(model(), class_predicate=lambda path, module: True)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
@pytest.mark.parametrize(
    "layer",
    [nn.InstanceNorm(8), nn.GroupNorm(2, 8), nn.GroupNorm(2, 8, pytorch_compatible=True), nn.log_softmax],
)  # fmt: skip
def test_half_types_are_exact_inside(layer, dtype):
    x = (mx.arange(128).reshape(2, 8, 8) * 37 % 101 / 7 + 100).astype(dtype)
    got, want = (layer(v).astype(mx.float32) for v in (x, x.astype(mx.float32)))
    step = mx.finfo(dtype).eps * mx.maximum(1, mx.abs(want))
    assert (mx.abs(got - want) <= step).all().item()
