"""Statements that read and write at indices: slices, integers, arrays of them, along axes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from generate import Generator
from reduce import bounded, one_axis
from values import COMPLEX, EVERY, INTEGERS, LARGEST, Want, is_inexact, rounded

INDEX_DTYPES = ("int32", "uint32", "int64", "uint8", "int16")


def bounds(g: Generator, n: int) -> slice:
    """A slice of an axis, often beyond its ends, in either direction."""

    def point() -> int | None:
        return None if g.chance(0.3) else g.rng.randrange(-n - 2, n + 3)

    return slice(point(), point(), g.choice([None, None, 1, 2, 3, -1, -2]))


def spelled(part: object) -> str:
    if isinstance(part, slice):
        ends = ["" if p is None else str(p) for p in (part.start, part.stop, part.step)]
        return f"{ends[0]}:{ends[1]}" + (f":{ends[2]}" if ends[2] else "")
    return "..." if part is Ellipsis else str(part)


def indices(g: Generator, n: int, shape: tuple[int, ...]) -> str:
    """An input of indices into an axis of n elements, counted from either end."""
    dtype = g.choice(INDEX_DTYPES)
    low = 0 if dtype[0] == "u" or g.chance(0.5) else -n
    high = min(n, np.iinfo(dtype).max)
    npr = np.random.default_rng(g.rng.getrandbits(32))
    return g.leaf(npr.integers(max(low, np.iinfo(dtype).min), high, shape), dtype)


Place = tuple[str, list[str], Callable[..., tuple]]


def place(g: Generator, shape: tuple[int, ...], arrays: bool = True) -> Place:
    """An index expression for this shape: its text, the arrays in it, and the NumPy index."""
    parts: list[object] = []
    names: list[str] = []
    used = g.rng.randint(0, len(shape))
    index_shape = g.choice([(), (1,), (3,), (2, 2), (0,)])
    for axis in range(used):
        n = shape[axis]
        kind = g.rng.randrange(8)
        if kind < 2 and n:
            parts.append(g.rng.randrange(-n, n))
        elif kind < 4 and n and arrays:
            names.append(indices(g, n, index_shape if g.chance(0.7) else (1,)))
            parts.append(names[-1])
        else:
            parts.append(bounds(g, n))
    if g.chance(0.15):
        parts.insert(g.rng.randrange(len(parts) + 1), None)
    if g.chance(0.2):
        parts.insert(len(parts), Ellipsis)
    text = ", ".join(spelled(p) for p in parts) + ("," if len(parts) == 1 and g.chance(0.3) else "")

    def numpy_index(*values: np.ndarray) -> tuple:
        given = dict(zip(names, values, strict=True))
        # an array of no dimensions is an array here too, and an integer is one beside arrays
        return tuple(given[p].astype(np.int64) if isinstance(p, str) else p for p in parts)

    return text or "...", names, numpy_index


def getitem(g: Generator) -> None:
    x = g.any(EVERY)
    text, names, at = place(g, g.shape(x))

    def reference(a: np.ndarray, *i: np.ndarray) -> np.ndarray:
        return a[at(*i)]

    g.put(f"{x}[{text}]", [x, *names], g.dtype(x), reference, smooth=True)


def boolean(g: Generator) -> None:
    """A mask that is assigned through."""
    x = g.any(EVERY, lambda s: len(s) > 0)
    shape = g.shape(x)[: g.rng.randint(1, len(g.shape(x)))]
    mask = g.new("bool_", shape)
    value = g.choice([0, 1])

    def reference(a: np.ndarray, m: np.ndarray) -> np.ndarray:
        a = a.copy()
        a[m] = value
        return a

    g.update(x, f"{x}[{mask}] = {value}", [mask], reference)


def update_shape(g: Generator, target: tuple[int, ...]) -> tuple[int, ...]:
    """A shape that broadcasts to the target."""
    shape = tuple(1 if g.chance(0.2) else n for n in target)
    return shape[g.rng.randrange(len(shape) + 1) if g.chance(0.4) else 0 :]


def setitem(g: Generator) -> None:
    x = g.any(EVERY)
    dtype = g.dtype(x)
    text, names, at = place(g, g.shape(x))
    values = [g.data(n) for n in names]
    target = g.data(x)[at(*values)].shape
    repeats = ambiguous(g.shape(x), at(*values))
    if repeats or g.chance(0.3):
        number = g.choice([0, 1, 3]) if dtype != "bool_" else g.choice([False, True])

        def scalar(a: np.ndarray, *i: np.ndarray) -> np.ndarray:
            a = a.copy()
            a[at(*i)] = number
            return a

        g.update(x, f"{x}[{text}] = {number}", names, scalar)
        return
    v = g.new(dtype, update_shape(g, target))

    def reference(a: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        # the order of `rest` is that of names, then v
        a = a.copy()
        a[at(*rest[:-1])] = rest[-1]
        return a

    g.update(x, f"{x}[{text}] = {v}", [*names, v], reference)


def ambiguous(shape: tuple[int, ...], index: tuple) -> bool:
    """Whether an index names an element twice, so that the last write to it is anyone's."""
    numbers = np.arange(int(np.prod(shape))).reshape(shape)[index]
    return np.unique(numbers).size < numbers.size


