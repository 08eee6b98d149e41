"""complex128 beside NumPy wherever arrays are moved, built, reduced, differentiated and stored."""

import pickle

import mlx.core as mx
import numpy as np
import pytest

RNG = np.random.default_rng(128)
Z = RNG.normal(size=(6, 8)) + 1j * RNG.normal(size=(6, 8))
W = RNG.normal(size=(6, 8)) + 1j * RNG.normal(size=(6, 8))
I = np.array([3, 0, 5, 3])


def wide(x):
    return mx.array(x, mx.complex128)


# Functions of a namespace, two arrays and positions, in the same words for both.
SAME = {
    "where": lambda x, z, w, i: x.where(z.real > 0, z, w),
    "concatenate": lambda x, z, w, i: x.concatenate([z, w[:2]], axis=0),
    "stack": lambda x, z, w, i: x.stack([z, w], axis=1),
    "pad": lambda x, z, w, i: x.pad(z, ((1, 2), (0, 3))),
    "pad_edge": lambda x, z, w, i: x.pad(z, ((1, 2), (4, 3)), mode="edge"),
    "take": lambda x, z, w, i: x.take(z, i, axis=0),
    "take_columns": lambda x, z, w, i: x.take(z, i, axis=1),
    "rows": lambda x, z, w, i: z[i],
    "elements": lambda x, z, w, i: z[i, i + 1],
    "take_along_axis": lambda x, z, w, i: x.take_along_axis(z, i[:, None], axis=0),
    "slices": lambda x, z, w, i: z[::-2, 1::3] + w[1:4, :3],
    "transposed": lambda x, z, w, i: z.T.reshape(4, 12),
    "mask": lambda x, z, w, i: z[z.real > 0.3],
    "roll": lambda x, z, w, i: x.roll(z, 3, axis=1),
    "repeat": lambda x, z, w, i: x.repeat(z, 2, axis=1),
    "tile": lambda x, z, w, i: x.tile(z, (2, 1)),
    "flip": lambda x, z, w, i: x.flip(z, axis=0) * w,
    "tril": lambda x, z, w, i: x.tril(z, 1),
    "diag": lambda x, z, w, i: x.diag(z[0]) + x.diagonal(z)[0],
    "broadcast": lambda x, z, w, i: x.broadcast_to(z[:1], (5, 8)) - w[:5, :1],
    "moveaxis": lambda x, z, w, i: x.moveaxis(z.reshape(2, 3, 8), 0, 2),
    "einsum": lambda x, z, w, i: x.einsum("ij,kj->ik", z, w),
    "tensordot": lambda x, z, w, i: x.tensordot(z, w, axes=[[0], [0]]),
    "inner": lambda x, z, w, i: x.inner(z, w),
    "outer": lambda x, z, w, i: x.outer(z[0], w[0]),
    "kron": lambda x, z, w, i: x.kron(z[:2], w[:3]),
    "vdot": lambda x, z, w, i: x.vecdot(z, w, axis=-1),
    "matmul": lambda x, z, w, i: z @ w.T,
    "trace": lambda x, z, w, i: x.trace(z),
    "sum": lambda x, z, w, i: x.sum(z, axis=0),
    "mean": lambda x, z, w, i: x.mean(z),
    "var": lambda x, z, w, i: x.var(z, axis=1),
    "std": lambda x, z, w, i: x.std(z),
    "prod": lambda x, z, w, i: x.prod(z, axis=0),
    "max": lambda x, z, w, i: x.max(z, axis=0),
    "argmin": lambda x, z, w, i: x.argmin(z, axis=1),
    "cumsum": lambda x, z, w, i: x.cumsum(z, axis=0),
    "cumprod": lambda x, z, w, i: x.cumprod(z, axis=1),
    "sort": lambda x, z, w, i: x.sort(x.round(z), axis=1),
    "argsort": lambda x, z, w, i: x.argsort(z, axis=0),
    "all": lambda x, z, w, i: x.all(z * (z.real > 0), axis=1),
    "isclose": lambda x, z, w, i: x.isclose(z, z + 1e-9 * w),
    "compare": lambda x, z, w, i: (z < w) | (z == w),
    "allclose": lambda x, z, w, i: x.allclose(z, z),
    "norm": lambda x, z, w, i: x.linalg.norm(z, axis=1),
    "fft": lambda x, z, w, i: x.fft.fft2(z),
    "unique": lambda x, z, w, i: x.sort(x.unique_values(x.round(z))),
    "clip_parts": lambda x, z, w, i: x.abs(z) + z.imag - x.real(w),
}


