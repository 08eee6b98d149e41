"""Bad input raises, at the call, exceptions that name what is wrong; nothing ends the process."""

import os
import signal
import subprocess
import sys
import textwrap

import mlx.core as mx
import pytest

X = mx.ones((2, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda: X + mx.ones((4,)),
        lambda: X @ mx.ones((2, 3)),
        lambda: mx.matmul(mx.array(1.0), X),
        lambda: mx.reshape(X, (4, 2)),
        lambda: X.reshape(-1, -1),
        lambda: mx.broadcast_to(X, (3, 2)),
        lambda: mx.concatenate([X, mx.ones((3, 4))]),
        lambda: mx.concatenate([]),
        lambda: mx.stack([X, X.T]),
        lambda: mx.split(X, 2, axis=1),
        lambda: mx.transpose(X, (0, 0)),
        lambda: mx.transpose(X, (0,)),
        lambda: mx.squeeze(X, 0),
        lambda: mx.zeros((-1,)),
        lambda: mx.clip(X, None, None),
        lambda: mx.conv2d(X, X),
        lambda: mx.einsum("ij,jk", X),
        lambda: mx.random.normal((2,), key=mx.array(0)),
        lambda: mx.random.uniform(shape=(-1,)),
        lambda: mx.arange(0, 10, 0),
        lambda: mx.finfo(mx.int32),
        lambda: mx.iinfo(mx.float32),
        lambda: mx.isdtype(mx.int32, "nonsense"),
        lambda: mx.result_type(),
        lambda: mx.topk(X, 5),
        lambda: mx.searchsorted(mx.arange(3), mx.array(1), side="middle"),
        lambda: mx.meshgrid(X[0], indexing="zz"),
        lambda: mx.array(1).mT,
        lambda: mx.bitwise_and(X, X),
    ],
)
def test_value_errors(call):
    with pytest.raises((ValueError, IndexError)):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.sum(X, axis=2),
        lambda: X.max(axis=-3),
        lambda: mx.argmax(X, axis=5),
        lambda: mx.softmax(X, axis=7),
        lambda: mx.sort(X, axis=2),
        lambda: mx.cumsum(X, axis=2),
        lambda: mx.expand_dims(X, 9),
        lambda: mx.swapaxes(X, 0, 4),
        lambda: mx.concatenate([X, X], axis=2),
        lambda: mx.take(X, mx.array([0]), axis=2),
        lambda: mx.flip(X, 3),
    ],
)
def test_a_bad_axis_is_an_index_error_and_a_value_error(call):
    with pytest.raises(IndexError):
        call()
    with pytest.raises(ValueError):
        call()
    with pytest.raises(mx.AxisError):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: mx.sum([1, 2]),
        lambda: mx.sum(X, axis=1.0),
        lambda: mx.sum(X, nonsense=1),
        lambda: mx.exp("text"),
        lambda: mx.exp(None),
        lambda: mx.add(X),
        lambda: mx.add(X, [1.0]),
        lambda: mx.reshape(X, (3, 2.0)),
        lambda: X.reshape("a"),
        lambda: mx.zeros((2,), "float32"),
        lambda: X.astype(float),
        lambda: mx.concatenate([X, 1]),
        lambda: mx.zeros((2**40,)),
        lambda: mx.vjp(lambda x: x, X, X),
    ],
)
def test_type_errors(call):
    with pytest.raises((TypeError, ValueError)):
        call()


def test_messages_name_op_and_shapes():
    with pytest.raises(ValueError, match=r"matmul.*\(2,3\)"):
        X @ mx.ones((2, 3))


def test_missing_names_are_attribute_errors():
    for owner in (mx, X, mx.random, mx.float32):
        with pytest.raises(AttributeError):
            _ = owner.nothing_of_this_name
    assert not hasattr(mx, "nothing_of_this_name")


def test_dtypes_compare_with_anything():
    for other in (None, "float32", 3, float, mx.floating, object()):
        assert (mx.float32 == other) is False and (mx.float32 != other) is True
    assert mx.float32 == mx.array(1.0).dtype and len({mx.float32, mx.array(1.0).dtype}) == 1
    assert mx.float32.size == 4 and mx.bool_.size == 1


def test_error_of_an_eval_is_raised_where_the_value_is_used():
    bad = mx.arange(3)[mx.array([7])]
    with pytest.raises((IndexError, ValueError, RuntimeError)):
        mx.eval(bad)
    assert (X + 1).sum().item() == 12


def test_arrays_too_large_for_memory():
    with pytest.raises((MemoryError, ValueError)):
        mx.eval(mx.zeros((2**31 - 1, 2**15)) + mx.arange(2**15))
    assert X.sum().item() == 6


def run(code, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=60,
        **kwargs,
    )


def test_keyboard_interrupt_leaves_a_long_eval():
    code = """
        import mlx.core as mx, os, signal, threading, time
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
        def interrupt():
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)
        n = 5000 if mx.default_device() == mx.gpu else 1200
        x = mx.random.normal((n, n))
        mx.eval(x)
        threading.Thread(target=interrupt).start()
        start = time.perf_counter()
        try:
            y = x
            for _ in range(200):
                y = (x @ y) * 0.01
            mx.eval(y)
            print("finished")
        except KeyboardInterrupt:
            print("interrupted", time.perf_counter() - start < 3)
        print((mx.ones((2,)) + 1).tolist())
    """
    result = run(code)
    assert result.stdout.split("\n")[:2] == ["interrupted True", "[2.0, 2.0]"], result


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork_after_an_eval():
    code = """
        import mlx.core as mx, os, warnings
        warnings.simplefilter("ignore")
        mx.set_default_device(mx.cpu)
        mx.eval(mx.random.normal((512, 512)) @ mx.ones((512, 512)))
        pid = os.fork()
        ok = mx.sum(mx.ones((1 << 20,)) + 1).item() == 2 << 20
        if pid == 0:
            os._exit(0 if ok else 1)
        print(ok, os.waitpid(pid, 0)[1])
    """
    assert run(code).stdout == "True 0\n"


def test_nothing_is_reported_at_exit():
    code = """
        import mlx.core as mx, mlx.nn as nn
        model = nn.Linear(2, 2)
        step = mx.compile(lambda x: model(x), inputs=model)
        ones = mx.ones((2,))
        kept = [step(mx.ones((1, 2))), mx.grad(lambda x: x * x), iter(ones), ones.at]
    """
    result = run(code)
    assert result.returncode == 0 and result.stderr == "" and -result.returncode != signal.SIGABRT
