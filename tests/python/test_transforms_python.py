"""Transforms as Python sees them: trees, argnums and argnames, modules, captured state, garbage."""

import collections
import functools
import gc
import inspect
import weakref
from typing import NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest


class Pair(NamedTuple):
    a: mx.array
    b: mx.array


X, Y = mx.array(3.0), mx.array(2.0)


def product(x, y):
    return x * y


# ------------------------------------------------------------------ eval


def test_eval_returns_what_it_was_given():
    x, y = X + 1, Y + 1
    assert mx.eval(x) is x and mx.eval() is None
    out = mx.eval(x, y)
    assert isinstance(out, tuple) and out[0] is x and out[1] is y
    tree = {"a": [x + 1, (y + 1, None, "text", 3)]}
    assert mx.eval(tree) is tree and tree["a"][0].item() == 5


# ------------------------------------------------------------------ grad


def test_argnums():
    assert mx.grad(product)(X, Y).item() == 2
    assert mx.grad(product, argnums=1)(X, Y).item() == 3
    assert mx.grad(product, argnums=(1,))(X, Y).item() == 3
    both = mx.grad(product, argnums=[1, 0])(X, Y)
    assert isinstance(both, tuple) and [g.item() for g in both] == [3, 2]


def test_argnames():
    def f(x, *, k):
        return x * k * k

    first, named = mx.grad(f, argnames="k")(X, k=Y)
    assert first is None and named["k"].item() == 12
    first, named = mx.grad(f, argnums=0, argnames=["k"])(X, k=Y)
    assert first.item() == 4 and named["k"].item() == 12
    value, (first, named) = mx.value_and_grad(f, argnums=[0], argnames=["k"])(X, k=Y)
    assert (value.item(), first.item(), named["k"].item()) == (12, 4, 12)


@pytest.mark.parametrize(
    "tree", [[X, Y], (X, Y), {"a": X, "b": Y}, Pair(X, Y), [X, {"c": (Y, [])}]]
)
def test_gradients_have_the_shape_of_the_arguments(tree):
    def total(t):
        leaves = []
        collect(t, leaves)
        return sum(v * v for v in leaves)

    grad = mx.grad(total)(tree)
    assert type(grad) is type(tree)
    leaves = []
    collect(grad, leaves)
    assert [v.item() for v in leaves] == [6, 4]


def collect(tree, out):
    if isinstance(tree, mx.array):
        out.append(tree)
    else:
        for v in tree.values() if isinstance(tree, dict) else tree:
            collect(v, out)


def test_values_with_extras():
    (value, extra), grad = mx.value_and_grad(lambda x: (x * x, {"double": 2 * x, "n": 5}))(X)
    assert (value.item(), extra["double"].item(), extra["n"], grad.item()) == (9, 6, 5, 6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.grad(product, argnums=2)(X, Y),
        lambda: mx.grad(product, argnums=-1),
        lambda: mx.grad(product, argnums=[0, 0]),
        lambda: mx.grad(product, argnames="k")(X, Y),
        lambda: mx.grad(product)(3.0, Y),
        lambda: mx.grad(lambda t: t["a"])({"a": X, "b": 1}),
        lambda: mx.grad(lambda x: (x, x))(X),
        lambda: mx.grad(lambda x: None)(X),
        lambda: mx.grad(lambda x: 3.0)(X),
        lambda: mx.grad(lambda x: mx.stack([x, x]))(X),
        lambda: mx.value_and_grad(lambda x: [x, x])(X),
        lambda: mx.value_and_grad(lambda x: {"a": x})(X),
        lambda: mx.grad(lambda x: x)([]),
    ],
)
def test_bad_gradients(call):
    with pytest.raises(ValueError):
        call()


@pytest.mark.parametrize(
    "transform", [mx.grad, mx.value_and_grad, mx.vmap, mx.compile, mx.checkpoint]
)
def test_only_functions_are_transformed(transform):
    with pytest.raises(TypeError):
        transform(3)


def test_control_flow_on_traced_values():
    f = mx.grad(lambda x: x * x if x > 0 else -x)
    assert f(X).item() == 6 and f(-X).item() == -1


