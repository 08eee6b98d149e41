"""What compiled functions keep their traces under, how many, and how they are given up."""

from __future__ import annotations

import contextlib
import enum
import gc
import math
import subprocess
import sys
import textwrap
import threading
import weakref
from collections import namedtuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest


def traced(f=lambda x, c: x):
    """A compiled function of an array and a constant, and the constants of its traces."""
    seen = []

    def body(x, c):
        seen.append(c)
        return f(x, c)

    return mx.compile(body), seen


class Level(enum.IntEnum):
    ONE = 1


class Name(str):
    pass


Pair = namedtuple("Pair", "a b")
Other = namedtuple("Other", "a b")

ALIKE = [
    (1, 1.0),
    (1, True),
    (0, False),
    (1, Level.ONE),
    (0.0, -0.0),
    ("1", 1),
    ("a", Name("a")),
    ("None", None),
    (str(2**70), 2**70),
    (2**70, -(2**70)),
    (2**64 + 1, 1),
    (float(2**53), 2**53),
    ((1, 2), [1, 2]),
    (Pair(1, 2), Other(1, 2)),
    (Pair(1, 2), (1, 2)),
    ({"a": 1}, [("a", 1)]),
    ([[1], 2], [[1, 2]]),
    (["a", "b"], ["ab"]),
    ("\ud800", "?"),
    (mx.float32, mx.int32),
]


@pytest.mark.parametrize("pair", ALIKE, ids=repr)
def test_constants_that_look_alike_have_traces_of_their_own(pair):
    f, seen = traced()
    x = mx.ones(2)
    for _ in range(2):
        for constant in pair:
            f(x, constant)
    assert len(seen) == 2
    assert [type(c) for c in seen] == [type(c) for c in pair]


def test_sign_of_zero_and_type_reach_the_function():
    f, _ = traced(lambda x, c: x * (math.copysign(1, c) if isinstance(c, float) else 5))
    x = mx.ones(1)
    assert [f(x, c).item() for c in (0.0, -0.0, 0, 0.0, -0.0, 0)] == [1, -1, 5, 1, -1, 5]


def test_nan_is_found_again():
    f, seen = traced()
    for _ in range(5):
        f(mx.ones(1), math.nan)
    assert len(seen) == 1


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16], ids=str)
def test_gradients_that_read_values_of_the_forward_pass(dtype):
    """Their bits are the same whether such values are stored or computed again."""
    rng = np.random.default_rng(0)
    x, weight, other = (mx.array(rng.standard_normal((40, 40)), dtype=dtype) for _ in range(3))
    row = mx.array(rng.standard_normal(40), dtype=dtype)

    def gelu(x):
        return x * (1 + mx.erf(x / 2**0.5)) / 2

    def loss(x, weight, row):
        y = gelu(x @ weight + row)
        z = mx.tanh(y * row) * mx.sigmoid(other + y)
        return mx.sum((y @ other + mx.exp(-mx.square(z)) @ weight).astype(mx.float32))

    step = mx.value_and_grad(loss, (0, 1, 2))
    value, grads = step(x, weight, row)
    mx.eval(value, grads)
    compiled_value, compiled_grads = mx.compile(step)(x, weight, row)
    mx.disable_compile()
    try:
        apart_value, apart_grads = step(x, weight, row)
        mx.eval(apart_value, apart_grads)
    finally:
        mx.enable_compile()
    for got in ([value, *grads], [apart_value, *apart_grads]):
        for a, b in zip(got, [compiled_value, *compiled_grads], strict=True):
            assert mx.array_equal(a, b).item()


def test_traces_are_bounded_and_the_recently_used_stay():
    mx.clear_compile_cache()
    f, seen = traced(lambda x, c: x + c)
    x = mx.zeros(1)
    for i in range(600):
        assert f(x, i).item() == i
        assert f(x, 0).item() == 0
    assert mx.compile_cache_size() == 512
    count = len(seen)
    f(x, 0)
    f(x, 599)
    assert len(seen) == count
    assert f(x, 1).item() == 1
    assert len(seen) == count + 1
    mx.clear_compile_cache()
    assert mx.compile_cache_size() == 0
    assert f(x, 0).item() == 0
    del f
    gc.collect()
    assert mx.compile_cache_size() == 0


