"""Exported functions: arguments in every form, traces, shapes, weights, callbacks, damaged files."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "fun.mlxfn")


def values(shape: tuple[int, ...], seed: int = 0) -> mx.array:
    return mx.array(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


def roundtrip(file: str, fun, *args, **kwargs):
    mx.export_function(file, fun, *args, **kwargs)
    return mx.import_function(file)


def same(a, b) -> None:
    assert a.dtype == b.dtype
    np.testing.assert_array_equal(np.array(a), np.array(b))


def scaled_sum(a, b):
    return a * 2 + b


X, Y = mx.array([1.0, 2.0]), mx.array([3.0, 4.0])


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((X, Y), {}), (((X, Y),), {}), (([X, Y],), {}), ((X,), {"b": Y}), (((X,), {"b": Y}), {})],
)
def test_arguments_come_in_any_form(file, args, kwargs):
    imported = roundtrip(file, scaled_sum, *args, **kwargs)
    (out,) = imported(*args, **kwargs)
    same(out, scaled_sum(X, Y))


def test_keywords_only(file):
    imported = roundtrip(file, lambda **k: scaled_sum(**k), {"a": X, "b": Y})
    same(imported(b=Y, a=X)[0], scaled_sum(X, Y))
    same(imported({"a": X, "b": Y})[0], scaled_sum(X, Y))


def test_no_arguments(file):
    (out,) = roundtrip(file, lambda: mx.arange(3))()
    same(out, mx.arange(3))


def test_trees_of_arguments(file):
    def fun(params, x, *, extra):
        return params["w"][0] * x + params["b"] - extra["e"][1]

    params, extra = {"w": [X], "b": Y}, {"e": (X, Y)}
    imported = roundtrip(file, fun, params, Y, extra=extra)
    expected = fun(params, Y, extra=extra)
    same(imported(params, Y, extra=extra)[0], expected)
    other_order = {"b": Y, "w": [X]}
    same(imported(other_order, Y, extra=extra)[0], expected)
    with pytest.raises(ValueError, match="No imported function"):
        imported({"w": X, "b": Y}, Y, extra=extra)


def test_trees_of_results(file):
    def fun(x):
        return {"twice": 2 * x, "rest": [x, (x + 1,)]}

    imported = roundtrip(file, fun, X)
    out = imported(Y)
    assert isinstance(out["rest"], list)
    assert isinstance(out["rest"][1], tuple)
    same(out["twice"], 2 * Y)
    same(out["rest"][1][0], Y + 1)


def test_flat_results_are_tuples(file):
    out = roundtrip(file, lambda x: [x, 2 * x], X)(Y)
    assert isinstance(out, tuple)
    same(out[1], 2 * Y)


def test_refuses_what_is_no_array(file):
    with pytest.raises(ValueError, match="Inputs can"):
        mx.export_function(file, scaled_sum, X, 2.0)
    with pytest.raises(ValueError, match="Outputs can"):
        mx.export_function(file, lambda x: 3, X)
    with pytest.raises(TypeError):
        mx.export_function(file, 3, X)
    assert not Path(file).exists()


def test_call_that_fits_nothing_lists_what_would(file):
    imported = roundtrip(file, scaled_sum, X, b=Y)
    with pytest.raises(ValueError, match=r'1: \(2\) float32\n   "b": \(2\) float32\n\nCalled'):
        imported(X, b=mx.ones(3))
    for args, kwargs in [((X,), {}), ((X, Y), {}), ((X.astype(mx.int32),), {"b": Y})]:
        with pytest.raises(ValueError, match="No imported function"):
            imported(*args, **kwargs)
    with pytest.raises(ValueError, match="Inputs can"):
        imported(1.0, b=Y)


def test_metadata_and_paths(tmp_path):
    path = tmp_path / "fun.mlxfn"
    mx.export_function(path, scaled_sum, X, Y, metadata="größe")
    imported, metadata = mx.import_function(path, return_metadata=True)
    assert metadata == "größe"
    same(imported(X, Y)[0], scaled_sum(X, Y))
    with pytest.raises(RuntimeError, match="Failed to open"):
        mx.import_function(str(tmp_path / "none.mlxfn"))


def test_several_traces_and_control_flow_by_shapes(file):
    def fun(*args):
        return sum(args) if args[0].shape[0] > 2 else args[0] - 1

    with mx.exporter(file, fun) as export:
        export(X)
        export(mx.ones(3), mx.ones(3))
        with pytest.raises(RuntimeError, match="twice"):
            export(X)
    with pytest.raises(RuntimeError, match="closed"):
        export(Y, Y)
    imported = mx.import_function(file)
    same(imported(Y)[0], Y - 1)
    same(imported(mx.ones(3), mx.ones(3))[0], 2 * mx.ones(3))


def test_an_exception_leaves_no_file(file):
    with pytest.raises(KeyError), mx.exporter(file, scaled_sum) as export:
        export(X, Y)
        raise KeyError
    assert not Path(file).exists()


def test_shapeless(file):
    imported = roundtrip(
        file, lambda x, y: mx.softmax(x @ y, -1), values((2, 3)), values((3, 4)), shapeless=True
    )
    x, y = values((5, 7)), values((7, 2))
    same(imported(x, y)[0], mx.softmax(x @ y, -1))
    with pytest.raises(ValueError, match=r"\(\?,\?\)"):
        imported(x, values((6, 2)))


def test_shapeless_of_one_element(file):
    imported = roundtrip(file, mx.abs, mx.array([0.0]), shapeless=True)
    same(imported(mx.array([-1.0, 2.0]))[0], mx.array([1.0, 2.0]))


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_ends_a_shapeless_export(file, ending):
    calls = []

    def function(x):
        calls.append(x)
        if len(calls) == 2:  # the first call that only tries other shapes
            raise ending
        return x * 2

    with pytest.raises(ending):
        mx.export_function(file, function, mx.ones((2, 3)), shapeless=True)
    assert len(calls) == 2


def test_shapeless_refuses_extents_that_the_function_read(file):
    imported = roundtrip(file, lambda x: x.sum(1) / x.shape[1], values((2, 3)), shapeless=True)
    x = values((5, 3))
    same(imported(x)[0], x.sum(1) / 3)
    with pytest.raises(ValueError, match=r"\(\?,3\)"):
        imported(values((2, 4)))


def test_models(file):
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.LayerNorm(8), nn.Linear(8, 2))
    x = values((3, 4))
    imported = roundtrip(file, model, x, shapeless=True)
    same(imported(x)[0], model(x))
    more = values((6, 4))
    same(imported(more)[0], model(more))


def test_quantised_and_convolutions(file):
    w, scales, biases = mx.quantize(values((8, 64)), bits=4)
    kernel = values((3, 2, 2, 4))

    def fun(x, image):
        product = mx.quantized_matmul(x, w, scales, biases, bits=4)
        return product, mx.conv2d(image, kernel, padding=1)

    args = values((2, 64)), values((1, 5, 5, 4))
    for got, expected in zip(roundtrip(file, fun, *args)(*args), fun(*args), strict=True):
        same(got, expected)


def test_training_step(file):
    def loss(params, x):
        return mx.mean(mx.square(x @ params["w"] + params["b"]))

    params, x = {"w": values((4, 2)), "b": values((2,))}, values((3, 4))
    step = mx.value_and_grad(loss)
    out = roundtrip(file, step, params, x)(params, x)
    value, gradients = step(params, x)
    same(out[0], value)
    same(out[1]["w"], gradients["w"])


def test_custom_functions_are_what_they_compute(file):
    @mx.custom_function
    def twice(x):
        return 2 * x

    @twice.vjp
    def twice_vjp(primals, cotangents, outputs):
        return cotangents * 7

    fun = mx.checkpoint(lambda x: mx.exp(twice(x)))
    same(roundtrip(file, fun, X)(Y)[0], fun(Y))


def test_random_numbers_are_the_callers(file):
    imported = roundtrip(file, lambda x: x + mx.random.uniform(shape=(4,)), mx.zeros(4))
    state = mx.random.state[0]
    mx.export_function(file, lambda x: x * mx.random.uniform(), X)
    same(mx.random.state[0], state)
    mx.random.seed(1)
    first, second = imported(mx.zeros(4))[0], imported(mx.zeros(4))[0]
    mx.random.seed(1)
    same(imported(mx.zeros(4))[0], first)
    assert not np.array_equal(np.array(first), np.array(second))


def test_transforms_see_inside(file):
    imported = roundtrip(file, lambda x: (x * x * Y).sum(), X)
    same(mx.grad(lambda x: imported(x)[0])(X), 2 * X * Y)
    same(mx.compile(lambda x: imported(x)[0])(X), (X * X * Y).sum())
    imported = roundtrip(file, lambda x: (x * x).sum(), X)
    same(mx.vmap(lambda x: imported(x)[0])(mx.stack([X, Y])), mx.stack([X, Y]).square().sum(1))


def test_export_inside_compiled_function(file):
    imported = roundtrip(file, mx.compile(lambda x: mx.exp(x) * 2), X)
    same(imported(Y)[0], mx.exp(Y) * 2)


def test_weights_beside(tmp_path):
    file = str(tmp_path / "fun.mlxfn")
    w = values((32, 32))
    with mx.exporter(file, lambda x: x @ w + 1, weights="w.safetensors") as export:
        export(values((1, 32)))
    assert Path(file).stat().st_size < 1000
    x = values((1, 32), 1)
    same(mx.import_function(file)(x)[0], x @ w + 1)
    mx.save_safetensors(str(tmp_path / "w.safetensors"), {"0": w + 1, "1": w + 1})
    with pytest.raises(RuntimeError, match="checksum"):
        mx.import_function(file)


def test_all_dtypes_as_constants(file):
    names = "bool_ uint8 uint16 uint32 uint64 int8 int16 int32 int64 float16 bfloat16 float32"
    constants = [mx.array([0, 1, 5], getattr(mx, name)) for name in names.split()]
    constants += [mx.array([1 + 2j, 0]), mx.zeros((3, 0)), mx.broadcast_to(mx.array(2.0), (9, 9))]
    constants += [mx.arange(12).reshape(3, 4).T, mx.arange(12)[::3]]
    for got, expected in zip(roundtrip(file, lambda: constants)(), constants, strict=True):
        assert got.dtype == expected.dtype
        assert mx.array_equal(got, expected)


def test_callback_is_told_the_graph():
    told = []
    mx.export_function(
        told.append, lambda a, k: (a @ k * 2)[:, :1], mx.ones((2, 3)), k=mx.ones((3, 4))
    )
    assert [t["type"] for t in told[:4]] == ["inputs", "keyword_inputs", "outputs", "constants"]
    assert told[0]["inputs"][0] == ("A", (2, 3), mx.float32)
    assert told[1]["keywords"] == [("k", "B")]
    nodes = told[4:]
    assert [n["name"] for n in nodes] == ["Matmul", "Multiply", "Slice"]
    assert nodes[2]["arguments"][2] == (1, 1)
    assert nodes[2]["outputs"] == told[2]["outputs"]
    with pytest.raises(ValueError, match="Metadata"):
        mx.export_function(told.append, mx.abs, X, metadata="text")


def test_other_process(file):
    mx.export_function(file, lambda x: mx.linalg.norm(x) * Y, X)
    code = f"import mlx.core as mx; print(mx.import_function({file!r})(mx.array([3., 4.]))[0])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "array([15, 20], dtype=float32)"


def test_damaged_files(file):
    mx.export_function(file, lambda x: mx.softmax(x * Y), X)
    content = Path(file).read_bytes()
    for damaged in [
        b"",
        content[:60],
        content[:-1],
        content + b"\0",
        b"x" * 500,
        content[:100] + b"\xff" + content[101:],
    ]:
        Path(file).write_bytes(damaged)
        with pytest.raises(RuntimeError, match="import_function"):
            mx.import_function(file)


def test_arguments_that_change_while_they_are_named(tmp_path):
    class Key:
        def __str__(self):
            arguments.clear()
            return "k"

    arguments = [{Key(): mx.ones(2)}, *[mx.ones(2)] * 50]
    with contextlib.suppress(ValueError, TypeError, RuntimeError, IndexError):
        mx.export_function(str(tmp_path / "f.mlxfn"), lambda x: mx.ones(1), arguments)
    assert not arguments
