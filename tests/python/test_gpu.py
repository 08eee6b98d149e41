"""What only a GPU has: device memory, transfers, recorded launches, faults found by kernels."""

import ctypes
import os
import subprocess
import sys
import textwrap
import threading

import mlx.core as mx
import numpy as np
import pytest
from children import run_python

pytestmark = pytest.mark.skipif(not mx.is_available(mx.gpu), reason="needs a GPU")


@pytest.fixture(autouse=True)
def on_gpu():
    mx.set_default_device(mx.gpu)


def table_row(rows, index):
    return mx.arange(12.0).reshape(rows, -1)[mx.array([index]) + mx.array([0])]


def test_the_gpu_is_the_default_where_there_is_one():
    code = "import mlx.core as mx; print(mx.default_device() == mx.gpu)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "True\n"


def test_a_bad_index_belongs_to_what_was_made_from_it():
    bad, good = table_row(4, 9), table_row(4, 3)
    after = mx.exp(bad) + 1
    mx.async_eval(good, after, bad)
    np.testing.assert_array_equal(np.array(good), [[9, 10, 11]])
    for x in (after, bad, bad * 2):
        with pytest.raises(IndexError, match="Index 9 is out of range for axis 0 with size 4"):
            mx.eval(x)
    np.testing.assert_array_equal(np.array(good + 1), [[10, 11, 12]])


def test_a_bad_index_is_found_across_evaluations_and_streams():
    other = mx.new_stream(mx.gpu)
    bad = table_row(3, 5)
    mx.async_eval(bad)
    same, across, host = bad + 1, mx.add(bad, 1, stream=other), mx.add(bad, 1, stream=mx.cpu)
    mx.async_eval(same, across)
    for x in (across, same, host):
        with pytest.raises(IndexError):
            mx.eval(x)


def test_more_bad_indices_than_a_ring_of_reports_holds():
    results = [table_row(3, 7 if i % 1000 == 5 else 1) for i in range(6000)]
    mx.async_eval(results)
    failed = []
    for i, x in enumerate(results):
        try:
            mx.eval(x)
        except IndexError:
            failed.append(i)
    assert failed == [5, 1005, 2005, 3005, 4005, 5005]


@pytest.mark.parametrize("steps", [1, 3, 4, 7, 8, 9, 63, 64, 65, 200, 513])
def test_recorded_work_keeps_its_order(steps):
    x = mx.arange(1000, dtype=mx.float32)
    weight = mx.eye(1000)
    expected = np.arange(1000, dtype=np.float64)
    for i in range(steps):
        x = mx.cumsum(x @ weight, axis=0) / 1000 if i % 5 == 4 else (x @ weight) + i % 3
        expected = np.cumsum(expected) / 1000 if i % 5 == 4 else expected + i % 3
    for _ in range(2):  # the second time, the graphs are there
        np.testing.assert_allclose(np.array(x * 1), expected, rtol=1e-4)


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16], ids=str)
def test_kernels_in_clusters_leave_no_trace_in_recorded_work(dtype):
    numbers = mx.arange(64, dtype=mx.int32) ** 2
    for k in (32, 144, 512, 1152, 4096, 16384):
        for rows, columns in ((1, 64), (16, 128), (65, 20), (512, 512), (3136, 64)):
            product = mx.ones((k, rows), dtype).T.reshape(1, rows, k) @ mx.ones((k, columns), dtype)
            mx.eval(product.reshape(columns, rows).T + 1)
    for n in range(1, 9):
        np.testing.assert_array_equal(np.array(mx.diff(numbers, n)), np.diff(np.arange(64) ** 2, n))


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16], ids=str)
@pytest.mark.parametrize(
    "shapes", [((4, 8), (8, 6)), ((3, 5, 64), (64, 40)), ((7, 1, 9), (7, 9, 3)), ((2, 0), (0, 3))]
)
def test_rectified_products_are_maxima_of_products(dtype, shapes):
    # Small whole numbers, so that no order of additions makes a difference.
    a, b = (mx.random.randint(-4, 5, shape).astype(dtype) for shape in shapes)
    if a.size:
        a[0, ..., 0] = mx.array([float("nan"), float("inf"), -float("inf")][a.shape[0] % 3])
    row = mx.random.randint(-4, 5, (b.shape[-1],)).astype(dtype)
    whole = mx.random.randint(-4, 5, (*a.shape[:-1], b.shape[-1])).astype(dtype)
    for product in (
        lambda: a @ b,
        lambda: mx.addmm(row, a, b),
        lambda: mx.addmm(whole, a, b, alpha=-0.5, beta=2.0),
    ):
        plain = product()
        mx.eval(plain)
        want = np.array(mx.maximum(plain, 0).astype(mx.float32))
        np.testing.assert_array_equal(np.array(mx.maximum(product(), 0).astype(mx.float32)), want)
        np.testing.assert_array_equal(np.array(mx.maximum(0, product()).astype(mx.float32)), want)
        kept = product()
        both = mx.maximum(kept, 0)
        mx.eval(both, kept)
        np.testing.assert_array_equal(np.array(both.astype(mx.float32)), want)
        np.testing.assert_array_equal(
            np.array(kept.astype(mx.float32)), np.array(plain.astype(mx.float32))
        )