def test_errors_of_the_function_come_through():
    def f(x):
        raise KeyError("mine")

    for g in (mx.grad(f), mx.vmap(f), mx.compile(f), mx.checkpoint(f)):
        with pytest.raises(KeyError, match="mine"):
            g(mx.ones((2,)))
    assert (X + 1).item() == 4


def test_modules_as_arguments_and_their_restoration():
    model = nn.Linear(2, 1)
    before = model.weight
    x = mx.ones((1, 2))

    def loss(m, x):
        return m(x).sum()

    for step in (mx.value_and_grad(loss), mx.value_and_grad(model, loss)):
        value, grads = step(model, x)
        assert value.item() == pytest.approx(loss(model, x).item(), abs=1e-6)
        assert set(grads) == {"weight", "bias"} and grads["weight"].tolist() == [[1, 1]]
        assert model.weight is before
    model.freeze(keys="bias")
    assert set(mx.grad(loss)(model, x)) == {"weight"}

    def failing(m, x):
        raise KeyError

    with pytest.raises(KeyError):
        mx.grad(failing)(model, x)
    assert model.weight is before


# ------------------------------------------------------------------ vjp, jvp, vmap


def test_products():
    out, grads = mx.vjp(lambda x, y: (x * y, x + y), (X, Y), (Y, Y))
    assert [v.item() for v in out] == [6, 5] and [g.item() for g in grads] == [6, 8]
    out, directions = mx.jvp(lambda x, y: [x * y], [X, Y], [Y, X])
    assert out[0].item() == 6 and directions[0].item() == 13
    for bad in [lambda: mx.vjp(product, X, [Y]), lambda: mx.jvp(product, [X, 1.0], [Y, Y])]:
        with pytest.raises(TypeError):
            bad()
    for bad in [
        lambda: mx.vjp(product, [X, Y], [mx.ones((2,))]),
        lambda: mx.jvp(product, [X, Y], [Y]),
        lambda: mx.vjp(lambda x: "text", [X], [X]),
    ]:
        with pytest.raises(ValueError):
            bad()


def test_vmap_over_trees():
    a, b = mx.arange(3.0), mx.arange(6.0).reshape(2, 3)
    f = mx.vmap(lambda t: {"s": t["x"] + t["y"]}, in_axes=({"x": 0, "y": -1},))
    assert f({"x": a, "y": b})["s"].tolist() == (np.array(a)[:, None] + np.array(b).T).tolist()
    g = mx.vmap(lambda x, y: (x * y, y), in_axes=(0, None), out_axes=(0, None))
    product, same = g(a, Y)
    assert product.tolist() == [0, 2, 4] and same.item() == 2
    h = mx.vmap(lambda r: r, in_axes=1, out_axes=-1)
    assert h(b).tolist() == b.tolist()
    nested = mx.vmap(mx.vmap(lambda x, y: x * y, in_axes=(0, None)), in_axes=(None, 0))
    assert nested(a, mx.arange(2.0)).tolist() == [[0, 0, 0], [0, 1, 2]]


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.vmap(product)(mx.ones((2,)), mx.ones((3,))),
        lambda: mx.vmap(product, in_axes=(0,))(X, Y),
        lambda: mx.vmap(product, in_axes="a")(X, Y),
        lambda: mx.vmap(product)(mx.ones((2,)), 1.0),
        lambda: mx.vmap(product, in_axes=5)(mx.ones((2,)), mx.ones((2,))),
        lambda: mx.vmap(product, in_axes=None)(X, Y),
        lambda: mx.vmap(lambda x: x, out_axes=None)(mx.ones((2,))),
        lambda: mx.vmap(product)(X, Y),
    ],
)
def test_bad_batches(call):
    with pytest.raises((ValueError, IndexError)):
        call()


# ------------------------------------------------------------------ compile


def test_compile_traces_once_for_each_sort_of_call():
    calls = []

    @mx.compile
    def f(x, k=None, **named):
        calls.append(k)
        return x * 2

    f(X)
    f(Y)
    for k in (1, 2, 1, 1.0, True, "a", "a", "b", mx.int32):
        f(X, k)
    f(mx.ones((2,)))
    f(mx.ones((2,), mx.int32))
    f(X, z=1)
    f(X, z=1)
    f(X, [1, (Y,)])
    f(X, [1, [Y]])
    constants = [None, 1, 2, 1.0, True, "a", "b", mx.int32, None, None, None]
    assert calls[:11] == constants and len(calls) == 13
    assert isinstance(calls[11][1], tuple) and isinstance(calls[12][1], list)


