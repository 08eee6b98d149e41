"""The element-wise table against NumPy: op x dtype x layout x mode, generated from the table."""

import zlib

import mlx.core as mx
import numpy as np
import op_reference as ref
import pytest
from dtypes import COMPLEX as COMPLEX_DTYPES
from dtypes import real_of

ROWS = [row for row in ref.read_table() if row.function in ref.REFERENCES]
# Ops without a public function of that name and plain signature are tested by name below.
SPECIAL = {"astype", "from_fp8", "nan_equal"}
PLAIN = [row for row in ROWS if row.function not in SPECIAL]
CASES = [(row, dtype) for row in PLAIN for dtype in ref.RULE_DTYPES[row.rule]]
SMOOTH = [row for row in PLAIN if ref.REFERENCES[row.function].smooth and row.rule != "Bits"]

NUMPY = {name: getattr(np, name, None) for name in ref.EVERY} | {
    "bool_": np.bool_,
    "bfloat16": np.float32,
}
MANTISSA = {"float16": 10, "bfloat16": 7, "float32": 23, "float64": 52}
SMALLEST = {"float16": -24, "bfloat16": -133, "float32": -149, "float64": -1074}


def case_id(value):
    return value.function if isinstance(value, ref.TableRow) else None


def to_mx(x, dtype):
    """Exactly the values of x, which are representable in the dtype."""
    return mx.array(x, dtype=getattr(mx, dtype))


def to_np(a):
    """Half types as float32, which NumPy has."""
    return np.array(a.astype(mx.float32) if a.dtype in (mx.bfloat16, mx.float16) else a)


def quantise(x, dtype):
    """x rounded to a half type, kept as float32."""
    if dtype == "float16":
        return x.astype(np.float16).astype(np.float32)
    if dtype == "bfloat16":
        bits = x.astype(np.float32).view(np.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32)
    return x.astype(NUMPY[dtype])


def sample(row, dtype, shape, argument):
    """Random inputs in the reference's domain, the same for the same arguments."""
    rng = np.random.default_rng(zlib.crc32(f"{row.function}{dtype}{argument}".encode()))
    if dtype == "bool_":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype in ref.INTEGERS:
        info = np.iinfo(dtype)
        if row.function in ("left_shift", "right_shift") and argument == 1:
            return rng.integers(0, 80, shape).astype(dtype)
        if row.function == "power" and argument == 1:
            return rng.integers(0, 9, shape).astype(dtype)
        x = rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
        return np.where(rng.integers(0, 4, shape) == 0, rng.integers(0, 4, shape), x).astype(dtype)
    r = ref.REFERENCES[row.function]
    x = rng.uniform(r.low, r.high, shape)
    if dtype in COMPLEX_DTYPES:
        return (x + 1j * rng.uniform(-1.4, 1.4, shape)).astype(dtype)
    return quantise(x, dtype)


def expected(row, inputs):
    """The reference on exact inputs: integers as they are, floats in double."""
    wide = [
        x.astype(np.complex128)
        if x.dtype.kind == "c"
        else x.astype(np.float64)
        if x.dtype.kind == "f"
        else x
        for x in inputs
    ]
    with np.errstate(all="ignore"):
        return ref.REFERENCES[row.function].numpy(*wide)


def ulp_distance(got, want, dtype):
    """|got - want| in units in the last place of want; 0 where both are the same special value."""
    got, want = got.astype(np.float64), np.asarray(want, np.float64)
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(want)
        unit = np.ldexp(1.0, np.maximum(exponent - 1 - MANTISSA[dtype], SMALLEST[dtype]))
        distance = np.abs(got - want) / unit
    overflow = np.isinf(got) & (np.abs(want) > 0.99 * largest(dtype)) & (got * want > 0)
    same = (got == want) | (np.isnan(got) & np.isnan(want)) | overflow
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def largest(dtype):
    return {"float16": 65504.0, "bfloat16": 3.39e38, "float32": 3.4028235e38}.get(dtype, 1.79e308)


