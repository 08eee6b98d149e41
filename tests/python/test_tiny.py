"""One look at every family, in seconds: what to run after each small change, and under sanitizers.

pytest -m tiny
"""

import threading

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten

pytestmark = pytest.mark.tiny


def close(a, b, tol=1e-5):
    np.testing.assert_allclose(np.array(a), b, rtol=tol, atol=tol)


def normal(*shape):
    return np.random.standard_normal(shape).astype(np.float32)


def test_a_chain_of_elementwise_ops():
    a, b = normal(37, 19), normal(19)
    x, y = mx.array(a), mx.array(b)
    close(mx.exp(-x * x) + mx.sin(y) / 2, np.exp(-a * a) + np.sin(b) / 2)
    close(mx.where(x > y, x, y), np.maximum(a, b))
    assert mx.array_equal(mx.array([7, -7]) // 2, mx.array([3, -4]))


def test_reductions():
    a = normal(5, 33, 4)
    x = mx.array(a)
    close(x.sum(axis=(0, 2)), a.sum(axis=(0, 2)))
    close(mx.var(x, axis=1), a.var(axis=1))
    close(mx.logsumexp(x), np.log(np.exp(a).sum()))
    assert mx.argmax(x).item() == a.argmax()


def test_shapes_and_views():
    a = normal(4, 6, 5)
    x = mx.array(a)
    close(x.transpose(2, 0, 1).reshape(10, -1), a.transpose(2, 0, 1).reshape(10, -1))
    close(
        mx.concatenate([x[:, ::2], x[:, ::-1]], axis=1), np.concatenate([a[:, ::2], a[:, ::-1]], 1)
    )
    close(mx.pad(x, ((0, 0), (1, 2), (0, 0))), np.pad(a, ((0, 0), (1, 2), (0, 0))))


def test_indexing_reads_and_writes():
    a = normal(6, 7)
    x = mx.array(a)
    rows = [4, 0, 4]
    close(x[mx.array(rows), 1:], a[rows, 1:])
    x[1, ::3] = 5.0
    a[1, ::3] = 5.0
    close(x, a)
    close(x.at[mx.array(rows)].add(1.0), a + np.bincount(rows, minlength=6)[:, None])
    with pytest.raises(IndexError):
        x[6]


def test_products_and_softmax():
    a, b = normal(3, 20, 31), normal(31, 17)
    close(mx.array(a) @ mx.array(b), a @ b, 1e-4)
    e = np.exp(a - a.max(-1, keepdims=True))
    close(mx.softmax(mx.array(a), axis=-1), e / e.sum(-1, keepdims=True))


def test_quantized_products():
    x, w = normal(3, 128), normal(4, 40, 128)
    for mode in ("affine", "mxfp4", "mxfp8", "nvfp4"):
        q = mx.quantize(mx.array(w), mode=mode)
        values = np.array(mx.dequantize(*q, mode=mode, dtype=mx.float32))
        assert np.abs(values - w).max() < 1
        expected = x @ values.swapaxes(-1, -2)
        close(mx.quantized_matmul(mx.array(x), *q, mode=mode), expected, 1e-4)
        picked = mx.gather_qmm(mx.array(x), *q, rhs_indices=mx.array([2, 0]), mode=mode)
        close(picked, expected[[2, 0]], 1e-4)


def test_convolution_and_pooling():
    x, w = normal(2, 9, 8, 3), normal(4, 3, 3, 3)
    want = np.zeros((2, 7, 6, 4), np.float32)
    for i in range(3):
        for j in range(3):
            want += x[:, i : i + 7, j : j + 6] @ w[:, i, j].T
    close(mx.conv2d(mx.array(x), mx.array(w)), want, 1e-4)
    close(nn.MaxPool2d(2, 2)(mx.array(x)), x[:, :8].reshape(2, 4, 2, 4, 2, 3).max((2, 4)))


def test_sort_scan_and_random():
    a = normal(50)
    close(mx.sort(mx.array(a)), np.sort(a))
    close(mx.cumsum(mx.array(a)), np.cumsum(a), 1e-4)
    key = mx.random.key(3)
    assert mx.array_equal(mx.random.normal((100,), key=key), mx.random.normal((100,), key=key))


def test_transforms():
    a = normal(8)
    x = mx.array(a)

    def f(v):
        return (mx.tanh(v) ** 2).sum()

    want = 2 * np.tanh(a) * (1 - np.tanh(a) ** 2)
    close(mx.grad(f)(x), want)
    close(mx.compile(mx.grad(f))(x), want)
    close(mx.vmap(mx.grad(f))(mx.stack([x, 2 * x]))[0], want)


def test_save_and_load(tmp_path):
    path = str(tmp_path / "arrays.safetensors")
    arrays = {"a": mx.array(normal(3, 4)), "b": mx.arange(5)}
    mx.save_safetensors(path, arrays)
    loaded = mx.load(path)
    assert all(mx.array_equal(loaded[k], v) for k, v in arrays.items())


def test_a_compiled_training_step_learns():
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 1))
    optimizer = optim.AdamW(learning_rate=0.02)
    x = mx.array(normal(64, 2))
    y = x[:, :1] - 2 * x[:, 1:]
    loss_and_grad = nn.value_and_grad(model, lambda x, y: nn.losses.mse_loss(model(x), y))
    state = [model.state, optimizer.state]

    def step(x, y):
        loss, grads = loss_and_grad(x, y)
        optimizer.update(model, grads)
        return loss

    step = mx.compile(step, inputs=state, outputs=state)
    losses = []
    for _ in range(60):
        losses.append(step(x, y).item())
    assert losses[-1] < 0.1 * losses[0]
    assert len(tree_flatten(model.parameters())) == 4


def test_streams_and_threads():
    x = mx.array(normal(64, 64))
    streams = [mx.new_stream(mx.cpu) for _ in range(3)]
    parts = [mx.exp(x, stream=s) for s in streams]
    mx.async_eval(parts)
    close(sum(parts), 3 * np.exp(np.array(x)), 1e-4)

    results = {}

    def work(i):
        with mx.stream(mx.new_stream(mx.cpu)):
            results[i] = np.array((mx.full((100, 100), i) + 1).sum())

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [int(results[i]) for i in range(4)] == [10_000 * (i + 1) for i in range(4)]


def test_mistakes_raise():
    with pytest.raises(ValueError, match="add"):
        mx.zeros((2, 3)) + mx.zeros((4, 3))
    with pytest.raises((ValueError, IndexError)):
        mx.sum(mx.zeros((2, 3)), axis=5)
    with pytest.raises(ValueError):
        mx.grad(lambda x: x)(mx.zeros((2,)))