def test_compiled_results_keep_their_trees():
    f = mx.compile(lambda x: {"a": x + 1, "b": [x, 3, None, Pair(x, x * 2)]})
    for v in (1.0, 2.0):
        out = f(mx.array(v))
        assert out["a"].item() == v + 1 and out["b"][1:3] == [3, None]
        assert isinstance(out["b"][3], Pair) and out["b"][3].b.item() == 2 * v
    shapes = mx.compile(lambda x: [x] * x.ndim)
    assert len(shapes(mx.ones((2,)))) == 1 and len(shapes(mx.ones((2, 2)))) == 2
    assert len(shapes(mx.ones((2,)))) == 1


def test_shapeless():
    calls = []

    def f(x):
        calls.append(1)
        return mx.exp(x) + 1

    g = mx.compile(f, shapeless=True)
    for n in (2, 3, 4):
        np.testing.assert_allclose(np.array(g(mx.zeros((n,)))), np.full(n, 2.0))
    assert len(calls) == 2
    g(mx.zeros((2, 2)))
    assert len(calls) == 3


def test_values_cannot_be_read_while_compiling():
    for f in (lambda x: x.item(), lambda x: x if x > 0 else -x, lambda x: str(x)):
        with pytest.raises(ValueError):
            mx.compile(f)(X)
    for bad in (object(), np.zeros(2), {1, 2}):
        with pytest.raises(ValueError):
            mx.compile(lambda x: X)(bad)


def test_state_read_only_and_changed():
    state = [mx.array(1.0)]
    read = mx.compile(lambda x: x + state[0], inputs=state)
    assert read(X).item() == 4
    state[0] = mx.array(10.0)
    assert read(X).item() == 13 and state[0].item() == 10

    counter = {"n": mx.array(0), "made": []}

    def count(x):
        counter["n"] = counter["n"] + 1
        if not counter["made"]:
            counter["made"].append(x * 0)
        counter["made"][0] = counter["made"][0] + x
        return x

    step = mx.compile(count, inputs=[counter], outputs=[counter])
    for k in range(4):
        step(X)
        assert counter["n"].item() == k + 1 and counter["made"][0].item() == 3 * (k + 1)


def test_state_is_put_back_when_a_trace_fails():
    state = {"w": mx.array(1.0), "list": [mx.array(2.0)]}

    def f(x):
        state["w"] = state["w"] * x
        state["new"] = x
        state["list"].append(x)
        raise KeyError

    with pytest.raises(KeyError):
        mx.compile(f, inputs=state, outputs=state)(X)
    assert set(state) == {"w", "list"} and state["w"].item() == 1 and len(state["list"]) == 1
    assert state["list"][0].item() == 2


def test_inputs_only_state_is_put_back_after_the_trace():
    state = {"w": mx.array(1.0)}

    def f(x):
        state["w"] = state["w"] + x
        return state["w"]

    c = mx.compile(f, inputs=state)
    assert c(X).item() == 4 and c(X).item() == 4 and state["w"].item() == 1


def test_modules_as_state():
    model = nn.Linear(2, 2)
    model.weight = mx.zeros((2, 2))
    model.bias = mx.zeros((2,))

    def train(x):
        model.bias = model.bias + 1
        return model(x)

    step = mx.compile(train, inputs=[model], outputs=[model])
    outs = [step(mx.ones((1, 2))).tolist() for _ in range(3)]
    assert outs == [[[1, 1]], [[2, 2]], [[3, 3]]] and model.bias.tolist() == [3, 3]
    model.weight = mx.ones((2, 2))
    assert step(mx.ones((1, 2))).tolist() == [[6, 6]]


def test_modules_as_arguments_of_compiled_functions():
    model = nn.Linear(2, 1, bias=False)
    for f in (mx.compile(lambda m, x: m(x)), mx.checkpoint(lambda m, x: m(x))):
        for value in (1.0, 2.0):
            model.weight = mx.full((1, 2), value)
            assert f(model, mx.ones((1, 2))).item() == 2 * value


