"""Evaluations of one structure again and again: what varies between them must reach the kernels."""

import mlx.core as mx
import numpy as np
import pytest

rng = np.random.default_rng(0)


def layers(x, weights):
    """Equal kernels for each layer, ended by sums that several kernels make."""
    for w, b in weights:
        x = mx.tanh(x * w) + b
        x = x - mx.max(x, axis=-1, keepdims=True)
    return x


def layers_numpy(x, weights):
    for w, b in weights:
        x = np.tanh(x * w) + b
        x = x - x.max(axis=-1, keepdims=True)
    return x


def random_weights(count, width):
    return [rng.standard_normal((2, width)).astype("f4") for _ in range(count)]


@pytest.mark.parametrize("count", [1, 3, 40, 90])
def test_arguments_change_from_run_to_run(count):
    models = [random_weights(count, 33) for _ in range(3)]
    on_device = [[(mx.array(w), mx.array(b)) for w, b in model] for model in models]
    held = []
    for run in range(12):
        rows = 1 + run % 3
        x = rng.standard_normal((rows, 33)).astype("f4")
        model = run % 5 % 3
        y = layers(mx.array(x), on_device[model])
        mx.async_eval(y)
        held.append((y, layers_numpy(x.astype("f8"), models[model])))
    for y, expected in held:
        np.testing.assert_allclose(y, expected, atol=2e-4)


def test_a_cache_grows_in_place():
    keys = mx.zeros((2, 8, 4))
    expected = np.zeros((2, 8, 4), "f4")
    state, state_expected = mx.zeros((2, 4)), np.zeros((2, 4), "f4")
    for step in range(8):
        new = rng.standard_normal((2, 1, 4)).astype("f4")
        keys[:, step : step + 1] = mx.array(new) * 2 + mx.expand_dims(state, 1)
        expected[:, step : step + 1] = new * 2 + state_expected[:, None]
        state = mx.mean(keys[:, : step + 1], axis=1)
        state_expected = expected[:, : step + 1].mean(1)
        mx.async_eval(state)
    np.testing.assert_allclose(keys, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(state, state_expected, rtol=1e-5, atol=1e-5)


def test_products_among_kernels():
    w = rng.standard_normal((5, 16, 16)).astype("f4") / 4
    weights = [mx.array(m) for m in w]
    for rows in (1, 1, 7, 1, 7, 7, 200):
        x = rng.standard_normal((rows, 16)).astype("f4")
        y, expected = mx.array(x), x.astype("f8")
        for m, n in zip(weights, w, strict=True):
            y = mx.sin(y @ m.T) + mx.max(y)
            expected = np.sin(expected @ n.T) + expected.max()
        np.testing.assert_allclose(y, expected, atol=1e-3)


def test_ops_alone_come_again():
    """Each is evaluated by itself, into memory that is sometimes the same and sometimes not."""
    w = rng.standard_normal((96, 80)).astype("f4") / 8
    weight, held = mx.array(w), []
    for run in range(24):
        x = rng.standard_normal(((64, 64, 9)[run % 3], 96)).astype("f4")
        given = mx.array(x)
        alone = [given @ weight, given * 2 + run, mx.sum(mx.broadcast_to(given, (200, *x.shape)))]
        expected = [x @ w.astype("f8"), x * 2.0 + run, 200 * x.sum(dtype="f8")]
        alone.append(mx.fft.fft2(given[:, :64]))
        expected.append(np.fft.fft2(x[:, :64]))
        for y in alone:
            mx.eval(y)
        for y, wanted in zip(alone, expected, strict=True):
            np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-3)
        if run % 4 == 1:
            held.append((alone, expected))
    for alone, expected in held:
        for y, wanted in zip(alone, expected, strict=True):
            np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-3)


def attention_step(x, w):
    """Products, attention, a cleared array and a copy, and a weight that is updated."""
    rows, width = x.shape
    q, k, v = (
        part.reshape(1, rows, 2, width // 2).transpose(0, 2, 1, 3)
        for part in mx.split(x @ w, 3, axis=-1)
    )
    y = mx.fast.scaled_dot_product_attention(q, k, v, scale=0.25, mask="causal")
    y = y.transpose(0, 2, 1, 3).reshape(rows, width)
    padded = mx.zeros((rows + 1, width), y.dtype).at[1:].add(y)
    return padded, w * 0.9 + (x.T @ mx.concatenate([y, y, y], axis=-1)) / (10 * rows)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16])
def test_a_step_with_state_is_repeated(dtype):
    step = mx.compile(attention_step)
    tolerance = 1e-3 if dtype == mx.float32 else 2e-2
    x, other = (mx.array(rng.standard_normal((64, 32)).astype("f4")).astype(dtype) for _ in "ab")
    w = mx.array(rng.standard_normal((32, 96)).astype("f4") / 8).astype(dtype)
    for run in range(12):
        given = other if run % 4 == 3 else x
        with mx.stream(mx.cpu):
            expected = attention_step(given.astype(mx.float32), w.astype(mx.float32))
            mx.eval(expected)
        made = step(given, w)
        mx.eval(made)
        for got, wanted in zip(made, expected, strict=True):
            error = np.abs(np.array(got.astype(mx.float32)) - np.array(wanted))
            assert error.max() <= tolerance * np.abs(wanted).max()
        w = made[1]


def test_grids_and_dtypes_change():
    for n in (5, 70000, 5, 1 << 20, 300, 70000):
        for dtype in (mx.float32, mx.int32, mx.float16):
            x = mx.arange(n, dtype=mx.int32) % 7
            y = x.astype(dtype)
            for _ in range(6):
                y = mx.cummax(y + 1)
            assert y.dtype == dtype
            top = mx.max(y).item()
            assert top == min(n - 1, 6) + 6, (n, dtype)
