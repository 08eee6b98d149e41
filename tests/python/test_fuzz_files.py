"""Some thousand files that were changed at random; `make fuzz-files` tries many more."""

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "fuzz_files"))

import mutations


@pytest.mark.parametrize("kind", mutations.FORMATS)
def test_changed_files_are_refused_or_read(kind):
    count = 1500
    taken = mutations.try_numbers(kind, range(count))
    assert 0 < taken < count


@pytest.mark.parametrize("kind", mutations.FORMATS)
def test_files_that_end_anywhere(kind, tmp_path):
    """No beginning of a file is a file of the same arrays."""
    for seed in mutations.seeds(kind):
        for end in range(0, len(seed), 1 + len(seed) // 200):
            mutations.read(kind, seed[:end], tmp_path / f"a.{kind}")
