"""Runs one benchmark script in several environments and reports how the sides compare.

    python benchmarks/sides.py bench.py --side lazuli=mlx:.venv/bin/python \\
        --side torch=torch:../torch/bin/python --side jax=jax:../torch/bin/python --sets 1 2 \\
        --report out/report.md --plot out/report.png

A side is NAME=FRAMEWORK:PYTHON. The script is called as `PYTHON bench.py --fw FRAMEWORK --set S
--out FILE`, one side after the other, and writes a JSON whose "cases" are medians in seconds. Run
it on a machine that does nothing else. The first side is the one that the report is about.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
from pathlib import Path

Times = dict[str, float]  # milliseconds by case


def run_side(script: Path, side: str, number: int, options: argparse.Namespace) -> Times:
    framework, _, python = side.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "times.json"
        command = [python, str(script), "--fw", framework, "--set", str(number)]
        command += ["--device", options.device, "--budget", str(options.budget), "--out", str(out)]
        if options.only:
            command += ["--only", options.only]
        environment = dict(os.environ)
        if options.threads:
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MLX_NUM_THREADS"):
                environment[name] = str(options.threads)
        subprocess.run(command, check=True, env=environment)
        cases = json.loads(out.read_text())["cases"]
        return {name: 1e3 * seconds for name, seconds in cases.items() if seconds}


def geometric_mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values)) if values else math.nan


def table(sides: dict[str, Times]) -> str:
    """Markdown: a row per case of the first side, its ratio to each other side and to the best."""
    first, *others = sides
    heads = ["case", *sides, *(f"/ {other}" for other in others), "/ best"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for case, own in sides[first].items():
        rivals = [sides[other].get(case) for other in others]
        known = [r for r in rivals if r]
        cells = [case, f"{own:.3g}", *(f"{r:.3g}" if r else "" for r in rivals)]
        cells += [f"{own / r:.2f}" if r else "" for r in rivals]
        cells.append(f"{own / min(known):.2f}" if known else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def means(sides: dict[str, Times]) -> str:
    """For each other side: cases in common, geometric mean, where the first is slower."""
    first, *others = sides
    lines = []
    for other in others:
        ratios = {c: t / sides[other][c] for c, t in sides[first].items() if c in sides[other]}
        slower = sorted((c for c in ratios if ratios[c] > 1), key=lambda c: -ratios[c])
        mean = geometric_mean(list(ratios.values()))
        lines.append(
            f"{first} / {other}: geometric mean **{mean:.2f}** over {len(ratios)} cases; "
            f"slower in {len(slower)}" + "".join(f"\n- {c}: {ratios[c]:.2f}" for c in slower)
        )
    return "\n\n".join(lines)


def draw(sides: dict[str, Times], path: Path) -> None:
    """Ratios of the first side to each other one, a row per case."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    first, *others = sides
    cases = list(sides[first])[::-1]
    figure, axes = plt.subplots(figsize=(10, 0.22 * len(cases) + 1), layout="constrained")
    for other in others:
        shown = [(i, c) for i, c in enumerate(cases) if c in sides[other]]
        ratios = [sides[first][c] / sides[other][c] for _, c in shown]
        axes.plot(ratios, [i for i, _ in shown], "o", label=f"{first} / {other}")
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="ratio of times; left of 1, " + first + " is faster")
    axes.set_yticks(range(len(cases)), cases, fontsize=7)
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("script", type=Path)
    parser.add_argument("--side", action="append", required=True, metavar="NAME=FRAMEWORK:PYTHON")
    parser.add_argument("--sets", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    parser.add_argument("--threads", type=int, help="threads of every side")
    parser.add_argument("--budget", type=float, default=0.3, help="seconds per case")
    parser.add_argument("--only", default="", help="regular expression over case names")
    parser.add_argument("--report", type=Path, help="file for the tables, otherwise printed")
    parser.add_argument("--plot", type=Path, help="file for a picture of the ratios")
    options = parser.parse_args()
    sides: dict[str, Times] = {}
    for side in options.side:
        name, _, place = side.partition("=")
        sides[name] = {}
        for number in options.sets:
            sides[name] |= run_side(options.script, place, number, options)
    text = means(sides) + "\n\n" + table(sides) + "\n"
    if options.report:
        options.report.write_text(text)
    else:
        sys.stdout.write(text)
    if options.plot:
        draw(sides, options.plot)


if __name__ == "__main__":
    main()
