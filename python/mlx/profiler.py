"""Where the time of a program goes, step by step of what was really run.

    with mx.profiler.trace("steps.json"):
        step(model, batch)
    mx.profiler.summary()

A step is one kernel or one fused group of operations. The file is in Chrome's trace format and
opens in Perfetto. `python -m mlx.profiler script.py` runs a whole script that way. Steps of a GPU
are timed by its own events, and started one by one while that is done. Nothing costs time while no
trace is being made.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import math
import os
import runpy
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, TypedDict, cast

import mlx.core as mx

_Tensor = tuple[tuple[int, ...], mx.Dtype]


class Step(TypedDict):
    """What is known of one step. Times are in microseconds, `start` since the trace began; `line`
    is empty unless lines were asked for."""

    ops: list[str]
    inputs: list[_Tensor]
    outputs: list[_Tensor]
    bytes: int
    operations: float
    start: float
    duration: float
    stream: mx.Stream
    thread: int
    line: str


class PlanCache(TypedDict):
    """How many plans are kept, the nodes of the graphs that they were made for, and how many plans
    had to be made so far."""

    plans: int
    nodes: int
    made: int


_last: list[Step] = []


@contextlib.contextmanager
def trace(
    path: str | os.PathLike[str] | None = None, *, lines: bool = False
) -> Iterator[list[Step]]:
    """Record all steps of all threads within the block, and write them to `path` if given.

    Gives a list that holds the steps when the block has ended. `lines` also finds the Python line
    outside this package that made each step's last operation, at some cost when graphs are built.
    Raises RuntimeError inside another trace.
    """
    global _last
    steps: list[Step] = []
    mx._start_recording(lines)
    try:
        yield steps
    finally:
        steps.extend(mx._stop_recording(lines))
        _last = steps
        if path is not None:
            Path(path).write_text(json.dumps(_chrome_trace(steps)))


def summary(rows: int = 20, file: IO[str] | None = None) -> None:
    """Print the steps of the last trace, like ones together, those that took longest first.

    Columns: number of steps, time in ms, its share, GB/s, GFLOP/s, and how much of the time the
    machine's memory or arithmetic would have needed at least.
    """
    groups: dict[tuple[str, str], list[Step]] = {}
    for step in _last:
        groups.setdefault((_name(step), step["line"]), []).append(step)
    total = sum(step["duration"] for step in _last) or math.inf
    ranked = sorted(groups.items(), key=lambda group: -_time(group[1]))
    heads = ("steps", "ms", "%", "GB/s", "GFLOP/s", "limit %")
    _print_row(heads, "ops", file)
    for (name, line), steps in ranked[:rows]:
        spent = _time(steps) or math.inf
        sums = {key: sum(s[key] for s in steps) for key in ("bytes", "operations")}
        figures = (
            str(len(steps)),
            f"{_time(steps) / 1e3:.3f}",
            f"{100 * _time(steps) / total:.1f}",
            f"{sums['bytes'] / spent / 1e3:.1f}",
            f"{sums['operations'] / spent / 1e3:.1f}",
            f"{100 * sum(_least_time(s) for s in steps) / spent:.1f}",
        )
        _print_row(figures, f"{name}  {line}" if line else name, file)
    rest = [step for _, steps in ranked[rows:] for step in steps]
    if rest:
        share = 100 * _time(rest) / total
        figures = (str(len(rest)), f"{_time(rest) / 1e3:.3f}", f"{share:.1f}", "", "", "")
        _print_row(figures, f"{len(ranked) - rows} other kinds", file)


def plan_cache() -> PlanCache:
    """What is kept of planning. A graph of the structure of an earlier one makes no plan."""
    return cast(PlanCache, mx._plan_cache())


def clear_plan_cache() -> None:
    """Forget all plans; they are made anew when they are needed."""
    mx._clear_plan_cache()


def set_plan_cache_limit(nodes: int) -> int:
    """Keep plans of graphs of so many nodes together, those used last. Returns the old limit."""
    return mx._set_plan_cache_limit(nodes)


def _print_row(figures: tuple[str, ...], name: str, file: IO[str] | None) -> None:
    print(*(f"{figure:>9}" for figure in figures), " ", name, file=file)


def _time(steps: list[Step]) -> float:
    return sum(step["duration"] for step in steps)


def _name(step: Step) -> str:
    """The ops of a step, long groups cut short."""
    ops = step["ops"]
    shown = ops if len(ops) <= 6 else [*ops[:5], f"{len(ops) - 5} more"]
    return " ".join(shown)


def _chrome_trace(steps: list[Step]) -> dict[str, Any]:
    """The trace as a JSON value: a process for each kind of device, a thread for each stream."""
    events: list[dict[str, Any]] = []
    for stream in dict.fromkeys(step["stream"] for step in steps):
        place = _place(stream)
        device = str(stream.device)
        events.append({"ph": "M", "name": "process_name", **place, "args": {"name": device}})
        events.append(
            {"ph": "M", "name": "thread_name", **place, "args": {"name": f"stream {stream.index}"}}
        )
    for step in steps:
        events.append(
            {
                "ph": "X",
                "name": _name(step),
                "cat": "step",
                "ts": step["start"],
                "dur": step["duration"],
                **_place(step["stream"]),
                "args": _facts(step),
            }
        )
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _place(stream: mx.Stream) -> dict[str, int]:
    return {"pid": 1 if stream.device.type == mx.gpu else 0, "tid": stream.index}


def _facts(step: Step) -> dict[str, Any]:
    spent = step["duration"] or math.inf
    facts: dict[str, Any] = {
        "ops": step["ops"],
        "inputs": [_describe(t) for t in step["inputs"]],
        "outputs": [_describe(t) for t in step["outputs"]],
        "bytes": step["bytes"],
        "GB/s": step["bytes"] / spent / 1e3,
        "GFLOP/s": step["operations"] / spent / 1e3,
        "share of limit": _least_time(step) / spent,
        "thread": step["thread"],
    }
    if step["line"]:
        facts["line"] = step["line"]
    return facts


def _describe(tensor: _Tensor) -> str:
    shape, dtype = tensor
    return f"{str(dtype).rpartition('.')[2]}[{','.join(map(str, shape))}]"


def _least_time(step: Step) -> float:
    """Microseconds that this machine's memory or its arithmetic needs at least."""
    device = step["stream"].device
    moving = step["bytes"] / _bandwidth(device)
    floats = [dtype for _, dtype in step["inputs"] if mx.issubdtype(dtype, mx.floating)]
    return max(moving, step["operations"] / _peak(device, floats[0] if floats else mx.float32))