METHODS = ("add", "subtract", "multiply", "maximum", "minimum")


def at_method(g: Generator) -> None:
    """x.at[i].add(v) and its like, which count every index."""
    dtypes = [d for d in EVERY if d not in ("bool_", *COMPLEX)]
    x = g.any(dtypes)
    dtype, name = g.dtype(x), g.choice(METHODS)
    text, names, at = place(g, g.shape(x))
    target = g.data(x)[at(*(g.data(n) for n in names))].shape
    v = g.new(dtype, update_shape(g, target))

    def reference(a: np.ndarray, *rest: np.ndarray) -> Want:
        index, value = at(*rest[:-1]), rest[-1]
        y = a.copy()
        value = np.array(np.broadcast_to(value, y[index].shape))  # ufunc.at reads beyond others
        getattr(np, name).at(y, index, value)
        if not is_inexact(dtype) or name in ("maximum", "minimum"):
            return Want(y)
        return scattered(a, index, value, y, name, dtype)

    g.put(f"{x}.at[{text}].{name}({v})", [x, *names, v], dtype, reference, smooth=True)


def scattered(
    a: np.ndarray, index: tuple, value: np.ndarray, y: np.ndarray, name: str, dtype: str
) -> Want:
    """The error of adding or multiplying in any order, with a rounding to the dtype each time."""
    hits = np.zeros(a.shape)
    np.add.at(hits, index, 1.0)
    size = np.array(np.abs(a), dtype=float)
    (np.multiply if name == "multiply" else np.add).at(size, index, np.abs(value))
    unit = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24, "float64": 2.0**-53}
    wide = hits * unit[dtype] * size
    tight = np.where(hits > 0, bounded(size, dtype, 4), 0.0)
    most = np.array(np.maximum(np.abs(a), 1.0))  # what it may be in between, in some order
    at_most = np.maximum(np.abs(value), 1.0)
    (np.multiply if name == "multiply" else np.add).at(most, index, at_most)
    risky = (most > LARGEST[dtype] / 2) & (hits > 1)
    slack = np.where(risky, np.inf, np.where(hits > 1, wide * 2 + 1e-7, 0) + tight)
    return Want(y, np.where(np.isfinite(size), slack, np.inf))


def take(g: Generator) -> None:
    x = g.any(EVERY, lambda s: len(s) > 0 and 0 not in s)
    axis = one_axis(g, x) if g.chance(0.8) else None
    n = g.data(x).size if axis is None else g.shape(x)[axis]
    i = indices(g, n, g.choice([(), (3,), (2, 2), (0,), (1,)]))
    expr = f"mx.take({x}, {i}" + (")" if axis is None else f", axis={axis})")

    def reference(a: np.ndarray, i: np.ndarray) -> np.ndarray:
        return np.take(a, i.astype(np.int64), axis)

    g.put(expr, [x, i], g.dtype(x), reference, smooth=True)


