"""Fourier transforms against NumPy: lengths, axes, norms, dtypes, layouts, derivatives, frames."""

from __future__ import annotations

import mlx.core as mx
import numpy as np
import pytest

F = mx.fft
NORMS = ["backward", "ortho", "forward"]


def signal(shape, complex_=True, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    if complex_:
        return (x + 1j * rng.standard_normal(shape)).astype(np.complex64)
    return x.astype(np.float32)


def check(out: mx.array, expected: np.ndarray, tolerance=1e-6):
    assert out.shape == expected.shape
    assert out.dtype == (mx.complex64 if np.iscomplexobj(expected) else mx.float32)
    out = np.array(out)
    scale = np.sqrt(np.mean(np.abs(expected) ** 2)) if expected.size else 1.0
    np.testing.assert_allclose(out, expected, rtol=0, atol=tolerance * max(scale, 1e-30) * 5)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 12, 15, 16, 31, 64, 67, 100, 127, 360, 1009])
@pytest.mark.parametrize("norm", NORMS)
def test_lengths(n, norm):
    x, r = signal((3, n)), signal((3, n), False)
    check(F.fft(mx.array(x), norm=norm), np.fft.fft(x, norm=norm))
    check(F.ifft(mx.array(x), norm=norm), np.fft.ifft(x, norm=norm))
    check(F.fft(mx.array(r), norm=norm), np.fft.fft(r, norm=norm))
    check(F.rfft(mx.array(r), norm=norm), np.fft.rfft(r, norm=norm))
    check(F.irfft(mx.array(x), n=n, norm=norm), np.fft.irfft(x, n=n, norm=norm))


def to_double(x, complex_):
    return mx.array(x, mx.complex128 if complex_ else mx.float64)


@pytest.mark.parametrize("n", [1, 2, 3, 8, 15, 31, 64, 67, 100, 127, 360, 1009])
@pytest.mark.parametrize("norm", NORMS)
def test_double_precision(n, norm):
    rng = np.random.default_rng(n)
    r = rng.standard_normal((3, n))
    x = r + 1j * rng.standard_normal((3, n))
    for name, complex_ in [("fft", 1), ("ifft", 1), ("fft", 0), ("rfft", 0), ("irfft", 1)]:
        given = x if complex_ else r
        args = {"norm": norm} | ({"n": n} if name == "irfft" else {})
        out = getattr(F, name)(to_double(given, complex_), **args)
        want = getattr(np.fft, name)(given, **args)
        assert out.dtype == (mx.float64 if name == "irfft" else mx.complex128)
        scale = np.sqrt(np.mean(np.abs(want) ** 2))
        np.testing.assert_allclose(np.array(out), want, rtol=0, atol=5e-15 * scale)


@pytest.mark.parametrize("name", ["fftn", "rfftn", "irfftn"])
def test_double_precision_of_many_axes(name):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((4, 5, 6))
    x = x if name == "rfftn" else x + 1j * rng.standard_normal((4, 5, 6))
    out = getattr(F, name)(to_double(x, name != "rfftn").T)
    np.testing.assert_allclose(np.array(out), getattr(np.fft, name)(x.T), rtol=0, atol=1e-13)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
@pytest.mark.parametrize("n", [1, 2, 5, 6, 7, 9, 20])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_padding_and_cutting(name, n, axis):
    x = signal((6, 7, 3), complex_=name != "rfft")
    out = getattr(F, name)(mx.array(x), n=n, axis=axis)
    check(out, getattr(np.fft, name)(x, n=n, axis=axis))


def test_default_length_of_irfft():
    x = signal((4, 6))
    check(F.irfft(mx.array(x)), np.fft.irfft(x))


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_many_axes(name):
    x = signal((4, 5, 6), complex_=name != "rfft")
    a = mx.array(x)
    for suffix, axes, lengths in [
        ("n", None, None),
        ("n", (0, 2), None),
        ("n", (2, 0), None),
        ("n", (-1,), (3,)),
        ("n", (1, 0), (7, 2)),
        ("2", (-2, -1), None),
        ("2", (0, 1), (8, 3)),
    ]:
        expected = getattr(np.fft, name + suffix)(x, s=lengths, axes=axes)
        kwargs = {} if axes is None else {"axes": axes}
        if lengths:
            kwargs["s"] = lengths
        check(getattr(F, name + suffix)(a, **kwargs), expected, 3e-6)


