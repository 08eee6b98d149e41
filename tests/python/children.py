"""Runs code in a process of its own: what concerns the start and the end of one, and its crashes."""

import os
import subprocess
import sys
import textwrap


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