def test_shapes_dtypes_and_streams_are_told_apart():
    count = 0

    def body(x):
        nonlocal count
        count += 1
        return x * x.shape[0]

    f = mx.compile(body)
    for x in (mx.ones(2), mx.ones(3), mx.ones((2, 1)), mx.ones(2, mx.int32), mx.ones(2)):
        np.testing.assert_array_equal(np.array(f(x)), np.array(x) * x.shape[0])
    assert count == 4
    with mx.stream(mx.new_stream(mx.cpu)):
        f(mx.ones(2))
    assert count == 5


def test_a_container_that_holds_itself_is_an_error():
    endless: list = []
    endless.append(endless)
    table: dict = {}
    table["self"] = table
    for tree in (endless, table, (endless,)):
        with pytest.raises(RecursionError):
            mx.compile(lambda v: mx.array(1.0))(tree)
        with pytest.raises(RecursionError):
            mx.compile(lambda: mx.array(1.0), inputs=tree)()
        with pytest.raises(RecursionError):
            mx.eval(tree)


class Holder:
    pass


def collected(make) -> bool:
    """Whether an object that is part of a circle is freed by the collector."""
    held = Holder()
    make(held)
    ref = weakref.ref(held)
    del held
    gc.collect()
    return ref() is None


def test_circles_through_compiled_functions_are_freed():
    def by_closure(held):
        held.f = mx.compile(lambda x: (x, held)[0] * 2)
        held.f(mx.ones(2))

    def by_result(held):
        held.f = mx.compile(lambda x: {"y": x + 1, "held": held})
        held.f(mx.ones(2))

    def by_state(held):
        state = {"x": mx.ones(2)}
        held.f = mx.compile(lambda: (state["x"], held)[0] * 2, inputs=state, outputs=state)
        held.f()

    def by_type(held):
        Local = type("Local", (int,), {"held": held})
        held.f = mx.compile(lambda x, c: x)
        held.f(mx.ones(2), Local(3))

    for make in (by_closure, by_result, by_state, by_type):
        assert collected(make), make.__name__


def test_circles_through_transforms_are_freed():
    def checkpoint(held):
        held.f = mx.checkpoint(lambda x: (x, held)[0] * 2)
        mx.eval(held.f(mx.ones(2)))

    def custom(held):
        @mx.custom_function
        def f(x):
            return (x, held)[0] * 2

        @f.vjp
        def rule(primals, cotangent, output):
            return (cotangent, held)[0] * 3

        held.f = f
        held.y = f(mx.ones(2))
        mx.eval(held.y)

    def grad(held):
        held.f = mx.value_and_grad(lambda x: (x, held)[0].sum())
        mx.eval(held.f(mx.ones(2)))

    def vmap(held):
        held.f = mx.vmap(lambda x: (x, held)[0] * 2)
        mx.eval(held.f(mx.ones(2)))

    for make in (checkpoint, custom, grad, vmap):
        assert collected(make), make.__name__


def layer(held):
    return mx.checkpoint(lambda x: (x, held)[0] * 2)


def ruled(held):
    f = mx.custom_function(lambda x: x * 2)
    f.vjp(lambda primals, cotangent, output: (cotangent, held)[0] * 2)
    f.jvp(lambda primals, tangents: (tangents, held)[0] * 2)
    f.vmap(lambda x, axis: ((x, held)[0] * 2, axis))
    return f


def half_ruled(held):
    return mx.custom_function(lambda x: x * 2, lambda x, cotangent, y: (cotangent, held)[0] * 2)


