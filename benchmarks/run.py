"""Times the same workloads with this package, with any other package of the same API, or PyTorch.

    python benchmarks/run.py --out mine.json                   # whichever mlx is installed
    python benchmarks/run.py --framework torch --out torch.json
    python benchmarks/run.py --compare mine.json torch.json     # a table with ratios

Each case runs twice to warm up, then until its time budget or 30 repetitions, and the median
counts. Run the sides one after the other on a machine that does nothing else, and quote ratios.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

GELU_SCALE = math.sqrt(2 / math.pi)


@dataclass
class Case:
    """One workload: the shapes of its random inputs and what each framework does with them."""

    name: str
    shapes: list[tuple[int, ...]]
    mlx: Callable[..., Any]
    torch: Callable[..., Any]
    compiled: bool = False
    dtype: str = "float32"


def scalar_chain(lib, x):
    for _ in range(1000):
        x = x + 1.0
    return x


def gelu(lib, x):
    return 0.5 * x * (1 + lib.tanh(GELU_SCALE * (x + 0.044715 * x * x * x)))


def strided_copy(lib, x):
    return lib.contiguous(x.T) if hasattr(lib, "contiguous") else x.T.contiguous()


def mlx_conv(mx, x, w):
    return mx.conv2d(x, w, padding=1)


def torch_conv(torch, x, w):
    # The same layout as above, channels last.
    image, filters = x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2)
    return torch.nn.functional.conv2d(image, filters, padding=1)


MILLION16 = (16 << 20,)
SQUARE = (4096, 4096)

CASES = [
    Case("chain of 1000 scalar adds", [(1,)], scalar_chain, scalar_chain),
    Case("add 16M", [MILLION16, MILLION16], lambda mx, x, y: x + y, lambda t, x, y: x + y),
    Case("exp 16M", [MILLION16], lambda mx, x: mx.exp(x), lambda t, x: t.exp(x)),
    Case("gelu by hand 16M", [MILLION16], gelu, gelu),
    Case("gelu by hand 16M, compiled", [MILLION16], gelu, gelu, compiled=True),
    Case("transpose 4096² to contiguous", [SQUARE], strided_copy, strided_copy),
    Case("softmax 4096²", [SQUARE], lambda mx, x: mx.softmax(x, -1), lambda t, x: t.softmax(x, -1)),
    Case("sum 16M", [MILLION16], lambda mx, x: mx.sum(x), lambda t, x: t.sum(x)),
    Case("sum 4096² over rows", [SQUARE], lambda mx, x: mx.sum(x, 0), lambda t, x: t.sum(x, 0)),
    Case("argmax 4096²", [SQUARE], lambda mx, x: mx.argmax(x, -1), lambda t, x: t.argmax(x, -1)),
    Case("cumsum 4096²", [SQUARE], lambda mx, x: mx.cumsum(x, 0), lambda t, x: t.cumsum(x, 0)),
    Case("sort 4M", [(4 << 20,)], lambda mx, x: mx.sort(x), lambda t, x: t.sort(x)[0]),
    Case(
        "take 65536 rows of 50000×512",
        [(50000, 512), (65536,)],
        lambda mx, x, i: x[mx.abs(i * 10000).astype(mx.int32)],
        lambda t, x, i: x[t.abs(i * 10000).to(t.int32)],
    ),
    Case("matmul 2048³", [(2048, 2048)] * 2, lambda mx, x, y: x @ y, lambda t, x, y: x @ y),
    Case(
        "matmul bf16 2048³",
        [(2048, 2048)] * 2,
        lambda mx, x, y: x @ y,
        lambda t, x, y: x @ y,
        dtype="bfloat16",
    ),
    Case("matrix·vector 4096²", [SQUARE, (4096,)], lambda mx, x, y: x @ y, lambda t, x, y: x @ y),
    Case("conv 3×3 8×56×56×64→64", [(8, 56, 56, 64), (64, 3, 3, 64)], mlx_conv, torch_conv),
]


def mlx_runner(case: Case, inputs: list[np.ndarray]) -> Callable[[], Any]:
    import mlx.core as mx

    arrays = [mx.array(a).astype(getattr(mx, case.dtype)) for a in inputs]
    mx.eval(arrays)

    def work(*xs):
        return case.mlx(mx, *xs)

    call = mx.compile(work) if case.compiled else work
    return lambda: mx.eval(call(*arrays))


def torch_runner(case: Case, inputs: list[np.ndarray]) -> Callable[[], Any]:
    import torch

    tensors = [torch.from_numpy(a).to(getattr(torch, case.dtype)) for a in inputs]

    def work(*xs):
        return case.torch(torch, *xs)

    call = torch.compile(work) if case.compiled else work

    def run():
        with torch.no_grad():
            return call(*tensors)

    return run


RUNNERS = {"mlx": mlx_runner, "torch": torch_runner}


def median_ms(run: Callable[[], Any], budget: float) -> float:
    for _ in range(2):
        run()
    times: list[float] = []
    while len(times) < 30 and sum(times) < budget:
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1000


def measure(framework: str, only: str, budget: float) -> dict[str, float]:
    results = {}
    rng = np.random.default_rng(0)
    for case in CASES:
        if re.search(only, case.name):
            inputs = [rng.standard_normal(s, dtype=np.float32) for s in case.shapes]
            results[case.name] = median_ms(RUNNERS[framework](case, inputs), budget)
            print(f"{case.name:32} {results[case.name]:10.3f} ms", flush=True)
    return results


def compare(paths: list[Path]) -> None:
    """Prints a Markdown table: a column per file, then how the first compares to each other."""
    sides = {path.stem: json.loads(path.read_text()) for path in paths}
    first, *others = sides
    header = ["case", *(f"{s} (ms)" for s in sides), *(f"{first} / {o}" for o in others)]
    print("| " + " | ".join(header) + " |\n" + "|---" * len(header) + "|")
    for name in sides[first]:
        if all(name in times for times in sides.values()):
            row = [f"{times[name]:.3g}" for times in sides.values()]
            row += [f"{sides[first][name] / sides[o][name]:.2f}" for o in others]
            print(f"| {name} | " + " | ".join(row) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--framework", choices=RUNNERS, default="mlx")
    parser.add_argument("--only", default="", help="regular expression over case names")
    parser.add_argument("--budget", type=float, default=1.0, help="seconds per case")
    parser.add_argument("--out", type=Path, help="file for the medians, as JSON")
    parser.add_argument("--compare", nargs="+", type=Path, help="files to compare instead")
    options = parser.parse_args()
    if options.compare:
        compare(options.compare)
        return
    results = measure(options.framework, options.only, options.budget)
    if options.out:
        options.out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