def test_checkpoints_of_integers_and_floats():
    """Whole numbers among the arguments do not let a gradient pass through a cast."""

    def f(n, x):
        return mx.sum(x.astype(mx.int64)) * n.sum()

    n, x = mx.array([2, 3]), mx.array([1.5, 2.5])
    assert mx.grad(mx.checkpoint(f), 1)(n, x).tolist() == mx.grad(f, 1)(n, x).tolist() == [0, 0]


def test_compiled_gradients_of_checkpoints_are_freed():
    def run():
        model = nn.Linear(2, 2)
        layer = mx.checkpoint(lambda x: mx.tanh(model(x)))
        step = mx.compile(mx.grad(lambda x: layer(layer(x)).sum()))
        mx.eval(step(mx.ones((2, 2))))
        return weakref.ref(model)

    model = run()
    gc.collect()
    assert model() is None


def test_random_state_as_state():
    mx.random.seed(0)
    draw = mx.compile(
        lambda: mx.random.uniform(shape=(2,)), inputs=mx.random.state, outputs=mx.random.state
    )
    drawn = [draw().tolist() for _ in range(3)]
    mx.random.seed(0)
    assert drawn == [mx.random.uniform(shape=(2,)).tolist() for _ in range(3)]
    frozen = mx.compile(lambda: mx.random.uniform(shape=(2,)))
    assert frozen().tolist() == frozen().tolist()
    assert mx.random.uniform().item() != mx.random.uniform().item()


def test_dropout_in_a_compiled_function():
    layer = nn.Dropout(0.5)
    state = [layer, mx.random.state]
    f = mx.compile(lambda x: layer(x), inputs=state, outputs=state)
    x = mx.ones((64,))
    assert f(x).tolist() != f(x).tolist()


def test_transforms_nest():
    def f(x):
        return mx.sin(x) * x

    x = np.array([0.1, 0.7], np.float32)
    want = np.sin(x) + x * np.cos(x)
    for g in (
        mx.compile(mx.vmap(mx.grad(f))),
        mx.vmap(mx.grad(mx.compile(f))),
        mx.grad(lambda v: mx.vmap(mx.compile(f))(v).sum()),
        mx.grad(lambda v: mx.checkpoint(mx.vmap(f))(v).sum()),
        mx.compile(mx.grad(mx.compile(lambda v: mx.vmap(f)(v).sum()))),
    ):
        np.testing.assert_allclose(np.array(g(mx.array(x))), want, rtol=1e-5)


# ------------------------------------------------------------------ custom functions


def test_rules_get_values_in_the_form_of_the_call():
    seen = []

    def vjp(primals, cotangents, outputs):
        seen.append((primals, cotangents, outputs))
        return {"a": cotangents * 5}

    f = mx.custom_function(lambda d: d["a"] * 2, fun_vjp=vjp)
    assert mx.grad(lambda d: f(d))({"a": X})["a"].item() == 5
    primals, cotangent, output = seen[0]
    assert primals["a"].item() == 3 and cotangent.item() == 1 and output.item() == 6

    pair = mx.custom_function(lambda x, y: (x * y, x))

    @pair.vjp
    def rule(primals, cotangents, outputs):
        assert len(primals) == len(cotangents) == len(outputs) == 2
        return cotangents[0] * 7, None

    grads = mx.grad(lambda x, y: pair(x, y)[0], argnums=(0, 1))(X, Y)
    assert [g.item() for g in grads] == [7, 0]


def test_tangents_of_what_does_not_vary_are_none():
    f = mx.custom_function(product)

    @f.jvp
    def rule(primals, tangents):
        assert tangents[1] is None
        return tangents[0] * 9

    assert mx.jvp(lambda x: f(x, Y), [X], [Y])[1][0].item() == 18


def test_vmap_rule():
    f = mx.custom_function(product)

    @f.vmap
    def rule(inputs, axes):
        assert axes == (0, None)
        return inputs[0] * 100, 0

    assert mx.vmap(f, in_axes=(0, None))(mx.arange(3.0), Y).tolist() == [0, 100, 200]


