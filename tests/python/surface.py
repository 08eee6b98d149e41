"""Calls of every function that makes arrays of arrays: the list that generated tests go through.

Letters stand for inputs, whose extents follow from two numbers n and m.
"""

import mlx.core as mx
import numpy as np

# Moves floats about smoothly or piecewise so: derivatives of all orders exist near the inputs.
SMOOTH = """
abs(x) | add(x, y) | addmm(x, x @ s, s) | arccos(x) | arccosh(p + 1.5) | arcsin(x) | arcsinh(x) | arctan(x)
arctan2(x, y) | arctanh(x) | atleast_1d(x) | atleast_2d(v) | atleast_3d(x) | as_strided(x, (2, 2), (1, 1))
acos(x) | acosh(p + 2) | asin(x) | asinh(y) | atan(x) | atan2(y, x) | atanh(x * 0.5) | broadcast_arrays(x, v)[1]
broadcast_to(v, x.shape) | block_masked_mm(block, block.T, 32) | clip(x, -0.4, 0.5) | concatenate([x, y], 1)
concat([x, y]) | contiguous(x.T) | conv1d(image[0], kernel[0]) | conv2d(image, kernel)
conv3d(image[None], kernel[:, None]) | conv_general(image, kernel, 2, 1) | conv_transpose1d(image[0], kernel[0])
conv_transpose2d(image, kernel) | conv_transpose3d(image[None], kernel[:, None]) | convolve(v, x[0])
cos(x) | cosh(x) | cummax(x, 1) | cummin(x, 0) | cumprod(x, 1) | cumsum(x, 1) | cumulative_prod(x, axis=0)
cumulative_sum(x, axis=1) | degrees(x) | diag(v) | diagonal(s) | diff(x, axis=0) | divide(x, p)
einsum("ij,kj->ik", x, y) | erf(x) | erfinv(x) | exp(x) | expand_dims(x, 1) | expm1(x) | flatten(x)
flip(x, 0) | gather_mm(x, s[None], rhs_indices=k * 0) | hadamard_transform(x @ mx.ones((x.shape[1], 8), x.dtype))
hypot(x, y) | inner(x, y) | kron(x, y) | log(p) | log10(p) | log1p(x) | log2(p) | logaddexp(x, y)
logcumsumexp(x, 1) | logsumexp(x, 1) | matmul(x, s) | matrix_transpose(x) | max(x, 1) | maximum(x, y)
mean(x, 0) | median(x, 1) | meshgrid(v, x[:, 0])[1] | min(x, 0) | minimum(x, y) | minmax(x)[1] | moveaxis(x, 0, 1)
multiply(x, y) | nan_to_num(x) | negative(x) | outer(v, x) | pad(x, 1) | partition(x, 1, axis=0)
permute_dims(x, (1, 0)) | positive(x) | power(p, y) | pow(p, y) | prod(x, 1) | put_along_axis(x, q, y, 1)
radians(x) | reciprocal(p) | remainder(x, p) | repeat(x, 2, 1) | reshape(x, (x.size, 1)) | roll(x, 1, 0)
rsqrt(p) | segmented_mm(x, y.T, mx.array([[0, 1], [1, 2]])) | sigmoid(x) | sin(x) | sinh(x)
slice(x, mx.array([1, 0]), (0, 1), (2, 2)) | slice_update(x, y[:2], mx.array([0]), (0,)) | softmax(x, 1)
sort(x, 1) | split(x, [1], 1)[1] | sqrt(p) | square(x) | squeeze(x[:, None], 1) | stack([x, y], 1) | std(x, 1)
subtract(x, y) | sum(x, 0) | swapaxes(x, 0, 1) | take(x, k, 0) | take_along_axis(x, q, 1) | tan(x) | tanh(x)
tensordot(x, y, ((0, 1), (0, 1))) | tile(x, (2, 1)) | topk(x, 1) | trace(s) | transpose(x) | tril(x) | triu(x, 1)
unflatten(x, 0, (1, -1)) | unstack(x, axis=1)[0] | var(x, 0) | vecdot(x, y) | where(b, x, y) | rot90(x) | fliplr(x)
divmod(x, p)[1] | nansum(x) | nanmean(x, axis=1) | nanprod(x, axis=0) | nanvar(x, axis=0) | nanstd(x, axis=1)
nanmax(x, axis=0) | nanmin(x, axis=1) | nanmedian(x, axis=1) | nancumsum(x, axis=1) | nancumprod(x, axis=0)
quantile(x, 0.3, axis=0) | percentile(x, 30.0, axis=1) | nanquantile(x, 0.6, axis=1) | nanpercentile(x, 20.0, axis=0)
interp(x, mx.array([-1.0, 0.1, 1.0]), mx.array([1.0, 2.0, 0.0])) | vstack([x, y]) | hstack([x, y]) | dstack([x, y])
array_split(x, 2)[0] | insert(v, 1, x[0, 0]) | delete(x, 1, axis=0) | append(x, y, axis=0) | cov(x) | corrcoef(x)
trapezoid(x) | polyval(v, x) | gradient(x, axis=0) | compress(mx.array([True, False]), x, axis=0) | copysign(p, y)
average(x, axis=0) | column_stack([v, v]) | flipud(x) | ptp(x, axis=0) | linalg.matrix_norm(x) | matrix_norm(x)
fast.layer_norm(x, v, v, 1e-5) | fast.rms_norm(x, v, 1e-5) | fast.cross_entropy(x, q[:, 0])
fast.scaled_dot_product_attention(heads, heads, heads, scale=0.7)
fast.rope(heads, 2, traditional=False, base=100.0, scale=1.0, offset=1)
linalg.cholesky(spd + spd.T) | linalg.cholesky_inv(spd) | linalg.cross(three, three[::-1] * 2) | linalg.det(s)
linalg.eigvalsh(spd + spd.T) | linalg.inv(s) | linalg.lu(s)[1] | linalg.norm(x) | linalg.norm(x, "nuc") | linalg.pinv(x)
linalg.qr(spd)[1] | linalg.slogdet(s)[1] | linalg.solve(s, x.T) | linalg.solve_triangular(s, x.T, upper=True)
linalg.svd(x, compute_uv=False) | linalg.tri_inv(s) | linalg.diagonal(s) | linalg.matrix_norm(s) | linalg.outer(v, v)
linalg.matrix_power(s, 2) | linalg.svdvals(x) | linalg.tensordot(x, y, axes=2) | linalg.trace(s) | linalg.vecdot(x, y)
linalg.vector_norm(x) | linalg.matmul(x, s) | linalg.matrix_transpose(x) | linalg.expm(s) | linalg.cond(s)
linalg.lu_factor(s)[0] | fft.irfft(mx.fft.rfft(x) ** 2) | fft.fftshift(x) | fft.ifftshift(x)
cond(True, lambda a: a * a, lambda a: a, x) | scan(lambda c, r: (c * r, c + r), x[0], y)[1]
"""

