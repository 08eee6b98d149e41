"""Runs programs on the library and compares: statement by statement, and as a whole in some mode.

A mode is a piece of text that runs the program's function `f` on its `inputs()` and leaves what it
gave in `got`; the bits have to be those of the run statement by statement.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import modes
import numpy as np
from program import Program, Statement, Values, spelled, want_of
from values import Value, disagreement, numpy_dtype

# What a mistake may raise. MemoryError is for sizes that no machine has, BufferError for values that
# NumPy asks for and that do not exist.
RAISES = (ValueError, IndexError, TypeError, RuntimeError, MemoryError, OverflowError, BufferError)


class Wrong(Exception):
    """A result that is not what it has to be; `text` shows it, given the program's constants."""

    def __init__(self, message: str, text: str = ""):
        super().__init__(message)
        self.text = text
        self.values: Values = {}  # what is known of the program


def dtype_name(a: mx.array) -> str:
    name = str(a.dtype).rsplit(".", 1)[-1]
    return "bool_" if name == "bool" else name


def wide(a: mx.array) -> Value:
    """The values of an array, held wide."""
    if not isinstance(a, mx.array):
        raise Wrong(f"gave a {type(a).__name__}, not an array")
    name = dtype_name(a)
    x = np.array(a.astype(mx.float32) if name == "bfloat16" else a)
    return Value(name, x.astype(numpy_dtype(name)))


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Equal values, signs of zeros among them; any NaN is any other."""
    if a.shape != b.shape or not np.array_equal(a, b, equal_nan=a.dtype.kind in "fc"):
        return False
    if a.dtype.kind == "c":
        return True
    return a.dtype.kind != "f" or bool((np.signbit(a) == np.signbit(b))[~np.isnan(a)].all())


def nearly(a: np.ndarray, b: np.ndarray) -> bool:
    """As sums in another order give it, where they do not overflow; what is found by comparing
    such sums may be anything."""
    if a.shape != b.shape or a.dtype.kind not in "fc":
        return a.shape == b.shape
    both = np.isfinite(a) & np.isfinite(b)
    a, b = np.where(both, a, 0), np.where(both, b, 0)
    return bool(np.allclose(a, b, rtol=1e-2, atol=1e-2 * (1 + np.abs(b).max(initial=0))))


def first_difference(a: np.ndarray, b: np.ndarray) -> str:
    if a.shape != b.shape:
        return f"has shape {a.shape}, wanted {b.shape}"
    off = ~((a == b) | ((a != a) & (b != b)))
    if not off.any():
        return "differs in the sign of a zero"
    where = tuple(map(int, np.argwhere(off)[0]))
    return f"at {where} of {a.shape} is {a[where]!r}, wanted {b[where]!r}"


def shown(name: str, want: np.ndarray) -> str:
    """Lines that compare a result with literal values."""
    return f"print({name})\nprint({spelled(want)})\n"


class Runner:
    """Counts the operations that were run."""

    def __init__(self) -> None:
        self.ops = 0

    def execute(self, text: str, env: dict[str, Any]) -> None:
        exec(compile(text, "<program>", "exec"), env)

    def statements(self, program: Program) -> Values:
        """Runs one statement after another, each evaluated and compared; all final values."""
        env: dict[str, Any] = {"mx": mx, "np": np}
        values: Values = {}
        text = ""
        for s in program.statements:
            self.ops += 1
            text += s.text + "\n"
            try:
                if s.raises:
                    self._raising(s, env, values)
                else:
                    values[s.name] = self._giving(s, env, values)
            except Wrong as e:
                e.values, e.text = values, text + e.text
                raise
        return values

    def _giving(self, s: Statement, env: dict[str, Any], values: Values) -> Value:
        env["c_" + s.name] = s.constant
        try:
            self.execute(s.text, env)
            got = wide(env[s.name])
        except Exception as e:
            raise Wrong(f"`{s.text}` raised {type(e).__name__}: {e}") from e
        want = want_of(s, values)
        with np.errstate(all="ignore"):
            message = disagreement(got.data, want, s.dtype)
        if got.dtype != s.dtype:
            message = f"gave {got.dtype}, wanted {s.dtype}"
        if message:
            raise Wrong(f"`{s.text}` {message}", shown(s.name, np.asarray(want.value)))
        return got

    def _raising(self, s: Statement, env: dict[str, Any], values: Values) -> None:
        try:
            self.execute(s.text, env)
        except RAISES as e:
            if "internal error" in str(e):
                raise Wrong(f"`{s.text}` raised {type(e).__name__}: {e}") from e
        except Exception as e:
            raise Wrong(f"`{s.text}` raised {type(e).__name__}: {e}") from e
        else:
            raise Wrong(f"`{s.text}` did not raise")
        for n in s.reads:
            if not same_bits(wide(env[n]).data, values[n].data):
                raise Wrong(f"`{s.text}` raised and changed {n}", f"print({n})\n")

    def whole(self, program: Program, name: str, outputs: list[str], values: Values) -> None:
        """Runs the program's function in a mode."""
        env: dict[str, Any] = {"mx": mx, "np": np}
        env |= {"c_" + s.name: s.constant for s in program.inputs()}
        text = modes.text(name, program, outputs, values)
        self.ops += len(program.body()) * max(1, text.count("f(") - 1)
        try:
            self.execute(text, env)
            got = [wide(a) for a in env["got"]]
            want = [wide(a) for a in env["same"]] if "same" in env else [values[n] for n in outputs]
        except Exception as e:
            raise Wrong(f"{name}: {type(e).__name__}: {e}", text) from e
        sums = modes.unsteady(program) if name not in modes.GRADS else set()
        for k, (a, b) in enumerate(zip(got, want, strict=True)):
            loose = name in modes.SUMS_IN_ANOTHER_ORDER or (sums and outputs[k] in sums)
            same = nearly if loose else same_bits
            if a.dtype == b.dtype and same(a.data, b.data):
                continue
            how = first_difference(a.data, b.data) if a.dtype == b.dtype else f"is {a.dtype}"
            ends = f"{text}print(got[{k}])\nprint({spelled(b.data)})\n"
            raise Wrong(f"{name}: got[{k}] {how}", ends)