# The last axes together, as a library takes them: even and odd, with large primes, with rows that
# are cut off or padded, and those that it does not take so.
@pytest.mark.parametrize("shape", [(3, 16, 20), (2, 9, 15), (2, 31, 67), (4, 64, 128), (2, 3, 1)])
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft"])
def test_last_axes_together(name, shape):
    x = signal(shape, name != "rfft")
    a = mx.array(x)
    for axes in [(-2, -1), (0, 1, 2), (2, 1), (1, 0), (0, 2)]:
        lengths = [shape[axis] for axis in axes]
        for last in (lengths[-1], lengths[-1] + 5, max(lengths[-1] - 2, 1)):
            kwargs = {"s": [*lengths[:-1], last], "axes": axes}
            check(getattr(F, name + "n")(a, **kwargs), by_numpy(name + "n", x, **kwargs), 3e-6)
    turned, columns = mx.transpose(a, (2, 0, 1)), x.transpose(2, 0, 1)
    kwargs = {"s": columns.shape[1:], "axes": (1, 2)}
    check(getattr(F, name + "2")(turned, **kwargs), by_numpy(name + "2", columns, **kwargs), 3e-6)


def test_four_axes():
    x = signal((3, 4, 5, 6))
    check(F.fftn(mx.array(x)), by_numpy("fftn", x), 3e-6)
    check(F.rfftn(mx.array(x.real)), by_numpy("rfftn", x.real), 3e-6)


def test_large_numbers_are_scaled_on_the_way():
    """No axis makes numbers that the next one would bring back into range."""
    x = np.full((64, 64), 1e36, np.complex64)
    with mx.stream(mx.cpu):
        out = np.array(F.ifft2(mx.array(x)))
    np.testing.assert_allclose(out[0, 0], 1e36, rtol=1e-6)
    assert np.abs(out.reshape(-1)[1:]).max() < 1e30


@pytest.mark.parametrize("norm", NORMS)
def test_norms_of_many_axes(norm):
    x = signal((4, 6))
    check(F.fftn(mx.array(x), norm=norm), np.fft.fftn(x, norm=norm), 3e-6)
    check(F.irfft2(mx.array(x), norm=norm), np.fft.irfft2(x, norm=norm), 3e-6)


def test_layouts():
    x = signal((6, 8, 4))
    a = mx.array(x)
    row = signal((8,))
    layouts = [
        (a.T, x.T),
        (a[::2, 1:7, ::-1], x[::2, 1:7, ::-1]),
        (mx.transpose(a, (1, 0, 2)), x.transpose(1, 0, 2)),
        (mx.broadcast_to(mx.array(row), (3, 8)), np.broadcast_to(row, (3, 8))),
        (mx.array(x[:, 0, 0]), x[:, 0, 0]),
    ]
    for view, expected in layouts:
        for axis in range(view.ndim):
            check(F.fft(view, axis=axis), np.fft.fft(expected, axis=axis))
            check(F.rfft(mx.real(view), axis=axis), np.fft.rfft(expected.real, axis=axis))


def test_dtypes():
    for dtype in (mx.bool_, mx.uint8, mx.int32, mx.float16, mx.bfloat16, mx.float32):
        a = mx.array([[0, 1, 1], [1, 0, 0]]).astype(dtype)
        expected = np.array(a.astype(mx.float32))
        check(F.fft(a), np.fft.fft(expected))
        check(F.rfft(a), np.fft.rfft(expected))
        check(F.irfft(a, n=4), np.fft.irfft(expected, n=4))
    with mx.stream(mx.cpu):
        x = np.random.default_rng(0).standard_normal((2, 50)) + 1e4
        out = np.array(F.rfft(mx.array(x, dtype=mx.float64)))
        # In float32 the large mean would cost four digits of the others.
        np.testing.assert_allclose(out[:, 1:], np.fft.rfft(x)[:, 1:], rtol=1e-6, atol=1e-6)
    x = signal((3, 5))
    check(F.rfft(mx.array(x)), np.fft.rfft(x.real))