def circles_through_graphs():
    """Functions that put graphs with rules, never evaluated, where the rules find them."""

    def kept(held, f):
        held.y = f(mx.ones(3))
        held.z = held.y + 1

    def kept_from_a_trace(held, f):
        def loss(x):
            held.y = f(x)
            return mx.sum(held.y * 2)

        held.gradient = mx.grad(loss)(mx.ones(3))

    def kept_from_nested_traces(held, f):
        def loss(x):
            held.y = mx.grad(lambda a: mx.sum(f(a) * a))(x)
            return mx.sum(held.y)

        held.gradient = mx.grad(loss)(mx.ones(3))

    def kept_from_a_failed_trace(held, f):
        def loss(x):
            held.y = f(x)
            raise ValueError

        with pytest.raises(ValueError):
            mx.grad(loss)(mx.ones(3))

    def batched(held, f):
        held.y = mx.vmap(f)(mx.ones((3, 2)))

    def compiled(held, f):
        held.step = mx.compile(lambda x: f(f(x)) + 1)
        held.y = held.step(mx.ones(3))

    def compiled_batched(held, f):
        held.step = mx.compile(lambda x: mx.vmap(f)(x) + 1)
        held.y = held.step(mx.ones((3, 2)))

    def compiled_gradient(held, f):
        held.step = mx.compile(mx.value_and_grad(lambda x: f(x).sum()))
        held.y = held.step(mx.ones(3))

    def compiled_within_a_trace(held, f):
        held.step = mx.compile(lambda x: f(x) + 1)

        def loss(x):
            held.y = held.step(x)
            return held.y.sum()

        held.gradient = mx.grad(loss)(mx.ones(3))

    ways = (
        kept,
        kept_from_a_trace,
        kept_from_nested_traces,
        kept_from_a_failed_trace,
        batched,
        compiled,
        compiled_batched,
        compiled_gradient,
        compiled_within_a_trace,
    )
    return [
        pytest.param(way, f, id=f"{way.__name__}-{f.__name__}")
        for way in ways
        for f in (layer, ruled)
    ]


@pytest.mark.parametrize("way, function", circles_through_graphs())
def test_circles_through_graphs_are_freed(way, function):
    assert collected(lambda held: way(held, function(held)))


class Named(str):
    factor: float


class Slotted(list):
    __slots__ = ("factor",)


class Several(dict):
    def __init__(self, items, factor):
        super().__init__(items)
        self.factor = factor


def with_factor(kind, factor):
    made = kind("a") if kind is Named else kind([mx.ones(2)])
    made.factor = factor
    return made


def test_attributes_of_arguments_are_part_of_the_key():
    f = mx.compile(lambda x, c: x * c.factor)
    x = mx.array([1.0, 2.0])
    for make in (
        lambda k: with_factor(Named, k),
        lambda k: with_factor(Slotted, k),
        lambda k: Several({"a": mx.ones(2)}, k),
    ):
        for k in (2, 3, 2.5, 2, mx.array(7.0), True):
            assert mx.array_equal(f(x, make(k)), x * k)

    g = mx.compile(lambda x, c: x * len(c.factor))
    for factor in ({1, 2}, {3}, {2, 1}, {3, "4", None}, frozenset(range(5))):
        assert mx.array_equal(g(x, with_factor(Named, factor)), x * len(factor))
    before = mx.compile_cache_size()
    for factor in ({2, 1}, {None, "4", 3}):
        g(x, with_factor(Named, factor))
    assert mx.compile_cache_size() == before

    unset = Slotted([mx.ones(2)])
    with pytest.raises(AttributeError):
        f(x, unset)


def test_arguments_that_hold_themselves():
    name = Named("a")
    name.factor = name
    with pytest.raises(RecursionError):
        mx.compile(lambda x, c: x)(mx.ones(2), name)


def test_modules_as_arguments():
    call = mx.compile(lambda module, x: module(x))
    x = mx.array([[0.01, 0.02, 0.03]])
    for eps in (1e-5, 1.0, 1e-5):
        norm = nn.RMSNorm(3, eps=eps)
        assert mx.allclose(call(norm, x), norm(x))
    drop = nn.Dropout(0.999)
    ones = mx.ones((100, 100))
    drop.eval()
    assert mx.array_equal(call(drop, ones), ones)
    drop.train()
    assert not mx.array_equal(call(drop, ones), ones)
    before = mx.compile_cache_size()
    call(nn.RMSNorm(3, eps=1.0), x)  # another one of the same kind
    assert mx.compile_cache_size() == before


def test_a_collection_while_arguments_are_read():
    class Ends:
        def __init__(self, values):
            self.values, self.me = values, self

        def __del__(self):
            self.values.clear()

    f = mx.compile(lambda values, c: [v * 1 for v in values])
    old = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for _ in range(200):
            values = [mx.ones(2) for _ in range(20)]
            Ends(values)
            with contextlib.suppress(ValueError):
                f(values, with_factor(Named, {1, 2}))
    finally:
        gc.set_threshold(*old)


def one_calls_the_other(held, f):
    inner = mx.compile(lambda x: f(x) + 1)
    return inner, mx.compile(lambda x: inner(x) * 2)


def one_calls_a_batched_other(held, f):
    inner = mx.compile(lambda x: f(x) + 1)
    return inner, mx.compile(lambda x: mx.vmap(inner)(x[None])[0] * 2)


