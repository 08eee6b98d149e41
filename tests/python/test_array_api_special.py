"""Special values of the array-API standard: functions of elements over all pairs of corners.

NumPy says in double what comes out. `LEFT_OPEN` has the places where the standard leaves a choice or
NumPy departs from it, each with its reason; everything else is compared, signs of zeros too.
"""

import operator

import mlx.core as mx
import numpy as np
import pytest
from dtypes import COMPLEX, REALS, real_of

EPS = {"float16": 2**-10, "bfloat16": 2**-7, "float32": 2**-23, "float64": 2**-52}
REAL_UNARY = (
    "abs acos acosh asin asinh atan atanh ceil cos cosh exp expm1 floor isfinite isinf isnan log log10 "
    "log1p log2 negative positive reciprocal round sign signbit sin sinh sqrt square tan tanh trunc"
)
REAL_BINARY = (
    "add atan2 copysign divide equal floor_divide greater greater_equal hypot less less_equal logaddexp "
    "maximum minimum multiply nextafter not_equal pow remainder subtract"
)
COMPLEX_UNARY = (
    "abs acos acosh asin asinh atan atanh conj cos cosh exp expm1 imag isfinite isinf isnan log log10 "
    "log1p log2 negative positive real reciprocal round sign sin sinh sqrt square tan tanh"
)
COMPLEX_BINARY = "add divide equal multiply not_equal pow subtract"


def real_corners(dtype):
    """Numbers at which functions turn; the dtype holds each."""
    eps, info = EPS[dtype], mx.finfo(getattr(mx, dtype))
    odd, least = 2 / eps - 1, float(info.smallest_normal)
    sides = [0.0, 0.5, 0.7109375, 1 - eps / 2, 1.0, 1 + eps, 1.5, 2.0, 2.5, 3.0, 4.0, 10.0]
    sides += [odd, odd + 1, float(info.max), least, least * eps, np.inf]
    return np.array([s * x for x in sides for s in (1.0, -1.0)] + [np.nan])


def complex_corners(parts):
    """Numbers of all pairs of parts, of either sign, and NaN."""
    parts = np.array([s * x for x in parts for s in (1.0, -1.0)] + [np.nan])
    out = np.empty((parts.size, parts.size), "c16")
    out.real, out.imag = np.meshgrid(parts, parts)
    return out.ravel()


def array(x, dtype):
    wide = mx.array(x, dtype=mx.complex128 if x.dtype.kind == "c" else mx.float64)
    return wide.astype(getattr(mx, dtype))


def numbers(a):
    """The values of an array in double."""
    if a.dtype == mx.bool_:
        return np.array(a)
    return np.array(a.astype(mx.complex128 if "complex" in str(a.dtype) else mx.float64))


# ------------------------------------------------------------------ what comes out


def complex_expm1(z):
    e, half = np.exp(z), np.sin(z.imag / 2)
    out = np.empty_like(z)
    out.imag = e.imag
    plain = np.expm1(z.real) * np.cos(z.imag) - 2 * half * half
    out.real = np.where(np.isfinite(z), plain, e.real - 1)
    out.imag = np.where(z.imag == 0, z.imag, out.imag)
    return out


def complex_sign(z):
    return np.where(z == 0, 0, z / np.abs(z))


def joined(real, imag):
    out = np.empty(np.broadcast(real, imag).shape, "c16")
    out.real, out.imag = real, imag
    return out


def infinite(z):
    return np.isinf(z.real) | np.isinf(z.imag)


def quotient(x, y):
    """Of complex numbers, with the infinities and zeros of Annex G that NumPy has as NaN."""
    out = np.where((y == 0) & ~np.isnan(x) & (x != 0), np.inf + 0j, x / y)
    out = np.where(infinite(x) & np.isfinite(y), np.inf + 0j, out)
    return np.where(np.isfinite(x) & infinite(y), 0, out)


OWN = {
    ("expm1", "c"): complex_expm1,
    ("log1p", "c"): lambda z: np.log(joined(1 + z.real, z.imag)),
    ("sign", "c"): complex_sign,
    ("divide", "c"): quotient,
    ("reciprocal", "c"): lambda z: quotient(np.ones_like(z), z),
    ("floor_divide", "f"): lambda x, y: np.floor(x / y),
}


