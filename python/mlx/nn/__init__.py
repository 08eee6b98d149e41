# ruff: noqa: F403
"""Neural network layers, initializers, losses and gradients of models."""

from mlx.nn import init as init
from mlx.nn import losses as losses
from mlx.nn import utils as utils
from mlx.nn.layers import *
from mlx.nn.utils import average_gradients as average_gradients
from mlx.nn.utils import value_and_grad as value_and_grad
