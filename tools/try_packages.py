"""Runs packages that were made for MLX on this library and on MLX, and writes what passed where.

    python tools/try_packages.py --folder build/packages [--only einops mlx-graphs]

Makes one environment with the packages and what they need but MLX, which lies in a folder of its
own: a run has that folder or this project's build tree on its path. Packages whose source archive
has a suite run it; the others run the programs of `package_programs.py`, whose numbers must agree.
The figures go into a table of docs/compatibility.md.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "compatibility.md"
PROGRAMS = ROOT / "tools" / "package_programs.py"
HEADING = "## Packages"
REFERENCE = ["mlx==0.32.4", "mlx-cpu==0.32.4"]
NEEDED = [
    "numpy", "scipy", "pytest", "numba", "tiktoken", "more-itertools", "tqdm", "huggingface_hub",
    "transformers>=5.14", "Pillow", "requests", "jinja2", "sentencepiece", "networkx", "fsspec",
    "psutil",
]  # fmt: skip


# What the archive of mlx-optimizers leaves out of its suite.
OPTIMIZERS_COMMON = """
import mlx.core as mx
import mlx.nn as nn


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(2, 128), nn.Linear(128, 2)]

    def __call__(self, x):
        for layer in self.layers[:-1]:
            x = nn.relu(layer(x))
        return self.layers[-1](x)


def ids(value):
    return getattr(value[0], "__name__", None)
"""


class Package(NamedTuple):
    """`suite` is the folder of tests in the source archive; without one, programs run."""

    name: str
    suite: str = ""
    variables: Mapping[str, str] = MappingProxyType({})  # of the environment
    files: Mapping[str, str] = MappingProxyType({})  # to add to the source


PACKAGES = [
    Package("einops", "einops/tests", {"EINOPS_TEST_BACKENDS": "numpy,mlx"}),
    Package("mlx-whisper"),
    Package("mlx-graphs"),
    Package(
        "mlx-optimizers",
        "tests",
        files={"tests/__init__.py": "", "tests/common.py": OPTIMIZERS_COMMON},
    ),
    Package("mlx-arsenal", "tests"),
    Package("mlx-expm", "tests"),
    Package("mlx-kfac", "tests"),
    Package("e3nn-mlx", "tests"),
    Package("mlx-vlm"),
    Package("mlx-embeddings", "mlx_embeddings/tests"),
]


class Outcome(NamedTuple):
    passed: int
    failed: list[str]
    skipped: int

    def __str__(self) -> str:
        parts = [f"{self.passed} passed"]
        parts += [f"{len(self.failed)} failed"] if self.failed else []
        parts += [f"{self.skipped} skipped"] if self.skipped else []
        return ", ".join(parts)


def pip(python: Path | str, *arguments: str) -> None:
    subprocess.run([str(python), "-m", "pip", "-q", *arguments], check=True)


def prepare(folder: Path, packages: list[Package]) -> Path:
    """The environment's Python; what is there already is kept."""
    python = folder / "env" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
        pip(python, "install", *NEEDED)
    pip(python, "install", "--no-deps", "mlx-lm", *(p.name for p in packages))
    if not (folder / "reference").exists():
        pip(python, "install", "--no-deps", "--target", str(folder / "reference"), *REFERENCE)
    for package in packages:
        if package.suite and not source_of(folder, package):
            archives = folder / "archives"
            options = ["--no-deps", "--no-binary", package.name, "-d", str(archives)]
            pip(python, "download", *options, package.name)
            archive = next(archives.glob(package.name.replace("-", "_") + "-*.tar.gz"))
            with tarfile.open(archive) as opened:
                opened.extractall(folder / "sources", filter="data")
        source = source_of(folder, package)
        for name, text in package.files.items():
            if source:
                (source / name).write_text(text)
    return python


def source_of(folder: Path, package: Package) -> Path | None:
    return next((folder / "sources").glob(package.name.replace("-", "_") + "-*"), None)


def environment(path: Path, package: Package) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    return {**kept, **package.variables, "PYTHONPATH": str(path), "HF_HUB_OFFLINE": "1"}


