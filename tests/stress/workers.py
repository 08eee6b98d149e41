"""Processes that share the work: pools that fork, fork from a server or start afresh, and loaders that
prepare batches while the parent trains, PyTorch's among them where it is installed.

For each way to start workers, the parent has work pending on streams and threads of its own. Results
are compared with NumPy's; a wrong one, a crash or a hang is a failure.

workers.py [METHOD ...]
"""

from __future__ import annotations

import faulthandler
import importlib.util
import multiprocessing
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import BaseContext
from multiprocessing.queues import Queue

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_map

METHODS = ("fork", "forkserver", "spawn")
BATCHES, LENGTH, FEATURES = 12, 8, 4


def on_cpu() -> None:
    """What each worker does first: a GPU belongs to the parent."""
    mx.set_default_device(mx.cpu)


def product(seed: int) -> tuple[mx.array, np.ndarray]:
    """An array of the framework and one of NumPy, by a worker with threads and streams."""
    rng = np.random.default_rng(seed)
    a = rng.integers(-5, 5, (20, 20)).astype(np.float32)
    results: list[mx.array] = []
    stream = mx.new_stream(mx.cpu)
    work = threading.Thread(
        target=lambda: results.append(mx.sort(mx.matmul(mx.array(a), a.T, stream=stream), axis=-1))
    )
    work.start()
    work.join()
    return results[0], np.array(results[0])


def expected(seed: int) -> np.ndarray:
    a = np.random.default_rng(seed).integers(-5, 5, (20, 20)).astype(np.float32)
    return np.sort(a @ a.T, axis=-1)


def fails(value: int) -> int:
    return int(mx.array([1, 2, 3])[value + 3].item())


def sample(index: int) -> tuple[np.ndarray, mx.array]:
    """A row of a data set: features by NumPy, the target by the framework."""
    features = np.random.default_rng(index).normal(size=FEATURES).astype(np.float32)
    return features, mx.sum(mx.array(features) * 2, keepdims=True)


def load(indices: list[int], queue: Queue) -> None:  # type: ignore[type-arg]
    on_cpu()
    for first in indices:
        rows = [sample(k) for k in range(first, first + LENGTH)]
        x = mx.stack([mx.array(features) for features, _ in rows])
        queue.put((first, np.array(x), mx.concatenate([target for _, target in rows])))
    queue.put(None)


class Loader:
    """Batches by worker processes, in the order in which they get ready, as training loaders do."""

    def __init__(self, context: BaseContext, workers: int):
        self.queue: Queue = context.Queue(2)  # type: ignore[type-arg]
        starts = [LENGTH * k for k in range(BATCHES)]
        self.workers = [
            context.Process(target=load, args=(starts[w::workers], self.queue), daemon=True)
            for w in range(workers)
        ]
        for worker in self.workers:
            worker.start()  # type: ignore[attr-defined]

    def __iter__(self) -> Iterator[tuple[int, np.ndarray, mx.array]]:
        running = len(self.workers)
        while running:
            batch = self.queue.get(timeout=100)
            if batch is None:
                running -= 1
            else:
                yield batch

    def stop(self) -> None:
        """In the middle: the workers are ended while they wait to hand a batch over."""
        for worker in self.workers:
            worker.terminate()  # type: ignore[attr-defined]
        for worker in self.workers:
            worker.join()  # type: ignore[attr-defined]


class Samples:
    """A data set as PyTorch's loader takes it."""

    def __len__(self) -> int:
        return BATCHES * LENGTH

    def __getitem__(self, index: int) -> tuple[np.ndarray, mx.array]:
        return sample(index)


def joined(rows: list[tuple[np.ndarray, mx.array]]) -> tuple[np.ndarray, mx.array]:
    return np.stack([x for x, _ in rows]), mx.concatenate([y for _, y in rows])


def start_torch_worker(_: int) -> None:
    on_cpu()


class Busy:
    """Work that goes on in the parent: a stream with a long queue, and threads that evaluate."""

    def __init__(self) -> None:
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.work) for _ in range(2)]

    def work(self) -> None:
        x = mx.random.normal((60, 60))
        while not self.ended.is_set():
            mx.eval(mx.sort(x @ x) + 1)

    def __enter__(self) -> None:
        self.pending = mx.random.normal((200, 200), scale=0.05)
        stream = mx.new_stream(mx.default_device())
        for _ in range(100):
            self.pending = mx.matmul(self.pending, self.pending, stream=stream)
        mx.async_eval(self.pending)
        for thread in self.threads:
            thread.start()

    def __exit__(self, *failure: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()
        mx.eval(self.pending)


def use_pools(context: BaseContext) -> None:
    with context.Pool(3, initializer=on_cpu) as pool:
        for seed, (a, n) in enumerate(pool.map(product, range(12))):
            np.testing.assert_array_equal(np.array(a), expected(seed))
            np.testing.assert_array_equal(n, expected(seed))
        try:
            pool.apply(fails, (5,))
            raise AssertionError("a worker's failure was lost")
        except IndexError:
            pass
        pool.map_async(product, range(100))  # ended in the middle
    with ProcessPoolExecutor(2, mp_context=context, initializer=on_cpu) as executor:
        for seed, (a, _) in enumerate(executor.map(product, range(6))):
            np.testing.assert_array_equal(np.array(a), expected(seed))


def train_from_loaders(context: BaseContext) -> None:
    model = nn.Linear(FEATURES, 1)
    gradient = nn.value_and_grad(model, lambda x, y: mx.mean(mx.square(model(x)[:, 0] - y)))
    seen = set()
    for first, x, y in Loader(context, 2):
        np.testing.assert_allclose(np.array(y), 2 * x.sum(axis=1), rtol=1e-4, atol=1e-5)
        value, grads = gradient(mx.array(x), y)
        model.update(tree_map(lambda p, g: p - 0.01 * g, model.parameters(), grads))
        mx.eval(value, model.parameters())
        seen.add(first)
    assert seen == {LENGTH * k for k in range(BATCHES)}, seen
    stopped = Loader(context, 2)
    next(iter(stopped))
    stopped.stop()


def load_by_torch(method: str) -> None:
    """Workers made anew for each pass, or kept, and dropped in the middle."""
    data = importlib.import_module("torch.utils.data")
    for kept in (False, True):
        loader = data.DataLoader(
            Samples(),
            LENGTH,
            num_workers=2,
            collate_fn=joined,
            worker_init_fn=start_torch_worker,
            multiprocessing_context=method,
            persistent_workers=kept,
        )
        for _ in range(2):
            count = 0
            for x, y in loader:
                np.testing.assert_allclose(np.array(y), 2 * x.sum(axis=1), rtol=1e-4, atol=1e-5)
                count += len(x)
            assert count == BATCHES * LENGTH
        next(iter(loader))


def main() -> None:
    faulthandler.dump_traceback_later(500, exit=True)
    for method in sys.argv[1:] or METHODS:
        context = multiprocessing.get_context(method)
        with Busy():
            use_pools(context)
            train_from_loaders(context)
            if importlib.util.find_spec("torch"):
                load_by_torch(method)
        print(f"workers: {method}: results are right", flush=True)
    if leftover := multiprocessing.active_children():
        sys.exit(f"workers: still running: {leftover}")
    print("workers: nothing wrong")


if __name__ == "__main__":
    main()