def test_rules_that_return_nonsense():
    for rule in (lambda p, c, o: "text", lambda p, c, o: [], lambda p, c, o: [c, c, c]):
        f = mx.custom_function(lambda x: x * 2, fun_vjp=rule)
        with pytest.raises(ValueError):
            mx.grad(f)(X)
    with pytest.raises(TypeError):
        mx.custom_function(product).vjp(3)


def test_custom_function_without_rules_and_checkpoint_take_keywords():
    assert mx.custom_function(lambda x, *, k: x * k)(X, k=2).item() == 6
    assert mx.checkpoint(lambda x, *, k: x * k)(X, k=Y).item() == 6
    assert mx.grad(lambda x: mx.checkpoint(lambda x, *, k: x * k)(Y, k=x))(X).item() == 2


# ------------------------------------------------------------------ garbage


def test_circles_through_transformed_functions_are_collected():
    class Holder:
        pass

    for transform in (mx.compile, mx.grad, mx.vmap, mx.checkpoint, mx.custom_function):
        holder = Holder()
        holder.f = transform(lambda x, h=holder: x)
        ref = weakref.ref(holder)
        del holder
        gc.collect()
        assert ref() is None, transform


def test_graphs_with_python_rules_can_end_in_an_eval():
    f = mx.custom_function(lambda x: x * 2, fun_vjp=lambda p, c, o: c * 3)
    for _ in range(20):
        mx.eval(mx.grad(lambda x: f(x).sum())(mx.ones((4,))))


def test_wrapped_functions_keep_their_names():
    def f(x):
        """Text."""

    assert mx.compile(f).__name__ == "f" and mx.grad(f).__wrapped__ is f


def test_gradient_of_logaddexp_where_it_is_infinite():
    f = mx.grad(lambda a: mx.logaddexp(a, mx.array(0.0)))
    assert f(mx.array(float("inf"))).item() == 1.0
    assert f(mx.array(float("-inf"))).item() == 0.0


class Strict(tuple):
    def __new__(cls, first, *rest):
        return super().__new__(cls, (first, *rest))


class Row(list):
    note = None


@pytest.mark.parametrize(
    "tree",
    [
        Strict(mx.ones((1,)), mx.ones((1,))),
        Row([mx.ones((1,)), mx.ones((1,))]),
        collections.OrderedDict(b=mx.ones((1,)), a=mx.ones((1,))),
        collections.defaultdict(list, a=mx.ones((1,))),
    ],
)
def test_subclasses_of_containers_stay(tree):
    if isinstance(tree, Row):
        tree.note = "kept"
    for transform in (
        mx.compile(lambda t: t),
        mx.grad(lambda t: (t["a"] if isinstance(t, dict) else t[0]).sum()),
        mx.vmap(lambda t: t),
    ):
        out = transform(tree)
        assert type(out) is type(tree) and len(out) == len(tree)
        if isinstance(tree, dict):
            assert list(out) == list(tree)
            assert getattr(out, "default_factory", None) is getattr(tree, "default_factory", None)
        assert getattr(out, "note", None) == getattr(tree, "note", None)


def test_transformed_functions_look_like_their_function():
    def f(x: mx.array, scale: float = 2.0) -> mx.array:
        """What f does."""
        return x.sum() * scale

    for transform in (mx.grad, mx.value_and_grad, mx.compile, mx.vmap, mx.checkpoint):
        g = transform(f)
        assert g.__name__ == "f" and g.__doc__ == "What f does."
        assert inspect.signature(g) == inspect.signature(f)
        assert functools.wraps(g)(lambda x: x).__name__ == "f"


def test_a_custom_function_may_capture_what_is_mapped():
    rows = mx.arange(6, dtype=mx.float32).reshape(2, 3)

    def call(row):
        return mx.custom_function(lambda a: a * row)(mx.array([1.0, 2.0, 3.0]))

    want = rows * mx.array([1.0, 2.0, 3.0])
    assert mx.array_equal(mx.vmap(call)(rows), want)
    assert mx.array_equal(mx.vmap(mx.grad(lambda row: call(row).sum()))(rows),
                          mx.broadcast_to(mx.array([1.0, 2.0, 3.0]), (2, 3)))  # fmt: skip
