"""All optimizers under one name; each lives in a file of its own."""

from mlx.optimizers.adadelta import AdaDelta
from mlx.optimizers.adafactor import Adafactor
from mlx.optimizers.adagrad import Adagrad
from mlx.optimizers.adam import Adam
from mlx.optimizers.adamax import Adamax
from mlx.optimizers.adamw import AdamW
from mlx.optimizers.base import Optimizer
from mlx.optimizers.clip import clip_grad_norm
from mlx.optimizers.lion import Lion
from mlx.optimizers.multi import MultiOptimizer
from mlx.optimizers.muon import Muon
from mlx.optimizers.rmsprop import RMSprop
from mlx.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "AdaDelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "MultiOptimizer",
    "Muon",
    "Optimizer",
    "RMSprop",
    "clip_grad_norm",
]
