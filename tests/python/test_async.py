"""async_eval that hands its work to a thread of the stream: the caller goes on meanwhile."""

import threading

import mlx.core as mx
import numpy as np
import pytest
from children import run_python

steps = 40  # more than a caller queues by itself


def chain(x, count=steps):
    """Steps that no pass puts together."""
    for _ in range(count):
        x = x - mx.max(x, axis=-1, keepdims=True) + 1
    return x


def chain_numpy(x, count=steps):
    for _ in range(count):
        x = x - x.max(axis=-1, keepdims=True) + 1
    return x


def whole(*shape):
    """Numbers with which sums and differences are exact."""
    return np.random.randint(-9, 9, shape).astype("f4")


def test_the_next_graph_is_built_on_results_under_way():
    x, expected = (n := whole(8, 16), n)
    x = mx.array(x)
    for run in range(30):
        x, expected = chain(x) * 2 - run, chain_numpy(expected) * 2 - run
        expected = np.clip(expected, -50, 50)
        x = mx.clip(x, -50, 50)
        mx.async_eval(x)
    np.testing.assert_array_equal(x, expected)


def test_caches_are_updated_in_place_while_the_next_step_is_built():
    caches = [mx.zeros((2, 64, 4)) for _ in range(12)]
    expected = [np.zeros((2, 64, 4), "f4") for _ in caches]
    state = mx.ones((2, 1, 4))
    known = np.ones((2, 1, 4), "f4")
    kept = []
    for step in range(60):
        for i, cache in enumerate(caches):
            cache[:, step : step + 1] = state + i
            expected[i][:, step : step + 1] = known + i
            state = mx.max(cache[:, : step + 1], axis=1, keepdims=True) - i
            known = expected[i][:, : step + 1].max(1, keepdims=True) - i
        if step % 7 == 0:  # somebody holds what is then updated
            kept.append((caches[3] + 0, expected[3].copy()))
            kept.append((caches[5][:, :2], expected[5][:, :2].copy()))
        mx.async_eval(state)
    for cache, values in zip(caches, expected, strict=True):
        np.testing.assert_array_equal(cache, values)
    for part, values in kept:
        np.testing.assert_array_equal(part, values)


def test_what_is_held_is_there_and_what_is_dropped_is_not_missed():
    x = whole(4, 8)
    for _ in range(20):
        first = chain(mx.array(x))
        second = chain(first)
        last = chain(second)
        mx.async_eval(last)
        del second
        np.testing.assert_array_equal(first, chain_numpy(x))
        more = last + first
        del first, last
        np.testing.assert_array_equal(more, chain_numpy(x, 3 * steps) + chain_numpy(x))


def test_failures_reach_those_who_ask_and_nobody_else():
    x = mx.array(whole(4, 8))
    good = chain(x)
    bad = chain(x[mx.array([1, 100])])
    mx.async_eval(good, bad)
    behind = chain(bad)
    mx.async_eval(behind)
    after = chain(good)
    mx.async_eval(after)
    np.testing.assert_array_equal(after, chain_numpy(np.array(x), 2 * steps))
    for failed in (behind, bad, behind + 1):
        with pytest.raises(IndexError):
            failed.tolist()
    assert (x[0, 0] - x[0, 0]).item() == 0


def test_mistakes_are_raised_by_the_call():
    def traced(x):
        mx.async_eval(chain(x))
        return x

    for transform in (mx.compile, mx.grad, mx.vmap):
        with pytest.raises(ValueError, match="async_eval"):
            transform(traced)(mx.ones((2, 4)))


def test_calls_of_compiled_functions_run_one_behind_the_other():
    step = mx.compile(lambda x, state: (chain(x + state, 200), chain(state, 100)))
    x, state = whole(4, 8), whole(4, 8)
    y, kept = mx.array(x), mx.array(state)
    for run in range(12):
        y, kept = step(y, kept)
        mx.async_eval(*((y, kept) if run % 3 else (y,)))
        x, state = chain_numpy(x + state, 200), chain_numpy(state, 100)
    np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(kept, state)


def test_threads_with_streams_of_their_own():
    x = whole(4, 8)
    shared = mx.array(x)
    device = mx.default_device()
    failures = []

    def work(number):
        try:
            with mx.stream(mx.new_stream(device)):
                y, expected = shared + number, x + number
                for _ in range(15):
                    y, expected = chain(y) + shared, chain_numpy(expected) + x
                    mx.async_eval(y)
                np.testing.assert_array_equal(y, expected)
        except Exception as e:
            failures.append(e)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not failures


def test_small_and_large_work_by_turns():
    x, n = mx.array([1.0, 2.0]), np.array([1.0, 2.0], "f4")
    for run in range(40):
        x, n = (chain(x), chain_numpy(n)) if run % 3 else (x + 1, n + 1)
        mx.async_eval(x)
        if run % 4 == 0:
            assert mx.sum(x).item() == n.sum()
    np.testing.assert_array_equal(x, n)


@pytest.mark.parametrize("end", ["", "del y", "os._exit(0)", "mx.synchronize()"])
def test_leaving_with_work_under_way(end):
    out = run_python(
        f"""
        import os
        import mlx.core as mx
        x = mx.ones((64, 64))
        for _ in range(20):
            y = x
            for _ in range(60):
                y = y - mx.max(y, axis=-1, keepdims=True) + 1
            mx.async_eval(y)
        print("left", flush=True)
        {end}
        """
    )
    assert out == "left"
