"""One program, checked in all its ways; what fails is shrunk and becomes a script."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

import modes
import numpy as np
from program import Program, Values
from run import Runner, Wrong
from shrink import script, shrink
from transforms import derivative, mapped

WAYS = ("statements", "whole 1", "whole 2", "whole 3", "mapped", "derivative")


@dataclass
class Failure:
    seed: str
    way: str
    message: str
    script: str


def kind(wrong: Wrong) -> str:
    """What failures of the same sort say alike: no places and no values."""
    return re.sub(r"[\d.-]+", "", re.split(r" at \(", str(wrong))[0])[:60]


class Checker:
    """Checks programs. `note` is told which way runs next, in case that it never returns."""

    def __init__(self, note: Callable[[int], None] = lambda way: None):
        np.seterr(all="ignore")  # infinities and NaN are among the values
        self.runner = Runner()
        self.note = note
        self.modes: dict[str, tuple[str, list[str]]] = {}  # by the program's seed and the way

    def check(self, program: Program) -> Failure | None:
        """The first failure of a program, shrunk."""
        self.modes.clear()
        values: Values | None = None
        for number, way in enumerate(WAYS):
            self.note(number)
            try:
                if values is None:
                    values = self.runner.statements(program)
                else:
                    self.run(program, way, values)
            except Wrong as e:
                return self.report(program, way, kind(e))
        return None

    def run(self, program: Program, way: str, values: Values) -> None:
        if way.startswith("whole"):
            self.whole(program, way, values)
        else:
            self.each(program, way, values)

    def failure(self, program: Program, way: str) -> Wrong | None:
        """How the program fails in this way; None if it does not, or fails in another one."""
        try:
            values = self.runner.statements(program)
        except Wrong as e:
            return e if way == "statements" else None
        try:
            if way != "statements":
                self.run(program, way, values)
        except Wrong as e:
            return e
        return None

    def choose(self, program: Program, way: str) -> tuple[str, list[str]]:
        """The mode and outputs of a whole program; those of what it was before it was shrunk."""
        key = program.seed + way
        if key not in self.modes:
            self.modes[key] = modes.pick(random.Random(key), program)
        return self.modes[key]

    def whole(self, program: Program, way: str, values: Values) -> None:
        if program.names():
            name, outputs = self.choose(program, way)
            outputs = [n for n in outputs if n in values]
            if outputs:
                self.runner.whole(program, name, outputs, values)

    def each(self, program: Program, way: str, values: Values) -> None:
        updated = {s.name for s in program.statements if s.update}
        for s in program.statements:
            rng = random.Random(program.seed + way + s.name)
            if not s.pure or updated & set(s.reads):
                continue
            if way == "mapped" and rng.random() < 0.4:
                mapped(self.runner, s, values, rng)
            if way == "derivative" and s.smooth and rng.random() < 0.5:
                derivative(self.runner, s, values, rng)

    def report(self, program: Program, way: str, same: str) -> Failure:
        def fails(candidate: Program) -> bool:
            wrong = self.failure(candidate, way)
            return wrong is not None and kind(wrong) == same

        short = shrink(program, fails, self.known(program))
        wrong = self.failure(short, way)
        message, text = (str(wrong), wrong.text) if wrong else ("fails now and then", "")
        return Failure(program.seed, way, message, script(short, message, text))

    def known(self, program: Program) -> Values:
        """The values of a program's names, as far as it can be run."""
        try:
            return self.runner.statements(program)
        except Wrong as e:
            return e.values
