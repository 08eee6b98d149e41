"""Weights of modules in files: reading, writing and checking them against a model."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, TypeAlias

import mlx.core as mx

Weights: TypeAlias = "str | os.PathLike | dict[str, mx.array] | Iterable[tuple[str, mx.array]]"


def read_weights(file_or_weights: Weights) -> dict[str, mx.array]:
    """Weights by name, out of a file (lazily), a dictionary or pairs of name and array."""
    weights: Any = file_or_weights
    if isinstance(weights, (str, os.PathLike)):
        weights = mx.load(os.fspath(weights))
    pairs = list(weights.items() if isinstance(weights, dict) else weights)
    named: dict[str, mx.array] = dict(pairs)
    if len(named) != len(pairs):
        raise ValueError(f"Received {len(pairs) - len(named)} parameters more than once.")
    return named


def check_weights(own: dict[str, mx.array], weights: dict[str, mx.array]) -> None:
    """Raise a ValueError unless names and shapes of `weights` are those of the model's `own`."""
    for names, complaint in (
        (weights.keys() - own.keys(), "Received {} parameters not in model"),
        (own.keys() - weights.keys(), "Missing {} parameters"),
    ):
        if names:
            listing = ",\n".join(sorted(names))
            raise ValueError(f"{complaint.format(len(names))}: \n{listing}.")
    for name, current in own.items():
        new = weights[name]
        if not isinstance(new, mx.array):
            raise ValueError(f"Expected mx.array but received {type(new)} for parameter {name}")
        if new.shape != current.shape:
            raise ValueError(
                f"Expected shape {current.shape} but received shape {new.shape} "
                f"for parameter {name}"
            )


def write_weights(file: str | os.PathLike, weights: dict[str, mx.array]) -> None:
    """Write weights to a ``.safetensors`` or ``.npz`` file."""
    path = os.fspath(file)
    if path.endswith(".npz"):
        mx.savez(path, **weights)
    elif path.endswith(".safetensors"):
        mx.save_safetensors(path, weights)
    else:
        raise ValueError(f"Unsupported file extension for {path}. Use '.npz' or '.safetensors'.")
