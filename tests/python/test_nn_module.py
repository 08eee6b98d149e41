"""Modules: what they store, traversal, updates, weights in files, freezing and gradients."""

import copy
import gc
import pickle
import weakref

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map


class Nested(nn.Module):
    """Entries of every kind."""

    def __init__(self):
        super().__init__()
        self.weight = mx.zeros((2,))
        self._hidden = mx.ones((3,))
        self.number = 3
        self.pair = (1, 2)
        self.layers = [nn.Linear(2, 2), 3, mx.zeros(1)]
        self.table = {"inner": nn.Linear(2, 1), "n": 4}
        self.linear = nn.Linear(2, 3)
        self._private = nn.Linear(1, 1)
        self.grid = [[nn.Linear(1, 1)], [mx.zeros(4)]]

    def __call__(self, x):
        return self.linear(x)


def shapes(tree):
    return tree_map(lambda x: tuple(x.shape) if isinstance(x, mx.array) else x, tree)


def close(a, b, tol=1e-6):
    np.testing.assert_allclose(np.array(a), np.array(b), rtol=tol, atol=tol)


# ------------------------------------------------------------------ attributes


def test_arrays_and_containers_are_entries_and_the_rest_attributes():
    m = Nested()
    assert "number" not in m and m.number == 3
    assert list(m) == [
        "weight",
        "_hidden",
        "pair",
        "layers",
        "table",
        "linear",
        "_private",
        "grid",
    ]
    assert m["weight"] is m.weight
    m.weight = None
    assert "weight" not in m and m.weight is None
    m.weight = mx.ones(1)
    assert "weight" in m and m.weight.shape == (1,)
    del m.weight, m.number
    assert not hasattr(m, "weight") and not hasattr(m, "number")
    with pytest.raises(AttributeError, match="'Nested' object has no attribute 'absent'"):
        _ = m.absent
    with pytest.raises(AttributeError):
        del m.absent


def test_a_name_of_the_class_cannot_hold_an_array():
    with pytest.raises(AttributeError, match="items"):
        Nested().items = mx.zeros(1)


def test_errors_inside_properties_are_not_hidden():
    class Broken(nn.Module):
        @property
        def size(self):
            return self.absent

    with pytest.raises(AttributeError, match="absent"):
        _ = Broken().size


def test_printing():
    m = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), mx.sin)
    assert repr(m) == (
        "Sequential(\n  (layers.0): Linear(input_dims=2, output_dims=3, bias=True)\n"
        "  (layers.1): ReLU()\n)"
    )
    assert repr(nn.Module()) == "Module()"


def test_copies_and_pickles_are_modules():
    m = nn.Linear(2, 3)
    for other in (copy.copy(m), copy.deepcopy(m), pickle.loads(pickle.dumps(m))):
        assert type(other) is nn.Linear and other.training
        close(other.weight, m.weight)
    assert copy.copy(m).weight is m.weight


# ------------------------------------------------------------------ traversal


def test_parameters_and_children():
    m = Nested()
    linear = lambda i, o: {"weight": (o, i), "bias": (o,)}
    assert shapes(m.parameters()) == {
        "weight": (2,),
        "layers": [linear(2, 2), {}, (1,)],
        "table": {"inner": linear(2, 1), "n": {}},
        "linear": linear(2, 3),
        "grid": [[linear(1, 1)], [(4,)]],
    }
    assert m.children() == {
        "layers": [m.layers[0], {}, {}],
        "table": {"inner": m.table["inner"], "n": {}},
        "linear": m.linear,
        "_private": m._private,
        "grid": [[m.grid[0][0]], [{}]],
    }
    names = [name for name, _ in m.named_modules()]
    assert names == ["", "grid.0.0", "_private", "linear", "table.inner", "layers.0"]
    assert [type(x) for x in m.modules()] == [Nested] + [nn.Linear] * 5
    assert m.state is m
    nested = nn.Sequential(nn.Sequential(nn.Linear(1, 1)))
    assert nested.leaf_modules() == {"layers": [{"layers": [nested.layers[0].layers[0]]}]}


