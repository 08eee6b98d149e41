"""Builds the package mlx_soft_clip: `pip install --no-build-isolation .` where mlx is installed."""

from mlx import extension
from setuptools import setup

setup(
    name="mlx_soft_clip",
    version="0.1.0",
    packages=["mlx_soft_clip"],
    ext_modules=[extension.CMakeExtension("mlx_soft_clip._ext")],
    cmdclass={"build_ext": extension.CMakeBuild},
)