def compare(row, dtype, got, want):
    """Exact for integers and bools, within the stated bound for floats."""
    result = to_np(got)
    assert result.shape == np.shape(want)
    if result.dtype.kind in "iub":
        np.testing.assert_array_equal(result, np.asarray(want).astype(result.dtype))
    elif dtype in COMPLEX_DTYPES:
        bound = {"complex64": 2e-6, "complex128": 1e-14}[dtype]
        assert result.dtype == (dtype if result.dtype.kind == "c" else real_of(dtype))
        np.testing.assert_allclose(result, want, rtol=bound, atol=bound)
    else:
        bound = {"float32": ref.REFERENCES[row.function].ulp, "float64": 8.0}.get(dtype, 0.51)
        distance = ulp_distance(result, want, dtype)
        if dtype == "float64" and ref.REFERENCES[row.function].cancels:
            near = np.abs(result - want) <= ref.REFERENCES[row.function].cancels
            distance = np.where(near, 0.0, distance)
        assert distance.max(initial=0) <= bound + 1e-6


def layouts():
    """Views, to be taken of NumPy's arrays and of ours alike."""
    yield "contiguous", lambda a: a
    yield "transposed", lambda a: a.T
    yield "sliced", lambda a: a[1:, ::3]
    yield "reversed", lambda a: a[::-1, ::-1]
    yield "row", lambda a: a[2]
    yield "scalar", lambda a: a[1, 1]
    yield "empty", lambda a: a[3:3]


def call(row, arrays):
    return getattr(mx, row.function)(*arrays)


def draw(row, dtype, shape):
    inputs = [sample(row, dtype, shape, i) for i in range(row.arity)]
    if row.rule == "Select":
        inputs[0] = np.random.default_rng(7).integers(0, 2, shape).astype(bool)
    return inputs


def convert(row, dtype, inputs):
    names = ["bool_" if row.rule == "Select" and i == 0 else dtype for i in range(len(inputs))]
    return [to_mx(x, name) for x, name in zip(inputs, names, strict=True)]


def test_every_row_of_the_table_has_a_reference():
    functions = {row.function for row in ref.read_table()}
    assert functions == set(ref.REFERENCES)


@pytest.mark.parametrize(("row", "dtype"), CASES, ids=case_id)
def test_values_in_every_layout(row, dtype):
    inputs = draw(row, dtype, (37, 41))
    arrays = convert(row, dtype, inputs)
    for _, view in layouts():
        got = call(row, [view(a) for a in arrays])
        compare(row, dtype, got, expected(row, [view(x) for x in inputs]))


@pytest.mark.parametrize("row", [r for r in PLAIN if r.arity > 1], ids=case_id)
def test_broadcasting(row):
    dtype = "int32" if row.rule in ("Bits", "Shift") else "float32"
    inputs = draw(row, dtype, (6, 300, 5))
    for cuts in ((np.s_[:], np.s_[:1]), (np.s_[:, :1], np.s_[0]), (np.s_[:, :, :1], np.s_[0, 0])):
        views = [x[cuts[i % 2]] for i, x in enumerate(inputs)]
        got = call(row, convert(row, dtype, views))
        compare(row, dtype, got, expected(row, views))


@pytest.mark.parametrize("row", PLAIN, ids=case_id)
def test_dtypes_outside_the_rule_raise_or_promote(row):
    for dtype in ref.EVERY:
        one = mx.array([1]).astype(getattr(mx, dtype))
        arguments = [one] * row.arity
        accepted = dtype in ref.RULE_DTYPES[row.rule]
        promoted = (
            (row.rule in ("Float", "RealFloat") and dtype in ("bool_", *ref.INTEGERS))
            or (row.rule == "Shift" and dtype == "bool_")
            or (row.rule == "EncodeFP8" and dtype in ref.REALS)
        )
        if accepted or promoted:
            out = call(row, arguments)
            if row.rule in ("Float", "RealFloat") and promoted:
                assert out.dtype == mx.float32
            if row.rule == "Predicate":
                assert out.dtype == mx.bool_
        else:
            with pytest.raises(ValueError, match=rf"\[{row.function}\]"):
                call(row, arguments)


@pytest.mark.parametrize("row", PLAIN, ids=case_id)
def test_fused_compiled_and_vmapped_give_the_same_bits(row):
    dtype = "int32" if row.rule in ("Bits", "Shift") else "float32"
    inputs = convert(row, dtype, draw(row, dtype, (19, 53)))

    def chain(*arrays):
        first = call(row, arrays)
        return mx.where(first != first, first, first + first)

    first = call(row, inputs)
    mx.eval(first)
    unequal = first != first
    mx.eval(unequal)
    total = first + first
    mx.eval(total)
    stepwise = np.array(mx.where(unequal, first, total))
    for fused in (chain(*inputs), mx.compile(chain)(*inputs), mx.vmap(chain)(*inputs)):
        np.testing.assert_array_equal(np.array(fused).view(np.uint8), stepwise.view(np.uint8))