def batches_of_batches(held, f):
    inner = mx.compile(lambda x: f(x) + 1)
    middle = mx.compile(mx.vmap(inner))
    return inner, middle, mx.compile(lambda x: mx.vmap(middle)(x[None, None])[0, 0] * 2)


def one_calls_a_gradient(held, f):
    inner = mx.compile(lambda x: f(x) + 1)
    return inner, mx.compile(mx.grad(lambda x: mx.sum(inner(inner(x)) * x)))


def three_call_each_other(held, f):
    a = mx.compile(lambda x: f(f(x)))
    b = mx.compile(lambda x: a(x) + a(x + 1), shapeless=True)
    return a, b, mx.compile(lambda x: b(x) + a(x))


SHARING = pytest.mark.parametrize("make", [layer, ruled, half_ruled])
WAYS_OF_SHARING = pytest.mark.parametrize(
    "way",
    [
        one_calls_the_other,
        one_calls_a_batched_other,
        batches_of_batches,
        one_calls_a_gradient,
        three_call_each_other,
    ],
)


@SHARING
@WAYS_OF_SHARING
def test_circles_through_rules_that_compiled_functions_share_are_freed(way, make):
    def circle(held):
        held.functions = way(held, make(held))
        held.results = [held.functions[-1](mx.ones(n)) for n in (2, 3, 2)]

    assert collected(circle)


@SHARING
@WAYS_OF_SHARING
@pytest.mark.parametrize("kept", [0, -1])
def test_shared_rules_stay_with_any_one_of_the_functions_that_have_them(way, make, kept):
    held = Holder()
    functions = way(held, make(held))
    x = mx.array([1.0, 2.0, 3.0])
    functions[-1](x)

    def all_of_it(f):
        return [
            f(x).tolist(),
            mx.grad(lambda x: f(x).sum())(x).tolist(),
            mx.vmap(f)(mx.stack([x, x])).tolist(),
        ]

    f = functions[kept]
    before = all_of_it(f)
    del held, functions
    gc.collect()
    assert all_of_it(f) == before


def test_collecting_a_function_whose_end_clears_the_cache():
    class Clears:
        __slots__ = ()  # so the collector does not know it, and it ends while a function is cleared

        def __del__(self):
            mx.clear_compile_cache()

    def circle(held):
        held.f = mx.compile(lambda x: ([Clears(), x], held)[0])
        held.g = mx.compile(lambda x, c: (x, held)[0])
        held.f(mx.ones(2))

    for _ in range(3):
        assert collected(circle)


def test_rules_live_as_long_as_any_trace_that_may_need_them():
    double = mx.custom_function(lambda x: x * 2, fun_vjp=lambda x, cotangent, output: cotangent * 3)

    def f(x):
        y = mx.compile(lambda a: double(a) + 1)(x)  # gone with its traces
        gc.collect()
        z = mx.checkpoint(lambda a: double(a) * a)(y)
        gc.collect()
        return mx.sum(z)

    x = mx.array([1.0])
    y = 2 * x + 1
    expected = 3 * (2 * y + 3 * y)  # the rule says 3 each time
    assert mx.grad(f)(x).item() == expected.item()
    second = mx.grad(lambda x: mx.sum(mx.grad(lambda a: mx.sum(double(a) * a))(x)))
    assert second(x).item() == 6
    assert mx.vmap(mx.grad(lambda a: double(a)))(mx.ones(4)).tolist() == [3] * 4
    compiled = mx.compile(lambda a: double(a) + 1)
    for _ in range(3):
        gc.collect()
        assert mx.grad(lambda a: mx.sum(compiled(a)))(x).item() == 3
        assert mx.grad(lambda a: mx.sum(mx.vmap(compiled)(a)))(mx.ones(2)).tolist() == [3, 3]
        assert compiled(x).item() == 3


def test_rules_within_a_helper_thread_of_a_trace():
    double = mx.custom_function(lambda x: x * 2, fun_vjp=lambda x, cotangent, output: cotangent * 3)

    def f(x):
        parts = []

        def help():
            mx.grad(lambda a: mx.sum(double(a)))(mx.ones(2))  # a trace of its own, begun and ended
            parts.append(double(x))

        thread = threading.Thread(target=help)
        thread.start()
        thread.join()
        gc.collect()
        return mx.sum(parts[0])

    assert mx.grad(f)(mx.ones(2)).tolist() == [3, 3]


