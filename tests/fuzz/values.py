"""Dtypes, random values and the comparison of results with bounds, for the random programs.

A value is held wide: bools and integers as they are, floats in float64, complex numbers in
complex128, so that the reference of each statement is computed far more exactly than the library
computes it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np

INTEGERS = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
REALS = ("float16", "bfloat16", "float32", "float64")
COMPLEX = ("complex64", "complex128")
EVERY = ("bool_", *INTEGERS, *REALS, *COMPLEX)
COMMON = ("bool_", "uint8", "uint32", "int8", "int32", "int64", "float16", "bfloat16", "float32")

MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52, "complex64": 23}
MANTISSA["complex128"] = 52
SMALLEST = {"float16": -24, "bfloat16": -133, "float32": -149, "float64": -1074, "complex64": -149}
SMALLEST["complex128"] = -1074
LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38}
LARGEST |= {"float32": float(np.finfo("f4").max), "float64": float(np.finfo("f8").max)}
LARGEST |= {"complex64": LARGEST["float32"], "complex128": LARGEST["float64"]}
REAL_OF = {"complex64": "float32", "complex128": "float64"}


def is_float(dtype: str) -> bool:
    return dtype in REALS


def is_inexact(dtype: str) -> bool:
    return dtype in MANTISSA


@dataclass
class Value:
    dtype: str
    data: np.ndarray


@dataclass
class Want:
    """What a statement has to give: within `slack` of `value`, beside the rounding to its dtype.
    Where `free` is true any value will do."""

    value: np.ndarray
    slack: np.ndarray | float = 0.0
    free: np.ndarray | bool = False


HELD = {d: np.dtype(d) for d in INTEGERS} | {d: np.dtype("float64") for d in REALS}
HELD |= {"bool_": np.dtype("bool")} | {d: np.dtype("complex128") for d in COMPLEX}


def numpy_dtype(dtype: str) -> np.dtype:
    """The dtype that holds values of `dtype` wide."""
    return HELD[dtype]


class Rounding:
    """Whether `rounded` rounds floats. Differences of references are taken without."""

    on = True


def rounded(x: np.ndarray, dtype: str) -> np.ndarray:
    """The wide values nearest to x that `dtype` holds."""
    x = np.asarray(x)
    if not Rounding.on and is_inexact(dtype):
        return x.astype(numpy_dtype(dtype))
    if dtype == "bfloat16":
        wide = x.astype(np.float64)
        single = wide.astype(np.float32)
        bits = single.view(np.uint32).astype(np.uint64)
        # Cut to float32 with a last bit that tells of the rest, so that one rounding is left.
        bits = bits - (np.abs(single) > np.abs(wide)) | (single != wide) & ~np.isnan(wide)
        up = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
        exact = np.where(np.isnan(x), bits | 0x400000, up) & 0xFFFF0000
        return exact.astype(np.uint32).view(np.float32).astype(np.float64)
    if dtype in ("float16", "float32", "complex64"):
        return x.astype(dtype).astype(numpy_dtype(dtype))
    return x.astype(numpy_dtype(dtype))


def spacing(x: np.ndarray, dtype: str) -> np.ndarray:
    """The unit in the last place of x."""
    _, exponent = np.frexp(np.minimum(np.abs(x), LARGEST[dtype]))
    return np.ldexp(1.0, np.maximum(exponent - 1 - MANTISSA[dtype], SMALLEST[dtype]))


def near(x: np.ndarray, dtype: str, ulps: float) -> Want:
    """x within so many units in the last place, in addition to one rounding."""
    return Want(x, ulps * spacing(x, dtype) if is_inexact(dtype) else 0.0)


def disagreement(got: np.ndarray, want: Want, dtype: str) -> str | None:
    """The first element of a result (wide) that is not what was wanted; None if all are."""
    value = np.asarray(want.value)
    if got.shape != value.shape:
        return f"shape {got.shape}, wanted {value.shape}"
    if is_inexact(dtype):
        value = value.astype(numpy_dtype(dtype))
        ok = _close(got, value, want.slack, dtype)
    else:
        ok = got == value.astype(numpy_dtype(dtype))
    ok = ok | want.free
    if ok.all():
        return None
    where = tuple(map(int, np.argwhere(~ok)[0]))
    return f"at {where}: {got[where]!r}, wanted {value[where]!r}"


def _close(got: np.ndarray, want: np.ndarray, slack: np.ndarray | float, dtype: str) -> np.ndarray:
    finite = np.isfinite(want) & np.isfinite(got)
    if dtype in COMPLEX:  # C's and NumPy's infinities differ in which parts are NaN
        finite &= np.abs(np.where(finite, want, 0)) < LARGEST[dtype] * 0.03
        same = ~finite
        got = np.where(finite, got, 0)
    else:
        same = (got == want) | (np.isnan(got) & np.isnan(want))
        beyond = np.abs(want) + slack + 0.5 * spacing(want, dtype) > LARGEST[dtype]
        same |= beyond & ((got == np.copysign(np.inf, want)) | (np.abs(got) == LARGEST[dtype]))
    bound = slack + 0.5000001 * spacing(np.where(finite, want, 0), dtype)
    if dtype in COMPLEX:
        bound = bound * 2
    return same | (finite & (np.abs(np.where(finite, got - want, 0)) <= bound)) | np.isposinf(slack)


def random_shape(rng: random.Random) -> tuple[int, ...]:
    """Mostly small, often with extents of 1, sometimes 0, sometimes long enough for threads."""
    kind = rng.random()
    if kind < 0.03:
        return (rng.choice([1000, 2049, 5000, 70000]),)
    if kind < 0.06:
        return (rng.choice([7, 33, 130]), rng.choice([17, 64, 257]))
    rank = rng.choice([0, 1, 1, 2, 2, 2, 3, 3, 4])
    return tuple(
        rng.choice([0, 1, 1, 2, 3, 3, 4, 5, 6, 9, 17][rng.random() > 0.15 :]) for _ in range(rank)
    )


def random_data(rng: random.Random, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Wide values that the dtype holds: small ones, or extreme and special ones now and then."""
    npr = np.random.default_rng(rng.getrandbits(32))
    wild = rng.random() < 0.12
    if dtype == "bool_":
        return npr.integers(0, 2, shape).astype(bool)
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        low, high = (info.min, info.max) if wild else (max(info.min, -9), 10)
        return npr.integers(low, high, shape, dtype=dtype, endpoint=True)
    if dtype in COMPLEX:
        return rounded(npr.normal(0, 1.5, shape) + 1j * npr.normal(0, 1.5, shape), dtype)
    x = npr.normal(0, 2, shape) if rng.random() < 0.7 else npr.integers(-4, 5, shape).astype(float)
    if wild:
        edge = LARGEST[dtype]
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, edge, -edge, 2.0 ** SMALLEST[dtype], 1.0]
        x = np.where(
            npr.random(shape) < 0.3, npr.choice(special, shape), x * npr.choice([1e-3, 30.0, 1e4])
        )
    with np.errstate(all="ignore"):
        return rounded(x, dtype)
