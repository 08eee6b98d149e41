"""Several optimizers, each for a part of the parameters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import mlx.core as mx
from mlx.optimizers.base import Optimizer
from mlx.utils import tree_flatten, tree_merge, tree_unflatten

Predicate = Callable[[str, mx.array], bool]


class MultiOptimizer(Optimizer):
    """Give each parameter to the first optimizer whose filter takes it.

    Args:
        optimizers: the optimizers.
        filters: for each optimizer but the last, a function of path and gradient that says
            whether the optimizer takes the parameter. The last one takes the rest.

    Raises:
        ValueError: if there is not one filter fewer than optimizers.

    Example:
        >>> optimizer = optim.MultiOptimizer(
        ...     [optim.AdamW(1e-3), optim.Muon(2e-2)],
        ...     [lambda path, weight: "bias" in path or "embed" in path],
        ... )
    """

    def __init__(self, optimizers: Sequence[Optimizer], filters: Sequence[Predicate] = ()) -> None:
        super().__init__()
        self._state = {}
        if len(filters) != len(optimizers) - 1:
            raise ValueError(f"Given {len(filters)} filters but {len(optimizers) - 1} needed.")
        self.optimizers = list(optimizers)
        self.filters: list[Predicate] = [*filters, lambda path, weight: True]

    def _split(self, tree: dict) -> list[dict]:
        """The part of the tree that each optimizer takes."""
        parts: list[list[tuple[str, Any]]] = [[] for _ in self.optimizers]
        for path, leaf in tree_flatten(tree):
            taker = next(i for i, takes in enumerate(self.filters) if takes(path, leaf))
            parts[taker].append((path, leaf))
        return [tree_unflatten(part) if part else {} for part in parts]

    def init(self, parameters: dict) -> None:
        """Create the state of all parameters that have none."""
        for optimizer, part in zip(self.optimizers, self._split(parameters), strict=True):
            optimizer.init(part)

    def apply_gradients(self, gradients: dict, parameters: dict) -> dict:
        """Take one step with all optimizers and return the new parameters."""
        tree: dict = {}
        for optimizer, part in zip(self.optimizers, self._split(gradients), strict=True):
            if part:
                tree = tree_merge(tree, optimizer.apply_gradients(part, parameters))
        return tree

    @property
    def state(self) -> dict:
        """The states of all optimizers."""
        return {"states": [optimizer.state for optimizer in self.optimizers]}

    @state.setter
    def state(self, state: dict) -> None:
        if "states" not in state or len(state["states"]) != len(self.optimizers):
            raise ValueError("Invalid state provided")
        for optimizer, part in zip(self.optimizers, state["states"], strict=True):
            optimizer.state = part

    @property
    def learning_rate(self) -> mx.array:
        """The learning rate of the first optimizer; set it to set all."""
        return self.optimizers[0].learning_rate

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | mx.array) -> None:
        for optimizer in self.optimizers:
            optimizer.learning_rate = learning_rate
