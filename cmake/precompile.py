"""Compiles the kernels of common programs in advance, on a machine without a GPU.

    precompile.py PACKAGE HOLLOW PROGRAMS OUTPUT ARCHITECTURE...

PACKAGE is the Python package mlx and HOLLOW a folder with the GPU backend on a runtime of no
device. Each of the PROGRAMS is run for each architecture in a process of its own with the two put
together, which leaves its kernels in a cache; OUTPUT becomes one file of them all, which
mlx/backend/cuda/jit_archive.h reads.
"""

import os
import struct
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SORT = b"lazuli kernels 1"
DIGITS = 32  # of a digest


def link_package(package: Path, hollow: Path, to: Path) -> None:
    """The package with the libraries of another folder in place of its own."""
    (to / "lib").mkdir(parents=True)
    for entry in package.iterdir():
        if entry.name != "lib":
            (to / entry.name).symlink_to(entry)
    libraries = {entry.name: entry for entry in (package / "lib").iterdir()}
    libraries |= {entry.name: entry for entry in hollow.iterdir()}
    libraries.pop("kernels.bin", None)
    for name, library in libraries.items():
        (to / "lib" / name).symlink_to(library)


def run(programs: Path, path: Path, cache: Path, architecture: str, *arguments: str) -> str:
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(path), os.environ.get("PYTHONPATH", "")]),
        "XDG_CACHE_HOME": str(cache),
        "MLX_ASSUME_DRIVER": "1",
        "MLX_HOLLOW_DEVICE": architecture,
        "MLX_MEASURE_KERNELS": "0",
    }
    command = [sys.executable, str(programs), *arguments]
    return subprocess.run(
        command, env=environment, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def run_all(programs: Path, path: Path, cache: Path, architectures: list[str]) -> None:
    count = int(run(programs, path, cache, architectures[0]))
    jobs = [(architecture, str(i)) for i in range(count) for architecture in architectures]
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        list(threads.map(lambda job: run(programs, path, cache, *job), jobs))  # raises what they do


def pack(cache: Path, output: Path) -> None:
    entries = sorted(p for p in cache.glob("lazuli/cuda/*") if len(p.name) == DIGITS)
    offset = len(SORT) + 8 + len(entries) * (DIGITS + 16)
    places, codes = [], []
    for entry in entries:
        code = entry.read_bytes()
        places.append(entry.name.encode() + struct.pack("<QQ", offset, len(code)))
        codes.append(code)
        offset += len(code)
    head = SORT + struct.pack("<Q", len(entries))
    output.write_bytes(b"".join([head, *places, *codes]))
    print(f"{output.name}: {len(entries)} kernels, {offset / 1e6:.1f} MB")


def main() -> None:
    package, hollow, programs, output = (Path(p).resolve() for p in sys.argv[1:5])
    with tempfile.TemporaryDirectory() as folder:
        path, cache = Path(folder, "path"), Path(folder, "cache")
        link_package(package, hollow, path / "mlx")
        run_all(programs, path, cache, sys.argv[5:])
        pack(cache, output)


if __name__ == "__main__":
    main()