def test_filter_and_map():
    m = Nested()
    kinds = m.filter_and_map(lambda module, key, value: True, lambda x: type(x).__name__)
    assert kinds["pair"] == "tuple" and kinds["layers"][1] == "int"
    keys = []

    def keep(module, key, value):
        keys.append(key)
        return isinstance(value, (dict, list))

    m.filter_and_map(keep)
    assert "layers.2" in keys and "table.inner" in keys and "grid.1.0" in keys
    with pytest.raises(RuntimeError, match="Unexpected leaf"):
        m.filter_and_map(lambda *a: True, is_leaf_fn=lambda *a: False)


def test_apply_and_set_dtype():
    m = Nested()
    assert m.apply(lambda x: x + 1) is m
    close(m.weight, [1, 1])
    close(m._hidden, [1, 1, 1])
    only_bias = lambda module, key, value: (
        nn.Module.valid_parameter_filter(module, key, value)
        and (key == "bias" or not isinstance(value, mx.array))
    )
    m.apply(lambda x: x.astype(mx.float16), only_bias)
    assert m.linear.bias.dtype == mx.float16 and m.linear.weight.dtype == mx.float32
    m.step = mx.array(1, mx.int32)
    m.set_dtype(mx.bfloat16)
    assert m.linear.weight.dtype == mx.bfloat16 and m.step.dtype == mx.int32
    m.set_dtype(mx.float32, None)
    assert m.step.dtype == mx.float32
    seen = []
    m.apply_to_modules(lambda name, module: seen.append((name, type(module))))
    assert ("layers.0", nn.Linear) in seen


# ------------------------------------------------------------------ updates


def test_update_replaces_what_is_there():
    m = Nested()
    assert m.update({"layers": [{"bias": mx.ones(5)}], "grid": [[], [mx.ones(7)]]}) is m
    assert m.layers[0].bias.shape == (5,) and m.grid[1][0].shape == (7,)
    m.update(Nested().parameters())
    assert m.layers[0].bias.shape == (2,)


@pytest.mark.parametrize(
    "tree, message",
    [
        ({"absent": mx.ones(1)}, 'parameter named "absent"'),
        ({"linear": {"absent": mx.ones(1)}}, 'parameter named "absent"'),
        ({"number": 5}, 'parameter named "number"'),
        ({"weight": 5}, "invalid type: int"),
        ({"weight": {"x": mx.ones(1)}}, "invalid type: dict"),
        ({"linear": mx.ones(1)}, "invalid type: array"),
        ({"layers": [{}, {}, mx.ones(1), mx.ones(1)]}, "index 3 is out of bounds"),
        ({"layers": {"0": {}}}, 'parameter named "0"'),
        ({"pair": (1, 2)}, "invalid type: tuple"),
        ([mx.ones(1)], "invalid type: list"),
    ],
)
def test_update_refuses_what_does_not_fit_if_strict(tree, message):
    with pytest.raises(ValueError, match=message):
        Nested().update(tree)
    m = Nested()
    m.update(tree, strict=False)
    assert shapes(m.linear.parameters()) == {"weight": (3, 2), "bias": (3,)}


def test_update_modules():
    m = Nested()
    relu = nn.ReLU()
    m.update_modules({"linear": relu, "layers": [relu], "table": {"inner": relu}})
    assert m.linear is relu and m.layers[0] is relu and m.table["inner"] is relu
    for tree in ({"absent": relu}, {"weight": relu}, {"number": relu}, {"linear": 5}):
        with pytest.raises(ValueError):
            m.update_modules(tree)
        m.update_modules(tree, strict=False)
    m.update_modules(m.leaf_modules())


# ------------------------------------------------------------------ files


@pytest.mark.parametrize("extension", ["safetensors", "npz"])
def test_weights_survive_a_file(tmp_path, extension):
    path = tmp_path / f"w.{extension}"
    a, b = Nested(), Nested()
    a.save_weights(str(path))
    assert b.load_weights(path) is b
    for (name, x), (_, y) in zip(
        tree_flatten(a.parameters()), tree_flatten(b.parameters()), strict=True
    ):
        np.testing.assert_array_equal(np.array(x), np.array(y), err_msg=name)


