"""The families of statements that programs are made of, and how often each is drawn."""

from __future__ import annotations

import elementwise
import index
import matrix
import reduce
import shape
import wrong
from generate import Family, generate
from program import Program

FAMILIES = [
    Family(8, elementwise.MAKERS),
    Family(5, shape.MAKERS),
    Family(5, index.MAKERS),
    Family(4, reduce.MAKERS, steady=False),
    Family(2, matrix.MAKERS, steady=False),
    Family(1.5, wrong.MAKERS),
]


def make(seed: str) -> Program:
    """The program of a seed."""
    return generate(seed, FAMILIES)
