"""A short run of the random programs of tests/fuzz: a known seed and a fresh one, which is printed."""

import os
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from children import run_script

FUZZ = Path(__file__).resolve().parents[1] / "fuzz"
sys.path.insert(0, str(FUZZ))


def test_programs_of_a_known_seed():
    run_script(FUZZ / "fuzz.py", "--ops", "6000", "--seed", "known")


def test_programs_of_a_fresh_seed():
    run_script(FUZZ / "fuzz.py", "--seconds", "3")


def test_halves_are_rounded_once():
    """The reference's own rounding, next to the middle of two bfloat16 numbers."""
    from values import rounded

    middle = 962592768
    near = np.array([middle - 1, middle, middle + 1, -middle + 1, 2**127 * 1.9999, np.inf])
    want = [960495616, 964689920, 964689920, -960495616, np.inf, np.inf]
    assert rounded(near, "bfloat16").tolist() == want
    assert (
        np.array(mx.array(near[:4].astype(np.int32)).astype(mx.bfloat16).tolist()).tolist()
        == want[:4]
    )


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