def test_threads_with_streams_of_their_own():
    results = {}

    def work(k):
        s = mx.new_stream(mx.gpu)
        x = mx.full((500,), float(k))
        for _ in range(100):
            x = mx.maximum(mx.sort(mx.add(x, 1, stream=s), stream=s), 0, stream=s)
        results[k] = x.sum(stream=s).item()

    threads = [threading.Thread(target=work, args=(k,)) for k in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == {k: 500 * (k + 100.0) for k in range(6)}


@pytest.mark.parametrize("size", [1, 63, (512 << 10) - 1, (512 << 10) + 1, 5 << 20])
def test_transfers_of_every_size(size):
    values = np.random.default_rng(size).integers(0, 255, size, dtype=np.uint8)
    x = mx.array(values)
    copies = [x + i for i in range(3)]
    for i, y in enumerate(copies):
        np.testing.assert_array_equal(np.array(y), values + np.uint8(i))


def test_parts_of_one_host_array_in_one_program():
    values = np.random.default_rng(1).standard_normal((9, 1000)).astype(np.float32)
    x = mx.array(values)
    for step in (1, 3):
        parts, rows = [x[i, ::step] for i in range(9)], values[:, ::step]
        y = parts[4] * parts[2] - parts[7] * parts[0] + parts[8]
        np.testing.assert_array_equal(np.array(y), rows[4] * rows[2] - rows[7] * rows[0] + rows[8])
    np.testing.assert_array_equal(
        np.array(x[:, 3:].view(mx.int32) + 0), values[:, 3:].view(np.int32)
    )


def test_uploads_keep_what_was_handed_over():
    values = np.zeros((1 << 18,), np.float32)
    busy = mx.random.normal((4000, 4000))
    for _ in range(5):
        busy = busy @ busy * 1e-4
    mx.async_eval(busy)
    sums = []
    for i in range(8):
        values[:] = i
        y = mx.array(values) * 2
        mx.async_eval(y)
        sums.append(y)
    for i, y in enumerate(sums):
        assert mx.all(y == 2 * i).item()


def test_parts_of_an_array_are_read_alone():
    x = mx.arange(1 << 22, dtype=mx.float32).reshape(2048, 2048) * 1
    mx.eval(x)
    before = mx.get_active_memory()
    assert x[-1, -1].item() == (1 << 22) - 1
    np.testing.assert_array_equal(np.array(x[5, ::-7]), np.arange(5 * 2048, 6 * 2048)[::-7])
    np.testing.assert_array_equal(np.array(x[:4, 100]), 2048 * np.arange(4) + 100)
    assert mx.get_active_memory() - before < 1 << 20


def test_what_the_host_sees_of_device_memory_cannot_be_written_to():
    x = mx.arange(6.0) * 2
    assert memoryview(x).readonly and not np.asarray(x).flags.writeable
    with pytest.raises(TypeError, match="not writable"):
        (ctypes.c_float * 6).from_buffer(x)
    copy = np.array(x)
    copy[:] = 7
    assert x.tolist() == [0, 2, 4, 6, 8, 10]


def test_results_of_the_cpu_go_to_the_gpu_and_back():
    x = mx.arange(1000, dtype=mx.float32)
    for i in range(10):
        x = mx.add(x, 1, stream=mx.cpu if i % 2 else mx.gpu)
    np.testing.assert_array_equal(np.array(x), np.arange(1000) + 10)


def test_the_memory_limit_leaves_the_process_usable():
    old = mx.set_memory_limit(mx.get_active_memory() + (64 << 20), relaxed=False)
    try:
        for _ in range(3):
            with pytest.raises(MemoryError):
                mx.eval(mx.ones((1 << 26,)) * 2)
            assert mx.sum(mx.ones((1000,)) * 2).item() == 2000
    finally:
        mx.set_memory_limit(old)


def test_thousands_of_shapes():
    for n in range(1, 3001, 3):
        x = mx.ones((n, 3)) * 2
        assert (x.sum() + mx.zeros((n,))[0]).item() == 6 * n


def test_a_forked_process_says_that_it_cannot_use_the_gpu():
    code = """
        import os, warnings
        import mlx.core as mx
        warnings.simplefilter("ignore")
        x = mx.ones((3,)) + 1
        mx.eval(x)
        child = os.fork()
        if child == 0:
            assert mx.add(mx.ones((2,), stream=mx.cpu), 1, stream=mx.cpu).tolist() == [2, 2]
            try:
                mx.eval(x * 2)
            except RuntimeError as e:
                os._exit(0 if "forked" in str(e) else 2)
            os._exit(1)
        print(os.waitpid(child, 0)[1], (x * 2).tolist())
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert out.stdout == "0 [4.0, 4.0, 4.0]\n", out


def rows_and_products(dtype, step):
    """Rows that single-row products read, with `step` after each of them: norms behind a sum or
    alone, programs, with further readers, slices, in place, and matrices made just before."""
    draw = np.random.default_rng(7)
    make = lambda *shape: mx.array(draw.standard_normal(shape).astype(np.float32)).astype(dtype)
    wide, square, narrow, weight = make(1536, 512), make(512, 512), make(512, 1536), make(512)
    x, found = make(1, 1, 512), []
    mx.eval(wide, square, narrow, weight, x)
    for turn in range(6):
        h = step(mx.fast.rms_norm(x, weight, 1e-5))
        both = step(h @ wide[:768].T), step(h @ wide[768:].T)
        y = step(step(mx.sigmoid(both[0]) * both[1] * turn) @ narrow[:, :768].T)
        x = step(x + y)
        g = step(mx.fast.layer_norm(x, weight, None, 1e-5))
        made = step(square * (1 + turn))  # is being written when its product starts
        z = step(g @ made.T)
        found += [step(g[..., :256] @ square[:, :256].T), step(z + g), y]
        z[..., turn] = 1
        x = step(mx.tanh(z) + step(mx.tanh(z) @ square.T) + x)
        x = x / step(mx.sqrt(mx.mean(x * x)))
    return [np.array(a.astype(mx.float32)) for a in (*found, x)]


@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16, mx.float32])
def test_rows_that_products_make_have_the_bits_of_those_that_are_stored(dtype):
    def at_once(a):
        mx.eval(a)
        return a

    together = rows_and_products(dtype, lambda a: a)
    apart = rows_and_products(dtype, at_once)
    for a, b in zip(together, apart, strict=True):
        np.testing.assert_array_equal(a, b)


def test_kernels_that_overlap_keep_their_order():
    code = textwrap.dedent(
        """
        import hashlib
        import mlx.core as mx
        import numpy as np

        mx.set_default_device(mx.gpu)
        draw = np.random.default_rng(3)
        make = lambda *shape: mx.array(draw.standard_normal(shape).astype(np.float32))
        weights = [make(512, 512).astype(mx.bfloat16) for _ in range(6)]
        codes = [mx.quantize(w, 64, 4) for w in weights]
        cache = mx.zeros((1, 4, 64, 128), mx.bfloat16)
        mx.eval(weights, codes, cache)
        hashed = hashlib.sha256()
        for turn in range(12):
            x = make(1, 512).astype(mx.bfloat16)
            for k, (w, c) in enumerate(zip(weights, codes)):
                a = mx.fast.rms_norm(x, None, 1e-5)
                b, d = a @ w.T, mx.quantized_matmul(a, *c, group_size=64, bits=4)
                heads = mx.fast.rope(b.reshape(1, 4, 1, 128), 128, traditional=False, base=1e4,
                                     scale=1.0, offset=turn)
                cache[:, :, turn + k : turn + k + 1] = heads
                e = mx.fast.scaled_dot_product_attention(heads, cache, cache, scale=0.1)
                order = mx.argsort(mx.cumsum(d, axis=-1), axis=-1)
                x = x + mx.softmax(e.reshape(1, 512), axis=-1) + mx.take_along_axis(d, order, -1)
                x = mx.sort(x, axis=-1) * mx.rsqrt(mx.sum(x * x))
            hashed.update(np.array(x.astype(mx.float32)).tobytes())
        print(hashed.hexdigest())
        """
    )
    results = set()
    for overlap in ("1", "0"):
        out = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "MLX_OVERLAP_KERNELS": overlap},
        )
        results.add(out.stdout)
    assert len(results) == 1


TF32 = """
    import mlx.core as mx, numpy as np
    mx.set_default_device(mx.gpu)
    rng = np.random.default_rng(1)
    x, w = rng.normal(size=(2, 9, 9, 32)), rng.normal(size=(16, 3, 3, 32))
    conv = lambda x, w: mx.conv2d(x, w, padding=1)
    def run(dtype, device):
        a, b = (mx.array(v, dtype=dtype) for v in (x, w))
        with mx.stream(device):
            grads = mx.grad(lambda a, b: conv(a, b).square().sum(), argnums=(0, 1))(a, b)
            out = [conv(a, b), *grads, a.reshape(-1, 32) @ b.reshape(-1, 32).T]
            return [np.array(v, dtype=np.float64) for v in out]
    exact = run(mx.float64, mx.cpu)
    print(*(abs(a - b).max() / abs(b).max() for a, b in zip(run(mx.float32, mx.gpu), exact)))
"""


def test_float32_loses_digits_only_where_it_is_asked_to():
    exact = [float(e) for e in run_python(TF32, MLX_ENABLE_TF32="0").split()]
    fast = [float(e) for e in run_python(TF32, MLX_ENABLE_TF32="1").split()]
    assert max(exact) < 5e-6
    assert max(fast) < 5e-3
    assert fast[-1] > 5e-6, "products are TF32"


def test_recorded_copies_do_not_outlive_their_memory():
    """Of the same addresses the driver makes blocks of other sizes."""
    for number in range(12):
        for n in (1 << 20, 3 << 19, 1 << 21):
            held = [mx.full((n >> k,), float(number)) for k in range(3)]
            mx.eval(held)
            sums = [x.at[mx.array([1, 1, 0])].add(1.0) + 1 for x in held]
            mx.eval(sums)
            assert [x[:3].tolist() for x in sums] == [[number + 2, number + 3, number + 1]] * 3
            del held, sums
            mx.clear_cache()


def test_a_caller_that_is_faster_does_not_run_away():
    def chain(x):
        for _ in range(60):  # steps that no pass puts together
            x = x - mx.max(x) + 1
        return x

    def peak(runs):
        mx.synchronize()
        mx.clear_cache()
        mx.reset_peak_memory()
        for _ in range(runs):
            mx.async_eval(chain(mx.zeros((1 << 20,))))
        mx.synchronize()
        return mx.get_peak_memory()

    peak(2)
    few = peak(8)
    assert peak(200) < 2 * few
