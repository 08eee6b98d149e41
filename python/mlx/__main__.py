"""`python -m mlx --cmake-dir` prints where CMake finds the C++ library: set MLX_ROOT to it."""

import argparse
from pathlib import Path


def cmake_dir() -> Path:
    """The folder of MLXConfig.cmake."""
    return Path(__file__).absolute().parent / "lib" / "cmake" / "MLX"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m mlx", description=__doc__)
    parser.add_argument("--cmake-dir", action="store_true", help="the folder of MLXConfig.cmake")
    if parser.parse_args().cmake_dir:
        print(cmake_dir())
    else:
        parser.print_help()


if __name__ == "__main__":
    main()