def _best_time(work: list[mx.array], run: Any, device: mx.Device) -> float:
    """Microseconds of the fastest of a few runs."""
    best = math.inf
    with mx.stream(device):
        mx.eval(work, run(*work))
        for _ in range(4):
            begin = time.perf_counter()
            mx.eval(run(*work))
            best = min(best, 1e6 * (time.perf_counter() - begin))
    return best


@functools.cache
def _bandwidth(device: mx.Device) -> float:
    """Bytes per microsecond that a sum reads from memory, the best of a few runs."""
    with mx.stream(device):
        x = mx.arange(1 << (28 if device.type == mx.gpu else 25), dtype=mx.float32)
    return x.nbytes / _best_time([x], mx.sum, device)


@functools.cache
def _peak(device: mx.Device, dtype: mx.Dtype) -> float:
    """Operations per microsecond of a large product, the best of a few runs."""
    n = 4096 if device.type == mx.gpu else 1024
    with mx.stream(device):
        x = mx.random.uniform(shape=(n, n)).astype(dtype)
    return 2 * n**3 / _best_time([x], lambda a: a @ a, device)


def main(arguments: list[str] | None = None) -> None:
    """Run a script under the profiler: `python -m mlx.profiler [-o FILE] script.py …`."""
    parser = argparse.ArgumentParser(prog="python -m mlx.profiler", description=main.__doc__)
    parser.add_argument("-o", "--output", help="file for the trace, to be opened in Perfetto")
    parser.add_argument("--lines", action="store_true", help="show the lines that made the steps")
    parser.add_argument("--rows", type=int, default=20, help="rows of the table")
    parser.add_argument("script")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    given = parser.parse_args(arguments)
    sys.argv = [given.script, *given.arguments]
    sys.path.insert(0, str(Path(given.script).resolve().parent))
    try:
        with trace(given.output, lines=given.lines):
            runpy.run_path(given.script, run_name="__main__")
    finally:
        summary(given.rows)


if __name__ == "__main__":
    from mlx.profiler import main as run  # the module that mx.profiler is, not a second one

    run()
