"""The ways in which a whole program is run: each has to give the bits of the plain run.

Each is text over `f`, `inputs()` and `k`, the numbers of the outputs in some order, that leaves the
outputs in `got`. What it compares with instead, if anything, is left in `same`.
"""

from __future__ import annotations

import random

from program import Program, Values
from values import REALS

THREADS = """
import threading

def together(*calls):
    results = [None] * len(calls)
    def run(i):
        try:
            results[i] = calls[i]()
        except BaseException as e:
            results[i] = e
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(calls))]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for r in results:
        if isinstance(r, BaseException):
            raise r
    return results

"""

# A compiled function of so many nodes that its calls build no graph for the time being.
LARGE = """
def large(z, *a):
    for i in range(70):
        z = z * 2 + i
    return (z, *f(*a))

g = mx.compile(large)
z = mx.array(1.0)
[mx.eval(g(z, *inputs())) for _ in k + k]
"""

STREAMS = """
streams = [mx.default_stream(mx.cpu), mx.new_stream(mx.cpu), mx.new_stream(mx.cpu)]
"""

MODES: dict[str, str] = {
    "lazy": "got = f(*inputs())\n",
    "at once": "got = f(*inputs())\nmx.eval(*got)\n",
    "one by one": "got = f(*inputs())\nfor i in k:\n    mx.eval(got[i])\n",
    "async": "got = f(*inputs())\nmx.async_eval(*[got[i] for i in k])\n",
    "async twice": "mx.async_eval(*f(*inputs()))\ngot = f(*inputs())\nmx.async_eval(got[k[0]])\n",
    "dropped": "a = f(*inputs())\nmx.async_eval(a[k[0]])\ndel a\ngot = f(*inputs())\n",
    "pending inputs": "got = f(*[mx.where(mx.array(True), x, x) for x in inputs()])\n",
    "held inputs": "a = inputs()\nb = [x[...] for x in a]\ngot = f(*b)\nmx.eval(a)\n",
    "printed": "got = f(*inputs())\n[repr(got[i]) for i in k]\n",
    "in a thread": THREADS + "got = together(lambda: f(*inputs()))[0]\n",
    "made here, evaluated there": THREADS
    + "a = f(*inputs())\ntogether(*[lambda i=i: mx.eval(a[i]) for i in k + k])\ngot = a\n",
    "the same inputs in threads": THREADS
    + "a = [x[...] for x in inputs()]\n"
    + "got = together(*[lambda: f(*[x[...] for x in a])] * 4)[2]\n",
    "evaluated in threads": THREADS
    + "def run():\n    a = f(*inputs())\n    mx.eval(a)\n    return a\n"
    + "got = together(run, run, run)[1]\n",
    "compiled": "g = mx.compile(f)\ng(*inputs())\ngot = g(*inputs())\n",
    "compiled once": "got = mx.compile(f)(*inputs())\n",
    "compiled shapeless": "g = mx.compile(f, shapeless=True)\nmx.eval(g(*inputs()))\ngot = g(*inputs())\n",
    "compiled in threads": THREADS
    + "g = mx.compile(f)\ngot = together(*[lambda: g(*inputs())] * 3)[2]\n",
    # Constants that are equal or print alike, and attributes of arguments, choose the output.
    "compiled with a choice": "g = mx.compile(lambda i, *a: f(*a)[int(i)])\n"
    "[g(c(i), *inputs()) for i in k for c in (float, str, bool)]\n"
    "got = [g(i, *inputs()) for i in range(len(k))]\n",
    "compiled with objects": "class Chosen(list):\n    pass\n\n"
    "def chosen(i):\n    c = Chosen(inputs())\n    c.which = i\n    return c\n\n"
    "g = mx.compile(lambda c: f(*c)[c.which])\n"
    "[g(chosen(i)) for i in k]\ngot = [g(chosen(i)) for i in range(len(k))]\n",
    "large": LARGE + "got = g(z, *inputs())[1:]\n",
    "large, in part": LARGE
    + "a = g(z, *inputs())\nmx.eval(a[1 + k[0]])\na = a[1:]\n[repr(x) for x in a[1:]]\ngot = a\n",
    "large, two at a time": LARGE
    + "a, b = g(z, *inputs()), g(z, *inputs())\nmx.eval(a)\nmx.eval(b)\ngot = b[1:]\n",
    "large, one by one": LARGE
    + "got = g(z, *inputs())[1:]\nfor i in k:\n    mx.async_eval(got[i])\n",
    "large of pending inputs": LARGE
    + "got = g(z + 1, *[mx.where(mx.array(True), x, x) for x in inputs()])[1:]\n",
    "large in threads": THREADS
    + LARGE
    + "a = together(*[lambda: g(z, *inputs())] * 3)\nmx.eval(a[0])\ngot = a[2][1:]\n",
    "large, mapped and derived": LARGE
    + "h = mx.compile(lambda z: mx.grad(lambda z: mx.sum(large(z, *inputs())[0]))(z))\n"
    + "mx.eval(h(z), mx.vmap(h)(mx.stack([z, z])))\ngot = g(h(z) * 0 + 1, *inputs())[1:]\n",
    "checkpoint": "got = mx.checkpoint(f)(*inputs())\n",
    "custom": "got = mx.custom_function(f)(*inputs())\n",
}