def rounded(x, dtype):
    """Double numbers as the dtype has them, but for the last bits."""
    if x.dtype.kind == "c":
        out = np.empty_like(x)
        out.real, out.imag = rounded(x.real, dtype), rounded(x.imag, dtype)
        return out
    if x.dtype.kind != "f":
        return x
    dtype, info = real_of(dtype), mx.finfo(getattr(mx, real_of(dtype)))
    if dtype == "float64":
        return x
    least = float(info.smallest_normal) * EPS[dtype]
    x = np.where(np.abs(x) >= float(info.max) * (1 + EPS[dtype] / 4), np.copysign(np.inf, x), x)
    return np.where(np.abs(x) <= least / 2, np.copysign(0.0, x), x)


def expected(name, dtype, *inputs):
    if name == "nextafter":
        return next_after(dtype, *inputs)
    if name == "floor_divide" and dtype in ("float32", "bfloat16"):
        inputs = tuple(x.astype("f4") for x in inputs)  # quotients that vanish are zero
    function = OWN.get((name, inputs[0].dtype.kind)) or getattr(np, name)
    with np.errstate(all="ignore"):
        out = function(*inputs)
        return rounded(out.astype("f8") if out.dtype == "f4" else out, dtype)


def next_after(dtype, x, y):
    """One step of the dtype from x towards y."""
    if dtype == "bfloat16":  # the upper half of float32
        wide = x.astype("f4").view("u4") >> 16
        bits, sign = (wide & 0x7FFF).astype(int), (wide >> 15).astype(int)
        step = np.where((y > x) == (sign == 0), 1, -1)
        bits, sign = np.where(bits == 0, 1, bits + step), np.where(bits == 0, y < 0, sign)
        moved = (np.where(np.isnan(x) | np.isnan(y), 0, sign << 15 | bits).astype("u4") << 16).view(
            "f4"
        )
        moved = np.where(x == y, y, moved)
        return np.where(np.isnan(x) | np.isnan(y), np.nan, moved)
    kind = np.dtype(dtype)
    moved = np.nextafter(x.astype(kind), y.astype(kind)).astype("f8")
    return np.where(x == y, y, moved)


# ------------------------------------------------------------------ what is left open


def not_plain(x, y):
    return ((~np.isfinite(x)) | (x == 0) | ~np.isfinite(y)) & (y != 0)


# (function, kind): where it is open, and why.
LEFT_OPEN = {
    ("sign", "c"): infinite,  # z / |z| of infinities is not in the standard
    ("pow", "c"): not_plain,  # Annex G has no table for powers
}
# Infinities of the plane are one for these: which parts are infinite or NaN is open in Annex G.
ONE_INFINITY = {"multiply", "divide", "reciprocal", "square"}
# Signs of zeros that neither the standard nor Annex G gives.
OPEN_ZEROS = {(name, "c") for name in ("log1p", "sign", "pow", "expm1", *ONE_INFINITY)}
OPEN_ZEROS |= {("maximum", "f"), ("minimum", "f")}
# Where one part is NaN, or both parts of the argument are infinite, the other's sign is unspecified.
OPEN_SIGNS = {"sin", "cos", "tan", "sinh", "cosh", "tanh", "exp"}
# Of infinity with NaN beside it, the sign of the result's imaginary part is unspecified.
OPEN_AT_INFINITY = {"acos", "atan"}


def tolerance(name, dtype):
    return (8.0 if dtype in COMPLEX or name == "logaddexp" else 4.0) * EPS[real_of(dtype)]


def agree(got, want, rtol, atol, zeros):
    """Which numbers are those wanted, signs of zeros too if those are settled."""
    assert got.shape == want.shape
    close = np.isclose(got, want, rtol=rtol, atol=atol, equal_nan=True)
    return close & ((want != 0) | (np.signbit(got) == np.signbit(want)) | (not zeros))


