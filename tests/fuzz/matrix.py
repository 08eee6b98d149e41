"""Statements of matrix products and what is built on them: convolutions, transforms, solvers."""

from __future__ import annotations

import departures
import numpy as np
from elementwise import promoted
from generate import Generator
from reduce import bounded
from values import COMPLEX, LARGEST, Want, is_inexact, rounded

FLOATS = ["float16", "bfloat16", "float32", "float64"]
PRODUCTS = [*FLOATS, "float32", "float32", "complex64", "complex128", "int32"]


def product(a: np.ndarray, b: np.ndarray, dtype: str, f=np.matmul) -> Want:
    """A product with the error of its sums, in whatever order they are taken."""
    if not is_inexact(dtype):
        return Want(f(a, b).astype(dtype))
    n = a.shape[-1]
    magnitude = f(np.abs(a), np.abs(b))
    return Want(f(a, b), bounded(magnitude, dtype, 2 * n + 8) + flushed(a, b, dtype, f))


def flushed(a: np.ndarray, b: np.ndarray, dtype: str, f=np.matmul) -> np.ndarray | float:
    """What products may lack since the factors that are not normal count as zero."""
    small = departures.PRODUCTS_FLUSH.get(dtype)
    if small is None:
        return 0.0
    lost = f(parts_below(a, small), np.abs(b)) + f(np.abs(a), parts_below(b, small))
    return np.where(np.isfinite(lost), 4 * lost, np.inf) + small * 4 * (a.shape[-1] + 1)


def parts_below(x: np.ndarray, small: float) -> np.ndarray:
    """The sizes of real and imaginary parts that are smaller, added, and zero elsewhere."""
    sizes = np.abs(x.real), np.abs(x.imag)
    return sum(np.where(size < small, size, 0) for size in sizes)


def matmul(g: Generator) -> None:
    dtype = g.choice(PRODUCTS)
    k = g.choice([0, 1, 2, 3, 8, 17, 64])
    a = g.any(
        [dtype],
        lambda s: len(s) >= 1 and s[-1] <= 300,
        lambda: lead(g, (g.choice([1, 2, 5, 33]), k)),
    )
    shape = g.shape(a)
    k, n = shape[-1], g.choice([0, 1, 2, 5, 16, 40])
    batch = shape[:-2] if g.chance(0.4) else tuple(1 for _ in shape[:-2]) if g.chance(0.5) else ()
    b = g.new(dtype, (k,) if g.chance(0.15) else (*batch, k, n))
    if g.chance(0.4) and len(g.shape(b)) >= 2:
        b = g.put(
            f"mx.swapaxes({g.new(dtype, (*batch, n, k))}, -1, -2)",
            [f"x{g.count - 1}"],
            dtype,
            lambda v: v.swapaxes(-1, -2),
        )
    g.put(f"{a} @ {b}", [a, b], dtype, lambda a, b: product(a, b, dtype), smooth=True)


def lead(g: Generator, shape: tuple[int, ...]) -> tuple[int, ...]:
    return (g.choice([1, 2, 3]), *shape) if g.chance(0.3) else shape


def addmm(g: Generator) -> None:
    dtype = g.choice(FLOATS)
    m, k, n = g.choice([1, 4, 20]), g.choice([1, 5, 64]), g.choice([1, 6, 32])
    a, b = g.new(dtype, lead(g, (m, k))), g.new(dtype, (k, n))
    c = g.new(dtype, g.choice([(n,), (m, n), (1, n), (m, 1), ()]))
    alpha, beta = g.choice([1.0, 0.5, -2.0]), g.choice([1.0, 2.0, 0.0])

    def reference(c: np.ndarray, a: np.ndarray, b: np.ndarray) -> Want:
        y = alpha * (a @ b) + beta * c
        size = abs(alpha) * (np.abs(a) @ np.abs(b)) + np.abs(beta * c)
        lost = abs(alpha) * flushed(a, b, dtype)
        return Want(y, bounded(size, dtype, 2 * k + 12) + lost)

    expr = f"mx.addmm({c}, {a}, {b}, alpha={alpha}, beta={beta})"
    g.put(expr, [c, a, b], dtype, reference, smooth=True)


