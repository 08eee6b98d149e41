"""Trees: mapping, flattening and its inverse, folding and merging."""

from collections import OrderedDict, namedtuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import (
    tree_flatten,
    tree_map,
    tree_map_with_path,
    tree_merge,
    tree_reduce,
    tree_unflatten,
)

TREE = {"a": 1, "b": [2, (3, 4), {}], "c": {"d": 5, "e": []}}
Pair = namedtuple("Pair", "x y")


def test_map_keeps_the_structure():
    doubled = tree_map(lambda x: 2 * x, TREE)
    assert doubled == {"a": 2, "b": [4, (6, 8), {}], "c": {"d": 10, "e": []}}
    assert tree_map(lambda x: x + 1, Pair(1, 2)) == Pair(2, 3)
    assert type(tree_map(lambda x: x, OrderedDict(a=1))) is dict
    assert type(tree_map(lambda x: x, nn.ReLU())) is dict
    assert tree_map(str, None) == "None"


def test_map_takes_several_trees_and_a_leaf_test():
    assert tree_map(lambda a, b: a + b, [1, {"x": 2}], (10, {"x": 20, "more": 0})) == [
        11,
        {"x": 22},
    ]
    assert tree_map(len, {"a": [1, 2]}, is_leaf=lambda t: isinstance(t, list)) == {"a": 2}
    with pytest.raises(KeyError):
        tree_map(lambda a, b: a, {"a": 1}, {"b": 1})
    with pytest.raises(IndexError):
        tree_map(lambda a, b: a, [1, 2], [1])


def test_map_with_path():
    paths = tree_map_with_path(lambda path, x: path, TREE)
    assert paths == {"a": "a", "b": ["b.0", ("b.1.0", "b.1.1"), {}], "c": {"d": "c.d", "e": []}}
    assert tree_map_with_path(lambda path, x, y: (path, x, y), {1: 2}, {1: 3}) == {1: ("1", 2, 3)}
    assert tree_map_with_path(lambda path, x: path, [0], path="top") == ["top.0"]
    assert tree_map_with_path(lambda path, x: path, 3) is None
    whole = tree_map_with_path(lambda path, x: path, {"a": [1]}, is_leaf=lambda t: t == [1])
    assert whole == {"a": "a"}


def test_flatten():
    pairs = [("a", 1), ("b.0", 2), ("b.1.0", 3), ("b.1.1", 4), ("c.d", 5)]
    assert tree_flatten(TREE) == pairs
    assert tree_flatten(TREE, destination={}) == dict(pairs)
    assert tree_flatten({"x": 1}, prefix=".top") == [("top.x", 1)]
    assert tree_flatten(7) == [("", 7)]
    assert tree_flatten([]) == []
    assert tree_flatten({"n": None}) == [("n", None)]
    assert tree_flatten({"a": [1]}, is_leaf=lambda t: isinstance(t, list)) == [("a", [1])]
    started = [("z", 0)]
    assert tree_flatten({"x": 1}, destination=started) is started
    assert started == [("z", 0), ("x", 1)]
    with pytest.raises(ValueError, match="list or a dictionary"):
        tree_flatten(TREE, destination=3)


@pytest.mark.parametrize(
    "pairs, tree",
    [
        ([("a.0", 1), ("a.1", 2)], {"a": [1, 2]}),
        ([("1", "b"), ("0", "a")], ["a", "b"]),
        ([("10", 1), ("9", 2)], [{}] * 9 + [2, 1]),
        ([("a.2", 1)], {"a": [{}, {}, 1]}),
        ([("a.0", 1), ("a.x", 2)], {"a": {"0": 1, "x": 2}}),
        ([("", 3)], 3),
        ([], []),
        ({"x.y": 1}, {"x": {"y": 1}}),
    ],
)
def test_unflatten(pairs, tree):
    assert tree_unflatten(pairs) == tree
    assert tree_unflatten([("00", 1), ("0", 2)]) == {"00": 1, "0": 2}


def test_unflatten_undoes_flatten_and_refuses_absurd_indices():
    tree = {"a": 1, "b": [2, [3, 4]], "c": {"d": {"e": 5}}}
    assert tree_unflatten(tree_flatten(tree)) == tree
    with pytest.raises(ValueError, match="99999999999"):
        tree_unflatten([("a.99999999999", 1)])


def test_reduce():
    assert tree_reduce(lambda total, x: total + x, TREE) == 15
    assert tree_reduce(lambda total, x: total + x, TREE, 100) == 115
    assert tree_reduce(lambda total, x: total + x, {}) is None
    assert tree_reduce(lambda total, x: total + x, [], 4) == 4
    tuples = tree_reduce(lambda n, x: [*n, x], TREE, [], is_leaf=lambda t: isinstance(t, tuple))
    assert tuples == [1, 2, (3, 4), 5]
    norm = tree_reduce(lambda s, x: s + x.square().sum(), [mx.array([3.0]), mx.array([4.0])], 0.0)
    np.testing.assert_allclose(norm.item(), 25.0)


def test_merge():
    assert tree_merge({"a": {"x": 1}}, {"a": {"y": 2}, "b": 3}) == {"a": {"x": 1, "y": 2}, "b": 3}
    assert tree_merge({"a": [1, None]}, {"a": [None, 2, 3]}) == {"a": [1, 2, 3]}
    assert tree_merge((1, {}), [None, 2]) == (1, 2)
    assert tree_merge({"a": 1}, {"a": 2}, lambda a, b: (a, b)) == {"a": (1, 2)}
    assert tree_merge({"a": []}, {"a": {"b": 1}}) == {"a": {"b": 1}}
    for a, b in [({"a": 1}, {"a": 2}), ({"a": [1]}, {"a": {"b": 1}}), (1, 2)]:
        with pytest.raises(ValueError, match="merge function"):
            tree_merge(a, b)
