"""Statements that give arrays other shapes and layouts, put them together and take them apart."""

from __future__ import annotations

import math

import numpy as np
from elementwise import cast, promoted
from generate import Generator
from values import EVERY, INTEGERS, REALS


def some(g: Generator, rank: int = 0) -> str:
    return g.any(EVERY, lambda s: len(s) >= rank)


def axis_of(g: Generator, rank: int) -> int:
    return g.rng.randrange(-rank, rank)


def factors(g: Generator, n: int) -> tuple[int, ...]:
    """A random shape of n elements."""
    if n == 0:
        return g.choice([(0,), (0, 3), (2, 0), (1, 0, 2)])
    shape: list[int] = []
    while n > 1 and len(shape) < 3:
        divisors = [d for d in range(1, min(n, 300) + 1) if n % d == 0]
        shape.append(g.choice(divisors))
        n //= shape[-1]
    shape.append(n)
    if g.chance(0.3):
        shape.insert(g.rng.randrange(len(shape) + 1), 1)
    return tuple(shape)


def reshape(g: Generator) -> None:
    x = some(g)
    shape = factors(g, g.data(x).size)
    spelled = list(shape)
    if g.chance(0.4) and 0 not in shape and shape:
        spelled[g.rng.randrange(len(shape))] = -1
    g.put(
        f"mx.reshape({x}, {tuple(spelled)})",
        [x],
        g.dtype(x),
        lambda a: a.reshape(shape),
        smooth=True,
    )


def transpose(g: Generator) -> None:
    x = some(g, 1)
    order = tuple(g.rng.sample(range(len(g.shape(x))), len(g.shape(x))))
    g.put(f"mx.transpose({x}, {order})", [x], g.dtype(x), lambda a: a.transpose(order), smooth=True)


def moved(g: Generator) -> None:
    x = some(g, 1)
    rank = len(g.shape(x))
    f = g.choice(["swapaxes", "moveaxis"])
    a, b = axis_of(g, rank), axis_of(g, rank)
    g.put(f"mx.{f}({x}, {a}, {b})", [x], g.dtype(x), lambda v: getattr(np, f)(v, a, b), smooth=True)


def extents_of_one(g: Generator) -> None:
    x = some(g)
    shape = g.shape(x)
    ones = [i for i, n in enumerate(shape) if n == 1]
    if ones and g.chance(0.5):
        axis = g.choice(ones) - (len(shape) if g.chance(0.5) else 0)
        g.put(f"mx.squeeze({x}, {axis})", [x], g.dtype(x), lambda a: a.squeeze(axis), smooth=True)
    elif len(shape) < 5:
        axis = g.rng.randrange(-len(shape) - 1, len(shape) + 1)
        g.put(f"mx.expand_dims({x}, {axis})", [x], g.dtype(x), lambda a: np.expand_dims(a, axis))


def broadcast_to(g: Generator) -> None:
    x = some(g)
    shape = tuple(g.choice([1, 2, 3, 0, 7]) if n == 1 and g.chance(0.8) else n for n in g.shape(x))
    if len(shape) < 4 and g.chance(0.5):
        shape = (g.choice([1, 2, 3]), *shape)
    expr = f"mx.broadcast_to({x}, {shape})"
    g.put(expr, [x], g.dtype(x), lambda a: np.broadcast_to(a, shape), smooth=True)


def flatten(g: Generator) -> None:
    x = some(g, 1)
    shape = g.shape(x)
    start = g.rng.randrange(len(shape))
    end = g.rng.randrange(start, len(shape))
    merged = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
    g.put(f"mx.flatten({x}, {start}, {end})", [x], g.dtype(x), lambda a: a.reshape(merged))


def unflatten(g: Generator) -> None:
    x = some(g, 1)
    shape = g.shape(x)
    axis = g.rng.randrange(len(shape))
    parts = factors(g, shape[axis])
    if shape[axis] == 0:
        return
    split = (*shape[:axis], *parts, *shape[axis + 1 :])
    g.put(f"mx.unflatten({x}, {axis}, {parts})", [x], g.dtype(x), lambda a: a.reshape(split))


