"""Distinct values and membership, as the array-API standard defines them: every NaN is distinct."""

from __future__ import annotations

from typing import NamedTuple

import mlx.core as mx


class UniqueAll(NamedTuple):
    values: mx.array
    indices: mx.array
    inverse_indices: mx.array
    counts: mx.array


class UniqueCounts(NamedTuple):
    values: mx.array
    counts: mx.array


class UniqueInverse(NamedTuple):
    values: mx.array
    inverse_indices: mx.array


def unique_all(x: mx.array) -> UniqueAll:
    """The distinct values in ascending order, where each first occurs, which of them each element
    of `x` is, and how often each occurs."""
    flat = x.reshape(-1)
    order = mx.argsort(flat).astype(mx.int32)
    ordered = flat[order]
    starts = mx.concatenate([mx.ones((min(1, flat.size),), mx.bool_), ordered[1:] != ordered[:-1]])
    group = mx.cumsum(starts.astype(mx.int32)) - 1
    values = ordered[starts]
    zeros = mx.zeros((values.size,), mx.int32)
    first = (zeros + flat.size).at[group].minimum(order)
    inverse = mx.zeros((flat.size,), mx.int32).at[order].add(group)
    return UniqueAll(values, first, inverse.reshape(x.shape), zeros.at[group].add(1))


def unique_counts(x: mx.array) -> UniqueCounts:
    """The distinct values in ascending order and how often each occurs."""
    every = unique_all(x)
    return UniqueCounts(every.values, every.counts)


def unique_inverse(x: mx.array) -> UniqueInverse:
    """The distinct values in ascending order and which of them each element of `x` is."""
    every = unique_all(x)
    return UniqueInverse(every.values, every.inverse_indices)


def unique_values(x: mx.array) -> mx.array:
    """The distinct values in ascending order."""
    ordered = mx.sort(x.reshape(-1))
    starts = mx.concatenate([mx.ones((min(1, x.size),), mx.bool_), ordered[1:] != ordered[:-1]])
    return ordered[starts]


def isin(x1: mx.array, x2: mx.array, *, invert: bool = False) -> mx.array:
    """Whether each element of `x1` is one of `x2` (is none of them with `invert`)."""
    x1, x2 = mx.asarray(x1), mx.asarray(x2).reshape(-1)
    if x2.size == 0:
        return mx.full(x1.shape, invert)
    dtype = mx.result_type(x1, x2)
    known = mx.sort(x2.astype(dtype))
    place = mx.minimum(mx.searchsorted(known, x1.astype(dtype)), known.size - 1)
    found = known[place] == x1
    return mx.logical_not(found) if invert else found