ON_STREAMS = " on streams"
STREAMED = ("lazy", "async", "one by one", "compiled", "pending inputs", "dropped")

# Outputs that do not depend on sums, whose order follows the layout.
MAPPED: dict[str, str] = {
    "mapped": "a = mx.vmap(f)(*[mx.stack([x, x]) for x in inputs()])\ngot = [y[1] for y in a]\n",
    "mapped last": "a = mx.vmap(f, in_axes=-1, out_axes=-1)(*[mx.stack([x, x], -1) for x in inputs()])\n"
    "got = [y[..., 1] for y in a]\n",
    "mapped twice": "a = mx.vmap(mx.vmap(f))(*[mx.stack([mx.stack([x, x])] * 2) for x in inputs()])\n"
    "got = [y[1, 0] for y in a]\n",
    "mapped and compiled": "g = mx.compile(mx.vmap(f))\na = g(*[mx.stack([x, x]) for x in inputs()])\n"
    "got = [y[0] for y in a]\n",
}

LOSS = """
def each(g):
    return list(g) if isinstance(g, (list, tuple)) else [g]

def loss(*a):
    return sum(mx.sum(y[i].astype(mx.float32)) for y in [f(*a)] for i in floats)

"""

GRADS: dict[str, str] = {
    "grad, compiled": "same = each(mx.grad(loss, args)(*inputs()))\n"
    "got = each(mx.compile(mx.grad(loss, args))(*inputs()))\n",
    "grad of compiled": "same = each(mx.grad(loss, args)(*inputs()))\n"
    "got = each(mx.grad(mx.compile(loss), args)(*inputs()))\n",
    "grad of checkpoint": "same = each(mx.grad(loss, args)(*inputs()))\n"
    "got = each(mx.grad(mx.checkpoint(loss), args)(*inputs()))\n",
    "grad in a thread": THREADS + "same = each(mx.grad(loss, args)(*inputs()))\n"
    "got = each(together(*[lambda: mx.grad(loss, args)(*inputs())] * 2)[1])\n",
    "value of grad": "got = [mx.value_and_grad(loss, args)(*inputs())[0]]\nsame = [loss(*inputs())]\n",
}

# Compiling makes one node of equal ones, whose cotangents are then added in another order.
SUMS_IN_ANOTHER_ORDER = ("grad, compiled", "grad of compiled")

