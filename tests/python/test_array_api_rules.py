"""Rules of the array-API standard: signatures, dtypes of results for every pair, inspection.

The strict implementation says what they are; what is otherwise here stands in a table with its reason.
"""

import ast
import inspect
import itertools
import re

import array_api_strict as strict
import mlx.core as mx
import numpy as np
import pytest
from dtypes import real_of

BOOL, SIGNED = ["bool"], ["int8", "int16", "int32", "int64"]
UNSIGNED = ["uint8", "uint16", "uint32", "uint64"]
REAL, COMPLEX = ["float32", "float64"], ["complex64", "complex128"]
EVERY = BOOL + SIGNED + UNSIGNED + REAL + COMPLEX
MODULES = {"": (strict, mx), "linalg.": (strict.linalg, mx.linalg), "fft.": (strict.fft, mx.fft)}
# The default dtypes, which sums of narrower ones have, are narrower here.
NARROWER = {"int64": "int32", "uint64": "uint32", "float64": "float32", "complex128": "complex64"}


def ours(name):
    return getattr(mx, "bool_" if name == "bool" else name)


def name_of(dtype):
    return str(dtype).split(".")[-1].rstrip("_")


# ------------------------------------------------------------------ signatures


def functions():
    for prefix, (module, _) in MODULES.items():
        for name in sorted(module.__all__):
            f = getattr(module, name)
            own = "array_api_strict" in name or name[:2] == "__" or name.endswith("info")
            if inspect.isfunction(f) and not own:
                yield prefix + name


def find(module, name):
    for part in name.split("."):
        module = getattr(module, part)
    return module


def overloads(f):
    """Signatures that a bound function has, each as Python's."""
    texts = getattr(f, "__nb_signature__", None)
    if texts is None:
        return [inspect.signature(f)]
    out = []
    for text, _, defaults in texts:
        head = re.sub(r"\\(\d+)", r"defaults[\1]", text.strip().split("\n")[0])
        definition = ast.parse(head.removesuffix(":") + ": pass")
        function = definition.body[0]
        for argument in ast.walk(function.args):
            if isinstance(argument, ast.arg):
                argument.annotation = None
        function.returns = None
        scope = {"defaults": defaults}
        exec(compile(definition, "signature", "exec"), scope)
        out.append(inspect.signature(scope[function.name]))
    return out


def refusal(p, place, have):
    """Why parameters do not take one of the standard's; None if they do."""
    kinds = [q.kind for q in have.values()]
    if p.kind == p.VAR_POSITIONAL:
        return None if p.kind in kinds else f"*{p.name}"
    positions = [q for q in have.values() if q.kind <= p.POSITIONAL_OR_KEYWORD]
    mine = have.get(p.name)
    if p.kind != p.KEYWORD_ONLY and p.VAR_POSITIONAL not in kinds:
        if place >= len(positions):
            return f"{p.name} by position"
        mine = positions[place]
    if p.kind != p.POSITIONAL_ONLY and p.name not in have:
        return f"{p.name} by keyword"
    if p.default is not p.empty and mine.default is p.empty:
        return f"no call without {p.name}"
    if isinstance(p.default, bool | str) and mine.default != p.default:
        return f"{p.name} is {mine.default} by default"
    return None


def refusals(signature, wanted):
    """What keeps a signature from the calls that the standard's allows."""
    have, asked = signature.parameters, wanted.parameters
    reasons = [refusal(p, place, have) for place, p in enumerate(asked.values())]
    for place, p in enumerate(have.values()):
        needed = p.default is p.empty and p.kind <= p.POSITIONAL_OR_KEYWORD
        if needed and p.name not in asked and place >= len(asked):
            reasons.append(f"{p.name} is needed")
    return [reason for reason in reasons if reason]


# Defaults of the reference's, which programs written for it rely on.
OTHER_DEFAULTS = {"astype": ["copy is False by default"]}


@pytest.mark.parametrize("name", list(functions()))
def test_signature(name):
    wanted = inspect.signature(find(strict, name))
    reasons = [refusals(s, wanted) for s in overloads(find(mx, name))]
    assert OTHER_DEFAULTS.get(name, []) in reasons


# ------------------------------------------------------------------ dtypes

BINARY = {
    "add": EVERY[1:], "atan2": REAL, "bitwise_and": EVERY[:9], "bitwise_left_shift": EVERY[1:9],
    "bitwise_or": EVERY[:9], "bitwise_right_shift": EVERY[1:9], "bitwise_xor": EVERY[:9], "copysign": REAL,
    "divide": REAL + COMPLEX, "equal": EVERY, "floor_divide": EVERY[1:11], "greater": EVERY[1:11],
    "greater_equal": EVERY[1:11], "hypot": REAL, "less": EVERY[1:11], "less_equal": EVERY[1:11],
    "logaddexp": REAL, "logical_and": BOOL, "logical_or": BOOL, "logical_xor": BOOL,
    "maximum": EVERY[1:11], "minimum": EVERY[1:11], "multiply": EVERY[1:], "nextafter": REAL,
    "not_equal": EVERY, "pow": EVERY[1:], "remainder": EVERY[1:11], "subtract": EVERY[1:],
    "where": EVERY, "matmul": EVERY[1:], "tensordot": EVERY[1:], "vecdot": EVERY[1:], "concat": EVERY,
    "linalg.outer": EVERY[1:],
}  # fmt: skip


