"""Programs that run behind products give the bits of the same operations one by one."""

import mlx.core as mx
import numpy as np
import pytest

# Rows, depth, columns: streamed, in one tile, across tiles, in several tasks and slabs, of no terms.
SIZES = [(1, 300, 70), (6, 40, 9), (33, 70, 17), (130, 90, 300), (260, 600, 520), (5, 0, 7)]

PROGRAMS = {
    "bias and activation": lambda y, p: mx.tanh(y + p["row"]) * 2,
    "row of a batch": lambda y, p: y * p["column"] - p["row"],
    "residual": lambda y, p: p["whole"] + mx.maximum(y, 0),
    "transposed residual": lambda y, p: y + p["transposed"],
    "narrower": lambda y, p: (y * 3).astype(mx.float16),
    "wider": lambda y, p: (y + p["row"]).astype(mx.complex64),
    "of equal size": lambda y, p: (y * 10).astype(mx.int32),
    "predicate": lambda y, p: y > p["row"],
    "read late": lambda y, p: mx.where(mx.exp(y) > 1, y, p["whole"]) / (1 + mx.abs(y)),
}


def random(*shape, dtype=mx.float32):
    return mx.array(np.random.default_rng(sum(shape)).standard_normal(shape)).astype(dtype)


def parameters(m, n, dtype):
    return {
        "row": random(n, dtype=dtype),
        "column": random(m, 1, dtype=dtype),
        "whole": random(m, n, dtype=dtype),
        "transposed": random(n, m, dtype=dtype).T,
    }


def assert_same_bits(actual, expected):
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(
        np.array(actual.view(mx.uint8)), np.array(mx.contiguous(expected).view(mx.uint8))
    )


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=str)
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_program_behind_a_product(size, program, dtype):
    m, k, n = size
    a, b, p = random(m, k, dtype=dtype), random(k, n, dtype=dtype), parameters(m, n, dtype)
    mx.eval(a, b, p)
    product = a @ b
    mx.eval(product)
    expected = program(product, p)
    mx.eval(expected)
    assert_same_bits(program(a @ b, p), expected)
    assert_same_bits(mx.compile(lambda a, b: program(a @ b, p))(a, b), expected)


@pytest.mark.parametrize("batch", [(3,), (2, 3), (40,)], ids=str)
@pytest.mark.parametrize("shared", [False, True], ids=["batches", "one matrix"])
def test_batches(batch, shared):
    a = random(*batch, 5, 20)
    b = random(20, 11) if shared else random(*batch, 20, 11)
    bias, residual = random(11), random(*batch, 5, 11)
    product = a @ b
    mx.eval(product, bias, residual)
    expected = mx.sigmoid(product + bias) * residual
    mx.eval(expected)
    assert_same_bits(mx.sigmoid(a @ b + bias) * residual, expected)


def test_addmm():
    a, b, c = random(40, 30), random(30, 50), random(50)
    product = mx.addmm(c, a, b, alpha=0.5, beta=2.0)
    mx.eval(product)
    expected = mx.maximum(product, 0)
    mx.eval(expected)
    assert_same_bits(mx.maximum(mx.addmm(c, a, b, alpha=0.5, beta=2.0), 0), expected)


def test_addmm_of_what_its_program_reads_too():
    a, b = random(40, 30), random(30, 50)
    c = random(40, 50) + 1
    product = mx.addmm(c, a, b) * c
    kept = random(40, 50) + 1
    plain = mx.addmm(kept, a, b)
    mx.eval(plain)
    assert_same_bits(product, plain * kept)


def test_result_that_is_read_elsewhere_is_stored():
    a, b = random(40, 30), random(30, 50)
    product = a @ b
    activated = mx.tanh(product)
    total = product.sum()
    mx.eval(activated, total)
    assert_same_bits(activated, mx.tanh(mx.array(np.array(product))))
    np.testing.assert_allclose(total.item(), np.array(product).sum(), rtol=1e-4)


def test_gradient_through_a_layer():
    x, w, b = random(9, 6), random(6, 8), random(8)

    def loss(x, w, b):
        return mx.tanh(x @ w + b).sum()

    gx, gw, gb = mx.grad(loss, argnums=(0, 1, 2))(x, w, b)
    outer = 1 - np.tanh(np.array(x) @ np.array(w) + np.array(b)) ** 2
    np.testing.assert_allclose(np.array(gx), outer @ np.array(w).T, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.array(gw), np.array(x).T @ outer, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(np.array(gb), outer.sum(0), rtol=1e-4, atol=1e-5)
