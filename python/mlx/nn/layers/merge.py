"""Walk a tree of replacements and the module that they are for side by side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def merge_into(
    target: Any,
    tree: Any,
    strict: bool,
    noun: str,
    replace: Callable[[Any, Any, Any, Any], None],
) -> None:
    """Call `replace(target, key, current, new)` for all that `tree` and `target` both have."""
    if isinstance(tree, dict):
        known = target if isinstance(target, dict) else {}
        for key, new in tree.items():
            if key in known:
                replace(known, key, known[key], new)
            elif strict:
                raise ValueError(f'Module does not have {noun} named "{key}".')
    elif isinstance(tree, list) and (isinstance(target, list) or not tree):
        for i, new in enumerate(tree):
            if i < len(target):
                replace(target, i, target[i], new)
            elif strict:
                raise ValueError(
                    f"List index {i} is out of bounds for destination of length {len(target)}."
                )
    elif strict:
        raise ValueError(f"Received invalid type: {type(tree).__name__}.")
