"""Recurrent layers over sequences (N, L, D) or (L, D)."""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
from mlx.nn.layers.activations import ReLU, Tanh, relu, tanh
from mlx.nn.layers.base import Module

__all__ = ["GRU", "LSTM", "RNN"]


def _project(x: mx.array, weight: mx.array, bias: mx.array | None) -> mx.array:
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)


def _kind(nonlinearity: Callable) -> str | None:
    """The name of the loop with this nonlinearity that is one node, if there is one."""
    if nonlinearity in (tanh, mx.tanh) or type(nonlinearity) is Tanh:
        return "rnn_tanh"
    if nonlinearity is relu or type(nonlinearity) is ReLU:
        return "rnn_relu"
    return None


class RNN(Module):
    """Elman network: ``h = f(Wxh @ x + Whh @ h + bias)`` for each step.

    ``Wxh`` (hidden, input), ``Whh`` (hidden, hidden) and ``bias`` start uniform between plus and
    minus ``hidden_size ** -0.5``.

    Args:
        input_size: size of the last axis of the input.
        hidden_size: size of the hidden state.
        bias: whether to add a bias.
        nonlinearity: the function f; the hyperbolic tangent if not given.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: Callable | None = None,
    ) -> None:
        super().__init__()
        self.nonlinearity = tanh if nonlinearity is None else nonlinearity
        if not callable(self.nonlinearity):
            raise ValueError(f"Nonlinearity must be callable. Current value: {nonlinearity}.")
        bound = 1.0 / math.sqrt(hidden_size)
        self.hidden_size = hidden_size
        self.Wxh = mx.random.uniform(-bound, bound, (hidden_size, input_size))
        self.Whh = mx.random.uniform(-bound, bound, (hidden_size, hidden_size))
        self.bias = mx.random.uniform(-bound, bound, (hidden_size,)) if bias else None

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self.Wxh.shape[1]}, hidden_size={self.hidden_size}, "
            f"nonlinearity={self.nonlinearity}, bias={self.bias is not None}"
        )

    def __call__(self, x: mx.array, hidden: mx.array | None = None) -> mx.array:
        """Run over the sequence.

        Args:
            x: the sequence, (N, L, D) or (L, D).
            hidden: the state to start from, zeros if not given.

        Returns:
            The states after all steps, (N, L, H) or (L, H).
        """
        projected = _project(x, self.Wxh, self.bias)
        kind = _kind(self.nonlinearity)
        if kind is not None:
            return mx._recurrent(kind, projected, self.Whh, hidden=hidden)[0]
        states = []
        for i in range(x.shape[-2]):
            state = projected[..., i, :]
            if hidden is not None:
                state = mx.addmm(state, hidden, self.Whh.T)
            hidden = self.nonlinearity(state)
            states.append(hidden)
        return mx.stack(states, axis=-2) if states else projected


class GRU(Module):
    """Gated recurrent units (Cho et al., 2014), for each step::

        r = sigmoid(Wr x + Ur h + br)
        z = sigmoid(Wz x + Uz h + bz)
        n = tanh(Wn x + bn + r * (Un h + bhn))
        h = (1 - z) * n + z * h

    ``Wx`` (3 hidden, input), ``Wh`` (3 hidden, hidden) and ``b`` hold r, z and n one after the
    other. They and ``bhn`` start uniform between plus and minus ``hidden_size ** -0.5``.

    Args:
        input_size: size of the last axis of the input.
        hidden_size: size of the hidden state.
        bias: whether to add the biases.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        bound = 1.0 / math.sqrt(hidden_size)
        self.Wx = mx.random.uniform(-bound, bound, (3 * hidden_size, input_size))
        self.Wh = mx.random.uniform(-bound, bound, (3 * hidden_size, hidden_size))
        self.b = mx.random.uniform(-bound, bound, (3 * hidden_size,)) if bias else None
        self.bhn = mx.random.uniform(-bound, bound, (hidden_size,)) if bias else None

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self.Wx.shape[1]}, hidden_size={self.hidden_size}, "
            f"bias={self.b is not None}"
        )

    def __call__(self, x: mx.array, hidden: mx.array | None = None) -> mx.array:
        """Run over the sequence.

        Args:
            x: the sequence, (N, L, D) or (L, D).
            hidden: the state to start from, zeros if not given.

        Returns:
            The states after all steps, (N, L, H) or (L, H).
        """
        projected = _project(x, self.Wx, self.b)
        return mx._recurrent("gru", projected, self.Wh, self.bhn, hidden)[0]


class LSTM(Module):
    """Long short-term memory (Hochreiter and Schmidhuber, 1997), for each step::

        i, f, o = sigmoid(W x + U h + b), each with its own part of the weights
        g = tanh(Wg x + Ug h + bg)
        c = f * c + i * g
        h = o * tanh(c)

    ``Wx`` (4 hidden, input), ``Wh`` (4 hidden, hidden) and ``bias`` hold i, f, g and o one after
    the other and start uniform between plus and minus ``hidden_size ** -0.5``.

    Args:
        input_size: size of the last axis of the input.
        hidden_size: size of the hidden state.
        bias: whether to add a bias.
    """

    def __init__(self, input_size: int, hidden_size: int, bias: bool = True) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        bound = 1.0 / math.sqrt(hidden_size)
        self.Wx = mx.random.uniform(-bound, bound, (4 * hidden_size, input_size))
        self.Wh = mx.random.uniform(-bound, bound, (4 * hidden_size, hidden_size))
        self.bias = mx.random.uniform(-bound, bound, (4 * hidden_size,)) if bias else None

    def _extra_repr(self) -> str:
        return (
            f"input_dims={self.Wx.shape[1]}, hidden_size={self.hidden_size}, "
            f"bias={self.bias is not None}"
        )

    def __call__(
        self,
        x: mx.array,
        hidden: mx.array | None = None,
        cell: mx.array | None = None,
    ) -> tuple[mx.array, mx.array]:
        """Run over the sequence.

        Args:
            x: the sequence, (N, L, D) or (L, D).
            hidden: the hidden state to start from, zeros if not given.
            cell: the cell state to start from, zeros if not given.

        Returns:
            The hidden and the cell states after all steps, each (N, L, H) or (L, H).
        """
        projected = _project(x, self.Wx, self.bias)
        hiddens, cells = mx._recurrent("lstm", projected, self.Wh, None, hidden, cell)
        return hiddens, cells