# Sums of small integers; `vecdot` has these too, as the reference's has.
SUMS = {"int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32"}


def called(xp, name, x, y):
    if name == "concat":
        return xp.concat([x, y])
    if name == "where":
        return xp.where(xp.asarray([True, False]), x, y)
    if name == "tensordot":
        return xp.tensordot(x, y, axes=1)
    return find(xp, name)(x, y)


def filled(xp, dtype):
    return xp.asarray([1, 1], dtype=ours(dtype) if xp is mx else getattr(strict, dtype))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", BINARY)
def test_dtypes_of_pairs(name):
    for a, b in itertools.product(BINARY[name], repeat=2):
        try:
            strict.result_type(getattr(strict, a), getattr(strict, b))
        except TypeError:
            continue  # kinds that the standard leaves open
        want = name_of(called(strict, name, filled(strict, a), filled(strict, b)).dtype)
        got = name_of(called(mx, name, filled(mx, a), filled(mx, b)).dtype)
        assert got == want or (name == "vecdot" and got == SUMS.get(want)), (a, b)


REDUCTIONS = {
    "sum": EVERY[1:], "prod": EVERY[1:], "cumulative_sum": EVERY[1:], "cumulative_prod": EVERY[1:],
    "max": EVERY[1:11], "min": EVERY[1:11], "mean": REAL + COMPLEX, "std": REAL, "var": REAL, "all": EVERY,
    "any": EVERY, "linalg.trace": EVERY[1:], "linalg.vector_norm": REAL + COMPLEX,
    "linalg.matrix_norm": REAL + COMPLEX,
}  # fmt: skip


@pytest.mark.parametrize("name", REDUCTIONS)
def test_dtypes_of_reductions(name):
    for dtype in REDUCTIONS[name]:
        results = []
        for xp in (mx, strict):
            x = filled(xp, dtype)
            x = xp.stack([x, x]) if "trace" in name or "matrix" in name else x
            results.append(name_of(find(xp, name)(x).dtype))
        got, want = results
        exact = want == dtype or name.endswith("norm")
        assert got == (want if exact else NARROWER.get(want, want)), dtype
        if name in ("sum", "prod", "cumulative_sum", "cumulative_prod", "linalg.trace"):
            for asked in ("int16", "uint64", "float32", "complex128"):
                x = filled(mx, dtype)
                x = mx.stack([x, x]) if "trace" in name else x
                assert name_of(find(mx, name)(x, dtype=ours(asked)).dtype) == asked


SAME_DTYPE = {
    "abs": EVERY[1:11], "ceil": EVERY[1:11], "floor": EVERY[1:11], "round": EVERY[1:], "sign": EVERY[1:],
    "square": EVERY[1:], "trunc": EVERY[1:11], "negative": SIGNED + REAL + COMPLEX, "positive": EVERY[1:],
    "clip": EVERY[1:11], "sort": EVERY[1:11], "flip": EVERY, "roll": EVERY, "tile": EVERY,
    "unique_values": EVERY, "diff": EVERY[1:], "conj": COMPLEX, "bitwise_invert": EVERY[:9],
}  # fmt: skip
MORE = {"clip": (1, 3), "roll": (1,), "tile": ((2,),)}


@pytest.mark.parametrize("name", SAME_DTYPE)
def test_functions_that_keep_the_dtype(name):
    for dtype in SAME_DTYPE[name]:
        assert name_of(find(mx, name)(filled(mx, dtype), *MORE.get(name, ())).dtype) == dtype


FACTORIES = {
    "zeros": (2,), "ones": (2,), "full": (2, 1), "empty": (2,), "eye": (2,), "arange": (3,),
    "linspace": (0, 1, 3), "asarray": ([1, 0],), "fft.fftfreq": (4,), "fft.rfftfreq": (4,),
}  # fmt: skip


@pytest.mark.parametrize("name", FACTORIES)
def test_dtypes_of_factories(name):
    arguments = FACTORIES[name]
    got = name_of(find(mx, name)(*arguments).dtype)
    want = name_of(find(strict, name)(*arguments).dtype)
    assert got == NARROWER.get(want, want)
    allowed = {"linspace": REAL + COMPLEX, "arange": EVERY[1:11]}.get(name, EVERY)
    for dtype in REAL if name.startswith("fft") else allowed:
        made = find(mx, name)(*arguments, dtype=ours(dtype), device=mx.cpu)
        assert name_of(made.dtype) == dtype
        if name == "full":
            assert name_of(mx.full_like(mx.zeros(2), 1, dtype=ours(dtype)).dtype) == dtype