def test_arguments_of_rules_end_with_the_trace():
    f = mx.checkpoint(lambda x: mx.tanh(x))
    before = mx.get_active_memory()
    kept = []

    def loss(x):
        kept.append(f(x * 2))
        return mx.sum(kept[-1])

    for _ in range(10):
        mx.eval(mx.grad(loss)(mx.ones((100, 100))))
        mx.eval(kept)
        kept.clear()
    gc.collect()
    assert mx.get_active_memory() <= before + 1000


def test_nothing_of_compiled_functions_is_left_at_the_end():
    code = """
        import sys
        import mlx.core as mx
        f = mx.compile(lambda x, c: {"sum": x + c, "all": [x]})
        for c in range(3):
            mx.eval(f(mx.ones(2), c))
        sys.keep = f  # freed when modules are taken apart
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def count_calls(f):
    calls = []

    def body(*args):
        calls.append(1)
        return f(*args)

    return mx.compile(body, shapeless=True), calls


def grid(*shape):
    return mx.arange(math.prod(shape), dtype=mx.float32).reshape(shape) + 1


SHAPED = {
    "length": lambda x: x / x.shape[0],
    "size": lambda x: x / x.size,
    "len": lambda x: x * len(x),
    "rows": lambda x: mx.stack(list(x)[::-1]),
    "threshold": lambda x: x if x.shape[0] > 4 else -x,
    "full_like": lambda x: mx.full_like(x, 2) + x,
    "ones_like": mx.ones_like,
    "tril": mx.tril,
    "fft": mx.fft.fft,
    "cut": lambda x: x[:4],
    "repeat": lambda x: mx.repeat(x, 2, 0),
    "unflatten": lambda x: mx.unflatten(x, 1, (2, -1)),
    "flatten": lambda x: x.reshape(-1),
    "median": lambda x: mx.median(x, 0),
    "gradient of mean": mx.grad(lambda x: mx.square(x).mean()),
    "gradient of var": mx.grad(lambda x: x.var()),
    "gradient of max": mx.grad(lambda x: x.max()),
    "matmul": lambda x: x @ x.T,
    "broadcast": lambda x: x + mx.broadcast_to(x[:1], x.shape),
    "vmap": mx.vmap(lambda x: x / x.sum()),
}


@pytest.mark.parametrize("name", SHAPED)
def test_shapeless_functions_are_right_at_every_shape(name):
    f = SHAPED[name]
    compiled, _ = count_calls(f)
    for shape in [(3, 2), (4, 2), (6, 2), (3, 2), (5, 8), (1, 2), (6, 6), (12, 4)]:
        x = grid(*shape)
        np.testing.assert_allclose(np.array(compiled(x)), np.array(f(x)), rtol=2e-6)


def test_shapeless_traces_are_shared_where_graphs_are():
    compiled, calls = count_calls(lambda x, y: mx.exp(x) @ y + 1)
    for n in range(2, 9):
        mx.eval(compiled(grid(n, 20), grid(20, 10)))
    assert len(calls) == 2
    np.testing.assert_array_equal(compiled(grid(1, 20), grid(20, 10)).shape, (1, 10))
    assert len(calls) == 3
    compiled, calls = count_calls(lambda x: x / x.shape[0])
    for n in (2, 3, 4, 2, 3, 4):
        mx.eval(compiled(grid(n, 9)))
    assert len(calls) == 3


def test_broadcasts_of_shapeless_functions():
    compiled, _ = count_calls(lambda x, y: mx.grad(lambda a: (a * y).sum())(x))
    for a, b in [
        ((4,), (4,)),
        ((5,), (5,)),
        ((5,), (1,)),
        ((1,), (5,)),
        ((1,), (7,)),
        ((6,), (6,)),
    ]:
        x, y = grid(*a), grid(*b)
        got = compiled(x, y)
        assert got.shape == a
        np.testing.assert_allclose(
            np.array(got), np.array(mx.grad(lambda v, y=y: (v * y).sum())(x))
        )


def test_shapeless_random_numbers_have_the_shape_asked_for():
    compiled, _ = count_calls(lambda x: mx.random.uniform(shape=x.shape) + x)
    for n in (3, 5, 8):
        assert compiled(grid(n)).shape == (n,)
