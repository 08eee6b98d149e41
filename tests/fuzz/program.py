"""Random programs: statements with the text that runs and the reference that it must agree with.

A statement is one line over the names that earlier lines define. Its reference takes the values
that the library itself computed for these names, so that errors do not add up along a program and
every statement is held to its own bound.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from values import Value, Want, numpy_dtype, rounded

Values = dict[str, Value]
Reference = Callable[..., "Want | np.ndarray"]


@dataclass
class Statement:
    """`name = expr`, or for an update the line `text` that changes `name` in place. A statement
    that `raises` has to end in a Python exception and defines nothing."""

    name: str
    expr: str
    reads: tuple[str, ...]
    dtype: str
    reference: Reference
    constant: np.ndarray | None = None  # what a literal is made of, under the name c_NAME
    update: bool = False
    raises: bool = False
    smooth: bool = False  # its reference has a derivative that finite differences can see
    steady: bool = True  # gives the same bits however its elements lie
    maps: bool = True  # may be given to vmap with the elements of its inputs in another order

    @property
    def text(self) -> str:
        return self.expr if self.update or self.raises else f"{self.name} = {self.expr}"

    @property
    def pure(self) -> bool:
        """An expression of its inputs alone, for the transforms of one statement."""
        return not (self.update or self.raises) and self.constant is None and bool(self.reads)


def want_of(statement: Statement, values: Values) -> Want:
    """What the statement has to give for these values of its inputs."""
    return wanted(statement, {n: values[n].data for n in statement.reads})


def wanted(statement: Statement, given: dict[str, np.ndarray]) -> Want:
    with np.errstate(all="ignore"):
        want = statement.reference(*(np.asarray(given[n]) for n in statement.reads))
    return want if isinstance(want, Want) else Want(np.asarray(want))


@dataclass
class Program:
    seed: str
    statements: list[Statement] = field(default_factory=list)

    def kept(self, dropped: set[int]) -> set[int]:
        """The numbers of the statements that remain without `dropped` and all that need them."""
        gone, last = set(dropped), dict[str, int]()
        for k, s in enumerate(self.statements):
            if any(last.get(n) in gone for n in s.reads):
                gone.add(k)
            if not s.raises:
                last[s.name] = k
        return set(range(len(self.statements))) - gone

    def only(self, numbers: Iterable[int]) -> Program:
        return Program(self.seed, [self.statements[k] for k in sorted(numbers)])

    def names(self) -> list[str]:
        """What the program defines, in order."""
        return list(dict.fromkeys(s.name for s in self.statements if not s.raises))

    def inputs(self) -> list[Statement]:
        return [s for s in self.statements if s.constant is not None]

    def body(self) -> list[Statement]:
        """What a function of the inputs consists of."""
        return [s for s in self.statements if s.constant is None and not s.raises]


def literal(name: str, data: np.ndarray, dtype: str, chosen: float = 0) -> Statement:
    """A line that makes an array of known values; `chosen`, in [0, 1), says from whose memory."""
    data = np.asarray(data, numpy_dtype(dtype), order="C")
    ways = ways_in(data)
    way = ways[int(chosen * len(ways))].replace("VALUES", f"c_{name}")
    expr = way.replace("DTYPE", f"dtype=mx.{dtype}")
    return Statement(name, expr, (), dtype, lambda: data, constant=data)


def ways_in(data: np.ndarray) -> list[str]:
    """Expressions that make an array of these values."""
    ways = ["mx.array(VALUES, DTYPE)"] * 6
    ways += ["mx.array(memoryview(VALUES), DTYPE)", "mx.array(VALUES.T, DTYPE).T"]
    if data.size:
        ways.append("mx.array(VALUES.tolist(), DTYPE)")
    if data.ndim:
        ways.append("mx.array(VALUES[::-1], DTYPE)[::-1]")
        ways.append("mx.array(np.repeat(VALUES, 2, axis=-1)[..., ::2], DTYPE)")
    if data.ndim and data.size and data.dtype.kind in "biuf" and data.dtype != np.float16:
        ways.append("mx.array(np.ctypeslib.as_ctypes(VALUES), DTYPE)")
    return ways


def nominal(want: Want, dtype: str) -> Value:
    """What a statement is taken to give while a program is being made."""
    with np.errstate(all="ignore"):
        return Value(dtype, np.asarray(rounded(want.value, dtype)))


def spelled(data: np.ndarray) -> str:
    """An expression of these very values."""
    if data.size == 0:
        return f"np.zeros({data.shape}, {str(data.dtype)!r})"
    if data.size > 64 and (data == data.flat[0]).all():
        return f"np.full({data.shape}, {data.flat[0].item()!r}, {str(data.dtype)!r})"
    return f"np.array({data.tolist()!r}, {str(data.dtype)!r})"
