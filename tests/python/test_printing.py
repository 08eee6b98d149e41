"""The text of arrays, exactly as programs and documentation of the API show it."""

import mlx.core as mx
import numpy as np
import pytest

N = np.float32

CASES = [
    (lambda: mx.array(1), "array(1, dtype=int32)"),
    (lambda: mx.array(True), "array(True, dtype=bool)"),
    (lambda: mx.array([True, False]), "array([True, False], dtype=bool)"),
    (lambda: mx.array(2.718281828), "array(2.71828, dtype=float32)"),
    (lambda: mx.array([1.0, 0.5, -0.0]), "array([1, 0.5, -0], dtype=float32)"),
    (
        lambda: mx.array([1e-5, 1e20, 123456789.0, 1234567, 999999.5]),
        "array([1e-05, 1e+20, 1.23457e+08, 1.23457e+06, 1e+06], dtype=float32)",
    ),
    (
        lambda: mx.array([float("inf"), float("-inf"), float("nan")]),
        "array([inf, -inf, nan], dtype=float32)",
    ),
    (lambda: mx.array([N("nan")]) * -1, None),
    (lambda: mx.array([0.1, 1 / 3], mx.float16), "array([0.0999756, 0.333252], dtype=float16)"),
    (lambda: mx.array([0.1, 1 / 3], mx.bfloat16), "array([0.100098, 0.333984], dtype=bfloat16)"),
    (lambda: mx.array(1 / 3, mx.float64), "array(0.333333, dtype=float64)"),
    (lambda: mx.array([1, -2, 44], mx.int8), "array([1, -2, 44], dtype=int8)"),
    (lambda: mx.array([200], mx.uint8), "array([200], dtype=uint8)"),
    (lambda: mx.array([2**40]), "array([1099511627776], dtype=int64)"),
    (lambda: mx.array([1 + 2j, -1 - 2.5j]), "array([1+2j, -1-2.5j], dtype=complex64)"),
    (lambda: mx.array([1e10 + 1e-10j]), "array([1e+10+1e-10j], dtype=complex64)"),
    (
        lambda: mx.array([complex(0, -0.0), complex(0, float("nan")), complex(0, float("-inf"))]),
        "array([0+-0j, 0+nanj, 0-infj], dtype=complex64)",
    ),
    (lambda: mx.zeros((0,)), "array([], dtype=float32)"),
    (lambda: mx.zeros((0, 2, 3)), "array([], dtype=float32)"),
    (lambda: mx.zeros((2, 0)), "array([[],\n       []], dtype=float32)"),
    (lambda: mx.zeros((2, 0, 3)), "array([[],\n       []], dtype=float32)"),
    (lambda: mx.arange(6), "array([0, 1, 2, 3, 4, 5], dtype=int32)"),
    (lambda: mx.arange(7), "array([0, 1, 2, ..., 4, 5, 6], dtype=int32)"),
    (lambda: mx.arange(1000), "array([0, 1, 2, ..., 997, 998, 999], dtype=int32)"),
    (
        lambda: mx.arange(7).reshape(7, 1),
        "array([[0],\n       [1],\n       [2],\n       ...,\n"
        "       [4],\n       [5],\n       [6]], dtype=int32)",
    ),
    (
        lambda: mx.arange(8).reshape(2, 2, 2),
        "array([[[0, 1],\n        [2, 3]],\n       [[4, 5],\n        [6, 7]]], dtype=int32)",
    ),
    (
        lambda: mx.arange(100).reshape(10, 10),
        "array([[0, 1, 2, ..., 7, 8, 9],\n"
        "       [10, 11, 12, ..., 17, 18, 19],\n"
        "       [20, 21, 22, ..., 27, 28, 29],\n"
        "       ...,\n"
        "       [70, 71, 72, ..., 77, 78, 79],\n"
        "       [80, 81, 82, ..., 87, 88, 89],\n"
        "       [90, 91, 92, ..., 97, 98, 99]], dtype=int32)",
    ),
    (
        lambda: mx.arange(6).reshape(2, 3).T,
        "array([[0, 3],\n       [1, 4],\n       [2, 5]], dtype=int32)",
    ),
    (lambda: mx.arange(4)[::-1], "array([3, 2, 1, 0], dtype=int32)"),
    (lambda: mx.broadcast_to(mx.array(1), (2, 2)), "array([[1, 1],\n       [1, 1]], dtype=int32)"),
]


@pytest.mark.parametrize("case", range(len(CASES)))
def test_arrays(case):
    make, text = CASES[case]
    a = make()
    if text is None:
        assert str(a) in ("array([nan], dtype=float32)", "array([-nan], dtype=float32)")
    else:
        assert str(a) == text and repr(a) == text


@pytest.fixture
def usual_options():
    yield
    mx.set_printoptions()


def test_precision(usual_options):
    x = mx.array([1 / 3, 1e10, 2.0])
    mx.set_printoptions(precision=3)
    assert mx.get_printoptions().precision == 3
    assert str(x) == "array([0.333, 10000000000.000, 2.000], dtype=float32)"
    assert str(mx.array([1 / 3 - 1j / 3])) == "array([0.333-0.333j], dtype=complex64)"
    assert str(mx.array(1 / 3, mx.bfloat16)) == "array(0.334, dtype=bfloat16)"
    assert str(mx.array(3)) == "array(3, dtype=int32)"
    mx.set_printoptions(precision=0)
    assert str(x) == "array([0, 10000000000, 2], dtype=float32)"
    mx.set_printoptions()
    assert str(x) == "array([0.333333, 1e+10, 2], dtype=float32)"


def test_precision_in_a_block(usual_options):
    x = mx.array(1 / 3)
    with mx.printoptions(precision=2):
        assert str(x) == "array(0.33, dtype=float32)"
        with mx.printoptions(precision=4):
            assert str(x) == "array(0.3333, dtype=float32)"
        assert str(x) == "array(0.33, dtype=float32)"
    assert str(x) == "array(0.333333, dtype=float32)"


def test_format():
    assert f"{mx.array(1.5):.3f}" == "1.500" and f"{mx.array(7):04d}" == "0007"
    assert f"{mx.array([1, 2])}" == "array([1, 2], dtype=int32)"
    with pytest.raises(TypeError):
        f"{mx.array([1.0]):.3f}"


def test_other_objects():
    assert str(mx.float32) == "mlx.core.float32" and repr(mx.bool_) == "mlx.core.bool"
    assert str(mx.Device(mx.cpu)) == "Device(cpu, 0)" and str(mx.cpu) == "DeviceType.cpu"
    assert str(mx.default_stream(mx.cpu)).startswith("Stream(Device(cpu, 0), ")
    assert repr(mx.floating) == "DtypeCategory.floating"
    assert str(mx.finfo(mx.float16)) == "finfo(min=-65504, max=65504, dtype=float16)"
    assert str(mx.iinfo(mx.uint8)) == "iinfo(min=0, max=255, dtype=uint8)"
