"""Containers and modules that are differentiated: what a function puts there stays, the rest is back."""

import contextlib

import mlx.core as mx
import mlx.nn as nn
import pytest


def grow(tree):
    tree["w"] = tree["w"] * 2
    tree["new"] = tree["list"][0] + 1
    tree["list"].append(tree["w"])
    tree["list"][1] += 10
    return (tree["w"] * tree["list"][0]).sum()


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_function_puts_into_its_arguments_stays(fails):
    w, a, b = mx.array(3.0), mx.array(5.0), mx.array(7.0)
    tree = {"w": w, "list": [a, b], "pair": (a, b)}
    inner, pair = tree["list"], tree["pair"]

    def f(t):
        value = grow(t)
        if fails:
            raise KeyError("late")
        return value

    with pytest.raises(KeyError) if fails else contextlib.nullcontext():
        grads = mx.grad(f)(tree)
        assert grads["w"].item() == 10 and [g.item() for g in grads["list"]] == [6, 0]
    assert tree["list"] is inner and tree["pair"] is pair and inner[0] is a
    assert [tree["w"].item(), tree["new"].item()] == [6, 6]
    assert [v.item() for v in inner] == [5, 17, 6] and b.item() == 7


def test_moved_and_removed_arguments():
    a, b = mx.array(1.0), mx.array(2.0)
    both, named = [a, b], {"x": a, "y": b}

    def f(values, t):
        values.reverse()
        return values[0] * 2 + t.pop("x") * t["y"]

    grads = mx.grad(f, argnums=(0, 1))(both, named)
    assert [g.item() for g in grads[0]] == [0, 2] and grads[1]["x"].item() == 2
    assert both[0] is b and both[1] is a and set(named) == {"y"} and named["y"] is b


@pytest.mark.parametrize("step", [mx.value_and_grad, nn.value_and_grad])
def test_what_a_loss_puts_into_a_module_stays(step):
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm(2))
    bias, scale = model.layers[0].bias, model.layers[1].weight
    before = model.layers[0].weight

    def loss(x):
        model.layers[0].weight = model.layers[0].weight * 0.5
        return model(x).sum()

    step(model, loss)(mx.array([[1.0, 2.0], [3.0, 5.0]]))
    assert mx.array_equal(model.layers[0].weight, before * 0.5)
    assert model.layers[0].bias is bias and model.layers[1].weight is scale
    assert mx.any(model.layers[1].running_mean != 0)
