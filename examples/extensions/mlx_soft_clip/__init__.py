"""An op in C++ for Python: soft_clip(x, limit) keeps values between -limit and limit, smoothly."""

import mlx.core as mx  # noqa: F401  (its types have to be there first)

from ._ext import soft_clip

__all__ = ["soft_clip"]
