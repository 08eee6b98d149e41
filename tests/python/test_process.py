"""The life of the process: leaving it with work pending, forking it, interrupting it, and doing
without threads. Every case runs in a child, since its failure is a crash or a hang."""

import subprocess
import sys

import pytest
from children import run_python

# Some seconds of work on a stream of its own, and a value of another stream that waits for it.
PENDING = """
    import os, signal, sys, threading, time
    import mlx.core as mx
    first, second = mx.new_stream(mx.cpu), mx.new_stream(mx.cpu)
    x = mx.random.normal((1000, 1000), scale=0.03)
    mx.eval(x)
    y = x
    for _ in range(40):
        y = mx.matmul(y, x, stream=first)
    z = mx.add(y, 1.0, stream=second)
"""

LATE = """
    class Late:  # the interpreter takes its time to end, as it does with large modules
        def __del__(self, sleep=time.sleep):
            sleep(0.5)
    late = Late()
"""


@pytest.mark.parametrize("late", ["", LATE])
def test_leaving_while_one_stream_waits_for_another(late):
    assert run_python(PENDING, late, "mx.async_eval(z); print('left')") == "left"


def test_leaving_cancels_what_has_not_begun():
    code = """
        import time
        import mlx.core as mx
        x = mx.random.normal((2000, 2000))
        y = x
        for _ in range(2000):
            y = y @ x
        mx.async_eval(y)
    """
    run_python(code, timeout=60)  # all of it would take minutes


@pytest.mark.parametrize("work", ["mx.fft.fft(y)", "mx.sort(y, axis=-1)", "mx.softmax(y @ x)"])
def test_leaving_in_the_middle_of_work(work):
    code = f"""
        import mlx.core as mx
        x = mx.random.normal((600, 600))
        y = x
        for _ in range(60):
            y = {work}
        mx.async_eval(y)
    """
    for _ in range(3):
        run_python(code)


def test_leaving_while_a_stream_drops_python_rules():
    code = """
        @mx.custom_function
        def f(x):
            for _ in range(12):
                x = (x @ x) * 0.02
            return x
        @f.vjp
        def f_vjp(primals, cotangents, outputs):
            return cotangents
        w = f(x)
        mx.async_eval(w)
        del w
        print("left", flush=True)
    """
    assert run_python(PENDING, LATE, code) == "left"


def test_leaving_while_a_daemon_thread_evaluates():
    code = """
        def work():
            while True:
                mx.eval((x @ x) * 0.01, mx.sum(x))
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.3)
        print("left", flush=True)
    """
    for _ in range(3):
        assert run_python(PENDING, code) == "left"


@pytest.mark.parametrize(
    "work",
    [
        "mx.grad(lambda a: mx.sum(a))(x)",
        "mx.vmap(lambda a: a * 2)(x)",
        "mx.compile(lambda a: a * 2)(x)",
        "mx.grad(lambda a: mx.checkpoint(lambda b: b.sum())(a))(x)",
        "mx.savez(io.BytesIO(), x)",
    ],
)
def test_leaving_while_a_daemon_thread_is_in_python_functions_that_the_library_called(work):
    code = f"""
        import io, sys, threading, time
        import mlx.core as mx
        sys.setswitchinterval(1e-5)
        x = mx.ones((3, 4))
        def work():
            while True:
                {work}
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.02)
        print("left", flush=True)
    """
    for _ in range(4):
        assert run_python(code) == "left"


def test_rules_that_other_threads_drop_are_freed():
    code = """
        import gc, weakref
        import mlx.core as mx
        class Token:
            pass
        token = Token()
        gone = weakref.ref(token)
        @mx.custom_function
        def f(x):
            for _ in range(4):
                x = x @ x
            return x
        f.vjp(lambda p, c, o, token=token: c)
        y = f(mx.ones((800, 800)) * 0.001)
        del token, f
        mx.async_eval(y)
        mx.eval(y)
        mx.synchronize()
        for _ in range(1000):
            pass
        gc.collect()
        print(gone() is None)
    """
    assert run_python(code) == "True"


FORK = """
    pid = os.fork()
    if pid == 0:
        mx.set_default_device(mx.cpu)  # a GPU is the parent's alone
        os._exit(0 if mx.sum(mx.ones((10, 10)) * 2).item() == 200 else 1)
    print(os.waitpid(pid, 0)[1])
"""