def with_epilogue(g: Generator) -> None:
    """A product, a bias and a kink, as a layer has them."""
    dtype = g.choice(["float32", "float64"])
    m, k, n = g.choice([1, 7, 40]), g.choice([3, 16, 70]), g.choice([1, 8, 33])
    x, w, b = g.new(dtype, (m, k)), g.new(dtype, (n, k)), g.new(dtype, (n,))

    def reference(x: np.ndarray, w: np.ndarray, b: np.ndarray) -> Want:
        want = product(x, w.T, dtype)
        size = np.abs(x) @ np.abs(w.T) + np.abs(b)
        slack = bounded(size, dtype, 2 * k + 12) + flushed(x, w.T, dtype)
        return Want(np.maximum(want.value + b, 0), slack)

    expr = f"mx.maximum({x} @ {w}.T + {b}, 0)"
    g.put(expr, [x, w, b], dtype, reference, smooth=True)


def contraction(g: Generator) -> None:
    dtype = g.choice(["float32", "float64", "float16"])
    a = g.new(dtype, (g.choice([1, 3]), g.choice([2, 5]), g.choice([1, 4])))
    i, j, k = g.shape(a)
    spec, other = g.choice(
        [
            ("ijk,jk->i", (j, k)),
            ("ijk,kl->lij", (k, 3)),
            ("ijk,ijk->k", (i, j, k)),
            ("ijk,l->kl", (2,)),
        ]
    )
    b = g.new(dtype, other)

    def reference(a: np.ndarray, b: np.ndarray) -> Want:
        size = np.einsum(spec, np.abs(a), np.abs(b))
        slack = bounded(size, dtype, 2 * a.size + 8) * loose(dtype)
        slack = slack + a.size * flushed(a, b, dtype, lambda a, b: np.einsum(spec, a, b))
        # Sums over axes of one operand alone may be taken first, and then be beyond the largest.
        first = np.abs(a).sum((0, 1)) if spec == "ijk,l->kl" else np.zeros(())
        return Want(np.einsum(spec, a, b), slack, free=~(first < LARGEST[dtype] / 2).all())

    g.put(f"mx.einsum({spec!r}, {a}, {b})", [a, b], dtype, reference, smooth=True)


def loose(dtype: str) -> float:
    """Room for intermediate values that are rounded to a half type."""
    return 2.0**13 if dtype in ("float16", "bfloat16") else 1.0


def outer(g: Generator) -> None:
    a = g.any(["float32", "int32", "float64"], lambda s: len(s) == 1 and s[0] < 200, lambda: (4,))
    b = g.new(g.choice(["float32", "int32"]), (g.choice([0, 1, 3]),))
    dtype = promoted(g.dtype(a), g.dtype(b))

    def reference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.outer(rounded(a, dtype), rounded(b, dtype))

    g.put(f"mx.outer({a}, {b})", [a, b], dtype, reference, smooth=True)


