"""Makes a random program from its seed, without the library: shapes and dtypes follow from the
references, so that a program that crashes the library can still be made again and shrunk.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from program import Program, Reference, Statement, literal, nominal, want_of
from values import COMMON, EVERY, Value, random_data, random_shape

T = TypeVar("T")
LARGEST_RESULT = 300_000
LENGTHS = (4, 6, 8, 12, 16)


class Generator:
    """The program that is being made; `makers` add statements through it."""

    def __init__(self, seed: str):
        self.rng = random.Random(seed)
        self.program = Program(seed)
        self.values: dict[str, Value] = {}
        self.count = 0
        self.steady = True

    def choice(self, items: Sequence[T]) -> T:
        return self.rng.choice(items)

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def fresh(self) -> str:
        self.count += 1
        return f"x{self.count - 1}"

    def data(self, name: str) -> np.ndarray:
        return self.values[name].data

    def shape(self, name: str) -> tuple[int, ...]:
        return self.values[name].data.shape

    def dtype(self, name: str) -> str:
        return self.values[name].dtype

    def dtypes(self, among: Sequence[str] = EVERY) -> str:
        """One of these, mostly one of those that programs use most."""
        common = [d for d in among if d in COMMON]
        return self.choice(common if common and self.chance(0.8) else list(among))

    def leaf(self, data: np.ndarray, dtype: str) -> str:
        return self._add(literal(self.fresh(), data, dtype, self.rng.random()))

    def new(self, dtype: str, shape: tuple[int, ...] | None = None) -> str:
        """A new input of random values."""
        if shape is None:
            shape = random_shape(self.rng)
        return self.leaf(random_data(self.rng, shape, dtype), dtype)

    def any(
        self,
        dtypes: Sequence[str] = EVERY,
        fits: Callable[[tuple[int, ...]], bool] = lambda shape: True,
        shape: Callable[[], tuple[int, ...]] | None = None,
    ) -> str:
        """A name with one of the dtypes and a shape that fits: an older one, or a new input."""
        found = [n for n, v in self.values.items() if v.dtype in dtypes and fits(v.data.shape)]
        if found and self.chance(0.75):
            return self.choice(found[-5:])
        for _ in range(20):
            drawn = shape() if shape else random_shape(self.rng)
            if fits(drawn):
                break
        else:
            drawn = (2, 3)
        return self.new(self.dtypes(dtypes), drawn)

    def put(
        self, expr: str, reads: Sequence[str], dtype: str, reference: Reference, **flags
    ) -> str:
        """A statement with a name of its own; the name."""
        return self._add(Statement(self.fresh(), expr, tuple(reads), dtype, reference, **flags))

    def update(self, name: str, line: str, reads: Sequence[str], reference: Reference) -> None:
        """A statement that changes `name` in place."""
        reads = (name, *(r for r in reads if r != name))
        self._add(Statement(name, line, reads, self.dtype(name), reference, update=True))

    def wrong(self, line: str, reads: Sequence[str]) -> None:
        """A statement that has to raise."""
        s = Statement("", line, tuple(reads), "", lambda *a: np.zeros(()), raises=True)
        self.program.statements.append(s)

    def _add(self, statement: Statement) -> str:
        statement.steady = self.steady or statement.constant is not None
        want = want_of(statement, self.values)
        if want.value.size > LARGEST_RESULT:
            raise TooLarge
        self.values[statement.name] = nominal(want, statement.dtype)
        self.program.statements.append(statement)
        return statement.name


class TooLarge(Exception):
    """A statement would give more elements than a program should hold; it is left out."""


Maker = Callable[[Generator], object]


@dataclass(frozen=True)
class Family:
    weight: float
    makers: Sequence[Maker]
    steady: bool = True  # sums are taken in an order that depends on the layout otherwise


def generate(seed: str, families: Sequence[Family]) -> Program:
    """The program of this seed."""
    g = Generator(seed)
    length = g.choice(LENGTHS)
    weights = [f.weight for f in families]
    for _ in range(length):
        family = g.rng.choices(families, weights)[0]
        g.steady = family.steady
        try:
            g.choice(family.makers)(g)
        except TooLarge:
            continue
    return g.program
