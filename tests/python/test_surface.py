"""Every function of the surface: for all shapes, mapped, in files, in complex128, differentiated twice."""

import re

import mlx.core as mx
import numpy as np
import pytest
from derivatives import check_gradient
from mlx import functions
from surface import OTHER, SMOOTH, calls, evaluate, inputs

SIZES = [(3, 4), (5, 4), (3, 6), (2, 2), (4, 4), (3, 4), (7, 3)]


def flat(out):
    return out if isinstance(out, list | tuple) else (out,)


def outcome(f, arrays):
    """Results as NumPy arrays, or the sort of error."""
    try:
        return [np.array(a) for a in flat(f(**arrays)) if isinstance(a, mx.array)]
    except (ValueError, IndexError) as error:
        return type(error)


@pytest.mark.parametrize("call", calls(SMOOTH + OTHER))
def test_shapeless(call):
    def f(**arrays):
        return evaluate(call, arrays)

    compiled = mx.compile(f, shapeless=True)
    for n, m in SIZES:
        arrays = inputs(n, m)
        got, want = outcome(compiled, arrays), outcome(f, arrays)
        assert isinstance(got, list) == isinstance(want, list), (n, m, got, want)
        if isinstance(want, list):
            for a, b in zip(got, want, strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5, err_msg=str((n, m)))


def letters(call, arrays):
    """The inputs that a call names, in its order."""
    names = re.findall(r"\b[a-z]+\b", call)
    return {n: arrays[n] for n in dict.fromkeys(names) if n in arrays}


def check_same(got, want):
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        wide = mx.float32 if a.dtype == mx.bfloat16 else a.dtype
        np.testing.assert_allclose(a.astype(wide), b.astype(wide), rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("call", calls(SMOOTH + OTHER))
def test_mapped(call):
    members = [letters(call, inputs(3, 4, seed=seed)) for seed in (0, 1)]
    names = list(members[0])

    def f(*values):
        out = flat(evaluate(call, dict(zip(names, values, strict=True))))
        return tuple(a for a in out if isinstance(a, mx.array))

    both = mx.vmap(f)(*(mx.stack([m[n] for m in members]) for n in names))
    for i, member in enumerate(members):
        check_same([a[i] for a in both], f(*member.values()))


@pytest.mark.parametrize("shapeless", [False, True])
@pytest.mark.parametrize("call", calls(SMOOTH + OTHER))
def test_exported(call, shapeless, tmp_path):
    arrays, path = letters(call, inputs(3, 4)), str(tmp_path / "f.mlxfn")

    def f(**values):
        out = flat(evaluate(call, values))
        return tuple(a for a in out if isinstance(a, mx.array))

    mx.export_function(path, f, shapeless=shapeless, **arrays)
    check_same(mx.import_function(path)(**arrays), f(**arrays))


def complex_inputs(dtype):
    """Real inputs with imaginary parts, in one of the complex dtypes."""
    real, imaginary = (inputs(3, 4, mx.float64, seed) for seed in (0, 1))
    out = {}
    for name, x in real.items():
        is_real = x.dtype == mx.float64
        x = x + 0.3j * imaginary[name] if is_real else x
        out[name] = x.astype(dtype) if is_real or name == "z" else x
    return out


WIDER = {mx.complex64: mx.complex128, mx.float32: mx.float64}
# Random numbers have the dtype that they are asked in; views see twice the bits.
NOT_WIDER = ("random.", "view(")


@pytest.mark.parametrize("call", [c for c in calls(SMOOTH + OTHER) if not c.startswith(NOT_WIDER)])
def test_complex128_is_where_complex64_is(call):
    results = []
    for dtype in (mx.complex64, mx.complex128):
        try:
            results.append(flat(evaluate(call, complex_inputs(dtype))))
        except ValueError:
            results.append(None)
    narrow, wide = results
    assert (narrow is None) == (wide is None)
    for a, b in zip(narrow or (), wide or (), strict=True):
        assert b.dtype == WIDER.get(a.dtype, a.dtype)
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("call", calls(SMOOTH))
def test_second_derivatives(call):
    arrays = inputs(3, 3 if "three" in call else 4, mx.float64)
    moved = [n for n, x in letters(call, arrays).items() if x.dtype == mx.float64]
    given = [arrays[n] for n in moved]

    def f(*values):
        return evaluate(call, arrays | dict(zip(moved, values, strict=True)))

    np.random.seed(1)
    weights = mx.array(np.random.randn(*f(*given).shape), dtype=mx.float64)

    def gradient(*values):
        parts = mx.vjp(lambda *v: [f(*v)], list(values), [weights])[1]
        return mx.concatenate([part.reshape(-1) for part in parts])

    check_gradient(gradient, given, rtol=2e-5, atol=1e-5)


# What makes arrays of no arrays, has results whose shape or error depends on values, or is about
# functions, files, devices and memory.
NOT_IN_GRAPHS = """
arange array asarray bartlett blackman empty eye finfo from_dlpack full hamming hanning identity iinfo linspace ones tri
zeros fft.fftfreq fft.rfftfreq random.key random.seed
unique unique_all unique_counts unique_inverse unique_values argwhere bincount flatnonzero histogram nonzero
nanargmax nanargmin
broadcast_shapes can_cast einsum_path isdtype issubdtype ravel_multi_index result_type tril_indices triu_indices
async_eval checkpoint compile custom_function disable_compile enable_compile eval grad jvp value_and_grad vjp vmap
export_function export_to_dot exporter import_function load save save_gguf save_safetensors savez savez_compressed
clear_cache clear_compile_cache clear_streams compile_cache_size default_device default_stream device_count device_info
get_active_memory get_array_buffer_size get_cache_memory get_memory_limit get_peak_memory get_printoptions is_available
new_stream new_thread_local_stream new_thread_unsafe_stream printoptions reset_peak_memory set_cache_limit set_debug
set_default_device set_default_stream set_memory_limit set_printoptions set_wired_limit stream synchronize
fast.cuda_kernel fast.metal_kernel fast.precompiled_cuda_kernel
"""


def test_every_function_is_called():
    called = set(re.findall(r"[a-z0-9_.]+(?=\()", SMOOTH + OTHER))
    others = set(NOT_IN_GRAPHS.split())
    modules = {"": mx, "fft.": mx.fft, "linalg.": mx.linalg, "fast.": mx.fast, "random.": mx.random}
    for prefix, module in modules.items():
        there = {name: getattr(module, name) for name in dir(module) if name[0] != "_"}
        if module is mx:
            there |= {n: getattr(mx, n) for n in functions.__all__ if n[0] != "_"}
        reached = {id(f) for name, f in there.items() if prefix + name in called}
        for name, f in there.items():
            if callable(f) and not isinstance(f, type):
                assert id(f) in reached or prefix + name in others, name
