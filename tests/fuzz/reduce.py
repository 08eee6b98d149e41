"""Statements that reduce, scan, sort and search along axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from generate import Generator
from values import COMPLEX, EVERY, INTEGERS, REALS, SMALLEST, Want, is_inexact, spacing

ORDERED = ("bool_", *INTEGERS, *REALS)
EPS = {"float16": 2.0**-24, "bfloat16": 2.0**-24, "float32": 2.0**-24, "complex64": 2.0**-23}
EPS |= {"float64": 2.0**-53, "complex128": 2.0**-52}


def axes_of(g: Generator, shape: tuple[int, ...]) -> int | tuple[int, ...] | None:
    """Some axes of an array, counted from either end."""
    rank = len(shape)
    kind = g.rng.randrange(4)
    if rank == 0 or kind == 0:
        return None
    if kind == 3:
        axes = g.rng.sample(range(rank), g.rng.randint(1, rank))
        return tuple(a - rank if g.chance(0.3) else a for a in axes)
    return g.rng.randrange(-rank, rank)


def one_axis(g: Generator, name: str) -> int:
    rank = len(g.shape(name))
    return g.rng.randrange(-rank, rank)


def count(shape: tuple[int, ...], axis: int | tuple[int, ...] | None) -> int:
    axes = range(len(shape)) if axis is None else (axis,) if isinstance(axis, int) else axis
    return int(np.prod([shape[a] for a in axes]))


def sum_dtype(dtype: str) -> str:
    if dtype == "bool_":
        return "int32"
    if dtype in INTEGERS:
        return dtype if dtype.endswith("64") else ("u" * (dtype[0] == "u") + "int32")
    return dtype


def mean_dtype(dtype: str) -> str:
    return dtype if is_inexact(dtype) else "float32"


def summed(a: np.ndarray, dtype: str, axis, keepdims: bool = False, scale: float = 1.0) -> Want:
    """A sum: each addition may err by the unit of what is summed so far, in any order."""
    if not is_inexact(dtype):
        return Want(np.sum(a, axis=axis, keepdims=keepdims, dtype=dtype))
    x = np.sum(a, axis=axis, keepdims=keepdims)
    magnitude = np.sum(np.abs(a), axis=axis, keepdims=keepdims)
    slack = bounded(magnitude, dtype, count(a.shape, axis) + 4)
    return Want(x * scale, slack * scale + bounded(magnitude * scale, dtype, 4))


def bounded(magnitude: np.ndarray, dtype: str, n: float) -> np.ndarray:
    """n roundings of intermediate values of this magnitude; anything goes beyond the largest."""
    with np.errstate(all="ignore"):
        top = 1e300 if dtype == "float64" else 1e38
        fine = np.isfinite(magnitude) & (magnitude < top)
        small = 0.01 * spacing(magnitude, dtype) if dtype in ("float16", "bfloat16") else 0.0
        tiny = n * 2.0 ** SMALLEST[dtype]  # products that underflow
        return np.where(fine, n * EPS[dtype] * magnitude + small + tiny, np.inf)


def sum_or_mean(g: Generator) -> None:
    x = g.any(EVERY)
    name = g.choice(["sum", "sum", "mean"])
    axis, keep = axes_of(g, g.shape(x)), g.chance(0.5)
    n = count(g.shape(x), axis)
    if name == "mean":
        dtype, scale = mean_dtype(g.dtype(x)), 1 / n if n else np.nan
    else:
        dtype, scale = sum_dtype(g.dtype(x)), 1.0

    def reference(a: np.ndarray) -> Want:
        wide = a.astype(float) if name == "mean" and a.dtype.kind in "iub" else a
        return summed(wide, dtype, axis, keep, scale)

    g.put(f"mx.{name}({x}, axis={axis}, keepdims={keep})", [x], dtype, reference, smooth=True)


def prod(g: Generator) -> None:
    x = g.any(EVERY)
    axis, keep, dtype = axes_of(g, g.shape(x)), g.chance(0.5), sum_dtype(g.dtype(x))

    def reference(a: np.ndarray) -> Want:
        if not is_inexact(dtype):
            return Want(np.prod(a, axis=axis, keepdims=keep, dtype=dtype))
        p = np.prod(a, axis=axis, keepdims=keep)
        with np.errstate(all="ignore"):
            logs = np.sum(np.abs(np.log2(np.abs(a))), axis=axis, keepdims=keep)
        slack = bounded(np.abs(p), dtype, count(a.shape, axis) * 2 + 4)
        return Want(p, np.where(logs < (900 if dtype == "float64" else 100), slack, np.inf))

    g.put(f"mx.prod({x}, axis={axis}, keepdims={keep})", [x], dtype, reference, smooth=True)


def extreme(g: Generator) -> None:
    x = g.any(ORDERED)
    name, keep = g.choice(["max", "min", "all", "any"]), g.chance(0.5)
    axis = axes_of(g, g.shape(x))
    dtype = g.dtype(x) if name in ("max", "min") else "bool_"
    if count(g.shape(x), axis) == 0 and name in ("max", "min"):
        return
    f: Callable = getattr(np, name)
    g.put(
        f"mx.{name}({x}, axis={axis}, keepdims={keep})",
        [x],
        dtype,
        lambda a: f(a, axis=axis, keepdims=keep),
        smooth=True,
    )


def arg_extreme(g: Generator) -> None:
    x = g.any(ORDERED)
    name, keep = g.choice(["argmax", "argmin"]), g.chance(0.5)
    axis = None if not g.shape(x) or g.chance(0.3) else one_axis(g, x)
    if count(g.shape(x), axis) == 0:
        return
    f: Callable = getattr(np, name)
    g.put(
        f"mx.{name}({x}, axis={axis}, keepdims={keep})",
        [x],
        "uint32",
        lambda a: f(a, axis=axis, keepdims=keep).astype("uint32"),
    )


def variance(g: Generator) -> None:
    x = g.any(["float16", "bfloat16", "float32", "float64", "int32"])
    dtype = mean_dtype(g.dtype(x))
    axis, keep, ddof = axes_of(g, g.shape(x)), g.chance(0.5), g.choice([0, 0, 1])
    n = count(g.shape(x), axis)
    if n <= ddof:
        return

    def reference(a: np.ndarray) -> Want:
        v = np.var(a.astype(float), axis=axis, keepdims=keep, ddof=ddof)
        magnitude = np.sum(np.square(a.astype(float)), axis=axis, keepdims=keep) / (n - ddof)
        unit = 4 * (n + 8)
        return Want(v, bounded(magnitude, dtype, unit) + bounded(v, dtype, unit))

    g.put(f"mx.var({x}, axis={axis}, keepdims={keep}, ddof={ddof})", [x], dtype, reference)


def log_sum_exp(g: Generator) -> None:
    x = g.any(["float16", "bfloat16", "float32", "float64"])
    dtype, axis, keep = g.dtype(x), axes_of(g, g.shape(x)), g.chance(0.5)
    if g.data(x).size == 0:
        return

    def reference(a: np.ndarray) -> Want:
        top = np.max(a, axis=axis, keepdims=True)
        shift = np.where(np.isfinite(top), top, 0)
        s = np.log(np.sum(np.exp(a - shift), axis=axis, keepdims=True)) + shift
        s = s if keep else np.squeeze(s, axis)
        top = top if keep else np.squeeze(top, axis)
        unit = count(a.shape, axis) + 16
        return Want(s, bounded(np.abs(np.where(np.isfinite(top), top, 0)) + 1, dtype, unit))

    expr = f"mx.logsumexp({x}, axis={axis}, keepdims={keep})"
    g.put(expr, [x], dtype, reference, smooth=True)


def softmax(g: Generator) -> None:
    x = g.any(["float16", "bfloat16", "float32", "float64"], lambda s: len(s) > 0 and 0 not in s)
    dtype, axis = g.dtype(x), one_axis(g, x)

    def reference(a: np.ndarray) -> Want:
        e = np.exp(a - np.max(a, axis=axis, keepdims=True))
        s = e / np.sum(e, axis=axis, keepdims=True)
        return Want(s, bounded(s, dtype, a.shape[axis] + 100) + 2.0**-120)

    g.put(f"mx.softmax({x}, axis={axis})", [x], dtype, reference, smooth=True)


def scan(g: Generator) -> None:
    x = g.any(EVERY, lambda s: len(s) > 0)
    name = g.choice(["cumsum", "cumprod", "cummax", "cummin"])
    if name in ("cummax", "cummin") and g.dtype(x) in (*COMPLEX, "bool_"):
        return
    axis, reverse, inclusive = one_axis(g, x), g.chance(0.4), g.chance(0.7)
    dtype = g.dtype(x)
    if dtype == "bool_":
        if name != "cumsum":
            return
        dtype = "int32"
    expr = f"mx.{name}({x}, axis={axis}, reverse={reverse}, inclusive={inclusive})"

    def reference(a: np.ndarray) -> Want:
        return scanned(
            a.astype(dtype) if a.dtype == bool else a, name, dtype, axis, reverse, inclusive
        )

    g.put(expr, [x], dtype, reference, smooth=True)


SCANS: dict[str, Callable] = {
    "cumsum": np.cumsum,
    "cumprod": np.cumprod,
    "cummax": np.maximum.accumulate,
    "cummin": np.minimum.accumulate,
}


def start_of(name: str, a: np.ndarray) -> object:
    """What a scan holds before its first element."""
    if name in ("cumsum", "cumprod"):
        return 0 if name == "cumsum" else 1
    if a.dtype.kind == "f":
        return -np.inf if name == "cummax" else np.inf
    info = np.iinfo(a.dtype)
    return info.min if name == "cummax" else info.max


def scanned(
    a: np.ndarray, name: str, dtype: str, axis: int, reverse: bool, inclusive: bool
) -> Want:
    def run(x: np.ndarray, f: Callable) -> np.ndarray:
        x = np.flip(x, axis) if reverse else x
        kw = {"dtype": x.dtype} if name in ("cumsum", "cumprod") else {}
        y = f(x, axis=axis, **kw)
        if not inclusive and x.shape[axis]:
            first = np.full_like(np.take(y, [0], axis), start_of(name, x))
            y = np.concatenate([first, np.delete(y, -1, axis)], axis)
        return np.flip(y, axis) if reverse else y

    y = run(a, SCANS[name])
    if not is_inexact(dtype) or name in ("cummax", "cummin"):
        return Want(y)
    n = a.shape[axis] * 2 + 4
    if name == "cumsum":
        return Want(y, bounded(run(np.abs(a), np.cumsum), dtype, n))
    with np.errstate(all="ignore"):
        logs = np.abs(np.log2(np.abs(a)))
    safe = np.cumsum(logs, axis).max(axis, keepdims=True, initial=0) < 100
    return Want(y, np.where(safe, bounded(np.abs(y), dtype, n), np.inf))


def log_scan(g: Generator) -> None:
    x = g.any(["float32", "float16", "float64"], lambda s: len(s) > 0)
    dtype, axis = g.dtype(x), one_axis(g, x)

    def reference(a: np.ndarray) -> Want:
        y = np.logaddexp.accumulate(a, axis=axis)
        size = np.maximum.accumulate(np.abs(np.where(np.isfinite(a), a, 0)), axis=axis) + 8
        return Want(y, bounded(size, dtype, 4 * a.shape[axis] + 16))

    g.put(f"mx.logcumsumexp({x}, axis={axis})", [x], dtype, reference, smooth=True)


def sort(g: Generator) -> None:
    x = g.any(ORDERED, lambda s: len(s) > 0)
    axis = one_axis(g, x)
    if g.chance(0.5):
        g.put(
            f"mx.sort({x}, axis={axis})", [x], g.dtype(x), lambda a: np.sort(a, axis), smooth=True
        )
        return
    g.put(
        f"mx.argsort({x}, axis={axis})",
        [x],
        "uint32",
        lambda a: np.argsort(a, axis, kind="stable").astype("uint32"),
    )


def partition(g: Generator) -> None:
    """The values on both sides of a partition come in any order: sorted, they are known."""
    x = g.any(ORDERED, lambda s: len(s) > 0 and min(s) > 0)
    axis = one_axis(g, x)
    k = g.rng.randrange(g.shape(x)[axis])
    kind = g.rng.randrange(3)
    if kind == 0:
        expr = f"mx.sort(mx.partition({x}, {k}, axis={axis}), axis={axis})"
        g.put(expr, [x], g.dtype(x), lambda a: np.sort(a, axis))
    elif kind == 1:
        index = f"mx.argpartition({x}, {k}, axis={axis})"
        expr = f"mx.sort(mx.take_along_axis({x}, {index}, axis={axis}), axis={axis})"
        g.put(expr, [x], g.dtype(x), lambda a: np.sort(a, axis))
    else:
        n = g.shape(x)[axis]
        expr = f"mx.sort(mx.topk({x}, {k + 1}, axis={axis}), axis={axis})"
        last = range(n - k - 1, n)
        g.put(expr, [x], g.dtype(x), lambda a: np.take(np.sort(a, axis), last, axis))


def searchsorted(g: Generator) -> None:
    dtype = g.choice(["int32", "float32", "float16", "uint8", "int64", "float64"])
    n = g.choice([0, 1, 2, 5, 40])
    v = g.new(dtype, g.choice([(), (3,), (2, 4), (0,)]))
    a = g.new(dtype, (n,))
    ordered = g.put(f"mx.sort({a})", [a], dtype, np.sort)
    side = g.choice(["left", "right"])
    g.put(
        f"mx.searchsorted({ordered}, {v}, side={side!r})",
        [ordered, v],
        "uint32",
        lambda a, v: np.asarray(np.searchsorted(a, v, side)).astype("uint32"),
        maps=False,
    )


def mean_removed(g: Generator) -> None:
    """A reduction between element-wise statements, as norms have it."""
    x = g.any(["float32", "float64"], lambda s: len(s) > 0 and min(s) > 0)
    dtype, axis = g.dtype(x), one_axis(g, x)

    def reference(a: np.ndarray) -> Want:
        y = a - np.mean(a, axis=axis, keepdims=True)
        size = np.sum(np.abs(a), axis=axis, keepdims=True) + np.abs(a)
        return Want(y, bounded(size, dtype, 8))

    g.put(f"{x} - mx.mean({x}, axis={axis}, keepdims=True)", [x], dtype, reference, smooth=True)


def sum_of_squares(g: Generator) -> None:
    x = g.any([*INTEGERS, "float32", "float64", "float16"])
    axis, dtype = axes_of(g, g.shape(x)), sum_dtype(g.dtype(x))

    def reference(a: np.ndarray) -> Want:
        want = summed(a * a, dtype, axis)
        if is_inexact(dtype):
            rounding = np.sum(spacing(a * a, g_dtype), axis=axis)
            want.slack = np.where(np.sum(a * a, axis=axis) > 60000, np.inf, want.slack + rounding)
        return want

    g_dtype = g.dtype(x)
    g.put(f"mx.sum(mx.square({x}), axis={axis})", [x], dtype, reference, smooth=True)


MAKERS = [sum_or_mean] * 4 + [prod, extreme, extreme, arg_extreme, variance, log_sum_exp, softmax]
MAKERS += [scan, scan, log_scan, sort, sort, partition, searchsorted, mean_removed, sum_of_squares]
