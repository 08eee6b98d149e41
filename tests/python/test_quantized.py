"""Quantisation and products with quantised matrices, against NumPy in double."""

import mlx.core as mx
import numpy as np
import pytest

MODES = mx._quantization_modes
FORMATS = [
    {"mode": mode, "bits": bits, "group_size": size}
    for mode, (choices, sizes) in MODES.items()
    for bits in choices[0]
    for size in sizes[0]
]


def name_of(fmt):
    return f"{fmt['mode']}-{fmt['bits']}x{fmt['group_size']}"


def random(*shape, dtype=mx.float32):
    return mx.array(np.random.standard_normal(shape)).astype(dtype)


def wide(a):
    return np.array(a.astype(mx.float64)) if mx.issubdtype(a.dtype, mx.floating) else np.array(a)


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
def test_values_are_near_what_was_quantized(fmt):
    w = random(6, 256)
    d = wide(mx.dequantize(*mx.quantize(w, **fmt), **fmt, dtype=mx.float32))
    groups = np.abs(wide(w)).reshape(6, -1, fmt["group_size"]).max(-1, keepdims=True)
    step = {"affine": 2 / (2 ** fmt["bits"] - 1), "mxfp8": 1 / 14}.get(fmt["mode"], 1 / 3)
    assert np.all(np.abs(d - wide(w)).reshape(6, -1, fmt["group_size"]) <= step * groups)


@pytest.mark.parametrize("fmt", FORMATS, ids=name_of)
@pytest.mark.parametrize("transpose", [True, False])
def test_product_is_that_of_the_values(fmt, transpose):
    q = mx.quantize(random(5, 64, 128), **fmt)
    d = wide(mx.dequantize(*q, **fmt, dtype=mx.float32))
    x = random(2, 1, 3, 128 if transpose else 64)
    y = wide(mx.quantized_matmul(x, *q, transpose=transpose, **fmt))
    expected = np.matmul(wide(x), np.swapaxes(d, -1, -2) if transpose else d)
    assert y.shape == expected.shape
    assert np.allclose(y, expected, 1e-4, 1e-4)
