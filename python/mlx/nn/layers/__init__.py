# ruff: noqa: F403
"""All layers; each module here lists what it adds."""

from mlx.nn.layers.activations import *
from mlx.nn.layers.base import *
from mlx.nn.layers.containers import *
from mlx.nn.layers.linear import *
