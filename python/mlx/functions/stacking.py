"""Arrays put together, cut and turned, as NumPy does it by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mlx.core as mx
from mlx.functions.axes import axes_of


def _rows(a: mx.array) -> mx.array:
    return a if a.ndim >= 2 else a.reshape(1, -1)


def vstack(arrays: Sequence[mx.array]) -> mx.array:
    """Rows on top of each other: along axis 0, where 1-d arrays are rows."""
    return mx.concatenate([_rows(a) for a in arrays], 0)


def hstack(arrays: Sequence[mx.array]) -> mx.array:
    """Side by side: along axis 1, of 1-d arrays along axis 0."""
    parts = [a if a.ndim else a.reshape(1) for a in arrays]
    return mx.concatenate(parts, min(1, parts[0].ndim - 1))


def dstack(arrays: Sequence[mx.array]) -> mx.array:
    """Along axis 2, where (n,) counts as (1, n, 1) and (m, n) as (m, n, 1)."""
    parts = [_rows(a) for a in arrays]
    return mx.concatenate([a[..., None] if a.ndim == 2 else a for a in parts], 2)


def column_stack(arrays: Sequence[mx.array]) -> mx.array:
    """1-d arrays as the columns of a matrix, matrices side by side."""
    return mx.concatenate([a[:, None] if a.ndim == 1 else a for a in arrays], 1)


def array_split(a: mx.array, indices_or_sections: int | Sequence[int], axis: int = 0) -> list:
    """As `split`, but a number of sections need not divide the axis: the first are longer by 1."""
    if not isinstance(indices_or_sections, int):
        return list(mx.split(a, list(indices_or_sections), axis))
    if indices_or_sections < 1:
        raise ValueError(f"[array_split] Got {indices_or_sections} sections; at least 1 is needed.")
    size, longer = divmod(a.shape[axis], indices_or_sections)
    cuts = [i * size + min(i, longer) for i in range(1, indices_or_sections)]
    return list(mx.split(a, cuts, axis))


def append(a: mx.array, values: mx.array, axis: int | None = None) -> mx.array:
    """`values` behind `a` along an axis; without one both are flattened."""
    values = mx.asarray(values)
    if axis is None:
        return mx.concatenate([a.reshape(-1), values.reshape(-1)], 0)
    return mx.concatenate([a, values], axis)


def _positions(where: Any, extent: int, op: str, ends: int) -> list[int]:
    """Positions as ints from 0: of an int, a slice, a bool mask or a sequence of ints."""
    if isinstance(where, slice):
        return list(range(*where.indices(extent)))
    given = where.tolist() if hasattr(where, "tolist") else where
    items = list(given) if isinstance(given, Sequence) else [given]
    if items and all(isinstance(i, bool) for i in items):
        if len(items) != extent:
            raise ValueError(f"[{op}] A mask of {len(items)} does not fit an axis of {extent}.")
        return [i for i, chosen in enumerate(items) if chosen]
    for i in items:
        if not -extent <= i < extent + ends:
            raise IndexError(f"[{op}] Index {i} is out of bounds for an axis of {extent}.")
    return [i + extent if i < 0 else i for i in items]


def delete(a: mx.array, obj: Any, axis: int | None = None) -> mx.array:
    """`a` without what `obj` (an int, a slice, a mask or ints) picks along an axis."""
    a, axis = (a.reshape(-1), 0) if axis is None else (a, axis)
    gone = set(_positions(obj, a.shape[axis], "delete", 0))
    kept = [i for i in range(a.shape[axis]) if i not in gone]
    return mx.take(a, mx.array(kept, mx.int32), axis)


def insert(a: mx.array, obj: Any, values: Any, axis: int | None = None) -> mx.array:
    """`values`, broadcast, in front of the places of `a` that `obj` names along an axis."""
    a, axis = (a.reshape(-1), 0) if axis is None else (a, axes_of(a, axis, "insert")[0])
    extent = a.shape[axis]
    places = _positions(obj, extent, "insert", 1)
    new = mx.asarray(values, dtype=a.dtype)
    if isinstance(obj, int):  # all of them at one place, along the first axis of the values
        new = mx.moveaxis(new.reshape([1] * (a.ndim - new.ndim) + list(new.shape)), 0, axis)
        places = places * new.shape[axis]
    new = mx.broadcast_to(new, [*a.shape[:axis], len(places), *a.shape[axis + 1 :]])
    order = sorted(range(extent + len(places)), key=lambda i: _rank(i, extent, places))
    return mx.take(mx.concatenate([a, new], axis), mx.array(order, mx.int32), axis)


def _rank(i: int, extent: int, places: list[int]) -> tuple[int, int, int]:
    """Where element i of the old and the new ones in a row goes: new ones before the old."""
    return (i, 1, 0) if i < extent else (places[i - extent], 0, i)


def fliplr(m: mx.array) -> mx.array:
    """Axis 1 reversed."""
    return mx.flip(m, 1)


def flipud(m: mx.array) -> mx.array:
    """Axis 0 reversed."""
    return mx.flip(m, 0)


def rot90(m: mx.array, k: int = 1, axes: tuple[int, int] = (0, 1)) -> mx.array:
    """Turned k times by a right angle, from the first of `axes` towards the second."""
    first, second = axes
    if first % m.ndim == second % m.ndim:
        raise ValueError(f"[rot90] Axes {axes} of an array of {m.ndim} axes must differ.")
    turned = mx.flip(m, second) if k % 4 == 1 else mx.flip(m, first) if k % 4 == 3 else m
    if k % 4 == 2:
        return mx.flip(mx.flip(m, first), second)
    return mx.swapaxes(turned, first, second) if k % 2 else turned
