"""Installing mlx-lm keeps this package: it is a version of mlx with the extras that are asked for."""

from importlib.metadata import requires
from pathlib import Path

from lm_folder import needs_mlx_lm
from packaging.requirements import Requirement

PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@needs_mlx_lm
def test_this_package_is_what_mlx_lm_requires():
    import tomllib

    project = tomllib.loads(PYPROJECT.read_text())["project"]
    wanted = [r for r in map(Requirement, requires("mlx-lm") or []) if r.name == "mlx"]
    assert len(wanted) >= 3
    for requirement in wanted:
        assert requirement.specifier.contains(project["version"]), requirement
        assert requirement.extras <= project["optional-dependencies"].keys()
