"""Processes that end in the middle of something, in every way that a process ends.

Each round puts a child into a state and ends it some moment later; state, ending and moment follow
from a printed seed. A child that dies otherwise than it was told to, that hangs or that says anything
on its way out is a failure.

endings.py [ROUNDS [SEED]]
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
import textwrap

PRELUDE = """
    import atexit, os, signal, sys, threading, time
    import mlx.core as mx
    signal.signal(signal.SIGINT, signal.default_int_handler)
    first, second = mx.new_stream(mx.cpu), mx.new_stream(mx.cpu)
    x = mx.random.normal((300, 300), scale=0.05)
    mx.eval(x)

    def long(n=60, stream=first):
        y = x
        for k in range(n):
            y = mx.matmul(y, x, stream=stream)
            if k % 10 == 3:
                y = mx.sort(y, axis=-1, stream=stream)
            if k % 10 == 7:
                y = mx.real(mx.fft.fft(y, stream=stream))
        return y

    def forever(work):
        while True:
            work()

    def daemon(work):
        threading.Thread(target=forever, args=(work,), daemon=True).start()
"""

STATES = {
    "nothing": "",
    "one stream": "mx.async_eval(long())",
    "two streams": "mx.async_eval(mx.add(long(), 1, stream=second))",
    "many small graphs": "for _ in range(300): mx.async_eval(mx.sum(mx.sort(x[:3]) + 1))",
    "held results": "z = [long(20, s) for s in (first, second) * 3]; mx.async_eval(z)",
    "threads that evaluate": "for _ in range(3): daemon(lambda: mx.eval(x @ x, mx.sort(x[0])))",
    "threads with streams": """
        local = mx.new_thread_local_stream(mx.cpu)
        def work():
            t = threading.Thread(target=lambda: mx.async_eval(mx.multiply(x, 2, stream=local)))
            t.start()
            t.join()
        daemon(work)
    """,
    "threads that trace": """
        scaled = mx.compile(lambda a, k: mx.exp(a) * k)
        count = iter(range(10**9))
        daemon(lambda: mx.eval(scaled(x[:2], next(count))))
        daemon(lambda: mx.eval(mx.grad(lambda a: mx.sum(mx.checkpoint(mx.tanh)(a)))(x)))
    """,
    "a thread that saves": "daemon(lambda: mx.save('x.npy', x))",
    "rules in flight": """
        f = mx.custom_function(lambda a: long(10) + a, fun_vjp=lambda p, c, o: c * 2)
        kept = f(x)
        gradient = mx.grad(lambda a: f(a).sum())(x)
        mx.async_eval(kept, gradient)
    """,
    "a profile": "steps = mx.profiler.trace(); steps.__enter__(); mx.async_eval(long())",
    "checks": "mx.set_debug(nan_checks=True); mx.async_eval(long(10))",
    "a forked child": """
        mx.async_eval(long())
        if os.fork() == 0:
            time.sleep(0.2)
            os._exit(0)
    """,
    "a late evaluation": """
        class Late:
            def __del__(self, mx=mx, x=x):
                try:
                    mx.eval(mx.exp(x) + 1)
                except RuntimeError:
                    pass  # the library may have ended
        late = Late()
        mx.async_eval(long())
    """,
    "an evaluation at exit": """
        atexit.register(lambda: mx.eval(mx.exp(x) + 1))
        mx.async_eval(long())
    """,
}

WAIT = "time.sleep(moment)\n"
IN_THREAD = """
    def end():
        time.sleep(moment)
        {}
    threading.Thread(target=end).start()
"""
TRACED = """
    time.sleep(moment)
    def leave(a):
        b = mx.exp(a) * 2
        sys.exit(5)
    {}
"""

# The processes run in folders of their own, where relative paths lead nowhere.
PATHS = filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
LIBRARY = os.pathsep.join(map(os.path.abspath, PATHS))

# How the process ends, and the status that it ends with.
ENDINGS: dict[str, tuple[str, int]] = {
    "the last line": (WAIT, 0),
    "exit": (WAIT + "sys.exit(3)", 3),
    "a failure": (WAIT + "sys.stderr = open(os.devnull, 'w'); raise ValueError", 1),
    "a quick exit": (WAIT + "os._exit(4)", 4),
    "a signal": (WAIT + "os.kill(os.getpid(), signal.SIGTERM); time.sleep(60)", -15),
    "a kill": (WAIT + "os.kill(os.getpid(), signal.SIGKILL); time.sleep(60)", -9),
    "a signal that exits": (
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(6))\n"
        "threading.Timer(moment, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()\n"
        "for _ in range(10000): mx.eval(long(30))",
        6,
    ),
    "an interrupt": (
        "try:\n"
        "    threading.Timer(moment, lambda: os.kill(os.getpid(), signal.SIGINT)).start()\n"
        "    for _ in range(10000): mx.eval(mx.add(long(30), 1, stream=second))\n"
        "except KeyboardInterrupt:\n"
        "    sys.exit(7)",
        7,
    ),
    "a thread's exit": (IN_THREAD.format("sys.exit(8)"), 0),
    "a thread's quick exit": (IN_THREAD.format("os._exit(9)") + "    mx.eval(long(4000))", 9),
    "a thread that goes on": (IN_THREAD.format("mx.eval(long(40))"), 0),
    "compiling": (TRACED.format("mx.compile(leave)(x)"), 5),
    "differentiating": (TRACED.format("mx.grad(leave)(x)"), 5),
    "batching": (TRACED.format("mx.vmap(leave)(x)"), 5),
    "a rule": (
        TRACED.format(
            "f = mx.custom_function(mx.tanh, fun_vjp=lambda p, c, o: leave(c))\n"
            "    mx.grad(lambda a: f(a).sum())(x)"
        ),
        5,
    ),
    "replacing itself": (WAIT + "os.execv('/bin/true', ['true'])", 0),
}


def run(state: str, ending: str, moment: float) -> str:
    """What went wrong, or nothing."""
    code, status = ENDINGS[ending]
    parts = [PRELUDE, STATES[state], f"moment = {moment}", code]
    program = "\n".join(textwrap.dedent(part) for part in parts)
    try:
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run(
                [sys.executable, "-X", "faulthandler", "-c", program],
                cwd=folder,
                env=os.environ | {"PYTHONPATH": LIBRARY},
                capture_output=True,
                text=True,
                timeout=100,
                check=False,
            )
    except subprocess.TimeoutExpired:
        return "it hung"
    if done.returncode != status:
        return f"status {done.returncode} for {status}: {done.stderr[-2000:]}"
    return done.stderr[-2000:]


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1 << 30)
    print(f"endings: seed {seed}", flush=True)
    rng = random.Random(seed)
    pairs = [(state, ending) for state in STATES for ending in ENDINGS]
    rng.shuffle(pairs)
    failures = 0
    for k in range(rounds):
        state, ending = pairs[k % len(pairs)]
        moment = round(rng.choice((0, 0.001, 0.01, 0.1)) * rng.random(), 5)
        if wrong := run(state, ending, moment):
            failures += 1
            print(f"endings: {state!r}, {ending!r} after {moment} s: {wrong}", flush=True)
    if failures:
        sys.exit(f"endings: {failures} of {rounds} processes ended wrongly")
    print(f"endings: {rounds} processes ended as they should")


if __name__ == "__main__":
    main()
