"""Statements of the element-wise table: its rows, dtype rules and references say what they give."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))

import op_reference as ref
from generate import Generator
from values import (
    COMPLEX,
    EVERY,
    INTEGERS,
    REAL_OF,
    REALS,
    Want,
    is_float,
    is_inexact,
    near,
    rounded,
    spacing,
)

ROWS = [
    r for r in ref.read_table() if r.function not in ("astype", "from_fp8", "nan_equal", "where")
]
UNARY = [r for r in ROWS if r.arity == 1]
BINARY = [r for r in ROWS if r.arity == 2]
OPERATORS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "remainder": "%"}
OPERATORS |= {"less": "<", "equal": "==", "bitwise_and": "&", "bitwise_or": "|", "greater": ">"}
OPERATORS |= {"floor_divide": "//", "power": "**"}
SIGNED = {8: "int8", 16: "int16", 32: "int32", 64: "int64"}


def width(dtype: str) -> int:
    return int(dtype.lstrip("uint"))


def promoted(a: str, b: str) -> str:
    """The dtype that two dtypes meet in."""
    if a == b or b == "bool_":
        return a
    if a == "bool_":
        return b
    wide = any(REAL_OF.get(d, d) == "float64" for d in (a, b))
    if a in COMPLEX or b in COMPLEX:
        return "complex128" if wide else "complex64"
    if wide:
        return "float64"
    if is_float(a) and is_float(b):
        return "float32"
    if is_float(a) or is_float(b):
        return a if is_float(a) else b
    wide, other = (a, b) if width(a) >= width(b) else (b, a)
    if a[0] == b[0]:
        return wide
    if wide[0] == "i" and width(wide) > width(other):
        return wide
    return {8: "int16", 16: "int32", 32: "int64", 64: "float32"}[width(wide)]


def result_dtype(rule: str, dtype: str) -> str:
    """What an op of the rule gives for inputs that meet in `dtype`."""
    if rule in ("Float", "RealFloat"):
        return dtype if is_inexact(dtype) else "float32"
    if rule == "Magnitude":
        return REAL_OF.get(dtype, dtype)
    return {"Predicate": "bool_", "EncodeFP8": "uint8", "DecodeFP8": "bfloat16"}.get(rule, dtype)


def cast(x: np.ndarray, dtype: str) -> np.ndarray:
    """Wide values after promotion to a dtype."""
    return rounded(x, dtype)


def bound(row: ref.TableRow, dtype: str, x: np.ndarray, inputs: list[np.ndarray]) -> Want:
    """The reference's result with the error that the table states."""
    r = ref.REFERENCES[row.function]
    if not is_inexact(dtype):
        return Want(x)
    ulps = {"float32": r.ulp, "float64": 8.0, "complex64": 8.0, "complex128": 16.0}.get(
        dtype, 0.05 if r.ulp else 0.0
    )
    want = near(x, dtype, ulps)
    if row.function == "floor_divide" and dtype not in COMPLEX:
        want.slack = beside_whole(inputs[0] / inputs[1], dtype)
    if r.cancels:
        want.slack = want.slack + r.cancels * (np.abs(x) < 1)
    return want


def beside_whole(quotient: np.ndarray, dtype: str) -> np.ndarray:
    """1 where a rounded quotient may lie on the other side of a whole number."""
    margin = 2 * spacing(quotient, dtype)
    return np.where(np.abs(quotient - np.round(quotient)) <= margin, 1 + margin, margin)


def compute(row: ref.TableRow, meet: str, dtype: str) -> Callable[..., Want]:
    """The reference of a row, with inputs promoted first."""
    inner = dtype if row.rule in ("Float", "RealFloat") else meet

    def reference(*inputs: np.ndarray) -> Want:
        wide = [cast(x, inner) for x in inputs]
        x = np.asarray(ref.REFERENCES[row.function].numpy(*wide))
        if row.function == "logaddexp" and np.iscomplexobj(x):  # the principal value
            x = x.real + 1j * np.angle(np.exp(1j * x.imag))
        return bound(row, dtype, x, wide)

    return reference


def smooth(row: ref.TableRow) -> bool:
    return ref.REFERENCES[row.function].smooth


def unary(g: Generator) -> None:
    row = g.choice(UNARY)
    x = g.any(ref.RULE_DTYPES[row.rule])
    dtype = result_dtype(row.rule, g.dtype(x))
    g.put(
        f"mx.{row.function}({x})", [x], dtype, compute(row, g.dtype(x), dtype), smooth=smooth(row)
    )


def partner(g: Generator, x: str, dtypes: list[str]) -> str:
    """An array that broadcasts with x: another one of its shape, or with extents of 1."""
    shape = g.shape(x)
    same = [n for n, v in g.values.items() if v.data.shape == shape and v.dtype in dtypes]
    if same and g.chance(0.6):
        return g.choice(same)
    drawn = tuple(1 if g.chance(0.2) else n for n in shape)
    drawn = drawn[g.rng.randrange(len(drawn) + 1) if g.chance(0.3) else 0 :]
    if g.chance(0.1) and len(drawn) < 4:
        drawn = (g.choice([1, 2]), *(1,) * (len(shape) - len(drawn)), *drawn)
    dtype = g.dtype(x) if g.chance(0.7) and g.dtype(x) in dtypes else g.dtypes(dtypes)
    return g.new(dtype, drawn)


