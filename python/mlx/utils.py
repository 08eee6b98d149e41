"""Work on trees: nested dictionaries, lists and tuples with anything else as leaves.

Parameters, gradients and optimizer states are trees, so models, optimizers and files meet here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import Any, overload

Leaves = list[tuple[str, Any]]


def _join(path: str, key: object) -> str:
    return f"{path}.{key}"


def _rebuild(node: Any, children: Iterable[Any]) -> Any:
    """Make a sequence of the same type as `node`, named tuples included."""
    if hasattr(node, "_fields"):
        return type(node)(*children)
    return type(node)(children)


def tree_map(
    fn: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Apply `fn` to every leaf and return a tree of the results.

    Args:
        fn: receives a leaf of `tree` and the values found at the same place in each of `rest`.
        tree: gives the structure of the result.
        rest: further trees that contain at least the structure of `tree`.
        is_leaf: where it returns true the node is a leaf even if it is a container.

    Returns:
        A tree of new dictionaries, and of sequences of the same type as in `tree`.

    Example:
        >>> tree_map(lambda a, b: a + b, {"x": [1, 2]}, {"x": [10, 20]})
        {'x': [11, 22]}
    """
    if is_leaf is not None and is_leaf(tree):
        return fn(tree, *rest)
    if isinstance(tree, (list, tuple)):
        return _rebuild(
            tree,
            (
                tree_map(fn, child, *(r[i] for r in rest), is_leaf=is_leaf)
                for i, child in enumerate(tree)
            ),
        )
    if isinstance(tree, dict):
        return {
            key: tree_map(fn, child, *(r[key] for r in rest), is_leaf=is_leaf)
            for key, child in tree.items()
        }
    return fn(tree, *rest)


def tree_map_with_path(
    fn: Callable[..., Any],
    tree: Any,
    *rest: Any,
    is_leaf: Callable[[Any], bool] | None = None,
    path: Any | None = None,
) -> Any:
    """Apply `fn` to the path and the value of every leaf and return a tree of the results.

    Args:
        fn: receives the path as a string with dots, then what `tree_map` would give it.
        tree: gives the structure of the result.
        rest: further trees that contain at least the structure of `tree`.
        is_leaf: where it returns true the node is a leaf even if it is a container.
        path: put before every path.

    Example:
        >>> tree_map_with_path(lambda path, leaf: path, {"x": [1, 2]})
        {'x': ['x.0', 'x.1']}
    """
    if is_leaf is not None and is_leaf(tree):
        return fn(path, tree, *rest)

    def visit(key: Any, child: Any) -> Any:
        below = _join(path, key) if path else str(key)
        return tree_map_with_path(fn, child, *(r[key] for r in rest), is_leaf=is_leaf, path=below)

    if isinstance(tree, (list, tuple)):
        return _rebuild(tree, (visit(i, child) for i, child in enumerate(tree)))
    if isinstance(tree, dict):
        return {key: visit(key, child) for key, child in tree.items()}
    return fn(path, tree, *rest)


@overload
def tree_flatten(
    tree: Any,
    prefix: str = ...,
    is_leaf: Callable[[Any], bool] | None = ...,
    destination: Leaves | None = ...,
) -> Leaves: ...


@overload
def tree_flatten(
    tree: Any,
    prefix: str = ...,
    is_leaf: Callable[[Any], bool] | None = ...,
    *,
    destination: dict[str, Any],
) -> dict[str, Any]: ...


def tree_flatten(
    tree: Any,
    prefix: str = "",
    is_leaf: Callable[[Any], bool] | None = None,
    destination: Leaves | dict[str, Any] | None = None,
) -> Leaves | dict[str, Any]:
    """Collect the leaves of a tree under their paths.

    Args:
        tree: the tree; empty containers leave no trace.
        prefix: put before every path; its first character is dropped, so write ``".encoder"``.
        is_leaf: where it returns true the node is a leaf even if it is a container.
        destination: a list or dictionary to add to; a new list if not given.

    Returns:
        `destination`, holding ``(path, leaf)`` pairs or ``path: leaf`` entries.

    Raises:
        ValueError: if `destination` is neither a list nor a dictionary.

    Example:
        >>> tree_flatten({"x": [1, {"y": 2}]})
        [('x.0', 1), ('x.1.y', 2)]
    """
    if destination is None:
        destination = []
    elif not isinstance(destination, (list, dict)):
        raise ValueError("Destination should be either a list or a dictionary or None")

    if is_leaf is None or not is_leaf(tree):
        children: Iterable[tuple[Any, Any]] | None = None
        if isinstance(tree, (list, tuple)):
            children = enumerate(tree)
        elif isinstance(tree, dict):
            children = tree.items()
        if children is not None:
            for key, child in children:
                tree_flatten(child, _join(prefix, key), is_leaf, destination)  # type: ignore
            return destination

    name = prefix[1:]
    if isinstance(destination, dict):
        destination[name] = tree
    else:
        destination.append((name, tree))
    return destination