def take_along(g: Generator) -> None:
    x = g.any(EVERY, lambda s: len(s) > 0 and 0 not in s)
    axis = one_axis(g, x)
    shape = list(g.shape(x))
    n = shape[axis]
    shape[axis] = g.choice([0, 1, 2, 5])
    i = indices(g, n, tuple(shape))

    def reference(a: np.ndarray, i: np.ndarray) -> np.ndarray:
        return np.take_along_axis(a, i.astype(np.int64), axis)

    expr = f"mx.take_along_axis({x}, {i}, axis={axis})"
    g.put(expr, [x, i], g.dtype(x), reference, smooth=True)


def put_along(g: Generator) -> None:
    x = g.any(EVERY, lambda s: len(s) > 0 and 0 not in s)
    axis = one_axis(g, x)
    i = indices(
        g,
        g.shape(x)[axis],
        tuple(1 if k == axis % len(g.shape(x)) else n for k, n in enumerate(g.shape(x))),
    )
    v = g.new(g.dtype(x), g.shape(i))

    def reference(a: np.ndarray, i: np.ndarray, v: np.ndarray) -> np.ndarray:
        a = a.copy()
        np.put_along_axis(a, i.astype(np.int64), v, axis)
        return a

    expr = f"mx.put_along_axis({x}, {i}, {v}, axis={axis})"
    g.put(expr, [x, i, v], g.dtype(x), reference)


def slice_at(g: Generator) -> None:
    """A window whose start is data; it stays inside, wherever the start lies."""
    x = g.any(EVERY, lambda s: len(s) > 0 and 0 not in s)
    shape = g.shape(x)
    size = tuple(g.rng.randint(1, n) for n in shape)
    start = [g.rng.randint(0, n - s) for n, s in zip(shape, size, strict=True)]
    i = g.leaf(np.array(start), "int32")
    axes = tuple(range(len(shape)))

    def window(i: np.ndarray) -> tuple[slice, ...]:
        return tuple(slice(int(k), int(k) + s) for k, s in zip(i, size, strict=True))

    if g.chance(0.5):
        expr = f"mx.slice({x}, {i}, {axes}, {size})"
        g.put(expr, [x, i], g.dtype(x), lambda a, i: a[window(i)], maps=False)
        return
    v = g.new(g.dtype(x), size)

    def reference(a: np.ndarray, v: np.ndarray, i: np.ndarray) -> np.ndarray:
        a = a.copy()
        a[window(i)] = v
        return a

    g.put(f"mx.slice_update({x}, {v}, {i}, {axes})", [x, v, i], g.dtype(x), reference, maps=False)


def in_place(g: Generator) -> None:
    """x += y and its like."""
    x = g.any([d for d in EVERY if d != "bool_"])
    dtype = g.dtype(x)
    sign, f = g.choice([("+", np.add), ("-", np.subtract), ("*", np.multiply)])
    v = g.new(dtype, update_shape(g, g.shape(x)))

    def reference(a: np.ndarray, v: np.ndarray) -> Want:
        y = f(a, v)
        return Want(y, bounded(np.abs(y), dtype, 2) if dtype in COMPLEX else 0.0)

    g.update(x, f"{x} {sign}= {v}", [v], reference)


def in_place_slice(g: Generator) -> None:
    """x[a:b] += y."""
    x = g.any([*INTEGERS, "float32", "float64", "bfloat16"])
    dtype = g.dtype(x)
    text, names, at = place(g, g.shape(x), arrays=False)
    v = g.new(dtype, update_shape(g, g.data(x)[at()].shape))

    def reference(a: np.ndarray, v: np.ndarray) -> np.ndarray:
        a = a.copy()
        with np.errstate(all="ignore"):
            a[at()] = rounded(a[at()] + v, dtype)
        return a

    g.update(x, f"{x}[{text}] += {v}", [*names, v], reference)


MAKERS = [getitem] * 5 + [setitem] * 4 + [at_method] * 2 + [take, take_along, put_along, boolean]
MAKERS += [slice_at, in_place, in_place_slice]
