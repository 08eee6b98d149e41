"""Kernels for Metal can be made where there is none, and say so when they are called."""

import mlx.core as mx
import pytest


def make(**settings):
    kernel = {"name": "k", "input_names": ["x"], "output_names": ["y"], "source": "y[0] = x[0];"}
    return mx.fast.metal_kernel(**(kernel | settings))


def call(kernel, inputs=(1.0,), **settings):
    shapes = {"output_shapes": [(1,)], "output_dtypes": [mx.float32]}
    return kernel(inputs=list(inputs), grid=(1, 1, 1), threadgroup=(1, 1, 1), **shapes, **settings)


def test_calling_says_what_is_missing():
    assert not mx.metal.is_available()
    for kernel in [make(), make(header="#include <x>", atomic_outputs=True, compile_options={})]:
        with pytest.raises(RuntimeError, match="no Metal"):
            call(kernel)
        with pytest.raises(RuntimeError, match="no Metal"):
            call(kernel, template=[("T", mx.float32)], init_value=0.0, verbose=True, stream=mx.cpu)


def test_wrong_use():
    with pytest.raises(ValueError, match="takes 1 inputs, not 2"):
        call(make(), [1.0, 2.0])
    with pytest.raises(TypeError):
        make()(inputs=[1.0])
    with pytest.raises(ValueError, match="at least one output"):
        make(output_names=[])
    with pytest.raises(ValueError, match="dict"):
        make(compile_options=3)
