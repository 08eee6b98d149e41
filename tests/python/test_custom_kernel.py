"""Users' kernels: made anywhere, checked before anything runs, and run where there is a GPU."""

import mlx.core as mx
import numpy as np
import pytest

needs_gpu = pytest.mark.skipif(not mx.is_available(mx.gpu), reason="runs kernels on a GPU")

ELEMENT = "auto i = cooperative_groups::this_grid().thread_rank();\n"


def make(source="y[0] = x[0];", **settings):
    kernel = {"name": "k", "input_names": ["x"], "output_names": ["y"], "source": source}
    return mx.fast.cuda_kernel(**(kernel | settings))


def call(kernel, *inputs, shape=(1,), dtype=mx.float32, grid=(1, 1, 1), **settings):
    return kernel(
        inputs=list(inputs) or [mx.array(1.0)],
        output_shapes=[shape],
        output_dtypes=[dtype],
        grid=grid,
        threadgroup=settings.pop("threadgroup", (32, 1, 1)),
        **settings,
    )


@pytest.mark.skipif(mx.is_available(mx.gpu), reason="says that there is no GPU")
def test_calling_says_what_is_missing():
    with pytest.raises(RuntimeError, match="no GPU"):
        call(make(), template=[("T", mx.float32), ("n", 3), ("flag", True)], init_value=0.0)
    with pytest.raises(RuntimeError, match="no GPU"):
        precompiled()


def precompiled(**settings):
    arguments = {
        "name": "k",
        "compiled_source": b"text",
        "inputs": [mx.array(1.0)],
        "output_shapes": [(1,)],
        "output_dtypes": [mx.float32],
        "scalars": [True, 2, 3.0],
        "grid": (1, 1, 1),
        "threadgroup": (1, 1, 1),
    }
    return mx.fast.precompiled_cuda_kernel(**(arguments | settings))


def test_making_refuses_what_is_no_kernel():
    for wrong in [{"name": "a b"}, {"name": ""}, {"input_names": ["1x"]}, {"output_names": []}]:
        with pytest.raises(ValueError, match="cuda_kernel"):
            make(**wrong)
    with pytest.raises(ValueError, match="Two arguments"):
        make(output_names=["x"])


def test_calling_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="takes 1 inputs, not 2"):
        call(make(), 1.0, 2.0)
    with pytest.raises(ValueError, match="negative extent"):
        call(make(), grid=(-1, 1, 1))
    with pytest.raises(ValueError, match="extent of 0"):
        call(make(), threadgroup=(0, 1, 1))
    with pytest.raises(ValueError, match="at most 1024 threads"):
        call(make(), grid=(4096, 2, 1), threadgroup=(1024, 2, 1))
    with pytest.raises(ValueError, match="shared_memory"):
        call(make(shared_memory=-1))
    for wrong in [[("T", "float")], [("n", 2**40)]]:
        with pytest.raises(ValueError, match="template argument"):
            call(make(), template=wrong)
    with pytest.raises(ValueError, match="compiled_source"):
        precompiled(compiled_source=b"")
    with pytest.raises(ValueError, match="do not fit"):
        precompiled(output_dtypes=[])


@needs_gpu
@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16, mx.int32, mx.uint8])
def test_elements(dtype):
    kernel = make(ELEMENT + "if (i < n) y[i] = T(float(x[i]) * 2.0f);", name="twice")
    x = (mx.arange(100) % 50).astype(dtype)
    y = call(kernel, x, shape=x.shape, dtype=dtype, grid=(100, 1, 1),
             template=[("T", dtype), ("n", 100)])[0]  # fmt: skip
    np.testing.assert_array_equal(y.astype(mx.float32), x.astype(mx.float32) * 2)


@needs_gpu
def test_the_same_name_with_another_source():
    for factor in (2, 3):
        kernel = make(f"y[0] = {factor} * x[0];", name="same")
        assert call(kernel, mx.array(5.0))[0].item() == 5 * factor


