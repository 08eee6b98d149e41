"""Programs that faults are tried on: each builds arrays and says what NumPy has for them."""

from __future__ import annotations

import contextlib
import threading

import mlx.core as mx
import numpy as np
from injection import Pairs, Program

PROGRAMS: dict[str, Program] = {}
rng = np.random.default_rng(0)
SMALL = rng.standard_normal((6, 8)).astype(np.float32)
SQUARE = (rng.standard_normal((3, 5, 5)) + 6 * np.eye(5)).astype(np.float32)
LARGE = rng.standard_normal((700, 600)).astype(np.float32)


def program(f: Program) -> Program:
    PROGRAMS[f.__name__] = f
    return f


@program
def graph() -> Pairs:
    x = mx.array(SMALL)
    y = mx.exp(x) + 1
    z = mx.sum(y, axis=0) * mx.max(x)
    parts = mx.split(y, 2, axis=1)
    ny = np.exp(SMALL) + 1
    return [
        (z, ny.sum(0) * SMALL.max()),
        (y.T @ y, ny.T @ ny),
        (mx.concatenate(parts[::-1], axis=1), np.roll(ny, 4, axis=1)),
        (mx.cumsum(x, axis=1), np.cumsum(SMALL, axis=1)),
        (mx.softmax(x, axis=-1).sum(axis=-1), np.ones(6)),
    ]


@program
def large() -> Pairs:
    x = mx.array(LARGE)
    y = mx.tanh(x) * 2
    return [(y, np.tanh(LARGE) * 2), (mx.sum(y.T), np.sum(np.tanh(LARGE) * 2, dtype=np.float64))]


@program
def compiled() -> Pairs:
    f = mx.compile(lambda a, b: [mx.sin(a) * b, mx.mean(a - b)])
    x = mx.array(SMALL)
    return [
        *zip(f(x, x + 1), [np.sin(SMALL) * (SMALL + 1), np.float32(-1)], strict=True),
        *zip(f(x, x * 2), [np.sin(SMALL) * SMALL * 2, np.mean(-SMALL)], strict=True),
    ]


@program
def gradient() -> Pairs:
    w, x = mx.array(SMALL), mx.array(SMALL[:, ::-1].copy())
    value, grads = mx.value_and_grad(lambda w, x: mx.sum((w * x) ** 2), argnums=(0, 1))(w, x)
    other = SMALL[:, ::-1]
    pushed = mx.jvp(lambda w: mx.sum(mx.sin(w)), [w], [mx.ones_like(w)])[1][0]
    batched = mx.vmap(lambda row: row @ row)(w)
    return [
        (value, np.sum((SMALL * other) ** 2)),
        (grads[0], 2 * SMALL * other**2),
        (grads[1], 2 * SMALL**2 * other),
        (pushed, np.cos(SMALL).sum()),
        (batched, (SMALL**2).sum(1)),
        (mx.grad(mx.checkpoint(lambda a: mx.sum(mx.exp(a) * a)))(w), np.exp(SMALL) * (SMALL + 1)),
    ]


@program
def fourier() -> Pairs:
    x = mx.array(LARGE[:40, :60])
    n = LARGE[:40, :60]
    f = np.fft.rfft(n).astype(np.complex64)
    return [
        (mx.abs(mx.fft.rfft(x)), np.abs(f)),
        (mx.fft.irfft(mx.fft.rfft(x)), n),
        (mx.abs(mx.fft.fft(x[0, :59])), np.abs(np.fft.fft(n[0, :59]))),
    ]


@program
def sorting() -> Pairs:
    x = mx.array(SMALL)
    long = mx.array(LARGE.reshape(-1)[:50_000])
    return [
        (mx.sort(x, axis=1), np.sort(SMALL, axis=1)),
        (mx.argsort(x, axis=0), np.argsort(SMALL, axis=0)),
        (mx.topk(x, 1, axis=1), np.max(SMALL, axis=1, keepdims=True)),
        (mx.sort(long), np.sort(LARGE.reshape(-1)[:50_000])),
    ]


@program
def linalg() -> Pairs:
    a = mx.array(SQUARE)
    s = SQUARE @ SQUARE.transpose(0, 2, 1)
    q, r = mx.linalg.qr(a)
    spd = mx.array(s)
    return [
        (mx.linalg.inv(a), np.linalg.inv(SQUARE)),
        (mx.linalg.solve(a, a), np.broadcast_to(np.eye(5), (3, 5, 5))),
        (mx.linalg.cholesky(spd), np.linalg.cholesky(s)),
        (q @ r, SQUARE),
        (mx.linalg.svd(a)[1], np.linalg.svd(SQUARE)[1]),
        (mx.linalg.eigvalsh(spd), np.linalg.eigvalsh(s)),
    ]


