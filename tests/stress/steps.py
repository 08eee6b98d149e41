"""Many training steps in one process, which has to stay as large as it was.

Each round trains small networks in all ways that keep something between steps: eagerly, compiled,
with checkpoints and rules of one's own, on several streams, with batches of several lengths, with
values saved and loaded, and with threads that come and go. After a warm-up nothing may grow: memory,
Python objects, threads, descriptors, streams, plans and traces.

steps.py [STEPS [SEED]]
"""

from __future__ import annotations

import gc
import os
import random
import resource
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx import profiler

FEATURES = 8
LENGTHS = (16, 24, 32)
ROUND = 100  # steps between two looks


@dataclass
class Usage:
    """What a process holds. Of each, how much more it may become after the warm-up."""

    resident: int  # pages of the system, which come in large pieces
    arrays: int
    cached: int
    objects: int
    threads: int
    descriptors: int
    streams: int
    plans: int
    traces: int

    @staticmethod
    def now() -> Usage:
        gc.collect()
        mx.synchronize()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return Usage(
            resident=pages * resource.getpagesize(),
            arrays=mx.get_active_memory(),
            cached=mx.get_cache_memory(),
            objects=len(gc.get_objects()),
            threads=len(os.listdir("/proc/self/task")),
            descriptors=len(os.listdir("/proc/self/fd")),
            streams=mx._stream_count(),
            plans=profiler.plan_cache()["plans"],
            traces=mx.compile_cache_size(),
        )


SLACK = Usage(
    resident=24 << 20,
    arrays=1 << 16,
    cached=8 << 20,
    objects=300,
    threads=3,  # idle ones end after a while
    descriptors=0,
    streams=0,
    plans=8,  # of rare orders of ways
    traces=0,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(FEATURES, 16)
        self.norm = nn.LayerNorm(16)
        self.drop = nn.Dropout(0.1)
        self.last = nn.Linear(16, 1)
        self.halved = mx.custom_function(lambda x: x * 0.5)
        self.halved.vjp(lambda x, cotangent, output: cotangent * 0.5)

    def middle(self, x: mx.array) -> mx.array:
        return self.drop(nn.gelu(self.norm(x)))

    def __call__(self, x: mx.array) -> mx.array:
        return self.last(mx.checkpoint(self.middle)(self.halved(self.first(x))))


def loss(net: Net, x: mx.array, y: mx.array) -> mx.array:
    return mx.mean(mx.square(net(x).squeeze(-1) - y))


class Training:
    """One network and its ways to make a step."""

    def __init__(self, seed: int, folder: Path):
        mx.random.seed(seed)
        self.rng = random.Random(seed)
        self.file = folder / "net.safetensors"
        self.net = Net()
        self.optimizer = optim.Adam(1e-3)
        self.gradient = nn.value_and_grad(self.net, loss)
        state = [self.net.state, self.optimizer.state, mx.random.state]
        self.compiled = mx.compile(self.update, inputs=state, outputs=state)
        self.second = mx.new_stream(mx.default_device())
        self.ways: list[Callable[[], None]] = [
            self.eager,
            self.eager,
            self.compiled_step,
            self.compiled_step,
            self.compiled_step,
            self.on_two_streams,
            self.left_unevaluated,
            self.per_example,
        ]

    def batch(self) -> tuple[mx.array, mx.array]:
        x = mx.random.normal((self.rng.choice(LENGTHS), FEATURES))
        return x, mx.sum(x, axis=-1)

    def update(self, x: mx.array, y: mx.array) -> mx.array:
        value, grads = self.gradient(self.net, x, y)
        self.optimizer.update(self.net, grads)
        return value

    def eager(self) -> None:
        mx.eval(self.update(*self.batch()), self.net.state, self.optimizer.state)

    def compiled_step(self) -> None:
        mx.eval(self.compiled(*self.batch()), self.net.state, self.optimizer.state)

    def on_two_streams(self) -> None:
        x, y = self.batch()
        with mx.stream(self.second):
            mx.async_eval(self.update(x, y), self.net.state, self.optimizer.state)
        mx.eval(self.net(x), self.net.state)

    def left_unevaluated(self) -> None:
        self.kept = self.net(self.batch()[0])  # what the next one replaces
        self.eager()

    def per_example(self) -> None:
        x, y = self.batch()
        mx.eval(mx.vmap(lambda a, b: mx.square(self.net(a[None])[0, 0] - b))(x, y))

    def step(self) -> None:
        self.rng.choice(self.ways)()

    def between(self) -> None:
        """What programs do every now and then."""
        self.net.save_weights(str(self.file))
        self.net.load_weights(str(self.file))
        thread = threading.Thread(
            target=lambda: mx.eval(mx.random.normal((9, 9)) @ mx.ones((9, 9)))
        )
        thread.start()
        thread.join()
        mx.eval(mx.compile(lambda x: mx.fft.rfft(x) * 2)(mx.ones((12,))))
        Net()(self.batch()[0])  # never evaluated


def differences(before: Usage, after: Usage) -> dict[str, int]:
    """By how much `after` exceeds what `before` allows."""
    more = {f.name: getattr(after, f.name) - getattr(before, f.name) for f in fields(Usage)}
    return {name: n for name, n in more.items() if n > getattr(SLACK, name)}


def main() -> None:
    steps = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 30)
    print(f"steps: seed {seed}", flush=True)
    warm_up = max(ROUND, steps // 5)
    first: Usage | None = None
    with tempfile.TemporaryDirectory() as folder:
        training = Training(seed, Path(folder))
        for done in range(steps + 1):
            if done % ROUND == 0:
                training.between()
            if done == warm_up:
                first = Usage.now()
                print(f"steps: {done}: {first}", flush=True)
            training.step()
        assert first is not None
        last = Usage.now()
    print(f"steps: {steps}: {last}")
    grown = differences(first, last)
    if grown:
        sys.exit(f"steps: grew by {grown}")
    print("steps: nothing grew")


if __name__ == "__main__":
    main()