TRANSPOSED = """
def pick(*a):
    given = list(fixed)
    for i, x in zip(args, a):
        given[i] = x
    out = f(*given)
    return [out[i].astype(mx.float64) for i in floats]

fixed = inputs()
primals = [fixed[i].astype(mx.float64) for i in args]
tangents = [mx.array(np.random.default_rng(i).normal(0, 1, x.shape), mx.float64) for i, x in enumerate(primals)]
fixed = inputs()
out, pushed = mx.jvp(pick, primals, tangents)
cotangents = [mx.array(np.random.default_rng(i).normal(0, 1, x.shape), mx.float64) for i, x in enumerate(out)]
fixed = inputs()
_, pulled = mx.vjp(pick, primals, cotangents)
products = [np.array(a).ravel() * np.array(b).ravel() for a, b in zip(cotangents, pushed)]
back = [np.array(a).ravel() * np.array(b).ravel() for a, b in zip(tangents, pulled)]
products, back = np.concatenate([[0.0], *products]), np.concatenate([[0.0], *back])
scale = np.abs(products).sum() + np.abs(back).sum()
tame = all(np.abs(np.array(x)).max(initial=0) < 1e4 for x in primals)
if tame and np.isfinite(scale) and scale < 1e12 and abs(products.sum() - back.sum()) > 1e-6 * (scale + 1e-6):
    raise AssertionError(f"vjp is not the transpose of jvp: {back.sum()}, {products.sum()}")
got = same = []
"""


def function(program: Program, outputs: list[str], streams: bool = False) -> str:
    """The text of `inputs()`, which makes the inputs, and of `f`, the program of them; its
    statements may go to one of three streams each."""
    names = [s.name for s in program.inputs()]
    made = ", ".join(s.expr for s in program.inputs())
    body = ""
    for s in program.body():
        where = f"with mx.stream(streams[{int(s.name[1:]) % 3}]): " if streams else ""
        body += f"    {where}{s.text}\n"
    return (
        f"def inputs():\n    return [{made}]\n\n"
        f"def f({', '.join(names)}):\n{body}    return {', '.join(outputs)},\n\n"
    )


# What keeps a program of float64 inputs from being computed in float64.
NOT_DOUBLE = ("quantize", ".astype(", "complex", ".view(", "fft")


def unsteady(program: Program) -> set[str]:
    """The names whose bits depend on how the elements of sums lie."""
    names: set[str] = set()
    for s in program.statements:
        if not s.raises and (not s.steady or names & set(s.reads)):
            names.add(s.name)
    return names


def reals(program: Program) -> list[int]:
    return [i for i, s in enumerate(program.inputs()) if s.dtype in REALS]


def pick(rng: random.Random, program: Program) -> tuple[str, list[str]]:
    """A mode for this program, and the outputs that it is to have."""
    names = program.names()
    outputs = rng.sample(names, rng.randint(1, min(4, len(names))))
    dtypes = {s.name: s.dtype for s in program.statements}
    kind = rng.random()
    if kind < 0.2 and reals(program) and any(dtypes[n] in REALS for n in outputs):
        doubles = not any(t in s.expr for s in program.statements for t in NOT_DOUBLE)
        return rng.choice([*GRADS, *["transposed"] * 2 * doubles]), outputs
    if kind < 0.4:
        rough = unsteady(program)
        steady = [n for n in names if n not in rough]
        if steady and program.inputs():
            return rng.choice(list(MAPPED)), steady[-3:]
    if kind < 0.55:
        return rng.choice(STREAMED) + ON_STREAMS, outputs
    return rng.choice(list(MODES)), outputs


def text(name: str, program: Program, outputs: list[str], values: Values) -> str:
    """The whole program in a mode, as text over the constants of its inputs."""
    on_streams = name.endswith(ON_STREAMS)
    plain = name.removesuffix(ON_STREAMS)
    f = function(program, outputs, on_streams)
    if name in MAPPED:
        return f + MAPPED[name]
    if name == "transposed" or name in GRADS:
        floats = [i for i, n in enumerate(outputs) if values[n].dtype in REALS]
        head = f"args, floats = {reals(program)}, {floats}\n"
        return f + head + (TRANSPOSED if name == "transposed" else LOSS + GRADS[name])
    order = f"k = {sorted(range(len(outputs)), key=lambda i: outputs[i][::-1])}\n"
    return (STREAMS if on_streams else "") + f + order + MODES[plain]
