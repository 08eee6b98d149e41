"""The examples run to their end and find what they promise; each checks its own results."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name, *arguments):
    """Runs one example with the interpreter and the mlx of the tests; returns what it printed."""
    done = subprocess.run(
        [sys.executable, EXAMPLES / name, *arguments],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_digits_learns_saves_and_draws(tmp_path):
    out = run("digits.py", "--epochs", "12", "--out", str(tmp_path))
    assert "held-out digits right" in out
    assert (tmp_path / "digits.safetensors").stat().st_size > 400_000
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_embeddings_agree_with_numpy_and_rank_by_meaning():
    out = run("embeddings.py").splitlines()
    assert "largest difference from the same model in NumPy" in out[-1]
    assert "dough" in out[1] and "flour" in out[2]
