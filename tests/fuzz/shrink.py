"""Makes a failing program short, and prints it as a script that needs nothing of this folder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from program import Program, Values, literal, spelled


def shrink(program: Program, fails: Callable[[Program], bool], values: Values) -> Program:
    """The program without the statements it fails without. Statements that others need become
    literals of their values where it still fails."""
    changed = True
    while changed:
        changed = False
        for k in reversed(range(len(program.statements))):
            for candidate in (without(program, k), known(program, k, values)):
                if candidate and fails(candidate):
                    program, changed = candidate, True
                    break
    return program


def without(program: Program, k: int) -> Program | None:
    if k >= len(program.statements):
        return None
    kept = program.kept({k})
    return program.only(kept) if kept else None


def known(program: Program, k: int, values: Values) -> Program | None:
    """With a literal in place of statement k, unless the array changes later."""
    if k >= len(program.statements):
        return None
    s = program.statements[k]
    writes = [t.name for t in program.statements].count(s.name)
    if s.constant is not None or s.raises or writes > 1 or s.name not in values:
        return None
    made = literal(s.name, values[s.name].data, s.dtype)
    return Program(program.seed, [*program.statements[:k], made, *program.statements[k + 1 :]])


def script(program: Program, message: str, text: str) -> str:
    """The program as a script: its constants, then the text that runs it."""
    constants = "".join(
        f"c_{s.name} = {spelled(np.asarray(s.constant))}\n" for s in program.inputs()
    )
    comment = message.replace("\n", " ")[:400]
    head = "import mlx.core as mx\nimport numpy as np\nfrom numpy import inf, nan\n"
    return f"# program {program.seed}: {comment}\n{head}\n{constants}\n{text}"
