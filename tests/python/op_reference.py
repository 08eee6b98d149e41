"""What each row of the element-wise table computes, by NumPy: one row here for each row there.

`numpy` is evaluated on float64 (complex128) for floating inputs and on the integers themselves for
integer ones. `ulp` bounds the error of the float32 function in units in the last place of the
exact result; 0 means exact. `low` and `high` is the range of the random inputs of each argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dtypes import COMPLEX, EVERY, INTEGERS, REALS
from scipy import special

TABLE = Path(__file__).resolve().parents[2] / "mlx" / "optable" / "elementwise.def"

# Input dtypes that each rule takes as they are.
RULE_DTYPES = {
    "Same": EVERY,
    "NoBool": [d for d in EVERY if d != "bool_"],
    "Real": [d for d in EVERY if d not in COMPLEX],
    "Float": [*REALS, *COMPLEX],
    "RealFloat": REALS,
    "Magnitude": EVERY,
    "Predicate": EVERY,
    "Bits": ["bool_", *INTEGERS],
    "Shift": INTEGERS,
    "EncodeFP8": ["float32"],
    "DecodeFP8": ["uint8"],
    "Cast": [],
    "Select": EVERY,
}


@dataclass(frozen=True)
class TableRow:
    name: str
    function: str
    arity: int
    rule: str


def read_table() -> list[TableRow]:
    """The rows of elementwise.def."""
    arity = {"UNARY": 1, "BINARY": 2, "TERNARY": 3}
    pattern = r"^MLX_(UNARY|BINARY|TERNARY)\((\w+), (\w+), (\w+), \w+\)"
    rows = re.findall(pattern, TABLE.read_text(), re.MULTILINE)
    return [TableRow(name, function, arity[kind], rule) for kind, name, function, rule in rows]


@dataclass(frozen=True)
class Reference:
    numpy: Callable
    ulp: float = 0.0
    low: float = -3.0
    high: float = 3.0
    smooth: bool = True  # has a derivative that finite differences can see
    complex: bool = True  # compare complex results too
    cancels: float = 0.0  # error of float64 results near 0, where NumPy's own bits cancel


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


def sign(x):
    if np.iscomplexobj(x):
        m = np.abs(x)
        return np.where(m == 0, 0, x / np.where(m == 0, 1, m))
    return x.copy() if x.dtype == bool else np.sign(x)


def remainder(a, b):
    if a.dtype.kind in "iub":
        wide = np.where(b == 0, a, np.remainder(a, np.where(b == 0, 1, b)))
        return wide.astype(a.dtype)
    return np.remainder(a, b)


def floor_divide(a, b):
    if a.dtype.kind == "b":
        return a & b
    if a.dtype.kind in "iu":
        return np.where(b == 0, 0, np.floor_divide(a, np.where(b == 0, 1, b))).astype(a.dtype)
    return a / b if np.iscomplexobj(a) else np.floor(a / b)


def power(a, b):
    if a.dtype.kind == "b":
        return a | ~b
    if a.dtype.kind in "iu":
        negative = b < 0
        result = np.power(a, np.where(negative, np.zeros_like(b), b))
        odd = np.where(b % 2 == 0, np.ones_like(a), a)
        unit = (a == 1) | ((a == -1) if a.dtype.kind == "i" else False)
        return np.where(negative, np.where(unit, odd, np.zeros_like(a)), result)
    return np.power(a, b)


def subtract(a, b):
    return a ^ b if a.dtype == bool else a - b


def shift_left(a, b):
    width = 8 * a.dtype.itemsize
    inside = (b >= 0) & (b < width)
    return np.where(inside, np.left_shift(a, np.where(inside, b, 0)), 0).astype(a.dtype)


def shift_right(a, b):
    width = 8 * a.dtype.itemsize
    inside = (b >= 0) & (b < width)
    filled = np.where(a < 0, -1, 0).astype(a.dtype)
    return np.where(inside, np.right_shift(a, np.where(inside, b, 0)), filled)


def logaddexp(a, b):
    if np.iscomplexobj(a):
        high, low = np.where(a.real > b.real, a, b), np.where(a.real > b.real, b, a)
        return high + np.log(1 + np.exp(low - high))
    return np.logaddexp(a, b)


def whole(function):
    return lambda x: x if x.dtype.kind in "iub" else function(x)


def round_parts(x):
    if np.iscomplexobj(x):
        return np.round(x.real) + 1j * np.round(x.imag)
    return whole(np.round)(x)


def truth(x):
    return x != 0


def fp8_values():
    """The 256 values of the 8-bit float with 4 exponent and 3 mantissa bits."""
    code = np.arange(256)
    exponent, mantissa = (code >> 3) & 15, code & 7
    magnitude = np.where(
        exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent - 10.0)
    )
    magnitude = np.where((code & 127) == 127, np.nan, magnitude)
    return np.where(code & 128, -magnitude, magnitude)


def to_fp8(x):
    values = np.abs(fp8_values()[:127])
    clipped = np.minimum(np.abs(x), 448.0)
    above = np.clip(np.searchsorted(values, clipped), 1, 126)
    below = above - 1
    to_above, to_below = values[above] - clipped, clipped - values[below]
    tie = np.where(above % 2 == 0, above, below)
    nearest = np.where(to_above < to_below, above, np.where(to_below < to_above, below, tie))
    return (np.where(np.isnan(x), 127, nearest) | (np.signbit(x) * 128)).astype(np.uint8)


def is_pos_inf(x):
    return x.real == np.inf


def is_neg_inf(x):
    return x.real == -np.inf


def log1p(x):
    """NumPy's loses digits of complex numbers near 0, of which the widest type has enough."""
    x = np.asarray(x)
    return np.log1p(x.astype(np.clongdouble)).astype(x.dtype) if np.iscomplexobj(x) else np.log1p(x)


