"""Quantisation in NumPy: the codes, scales and biases that the library's have to be, bit for bit.

Everything is computed in float32, as the formats define it; quotients by a group's own scale are
rounded to the dtype of the matrix in the modes of small floats.
"""

import mlx.core as mx
import numpy as np

MODES = mx._quantization_modes
FORMATS = [
    {"mode": mode, "bits": bits, "group_size": size}
    for mode, ((all_bits, _), (sizes, _)) in MODES.items()
    for bits in all_bits
    for size in sizes
]
FP4 = np.float32([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
LARGEST_UNIT = np.float32(6 * 448)


def name_of(fmt):
    return f"{fmt['mode']}-{fmt['bits']}x{fmt['group_size']}"


def single(a):
    """The values of an array as float32, or as they are if they are integers."""
    return np.array(a.astype(mx.float32)) if mx.issubdtype(a.dtype, mx.floating) else np.array(a)


def rounded(x, dtype):
    return single(mx.array(x).astype(dtype))


def fp8_codes(x):
    return np.array(mx.to_fp8(mx.array(np.float32(x))))


def fp8_values(codes):
    return np.array(mx.from_fp8(mx.array(codes.astype(np.uint8)), dtype=mx.float32))


def fp4_codes(x):
    middles = np.float32([0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5])
    codes = (np.abs(x)[..., None] > middles).sum(-1)
    return np.where((codes > 0) & (x < 0), codes | 8, codes)


def pack(codes, bits):
    """Codes as a stream of bits, the first in the lowest ones, in words of 32."""
    stream = (codes.astype(np.uint32)[..., None] >> np.arange(bits)) & 1
    stream = stream.reshape(*codes.shape[:-1], -1).astype(np.uint8)
    return np.packbits(stream, axis=-1, bitorder="little").view(np.uint32)


def unpack(words, bits):
    stream = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=-1, bitorder="little")
    stream = stream.reshape(*words.shape[:-1], -1, bits).astype(np.uint32)
    return (stream << np.arange(bits)).sum(-1)


def affine(w, bits):
    """Codes, scales and biases of groups along the last axis."""
    steps = np.float32(2**bits - 1)
    high, low = np.fmax.reduce(w, -1), np.fmin.reduce(w, -1)
    scale = np.maximum((high - low) / steps, np.float32(1e-7))
    bias = low
    if bits > 1:
        below = np.abs(low) > np.abs(high)
        edge = np.where(below, low, high)
        scale = np.where(below, scale, -scale)
        at = np.rint(edge / scale)
        bias = np.where(at == 0, np.float32(0), edge)
        scale = np.where(at == 0, scale, edge / np.where(at == 0, np.float32(1), at))
    code = np.rint((w - bias[..., None]) / scale[..., None])
    return np.clip(np.nan_to_num(code, nan=0), 0, steps), scale, bias


def scale_factors(codes, mode):
    if mode == "nvfp4":
        return fp8_values(codes)
    return np.ldexp(np.float32(1), codes.astype(np.int32) - 127)


def small_floats(w, mode, dtype, factor):
    """Codes and scales; `factor` is that of the global scale."""
    limit = np.float32(448 if mode == "mxfp8" else 6)
    largest = np.abs(w).max(-1)
    ratio = rounded(largest / limit, dtype) / factor
    if mode == "nvfp4":
        scales = fp8_codes(ratio)
    else:
        exponents = np.ceil(np.log2(np.float64(np.where(ratio == 0, 1, ratio))))
        scales = np.clip(exponents + 127, 0, 254).astype(np.uint8)
    scale = rounded(scale_factors(scales, mode), dtype)[..., None]
    unit = np.where(scale == 0, 0, rounded(w / np.where(scale == 0, 1, scale), dtype)) / factor
    return (fp8_codes(unit) if mode == "mxfp8" else fp4_codes(unit)), scales


def quantize(w, mode, bits, group_size, global_scale=None):
    """What mx.quantize has to give for the array `w`."""
    groups = single(w).reshape(*w.shape[:-1], -1, group_size)
    with np.errstate(all="ignore"):
        if mode == "affine":
            codes, *parameters = affine(groups, bits)
            parameters = [rounded(p, w.dtype) for p in parameters]
        else:
            factor = np.float32(1 if global_scale is None else global_scale / LARGEST_UNIT)
            codes, *parameters = small_floats(groups, mode, w.dtype, factor)
    return [pack(codes.reshape(w.shape), bits), *parameters]


def dequantize(arrays, mode, bits, group_size, global_scale=None):
    """The values of quantized arrays, rounded to the dtype of scales and biases on the way."""
    codes = unpack(np.array(arrays[0]), bits)
    groups = codes.reshape(*codes.shape[:-1], -1, group_size)
    if mode == "affine":
        dtype = arrays[1].dtype
        scale, bias = (single(a)[..., None] for a in arrays[1:])
        values = rounded(rounded(groups.astype(np.float32) * scale, dtype) + bias, dtype)
    else:
        units = FP4[groups] if bits == 4 else fp8_values(groups)
        factor = scale_factors(np.array(arrays[1]), mode)
        if global_scale is not None:
            factor = factor * np.float32(global_scale / LARGEST_UNIT)
        values = units * factor[..., None]
    return values.reshape(codes.shape)
