"""How the libraries were built, as far as it makes mistakes harder to exploit; and that no loader
runs what a file says."""

from __future__ import annotations

import io
import json
import pickle
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from children import run_python

MODULE = Path(mx.__file__)
LIBRARIES = [MODULE, *sorted((MODULE.parent / "lib").glob("lib*.so"))]
OURS = [path for path in LIBRARIES if "openblas" not in path.name]
SOURCES = Path(__file__).resolve().parents[2]


def readelf(path: Path, *options: str) -> str:
    return subprocess.run(
        ["readelf", "-W", *options, str(path)], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda p: p.name)
def test_no_memory_is_both_written_and_executed(path):
    flags = dict(re.findall(r"^ +(LOAD|GNU_STACK) .* ([R ][W ][E ]) 0x", readelf(path, "-l"), re.M))
    assert flags["GNU_STACK"] == "RW "
    loads = re.findall(r"^ +LOAD .* ([R ][W ][E ]) 0x", readelf(path, "-l"), re.M)
    assert "R E" in loads
    assert "RWE" not in loads


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.name)
def test_tables_are_read_only_once_a_library_is_loaded(path):
    assert "GNU_RELRO" in readelf(path, "-l")
    dynamic = readelf(path, "-d")
    assert "BIND_NOW" in dynamic or re.search(r"FLAGS_1\).*NOW", dynamic)
    assert "TEXTREL" not in dynamic


@pytest.mark.parametrize("path", LIBRARIES, ids=lambda p: p.name)
def test_libraries_are_looked_for_beside_this_one_only(path):
    dynamic = readelf(path, "-d")
    assert "(RPATH)" not in dynamic
    for paths in re.findall(r"\(RUNPATH\).*\[(.*)\]", dynamic):
        for folder in paths.split(":"):
            assert folder == "$ORIGIN" or folder.startswith("$ORIGIN/"), paths


@pytest.mark.parametrize("path", OURS, ids=lambda p: p.name)
def test_stacks_are_guarded(path):
    assert re.search(r" UND __stack_chk_fail", readelf(path, "--dyn-syms"))


def test_copies_are_checked_where_their_size_is_known():
    """No symbol tells, since the compiler proves most of them right: how files were compiled does."""
    commands = MODULE.parents[2] / "compile_commands.json"
    if not commands.exists():
        pytest.skip("not a build tree")
    ours = [c for c in json.loads(commands.read_text()) if "/mlx/io/" in c["file"]]
    assert len(ours) > 5
    for c in ours:
        text = c["command"]
        assert "-D_FORTIFY_SOURCE=2" in text or "-fsanitize" in text or "-O" not in text, c["file"]


def test_no_mapping_of_a_working_process_is_both_written_and_executed():
    code = """
        import mlx.core as mx
        x = mx.random.normal((64, 64))
        mx.eval(x @ x, mx.exp(x), mx.fft.fft(x), mx.linalg.inv(x, stream=mx.cpu), mx.sort(x))
        print(sum("rwx" in line for line in open("/proc/self/maps")))
    """
    assert run_python(code) == "0"


# ------------------------------------------------------------------ loaders


class Trap:
    """What a pickle would run when it is read."""

    def __reduce__(self):
        return sys.exit, (3,)


def npy_of_objects() -> bytes:
    out = io.BytesIO()
    np.save(out, np.array([Trap()], dtype=object), allow_pickle=True)
    return out.getvalue()


def npz_of(data: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("a.npy", data)
    return out.getvalue()


@pytest.mark.parametrize("extension", ["npy", "npz", "safetensors", "gguf", "pkl", "pt"])
@pytest.mark.parametrize("make", [lambda: pickle.dumps(Trap()), npy_of_objects], ids=["raw", "npy"])
def test_objects_are_not_read(tmp_path, extension, make):
    data = npz_of(make()) if extension == "npz" else make()
    path = tmp_path / f"a.{extension}"
    path.write_bytes(data)
    with pytest.raises((RuntimeError, ValueError)):
        mx.eval(mx.load(str(path)))
    if extension in ("npy", "npz", "safetensors"):
        with pytest.raises((RuntimeError, ValueError)):
            mx.eval(mx.load(io.BytesIO(data), format=extension))


def test_loading_runs_nothing(tmp_path):
    """What Python tells its auditors of while files are read: no pickles, no code, no programs."""
    code = f"""
        import sys
        import mlx.core as mx
        x = {{"a": mx.arange(4), "b": mx.ones((2, 3))}}
        folder = {str(tmp_path)!r}
        mx.save(folder + "/a.npy", x["a"])
        mx.savez_compressed(folder + "/a.npz", **x)
        mx.save_safetensors(folder + "/a.safetensors", x)
        mx.save_gguf(folder + "/a.gguf", {{"b": x["b"]}})
        for name in ("npy", "npz", "safetensors", "gguf"):
            mx.load(f"{{folder}}/a.{{name}}")  # modules that are needed are there from now on
        heard = set()
        sys.addaudithook(lambda event, args: heard.add(event))
        for name in ("npy", "npz", "safetensors", "gguf"):
            mx.eval(mx.load(f"{{folder}}/a.{{name}}"))
        assert "open" in heard
        print(*sorted(heard & {{"pickle.find_class", "exec", "compile", "subprocess.Popen", "os.system",
                               "marshal.loads", "import"}}))
    """
    assert run_python(code) == ""


def test_no_source_reads_pickles():
    """Arrays give their state to those that pickle them; nothing here unpickles."""
    folders = [SOURCES / "python", SOURCES / "mlx"]
    files = [p for f in folders for p in f.rglob("*") if p.suffix in (".py", ".cpp", ".h")]
    assert len(files) > 100
    pattern = r"\b(import|from) (pickle|marshal|shelve|dill)\b|import_\(\"(pickle|marshal|shelve)|allow_pickle"
    assert [str(p) for p in files if re.search(pattern, p.read_text())] == []