def in_order(first, last):
    """Complex numbers go by their real parts, equal ones by their imaginary parts; to NumPy those
    with a NaN in either part have no order."""

    def compare(a, b):
        if not (np.iscomplexobj(a) or np.iscomplexobj(b)):
            return last(a, b)
        equal = np.real(a) == np.real(b)
        return first(np.real(a), np.real(b)) | (equal & last(np.imag(a), np.imag(b)))

    return compare


def both_nan(a, b):
    return (a == b) | (np.isnan(a) & np.isnan(b)) if a.dtype.kind in "fc" else a == b


REFERENCES: dict[str, Reference] = {
    "abs": Reference(np.abs, 0.5),
    "negative": Reference(lambda x: -x),
    "sign": Reference(sign, smooth=False),
    "square": Reference(np.square, 0.5),
    "sqrt": Reference(np.sqrt, 0.5, 0.01, 9),
    "rsqrt": Reference(lambda x: 1 / np.sqrt(x), 1.5, 0.01, 9),
    "reciprocal": Reference(lambda x: 1 / x, 0.5, 0.2, 9),
    "exp": Reference(np.exp, 1.0),
    "expm1": Reference(np.expm1, 1.0),
    "log": Reference(np.log, 1.0, 0.01, 9),
    "log2": Reference(np.log2, 1.0, 0.01, 9),
    "log10": Reference(np.log10, 1.0, 0.01, 9),
    "log1p": Reference(log1p, 1.5, -0.9, 9),
    "sin": Reference(np.sin, 1.5),
    "cos": Reference(np.cos, 1.5),
    "tan": Reference(np.tan, 1.0, -1.4, 1.4),
    "arcsin": Reference(np.arcsin, 1.0, -0.9, 0.9),
    "arccos": Reference(np.arccos, 1.0, -0.9, 0.9),
    "arctan": Reference(np.arctan, 1.0),
    "sinh": Reference(np.sinh, 1.0),
    "cosh": Reference(np.cosh, 1.0),
    "tanh": Reference(np.tanh, 2.0),
    "arcsinh": Reference(np.arcsinh, 1.0),
    "arccosh": Reference(np.arccosh, 1.0, 1.1, 9),
    "arctanh": Reference(np.arctanh, 1.0, -0.9, 0.9),
    "erf": Reference(special.erf, 2.0),
    "erfinv": Reference(special.erfinv, 2.0, -0.9, 0.9),
    "sigmoid": Reference(sigmoid, 2.0),
    "degrees": Reference(lambda x: x * (180 / np.pi), 0.51),
    "radians": Reference(lambda x: x * (np.pi / 180), 0.51),
    "floor": Reference(whole(np.floor), smooth=False),
    "ceil": Reference(whole(np.ceil), smooth=False),
    "trunc": Reference(whole(np.trunc), smooth=False),
    "round": Reference(round_parts, smooth=False),
    "conjugate": Reference(np.conj),
    "real": Reference(np.real),
    "imag": Reference(np.imag),
    "logical_not": Reference(lambda x: ~truth(x), smooth=False),
    "bitwise_invert": Reference(np.invert, smooth=False),
    "isnan": Reference(np.isnan, smooth=False),
    "isinf": Reference(np.isinf, smooth=False),
    "isfinite": Reference(np.isfinite, smooth=False),
    "isposinf": Reference(is_pos_inf, smooth=False),
    "isneginf": Reference(is_neg_inf, smooth=False),
    "to_fp8": Reference(to_fp8, low=-500, high=500, smooth=False),
    "from_fp8": Reference(lambda x: fp8_values()[x], smooth=False),
    "astype": Reference(lambda x: x),
    "add": Reference(lambda a, b: a + b, 0.5),
    "subtract": Reference(subtract, 0.5),
    "multiply": Reference(lambda a, b: a * b, 0.5),
    "divide": Reference(lambda a, b: a / b, 0.5, 0.3, 3),
    "remainder": Reference(remainder, 0.5, 0.3, 3, smooth=False),
    "floor_divide": Reference(floor_divide, 0.5, 0.3, 3, smooth=False),
    "power": Reference(power, 1.0, 0.1, 3),
    "maximum": Reference(np.maximum),
    "minimum": Reference(np.minimum),
    "logaddexp": Reference(logaddexp, 1.0, cancels=2.0**-50),
    "arctan2": Reference(np.arctan2, 1.0),
    "equal": Reference(np.equal, smooth=False),
    "not_equal": Reference(np.not_equal, smooth=False),
    "nan_equal": Reference(both_nan, smooth=False),
    "less": Reference(in_order(np.less, np.less), smooth=False),
    "less_equal": Reference(in_order(np.less, np.less_equal), smooth=False),
    "greater": Reference(in_order(np.greater, np.greater), smooth=False),
    "greater_equal": Reference(in_order(np.greater, np.greater_equal), smooth=False),
    "logical_and": Reference(np.logical_and, smooth=False),
    "logical_or": Reference(np.logical_or, smooth=False),
    "logical_xor": Reference(np.logical_xor, smooth=False),
    "bitwise_and": Reference(np.bitwise_and, smooth=False),
    "bitwise_or": Reference(np.bitwise_or, smooth=False),
    "bitwise_xor": Reference(np.bitwise_xor, smooth=False),
    "left_shift": Reference(shift_left, smooth=False),
    "right_shift": Reference(shift_right, smooth=False),
    "where": Reference(np.where),
}
