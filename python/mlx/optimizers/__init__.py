# ruff: noqa: F403
"""Optimizers and learning rate schedules."""

from mlx.optimizers.optimizers import *
from mlx.optimizers.schedulers import *
