"""Statements that are mistakes: each has to raise, name what is wrong and leave everything whole."""

from __future__ import annotations

import numpy as np
from generate import Generator
from values import EVERY


def index_beyond(g: Generator) -> None:
    x = g.any(EVERY, lambda s: len(s) > 0)
    n = g.shape(x)[0]
    beyond = g.choice([n, n + 1, -n - 1, 2**31, -(2**31) - 1, 2**63, 10**30])
    g.wrong(g.choice([f"{x}[{beyond}]", f"{x}[{beyond}] = 0", f"{x}.at[{beyond}].add(1)"]), [x])


def array_beyond(g: Generator) -> None:
    """Values of an array of indices are known when it is evaluated, and raise there."""
    x = g.any(EVERY, lambda s: len(s) > 0 and 0 not in s[1:])
    n = g.shape(x)[0]
    dtype = g.choice(["int32", "int64", "uint32"])
    far = (
        g.choice([n, n + 3, 2**31 - 1])
        if dtype[0] == "u" or g.chance(0.5)
        else g.choice([-n - 1, -(2**31)])
    )
    i = g.leaf(np.array([far, 0][: g.choice([1, 2])]), dtype)
    lines = [
        f"mx.eval({x}[{i}])",
        f"mx.eval(mx.take({x}, {i}, axis=0))",
        f"mx.eval({x}.at[{i}].add(1))",
    ]
    lines += [f"np.array({x}[{i}] + 1)"]
    g.wrong(g.choice(lines), [x, i])


def axis_beyond(g: Generator) -> None:
    x = g.any(EVERY)
    rank = len(g.shape(x))
    axis = g.choice([rank, rank + 1, -rank - 1, 2**31 - 1, -(2**31)])
    if rank == 0 and axis in (0, -1):
        axis = 5
    lines = [
        f"mx.sum({x}, axis={axis})",
        f"mx.sort({x}, axis={axis})",
        f"mx.argmax({x}, axis={axis})",
    ]
    lines += [f"mx.squeeze({x}, {axis})", f"mx.concatenate([{x}, {x}], axis={axis})"]
    lines += [
        f"mx.swapaxes({x}, 0, {axis})",
        f"mx.cumsum({x}, axis={axis})",
        f"mx.split({x}, 1, axis={axis})",
    ]
    g.wrong(g.choice(lines), [x])


def shapes_apart(g: Generator) -> None:
    x = g.any(EVERY, lambda s: len(s) > 0 and s[-1] > 1)
    n = g.shape(x)[-1]
    y = g.new(g.dtype(x), (n + 1,))
    lines = [
        f"{x} + {y}",
        f"{x} @ {y}",
        f"mx.where({x}, {x}, {y})",
        f"mx.broadcast_to({x}, ({n + 1},))",
    ]
    lines += [f"{x}[...] = {y}", f"{x} += {y}", f"mx.inner({x}, {y})", f"{x}.at[...].add({y})"]
    g.wrong(g.choice(lines), [x, y])


def sizes_apart(g: Generator) -> None:
    x = g.any(EVERY)
    n = g.data(x).size
    lines = [
        f"mx.reshape({x}, ({n + 1},))",
        f"mx.reshape({x}, (-1, -1))",
        f"mx.reshape({x}, (-2,))",
    ]
    lines += [f"mx.reshape({x}, (2**31, 2**31, 4))", f"mx.as_strided({x}, ({n + 1},), (1,), 0)"]
    lines += [f"mx.as_strided({x}, (2,), (2**40,), 0)", f"mx.as_strided({x}, (1,), (1,), {n})"]
    lines += [f"mx.as_strided({x}, (2,), (-1,), 0)", f"mx.broadcast_to({x}, (-1,))"]
    lines += [f"mx.transpose({x}, {(*range(len(g.shape(x)) + 1),)})", f"mx.tile({x}, (-1,))"]
    lines += [f"mx.broadcast_to({x}, (2**40, *{g.shape(x)}))", "mx.zeros((2**31, 2**31, 2))"]
    lines += [
        f"mx.repeat({x}, -1)",
        f"mx.pad({x}, -1)" if g.shape(x) else f"mx.pad({x}, 1, 'none')",
    ]
    g.wrong(g.choice(lines), [x])


def kinds_apart(g: Generator) -> None:
    x = g.any(["float32", "float16"])
    lines = [f"{x} & {x}", f"{x}['a']", f"{x}[1.5]", f"mx.left_shift({x}, {x})", f"{x}[{x}]"]
    lines += [
        f"mx.take({x}, {x})",
        f"mx.add({x}, 'a')",
        f"mx.sum({x}, axis='a')",
        "mx.concatenate([])",
    ]
    lines += [f"mx.reshape({x}, 'ab')", f"mx.array([{x}, [[1], [2, 3]]])", f"~{x}"]
    g.wrong(g.choice(lines), [x])


def matrices_apart(g: Generator) -> None:
    x = g.new("float32", (2, 3))
    lines = [f"{x} @ {x}", f"mx.linalg.inv({x}, stream=mx.cpu)", f"mx.addmm({x}, {x}, {x})"]
    lines += [
        f"mx.linalg.cholesky({x}, stream=mx.cpu)",
        f"mx.conv1d({x}, {x})",
        f"mx.fft.fft({x}, n=0)",
    ]
    lines += [f"mx.quantize({x})", f"mx.einsum('ij,jk->ik', {x}, {x})", f"mx.einsum('ijk->i', {x})"]
    lines += [
        f"mx.tensordot({x}, {x}, axes=1)",
        f"mx.fft.fft({x}, axis=7)",
        f"mx.unflatten({x}, 0, (5, 5))",
    ]
    g.wrong(g.choice(lines), [x])


def transforms_apart(g: Generator) -> None:
    x = g.new("float32", (2, 3))
    lines = [
        f"mx.grad(lambda x: x)({x})",
        f"mx.vmap(lambda x: x, in_axes=5)({x})",
        f"mx.grad(3)({x})",
    ]
    lines += [f"mx.vmap(lambda x, y: x + y)({x}, {x}.T)", f"mx.vjp(lambda x: x, [{x}], [{x}.T])"]
    lines += [f"mx.jvp(lambda x: x, [{x}], [{x}.T])", f"mx.vmap(lambda x: x.item())({x})"]
    lines += [
        f"mx.compile(lambda x: x.tolist())({x})",
        f"mx.grad(lambda x: x.sum(), argnums=1)({x})",
    ]
    lines += [f"mx.checkpoint(lambda x: x @ x)({x})", f"mx.vmap(lambda x: 1)({x})"]
    g.wrong(g.choice(lines), [x])


MAKERS = [index_beyond, index_beyond, array_beyond, array_beyond, axis_beyond, shapes_apart]
MAKERS += [sizes_apart, kinds_apart, matrices_apart, transforms_apart]
