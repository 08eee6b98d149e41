"""Settings that every Python test shares: where mlx is found, and a known random state."""

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest

BUILD = Path(__file__).resolve().parents[2] / "build" / "python"

if importlib.util.find_spec("mlx") is None and BUILD.is_dir():
    # Neither installed nor on the path: take the build tree, for subprocesses too.
    sys.path.insert(0, str(BUILD))
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(BUILD), os.environ.get("PYTHONPATH")])
    )


@pytest.fixture(autouse=True)
def known_state():
    """Each test starts from the same NumPy random state, and on the device that MLX_TEST_DEVICE
    names (cpu or gpu; otherwise the library's own choice)."""
    np.random.seed(0)
    device = os.environ.get("MLX_TEST_DEVICE")
    if device:
        import mlx.core as mx

        mx.set_default_device(getattr(mx, device))