@needs_gpu
def test_strides_header_and_init_value():
    source = (
        ELEMENT
        + "auto at = elem_to_loc((int)i, x_shape.data(), x_strides.data(), x_ndim);\n"
        + "if (i % 2) y[i] = plus_one(x[at]);"
    )
    kernel = make(
        source, header="float plus_one(float x) { return x + 1; }", ensure_row_contiguous=False
    )
    x = mx.arange(12, dtype=mx.float32).reshape(3, 4).T
    y = call(kernel, x, shape=(4, 3), grid=(12, 1, 1), init_value=-1.0)[0]
    expected = np.ascontiguousarray(np.asarray(x) + 1)
    expected.reshape(-1)[::2] = -1
    np.testing.assert_array_equal(y, expected)


@needs_gpu
def test_contiguous_inputs_and_shared_memory():
    source = (
        ELEMENT
        + "extern __shared__ float held[];\nheld[threadIdx.x] = x[i];\n__syncthreads();\n"
        + "y[i] = held[blockDim.x - 1 - threadIdx.x];"
    )
    x = mx.arange(64, dtype=mx.float32).reshape(8, 8).T
    y = call(make(source, shared_memory=256), x, shape=(64,), grid=(64, 1, 1),
             threadgroup=(64, 1, 1))[0]  # fmt: skip
    np.testing.assert_array_equal(y, np.asarray(x).reshape(-1)[::-1])


@needs_gpu
def test_errors_name_the_line():
    with pytest.raises(RuntimeError, match=r"bad\(2\): error"):
        mx.eval(call(make("y[0] = x[0];\ny[1] = wrong;", name="bad")))


PTX = """.version 7.0
.target sm_70
.address_size 64
.visible .entry scale(.param .u64 x, .param .u64 y, .param .f32 factor)
{
  .reg .b64 %a, %b;
  .reg .f32 %f, %g;
  ld.param.u64 %a, [x];
  ld.param.u64 %b, [y];
  ld.param.f32 %g, [factor];
  cvta.to.global.u64 %a, %a;
  cvta.to.global.u64 %b, %b;
  ld.global.f32 %f, [%a];
  mul.f32 %f, %f, %g;
  st.global.f32 [%b], %f;
  ret;
}
"""


@needs_gpu
def test_precompiled():
    settings = {"name": "scale", "compiled_source": PTX.encode(), "inputs": [mx.array(3.0)]}
    assert precompiled(scalars=[2.0], **settings)[0].item() == 6.0
    for wrong in [[], [2.0, 1], [True]]:
        with pytest.raises(ValueError, match=r"(?i)argument"):
            mx.eval(precompiled(scalars=wrong, **settings))
    with pytest.raises(RuntimeError):
        mx.eval(precompiled(**(settings | {"compiled_source": b"no code"})))


def make_metal(**settings):
    kernel = {"name": "k", "input_names": ["x"], "output_names": ["y"], "source": "y[0] = x[0];"}
    return mx.fast.metal_kernel(**(kernel | settings))


def test_kernels_for_metal_say_what_is_missing():
    assert not mx.metal.is_available()
    more = {"header": "#include <x>", "atomic_outputs": True, "compile_options": {}}
    for kernel in [make_metal(), make_metal(**more)]:
        with pytest.raises(RuntimeError, match="no Metal"):
            call(kernel, 1.0)
        with pytest.raises(RuntimeError, match="no Metal"):
            call(kernel, template=[("T", mx.float32)], init_value=0.0, verbose=True, stream=mx.cpu)


def test_kernels_for_metal_are_checked():
    with pytest.raises(ValueError, match="takes 1 inputs, not 2"):
        call(make_metal(), 1.0, 2.0)
    with pytest.raises(TypeError):
        make_metal()(inputs=[1.0])
    with pytest.raises(ValueError, match="at least one output"):
        make_metal(output_names=[])
    with pytest.raises(ValueError, match="dict"):
        make_metal(compile_options=3)