def _group_by_head(pairs: Iterable[tuple[str, Any]]) -> dict[str, Leaves]:
    groups: dict[str, Leaves] = {}
    for path, leaf in pairs:
        head, _, tail = path.partition(".")
        groups.setdefault(head, []).append((tail, leaf))
    return groups


# Larger gaps in a list than this are taken for a damaged path, not for a sparse list.
_LARGEST_GAP = 1 << 20


def _as_index(key: str) -> int | None:
    try:
        return int(key)
    except ValueError:
        return None


def tree_unflatten(tree: Leaves | dict[str, Any]) -> Any:
    """Build a tree from its leaves and paths, the inverse of :func:`tree_flatten`.

    A level becomes a list when all of its keys are different integers and a dictionary otherwise.
    Missing list positions are filled with empty dictionaries.

    Args:
        tree: ``(path, leaf)`` pairs or a dictionary from path to leaf.

    Raises:
        ValueError: if list indices lie so far apart that the paths must be damaged.

    Example:
        >>> tree_unflatten([("x.0", 1), ("x.1.y", 2)])
        {'x': [1, {'y': 2}]}
    """
    pairs = list(tree.items() if isinstance(tree, dict) else tree)
    if len(pairs) == 1 and pairs[0][0] == "":
        return pairs[0][1]

    groups = _group_by_head(pairs)
    indices = {key: _as_index(key) for key in groups}
    if None in indices.values() or len(set(indices.values())) < len(indices):  # as "0" and "00"
        return {key: tree_unflatten(group) for key, group in groups.items()}

    result: list[Any] = []
    for key, index in sorted(indices.items(), key=lambda item: item[1] or 0):
        gap = (index or 0) - len(result)
        if gap > _LARGEST_GAP:
            raise ValueError(f"The list index {index} leaves {gap} positions empty")
        result.extend({} for _ in range(gap))
        result.append(tree_unflatten(groups[key]))
    return result


def tree_reduce(
    fn: Callable[[Any, Any], Any],
    tree: Any,
    initializer: Any = None,
    is_leaf: Callable[[Any], bool] | None = None,
) -> Any:
    """Fold the leaves of a tree, from first to last, into one value.

    Args:
        fn: receives the value so far and a leaf and returns the next value.
        tree: the tree.
        initializer: the value to start from; the first leaf if it is ``None``.
        is_leaf: where it returns true the node is a leaf even if it is a container.

    Example:
        >>> tree_reduce(lambda total, leaf: total + leaf, {"x": [1, 2], "y": 3})
        6
    """
    if is_leaf is None or not is_leaf(tree):
        if isinstance(tree, dict):
            tree = list(tree.values())
        if isinstance(tree, (list, tuple)):
            for child in tree:
                initializer = tree_reduce(fn, child, initializer, is_leaf)
            return initializer
    return tree if initializer is None else fn(initializer, tree)


def _is_absent(tree: Any) -> bool:
    return tree is None or (isinstance(tree, (dict, list, tuple)) and len(tree) == 0)


def tree_merge(
    tree_a: Any,
    tree_b: Any,
    merge_fn: Callable[[Any, Any], Any] | None = None,
) -> Any:
    """Unite two trees whose leaves lie in different places.

    ``None`` and empty containers give way to whatever the other tree has.

    Args:
        tree_a: the first tree; its sequence types are those of the result.
        tree_b: the second tree.
        merge_fn: makes one value of two that meet in the same place.

    Raises:
        ValueError: if two values meet and there is no `merge_fn`.

    Example:
        >>> tree_merge({"x": {"a": 1}}, {"x": {"b": 2}})
        {'x': {'a': 1, 'b': 2}}
    """
    if _is_absent(tree_a):
        return tree_b
    if _is_absent(tree_b):
        return tree_a
    if isinstance(tree_a, dict) and isinstance(tree_b, dict):
        keys = list(tree_a) + [key for key in tree_b if key not in tree_a]
        return {key: tree_merge(tree_a.get(key), tree_b.get(key), merge_fn) for key in keys}
    if isinstance(tree_a, (list, tuple)) and isinstance(tree_b, (list, tuple)):
        return _rebuild(
            tree_a, (tree_merge(a, b, merge_fn) for a, b in zip_longest(tree_a, tree_b))
        )
    if merge_fn is None:
        raise ValueError(
            "Trees contain elements at the same locations but no merge function was provided"
        )
    return merge_fn(tree_a, tree_b)
