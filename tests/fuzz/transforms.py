"""Holds vmap and the derivatives of single statements to their references.

vmap is compared with the reference of each member, and a derivative in some direction with the
difference of the reference at two points, where that is conclusive; vjp is the transpose of jvp.
"""

from __future__ import annotations

import random
from typing import Any

import mlx.core as mx
import numpy as np
from program import Statement, Values, spelled, wanted
from run import Runner, Wrong, wide
from values import COMPLEX, Rounding, disagreement, is_float, is_inexact, numpy_dtype

Arrays = dict[str, np.ndarray]


def inputs_of(s: Statement) -> list[str]:
    return list(dict.fromkeys(s.reads))


def array(x: np.ndarray, dtype: str) -> mx.array:
    return mx.array(np.asarray(x, numpy_dtype(dtype)), dtype=getattr(mx, dtype))


def made(a: mx.array) -> str:
    value = wide(a)
    return f"mx.array({spelled(value.data)}, dtype=mx.{value.dtype})"


def mapped(runner: Runner, s: Statement, values: Values, rng: random.Random) -> None:
    """vmap over members of which the second has the elements of the first in another order."""
    names = inputs_of(s)
    axes = {n: rng.choice([None, 0, 0, -1]) for n in names}
    if all(a is None for a in axes.values()):
        axes[names[0]] = 0
    members: list[Arrays] = [{n: values[n].data for n in names}, {}]
    for n in names:
        x = values[n].data
        reordered = s.maps and axes[n] is not None
        members[1][n] = np.flip(x) if reordered else x
    given = []
    for n in names:
        x = members[0][n]
        if axes[n] is not None:
            x = np.stack([m[n] for m in members], axes[n])
        given.append(array(x, values[n].dtype))
    f = eval(f"lambda {', '.join(names)}: {s.expr}", {"mx": mx, "np": np})
    out_axis = rng.choice([0, 0, -1])
    runner.ops += 1
    in_axes = tuple(axes[n] for n in names)

    def text() -> str:
        lines = "".join(f"{n} = {made(a)}\n" for n, a in zip(names, given, strict=True))
        lines += f"f = lambda {', '.join(names)}: {s.expr}\n"
        call = f"mx.vmap(f, in_axes={in_axes}, out_axes={out_axis})({', '.join(names)})"
        return lines + f"print({call})\n"

    try:
        got = wide(mx.vmap(f, in_axes=in_axes, out_axes=out_axis)(*given))
    except Exception as e:
        raise Wrong(f"vmap of `{s.expr}` raised {type(e).__name__}: {e}", text()) from e
    for k, member in enumerate(members):
        part = np.take(got.data, k, out_axis) if got.data.ndim else got.data
        want = wanted(s, member)
        message = disagreement(part, want, s.dtype)
        if message or got.dtype != s.dtype:
            ends = f"print({spelled(np.asarray(want.value))})  # member {k}\n"
            raise Wrong(f"vmap of `{s.expr}`: member {k} {message or got.dtype}", text() + ends)


def derivative(runner: Runner, s: Statement, values: Values, rng: random.Random) -> None:
    """jvp against differences of the reference in float64, and vjp against jvp."""
    names = inputs_of(s)
    moved = [n for n in names if is_float(values[n].dtype)]
    if not moved or not is_inexact(s.dtype) or any(values[n].dtype in COMPLEX for n in names):
        return
    npr = np.random.default_rng(rng.getrandbits(32))
    at = {n: values[n].data for n in names}
    if any(not np.isfinite(at[n]).all() or np.abs(at[n]).max(initial=0) > 1e3 for n in moved):
        return
    at |= {n: at[n] + npr.normal(0, 0.01, at[n].shape) for n in moved}
    step = {n: npr.normal(0, 1, at[n].shape) for n in moved}
    env: dict[str, Any] = {"mx": mx, "np": np}
    env |= {n: array(at[n], values[n].dtype) for n in names if n not in moved}
    f = eval(f"lambda {', '.join(moved)}: {s.expr}", env)
    primals = [array(at[n], "float64") for n in moved]
    tangents = [array(step[n], "float64") for n in moved]
    runner.ops += 3

    def text() -> str:
        lines = "".join(f"{n} = {made(env[n])}\n" for n in names if n not in moved)
        lines += f"f = lambda {', '.join(moved)}: {s.expr}\n"
        lines += f"primals = [{', '.join(made(p) for p in primals)}]\n"
        lines += f"tangents = [{', '.join(made(t) for t in tangents)}]\n"
        lines += "out, pushed = mx.jvp(f, primals, tangents)\nprint(out, pushed)\n"
        return lines + "print(mx.vjp(f, primals, [mx.ones_like(out[0])]))\n"

    try:
        out, pushed = mx.jvp(f, primals, tangents)
        got = np.array(pushed[0].astype(mx.float64))
        cotangent = npr.normal(0, 1, got.shape)
        seed = mx.array(cotangent, dtype=mx.float64).astype(out[0].dtype)
        _, pulled = mx.vjp(f, primals, [seed])
        back = [np.array(p) for p in pulled]
    except Exception as e:
        raise Wrong(f"derivative of `{s.expr}` raised {type(e).__name__}: {e}", text()) from e
    if out[0].dtype != mx.float64:
        return
    try:
        _transposed(s, got, cotangent, back, [step[n] for n in moved])
        _differences(s, got, at, step)
    except Wrong as e:
        e.text = text()
        raise


def _transposed(
    s: Statement, got: np.ndarray, cotangent: np.ndarray, back: list, step: list
) -> None:
    forward = got * cotangent
    backward = np.concatenate([[0.0], *((b * t).ravel() for b, t in zip(back, step, strict=True))])
    scale = np.abs(forward).sum() + np.abs(backward).sum()
    if np.isfinite(scale) and abs(forward.sum() - backward.sum()) > 1e-7 * (scale + 1e-6):
        raise Wrong(
            f"vjp of `{s.expr}` is not the transpose of jvp: {backward.sum()}, {forward.sum()}"
        )


def _differences(s: Statement, got: np.ndarray, at: Arrays, step: Arrays) -> None:
    def moved(h: float) -> np.ndarray:
        there = {n: at[n] + h * t for n, t in step.items()}
        return np.asarray(wanted(s, at | there).value)

    if got.size == 0 or max(a.size for a in at.values()) > 1000:  # so many are close to a tie
        return
    Rounding.on = False
    try:
        slopes = [(moved(h) - moved(-h)) / (2 * h) for h in (1e-4, 1e-6)]
        scale = 1 + np.abs(slopes[0]) + np.abs(moved(0))
    finally:
        Rounding.on = True
    with np.errstate(all="ignore"):  # kinks and poles nearby make the slopes differ
        clear = np.isfinite(got) & (np.abs(slopes[0] - slopes[1]) < 1e-5 * scale)
        off = clear & (np.abs(got - slopes[1]) > 1e-3 * scale)
    if off.any():
        where = tuple(map(int, np.argwhere(off)[0]))
        raise Wrong(
            f"jvp of `{s.expr}` at {where}: {got[where]}, differences give {slopes[1][where]}"
        )