def test_empty_and_single():
    assert F.fft(mx.zeros((0, 4))).shape == (0, 4)
    assert F.rfft(mx.zeros((0, 4))).shape == (0, 3)
    assert F.irfft(mx.zeros((3, 1)), n=1).tolist() == [[0.0], [0.0], [0.0]]
    assert F.fft(mx.array([2.0])).tolist() == [2 + 0j]


def test_rows_do_not_touch_each_other():
    x = signal((33, 16), False)
    x[5] = np.nan
    x[6] = 1e30
    out = np.array(F.rfft(mx.array(x)))
    assert np.isnan(out[5]).all() and not np.isnan(np.delete(out, 5, axis=0)).any()
    keep = [i for i in range(33) if i not in (5, 6)]
    np.testing.assert_allclose(out[keep], np.fft.rfft(x[keep]), atol=1e-5)


def test_large():
    x = signal((1 << 18,))
    check(F.fft(mx.array(x)), np.fft.fft(x))
    x = signal((700, 300), False)
    check(F.rfft(mx.array(x)), np.fft.rfft(x))
    back = F.irfft2(F.rfft2(mx.array(x)), s=x.shape, axes=(0, 1))
    np.testing.assert_allclose(np.array(back), x, atol=1e-5)


def by_numpy(name, x, **kwargs):
    """The transform in double, rounded once."""
    wide = x.astype(np.complex128 if np.iscomplexobj(x) else np.float64)
    out = getattr(np.fft, name)(wide, **kwargs)
    return out.astype(np.complex64 if np.iscomplexobj(out) else np.float32)