def binary(g: Generator) -> None:
    row = g.choice(BINARY)
    dtypes = ref.RULE_DTYPES[row.rule]
    a = g.any(dtypes)
    b = partner(g, a, dtypes)
    meet = promoted(g.dtype(a), g.dtype(b))
    if meet not in dtypes:
        return
    if g.chance(0.5):
        a, b = b, a
    dtype = result_dtype(row.rule, meet)
    sign = OPERATORS.get(row.function)
    expr = f"{a} {sign} {b}" if sign and g.chance(0.5) else f"mx.{row.function}({a}, {b})"
    g.put(expr, [a, b], dtype, compute(row, meet, dtype), smooth=smooth(row))


def scalar(g: Generator) -> None:
    """An operand that is a Python number takes the array's dtype."""
    row = g.choice([r for r in BINARY if r.rule in ("Same", "Float", "Predicate")])
    x = g.any(["int8", "int32", "uint8", "int64", "float16", "bfloat16", "float32", "float64"])
    dtype = g.dtype(x)
    number = g.choice([0, 1, 2, 3]) if dtype in INTEGERS else g.choice([0.5, 2.0, -1.5, 3, -0.0, 1])
    if row.function == "power" and number == 0.5:
        number = 2.5  # NumPy takes the square root instead, which knows no -inf
    result = result_dtype(row.rule, dtype)
    inner = compute(row, dtype, result)
    value = np.asarray(number, dtype if dtype in INTEGERS else "float64")
    if g.chance(0.5):
        g.put(f"mx.{row.function}({x}, {number!r})", [x], result, lambda a: inner(a, value))
    else:
        g.put(f"mx.{row.function}({number!r}, {x})", [x], result, lambda a: inner(value, a))


def where(g: Generator) -> None:
    c = g.any(["bool_"])
    a = partner(g, c, list(EVERY))
    b = partner(g, c, list(EVERY))
    try:
        np.broadcast_shapes(g.shape(a), g.shape(b), g.shape(c))
    except ValueError:
        return
    dtype = promoted(g.dtype(a), g.dtype(b))
    g.put(
        f"mx.where({c}, {a}, {b})",
        [c, a, b],
        dtype,
        lambda c, a, b: np.where(c, cast(a, dtype), cast(b, dtype)),
    )


def clip(g: Generator) -> None:
    x = g.any([*INTEGERS, *REALS])
    low, high = sorted(g.rng.sample(range(6), 2))
    dtype = g.dtype(x)
    g.put(
        f"mx.clip({x}, {low}, {high})",
        [x],
        dtype,
        lambda a: np.minimum(np.maximum(a, a.dtype.type(low)), a.dtype.type(high)),
    )


def astype(g: Generator) -> None:
    x = g.any(EVERY)
    dtype = g.dtypes(EVERY)
    if g.dtype(x) in COMPLEX and dtype not in COMPLEX:
        return
    g.put(f"{x}.astype(mx.{dtype})", [x], dtype, lambda a: converted(a, dtype))


def converted(a: np.ndarray, dtype: str) -> Want:
    """A cast; floats that an integer dtype does not hold may become anything."""
    if dtype == "bool_":
        return Want(a != 0)
    if dtype not in INTEGERS or a.dtype.kind != "f":
        return Want(rounded(a, dtype))
    info = np.iinfo(dtype)
    whole = np.trunc(a)
    inside = (whole >= float(info.min)) & (whole < float(info.max) + (info.bits < 64))
    return Want(np.where(inside, whole, 0).astype(dtype), free=~inside)


def nan_to_num(g: Generator) -> None:
    x = g.any(["float16", "bfloat16", "float32", "float64"])
    dtype = g.dtype(x)
    g.put(
        f"mx.nan_to_num({x}, nan=1.0, posinf=2.0, neginf=-2.0)",
        [x],
        dtype,
        lambda a: np.nan_to_num(a, nan=1.0, posinf=2.0, neginf=-2.0),
    )


def divmod_(g: Generator) -> None:
    x = g.any(["int8", "int32", "uint8", "int64", "float32"])
    b = partner(g, x, [g.dtype(x)])
    dtype, part = g.dtype(x), g.choice([0, 1])
    if g.dtype(b) != dtype:
        return
    row = next(r for r in BINARY if r.function == ("remainder" if part else "floor_divide"))
    g.put(f"mx.divmod({x}, {b})[{part}]", [x, b], dtype, compute(row, dtype, dtype))


def close(g: Generator) -> None:
    """A chain that fusion makes one program of, with a value that is used twice."""
    x = g.any(["float32", "float16", "bfloat16", "float64"])
    dtype = g.dtype(x)

    def reference(a: np.ndarray) -> Want:
        e = rounded(np.abs(a), dtype)
        s = rounded(e + 1, dtype)
        return Want(a / s, spacing(a / s, dtype))

    g.put(f"{x} / (mx.abs({x}) + 1)", [x], dtype, reference, smooth=True)


MAKERS = [unary] * 6 + [binary] * 8 + [scalar] * 3 + [where, clip, astype, astype, nan_to_num]
MAKERS += [divmod_, close]
