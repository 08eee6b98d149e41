"""What only a GPU has, as programs that faults are tried on: transfers through pinned memory, recorded
kernels and captured work of libraries, blocks that several streams use, reports of kernels."""

from __future__ import annotations

import functools

import mlx.core as mx
import numpy as np
from injection import Pairs, Program
from programs import LARGE, PROGRAMS, SMALL

GPU_PROGRAMS: dict[str, Program] = {k: v for k, v in PROGRAMS.items() if k != "streams"}
WIDE = np.random.default_rng(2).standard_normal((1 << 20,)).astype(np.float32)
WHOLE = np.random.default_rng(3).integers(-3, 4, (2, 12, 12, 16))
"""Small whole numbers, of which half types lose none."""


def program(f: Program) -> Program:
    GPU_PROGRAMS[f.__name__] = f
    return f


@functools.cache
def other_stream() -> mx.Stream:
    """One for all runs: streams of CUDA stay."""
    return mx.new_stream(mx.gpu)


@program
def transfers() -> Pairs:
    """More than the ring of pinned chunks holds, there and back, and parts of what is there."""
    x = mx.array(WIDE)
    y = (x + 1).reshape(1024, 1024)
    mx.eval(y)
    n = (WIDE + 1).reshape(1024, 1024)
    return [(y, n), (y[5, ::7], n[5, ::7]), (y[:3, 9], n[:3, 9]), (x, WIDE)]


@program
def recorded() -> Pairs:
    """Lists of kernels that are replayed, short and long ones."""
    x = mx.arange(300, dtype=mx.float32)
    n = np.arange(300, dtype=np.float64)
    for _ in range(12):
        x, n = mx.cumsum(x) / 150, np.cumsum(n) / 150
        x, n = mx.sort(x)[::-1], np.sort(n)[::-1]
        x, n = x / mx.max(x), n / np.max(n)
    return [(x, n), (mx.sum(x), n.sum())]


@program
def captured() -> Pairs:
    """Kernels among products of a library, which are recorded by capture."""
    x, identity = mx.array(LARGE[:64, :64]), mx.eye(64)
    n = LARGE[:64, :64].astype(np.float64)
    for i in range(8):
        x, n = mx.sort(x, axis=i % 2) @ identity + 1, np.sort(n, axis=i % 2) + 1
    return [(x, n), (x.T @ identity, n.T)]


@program
def across() -> Pairs:
    """Streams of one GPU and the CPU wait for each other, and drop what others still use."""
    x, n = mx.array(SMALL), SMALL.astype(np.float64)
    for i in range(6):
        stream = (mx.default_stream(mx.gpu), other_stream(), mx.default_stream(mx.cpu))[i % 3]
        x, n = mx.sort(mx.add(x, 1, stream=stream), axis=0, stream=stream), np.sort(n + 1, axis=0)
        mx.async_eval(x)
    y = mx.multiply(x, 2, stream=other_stream())
    mx.async_eval(y)
    del x
    return [(y, 2 * n), (mx.sum(y), 2 * n.sum())]


@program
def reports() -> Pairs:
    """Kernels that may find a fault in their indices have a place to report it."""
    x, rows = mx.array(SMALL), mx.array([5, 0, 3])
    picked = x[rows]
    updated = mx.array(SMALL)
    updated[rows] = 7.0
    n = SMALL.copy()
    n[[5, 0, 3]] = 7
    return [(picked, SMALL[[5, 0, 3]]), (updated, n), (picked[mx.array([1])], SMALL[[0]])]


@program
def convolutions() -> Pairs:
    """Ours in float32, cuDNN's in half types."""
    pairs: Pairs = []
    n = WHOLE.astype(np.float64)
    inner = sum(n[:, i : i + 10, j : j + 10] for i in range(3) for j in range(3)).sum(-1)
    for dtype in (mx.float32, mx.bfloat16):
        x, ones = mx.array(WHOLE).astype(dtype), mx.ones((8, 3, 3, 16), dtype)
        y = mx.conv2d(x, ones)
        pairs.append((y[..., 3].astype(mx.float32), inner))
    return pairs


@program
def half_attention() -> Pairs:
    """Each query sees all that comes before it alike, so that no weight is rounded."""
    k = mx.array(np.tile(WHOLE.reshape(1, 2, 144, 16), 4)).astype(mx.bfloat16)
    q, v = mx.zeros_like(k), mx.ones_like(k)
    y = mx.fast.scaled_dot_product_attention(q, k, v, scale=0.125, mask="causal")
    return [(y.astype(mx.float32), np.ones((1, 2, 144, 64)))]


@program
def large_matrices() -> Pairs:
    """Solved by cuSOLVER, in memory that it is lent."""
    a = LARGE[:200, :200] + 40 * np.eye(200, dtype=np.float32)
    s = a @ a.T
    x = mx.array(a)
    q, r = mx.linalg.qr(x)
    return [
        (mx.linalg.solve(x, x), np.eye(200)),
        (mx.linalg.cholesky(mx.array(s)), np.linalg.cholesky(s.astype(np.float64))),
        (q.T @ q, np.eye(200)),
        (q @ r, a),
    ]


@program
def long_transforms() -> Pairs:
    n = WIDE[:9000].reshape(3, 3000)
    x = mx.fft.fft(mx.array(n))
    return [(mx.real(x) / 60, np.fft.fft(n).real / 60), (mx.real(mx.fft.ifft(x)), n)]


@program
def user_kernels() -> Pairs:
    kernel = mx.fast.cuda_kernel(
        name="doubled",
        input_names=["x"],
        output_names=["y"],
        source="y[threadIdx.x] = 2 * x[threadIdx.x];",
    )
    (y,) = kernel(
        inputs=[mx.array(SMALL.reshape(-1)) + 1],
        output_shapes=[(48,)],
        output_dtypes=[mx.float32],
        grid=(48, 1, 1),
        threadgroup=(48, 1, 1),
    )
    return [(y + 1, 2 * SMALL.reshape(-1) + 3)]
