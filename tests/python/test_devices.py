"""Devices, streams and the ways to choose them."""

import copy
import pickle
import subprocess
import sys
import textwrap
import threading

import mlx.core as mx
import numpy as np
import pytest


def test_device_types_and_devices():
    cpu = mx.Device(mx.cpu)
    assert cpu == mx.cpu and mx.cpu == cpu and cpu != mx.gpu and mx.Device(mx.cpu, 1) != mx.cpu
    assert cpu.type == mx.DeviceType.cpu and cpu.index == 0
    assert hash(cpu) == hash(mx.Device(mx.cpu)) and {mx.cpu: 1}[mx.cpu] == 1
    for other in (None, "cpu", 0):
        assert (cpu == other) is False and (mx.cpu == other) is False
        assert (mx.default_stream(mx.cpu) == other) is False


def test_devices_and_dtypes_can_be_pickled():
    for x in (mx.Device(mx.cpu), mx.cpu, mx.float16, mx.bool_):
        assert pickle.loads(pickle.dumps(x)) == x and copy.deepcopy(x) == x


def test_availability():
    assert mx.is_available(mx.cpu) and mx.device_count(mx.cpu) == 1
    assert mx.is_available(mx.gpu) == (mx.device_count(mx.gpu) > 0) == mx.cuda.is_available()
    assert mx.metal.is_available() is False
    info = mx.device_info(mx.cpu)
    assert isinstance(info, dict) and info
    if not mx.is_available(mx.gpu):
        with pytest.raises((ValueError, RuntimeError)):
            mx.set_default_device(mx.gpu)


def test_default_device_as_value_and_block():
    before = mx.default_device()
    assert isinstance(before, mx.Device)
    with mx.default_device(mx.cpu):
        assert mx.default_device() == mx.cpu
        with mx.default_device(mx.Device(mx.cpu)):
            pass
    assert mx.default_device() == before


def test_streams():
    s = mx.new_stream(mx.cpu)
    assert s != mx.default_stream(mx.cpu) and s == s and s.device == mx.cpu
    assert mx.new_stream().device == mx.default_device()
    before = mx.default_stream(mx.cpu)
    with s as entered:
        assert entered is s and mx.default_stream(mx.cpu) == s
        with mx.new_stream(mx.cpu) as inner:
            assert mx.default_stream(mx.cpu) == inner
        assert mx.default_stream(mx.cpu) == s
    assert mx.default_stream(mx.cpu) == before
    with pytest.raises(RuntimeError), s:
        raise RuntimeError
    assert mx.default_stream(mx.cpu) == before


@pytest.mark.parametrize(
    "make",
    [
        lambda: mx.cpu,
        lambda: mx.Device(mx.cpu),
        lambda: mx.new_stream(mx.cpu),
        lambda: mx.new_thread_local_stream(mx.cpu),
    ],
)
def test_whatever_names_a_stream(make):
    where = make()
    x = mx.ones((3,))
    out = [
        mx.add(x, 1, stream=where),
        x.sum(stream=where),
        mx.zeros((2,), stream=where),
        mx.exp(x, stream=where),
    ]
    with mx.stream(where):
        out.append(x * 2)
    context = mx.stream(where)
    for _ in range(2):
        with context, context:
            out.append(x - 1)
    mx.eval(out)
    mx.synchronize(where)


@pytest.mark.parametrize("bad", ["cpu", 0, 1.5, object()])
def test_what_names_no_stream(bad):
    x = mx.ones((3,))
    for f in (lambda: mx.add(x, x, stream=bad), lambda: x.sum(stream=bad), lambda: mx.stream(bad),
              lambda: mx.new_stream(bad), lambda: mx.synchronize(bad)):  # fmt: skip
        with pytest.raises((TypeError, ValueError)):
            f()
    with pytest.raises(TypeError):
        mx.stream(None)


def test_other_threads_run_python_during_a_long_eval():
    x = mx.random.normal((1500, 1500))
    ticks = []
    done = threading.Event()

    def tick():
        while not done.wait(0.001):
            ticks.append(1)

    thread = threading.Thread(target=tick)
    thread.start()
    y = x
    for _ in range(6):
        y = (x @ y) * 0.01
    mx.eval(y)
    done.set()
    thread.join()
    assert len(ticks) > 3


def test_threads_have_their_own_default_stream():
    seen = []
    s = mx.new_stream(mx.cpu)

    def work():
        seen.append(mx.default_stream(mx.cpu) == s)
        seen.append((mx.arange(5) + 1).tolist())

    with s:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert seen == [False, [1, 2, 3, 4, 5]]


def test_memory_functions():
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    x = mx.zeros((1 << 20,)) + 1
    mx.eval(x)
    assert mx.get_active_memory() - before >= x.nbytes <= mx.get_peak_memory()
    assert mx.get_array_buffer_size(x, [x], {"a": x}) >= x.nbytes
    del x
    assert mx.get_active_memory() - before < 1 << 20
    mx.clear_cache()
    assert mx.get_cache_memory() == 0
    old = mx.set_memory_limit(1 << 40)
    assert mx.get_memory_limit() == 1 << 40 and mx.set_memory_limit(old) == 1 << 40


def test_memory_limit_is_a_memory_error_and_the_process_lives():
    old = mx.set_memory_limit(mx.get_active_memory() + (8 << 20), relaxed=False)
    try:
        with pytest.raises(MemoryError):
            mx.eval(mx.zeros((64 << 20,), mx.uint8) + 1)
        with pytest.raises(RuntimeError):
            mx.eval(mx.zeros((64 << 20,), mx.uint8) + 1)
    finally:
        mx.set_memory_limit(old)
    np.testing.assert_array_equal(np.array(mx.ones((3,)) + 1), [2, 2, 2])


def test_looking_for_devices_loads_nothing_heavy():
    code = """
        import mlx.core as mx
        mx.default_device(), mx.is_available(mx.gpu)
        maps = open("/proc/self/maps").read()
        print([name for name in ("libcublasLt", "libnvrtc", "libcudnn", "libcufft", "libcuda.so.1")
               if name in maps])
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True
    )
    assert done.stdout in ("[]\n", "['libcuda.so.1']\n")