@program
def products() -> Pairs:
    a, b = mx.array(LARGE[:200, :300]), mx.array(LARGE[:300, :150])
    n = LARGE[:200, :300].astype(np.float64) @ LARGE[:300, :150]
    k = mx.arange(12).reshape(3, 4)
    x = mx.array(SMALL.reshape(1, 6, 8, 1))
    ones = mx.ones((1, 3, 3, 1))
    inner = sum(SMALL[i : i + 4, j : j + 6] for i in range(3) for j in range(3))
    return [
        ((a @ b).astype(mx.float32), n),
        (mx.addmm(mx.array(1.0), a, b, alpha=2.0), 1 + 2 * n),
        (k @ k.T, np.arange(12).reshape(3, 4) @ np.arange(12).reshape(3, 4).T),
        (mx.conv2d(x, ones), inner.reshape(1, 4, 6, 1)),
    ]


@program
def quantized() -> Pairs:
    w = mx.array(np.repeat(np.arange(4, dtype=np.float32), 16).reshape(1, 64))
    packed = mx.quantize(w, group_size=64, bits=4)
    x = mx.ones((2, 64))
    y = mx.quantized_matmul(x, *packed, group_size=64, bits=4)
    return [(mx.dequantize(*packed, group_size=64, bits=4), np.array(w)), (y, np.full((2, 1), 96))]


@program
def attention() -> Pairs:
    q = mx.array(LARGE[:8, :64].reshape(1, 2, 4, 64))
    v = mx.ones((1, 2, 4, 64))
    return [
        (mx.fast.scaled_dot_product_attention(q, q, v, scale=0.1), np.ones((1, 2, 4, 64))),
        (mx.fast.rms_norm(mx.ones((3, 16)), mx.ones(16), 0.0), np.ones((3, 16))),
    ]


@program
def updates() -> Pairs:
    x, n = mx.array(SMALL), SMALL.copy()
    x[1:3] = 5
    n[1:3] = 5
    x[mx.array([0, 4]), 2] += 1
    n[[0, 4], 2] += 1
    mx.eval(x)
    kept = x[0] * 1
    x += 1
    picked = mx.take(x, mx.array([5, 0]), axis=0)
    scattered = mx.zeros((6, 8)).at[mx.array([1, 1])].add(mx.ones((2, 8)))
    twice = np.zeros((6, 8))
    twice[1] = 2
    return [(x, n + 1), (kept, n[0]), (picked, (n + 1)[[5, 0]]), (scattered, twice)]


@program
def streams() -> Pairs:
    first, second = mx.new_stream(mx.cpu), mx.new_stream(mx.cpu)
    x = mx.array(SMALL)
    a = mx.exp(x, stream=first)
    b = mx.add(a, 1, stream=second)
    c = mx.multiply(a, b, stream=first)
    mx.async_eval(c)
    d = mx.sum(c, stream=second)
    n = np.exp(SMALL) * (np.exp(SMALL) + 1)
    return [(c, n), (d, n.sum()), (b, np.exp(SMALL) + 1)]


@program
def asynchronous() -> Pairs:
    x = mx.array(SMALL)
    n = SMALL
    for _ in range(5):
        x, n = x * 0.5 + 1, n * 0.5 + 1
        mx.async_eval(x)
    return [(x, n), (mx.sum(x), n.sum())]


@program
def threads() -> Pairs:
    shared = mx.exp(mx.array(SMALL)) + 1
    out: list[mx.array] = []

    def work(i: int) -> None:
        with contextlib.suppress(RuntimeError, MemoryError):  # raised again for who looks at `out`
            out.append(mx.sum(shared * i, axis=0))
            mx.eval(out[-1])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    total = (np.exp(SMALL) + 1).sum(0)
    return [(sum(out, mx.zeros(8)), total * 3)] if len(out) == 3 else []


@program
def conversions() -> Pairs:
    x = mx.array(SMALL)[:, ::2]
    y = mx.array((x + 1).tolist())
    z = mx.array(np.asarray(memoryview(x * 2)))
    w = mx.from_dlpack(x + 3) if hasattr(mx, "from_dlpack") else x + 3
    assert "array(" in repr(x * 1)
    one = mx.sum(mx.ones(3)).item()
    n = SMALL[:, ::2]
    return [(y, n + 1), (z, n * 2), (w, n + 3), (mx.array(one), np.float32(3))]


@program
def randomness() -> Pairs:
    key = mx.random.key(3)
    a = mx.random.normal((4, 5), key=key)
    keys = mx.random.split(key, 2)
    return [
        (a, np.array(mx.random.normal((4, 5), key=key))),
        (keys, np.array(mx.random.split(key))),
    ]


@program
def profiled() -> Pairs:
    with mx.profiler.trace() as steps:
        y = mx.sort(mx.array(SMALL) + 1, axis=1) * 2
        mx.eval(y)
    assert all(step["duration"] >= 0 for step in steps)
    return [(y, 2 * np.sort(SMALL + 1, axis=1))]


@program
def checked() -> Pairs:
    """Each step is looked at for the first NaN."""
    mx.set_debug(nan_checks=True)
    try:
        y = mx.softmax(mx.array(SMALL) * 2, axis=1)
        mx.eval(y)
    finally:
        mx.set_debug(nan_checks=False)
    e = np.exp(2 * SMALL)
    return [(y, e / e.sum(1, keepdims=True))]
