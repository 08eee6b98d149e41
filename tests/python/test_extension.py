"""The example of an extension is built against this package, and its op works in every transform."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "extensions"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def soft_clip(tmp_path_factory):
    """The op, from the package that setup.py makes in a folder of its own."""
    work = tmp_path_factory.mktemp("extension")
    source = Path(shutil.copytree(EXAMPLE, work / "source"))
    settings = {"CMAKE_ARGS": "-DCMAKE_BUILD_TYPE=None -DCMAKE_CXX_FLAGS=-O0"}
    settings["PYTHONPATH"] = str(Path(mx.__file__).parents[1])  # setup.py runs in another folder
    settings["CMAKE_BUILD_PARALLEL_LEVEL"] = str(os.cpu_count())
    if shutil.which("ccache"):
        settings["CMAKE_CXX_COMPILER_LAUNCHER"] = "ccache"
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build", "--build-lib", str(work / "built")],
        cwd=source,
        env=os.environ | settings,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(work / "built"))
        import mlx_soft_clip

        yield lambda x, limit=2.0: mlx_soft_clip.soft_clip(x, limit, stream=mx.cpu)


def test_the_cmake_package_is_where_it_says():
    done = subprocess.run([sys.executable, "-m", "mlx", "--cmake-dir"],
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert (Path(done.stdout.strip()) / "MLXConfig.cmake").is_file()


def test_values(soft_clip):
    x = np.linspace(-5, 5, 12, dtype=np.float32).reshape(3, 4)
    for a in (mx.array(x), mx.array(x).T, mx.array(x)[:, ::2]):
        expected = 2 * np.tanh(np.asarray(a) / 2)
        np.testing.assert_allclose(soft_clip(a), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="limit must be positive"):
        soft_clip(mx.array(1.0), 0.0)
    with pytest.raises(TypeError):
        soft_clip("x")


def test_transforms(soft_clip):
    x = mx.array([-3.0, 0.5, 2.0])
    slope = 1 - np.tanh(np.asarray(x) / 2) ** 2
    np.testing.assert_allclose(mx.grad(lambda a: soft_clip(a).sum())(x), slope, rtol=1e-6)
    tangent = mx.jvp(soft_clip, [x], [mx.ones_like(x)])[1][0]
    np.testing.assert_allclose(tangent, slope, rtol=1e-6)
    rows = mx.stack([x, x + 1], axis=1)
    np.testing.assert_array_equal(mx.vmap(soft_clip, in_axes=1, out_axes=1)(rows), soft_clip(rows))
    compiled = mx.compile(lambda a: mx.exp(soft_clip(a)) + soft_clip(a))
    np.testing.assert_allclose(compiled(x), mx.exp(soft_clip(x)) + soft_clip(x), rtol=1e-6)
