"""Modules made of a sequence of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlx.nn.layers.base import Module

__all__ = ["Sequential"]


class Sequential(Module):
    """Call modules or plain functions one after the other, each on the result before it.

    Args:
        modules: the callables, kept in the list ``layers``.
    """

    def __init__(self, *modules: Callable[[Any], Any]) -> None:
        super().__init__()
        self.layers = list(modules)

    def __call__(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x
