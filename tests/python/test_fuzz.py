"""A short run of the random programs of tests/fuzz: a known seed and a fresh one, which is printed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ))


def run(*args):
    return subprocess.run(
        [sys.executable, str(FUZZ / "fuzz.py"), *args],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_programs_of_a_known_seed():
    result = run("--ops", "6000", "--seed", "known")
    assert result.returncode == 0, result.stdout + result.stderr


def test_programs_of_a_fresh_seed():
    result = run("--seconds", "3")
    assert result.returncode == 0, result.stdout + result.stderr


def test_a_program_follows_from_its_seed():
    import families

    def text(seed):
        return [s.text for s in families.make(seed).statements]

    assert text("a:1") == text("a:1") != text("a:2")


@pytest.mark.parametrize("way", ["crash", "difference"])
def test_failures_are_found_and_shrunk(way):
    """A library that is wrong, or that crashes, for one function."""
    result = subprocess.run(
        [sys.executable, "-c", BROKEN.format(way=way)],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(FUZZ), os.environ.get("PYTHONPATH", "")])},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 1, result.stdout + result.stderr
    failing = result.stdout.split("# program")[1]
    assert "mx.sort(" in failing
    assert len(failing.splitlines()) < 20


BROKEN = """
import sys
import fuzz
import families, generate, reduce

families.FAMILIES[:] = [generate.Family(1, [reduce.sort, reduce.extreme])]
load = fuzz.load

def broken():
    import mlx.core as mx
    import os
    checker = load()
    sort = mx.sort
    def wrong(a, axis=-1):
        if "{way}" == "crash":
            os.abort()
        return sort(a, axis)[..., ::-1] + sort(a, axis)
    mx.sort = wrong
    return checker

fuzz.load = broken
fuzz.MOST_FAILURES = 1
sys.argv = ["fuzz.py", "--seed", "broken", "--ops", "1000"]
sys.exit(fuzz.main())
"""
