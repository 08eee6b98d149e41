"""Saving and loading while the disk, the system's tables or the memory fail: the file of that name
is the old one or the new one, whole, and nothing else is left in its folder."""

from __future__ import annotations

import io

import mlx.core as mx
import numpy as np
import pytest
from injection import ERRORS, check_error, faults, struck, walk

A = np.random.default_rng(1).standard_normal((30, 40)).astype(np.float32)
B = np.arange(9000, dtype=np.int32)


def arrays(i: int) -> dict[str, mx.array]:
    """Of the i-th version of a file; not evaluated, and not in the order of their bytes."""
    return {"a": mx.array(A).T + i, "b": mx.array(B) * i}


def values(i: int) -> dict[str, np.ndarray]:
    return {"a": A.T + i, "b": B * i}


def save_safetensors(path: str, i: int) -> None:
    mx.save_safetensors(path, arrays(i), {"version": str(i)})


def save_gguf(path: str, i: int) -> None:
    mx.save_gguf(path, arrays(i), {"version": mx.array(i), "name": "n"})


def save_npy(path: str, i: int) -> None:
    mx.save(path, arrays(i)["a"])


def save_npz(path: str, i: int) -> None:
    mx.savez(path, **arrays(i))


def save_packed(path: str, i: int) -> None:
    mx.savez_compressed(path, **arrays(i))


SAVERS = {
    "safetensors": (save_safetensors, "safetensors"),
    "gguf": (save_gguf, "gguf"),
    "npy": (save_npy, "npy"),
    "npz": (save_npz, "npz"),
    "packed": (save_packed, "npz"),
}
POINTS = ["open", "write", "sync", "close", "rename", "allocation", "block", "heap"]


def check_file(path: str, i: int) -> None:
    loaded = mx.load(path)
    if isinstance(loaded, mx.array):
        loaded = {"a": loaded}
    for name, a in loaded.items():
        np.testing.assert_array_equal(np.array(a), values(i)[name])


@pytest.mark.parametrize("rule", ["{}", "{}-"])
@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("kind", SAVERS)
def test_saving(tmp_path, kind, point, rule):
    save, extension = SAVERS[kind]
    target = tmp_path / f"file.{extension}"
    path = str(target)
    save(path, 1)
    old = target.read_bytes()
    save(path, 2)
    new = target.read_bytes()
    n = 0
    reached = True
    while reached:
        n += 1
        assert n < 1000
        target.write_bytes(old)
        mx.clear_cache()
        error = None
        with faults(f"{point}:{rule.format(n)}"):
            try:
                save(path, 2)
            except ERRORS as e:
                error = e
            reached = struck(point) > 0
        if error:
            assert reached
            check_error(error)
            assert path in str(error) or point in ("allocation", "block", "heap")
        assert [p.name for p in tmp_path.iterdir()] == [target.name]
        now = target.read_bytes()
        assert error or len(now) == len(new)
        check_file(path, 1 if error else 2)
        assert not error or now == old
        save(path, 2)
        check_file(path, 2)
    assert n > 1 or (point == "block" and rule == "{}")


@pytest.mark.parametrize("kind", SAVERS)
def test_saving_where_nothing_is_yet(tmp_path, kind):
    save, extension = SAVERS[kind]
    target = tmp_path / f"file.{extension}"
    for point in ("write", "sync", "rename"):
        with faults(f"{point}:1"), pytest.raises(ERRORS):
            save(str(target), 1)
        assert list(tmp_path.iterdir()) == []
    save(str(target), 1)
    check_file(str(target), 1)


@pytest.mark.parametrize("kind", SAVERS)
@pytest.mark.parametrize("point", ["write", "allocation", "heap"])
def test_saving_to_a_file_object(kind, point):
    save, extension = SAVERS[kind]
    if extension == "gguf":
        return  # goes to named files only

    def program():
        file = io.BytesIO()
        save(file, 3)
        file.seek(0)
        loaded = mx.load(file, format=extension)
        loaded = {"a": loaded} if isinstance(loaded, mx.array) else loaded
        return [(a, values(3)[name]) for name, a in loaded.items()]

    assert walk(point, program) > 0


@pytest.mark.parametrize("kind", SAVERS)
@pytest.mark.parametrize("point", ["open", "read", "allocation", "block", "heap"])
def test_loading(tmp_path, kind, point):
    save, extension = SAVERS[kind]
    path = str(tmp_path / f"file.{extension}")
    save(path, 3)

    def program():
        loaded = mx.load(path)
        loaded = {"a": loaded} if isinstance(loaded, mx.array) else loaded
        return [(a, values(3)[name]) for name, a in loaded.items()]

    found = walk(point, program, step=mx.clear_cache)
    assert found > 0 or extension == "npz"


def test_a_library_that_cannot_be_opened():
    """It is asked for again the next time."""
    from children import run_python

    code = """
        import mlx.core as mx
        a = mx.eye(3) * 2
        try:
            mx.eval(mx.linalg.inv(a, stream=mx.cpu))
        except RuntimeError as e:
            print(e)
        print(mx.linalg.inv(a, stream=mx.cpu)[0, 0].item())
    """
    said, value = run_python(code, MLX_FAULTS="library:1").splitlines()
    assert said.startswith("[linalg] ") and "OpenBLAS" in said
    assert value == "0.5"