def test_load_weights_checks_names_shapes_and_types():
    m = nn.Linear(2, 3)
    w, b = mx.ones((3, 2)), mx.ones(3)
    for weights, message in [
        ([("weight", w)], "Missing 1 parameters: \nbias."),
        ([], "Missing 2 parameters: \nbias,\nweight."),
        ([("weight", w), ("bias", b), ("x", b)], "Received 1 parameters not in model: \nx."),
        ([("weight", b), ("bias", b)], r"Expected shape \(3, 2\) but received shape \(3,\)"),
        ([("weight", 3), ("bias", b)], "Expected mx.array but received <class 'int'>"),
        ([("weight", w), ("weight", w), ("bias", b)], "more than once"),
    ]:
        with pytest.raises(ValueError, match=message):
            m.load_weights(weights)
    m.load_weights([("bias", mx.zeros(4)), ("x", b)], strict=False)
    assert m.bias.shape == (4,) and "x" not in m
    m.load_weights({"weight": w.astype(mx.float16), "bias": mx.ones(4)})
    assert m.weight.dtype == mx.float16
    with pytest.raises(ValueError, match="Unsupported file extension"):
        m.save_weights("w.bin")


# ------------------------------------------------------------------ freezing and modes


def test_freeze_and_unfreeze():
    m = Nested()
    assert m.freeze() is m
    assert tree_flatten(m.trainable_parameters()) == []
    assert m._no_grad == {"weight", "layers.2", "grid.1.0"}
    m.linear.unfreeze()
    assert [name for name, _ in tree_flatten(m.trainable_parameters())] == [
        "linear.weight",
        "linear.bias",
    ]
    assert m.unfreeze() is m
    assert len(tree_flatten(m.trainable_parameters())) == len(tree_flatten(m.parameters()))
    m.freeze(keys="bias")
    assert "bias" not in m.trainable_parameters()["linear"]
    m.freeze(keys="weight", recurse=False)
    m.layers[0].freeze()
    m.update(m.trainable_parameters())  # what is frozen is left alone
    m.unfreeze(keys=["bias"], recurse=False)
    assert "bias" not in m.trainable_parameters()["linear"]
    m.freeze(keys=["weight"], strict=True)
    for call in (m.freeze, m.unfreeze):
        with pytest.raises(KeyError, match="absent"):
            call(keys=["absent"], strict=True)
    with pytest.raises(KeyError, match="bias"):
        m.freeze(keys="bias", strict=True, recurse=False)


def test_running_statistics_never_become_trainable():
    norm = nn.BatchNorm(3)
    assert set(norm.trainable_parameters()) == {"weight", "bias"}
    norm.freeze()
    assert norm.unfreeze() is norm
    assert set(norm.trainable_parameters()) == {"weight", "bias"}


def test_training_mode_reaches_all_modules():
    m = Nested()
    assert m.training and m.eval() is m
    assert not any(x.training for x in m.modules())
    assert m.train() is m and all(x.training for x in m.modules())
    m.train(False)
    assert not m.linear.training
    with pytest.raises(AttributeError):
        m.training = True


# ------------------------------------------------------------------ gradients


def test_value_and_grad_of_trainable_parameters():
    m = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    x = mx.array([[1.0, -2.0]])
    before = m.layers[0].weight
    step = nn.value_and_grad(m, lambda x: (m(x).sum(), "extra"))
    (value, extra), grads = step(x)
    assert extra == "extra"
    assert m.layers[0].weight is before
    close(value, m(x).sum())
    close(grads["layers"][1]["weight"], m.layers[0](x))
    close(grads["layers"][0]["weight"], m.layers[1].weight.T @ x)
    m.layers[0].freeze()
    _, grads = step(x)
    assert grads["layers"][0] == {}


