"""All optimizers under one name; each lives in a file of its own."""

from mlx.optimizers.adam import Adam
from mlx.optimizers.adamw import AdamW
from mlx.optimizers.base import Optimizer
from mlx.optimizers.clip import clip_grad_norm
from mlx.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "Optimizer",
    "clip_grad_norm",
]
