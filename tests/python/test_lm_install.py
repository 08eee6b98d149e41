"""Installing mlx-lm keeps this package: it is a version of mlx with the extras that are asked for."""

from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


def test_this_package_is_what_mlx_lm_requires():
    tomllib = pytest.importorskip("tomllib")  # Python 3.11, as mlx-lm itself
    project = tomllib.loads(PYPROJECT.read_text())["project"]
    try:
        lines = requires("mlx-lm") or []
    except PackageNotFoundError:
        pytest.skip("mlx-lm is not installed")
    wanted = [r for r in map(Requirement, lines) if r.name == "mlx"]
    assert len(wanted) >= 3
    for requirement in wanted:
        assert requirement.specifier.contains(project["version"]), requirement
        assert requirement.extras <= project["optional-dependencies"].keys()