def test_parameters_are_restored_when_the_function_fails():
    m = nn.Linear(2, 3)
    with pytest.raises(ValueError):
        nn.value_and_grad(m, lambda x: m(x))(mx.ones((2, 2)))
    assert np.isfinite(np.array(m.weight)).all()


def test_a_module_is_a_tree_of_arguments():
    m = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    x = mx.array([[1.0, 2.0]])
    loss = lambda model, x: model(x).sum()
    value, grads = mx.value_and_grad(loss)(m, x)
    other, expected = nn.value_and_grad(m, loss)(m, x)
    close(value, other)
    for (_, a), (_, b) in zip(tree_flatten(grads), tree_flatten(expected), strict=True):
        close(a, b)


def test_compiled_functions_take_the_state_of_a_model():
    m = nn.Linear(2, 1)

    def halve():
        m.update(tree_map(lambda x: x / 2, m.parameters()))

    before = np.array(m.weight)
    compiled = mx.compile(halve, inputs=m.state, outputs=m.state)
    compiled()
    compiled()
    close(m.weight, before / 4)


def test_checkpoint_gives_the_same_gradients():
    m = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
    x = mx.array([[0.5, -1.0]])
    plain = nn.value_and_grad(m, lambda x: m(x).sum())(x)
    again = nn.value_and_grad(m, lambda x: nn.utils.checkpoint(m)(x).sum())(x)
    close(plain[0], again[0])
    for (_, a), (_, b) in zip(tree_flatten(plain[1]), tree_flatten(again[1]), strict=True):
        close(a, b)


class Proxy(nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(2, 2)
        self.plain = 3

    def __getattr__(self, key):
        return super().__getattribute__(key) if key.startswith("_") else f"made up {key}"

    @property
    def broken(self):
        raise AttributeError("the reason")


def test_entries_are_attributes_before_a_subclass_makes_some_up():
    proxy = Proxy()
    assert proxy.inner is proxy["inner"]
    assert proxy.plain == 3
    assert proxy.other == "made up other"
    assert not hasattr(proxy, "_other")
    proxy["late"] = mx.ones(1)
    assert proxy.late is proxy["late"]


def test_missing_attributes_and_failing_properties_say_why():
    with pytest.raises(AttributeError, match=r"'Linear' object has no attribute 'nothing'"):
        _ = nn.Linear(2, 2).nothing

    class Broken(nn.Linear):
        broken = Proxy.broken

    with pytest.raises(AttributeError, match="the reason"):
        _ = Broken(2, 2).broken


def test_modules_in_cycles_are_collected():
    module = nn.Linear(2, 2)
    module.children_list = [module]
    gone = weakref.ref(module)
    del module
    gc.collect()
    assert gone() is None


class Aliases(nn.Linear):
    def __getattr__(self, key):
        return self.weight if key == "kernel" else super().__getattr__(key)


class Registered:
    names = []  # noqa: RUF012

    def __init_subclass__(cls, note=None, **kwargs):
        Registered.names.append((cls.__name__, note))
        super().__init_subclass__(**kwargs)


def test_the_way_to_entries_can_be_called_and_overridden():
    plain, aliases = nn.Linear(2, 3), Aliases(2, 3)
    assert plain.__getattr__("weight") is plain.weight
    assert nn.Module.__getattr__(plain, "bias") is plain.bias
    assert aliases.kernel is aliases.weight and aliases.bias.shape == (3,)
    for module in (plain, aliases):
        with pytest.raises(AttributeError, match="no attribute 'missing'"):
            module.missing  # noqa: B018
        with pytest.raises(AttributeError, match="no attribute 'missing'"):
            module.__getattr__("missing")


def test_subclasses_tell_the_other_classes_that_they_have():
    made = [
        type("First", (nn.Module, Registered), {}, note=1),
        type("Last", (Registered, nn.Linear), {}),
    ]
    assert Registered.names == [("First", 1), ("Last", None)]
    assert made[1](2, 3).weight.shape == (3, 2)
    with pytest.raises(TypeError):
        type("Wrong", (nn.Module,), {}, note=1)