@pytest.mark.parametrize("name", SAME)
def test_like_numpy(name):
    f = SAME[name]
    want = np.asarray(f(np, Z, W, I))
    got = f(mx, wide(Z), wide(W), mx.array(I))
    kind = {"c": mx.complex128, "f": mx.float64, "b": mx.bool_}.get(want.dtype.kind)
    assert kind in (None, got.dtype)
    np.testing.assert_allclose(np.array(got), want, rtol=1e-13, atol=1e-13)
    compiled = mx.compile(lambda a, b: f(mx, a, b, mx.array(I)))
    if name not in ("mask", "unique"):
        assert mx.array_equal(compiled(wide(Z), wide(W)), got)


@pytest.mark.parametrize("update", ["add", "multiply", "maximum", "minimum"])
def test_updates(update):
    numpy, i = Z.copy(), np.array([1, 4, 0])
    getattr(np, update).at(numpy, i, W[:3])
    got = getattr(wide(Z).at[mx.array(i)], update)(wide(W[:3]))
    np.testing.assert_allclose(np.array(got), numpy, rtol=1e-15)
    z = wide(Z)
    z[1:5, ::2], z[mx.array(i)] = wide(W[:4, ::2]), 2 - 1j
    numpy = Z.copy()
    numpy[1:5, ::2], numpy[i] = W[:4, ::2], 2 - 1j
    assert mx.array_equal(z, wide(numpy))


@pytest.mark.parametrize("other", ["bool_", "uint8", "int64", "float16", "bfloat16", "float32"])
def test_promotion(other):
    a, z = mx.ones((2,), getattr(mx, other)), mx.zeros((2,), mx.complex128)
    assert (a + z).dtype == (z * a).dtype == mx.complex128
    assert (a * 1j).dtype == mx.complex64 and (
        a + mx.zeros((2,), mx.complex64)
    ).dtype == mx.complex64


def test_numbers_are_weak():
    z, d = mx.zeros((2,), mx.complex128), mx.zeros((2,), mx.float64)
    for number in (True, 2, 0.1, 1j, np.float32(2), np.float64(0.1), np.complex64(1j), 1j + 0.1):
        assert (z + number).dtype == mx.complex128
        assert (z + number)[0].item() == (z[0] + mx.array(number, mx.complex128)).item()
    assert (d + (1j + 0.1))[0].item() == 0.1 + 1j and (d * 1j).dtype == mx.complex128
    assert (d + np.complex128(1j + 0.1))[0].item() == 0.1 + 1j
    assert (d + mx.zeros((2,), mx.complex64)).dtype == mx.complex128
    assert mx.full((2,), 1j + 0.1, mx.complex128)[0].item() == 1j + 0.1


def test_dtypes_of_parts():
    z = wide(Z)
    for f in (mx.abs, mx.real, mx.imag, mx.var, mx.std, mx.linalg.norm):
        assert f(z).dtype == mx.float64
    assert mx.issubdtype(mx.complex128, mx.complexfloating) and mx.complex128.size == 16
    assert not mx.issubdtype(mx.complex128, mx.floating)
    limits = mx.finfo(mx.complex128)
    assert limits.dtype == mx.float64 and limits.eps == np.finfo("c16").eps
    assert mx.Dtype("complex128") == mx.complex128 and str(mx.complex128) == "mlx.core.complex128"


def test_casts():
    z = wide([1.5 - 2j, -0.0 + 0j, 3e40 + 1e-50j, complex("nan")])
    assert z.astype(mx.float64).tolist()[:3] == [1.5, 0.0, 3e40]
    assert z.astype(mx.int32)[0].item() == 1 and z.astype(mx.bool_).tolist() == [1, 0, 1, 1]
    assert (
        z.astype(mx.complex64)[2].item() == complex("inf") and z[0].astype(mx.float16).item() == 1.5
    )
    for name in ("bool_", "int8", "uint64", "float16", "bfloat16", "float32", "complex64"):
        x = mx.array([1, 0, 1]).astype(getattr(mx, name))
        assert x.astype(mx.complex128).tolist() == [1, 0, 1]
    # One rounding on the way to half floats.
    assert mx.array([1 + 2**-11 + 2**-40], mx.complex128).astype(mx.float16).item() == 1 + 2**-10


def test_views_and_memory():
    z = wide(Z)
    parts = z.view(mx.float64)
    assert parts.shape == (6, 16) and parts[0, :2].tolist() == [Z[0, 0].real, Z[0, 0].imag]
    assert mx.array_equal(parts.view(mx.complex128), z)
    assert mx.array_equal(pickle.loads(pickle.dumps(z)), z)
    assert np.shares_memory(np.array(z, copy=False), np.array(z, copy=False))
    np.testing.assert_array_equal(np.from_dlpack(z.T), Z.T)
    np.testing.assert_array_equal(np.array(memoryview(z[1:, ::3])), Z[1:, ::3])
    odd = np.frombuffer(b"\0" * 8 + Z.tobytes(), np.uint8)[8:].view(np.complex128).copy()
    shared = mx.asarray(odd[1:], copy=False)
    np.testing.assert_array_equal(np.array(mx.sort(shared)), np.sort(odd[1:]))
    np.testing.assert_array_equal(np.array(mx.exp(shared[::2])), np.array(mx.exp(wide(odd[1::2]))))