def concatenate(g: Generator) -> None:
    x = some(g, 1)
    shape = g.shape(x)
    axis = g.rng.randrange(len(shape))
    names = [x]
    for _ in range(g.choice([1, 1, 2, 4])):
        other = list(shape)
        other[axis] = g.choice([0, 1, 2, 5])
        fitting = [n for n in g.values if like(g.shape(n), shape, axis)]
        names.append(g.choice(fitting) if g.chance(0.6) else g.new(g.dtypes(EVERY), tuple(other)))
    dtype = g.dtype(names[0])
    for n in names[1:]:
        dtype = promoted(dtype, g.dtype(n))
    unique = list(dict.fromkeys(names))
    order = [unique.index(n) for n in names]
    axis -= len(shape) if g.chance(0.3) else 0
    g.put(
        f"mx.concatenate([{', '.join(names)}], axis={axis})",
        unique,
        dtype,
        lambda *a: np.concatenate([cast(a[k], dtype) for k in order], axis),
        smooth=True,
    )


def like(shape: tuple[int, ...], other: tuple[int, ...], axis: int) -> bool:
    """Whether shapes differ in that axis alone."""
    return len(shape) == len(other) and all(
        a == b or i == axis for i, (a, b) in enumerate(zip(shape, other, strict=True))
    )


def stack(g: Generator) -> None:
    x = some(g)
    same = [n for n in g.values if g.shape(n) == g.shape(x) and g.dtype(n) == g.dtype(x)]
    other = g.choice(same)
    axis = g.rng.randrange(-len(g.shape(x)) - 1, len(g.shape(x)) + 1)
    names = [x, other, x]
    unique = list(dict.fromkeys(names))
    order = [unique.index(n) for n in names]
    g.put(
        f"mx.stack([{', '.join(names)}], axis={axis})",
        unique,
        g.dtype(x),
        lambda *a: np.stack([a[k] for k in order], axis),
        smooth=True,
    )


def split(g: Generator) -> None:
    x = some(g, 1)
    shape = g.shape(x)
    axis = g.rng.randrange(len(shape))
    n = shape[axis]
    points = sorted(g.rng.randint(0, n) for _ in range(g.choice([1, 2, 3])))
    part = g.rng.randrange(len(points) + 1)
    expr = f"mx.split({x}, {points}, axis={axis})[{part}]"
    g.put(expr, [x], g.dtype(x), lambda a: np.split(a, points, axis)[part], smooth=True)


def repeated(g: Generator) -> None:
    x = some(g, 1)
    n = g.choice([0, 1, 2, 3])
    if g.chance(0.5):
        axis = axis_of(g, len(g.shape(x)))
        expr = f"mx.repeat({x}, {n}, axis={axis})"
        g.put(expr, [x], g.dtype(x), lambda a: np.repeat(a, n, axis), smooth=True)
    else:
        times = tuple(g.choice([1, 2, n]) for _ in range(g.rng.randint(1, 3)))
        g.put(f"mx.tile({x}, {times})", [x], g.dtype(x), lambda a: np.tile(a, times), smooth=True)


def roll(g: Generator) -> None:
    x = some(g, 1)
    shift = g.rng.randrange(-7, 8)
    axis = axis_of(g, len(g.shape(x))) if g.chance(0.8) else None
    expr = f"mx.roll({x}, {shift}, axis={axis})"
    g.put(expr, [x], g.dtype(x), lambda a: np.roll(a, shift, axis), smooth=True)


def pad(g: Generator) -> None:
    x = some(g, 1)
    widths = [(g.choice([0, 0, 1, 3]), g.choice([0, 1, 2])) for _ in g.shape(x)]
    edge = g.chance(0.3) and 0 not in g.shape(x)
    mode = "edge" if edge else "constant"
    expr = f"mx.pad({x}, {widths}, mode={mode!r})"
    g.put(expr, [x], g.dtype(x), lambda a: np.pad(a, widths, mode=mode), smooth=True)


def diagonal(g: Generator) -> None:
    x = some(g, 2)
    rank = len(g.shape(x))
    a, b = g.rng.sample(range(rank), 2)
    k = g.rng.randrange(-3, 4)
    if not -g.shape(x)[a] < k < g.shape(x)[b]:
        return
    expr = f"mx.diagonal({x}, {k}, {a}, {b})"
    g.put(expr, [x], g.dtype(x), lambda v: np.diagonal(v, k, a, b), smooth=True)


