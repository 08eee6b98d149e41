"""Batch normalisation as one node: against NumPy, and its derivatives against plain operations."""

import mlx.core as mx
import numpy as np
import pytest
from children import run_python, run_with_isa
from derivatives import check_gradient

EPS = float(np.float32(1e-5))


def plain(x, weight, bias):
    axes = tuple(range(x.ndim - 1))
    mean, var = mx.mean(x, axis=axes), mx.var(x, axis=axes)
    return (x - mean) * mx.rsqrt(var + EPS) * weight + bias, mean, var


def arguments(shape, dtype=mx.float32):
    draws = (np.random.randn(*s) for s in (shape, shape[-1:], shape[-1:]))
    return [mx.array(d).astype(dtype) for d in draws]


# Widths of whole and partial vectors, and rows of one and of many chunks.
SHAPES = [(2, 1), (7, 3), (5, 4, 16), (3, 9, 7, 17), (1, 2, 64), (2, 33, 5, 100), (4000, 5)]


@pytest.mark.parametrize("dtype", [mx.float32, mx.float64, mx.float16, mx.bfloat16], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_values(shape, dtype):
    x, weight, bias = arguments(shape, dtype)
    out, mean, var = mx._batch_norm(x, weight, bias, EPS)
    assert {a.dtype for a in (out, mean, var)} == {dtype}
    wide = [np.array(a.astype(mx.float64)) for a in (x, weight, bias)]
    rows = wide[0].reshape(-1, shape[-1])
    expected = (wide[0] - rows.mean(0)) / np.sqrt(rows.var(0) + EPS) * wide[1] + wide[2]
    tol = {mx.float32: 1e-5, mx.float64: 1e-12, mx.float16: 2e-2, mx.bfloat16: 2e-1}[dtype]
    for found, wanted in ((mean, rows.mean(0)), (var, rows.var(0)), (out, expected)):
        np.testing.assert_allclose(np.array(found.astype(mx.float64)), wanted, tol, tol)


def test_far_means():
    """The variance keeps its digits where the mean is far larger."""
    x = mx.array((np.random.randn(3000, 20) + 1e4).astype(np.float32))
    _, mean, var = mx._batch_norm(x, None, None, EPS)
    wide = np.array(x).astype(np.float64)
    np.testing.assert_allclose(np.array(mean), wide.mean(0), rtol=1e-6)
    np.testing.assert_allclose(np.array(var), wide.var(0), rtol=1e-4)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_derivatives(shape):
    """All gradients, through the statistics too, are those of the plain operations."""
    inputs = arguments(shape, mx.float64)
    cotangents = [mx.array(np.random.randn(*s)) for s in (shape, shape[-1:], shape[-1:])]
    cotangents = [c.astype(mx.float64) for c in cotangents]
    _, found = mx.vjp(lambda *a: mx._batch_norm(*a, EPS), inputs, cotangents)
    _, expected = mx.vjp(plain, inputs, cotangents)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-9, atol=1e-9)
    narrow = [[a.astype(mx.float32) for a in some] for some in (inputs, cotangents)]
    _, found = mx.vjp(lambda *a: mx._batch_norm(*a, EPS), *narrow)
    # The gradient of x over two rows is nothing but rounding.
    first = 0 if np.prod(shape[:-1]) > 2 else 1
    for a, b in zip(found[first:], expected[first:], strict=True):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=2e-4, atol=2e-4)


def test_other_transforms():
    inputs = arguments((3, 4, 5), mx.float64)
    check_gradient(lambda *a: mx._batch_norm(*a, EPS)[0], inputs)
    check_gradient(
        lambda x, w, b: mx.grad(lambda x: mx._batch_norm(x, w, b, EPS)[0].square().sum())(x),
        inputs,
        rtol=1e-4,
        atol=1e-4,
    )
    x = mx.array(np.random.randn(2, 3, 4, 5)).astype(mx.float64)
    found = mx.vmap(lambda x: mx._batch_norm(x, *inputs[1:], EPS)[0])(x)
    expected = mx.stack([plain(x[i], *inputs[1:])[0] for i in range(2)])
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-10)


def test_layouts_and_defaults():
    x, weight, bias = arguments((6, 5, 8))
    turned = mx.contiguous(x.swapaxes(0, 2)).swapaxes(0, 2)
    for view in (turned, mx.concatenate([x, x])[:6]):
        out = mx._batch_norm(view, weight, bias, EPS)[0]
        np.testing.assert_allclose(np.array(out), np.array(plain(x, weight, bias)[0]), 1e-5, 1e-5)
    out = mx._batch_norm(x.astype(mx.float16), None, None, EPS)[0]
    assert out.dtype == mx.float16
    assert mx._batch_norm(mx.arange(6).reshape(3, 2), None, None, EPS)[0].dtype == mx.float32
    assert mx._batch_norm(mx.zeros((0, 3)), None, None, EPS)[0].shape == (0, 3)


def test_export(tmp_path):
    inputs = arguments((6, 8))
    f = mx.grad(lambda *a: mx.square(mx._batch_norm(*a, EPS)[0]).sum())
    mx.export_function(str(tmp_path / "f.mlxfn"), f, *inputs)
    (found,) = mx.import_function(str(tmp_path / "f.mlxfn"))(*inputs)
    assert mx.array_equal(found, f(*inputs))


def test_bits_do_not_depend_on_threads():
    program = """
        import hashlib, numpy as np, mlx.core as mx
        mx.set_default_device(mx.cpu)
        x = mx.array(np.random.default_rng(0).standard_normal((37, 41, 24)).astype("f4"))
        f = lambda x: mx.square(mx._batch_norm(x, None, None, 1e-5)[0] + x).sum()
        print(hashlib.sha256(np.array(mx.grad(f)(x)).tobytes()).hexdigest())
        """
    assert run_python(program, MLX_NUM_THREADS="1") == run_python(program, MLX_NUM_THREADS="5")


@pytest.mark.parametrize("isa", ["v2", "v3"])
def test_lower_instruction_sets(isa):
    run_with_isa(
        isa,
        "test_batch_norm",
        """
        for shape in t.SHAPES:
            t.test_values(shape, mx.float32)
            t.test_derivatives(shape)
        """,
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx._batch_norm(mx.zeros((3,)), None, None, EPS),
        lambda: mx._batch_norm(mx.zeros((3, 4)), mx.zeros((3,)), None, EPS),
        lambda: mx._batch_norm(mx.zeros((3, 4)), None, mx.zeros((4, 1)), EPS),
        lambda: mx._batch_norm(mx.zeros((3, 4), mx.complex64), None, None, EPS),
    ],
)
def test_errors_are_raised_by_the_call(call):
    with pytest.raises(ValueError, match=r"\[batch_norm\]"):
        call()