# Whole numbers, truth values, complex numbers, steps, and what has no smooth derivative.
OTHER = """
all(b, 0) | allclose(x, y) | any(b, 1) | argmax(x, 1) | argmin(x, 0) | argpartition(x, 1, axis=0) | argsort(x, 1)
array_equal(x, y) | astype(x, mx.int32) | bitwise_and(i, j) | bitwise_invert(i) | bitwise_or(i, j) | bitwise_xor(i, j)
bitwise_left_shift(i, j) | bitwise_right_shift(i, j) | ceil(x) | conj(z) | conjugate(z) | count_nonzero(b, axis=0)
equal(i, j) | floor(x) | floor_divide(x, p) | from_fp8(mx.to_fp8(x)) | greater(x, y) | greater_equal(x, y) | imag(z)
isclose(x, y) | isfinite(x) | isinf(x) | isnan(x) | isneginf(x) | isposinf(x) | left_shift(i, j) | less(x, y)
less_equal(x, y) | logical_and(b, i) | logical_not(b) | logical_or(b, i) | logical_xor(b, i) | not_equal(i, j)
ones_like(x) | zeros_like(x) | empty_like(x) * 0 | full_like(x, 3) | real(z) | right_shift(i, j) | round(x, 1) | searchsorted(sort(v), x)
sign(x) | stop_gradient(x) | to_fp8(x) | trunc(x) | view(x, mx.uint32) | signbit(x) | nextafter(x, y)
isin(i, j) | unravel_index(k, (5, 9))[0] | depends(x, y) | while_loop(lambda a: (a < 3).any(), lambda a: a + 1, x)
quantized_matmul(block, *mx.quantize(block)) | quantize(block)[0] | dequantize(*mx.quantize(block)) | qqmm(block, block, mode="nvfp4", group_size=16)
gather_qmm(block, *(a[None] for a in mx.quantize(block)), rhs_indices=k * 0)
gather_qqmm(block[:, None], *(a[None] for a in mx.quantize(block, mode="nvfp4")), rhs_indices=k * 0, mode="nvfp4")
fast.gated_delta_update(*[mx.swapaxes(heads, 1, 2)[:, :, :1]] * 3, gate, gate)
fft.stft(x, 2, window=mx.ones(2)) | fft.istft(mx.fft.stft(x, 2, window=mx.ones(2)), 2, window=mx.ones(2))
linalg.eig(spd)[0] | linalg.lstsq(x, y)[0]
fft.fft(x) | fft.ifft(z) | fft.fft2(x) | fft.ifft2(z) | fft.fftn(x) | fft.ifftn(z) | fft.rfft(x) | fft.rfft2(x) | fft.irfft2(z)
fft.rfftn(x) | fft.irfftn(z) | fft.hfft(z) | fft.ihfft(x) | fft.irfft(z) | fft.fft(x, n=5) | fft.rfft(x, axis=0)
linalg.eigh(spd)[0] | linalg.eigvals(spd) | linalg.matrix_rank(s) | linalg.slogdet(s)[0]
random.bernoulli(p) * 0 | random.categorical(x, key=key) | random.permutation(x, key=key) | random.normal(x.shape, key=key)
random.gumbel(x.shape, key=key) | random.laplace(x.shape, key=key) | random.randint(0, 9, x.shape, key=key)
random.truncated_normal(x, y + 2, key=key) | random.uniform(-p, p, x.shape, key=key) | random.split(key, 3)
random.multivariate_normal(v, spd, (5,), key=key)
"""


