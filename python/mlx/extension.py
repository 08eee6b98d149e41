"""Builds extensions in C++ against this package: setuptools runs CMake, which finds MLX by itself.

    from mlx import extension
    from setuptools import setup

    setup(
        name="mine",
        packages=["mine"],
        ext_modules=[extension.CMakeExtension("mine._ext")],
        cmdclass={"build_ext": extension.CMakeBuild},
    )

The folder's CMakeLists.txt says `find_package(MLX CONFIG REQUIRED)` and
`mlx_add_extension(_ext bindings.cpp ...)`; examples/extensions is one. CMAKE_ARGS and the other
variables that CMake knows are heeded.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from mlx.__main__ import cmake_dir
from setuptools import Extension
from setuptools.command.build_ext import build_ext


class CMakeExtension(Extension):
    """An extension module `name` that the CMakeLists.txt in `sourcedir` builds."""

    def __init__(self, name: str, sourcedir: str = "") -> None:
        super().__init__(name, sources=[])
        self.sourcedir = str(Path(sourcedir).resolve())


class CMakeBuild(build_ext):
    """The command that runs CMake for each CMakeExtension, and the compiler for others."""

    def build_extension(self, ext: Extension) -> None:
        if not isinstance(ext, CMakeExtension):
            super().build_extension(ext)
            return
        target = Path(self.get_ext_fullpath(ext.name)).resolve().parent
        build = Path(self.build_temp).resolve() / ext.name
        build.mkdir(parents=True, exist_ok=True)
        configure = [
            "cmake", "-S", ext.sourcedir, "-B", str(build),
            f"-DCMAKE_BUILD_TYPE={'Debug' if self.debug else 'Release'}",
            f"-DCMAKE_LIBRARY_OUTPUT_DIRECTORY={target}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DMLX_ROOT={cmake_dir()}",
            "-DBUILD_SHARED_LIBS=ON",
        ]  # fmt: skip
        subprocess.run([*configure, *shlex.split(os.environ.get("CMAKE_ARGS", ""))], check=True)
        jobs = [f"-j{self.parallel}"] if self.parallel else []
        subprocess.run(["cmake", "--build", str(build), *jobs], check=True)