# ---- accuracy of float32 over the whole range


def whole_range():
    """Every exponent of both signs with random mantissas, and the values near every corner."""
    rng = np.random.default_rng(1)
    exponents = np.repeat(np.arange(255, dtype=np.uint32), 400) << 23
    bits = exponents | rng.integers(0, 1 << 23, exponents.size, dtype=np.uint32)
    corners = [0, 1, 0.5, 2, np.pi / 2, np.pi, np.e, 88.7, 103.9, 1e-38, 2**27]
    corners = np.array(corners, np.float32)
    near = corners.view(np.uint32)[:, None] + np.arange(-8, 9)
    x = np.concatenate([bits, near.ravel().clip(0).astype(np.uint32)]).view(np.float32)
    special = np.array([0, np.inf, np.nan], np.float32)
    return np.concatenate([x, -x, special, -special])


UNARY_FLOAT = [r for r in PLAIN if r.arity == 1 and r.rule in ("Float", "RealFloat")]


@pytest.mark.parametrize("row", UNARY_FLOAT, ids=case_id)
def test_float32_error_over_the_whole_range(row):
    x = whole_range()
    got = np.array(call(row, [mx.array(x)]))
    want = expected(row, [x])
    assert ulp_distance(got, want, "float32").max() <= ref.REFERENCES[row.function].ulp + 1e-4
    assert ref.REFERENCES[row.function].ulp <= 2


@pytest.mark.parametrize("name", ["power", "arctan2", "logaddexp", "remainder"])
def test_binary_float32_error_over_the_whole_range(name):
    rng = np.random.default_rng(2)
    a = whole_range()
    b = rng.permutation(a)
    if name == "power":
        kind = rng.integers(0, 4, b.size)
        b = np.where(kind > 1, rng.uniform(-9, 9, b.size), b)
        b = np.where(kind == 2, np.rint(b), b).astype(np.float32)
    row = next(r for r in PLAIN if r.function == name)
    got = np.array(call(row, [mx.array(a), mx.array(b)]))
    want = expected(row, [a, b])
    assert ulp_distance(got, want, "float32").max() <= ref.REFERENCES[name].ulp + 1e-4


def test_signed_zeros():
    zero = mx.array([0.0, -0.0])
    odd = "sin tan arcsin arctan sinh tanh arcsinh arctanh erf erfinv expm1 log1p sqrt round trunc"
    for name in odd.split():
        np.testing.assert_array_equal(np.signbit(np.array(getattr(mx, name)(zero))), [False, True])


# ---- derivatives


def directional(f, inputs, tangents, step=1e-6):
    """Central differences in float64."""
    plus = f(*[x + step * t for x, t in zip(inputs, tangents, strict=True)])
    minus = f(*[x - step * t for x, t in zip(inputs, tangents, strict=True)])
    return (plus - minus) / (2 * step)