def calls(text):
    return [c.strip() for line in text.strip().splitlines() for c in line.split(" | ") if c.strip()]


def inputs(n, m, dtype=mx.float32, seed=0):
    """Arrays by their letters: x and y in (-0.9, 0.9), p in (0.2, 0.9), all values distinct."""
    rng = np.random.default_rng(seed)
    real = lambda *shape, low=-0.9, high=0.9: mx.array(rng.uniform(low, high, shape), dtype=dtype)
    whole = lambda high, *shape: mx.array(rng.integers(0, high, shape), dtype=mx.int32)
    s = real(m, m) + 3 * mx.eye(m, dtype=dtype)
    return {
        "x": real(n, m), "y": real(n, m), "p": real(n, m, low=0.2), "v": real(m), "s": s,
        "spd": s @ s.T + mx.diag(mx.arange(m, dtype=dtype)), "three": real(n, 3),
        "block": real(n, 64), "heads": real(1, 2, n, 4), "image": real(1, n + 3, m + 3, 2),
        "kernel": real(2, 2, 2, 2), "i": whole(5, n, m), "j": whole(4, n, m), "k": whole(n, n),
        "q": mx.argsort(real(n, m), axis=1), "b": real(n, m) > 0, "gate": real(1, n, 1, low=0.2), "key": mx.random.key(seed),
        "z": (real(n, m) + 1j * real(n, m)),
    }  # fmt: skip


class Names(dict):
    """Names of an expression: inputs, then functions."""

    def __missing__(self, name):
        return getattr(mx, name)


def evaluate(call, arrays):
    return eval(call, Names(arrays, mx=mx))
