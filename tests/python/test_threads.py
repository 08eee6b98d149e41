"""Several Python threads at once: traces that other threads look at, arrays that change in place
while they are read, graphs that are written out while they are computed, and threads that end."""

import io
import os
import threading
import time

import mlx.core as mx
import numpy as np
import pytest
from children import run_python


def in_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_a_thread_that_evaluates_a_traced_value_leaves_its_gradient():
    def f(x):
        y = x * x
        in_thread(lambda: mx.eval(y))
        return mx.sum(y)

    assert mx.grad(f)(mx.array([1.0, 2.0, 3.0])).tolist() == [2.0, 4.0, 6.0]


def test_a_thread_may_compute_a_part_of_a_traced_function():
    def f(x):
        parts = []
        in_thread(lambda: parts.append(mx.exp(x) * 2))
        in_thread(lambda: mx.eval(parts[0]))
        return mx.sum(parts[0] * x)

    x = mx.array([0.5, -1.0])
    expected = mx.grad(lambda x: mx.sum(mx.exp(x) * 2 * x))(x)
    np.testing.assert_allclose(np.array(mx.grad(f)(x)), np.array(expected), rtol=1e-6)


def test_nested_traces_of_two_threads():
    def outer(x):
        inner = []
        in_thread(lambda: inner.append(mx.grad(lambda y: mx.sum(y * y * x))(x)))
        in_thread(lambda: mx.eval(inner[0]))
        return mx.sum(inner[0])

    # d/dx of 2 x * x: both factors come from the outer function.
    assert mx.grad(outer)(mx.array([1.0, 3.0])).tolist() == [4.0, 12.0]


def test_a_traced_value_that_outlives_its_trace_gives_up_its_graph():
    kept = []

    def f(x):
        kept.append(mx.exp(x))
        return mx.sum(kept[0])

    mx.grad(f)(mx.array([1.0]))
    mx.eval(kept[0])
    text = io.StringIO()
    mx.export_to_dot(text, kept[0])
    assert "Exp" not in text.getvalue()


def test_vmap_and_compile_within_a_trace_of_another_thread():
    results = []

    def work(k):
        f = mx.compile(lambda x: mx.vmap(lambda r: r * r * k)(x))
        for _ in range(20):
            g = mx.grad(lambda x: mx.sum(f(x)))(mx.ones((3, 2)))
            mx.eval(g)
        results.append((k, g.tolist()))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(1, 5)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(results) == [(k, [[2.0 * k] * 2] * 3) for k in range(1, 5)]


READERS = [
    "a.item()",
    "a.tolist()",
    "memoryview(a)",
    "str(a)",
    "bytes(a)",
    "np.array(a)",
    "a.__dlpack__()",
    "pickle.dumps(a)",
    "f'{a}'",
    "mx.save(path, a)",
]


@pytest.mark.parametrize("reader", READERS)
def test_reading_while_another_thread_updates_in_place(reader, tmp_path):
    code = f"""
        import pickle, threading, time
        import mlx.core as mx, numpy as np
        path = {str(tmp_path / "a.npy")!r}
        x = mx.random.normal((500, 500))
        mx.eval(x)
        y = x
        for _ in range(12):
            y = (y @ x) * 0.02
        a = mx.sum(y)
        def update():
            time.sleep(0.02)
            b = a
            b += 1
            b[...] = 3.0
        thread = threading.Thread(target=update)
        thread.start()
        {reader}
        thread.join()
        print("read")
    """
    assert run_python(code) == "read"


def test_writing_a_graph_out_while_it_is_computed():
    for _ in range(5):
        y = mx.ones((8, 8))
        for _ in range(3000):
            y = mx.sort(y, axis=-1) + 1
        thread = threading.Thread(target=mx.eval, args=(y,))
        thread.start()
        for _ in range(3):
            mx.export_to_dot(io.StringIO(), y)
        thread.join()


def test_outputs_of_one_node_are_dropped_by_many_threads():
    x = mx.random.normal((60, 4))

    def work():
        for _ in range(100):
            parts = mx.split(x, 6)
            first, last = parts[0], parts[-1]
            del parts
            first = last
            mx.eval(first)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


def os_threads():
    return len(os.listdir("/proc/self/task"))


def test_threads_that_end_leave_no_streams_and_no_threads():
    def work():
        x = mx.random.normal((700, 700))
        mx.async_eval(x @ x)
        mx.synchronize()

    in_thread(work)
    streams, threads = set(), os_threads()
    for _ in range(40):
        in_thread(lambda: (work(), streams.add(mx.default_stream(mx.default_device()).index)))
    assert len(streams) < 10
    for _ in range(100):
        if os_threads() <= threads + 2:
            break
        time.sleep(0.05)
    assert os_threads() <= threads + 2
