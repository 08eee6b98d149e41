"""How time grows with size, as a table and a picture in which a cliff shows.

    python benchmarks/growth.py --plot out/growth.png

Element-wise work, sums, sorts and scans of 1 to 2^26 numbers, products of 16 to 4096 rows, and
attention over 64 to 16384 positions.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx

Run = Callable[[], Any]


def vector(n: int) -> mx.array:
    x = mx.random.normal((n,))
    mx.eval(x)
    return x


def on_vector(function: Callable[[mx.array], mx.array]) -> Callable[[int], Run]:
    def make(n: int) -> Run:
        x = vector(n)
        return lambda: mx.eval(function(x))

    return make


def product(dtype: mx.Dtype) -> Callable[[int], Run]:
    def make(n: int) -> Run:
        x = mx.random.normal((n, n)).astype(dtype)
        mx.eval(x)
        return lambda: mx.eval(x @ x)

    return make


def attention(length: int) -> Run:
    q, k, v = (mx.random.normal((1, 8, length, 64)) for _ in range(3))
    mx.eval(q, k, v)
    return lambda: mx.eval(mx.fast.scaled_dot_product_attention(q, k, v, scale=0.125))


ELEMENTS = [1 << i for i in range(0, 27, 2)]
SIDES = [1 << i for i in range(4, 13)]
LENGTHS = [1 << i for i in range(6, 15)]

# Name, sizes, what to run, and the power of the size that the work grows with.
FAMILIES: list[tuple[str, list[int], Callable[[int], Run], int]] = [
    ("exp", ELEMENTS, on_vector(mx.exp), 1),
    ("add", ELEMENTS, on_vector(lambda x: x + x), 1),
    ("sum", ELEMENTS, on_vector(mx.sum), 1),
    ("sort", ELEMENTS, on_vector(mx.sort), 1),
    ("cumsum", ELEMENTS, on_vector(mx.cumsum), 1),
    ("product float32", SIDES, product(mx.float32), 3),
    ("product bfloat16", SIDES, product(mx.bfloat16), 3),
    ("attention float32", LENGTHS, attention, 2),
]


def seconds(run: Run, budget: float) -> float:
    run()
    times: list[float] = []
    while len(times) < 3 or (sum(times) < budget and len(times) < 100):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def draw(results: dict[str, list[tuple[int, float]]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    for name, points in results.items():
        axes.plot(*zip(*points, strict=True), "o-", label=name, markersize=3)
    axes.set(xscale="log", yscale="log", xlabel="elements, rows or positions", ylabel="seconds")
    axes.legend(fontsize=8)
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--plot", type=Path, help="file for the picture")
    parser.add_argument("--budget", type=float, default=0.05, help="seconds per point")
    options = parser.parse_args()
    results: dict[str, list[tuple[int, float]]] = {}
    print("| what | size | µs | growth of time / growth of work |\n|---|---|---|---|")
    for name, sizes, make, power in FAMILIES:
        points: list[tuple[int, float]] = []
        for n in sizes:
            points.append((n, seconds(make(n), options.budget)))
            step = ""
            if len(points) > 1:
                (m, before), (_, now) = points[-2:]
                step = f"{now / before / (n / m) ** power:.2f}"
            print(f"| {name} | {n} | {points[-1][1] * 1e6:.1f} | {step} |", flush=True)
        results[name] = points
    if options.plot:
        draw(results, options.plot)


if __name__ == "__main__":
    main()