def run_suite(python: Path, source: Path, path: Path, package: Package, log: Path) -> Outcome:
    report = log.with_suffix(".xml")
    command = [str(python), "-m", "pytest", package.suite, "-q", "-p", "no:cacheprovider"]
    command += ["-o", "addopts=", f"--junitxml={report}", "--tb=short"]
    command += ["--continue-on-collection-errors"]
    with log.open("w") as out:
        variables = environment(path, package)
        subprocess.run(
            command, cwd=source, env=variables, stdout=out, stderr=out, timeout=1800, check=False
        )
    passed, failed, skipped = 0, [], 0
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        name = f"{case.get('classname')}.{case.get('name')}"
        if case.find("skipped") is not None:
            skipped += 1
        elif case.find("failure") is not None or case.find("error") is not None:
            failed.append(name)
        else:
            passed += 1
    return Outcome(passed, failed, skipped)


Numbers = dict[str, list[float]]


def run_program(python: Path, path: Path, package: Package, log: Path) -> Numbers:
    """Numbers by the name of what was run; what failed has none."""
    with log.open("w") as out:
        done = subprocess.run(
            [str(python), str(PROGRAMS), package.name], env=environment(path, package),
            stdout=subprocess.PIPE, stderr=out, timeout=1800, text=True, check=False,
        )  # fmt: skip
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else {}


def agree(got: list[float], want: list[float]) -> bool:
    return len(got) == len(want) and all(
        math.isclose(g, w, rel_tol=1e-3, abs_tol=1e-4) for g, w in zip(got, want, strict=True)
    )


def compare(ours: Numbers, theirs: Numbers) -> tuple[Outcome, Outcome]:
    wrong = [name for name in theirs if not agree(ours.get(name, []), theirs[name])]
    return Outcome(len(theirs) - len(wrong), wrong, 0), Outcome(len(theirs), [], 0)


def run(folder: Path, python: Path, package: Package, own: Path) -> tuple[Outcome, Outcome]:
    logs = [folder / f"{package.name}.{side}.log" for side in ("own", "reference")]
    paths = [own, folder / "reference"]
    sides = list(zip(paths, logs, strict=True))
    if not package.suite:
        ours, theirs = (run_program(python, path, package, log) for path, log in sides)
        return compare(ours, theirs)
    source = source_of(folder, package)
    if source is None:
        raise FileNotFoundError(f"No source of {package.name} in {folder}.")
    ours, theirs = (run_suite(python, source, path, package, log) for path, log in sides)
    return ours, theirs


def version_of(python: Path, package: Package) -> str:
    code = f"import importlib.metadata as m; print(m.version({package.name!r}))"
    return subprocess.check_output([str(python), "-c", code], text=True).strip()


def write_rows(rows: dict[str, str]) -> None:
    """Puts rows into the page's table in place of those of the same packages."""
    text = PAGE.read_text()
    head, _, rest = text.partition(HEADING)
    table = re.search(r"(\|[^\n]*\n)+", rest)
    if table is None:
        raise ValueError(f"{PAGE} has no table under '{HEADING}'.")
    title, rule, *old = table.group(0).strip().splitlines()
    known = {line.split("|")[1].split()[0]: line for line in old}
    lines = [title, rule, *({**known, **rows}).values()]
    PAGE.write_text(head + HEADING + rest.replace(table.group(0), "\n".join(lines) + "\n"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=ROOT / "build" / "packages")
    parser.add_argument("--own", type=Path, default=ROOT / "build" / "python")
    parser.add_argument("--only", nargs="*", default=[p.name for p in PACKAGES])
    options = parser.parse_args()
    folder = options.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    packages = [p for p in PACKAGES if p.name in options.only]
    python = prepare(folder, packages)
    rows, worse = {}, 0
    for package in packages:
        ours, theirs = run(folder, python, package, options.own.resolve())
        what = "its suite" if package.suite else "programs, numbers compared"
        name = f"{package.name} {version_of(python, package)}"
        rows[package.name] = f"| {name} | {what} | {ours} | {theirs} |"
        print(rows[package.name], flush=True)
        for failed in sorted(set(ours.failed) - set(theirs.failed)):
            print("   only here:", failed)
            worse += 1
    write_rows(rows)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