def complex_agree(name, got, want, rtol, atol, x):
    atol = atol + np.where(np.isfinite(want), np.abs(want), 0) * rtol
    zeros = (name, "c") not in OPEN_ZEROS
    good = agree(got.real, want.real, rtol, atol, zeros)
    good &= agree(got.imag, want.imag, rtol, atol, zeros)
    if name in OPEN_SIGNS:
        sizes = [np.abs(v) for v in (got.real, want.real, got.imag, want.imag)]
        alike = agree(*sizes[:2], rtol, atol, False) & agree(*sizes[2:], rtol, atol, False)
        unsigned = np.isnan(want) | (np.isinf(x.real) & np.isinf(x.imag))
        good |= alike & unsigned
    if name in OPEN_AT_INFINITY:
        alike = agree(np.abs(got.imag), np.abs(want.imag), rtol, atol, False)
        alike &= agree(got.real, want.real, rtol, atol, zeros)
        good |= alike & np.isinf(x.real) & np.isnan(x.imag)
    return good | (infinite(got) & infinite(want)) if name in ONE_INFINITY else good


def check(name, dtype, got, *inputs):
    want, kind = expected(name, dtype, *inputs), inputs[0].dtype.kind
    rtol = tolerance(name, dtype)
    atol = float(mx.finfo(getattr(mx, real_of(dtype))).smallest_normal) * EPS[real_of(dtype)]
    if want.dtype.kind == "c":
        good = complex_agree(name, got, want, rtol, atol, inputs[0])
    elif want.dtype.kind == "f":
        if name == "logaddexp":  # small sums of larger numbers
            atol = rtol * np.nan_to_num(np.maximum(*map(np.abs, inputs)), posinf=0)
        good = agree(got, want, rtol, atol, (name, kind) not in OPEN_ZEROS)
    else:
        good = got == want
    if (name, kind) in LEFT_OPEN:
        good |= LEFT_OPEN[name, kind](*inputs)
    wrong = [
        f"{name}({', '.join(str(x[i]) for x in inputs)}) = {got[i]}, not {want[i]}"
        for i in np.flatnonzero(~good)
    ]
    assert not wrong, f"{len(wrong)} of {good.size}: " + "; ".join(wrong[:12])


# ------------------------------------------------------------------ tests

UNARY_CASES = [(n, t) for n in REAL_UNARY.split() for t in REALS] + [
    (n, t) for n in COMPLEX_UNARY.split() for t in COMPLEX
]
BINARY_CASES = [(n, t) for n in REAL_BINARY.split() for t in REALS] + [
    (n, t) for n in COMPLEX_BINARY.split() for t in COMPLEX
]


def all_pairs(x):
    return tuple(v.ravel() for v in np.meshgrid(x, x))


@pytest.mark.parametrize(("name", "dtype"), UNARY_CASES)
def test_unary(name, dtype):
    x = complex_corners([0, 0.5, 1, 2, 3.25, np.inf]) if dtype in COMPLEX else real_corners(dtype)
    check(name, dtype, numbers(getattr(mx, name)(array(x, dtype))), x)


@pytest.mark.parametrize(("name", "dtype"), BINARY_CASES)
def test_binary(name, dtype):
    corners = complex_corners([0, 1, 2.5, np.inf]) if dtype in COMPLEX else real_corners(dtype)
    x, y = all_pairs(corners)
    check(name, dtype, numbers(getattr(mx, name)(array(x, dtype), array(y, dtype))), x, y)


OPERATORS = {
    "add": "+", "subtract": "-", "multiply": "*", "divide": "/", "floor_divide": "//",
    "remainder": "%", "pow": "**", "less": "<", "less_equal": "<=", "greater": ">",
    "greater_equal": ">=", "equal": "==", "not_equal": "!=",
}  # fmt: skip
METHODS = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "truediv"}
METHODS |= {"floor_divide": "floordiv", "remainder": "mod", "pow": "pow"}


@pytest.mark.parametrize(("name", "dtype"), [c for c in BINARY_CASES if c[0] in OPERATORS])
def test_operators(name, dtype):
    """Every form of an operator has the bits of its function."""
    corners = complex_corners([0, 1, np.inf]) if dtype in COMPLEX else real_corners(dtype)
    x, y = (array(v, dtype) for v in all_pairs(corners))
    want = numbers(getattr(mx, name)(x, y))
    forms = [eval(f"x {OPERATORS[name]} y", {"x": x, "y": y})]
    if name in METHODS:
        forms.append(getattr(y, f"__r{METHODS[name]}__")(x))
        forms.append(getattr(operator, f"i{METHODS[name]}")(mx.array(x), y))
    for form in forms:
        np.testing.assert_array_equal(numbers(form), want)