def test_printing():
    assert str(wide([1 + 2j, 0.5])) == "array([1+2j, 0.5+0j], dtype=complex128)"


def test_files(tmp_path):
    path = str(tmp_path / "z")
    mx.save(path, wide(Z))
    np.testing.assert_array_equal(np.load(path + ".npy"), Z)
    np.save(path + "_big.npy", Z.astype(">c16"))
    mx.savez(path, z=wide(Z), w=wide(W).T)
    loaded = mx.load(path + ".npz")
    for got, want in ((mx.load(path + "_big.npy"), Z), (loaded["z"], Z), (loaded["w"], W.T)):
        assert got.dtype == mx.complex128
        np.testing.assert_array_equal(np.array(got), want)
    with pytest.raises(ValueError, match="complex128"):
        mx.save_safetensors(path, {"z": wide(Z)})
    with pytest.raises(ValueError, match="complex128"):
        mx.save_gguf(path, {"z": wide(Z)})


def test_exported_functions(tmp_path):
    path = str(tmp_path / "f.mlxfn")
    matrix = wide(W)

    def f(z):
        return [mx.fft.fft(z @ matrix.T), mx.linalg.eigvals(z[:, :6]), mx.exp(z) * 2j]

    mx.export_function(path, f, wide(Z))
    for got, want in zip(mx.import_function(path)(wide(Z)), f(wide(Z)), strict=True):
        assert got.dtype == mx.complex128 and mx.array_equal(got, want)


def test_fused_programs_round_as_steps_do():
    z, w = wide(Z), wide(W)

    def f(z, w):
        y = mx.exp(z * 0.1) / (w + 3) - mx.conjugate(z) * w
        return mx.where(y.real > 0, y, mx.sqrt(y)) + mx.abs(w), y

    steps = f(z, w)
    mx.eval(*steps)
    fused, compiled = f(wide(Z), wide(W))[0], mx.compile(f)(z, w)
    assert mx.array_equal(fused, steps[0]) and mx.array_equal(compiled[0], steps[0])
    over = mx.vmap(f, in_axes=(1, 1))(z, w)[0]
    assert mx.array_equal(over, steps[0].T)


FUNCTIONS = {
    "matmul": lambda z: mx.abs(z @ mx.conjugate(z).T).sum(),
    "fft": lambda z: mx.square(mx.abs(mx.fft.fft(z, axis=0))).sum() * 0.1,
    "irfft": lambda z: (mx.fft.irfft(z) ** 3).sum(),
    "prod": lambda z: mx.real(mx.prod(z[:2], axis=1)).sum(),
    "cumsum": lambda z: mx.imag(mx.cumsum(z * z, axis=1)).sum(),
    "power": lambda z: mx.real(z**3 / (z + 5)).sum(),
    "logsumexp": lambda z: mx.real(mx.logsumexp(z, axis=1)).sum(),
    "softmax": lambda z: mx.real(mx.softmax(z, axis=1) * z).sum(),
    "solve": lambda z: mx.real(mx.linalg.solve(z[:, :6], z)).sum(),
    "svd": lambda z: (mx.linalg.svd(z, compute_uv=False) ** 3).sum(),
    "eigh": lambda z: (mx.linalg.eigvalsh(z @ mx.conjugate(z).T) ** 2).sum() * 0.01,
    "gather": lambda z: mx.real(z[mx.array([0, 0, 3])] * z[1]).sum(),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients(name):
    f, z, step = FUNCTIONS[name], wide(Z), 1e-6
    gradient = np.array(mx.grad(f)(z))
    assert gradient.dtype == np.complex128
    for direction in (W, 1j * W[::-1]):
        d = wide(direction)
        along = (f(z + step * d) - f(z - step * d)).item() / (2 * step)
        bound = 1e-6 * (1 + abs(along))
        assert abs(np.sum((np.conj(gradient) * direction).real) - along) < bound
        assert abs(mx.jvp(f, [z], [d])[1][0].item() - along) < bound


def test_random_numbers():
    z = mx.random.normal((3, 4), mx.complex128, key=mx.random.key(1))
    want = mx.random.normal((3, 4), mx.complex64, key=mx.random.key(1))
    assert z.dtype == mx.complex128 and mx.array_equal(z.astype(mx.complex64), want)


def test_what_has_no_complex_numbers_says_so():
    z = wide(Z)
    for f in (mx.erf, mx.sigmoid, mx.floor, lambda a: a % a, mx.nan_to_num):
        with pytest.raises(ValueError, match="complex128"):
            f(z)
    with pytest.raises(ValueError):
        mx.conv1d(z.reshape(1, 6, 8), z.reshape(1, 6, 8))