def test_forking_while_one_stream_waits_for_another():
    assert run_python(PENDING, "mx.async_eval(z)", FORK, "mx.eval(z)") == "0"


def test_forking_before_the_first_allocation():
    code = """
        import os, time
        import mlx.core as mx
        x = mx.arange(1000000, dtype=mx.float32).reshape(1000, 1000)
        y = x
        for _ in range(30):
            y = y @ x
        mx.async_eval(y)
        time.sleep(0.05)
    """
    assert run_python(code, FORK) == "0"


def test_forking_while_other_threads_evaluate_and_drop():
    code = """
        stop = False
        def work():
            while not stop:
                a, b = mx.split(mx.sort(mx.random.normal((100, 100))) @ x[:100, :100], 2)
                mx.eval(a + b)
        threads = [threading.Thread(target=work) for _ in range(4)]
        for t in threads:
            t.start()
        for _ in range(20):
            pid = os.fork()
            if pid == 0:
                mx.set_default_device(mx.cpu)
                os._exit(0 if mx.sum(mx.ones((10, 10)) * 2).item() == 200 else 1)
            assert os.waitpid(pid, 0)[1] == 0
        stop = True
        for t in threads:
            t.join()
        print("done")
    """
    assert run_python(PENDING, code, timeout=120) == "done"


def test_a_signal_during_a_fork_comes_after_it():
    code = """
        import subprocess
        signal.signal(signal.SIGINT, signal.default_int_handler)
        mx.async_eval(z)
        subprocess.Popen(["sh", "-c", f"sleep 0.2; kill -INT {os.getpid()}"])
        try:
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            os.waitpid(pid, 0)
            time.sleep(30)
        except KeyboardInterrupt:
            pass
        print((mx.ones(3) * 2).tolist())
    """
    assert run_python(PENDING, code) == "[2.0, 2.0, 2.0]"


def test_an_interrupted_wait_leaves_the_arrays_as_they_are():
    code = """
        signal.signal(signal.SIGINT, signal.default_int_handler)
        mx.async_eval(y)
        threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        try:
            mx.eval(z)
        except KeyboardInterrupt:
            print("interrupted", end=" ")
        print(mx.all(z == y + 1).item())
    """
    out = run_python(PENDING, code)
    assert out in ("interrupted True", "True")


def test_a_signal_handler_may_evaluate():
    code = """
        seen = []
        def handler(number, frame):
            seen.append((mx.ones((4,)) + mx.add(mx.ones((4,)), 1, stream=second)).tolist())
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
        mx.eval(y)
        signal.setitimer(signal.ITIMER_REAL, 0)
        mx.eval(z)
        print(all(s == [3.0] * 4 for s in seen))
    """
    assert run_python(PENDING, code) == "True"


NO_THREADS = """
    import resource
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    resource.setrlimit(resource.RLIMIT_AS, (used + (6 << 20), resource.RLIM_INFINITY))
"""
AGAIN = """
    resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_without_threads_one_stream_works_in_the_caller():
    code = """
        w = mx.sum(mx.sort(x[:2], axis=-1))
        mx.async_eval(w)
    """
    parts = PENDING, NO_THREADS, code, AGAIN, "print(w.size)"
    assert run_python(*parts, MLX_NUM_THREADS="1") == "1"


def test_without_threads_streams_that_wait_for_each_other_raise():
    code = """
        try:
            mx.eval(z)
        except (RuntimeError, MemoryError) as e:
            print("raised")
    """
    parts = (
        PENDING,
        NO_THREADS,
        code,
        AGAIN,
        code,
        "print(mx.sum(mx.ones((3,)), stream=first).item())",
    )
    out = run_python(*parts, MLX_NUM_THREADS="1")
    assert out.splitlines() == ["raised", "raised", "3.0"]


@pytest.mark.parametrize("developing", [False, True])
def test_objects_kept_to_the_end_are_reported_to_developers(developing):
    script = (
        "import ctypes, mlx.core as mx\n"
        "a = mx.array([1.0, 2.0])\n"
        "ctypes.pythonapi.Py_IncRef(ctypes.py_object(a))\n"
    )
    command = [sys.executable, *(["-X", "dev"] if developing else []), "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0
    assert ("leaked" in done.stderr) == developing
