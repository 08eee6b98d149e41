"""The examples run to their end and find what they promise; each checks its own results."""

from pathlib import Path

from children import run_script

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_digits_learns_saves_and_draws(tmp_path):
    out = run_script(EXAMPLES / "digits.py", "--epochs", "12", "--out", str(tmp_path))
    assert "held-out digits right" in out
    assert (tmp_path / "digits.safetensors").stat().st_size > 400_000
    assert (tmp_path / "digits.png").read_bytes().startswith(b"\x89PNG")


def test_embeddings_agree_with_numpy_and_rank_by_meaning():
    out = run_script(EXAMPLES / "embeddings.py").splitlines()
    assert "largest difference from the same model in NumPy" in out[-1]
    assert "dough" in out[1] and "flour" in out[2]
