"""Recurrent layers over sequences (N, L, D) or (L, D)."""

from __future__ import annotations

import math
from collections.abc import Callable

import mlx.core as mx
from mlx.nn.layers.activations import tanh
from mlx.nn.layers.base import Module

__all__ = ["GRU", "LSTM", "RNN"]


def _project(x: mx.array, weight: mx.array, bias: mx.array | None) -> mx.array:
    return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)


def _along_time(steps: list[mx.array], x: mx.array, size: int) -> mx.array:
    return mx.stack(steps, axis=-2) if steps else mx.zeros((*x.shape[:-1], size), x.dtype)


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
        states = []
        for i in range(x.shape[-2]):
            state = projected[..., i, :]
            if hidden is not None:
                state = mx.addmm(state, hidden, self.Whh.T)
            hidden = self.nonlinearity(state)
            states.append(hidden)
        return _along_time(states, x, self.hidden_size)


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
        size = self.hidden_size
        projected = _project(x, self.Wx, self.b)
        states = []
        for i in range(x.shape[-2]):
            gates = projected[..., i, : 2 * size]
            candidate = projected[..., i, 2 * size :]
            recurrent = self.bhn
            if hidden is not None:
                from_hidden = hidden @ self.Wh.T
                gates = gates + from_hidden[..., : 2 * size]
                recurrent = from_hidden[..., 2 * size :]
                if self.bhn is not None:
                    recurrent = recurrent + self.bhn
            reset, keep = mx.split(mx.sigmoid(gates), 2, axis=-1)
            if recurrent is not None:
                candidate = candidate + reset * recurrent
            new = (1 - keep) * mx.tanh(candidate)
            hidden = new if hidden is None else new + keep * hidden
            states.append(hidden)
        return _along_time(states, x, size)


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
        hiddens, cells = [], []
        for i in range(x.shape[-2]):
            gates = projected[..., i, :]
            if hidden is not None:
                gates = mx.addmm(gates, hidden, self.Wh.T)
            entry, forget, candidate, output = mx.split(gates, 4, axis=-1)
            new = mx.sigmoid(entry) * mx.tanh(candidate)
            cell = new if cell is None else mx.sigmoid(forget) * cell + new
            hidden = mx.sigmoid(output) * mx.tanh(cell)
            hiddens.append(hidden)
            cells.append(cell)
        size = self.hidden_size
        return _along_time(hiddens, x, size), _along_time(cells, x, size)