@pytest.mark.parametrize("row", SMOOTH, ids=case_id)
def test_jvp_and_vjp_against_differences(row):
    shape = (3, 4)
    inputs = draw(row, "float64", shape)
    skip = 1 if row.rule == "Select" else 0
    arrays = convert(row, "float64", inputs)
    fixed, moving = arrays[:skip], arrays[skip:]

    def f(*xs):
        return call(row, [*fixed, *xs])

    rng = np.random.default_rng(3)
    tangents = [mx.array(rng.normal(size=shape), dtype=mx.float64) for _ in moving]
    want = np.array(directional(f, moving, tangents))
    _, (jvp,) = mx.jvp(f, moving, tangents)
    np.testing.assert_allclose(np.array(jvp), want, rtol=1e-5, atol=1e-7)

    weight = mx.array(rng.normal(size=shape), dtype=mx.float64)
    _, grads = mx.vjp(f, moving, [weight])
    product = sum((g * t).sum().item() for g, t in zip(grads, tangents, strict=True))
    np.testing.assert_allclose(product, (want * np.array(weight)).sum(), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("row", [r for r in SMOOTH if r.arity == 2], ids=case_id)
def test_vjp_sums_over_broadcast_axes(row):
    a = to_mx(sample(row, "float64", (2, 1, 3), 0), "float64")
    b = to_mx(sample(row, "float64", (4, 1), 1), "float64")
    out = call(row, [a, b])
    _, (ga, gb) = mx.vjp(lambda x, y: call(row, [x, y]), [a, b], [mx.ones_like(out)])
    assert ga.shape == a.shape and gb.shape == b.shape
    full = [mx.broadcast_to(a, out.shape), mx.broadcast_to(b, out.shape)]
    _, (fa, fb) = mx.vjp(lambda x, y: call(row, [x, y]), full, [mx.ones_like(out)])
    np.testing.assert_allclose(np.array(ga), np.array(fa).sum(1, keepdims=True), rtol=1e-12)
    np.testing.assert_allclose(np.array(gb), np.array(fb).sum(0).sum(1, keepdims=True), rtol=1e-12)


HOLOMORPHIC = "exp log sin cos tan sinh cosh tanh sqrt square reciprocal arcsin arctan"


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
@pytest.mark.parametrize("name", HOLOMORPHIC.split())
def test_complex_gradient_is_the_conjugate_derivative(name, dtype):
    z = np.array([0.3 + 0.4j, 0.7 - 0.2j])
    f = getattr(mx, name)
    gradient = mx.grad(lambda x: mx.real(f(x)).sum())(to_mx(z, dtype))
    assert gradient.dtype == getattr(mx, dtype)
    step, bound = {"complex64": (1e-3, 3e-3), "complex128": (1e-5, 1e-9)}[dtype]
    beside = [np.array(f(to_mx(z + h, dtype))) for h in (step, -step)]
    derivative = (beside[0] - beside[1]) / (2 * step)
    np.testing.assert_allclose(np.array(gradient), np.conj(derivative), rtol=bound, atol=bound)


COMPLEX = [r for r in PLAIN if r.arity == 1 and r.rule in ("Float", "Magnitude")]


@pytest.mark.parametrize("row", [r for r in COMPLEX if "degrees" not in r.function], ids=case_id)
def test_complex_values_of_every_magnitude(row):
    rng = np.random.default_rng(8)
    n = 4000
    z = rng.normal(size=n) + 1j * rng.normal(size=n)
    units = rng.choice([1, -1, 1j, -1j], n)
    size = 10.0 ** rng.uniform(-6, 6, n)
    z = np.concatenate([z, z * size, units + z / size, z.real + 0j, 1j * z.imag])
    z = z.astype(np.complex64)
    want = expected(row, [z])
    got = np.array(call(row, [mx.array(z)]))
    finite = np.abs(want) < 1e38
    error = np.abs(got[finite] - want[finite]) / np.maximum(np.abs(want[finite]), 1e-37)
    assert error.max() < 1.5e-7


def long_log1p(z):
    small = np.where(np.abs(z) < 1e-3, z, 0)  # NumPy's own loses what is far below 1
    near = sum(small**k * (-1) ** (k + 1) / np.longdouble(k) for k in range(1, 9))
    return np.where(np.abs(z) < 1e-3, near, np.log(1 + z))


# Functions that grow exponentially take moderate numbers only.
MODERATE = {"exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "square"}


@pytest.mark.parametrize("row", [r for r in COMPLEX if "degrees" not in r.function], ids=case_id)
def test_wide_complex_values_of_every_magnitude(row):
    rng = np.random.default_rng(9)
    n, power = 400, 2.5 if row.function in MODERATE else 300
    size = 10.0 ** rng.uniform(-power, power, n)
    z = (rng.normal(size=n) + 1j * rng.normal(size=n)) * size
    units = rng.choice([1, -1, 1j, -1j], n)
    mixed = rng.normal(size=n) * size + 1j * rng.normal(size=n) * rng.permutation(size)
    near = units + (rng.normal(size=n) + 1j * rng.normal(size=n)) * np.minimum(size, 1 / size)
    circle = np.exp(1j * rng.uniform(-3, 3, n)) * (1 + rng.normal(size=n) * 1e-9)
    z = np.concatenate([z, mixed, near, circle, z.real + 0j, 1j * z.imag])
    got = np.array(call(row, [mx.array(z, mx.complex128)]))
    reference = long_log1p if row.function == "log1p" else ref.REFERENCES[row.function].numpy
    with np.errstate(all="ignore"):
        want = reference(z.astype(np.clongdouble))
    inside = np.isfinite(want) & (np.abs(want) < 1e308)
    error = np.abs(got - want)[inside] / np.maximum(np.abs(want[inside]), 1e-307)
    assert error.max() < 2e-15, z[inside][error.argmax()]


@pytest.mark.parametrize("scale", [1e-305, 1e-160, 1.0, 1e160, 1e305])
def test_wide_complex_quotients_do_not_leave_the_range(scale):
    rng = np.random.default_rng(10)
    a, b = ((rng.normal(size=(50, 2)) @ [1, 1j]) for _ in range(2))
    x, y = (mx.array(v * scale, mx.complex128) for v in (a, b))
    np.testing.assert_allclose(np.array(x / y), a / b, rtol=1e-14)
    np.testing.assert_allclose(np.array(mx.sign(x)), a / abs(a), rtol=1e-15)
    assert mx.power(x, mx.array(1.0, mx.float64)).tolist() == x.tolist()


def test_wide_complex_powers():
    z = mx.array([1j, 1 - 1j, 0j, 3 + 4j, -2.5], mx.complex128)
    assert (z**2).tolist() == [-1, -2j, 0, -7 + 24j, 6.25] and (z**0).tolist() == [1] * 5
    assert (z[:2] ** -2).tolist() == [-1, 0.5j]
    want = np.array(z)[[0, 1, 3, 4]] ** (0.3 - 2j)
    np.testing.assert_allclose(np.array(z ** (0.3 - 2j))[[0, 1, 3, 4]], want, rtol=1e-14)


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
@pytest.mark.parametrize("name", ["multiply", "square", "divide", "exp"])
def test_bits_do_not_follow_from_where_a_complex_number_lies(name, dtype):
    rng = np.random.default_rng(5)
    z = to_mx((rng.normal(size=67) + 1j * rng.normal(size=67)), dtype)
    args = [z, z[::-1]] if name in ("multiply", "divide") else [z]
    f = getattr(mx, name)
    alone = [f(*(a[i : i + 1] for a in args)) for i in range(67)]
    assert mx.array_equal(f(*args), mx.concatenate(alone))


def test_complex_conventions():
    z = mx.array([3 + 4j, 1 - 2j])
    gradient = mx.grad(lambda x: mx.abs(x).sum())(z)
    np.testing.assert_allclose(np.array(gradient), np.array(z) / np.abs(np.array(z)), rtol=1e-6)
    gradient = mx.grad(lambda x: mx.real(x * x).sum())(z)
    np.testing.assert_allclose(np.array(gradient), 2 * np.conj(np.array(z)), rtol=1e-6)
    gradient = mx.grad(lambda x: mx.imag(x).sum())(z)
    np.testing.assert_allclose(np.array(gradient), [1j, 1j])


BINARY = [row for row in PLAIN if row.arity == 2 and row.rule != "Bits"]


@pytest.mark.parametrize("row", BINARY, ids=case_id)
def test_vmap_aligns_batch_axes(row):
    dtype = "int32" if row.rule == "Shift" else "float32"
    a, b = convert(row, dtype, draw(row, dtype, (5, 4, 3)))
    got = mx.vmap(lambda x, y: call(row, [x, y]), in_axes=(1, None))(a, b[:, 0])
    want = mx.stack([call(row, [a[:, i], b[:, 0]]) for i in range(4)])
    np.testing.assert_array_equal(np.array(got), np.array(want))
    got = mx.vmap(lambda x, y: call(row, [x, y]), in_axes=(0, 0), out_axes=1)(a[:, 0], b)
    want = mx.stack([call(row, [a[i, 0], b[i]]) for i in range(5)], axis=1)
    np.testing.assert_array_equal(np.array(got), np.array(want))


# ---- corners of integers, conversions and the ops of their own signature


@pytest.mark.parametrize("dtype", ref.INTEGERS)
def test_integer_division_never_traps(dtype):
    info = np.iinfo(dtype)
    a = mx.array(np.array([info.min, info.min, info.max, 7, 0], dtype))
    minus_one = -1 if info.min else info.max
    b = mx.array(np.array([minus_one, 0, 0, 0, 0], dtype))
    quotient, rest = np.array(a // b), np.array(a % b)
    assert quotient.tolist() == [info.min if info.min else 0, 0, 0, 0, 0]
    assert rest.tolist() == [0, info.min, info.max, 7, 0]


@pytest.mark.parametrize("dtype", ref.INTEGERS)
def test_shifts_past_the_width(dtype):
    info = np.iinfo(dtype)
    a = mx.array(np.array([info.max, info.min] * 2, dtype))
    b = mx.array([info.bits, info.bits, 100, 100], dtype=getattr(mx, dtype))
    assert np.array(a << b).tolist() == [0, 0, 0, 0]
    assert np.array(a >> b).tolist() == [0, -1 if info.min else 0] * 2


@pytest.mark.parametrize("source", ref.EVERY)
@pytest.mark.parametrize("target", ref.EVERY)
def test_casts(source, target):
    rng = np.random.default_rng(4)
    x = rng.integers(0, 100, 333)
    if source == "bool_":
        x = x % 2
    a = mx.array(x.astype(np.int32)).astype(getattr(mx, source))
    if source in ("float16", "float32", "float64"):
        a, x = a * 0.5, x * 0.5
    got = to_np(a.astype(getattr(mx, target)))
    want = x != 0 if target == "bool_" else x.astype(NUMPY[target])
    np.testing.assert_array_equal(got, want)


def test_float_to_integer_out_of_range_is_defined():
    x = mx.array([np.nan, np.inf, -np.inf, 1e20, -1e20, 300.7, -1.5])
    assert np.array(x.astype(mx.int32)).tolist() == [-(2**31)] * 5 + [300, -1]
    assert np.array(x.astype(mx.uint8)).tolist() == [0, 0, 0, 0, 0, 44, 255]
    assert np.array(x.astype(mx.int64))[:3].tolist() == [-(2**63)] * 3
    assert np.array(mx.array([1.5e19]).astype(mx.uint64)).tolist() == [15000000520515485696]


@pytest.mark.parametrize(("dtype", "mantissa"), [("float16", 11), ("bfloat16", 8)])
def test_double_to_half_rounds_once(dtype, mantissa):
    # Just above a tie: rounding to float first would land on the tie and go down to even.
    x = 1.0 + 2.0**-mantissa + 2.0**-40
    rounded = mx.array(x, dtype=mx.float64).astype(getattr(mx, dtype))
    assert rounded.item() == 1 + 2.0 ** (1 - mantissa)


def test_every_half_value_survives_a_round_trip():
    bits = np.arange(65536, dtype=np.uint16)
    for dtype in (mx.float16, mx.bfloat16):
        a = mx.array(bits).view(dtype)
        back = np.array(a.astype(mx.float32).astype(dtype).view(mx.uint16))
        nan = np.isnan(np.array(a.astype(mx.float32)))
        np.testing.assert_array_equal(back[~nan], bits[~nan])
    values = np.array(mx.array(bits).view(mx.float16).astype(mx.float32))
    np.testing.assert_array_equal(values, bits.view(np.float16).astype(np.float32))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(
    "function", ["erf", "sqrt", "rsqrt", "reciprocal", "exp", "tanh", "sigmoid"]
)
def test_every_half_value(dtype, function):
    row = next(r for r in PLAIN if r.function == function)
    a = mx.array(np.arange(65536, dtype=np.uint16)).view(getattr(mx, dtype))
    with np.errstate(all="ignore"):
        compare(row, dtype, getattr(mx, function)(a), expected(row, [to_np(a)]))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_quotients(dtype):
    """Every dividend and divisors of all sizes, one for all and one for each."""
    row = next(r for r in PLAIN if r.function == "divide")
    bits = np.arange(65536, dtype=np.uint16)
    a = mx.array(bits).view(getattr(mx, dtype))
    special = [0, 1, 2, 0x7F, 0x80, 0x3F80, 0x3C00, 0x4049, 0x7F7F, 0x7F00, 0x7BFF, 0xC123]
    infinite = 0x7C00 if dtype == "float16" else 0x7F80
    for divisor in [*special, infinite, infinite + 1]:
        b = mx.array([divisor], dtype=mx.uint16).view(getattr(mx, dtype))
        with np.errstate(all="ignore"):
            compare(row, dtype, a / b, expected(row, [to_np(a), to_np(b)]))
    rng = np.random.default_rng(5)
    for _ in range(4):
        b = mx.array(rng.permutation(bits)).view(getattr(mx, dtype))
        with np.errstate(all="ignore"):
            compare(row, dtype, a / b, expected(row, [to_np(a), to_np(b)]))


def test_fp8():
    codes = np.arange(256, dtype=np.uint8)
    for dtype in (mx.float16, mx.bfloat16, mx.float32):
        got = to_np(mx.from_fp8(mx.array(codes), dtype))
        np.testing.assert_array_equal(got, ref.fp8_values())
    finite = ~np.isnan(ref.fp8_values())
    back = np.array(mx.to_fp8(mx.array(ref.fp8_values()[finite].astype(np.float32))))
    np.testing.assert_array_equal(back, codes[finite])
    x = np.random.default_rng(5).normal(size=5000).astype(np.float32) * 0.01
    np.testing.assert_array_equal(np.array(mx.to_fp8(mx.array(x))), ref.to_fp8(x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int8", "int64"])
def test_simple_exponents_do_not_depend_on_their_neighbours(dtype):
    rng = np.random.default_rng(9)
    a = to_mx(quantise(rng.uniform(-7, 7, 2000), dtype), dtype)
    for exponent in (1, 2, 3):
        mixed = np.full(2000, exponent, NUMPY[dtype])
        mixed[::100] = 5
        alone = to_np(a**exponent)
        among = to_np(mx.power(a, to_mx(mixed, dtype)))
        np.testing.assert_array_equal(
            np.delete(alone, np.s_[::100]), np.delete(among, np.s_[::100])
        )


def test_maximum_and_minimum_carry_nan():
    a, b = mx.array([np.nan, 1.0, np.nan]), mx.array([1.0, np.nan, np.nan])
    assert np.isnan(np.array(mx.maximum(a, b))).all()
    assert np.isnan(np.array(mx.minimum(a, b))).all()


def test_round_to_even_and_decimals():
    assert mx.round(mx.array([0.5, 1.5, 2.5, -0.5, -1.5])).tolist() == [0, 2, 2, 0, -2]
    np.testing.assert_allclose(np.array(mx.round(mx.array([1.234, 5.678]), 1)), [1.2, 5.7])
    assert mx.round(mx.array([15, 25, -35, 123]), -1).tolist() == [20, 20, -40, 120]


def test_clip():
    a = mx.array([1.0, 5.0, np.nan, 9.0])
    np.testing.assert_array_equal(np.array(mx.clip(a, 2, 6)), [2, 5, np.nan, 6])
    np.testing.assert_array_equal(np.array(mx.clip(a, None, 6)), [1, 5, np.nan, 6])
    assert mx.clip(mx.array([1, 5, 9]), 2, 6).dtype == mx.int32
    with pytest.raises(ValueError, match=r"\[clip\]"):
        mx.clip(a, None, None)


def test_nan_to_num():
    a = mx.array([np.nan, np.inf, -np.inf, 1.5])
    assert mx.nan_to_num(a, 7, 8, 9).tolist() == [7, 8, 9, 1.5]
    assert mx.nan_to_num(a)[1].item() == pytest.approx(3.4028235e38)
    assert mx.nan_to_num(a.astype(mx.float16))[2].item() == -65504
    assert mx.nan_to_num(mx.array([1, 2])).dtype == mx.int32


def test_closeness_and_equality():
    a, b = mx.array([1.0, np.inf, np.nan, 1.0]), mx.array([1.0 + 1e-6, np.inf, np.nan, 2.0])
    assert mx.isclose(a, b).tolist() == [True, True, False, False]
    assert mx.isclose(a, b, equal_nan=True).tolist() == [True, True, True, False]
    assert mx.isclose(mx.array([1.0, -np.inf]), mx.array([np.inf, np.inf])).tolist() == [False] * 2
    assert mx.allclose(a[:2], b[:2]).item() and not mx.allclose(a, b).item()
    assert mx.array_equal(a, a, equal_nan=True).item() and not mx.array_equal(a, a).item()
    assert not mx.array_equal(a, a[:2]).item()


def test_divmod():
    q, r = mx.divmod(mx.array([-7, 7]), mx.array([2, -2]))
    assert q.tolist() == [-4, -4] and r.tolist() == [1, -1]
    with pytest.raises(ValueError):
        mx.divmod(mx.array([1j]), mx.array([1j]))


def test_shapes_that_do_not_broadcast_raise_at_the_call():
    with pytest.raises(ValueError, match=r"\(2,3\).*\(4"):
        mx.zeros((2, 3)) + mx.zeros((4,))
    with pytest.raises(ValueError):
        mx.where(mx.array([True, False]), mx.zeros((3,)), mx.zeros((3,)))


def test_random_programs_fused_and_stepwise_agree():
    unary = [mx.exp, mx.tanh, mx.sin, mx.abs, mx.sigmoid, mx.square, mx.negative, mx.erf]
    binary = [mx.add, mx.multiply, mx.maximum, mx.subtract, mx.arctan2]
    rng = np.random.default_rng(6)
    for trial in range(30):
        shapes = [(33, 70), (1, 70), (33, 1), ()]
        dtype = [mx.float32, mx.float16, mx.bfloat16][trial % 3]
        leaves = [mx.array(rng.normal(size=s).astype(np.float32)).astype(dtype) for s in shapes]
        plan = [(rng.integers(2), rng.integers(8), rng.integers(0, 99, 2)) for _ in range(20)]

        def run(stepwise, leaves=leaves, plan=plan):
            values = list(leaves)
            for kind, which, picks in plan:
                arguments = [values[p % len(values)] for p in picks]
                values.append(binary[which % 5](*arguments) if kind else unary[which](arguments[0]))
                if stepwise:
                    mx.eval(values[-1])
            return values[-1] + values[-2] + values[-3]

        fused, compiled = run(False), mx.compile(lambda: run(False))()
        for other in (fused, compiled):
            same = mx.array_equal(other, run(True), equal_nan=True)
            assert same.item(), f"trial {trial}"


CORNERS = [0.0, -0.0, 1.0, -1.0, 2.5, -0.3, np.inf, -np.inf, np.nan]
# Where C's Annex G leaves a sign open, or NumPy gives NaN where it has a value.
OPEN = {
    "arccos": lambda z: np.isinf(z.real) & np.isnan(z.imag),
    "sin": lambda z: not np.isfinite(z.real) & np.isfinite(z.imag),
    "sinh": lambda z: not np.isfinite(z.imag) & np.isfinite(z.real),
    "expm1": lambda z: not np.isfinite(z.imag) & np.isfinite(z.real),
    "reciprocal": lambda z: z == 0 or not np.isfinite(z),
}


# A factor, or made of others: corners come from what they are made of.
DERIVED = {"degrees", "radians", "rsqrt"}


@pytest.mark.parametrize(
    "name", [r.function for r in COMPLEX if r.rule == "Float" and r.function not in DERIVED]
)
@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
def test_complex_corners(name, dtype):
    z = np.array([complex(a, b) for a in CORNERS for b in CORNERS], np.complex64)
    z = np.array([v for v in z if not OPEN.get(name, lambda _: False)(v)])
    wide = z.astype(np.complex128)
    with np.errstate(all="ignore"):
        want = (1 / wide if name == "reciprocal" else getattr(np, name)(wide)).astype(dtype)
    got = np.array(getattr(mx, name)(to_mx(z, dtype)))
    np.testing.assert_allclose(got.real, want.real, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(got.imag, want.imag, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", COMPLEX_DTYPES)
def test_complex_quotients_at_zero_and_infinity(dtype):
    inf, nan = np.inf, np.nan
    for a, b, want in [
        (1, 0, complex(inf, nan)),
        (1 + 1j, 0, complex(inf, inf)),
        (1 + 1j, complex(-0.0, 0), complex(-inf, -inf)),
        (complex(inf, 1), 2 + 2j, complex(inf, -inf)),
        (3 + 4j, complex(inf, 0), complex(0, 0)),
        (3 + 4j, complex(0, -inf), complex(-0.0, 0)),
        (complex(nan, 0), 1, complex(nan, nan)),
    ]:
        got = (to_mx(a, dtype) / to_mx(b, dtype)).item()
        np.testing.assert_array_equal([got.real, got.imag], [want.real, want.imag])
    assert mx.reciprocal(mx.array(0j)).item().real == inf
    assert mx.expm1(mx.array(complex(-inf, inf))).item() == -1


def test_angle_of_complex_logaddexp_is_principal():
    z = mx.array([1 + 4j, 1 - 9j, 2 + 3j])
    got = np.array(mx.logaddexp(z, z))
    exact = np.log(2 * np.exp(np.array(z).astype(np.complex128)))
    np.testing.assert_allclose(got, exact, rtol=1e-6)


def test_tangents_through_comparisons_are_float_zeros():
    x = mx.array([1.0, 2.0])
    for f in (lambda a: a > 1, mx.isnan, lambda a: mx.logical_and(a, a < 2)):
        (out,), (tangent,) = mx.jvp(f, [x], [mx.ones_like(x)])
        assert out.dtype == mx.bool_
        assert tangent.dtype == mx.float32 and tangent.tolist() == [0, 0]
    _, (tangent,) = mx.jvp(lambda a: (a > 1) * a, [x], [mx.ones_like(x)])
    assert tangent.tolist() == [0, 1]
