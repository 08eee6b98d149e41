"""Random programs against NumPy, for so many operations or seconds.

A child process runs the programs, so that a crash or a hang is a failure like any other: the
parent, which never loads the library, makes the program again from its seed and shrinks it in
further children. Each failure is printed as a script that stands alone.

fuzz.py [--ops N] [--seconds N] [--seed SEED] [--first NUMBER] [--jobs N]
"""

from __future__ import annotations

import argparse
import faulthandler
import mmap
import os
import random
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import families
from program import Program
from shrink import script, shrink

PATIENCE = 120.0  # seconds for a way of one program
MOST_FAILURES = 20
RECORD = struct.Struct("qqqq")


class Progress:
    """What a child is at, in memory that its parent sees even when it crashes."""

    def __init__(self) -> None:
        self.memory = mmap.mmap(-1, RECORD.size)

    def write(self, program: int, way: int, ops: int, failures: int) -> None:
        RECORD.pack_into(self.memory, 0, program, way, ops, failures)

    def read(self) -> tuple[int, int, int, int]:
        return RECORD.unpack_from(self.memory, 0)


@dataclass
class Budget:
    ops: int
    end: float

    def spent(self, ops: int) -> bool:
        return (self.ops > 0 and ops >= self.ops) or time.monotonic() > self.end


@dataclass
class Total:
    programs: int = 0
    ops: int = 0
    failures: int = 0


def in_child(work: Callable[[], object]) -> int:
    """The process number of a child that does the work and exits."""
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        faulthandler.enable()
        work()
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(status)


def waited(pid: int, alive: Callable[[], bool]) -> int | None:
    """The exit status of a child; None if it had to be killed since it did nothing any more."""
    pause = 0.001
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if not alive():
            os.kill(pid, signal.SIGABRT)  # prints where its threads are
            time.sleep(2)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


class Watch:
    """Whether a child has moved within PATIENCE, not counting times in which all of us were stopped."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.last: tuple[int, ...] | None = None
        self.looked = time.monotonic()
        self.still = 0.0

    def __call__(self) -> bool:
        now, time_now = self.progress.read(), time.monotonic()
        self.still = 0.0 if now != self.last else self.still + min(time_now - self.looked, 1.0)
        self.last, self.looked = now, time_now
        return self.still < PATIENCE


def load() -> type:
    """The checker, and with it the library; children alone call this."""
    from check import Checker

    return Checker


def run_programs(seed: str, first: int, budget: Budget, progress: Progress) -> None:
    """Checks programs until the budget is spent, and prints what fails."""
    number = first
    failures = 0
    checker = load()(lambda way: progress.write(number, way, checker.runner.ops, failures))
    while not budget.spent(checker.runner.ops) and failures < MOST_FAILURES:
        try:
            failure = checker.check(families.make(f"{seed}:{number}"))
            shown = f"-- {failure.way}: {failure.message}\n{failure.script}" if failure else ""
        except Exception:
            shown = f"-- program {seed}:{number} cannot be checked\n{traceback.format_exc()}"
        if shown:
            failures += 1
            print(shown, flush=True)
        number += 1
    progress.write(number, 0, checker.runner.ops, failures)


def crashed(program: Program, way: int) -> str:
    """The script of a program whose process dies, shrunk in processes of its own."""

    def fails(candidate: Program) -> bool:
        def work() -> None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            checker = load()()
            from check import WAYS

            values = checker.known(candidate)
            if way:
                checker.choose(program, WAYS[way])
                checker.run(candidate, WAYS[way], values)

        start = time.monotonic()
        status = waited(in_child(work), lambda: time.monotonic() - start < PATIENCE)
        return status is None or status < 0 or status > 1

    if not fails(program):
        return script(program, "crashed once, not again", "")
    short = shrink(program, fails, {})
    return script(short, "crashes", "".join(s.text + "\n" for s in short.statements))


def fuzz(seed: str, first: int, budget: Budget, total: Total) -> None:
    """Programs of a seed from number `first` on, in one child after another."""
    while not budget.spent(total.ops) and total.failures < MOST_FAILURES:
        progress = Progress()
        rest = Budget(max(0, budget.ops - total.ops), budget.end)
        pid = in_child(lambda: run_programs(seed, first, rest, progress))  # noqa: B023
        status = waited(pid, Watch(progress))
        number, way, ops, failures = progress.read()
        total.programs += number - first
        total.ops += ops
        total.failures += failures
        if status == 1:
            raise RuntimeError(f"stopped at program {seed}:{number}")
        if status != 0:
            total.failures += 1
            name = f"{seed}:{number}"
            print(f"-- program {name}, way {way}: exit status {status}", flush=True)
            print(crashed(families.make(name), way), flush=True)
            number += 1
        first = number


def job(seed: str, first: int, budget: Budget, sums: Progress) -> None:
    """One of several that run side by side; what it did goes to `sums`."""
    total = Total()
    try:
        fuzz(seed, first, budget, total)
    finally:
        sums.write(total.programs, 0, total.ops, total.failures)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--ops", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--seed", default=str(random.SystemRandom().randrange(1 << 30)))
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    print(f"fuzz: seed {args.seed}", flush=True)
    start = time.monotonic()
    end = start + (args.seconds or (60.0 if not args.ops else 1e9))
    children = []
    for k in range(args.jobs):
        seed = args.seed if args.jobs == 1 else f"{args.seed}.{k}"
        budget, sums = Budget(args.ops // args.jobs, end), Progress()
        pid = in_child(lambda s=seed, b=budget, to=sums: job(s, args.first, b, to))
        children.append((pid, sums))
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid, _ in children]
    programs, _, ops, failures = (
        sum(n) for n in zip(*(s.read() for _, s in children), strict=True)
    )
    print(
        f"fuzz: seed {args.seed}: {programs} programs, {ops} operations, "
        f"{failures} failures in {time.monotonic() - start:.0f} s"
    )
    return 1 if failures or any(statuses) else 0


if __name__ == "__main__":
    sys.exit(main())