def convolve(g: Generator) -> None:
    """conv1d by its sum, over the padded, strided and dilated windows."""
    dtype = g.choice(["float32", "float16", "float64"])
    groups = g.choice([1, 1, 2])
    batch, n, cin, cout = g.choice([1, 2]), g.choice([5, 9, 30]), 2 * groups, 3 * groups
    k, stride, pad, dilation = (
        g.choice([1, 3]),
        g.choice([1, 2]),
        g.choice([0, 1]),
        g.choice([1, 2]),
    )
    x, w = g.new(dtype, (batch, n, cin)), g.new(dtype, (cout, k, cin // groups))
    if n + 2 * pad < dilation * (k - 1) + 1:
        return

    def sums(x: np.ndarray, w: np.ndarray) -> np.ndarray:
        x = np.pad(x, [(0, 0), (pad, pad), (0, 0)])
        out = (x.shape[1] - dilation * (k - 1) - 1) // stride + 1
        at = np.arange(out)[:, None] * stride + np.arange(k) * dilation
        windows = x[:, at]  # batch, out, k, cin
        parts = [
            np.einsum("bokc,dkc->bod", xs, ws)
            for xs, ws in zip(np.split(windows, groups, -1), np.split(w, groups), strict=True)
        ]
        return np.concatenate(parts, -1)

    def reference(x: np.ndarray, w: np.ndarray) -> Want:
        slack = bounded(sums(np.abs(x), np.abs(w)), dtype, 4 * k * cin + 8)
        return Want(sums(x, w), slack + k * flushed(x, w, dtype, sums))

    args = f"stride={stride}, padding={pad}, dilation={dilation}, groups={groups}"
    g.put(f"mx.conv1d({x}, {w}, {args})", [x, w], dtype, reference, smooth=True)


def fourier(g: Generator) -> None:
    kind = g.choice(["fft", "ifft", "rfft", "fft2"])
    dtype = g.choice(["float32", "float64"] + list(COMPLEX) * (kind != "rfft"))
    made = "complex128" if dtype in ("float64", "complex128") else "complex64"
    eps = 2.0**-19 if made == "complex64" else 2.0**-48
    shape = (g.choice([1, 2, 3]), g.choice([1, 2, 4, 7, 12, 30]))
    x = g.new(dtype, shape)
    n = g.choice([None, None, 3, 16]) if kind != "fft2" else None
    given = "" if n is None else f", n={n}"

    def reference(a: np.ndarray) -> Want:
        f = getattr(np.fft, kind)
        y = f(a) if n is None else f(a, n=n)
        total = np.sqrt(np.sum(np.square(np.abs(a)))) * np.sqrt(a.size + (n or 0))
        return Want(y, np.full(y.shape, eps * (total + 1) if total < 1e30 else np.inf))

    g.put(f"mx.fft.{kind}({x}{given})", [x], made, reference, smooth=True)


def quantized(g: Generator) -> None:
    """A product with a quantised matrix, held to the product with the matrix taken back."""
    bits, group = g.choice([2, 4, 8]), g.choice([32, 64])
    n, m = g.choice([1, 8, 40]), g.choice([1, 3, 20])
    x, w = g.new("float32", (m, 64)), g.new("float32", (n, 64))
    if not (np.abs(g.data(w)) < 1e3).all() or not (np.abs(g.data(x)) < 1e3).all():
        return
    how = f"group_size={group}, bits={bits}"
    back = g.put(
        f"mx.dequantize(*mx.quantize({w}, {how}), {how})",
        [w],
        "float32",
        lambda w: Want(w, quantum(w, bits, group)),
        maps=False,
    )

    def reference(x: np.ndarray, w: np.ndarray, back: np.ndarray) -> Want:
        size = np.abs(x) @ np.abs(back.T) + np.abs(x).sum(-1, keepdims=True) * np.abs(back).max()
        return Want(x @ back.T, bounded(size, "float32", 500))

    expr = f"mx.quantized_matmul({x}, *mx.quantize({w}, {how}), transpose=True, {how})"
    g.put(expr, [x, w, back], "float32", reference, maps=False)


def quantum(w: np.ndarray, bits: int, group: int) -> np.ndarray:
    """A whole step of each group: the scale is moved so that one of the ends is exact."""
    parts = w.reshape(*w.shape[:-1], -1, group)
    low, high = (
        np.minimum(parts.min(-1, keepdims=True), 0),
        np.maximum(parts.max(-1, keepdims=True), 0),
    )
    step = np.maximum(high - low, 1e-6) / (2**bits - 1) * 2
    return np.broadcast_to(step, parts.shape).reshape(w.shape) + 1e-5


def solver(g: Generator) -> None:
    """Systems and inverses of matrices far from singular, by the residual's bound."""
    dtype = g.choice(["float32", "float64"])
    n = g.choice([1, 2, 3, 8, 20])
    npr = np.random.default_rng(g.rng.getrandbits(32))
    batch = g.choice([(), (), (2,), (0,)])
    a = rounded(npr.normal(0, 0.2, (*batch, n, n)) / np.sqrt(n) + np.eye(n) * 2, dtype)
    x = g.leaf(a, dtype)
    tol = 1e-4 if dtype == "float32" else 1e-11
    on = ", stream=mx.cpu"
    kind = g.rng.randrange(4)
    if kind == 0:
        f = lambda a: Want(np.linalg.inv(a), tol)
        g.put(f"mx.linalg.inv({x}{on})", [x], dtype, f, maps=False, smooth=True)
    elif kind == 1:
        b = g.leaf(rounded(npr.normal(0, 1, (*batch, n, 2)), dtype), dtype)
        f2 = lambda a, b: Want(np.linalg.solve(a, b), tol)
        g.put(f"mx.linalg.solve({x}, {b}{on})", [x, b], dtype, f2, maps=False, smooth=True)
    elif kind == 2:
        square = lambda a: Want(np.linalg.cholesky(a @ a.swapaxes(-1, -2)), tol)
        expr = f"mx.linalg.cholesky({x} @ mx.swapaxes({x}, -1, -2){on})"
        g.put(expr, [x], dtype, square, maps=False, smooth=True)
    else:
        f3 = lambda a: Want(np.linalg.svd(a, compute_uv=False), tol)
        g.put(f"mx.linalg.svd({x}, compute_uv=False{on})", [x], dtype, f3, maps=False)


MAKERS = [matmul] * 5 + [addmm, addmm, with_epilogue, with_epilogue, contraction, outer]
MAKERS += [convolve, convolve, fourier, fourier, quantized, solver]
