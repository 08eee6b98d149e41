"""The base class of optimizers: a tree of state beside the tree of parameters.

Step and learning rate are arrays in that state, so that a compiled training step takes the state
as input and output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import mlx.core as mx
from mlx.nn.layers.base import Module
from mlx.utils import tree_map

Schedule = Callable[[mx.array], mx.array]
Scheduled: TypeAlias = "float | mx.array | Schedule"


def _arrays_only(tree: Any) -> Any:
    """Copy a tree without the entries that are not arrays; in sequences `{}` takes their place."""
    if isinstance(tree, dict):
        kept = ((key, _arrays_only(value)) for key, value in tree.items())
        return {key: value for key, value in kept if value is not None}
    if isinstance(tree, (list, tuple)):
        values = [_arrays_only(value) for value in tree]
        if values and all(value is None for value in values):
            return None
        return type(tree)({} if value is None else value for value in values)
    return tree if isinstance(tree, mx.array) else None


def _complete(tree: Any, state: Any, init_single: Callable[[mx.array, dict], None]) -> Any:
    """Add to a tree of states what it lacks for a tree of parameters; the rest of it stays."""
    if isinstance(tree, dict):
        state = state if isinstance(state, dict) else {}
        state.update({k: _complete(v, state.get(k), init_single) for k, v in tree.items()})
        return state
    if isinstance(tree, (list, tuple)):
        states = list(state) if isinstance(state, (list, tuple)) else []
        states += [None] * (len(tree) - len(states))
        return [_complete(v, s, init_single) for v, s in zip(tree, states, strict=False)]
    fresh: dict[str, Any] = {}
    init_single(tree, fresh)
    state = state if isinstance(state, dict) else {}
    state.update({name: value for name, value in fresh.items() if name not in state})
    return state


class Optimizer:
    """Base class of optimizers.

    A subclass defines :meth:`init_single` and :meth:`apply_single` for one parameter and hands
    what may be scheduled, such as the learning rate, to ``_maybe_schedule``.

    Args:
        schedulers: functions from the step to a value, by the name of the state entry to set.
    """

    def __init__(self, schedulers: Mapping[str, Schedule] | None = None) -> None:
        self._initialized = False
        self._state: dict[str, Any] = {"step": mx.array(0, mx.uint64)}
        self._schedulers: dict[str, Schedule] = dict(schedulers or {})

    def update(self, model: Module, gradients: dict) -> None:
        """Take one step: replace the parameters of `model` for which there are gradients.

        Args:
            model: the model.
            gradients: a tree like ``model.trainable_parameters()`` or a part of it. Entries that
                are not arrays are ignored.
        """
        model.update(self.apply_gradients(gradients, model))

    def init(self, parameters: dict) -> None:
        """Create the state of all parameters that have none; what was there or assigned stays.

        The first call of :meth:`apply_gradients` creates what has gradients then and no state yet,
        and so does the first one after a state was assigned; call this before to have states for
        more, or to see the state before the first step.

        Args:
            parameters: a tree of arrays.
        """
        _complete(_arrays_only(parameters), self._state, self.init_single)
        self._initialized = True

    def init_single(self, parameter: mx.array, state: dict) -> None:
        """Add the entries of one parameter to the empty dictionary `state`."""
        raise NotImplementedError

    def apply_gradients(self, gradients: dict, parameters: dict) -> dict:
        """Take one step and return the new parameters.

        Args:
            gradients: a tree of arrays; entries that are not arrays are ignored.
            parameters: a tree that contains at least the structure of `gradients`.

        Returns:
            A tree of the structure of `gradients`.
        """
        gradients = _arrays_only(gradients)
        if not self._initialized:
            _complete(gradients, self._state, self.init_single)
            self._initialized = True
        for name, schedule in self._schedulers.items():
            self.state[name] = schedule(self.step)
        self.state["step"] = self.step + 1
        return tree_map(self.apply_single, gradients, parameters, self.state)

    def apply_single(self, gradient: mx.array, parameter: mx.array, state: dict) -> mx.array:
        """Return the new value of one parameter and change its `state`."""
        raise NotImplementedError

    @property
    def state(self) -> dict:
        """Step, learning rate and the states of the parameters, as a tree of arrays."""
        return self._state

    @state.setter
    def state(self, state: dict) -> None:
        self._initialized = False
        self._state = state

    @property
    def step(self) -> mx.array:
        """The number of steps taken."""
        return self.state["step"]

    @property
    def learning_rate(self) -> mx.array:
        """The present learning rate."""
        return self.state["learning_rate"]

    @learning_rate.setter
    def learning_rate(self, learning_rate: float | mx.array) -> None:
        self.state["learning_rate"] = mx.array(learning_rate)

    def _maybe_schedule(self, name: str, value: Scheduled) -> None:
        """Put a number, or the present value of a schedule, into the state."""
        if callable(value):
            self._schedulers[name] = value
            self.state[name] = value(self.step)
        else:
            self.state[name] = mx.array(value)
