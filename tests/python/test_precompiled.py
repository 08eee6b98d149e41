"""Kernels that the build compiles in advance: a process finds them, and only those that are whole.

The GPU backend runs on a runtime of no device here, which needs no GPU.
"""

import importlib.util
import struct
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import pytest

PACKAGE = Path(mx.__file__).resolve().parent
HOLLOW = PACKAGE.parents[1] / "hollow"
SCRIPT = Path(__file__).resolve().parents[2] / "cmake" / "precompile.py"
PROGRAM = """
import sys
import mlx.core as mx
if len(sys.argv) == 1:
    print(1)
else:
    mx.set_default_device(mx.gpu)
    mx.eval(mx.exp(mx.array([1.0, 2.0])))
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not HOLLOW.is_dir(), reason="needs the build tree of the GPU backend"),
]


@pytest.fixture(scope="module")
def precompile():
    spec = importlib.util.spec_from_file_location("precompile", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "program.py"
    path.write_text(PROGRAM)
    return path


@pytest.fixture(scope="module")
def archive(program):
    path = program.parent / "kernels.bin"
    command = [sys.executable, SCRIPT, PACKAGE, HOLLOW, program, path, "sm_80", "sm_90"]
    subprocess.run(command, check=True)
    return path.read_bytes()


@pytest.fixture
def compiled(precompile, program, tmp_path):
    """How many kernels a fresh process compiles beside an archive."""
    path, cache = tmp_path / "path", tmp_path / "cache"
    precompile.link_package(PACKAGE, HOLLOW, path / "mlx")

    def count(archive: bytes | None, architecture: str = "sm_90") -> int:
        if archive is not None:
            (path / "mlx" / "lib" / "kernels.bin").write_bytes(archive)
        for entry in cache.glob("lazuli/cuda/*"):
            entry.unlink()
        precompile.run(program, path, cache, architecture, "0")
        return len(list(cache.glob("lazuli/cuda/*")))

    return count


def digest(data: bytes) -> bytes:
    """As the cache's entries start with."""
    text = ""
    for value in (0xCBF29CE484222325, 0x9E3779B97F4A7C15):
        for byte in data:
            value = (value ^ byte) * 0x100000001B3 % 2**64
        text += f"{value ^ value >> 29:016x}"
    return text.encode()


def test_are_found_by_the_devices_that_they_are_for(compiled, archive):
    assert compiled(None) == 1
    assert compiled(archive) == 0
    assert compiled(archive, "sm_80") == 0
    assert compiled(archive, "sm_100") == 1


def test_are_not_taken_from_files_that_were_cut(compiled, archive):
    for length in (0, 10, 24, 60, 130, 1000, len(archive) // 2):
        assert compiled(archive[:length], "sm_90") + compiled(archive[:length], "sm_80") >= 1


def test_are_not_taken_from_files_that_were_changed(compiled, archive, precompile):
    head, place = len(precompile.SORT), precompile.DIGITS
    count = struct.pack("<Q", 2**61)
    changes = {
        "sort": (0, b"L"),
        "count": (head, count),
        "name": (head + 8, b"!"),
        "offset": (head + 8 + place, count),
        "size": (head + 16 + place, count),
    }
    for where, by in changes.values():
        changed = archive[:where] + by + archive[where + len(by) :]
        assert compiled(changed, "sm_90") + compiled(changed, "sm_80") >= 1
    end = len(archive) // 2
    assert (
        compiled(archive[:end] + bytes(b ^ 1 for b in archive[end:]), "sm_90")
        + compiled(archive[:end] + bytes(b ^ 1 for b in archive[end:]), "sm_80")
        >= 1
    )


def test_are_compiled_where_the_driver_does_not_take_them(compiled, archive, precompile):
    (count,) = struct.unpack_from("<Q", archive, len(precompile.SORT))
    code = b"for another driver"
    places = bytearray(archive[: len(precompile.SORT) + 8 + count * (precompile.DIGITS + 16)])
    for i in range(count):
        at = len(precompile.SORT) + 8 + i * (precompile.DIGITS + 16) + precompile.DIGITS
        struct.pack_into("<QQ", places, at, len(places), precompile.DIGITS + len(code))
    assert compiled(bytes(places) + digest(code) + code) == 1
