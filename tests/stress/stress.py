"""Sixteen threads over shared arrays that nobody has evaluated yet.

Each thread takes shared graphs, extends, evaluates, traces, batches, changes in place, prints, saves
and drops them, in an order that a printed seed chooses. Some arrays are changed in place while others
read them, and the modes that look at every step come and go. Values are whole numbers, so that every
result has one right value whatever the order; a wrong one, a crash or a hang is a failure.

stress.py [SECONDS [SEED]]
"""

from __future__ import annotations

import faulthandler
import io
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import mlx.core as mx
import numpy as np

THREADS = 16
SHARED = 24
SHAPE = (7, 12)


class Shared:
    """An array that all threads use, and its value."""

    def __init__(self, rng: random.Random):
        self.value = np.array([[rng.randrange(-3, 4) for _ in range(12)] for _ in range(7)])
        self.array = mx.array(self.value.astype(np.float32))

    def extend(self, rng: random.Random, streams: list[mx.Stream]) -> None:
        """A longer graph behind a new handle; others may hold the old one."""
        a, v, s = self.array, self.value, rng.choice(streams)
        kind = rng.randrange(6)
        if kind == 0:
            a, v = mx.add(a, 1, stream=s), v + 1
        elif kind == 1:
            a, v = mx.sort(a, axis=-1, stream=s), np.sort(v, axis=-1)
        elif kind == 2:
            first, second = mx.split(a, 2, axis=1)
            a, v = mx.concatenate([second, first], axis=1), np.roll(v, 6, axis=1)
        elif kind == 3:
            a, v = mx.clip(a * 2 - a, -50, 50), np.clip(v, -50, 50)
        elif kind == 4:
            q, r = mx.divmod(a, 7)
            a, v = q * 7 + r, v
        else:
            a, v = a[::-1] + mx.sum(a * 0), v[::-1]
        self.array, self.value = a, v

    def pair(self) -> tuple[mx.array, np.ndarray]:
        return self.array, self.value


def check(a: mx.array, v: np.ndarray) -> None:
    got = np.array(a)
    if not np.array_equal(got, v):
        raise AssertionError(f"wrong value: {got.ravel()[:6]} for {v.ravel()[:6]}")


def traced(a: mx.array, v: np.ndarray) -> None:
    def loss(x: mx.array) -> mx.array:
        y = x * x + a
        mx.eval(y)
        return mx.sum(y)

    check(mx.grad(loss)(a), 2 * v)


def batched(a: mx.array, v: np.ndarray) -> None:
    check(mx.vmap(lambda row: row * 3)(a), v * 3)


def updated(a: mx.array, v: np.ndarray) -> None:
    b = a[:]
    b += 1
    b[0] = 5
    v = v + 1
    v[0] = 5
    check(b, v)


def written(a: mx.array, v: np.ndarray) -> None:
    file = io.BytesIO()
    mx.save(file, a)
    file.seek(0)
    check(mx.load(file, format="npy"), v)


def stored(a: mx.array, v: np.ndarray) -> None:
    """Through a file that several threads may use at once; what comes back is one of them whole."""
    kind = random.choice((".npy", ".npz", ".safetensors"))
    path = str(FOLDER / f"shared{kind}")
    if kind == ".npy":
        mx.save(path, a)
        check_shape(mx.load(path))
    elif kind == ".npz":
        mx.savez(path, a=a, b=a + 1)
        loaded = mx.load(path)
        check_shape(loaded["b"] - loaded["a"], 1)
    else:
        mx.save_safetensors(path, {"a": a, "b": a + 1})
        loaded = mx.load(path)
        check_shape(loaded["b"] - loaded["a"], 1)


def check_shape(a: mx.array, value: int | None = None) -> None:
    if a.shape != SHAPE or (value is not None and np.any(np.array(a) != value)):
        raise AssertionError(f"a file of several: {a}")


def in_place(a: mx.array, v: np.ndarray) -> None:
    """One array for all: a reader sees a value that it had as a whole."""
    global counter
    kind = random.randrange(4)
    if kind == 0:
        counter += 1
    elif kind == 1:
        counter[...] = random.randrange(100)
    elif kind == 2:
        mx.async_eval(counter)
    else:
        seen = np.array(counter)
        if seen.min() != seen.max():
            raise AssertionError(f"half an update: {seen}")