@pytest.mark.parametrize("dtype", REAL + COMPLEX)
def test_dtypes_of_transforms_and_decompositions(dtype):
    real = real_of(dtype)
    wide = "complex64" if real == "float32" else "complex128"
    x = mx.array([[2.0, 1.0], [1.0, 3.0]]).astype(ours(dtype))
    for name in ("fft", "ifft", "fftn", "ifftn"):
        assert name_of(find(mx.fft, name)(x.astype(ours(wide))).dtype) == wide
    for name in ("irfft", "irfftn", "hfft"):
        assert name_of(find(mx.fft, name)(x.astype(ours(wide))).dtype) == real
    for name in ("rfft", "rfftn", "ihfft"):
        assert name_of(find(mx.fft, name)(x.astype(ours(real))).dtype) == wide
    linalg = mx.linalg
    for out in (
        linalg.inv(x),
        linalg.det(x),
        linalg.solve(x, x),
        linalg.cholesky(x),
        linalg.pinv(x),
    ):
        assert name_of(out.dtype) == dtype
    assert [name_of(a.dtype) for a in linalg.eigh(x)] == [real, dtype]
    assert [name_of(a.dtype) for a in linalg.svd(x)] == [dtype, real, dtype]
    assert [name_of(a.dtype) for a in linalg.slogdet(x)] == [dtype, real]
    assert [name_of(a.dtype) for a in linalg.qr(x)] == [dtype, dtype]
    for out in (
        linalg.eigvalsh(x),
        linalg.svdvals(x),
        linalg.vector_norm(x),
        linalg.matrix_norm(x),
    ):
        assert name_of(out.dtype) == real


# ------------------------------------------------------------------ arrays and inspection


def test_limits():
    for name in [*REAL, *COMPLEX, "float16", "bfloat16"]:
        info = mx.finfo(ours(name))
        x = mx.array([info.max, info.smallest_normal, info.eps], dtype=info.dtype)
        assert info.eps == float(mx.finfo(mx.ones((1,), ours(name))).eps)
        assert info.min == -info.max and bool((mx.isfinite(x) & (x > 0)).all())
        assert info.bits == {"complex64": 32, "complex128": 64}.get(name, 8 * ours(name).size)
    for name in SIGNED + UNSIGNED:
        info, theirs = mx.iinfo(ours(name)), np.iinfo(name)
        assert (info.bits, info.min, info.max) == (theirs.bits, theirs.min, theirs.max)
        assert name_of(info.dtype) == name
    for wrong in (mx.int32, mx.bool_):
        with pytest.raises(ValueError):
            mx.finfo(wrong)
    for wrong in (mx.float32, mx.bool_, mx.complex64):
        with pytest.raises(ValueError):
            mx.iinfo(wrong)


def test_the_namespace_describes_itself():
    info, theirs = mx.__array_namespace_info__(), strict.__array_namespace_info__()
    assert set(theirs.capabilities()) <= set(info.capabilities())
    assert set(info.default_dtypes()) == set(theirs.default_dtypes())
    for kind, dtype in theirs.default_dtypes().items():
        assert (
            name_of(info.default_dtypes(device=None)[kind]) in NARROWER[name_of(dtype)] + " uint32"
        )
    assert info.default_device() in info.devices()
    for kind in (None, "bool", "signed integer", "unsigned integer", "integral", "real floating",
                 "complex floating", "numeric", ("bool", "integral"), ()):  # fmt: skip
        want = set(theirs.dtypes(kind=kind))
        got = info.dtypes(device=None, kind=kind)
        assert want <= {n.rstrip("_") for n in got}, kind
        assert kind is None or all(mx.isdtype(d, kind) for d in got.values())


METHODS = [n for n, v in vars(type(strict.asarray(1.0))).items() if callable(v) and n[:1] != "_"]


def test_numbers_of_arrays():
    for dtype in EVERY:
        one = filled(mx, dtype)[0]
        assert bool(one) is True and complex(one) == 1
        if dtype not in COMPLEX:
            assert float(one) == 1.0 and int(one) == 1
        if dtype in SIGNED + UNSIGNED:
            assert one.__index__() == 1
    for x in (mx.array([1.0, 2.0]), mx.array([])):
        for convert in (bool, int, float, complex):
            with pytest.raises((TypeError, ValueError)):
                convert(x)


def test_attributes():
    x = mx.zeros((2, 3, 4))
    assert (x.ndim, x.size, x.shape) == (3, 24, (2, 3, 4)) and x.mT.shape == (2, 4, 3)
    assert mx.zeros((2, 3)).T.shape == (3, 2) and x.dtype == mx.float32
    assert x.to_device(x.device) is not None and METHODS == ["to_device"]
    for version in ("2021.12", "2022.12", "2023.12", "2024.12", None):
        assert x.__array_namespace__(api_version=version) is mx
    with pytest.raises(ValueError):
        x.__array_namespace__(api_version="1999.12")
    assert mx.__array_api_version__ == "2024.12"
    assert (mx.e, mx.pi, mx.inf, mx.newaxis) == (np.e, np.pi, np.inf, None) and mx.nan != mx.nan
