"""Prints the tables of GGUF's types of few bits as rows of a C++ table, from the package gguf.

`--license` prints where the package's license lies instead.
"""

from __future__ import annotations

import importlib.metadata
import sys

import gguf.quants

GRIDS = ("IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "IQ1_S")


def row(name: str, width: int, bits: int, values: tuple[int, ...], digits: str) -> str:
    listed = ", ".join(map(str, values))
    return f'      {{"{name}", {width}, {bits}, {{{listed}}}, "{digits}"}},'


def tables() -> list[str]:
    rows = [row("signs", 1, 8, (), gguf.quants.IQ2_XXS.ksigns.hex())]
    for name in GRIDS:
        kind = getattr(gguf.quants, name)
        count, width = kind.grid_shape
        digits = kind.grid_hex.decode()
        rows.append(row(name, width, 4 * len(digits) // (count * width), kind.grid_map, digits))
    return rows


def license_file() -> str:
    files = importlib.metadata.files("gguf") or []
    return next((str(f.locate()) for f in files if f.name == "LICENSE"), "")


if __name__ == "__main__":
    print(license_file() if sys.argv[1:] == ["--license"] else "\n".join(tables()))