def ruled(a: mx.array, v: np.ndarray) -> None:
    """Functions with rules of their own, kept unevaluated, dropped, and differentiated."""
    kept = checkpointed(a) + own(a)
    if random.randrange(2):
        check(kept, 4 * v)
    check(mx.grad(lambda x: mx.sum(own(checkpointed(x))))(a), np.full(SHAPE, 6))


def nested(a: mx.array, v: np.ndarray) -> None:
    """A traced value that a helper thread evaluates and extends."""

    def loss(x: mx.array) -> mx.array:
        y = x * a
        helper = threading.Thread(target=mx.eval, args=(y,))
        helper.start()
        z = y * y
        helper.join()
        return mx.sum(z)

    check(mx.grad(loss)(mx.array(v.astype(np.float32))), 2 * v * v * v)


def watched(a: mx.array, v: np.ndarray) -> None:
    mx.set_debug(nan_checks=True)
    check(mx.sqrt(a * a), np.abs(v))
    mx.set_debug(nan_checks=False)


def streamed(a: mx.array, v: np.ndarray) -> None:
    """Streams that end with the threads that they are for."""
    results: list[mx.array] = []
    thread = threading.Thread(target=lambda: results.append(mx.multiply(a, 2, stream=local)))
    thread.start()
    thread.join()
    check(results[0], 2 * v)


checkpointed = mx.checkpoint(lambda x: x * 2)
own = mx.custom_function(lambda x: x * 2, fun_vjp=lambda x, cotangent, output: cotangent * 3)
compiled = mx.compile(lambda x: mx.abs(x) * 2 + x)
local = mx.new_thread_local_stream(mx.cpu)
counter = mx.zeros((300, 300), mx.int32)
FOLDER = Path()

ACTIONS: list[Callable[[mx.array, np.ndarray], object]] = [
    check,
    traced,
    batched,
    updated,
    written,
    lambda a, v: check(compiled(a), np.abs(v) * 2 + v),
    lambda a, v: mx.async_eval(a),
    lambda a, v: str(a),
    lambda a, v: mx.export_to_dot(io.StringIO(), a),
    lambda a, v: a.tolist(),
    lambda a, v: [a + k for k in range(5)],
    stored,
    in_place,
    ruled,
    nested,
    watched,
    streamed,
]


class Stress:
    def __init__(self, seconds: float, seed: int):
        self.end = time.monotonic() + seconds
        self.seed = seed
        self.failure: BaseException | None = None
        self.done = 0
        rng = random.Random(seed)
        self.streams = [mx.default_stream(mx.cpu)] + [mx.new_stream(mx.cpu) for _ in range(3)]
        self.shared = [Shared(rng) for _ in range(SHARED)]
        self.locks = [threading.Lock() for _ in range(SHARED)]

    def work(self, number: int) -> None:
        rng = random.Random(self.seed * 1000 + number)
        try:
            while time.monotonic() < self.end and self.failure is None:
                k = rng.randrange(SHARED)
                with self.locks[k]:  # array and value change together; evaluation is outside
                    if rng.randrange(3) == 0:
                        self.shared[k].extend(rng, self.streams)
                    if rng.randrange(100) == 0:
                        self.shared[k] = Shared(rng)
                    a, v = self.shared[k].pair()
                rng.choice(ACTIONS)(a, v)
                self.done += 1
        except BaseException as e:
            self.failure = e

    def run(self) -> None:
        threads = [threading.Thread(target=self.work, args=(i,)) for i in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        if self.failure is not None:
            raise self.failure


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 30)
    print(f"stress: seed {seed}", flush=True)
    faulthandler.dump_traceback_later(seconds * 3 + 60, exit=True)
    stress = Stress(seconds, seed)
    global FOLDER
    with tempfile.TemporaryDirectory() as folder:
        FOLDER = Path(folder)
        stress.run()
    print(f"stress: {stress.done} actions of {THREADS} threads, nothing wrong")


if __name__ == "__main__":
    main()
