"""The base class of everything that holds parameters.

A module is a dictionary of its arrays and sub-modules, so models are trees like any other and
transforms, optimizers and files need no special case for them.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import mlx.core as mx
from mlx.nn.layers.merge import merge_into
from mlx.nn.layers.weights import Weights, check_weights, read_weights, write_weights
from mlx.utils import tree_flatten, tree_unflatten

if TYPE_CHECKING:
    _Entries = dict
else:
    from mlx.core import _Entries

__all__ = ["Module"]

Filter = Callable[["Module", str, Any], bool]


def _is_floating(dtype: mx.Dtype) -> bool:
    return mx.issubdtype(dtype, mx.floating)


def _is_leaf_value(module: Module, key: str, value: Any) -> bool:
    return not isinstance(value, (dict, list))


def _is_module_value(module: Module, key: str, value: Any) -> bool:
    return isinstance(value, Module)


class Module(_Entries):
    """Base class of models and layers.

    Attributes that are arrays, dictionaries, lists or tuples become entries of the dictionary;
    everything else is an ordinary attribute. Arrays below entries whose name does not start with
    an underscore are the parameters. Sub-modules may sit inside lists and dictionaries.

    Example:
        >>> class Mlp(nn.Module):
        ...     def __init__(self, dims: int):
        ...         super().__init__()
        ...         self.layers = [nn.Linear(dims, dims) for _ in range(2)]
        ...
        ...     def __call__(self, x):
        ...         for layer in self.layers:
        ...             x = nn.relu(layer(x))
        ...         return x
    """

    __call__: Callable

    def __init__(self) -> None:
        super().__init__()
        self._no_grad: set[str] = set()
        self._training = True

    @property
    def training(self) -> bool:
        """Whether the module is in training mode."""
        return self._training

    @property
    def state(self) -> Module:
        """The module itself: all it holds, to hand to ``mx.compile`` as inputs and outputs."""
        return self

    def _extra_repr(self) -> str:
        """Text that subclasses put between the parentheses of their ``repr``."""
        return ""

    def __repr__(self) -> str:
        children = tree_flatten(self.children(), is_leaf=self.is_module)
        text = f"{type(self).__name__}({self._extra_repr()}"
        for name, child in children:
            text += "\n" + textwrap.indent(f"({name}): {child!r}", prefix="  ")
        return text + ("\n)" if children else ")")

    if TYPE_CHECKING:

        def __getattr__(self, key: str) -> Any: ...

    def __setattr__(self, key: str, val: Any) -> None:
        if isinstance(val, (mx.array, dict, list, tuple)):
            if hasattr(type(self), key):
                raise AttributeError(
                    f"{type(self).__name__!r} object cannot store {key!r}: its class defines it"
                )
            self.__dict__.pop(key, None)
            self[key] = val
        else:
            super().__setattr__(key, val)
            self.pop(key, None)

    def __delattr__(self, name: str) -> None:
        if name in self:
            del self[name]
        else:
            super().__delattr__(name)

    # ------------------------------------------------------------------ weights and files

    def load_weights(
        self,
        file_or_weights: Weights,
        strict: bool = True,
    ) -> Module:
        """Replace parameters by those of a file or of a list, without reading the data yet.

        Args:
            file_or_weights: the path of a ``.safetensors`` or ``.npz`` file, or pairs of
                parameter name and array.
            strict: demand that the names are exactly those of the model and the shapes agree.
                Otherwise names that the model lacks are ignored and shapes may change.

        Returns:
            The module itself.

        Raises:
            ValueError: in strict mode, naming the parameters that are superfluous, missing, of
                another shape or not arrays.
        """
        weights = read_weights(file_or_weights)
        if strict:
            check_weights(tree_flatten(self.parameters(), destination={}), weights)
        if weights:
            self.update(tree_unflatten(weights), strict=False)
        return self

    def save_weights(self, file: str | os.PathLike) -> None:
        """Write all parameters to a ``.safetensors`` or ``.npz`` file, by their paths.

        Raises:
            ValueError: if the file name ends in neither.
        """
        write_weights(file, tree_flatten(self.parameters(), destination={}))

    # ------------------------------------------------------------------ traversal

    @staticmethod
    def is_module(value: Any) -> bool:
        """Whether `value` is a module."""
        return isinstance(value, Module)

    @staticmethod
    def valid_child_filter(module: Module, key: str, value: Any) -> bool:
        """Accept what may hold sub-modules: dictionaries (modules are some) and lists."""
        return isinstance(value, (dict, list))

    @staticmethod
    def valid_parameter_filter(module: Module, key: str, value: Any) -> bool:
        """Accept arrays, dictionaries and lists under names without a leading underscore."""
        return isinstance(value, (dict, list, mx.array)) and not key.startswith("_")

    @staticmethod
    def trainable_parameter_filter(module: Module, key: str, value: Any) -> bool:
        """Accept what :meth:`valid_parameter_filter` accepts and `module` has not frozen."""
        return Module.valid_parameter_filter(module, key, value) and key not in module._no_grad

    def filter_and_map(
        self,
        filter_fn: Filter,
        map_fn: Callable[[Any], Any] | None = None,
        is_leaf_fn: Filter | None = None,
    ) -> dict[str, Any]:
        """Select and transform the contents of the module and of all modules below it.

        Args:
            filter_fn: receives the module, the name of an entry in it and the value, and says
                whether to keep it. Names inside containers are paths such as ``layers.0``.
            map_fn: makes the result out of a leaf; the identity if not given.
            is_leaf_fn: receives the same as `filter_fn` and says whether a kept value is a leaf;
                by default everything but dictionaries and lists is.

        Returns:
            A tree of plain dictionaries and lists. What the filter refuses is absent from
            modules and an empty dictionary inside other containers.

        Raises:
            RuntimeError: if a value is neither a leaf nor a container.
        """
        is_leaf = is_leaf_fn or _is_leaf_value

        def unwrap(module: Module, key: str, value: Any) -> Any:
            if is_leaf(module, key, value):
                return value if map_fn is None else map_fn(value)
            if isinstance(value, Module):
                return contents(value)
            if isinstance(value, dict):
                return {k: nested(module, f"{key}.{k}", v) for k, v in value.items()}
            if isinstance(value, list):
                return [nested(module, f"{key}.{i}", v) for i, v in enumerate(value)]
            raise RuntimeError("Unexpected leaf found while traversing the module")

        def nested(module: Module, key: str, value: Any) -> Any:
            return unwrap(module, key, value) if filter_fn(module, key, value) else {}

        def contents(module: Module) -> dict[str, Any]:
            return {k: unwrap(module, k, v) for k, v in module.items() if filter_fn(module, k, v)}

        return contents(self)

    def parameters(self) -> dict[str, Any]:
        """All parameters, as a tree of plain dictionaries and lists."""
        return self.filter_and_map(self.valid_parameter_filter)

    def trainable_parameters(self) -> dict[str, Any]:
        """The parameters that are not frozen, as a tree of plain dictionaries and lists."""
        return self.filter_and_map(self.trainable_parameter_filter)

    def children(self) -> dict[str, Any]:
        """The direct sub-modules, in the containers they are held in."""
        return self.filter_and_map(self.valid_child_filter, is_leaf_fn=_is_module_value)

    def leaf_modules(self) -> dict[str, Any]:
        """The modules below this one that have no sub-modules, as a tree."""

        def is_leaf(module: Module, key: str, value: Any) -> bool:
            if not isinstance(value, Module):
                return False
            return not tree_flatten(value.children(), is_leaf=self.is_module)

        return self.filter_and_map(self.valid_child_filter, is_leaf_fn=is_leaf)

    def named_modules(self) -> list[tuple[str, Module]]:
        """This module and all below it with their paths; its own path is empty."""
        found: list[tuple[str, Module]] = []
        pending: list[tuple[str, Module]] = [("", self)]
        while pending:
            name, module = pending.pop()
            found.append((name, module))
            prefix = f".{name}" if name else ""
            pending.extend(tree_flatten(module.children(), prefix, self.is_module))
        return found

    def modules(self) -> list[Module]:
        """This module and all below it."""
        return [module for _, module in self.named_modules()]

    # ------------------------------------------------------------------ change

    def update(self, parameters: dict, strict: bool = True) -> Module:  # type: ignore[override]
        """Replace the parameters found in a tree; all others stay.

        Args:
            parameters: a tree with the structure of :meth:`parameters` or a part of it. Empty
                dictionaries stand for things to leave alone.
            strict: raise an error for entries that the module lacks or that are not arrays.

        Returns:
            The module itself.
        """

        def replace(holder: Any, key: Any, current: Any, new: Any) -> None:
            if not isinstance(current, mx.array):
                merge_into(current, new, strict, "parameter", replace)
            elif isinstance(new, dict) and not new:
                pass  # where a filter refused an entry of a list
            elif strict and not isinstance(new, mx.array):
                raise ValueError(f"Received invalid type: {type(new).__name__}.")
            else:
                holder[key] = new

        merge_into(self, parameters, strict, "parameter", replace)
        return self

    def update_modules(self, modules: dict, strict: bool = True) -> Module:
        """Replace the sub-modules found in a tree; all others stay.

        Args:
            modules: a tree with the structure of :meth:`children` or :meth:`leaf_modules` or a
                part of it. Empty dictionaries stand for things to leave alone.
            strict: raise an error for entries that the module lacks or that are not modules.

        Returns:
            The module itself.
        """

        def replace(holder: Any, key: Any, current: Any, new: Any) -> None:
            if self.is_module(current) and self.is_module(new):
                holder[key] = new
            elif isinstance(current, (dict, list)):
                merge_into(current, new, strict, "sub-module", replace)
            elif strict and (self.is_module(new) or new != {}):
                raise ValueError(f"Received invalid type: {type(new).__name__}.")

        merge_into(self, modules, strict, "sub-module", replace)
        return self

    def apply(
        self,
        map_fn: Callable[[mx.array], mx.array],
        filter_fn: Filter | None = None,
    ) -> Module:
        """Replace every parameter by `map_fn` of it.

        Args:
            map_fn: receives and returns an array.
            filter_fn: selects the parameters, as in :meth:`filter_and_map`; all if not given.

        Returns:
            The module itself.
        """
        self.update(self.filter_and_map(filter_fn or self.valid_parameter_filter, map_fn))
        return self

    def apply_to_modules(self, apply_fn: Callable[[str, Module], Any]) -> Module:
        """Call `apply_fn` with the path and the module for this module and all below it."""
        for name, module in self.named_modules():
            apply_fn(name, module)
        return self

    def set_dtype(
        self,
        dtype: mx.Dtype,
        predicate: Callable[[mx.Dtype], bool] | None = _is_floating,
    ) -> None:
        """Convert the parameters to another dtype.

        Args:
            dtype: the new dtype.
            predicate: says for a present dtype whether to convert; by default floating ones are
                converted, and with ``None`` all.
        """

        def convert(value: mx.array) -> mx.array:
            return value.astype(dtype) if predicate is None or predicate(value.dtype) else value

        self.apply(convert)

    # ------------------------------------------------------------------ freezing and modes

    def _select(
        self, recurse: bool, keys: str | list[str] | None, strict: bool
    ) -> tuple[list[Module], list[str] | None]:
        """The modules and the names that a call of freeze or unfreeze means."""
        modules = self.modules() if recurse else [self]
        names = [keys] if isinstance(keys, str) else keys
        if strict and names is not None:
            for name in names:
                if not any(name in module for module in modules):
                    raise KeyError(f"Module doesn't contain member {name}.")
        return modules, names

    def _own_parameter_names(self) -> list[str]:
        def is_own(module: Module, key: str, value: Any) -> bool:
            return not self.is_module(value) and self.valid_parameter_filter(module, key, value)

        return [name for name, _ in tree_flatten(self.filter_and_map(is_own))]

    def freeze(
        self,
        *,
        recurse: bool = True,
        keys: str | list[str] | None = None,
        strict: bool = False,
    ) -> Module:
        """Exclude parameters from :meth:`trainable_parameters`.

        Args:
            recurse: do the same in all modules below.
            keys: only the parameters of these names; all if not given.
            strict: raise an error if no module concerned has an entry of a given name.

        Returns:
            The module itself.

        Raises:
            KeyError: in strict mode.
        """

        modules, names = self._select(recurse, keys, strict)
        for module in modules:
            module._no_grad.update(module._own_parameter_names() if names is None else names)
        return self

    def unfreeze(
        self,
        *,
        recurse: bool = True,
        keys: str | list[str] | None = None,
        strict: bool = False,
    ) -> Module:
        """Undo :meth:`freeze`.

        Args:
            recurse: do the same in all modules below.
            keys: only the parameters of these names; all if not given.
            strict: raise an error if no module concerned has an entry of a given name.

        Returns:
            The module itself.

        Raises:
            KeyError: in strict mode.
        """

        modules, names = self._select(recurse, keys, strict)
        for module in modules:
            module._no_grad.difference_update(set(module._no_grad) if names is None else names)
        return self

    def _set_training_mode(self, mode: bool) -> None:
        """Take over the mode; subclasses that keep more than a flag extend this."""
        self._training = mode

    def train(self, mode: bool = True) -> Module:
        """Set training mode (or evaluation mode) here and in all modules below."""
        for module in self.modules():
            module._set_training_mode(mode)
        return self

    def eval(self) -> Module:
        """Set evaluation mode here and in all modules below."""
        return self.train(False)