def diag(g: Generator) -> None:
    x = g.any(EVERY, lambda s: len(s) == 1 and s[0] < 100, lambda: (g.choice([1, 4, 7]),))
    k = g.rng.randrange(-2, 3)
    g.put(f"mx.diag({x}, {k})", [x], g.dtype(x), lambda a: np.diag(a, k))


def triangle(g: Generator) -> None:
    x = some(g, 2)
    f, k = g.choice(["tril", "triu"]), g.rng.randrange(-3, 4)
    g.put(f"mx.{f}({x}, {k})", [x], g.dtype(x), lambda a: getattr(np, f)(a, k), smooth=True)


VIEWS = {1: ["uint8", "int8"], 2: ["uint16", "int16", "float16"], 4: ["uint32", "int32", "float32"]}
VIEWS[8] = ["uint64", "int64", "float64"]
STORED = {d: np.dtype(d) for d in (*INTEGERS, *REALS) if d != "bfloat16"}


def view(g: Generator) -> None:
    """The same bytes as another dtype of the same or another size."""
    x = g.any(list(STORED), lambda s: len(s) > 0)
    old = STORED[g.dtype(x)]
    size = g.choice(list(VIEWS))
    new = g.choice(VIEWS[size])
    if g.shape(x)[-1] * old.itemsize % size:
        return

    def reference(a: np.ndarray) -> np.ndarray:
        held = np.ascontiguousarray(a.astype(old)).view(new)
        return held.astype("float64") if held.dtype.kind == "f" else held

    g.put(f"{x}.view(mx.{new})", [x], new, reference, maps=False)


def strided(g: Generator) -> None:
    """Steps of any size over the elements in order, overlaps among them."""
    x = some(g, 1)
    n = g.data(x).size
    if n < 4:
        return
    shape = (g.rng.randint(1, 4), g.rng.randint(1, 4))
    strides = (g.rng.randint(0, 3), g.rng.randint(0, 3))
    last = sum((m - 1) * s for m, s in zip(shape, strides, strict=True))
    if last >= n:
        return
    offset = g.rng.randrange(n - last)
    index = offset + np.arange(shape[0])[:, None] * strides[0] + np.arange(shape[1]) * strides[1]
    expr = f"mx.as_strided({x}, {shape}, {strides}, {offset})"
    g.put(expr, [x], g.dtype(x), lambda a: a.ravel()[index], smooth=True)


def meshgrid(g: Generator) -> None:
    x = g.any(EVERY, lambda s: len(s) == 1 and s[0] < 50, lambda: (3,))
    part, indexing = g.choice([0, 1]), g.choice(["xy", "ij"])
    expr = f"mx.meshgrid({x}, {x}, indexing={indexing!r})[{part}]"
    g.put(expr, [x], g.dtype(x), lambda a: np.meshgrid(a, a, indexing=indexing)[part])


def created(g: Generator) -> None:
    start, stop, step = g.rng.randrange(-5, 6), g.rng.randrange(-5, 30), g.choice([1, 2, 3, -1])
    dtype = g.choice(["int32", "int64", "float32", "uint8", "float64"])
    if dtype == "uint8" and (start < 0 or stop < 0):
        return
    data = np.arange(start, stop, step).astype("float64" if dtype[0] == "f" else dtype)
    g.put(f"mx.arange({start}, {stop}, {step}, dtype=mx.{dtype})", [], dtype, lambda: data)


def filled(g: Generator) -> None:
    x = some(g)
    f = g.choice(["zeros_like", "ones_like"])
    g.put(f"mx.{f}({x})", [x], g.dtype(x), lambda a: getattr(np, f)(a))


MAKERS = [reshape] * 3 + [transpose] * 3 + [moved, moved, extents_of_one, extents_of_one]
MAKERS += [broadcast_to] * 2 + [concatenate] * 3 + [stack, split, split, repeated, roll, pad]
MAKERS += [flatten, unflatten, diagonal, diag, triangle, view, strided, meshgrid, created, filled]
