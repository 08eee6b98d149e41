"""Runs code in a process of its own: what concerns the start and the end of one, and its crashes."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import mlx.core as mx


def run_script(path: str | os.PathLike[str], *arguments: str, timeout: float = 300) -> str:
    """What a script prints that is run with the interpreter and the mlx of the tests. Fails unless it
    ends with status 0 in time."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(path), *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout}\n{done.stderr}"
    return done.stdout


def run_python(*parts: str, timeout: float = 60, **environment: str) -> str:
    """What the parts of a program print, without the line end; each may be indented as a whole.
    Fails unless it ends with status 0 in time."""
    code = "\n".join(textwrap.dedent(part) for part in parts)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    assert done.returncode == 0, f"status {done.returncode}: {done.stdout}\n{done.stderr}"
    return done.stdout.strip()


def run_with_isa(isa: str, module: str, calls: str, **environment: str) -> None:
    """Calls functions of a test module, named `t`, on the CPU in a process that has the kernels of
    one instruction set, from the random state that each test starts from."""
    run_python(
        f"""
        import mlx.core as mx, numpy as np, {module} as t
        mx.set_default_device(mx.cpu)
        np.random.seed(0)
        """,
        calls,
        timeout=300,
        MLX_CPU_ISA=isa,
        **environment,
        PYTHONPATH=os.pathsep.join((str(Path(mx.__file__).parents[1]), str(Path(__file__).parent))),
    )