# Rows that are taken as matrices: squares or not, with partly filled vectors, with factors of 61,
# with large primes, in groups of few and of many, dense or not.
@pytest.mark.parametrize("n", [256, 305, 512, 1000, 2018, 3721, 4096, 8191, 10007, 32768, 30030])
@pytest.mark.parametrize("rows", [1, 3, 20])
def test_long_rows(n, rows):
    x = signal((rows, n))
    half, real = x[:, : n // 2 + 1], x.real
    for name, row, kwargs in [
        ("fft", x, {}),
        ("ifft", x, {}),
        ("fft", x, {"n": n + n // 2}),
        ("fft", x, {"n": n - 3}),
        ("fft", real, {}),
        ("rfft", real, {}),
        ("rfft", real, {"n": n + 7}),
        ("irfft", half, {"n": n}),
        ("irfft", half, {"n": n - 5}),
    ]:
        f = getattr(F, name)
        check(f(mx.array(row), **kwargs), by_numpy(name, row, **kwargs), 2e-6)
        columns = mx.array(np.ascontiguousarray(row.T))
        expected = by_numpy(name, row, **kwargs)
        check(f(columns, axis=0, **kwargs), expected.T, 2e-6)
        check(f(columns.T, **kwargs), expected, 2e-6)


@pytest.mark.parametrize("shape", [(300, 5), (2, 64, 17), (4, 16, 33), (3, 20, 30, 2), (1, 300)])
def test_every_axis(shape):
    x = signal(shape)
    for axis in range(len(shape)):
        check(F.fft(mx.array(x), axis=axis), by_numpy("fft", x, axis=axis), 2e-6)
        check(F.rfft(mx.array(x.real), axis=axis), by_numpy("rfft", x.real, axis=axis), 2e-6)
        check(F.irfft(mx.array(x), n=9, axis=axis), by_numpy("irfft", x, n=9, axis=axis), 2e-6)


@pytest.mark.parametrize("shape", [(64, 48), (8, 1024), (40, 4096), (1021, 3)])
def test_in_place(shape):
    """An input that nobody else holds may be overwritten; one that is held may not."""
    x = signal(shape)
    held = mx.array(x)
    for axis in (0, 1):
        out = F.fft(held * 1, axis=axis)
        check(out, by_numpy("fft", x, axis=axis), 2e-6)
        assert mx.array_equal(F.fft(held, axis=axis), out)
        turned = F.fft(mx.contiguous(held.T).T * 1, axis=axis)
        check(turned, by_numpy("fft", x, axis=axis), 2e-6)
    np.testing.assert_array_equal(np.array(held), x)


# ------------------------------------------------------------------ derivatives and vmap

LINEAR = {
    "fft": (lambda a: F.fft(a), True),
    "fft_of_real": (lambda a: F.fft(a), False),
    "fft_cut": (lambda a: F.fft(a, n=4), True),
    "fft_padded": (lambda a: F.fft(a, n=9, axis=0), True),
    "ifft": (lambda a: F.ifft(a, norm="ortho"), True),
    "rfft_even": (lambda a: F.rfft(a), False),
    "rfft_odd": (lambda a: F.rfft(a, n=5), False),
    "rfft_padded": (lambda a: F.rfft(a, n=8, axis=0, norm="forward"), False),
    "irfft_even": (lambda a: F.irfft(a), True),
    "irfft_odd": (lambda a: F.irfft(a, n=7), True),
    "irfft_cut": (lambda a: F.irfft(a, n=6, axis=0), True),
    "irfft_padded": (lambda a: F.irfft(a, n=16), True),
    "fft2": (lambda a: F.fft2(a), True),
    "fft2_of_real": (lambda a: F.fft2(a, norm="ortho"), False),
    "fft2_other_lengths": (lambda a: F.fft2(a, s=(4, 9)), True),
    "ifft2": (lambda a: F.ifft2(a), True),
    "rfft2": (lambda a: F.rfft2(a), False),
    "rfft2_turned": (lambda a: F.rfft2(a, axes=(1, 0)), False),
    "irfftn": (lambda a: F.irfftn(a), True),
    "irfft2_other_lengths": (lambda a: F.irfft2(a, s=(7, 8)), True),
}


def inner(a, b) -> float:
    """The real inner product of real or complex arrays."""
    return float(np.sum((np.conj(np.array(a)) * np.array(b)).real.astype(np.float64)))


@pytest.mark.parametrize("name", LINEAR)
def test_derivatives(name):
    """jvp is the transform itself, and vjp its adjoint: <g, J t> = <J* g, t>."""
    f, complex_ = LINEAR[name]
    x, t = mx.array(signal((5, 6), complex_, 1)), mx.array(signal((5, 6), complex_, 2))
    outs, tangents = mx.jvp(f, [x], [t])
    np.testing.assert_allclose(np.array(tangents[0]), np.array(f(t)), atol=1e-5)
    is_complex = outs[0].dtype == mx.complex64
    g = mx.array(signal(outs[0].shape, is_complex, 3))
    _, grads = mx.vjp(f, [x], [g])
    assert grads[0].dtype == x.dtype and grads[0].shape == x.shape
    assert abs(inner(g, tangents[0]) - inner(grads[0], t)) < 1e-3


def test_gradient_through_a_spectrum():
    x = mx.array(signal((16,), False))
    grad = mx.grad(lambda v: mx.square(mx.abs(F.rfft(v))).sum())(x)
    spectrum = np.fft.rfft(np.array(x))
    expected = 2 * np.fft.ifft(np.concatenate([spectrum, np.zeros(7)])).real * 16
    np.testing.assert_allclose(np.array(grad), expected, atol=1e-4)


@pytest.mark.parametrize("in_axis", [0, 1, 2])
def test_vmap(in_axis):
    x = signal((3, 4, 6))
    for axis in (0, 1):
        out = mx.vmap(lambda v, axis=axis: F.fft(v, axis=axis), in_axes=in_axis)(mx.array(x))
        check(out, np.fft.fft(np.moveaxis(x, in_axis, 0), axis=axis + 1))
        out = mx.vmap(lambda v, axis=axis: F.irfft(v, n=5, axis=axis), in_axes=in_axis)(mx.array(x))
        check(out, np.fft.irfft(np.moveaxis(x, in_axis, 0), n=5, axis=axis + 1))


@pytest.mark.parametrize("in_axis", [0, 1, 2])
def test_vmap_of_two_axes(in_axis):
    x = signal((3, 4, 6))
    moved = np.moveaxis(x, in_axis, 0)
    for axes in [(0, 1), (1, 0)]:
        out = mx.vmap(lambda v, axes=axes: F.fft2(v, axes=axes), in_axes=in_axis)(mx.array(x))
        check(out, np.fft.fft2(moved, axes=[axis + 1 for axis in axes]), 2e-6)


def test_second_derivative_of_two_axes():
    x = mx.array(signal((4, 6), False))
    energy = lambda v: mx.square(mx.abs(F.rfft2(v))).sum() / 2
    curvature = mx.grad(lambda v: (mx.grad(energy)(v) * v).sum())(x)
    np.testing.assert_allclose(np.array(curvature), 2 * np.array(mx.grad(energy)(x)), rtol=1e-4)


def test_exported(tmp_path):
    file = str(tmp_path / "spectrum.mlxfn")
    mx.export_function(file, lambda a: mx.abs(F.rfft2(a)), mx.zeros((3, 4, 6)))
    x = signal((3, 4, 6), False)
    (out,) = mx.import_function(file)(mx.array(x))
    np.testing.assert_allclose(np.array(out), np.abs(np.fft.rfft2(x)), rtol=1e-5, atol=1e-5)


def test_compiled():
    x = mx.array(signal((4, 8), False))
    f = mx.compile(lambda a: mx.abs(F.rfft(a * 2)) + 1)
    expected = np.abs(np.fft.rfft(np.array(x) * 2)) + 1
    np.testing.assert_allclose(np.array(f(x)), expected, rtol=1e-5)


# ------------------------------------------------------------------ helpers


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_frequencies(n):
    np.testing.assert_allclose(np.array(F.fftfreq(n, d=0.5)), np.fft.fftfreq(n, 0.5), rtol=1e-6)
    np.testing.assert_allclose(np.array(F.rfftfreq(n, d=0.5)), np.fft.rfftfreq(n, 0.5), rtol=1e-6)


def test_shifts():
    x = signal((4, 5), False)
    for axes in (None, (0,), (1,), (0, 1), (-1,)):
        kwargs = {} if axes is None else {"axes": axes}
        for name in ("fftshift", "ifftshift"):
            out = getattr(F, name)(mx.array(x), **kwargs)
            np.testing.assert_array_equal(np.array(out), getattr(np.fft, name)(x, axes=axes))


def frames_of(x, n, hop):
    return np.lib.stride_tricks.sliding_window_view(x, n)[::hop]


@pytest.mark.parametrize("mode", ["reflect", "constant", "edge"])
def test_stft(mode):
    x = signal((1000,), False)
    window = np.hanning(65)[:-1].astype(np.float32)
    out = F.stft(mx.array(x), 64, 16, window=mx.array(window), pad_mode=mode)
    expected = np.fft.rfft(frames_of(np.pad(x, 32, mode=mode), 64, 16) * window)
    check(out, expected.T.astype(np.complex64), 2e-6)


def test_stft_options():
    x = signal((2, 500), False)
    a = mx.array(x)
    assert F.stft(a, 64).shape == (2, 33, 1 + 500 // 16)
    out = F.stft(a, 64, 20, center=False, norm="ortho")
    expected = np.stack([np.fft.rfft(frames_of(r, 64, 20), norm="ortho").T for r in x])
    check(out, expected.astype(np.complex64), 2e-6)
    assert F.stft(a, 64, onesided=False).shape == (2, 64, 32)
    assert F.stft(a.astype(mx.complex64), 64).shape == (2, 64, 32)
    short = F.stft(a, 64, 64, win_length=32, center=False)
    padded = np.zeros(64)
    padded[16:48] = 1
    expected = np.stack([np.fft.rfft(frames_of(r, 64, 64) * padded).T for r in x])
    check(short, expected.astype(np.complex64), 2e-6)


@pytest.mark.parametrize("hop", [16, 25, 64])
@pytest.mark.parametrize("center", [True, False])
def test_istft_inverts_stft(hop, center):
    x = signal((2, 640), False)
    window = mx.array(np.hamming(64).astype(np.float32))
    for kwargs in ({}, {"norm": "ortho"}, {"window": window}, {"onesided": False}):
        spectrum = F.stft(mx.array(x), 64, hop, center=center, **kwargs)
        back = F.istft(spectrum, 64, hop, center=center, **kwargs)
        n = back.shape[-1]
        np.testing.assert_allclose(np.array(back), x[:, :n], atol=2e-5)
        assert n > 500
        longer = F.istft(spectrum, 64, hop, center=center, length=700, **kwargs)
        assert longer.shape == (2, 700)


def test_gradient_of_stft():
    x = mx.array(signal((100,), False))
    t = mx.array(signal((100,), False, 4))
    outs, tangents = mx.jvp(lambda v: F.stft(v, 16, 5), [x], [t])
    g = mx.array(signal(outs[0].shape, True, 3))
    _, grads = mx.vjp(lambda v: F.stft(v, 16, 5), [x], [g])
    assert abs(inner(g, tangents[0]) - inner(grads[0], t)) < 1e-3


BAD = {
    "length_zero": lambda: F.fft(mx.zeros((4,)), n=0),
    "length_negative": lambda: F.rfft(mx.zeros((4,)), n=-3),
    "axis": lambda: F.fft(mx.zeros((4,)), axis=1),
    "axis_negative": lambda: F.irfft(mx.zeros((4,)), axis=-2),
    "scalar": lambda: F.fft(mx.array(1.0)),
    "scalar_all_axes": lambda: F.fftn(mx.array(1.0)),
    "empty_axis": lambda: F.fft(mx.zeros((4, 0))),
    "one_number_back": lambda: F.irfft(mx.zeros((3, 1))),
    "axis_twice": lambda: F.fftn(mx.zeros((4, 4)), axes=[0, -2]),
    "lengths_and_axes": lambda: F.fftn(mx.zeros((4, 4)), s=[2], axes=[0, 1]),
    "lengths_alone": lambda: F.fftn(mx.zeros((4, 4)), s=[2, 2]),
    "two_axes_of_one": lambda: F.fft2(mx.zeros((3,))),
    "norm": lambda: F.fft(mx.zeros((4,)), norm="unit"),
    "shift_axis": lambda: F.fftshift(mx.zeros((4,)), axes=[1]),
    "frequency_length": lambda: F.fftfreq(0),
    "frequency_distance": lambda: F.rfftfreq(4, d=0.0),
    "frame_length": lambda: F.stft(mx.zeros((100,)), 0),
    "frame_hop": lambda: F.stft(mx.zeros((100,)), 16, 0),
    "frame_window": lambda: F.stft(mx.zeros((100,)), 16, window=mx.ones((17,))),
    "frame_window_shape": lambda: F.stft(mx.zeros((100,)), 16, window=mx.ones((4, 4))),
    "frame_mode": lambda: F.stft(mx.zeros((100,)), 16, pad_mode="mirror"),
    "frame_too_long": lambda: F.stft(mx.zeros((10,)), 16, center=False),
    "frame_scalar": lambda: F.stft(mx.array(1.0), 16),
    "back_from_vector": lambda: F.istft(mx.zeros((9,))),
    "back_hop": lambda: F.istft(mx.zeros((9, 3)), 16, 0),
    "back_from_nothing": lambda: F.istft(mx.zeros((9, 0)), 16),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_when_called(name):
    with pytest.raises(ValueError):
        BAD[name]()
