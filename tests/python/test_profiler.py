"""The profiler: what it says of steps, its file and its table, and that it ends when its block does."""

import io
import json
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest


def recorded(function, **options):
    """Steps of evaluating what `function` returns."""
    with mx.profiler.trace(**options) as steps:
        mx.eval(function())
    return steps


def one(steps, op):
    found = [s for s in steps if op in s["ops"]]
    assert len(found) == 1, [s["ops"] for s in steps]
    return found[0]


def test_product_has_shapes_bytes_and_operations():
    a, b = mx.array(np.ones((3, 64, 32), np.float32)), mx.array(np.ones((32, 16), np.float32))
    step = one(recorded(lambda: mx.matmul(a, b)), "Matmul")
    assert step["inputs"] == [((3, 64, 32), mx.float32), ((32, 16), mx.float32)]
    assert step["outputs"] == [((3, 64, 16), mx.float32)]
    assert step["bytes"] == 4 * (3 * 64 * 32 + 32 * 16 + 3 * 64 * 16)
    assert step["operations"] == 2 * 3 * 64 * 16 * 32
    assert step["duration"] > 0 and step["start"] >= 0
    assert step["stream"] == mx.default_stream(mx.default_device())


def test_fused_ops_are_named_and_broadcast_inputs_counted_as_they_lie():
    x, row = mx.array(np.ones((100, 50), np.float32)), mx.array(np.ones(50, np.float32))
    row = mx.broadcast_to(row, (100, 50))
    mx.eval(row)
    step = one(recorded(lambda: mx.exp(x * row) + 1), "Multiply")
    assert step["ops"] == ["Multiply", "Exp", "Add"]
    assert step["bytes"] == 4 * (2 * 100 * 50 + 50 + 1)
    assert step["operations"] == 3 * 100 * 50


def test_convolution_attention_and_transform_operations():
    image, kernel = mx.ones((2, 8, 8, 4)), mx.ones((6, 3, 3, 4))
    q = mx.ones((1, 2, 16, 8))
    z = mx.ones((4, 64), mx.complex64)
    mx.eval(image, kernel, q, z)
    conv = one(recorded(lambda: mx.conv2d(image, kernel)), "Convolution")
    assert conv["operations"] == 2 * (2 * 6 * 6 * 6) * 3 * 3 * 4
    attend = recorded(lambda: mx.fast.scaled_dot_product_attention(q, q, q, scale=1.0))
    assert one(attend, "Attention")["operations"] == 2 * 2 * 16 * 16 * (8 + 8)
    assert one(recorded(lambda: mx.fft.fft(z)), "FFT")["operations"] == 5 * 4 * 64 * 6


def test_steps_within_a_step_are_told_apart():
    x = mx.ones((3, 8, 8))
    mx.eval(x)
    steps = recorded(lambda: mx.scan(lambda c, a: (c @ a, mx.sort(a)), x[0], x)[0])
    loop = one(steps, "ScanLoop")
    assert loop["outputs"][0] == ((8, 8), mx.float32)
    inner = [s for s in steps if "Matmul" in s["ops"]]
    assert len(inner) == 3 and all(s["operations"] == 2 * 8**3 for s in inner)
    assert loop["start"] <= min(s["start"] for s in inner)
    assert loop["duration"] >= max(s["duration"] for s in inner)


def test_views_move_nothing():
    x = mx.ones((4, 6))
    mx.eval(x)
    assert recorded(lambda: x.T) == []  # of what is there already is no step
    step = one(recorded(lambda: mx.sort(x).T), "Transpose")
    assert step["bytes"] == 0 and step["operations"] == 0


def test_lines_of_the_program(tmp_path):
    script = tmp_path / "made.py"
    script.write_text(
        "import mlx.core as mx, mlx.nn as nn\n"
        "layer = nn.Linear(4, 4)\n"
        "def run():\n"
        "    y = layer(mx.ones((2, 4)))\n"
        "    return mx.sort(y)\n"
    )
    names = {}
    exec(compile(script.read_text(), str(script), "exec"), names)
    steps = recorded(names["run"], lines=True)
    assert one(steps, "Sort")["line"] == f"{script}:5"
    assert one(steps, "AddMM")["line"] == f"{script}:4"  # not the line within nn.Linear
    assert all(s["line"] == "" for s in recorded(names["run"]))


def test_file_is_a_chrome_trace(tmp_path):
    path = tmp_path / "steps.json"
    with mx.profiler.trace(path, lines=True) as steps:
        mx.eval(mx.sort(mx.ones((4,), mx.int32) * 2))
    events = json.loads(path.read_text())["traceEvents"]
    complete = [e for e in events if e["ph"] == "X"]
    assert len(complete) == len(steps) > 0
    for event in complete:
        assert {"name", "ts", "dur", "pid", "tid", "args"} <= event.keys()
    assert {e["name"] for e in events if e["ph"] == "M"} == {"process_name", "thread_name"}
    assert [e["args"]["inputs"] for e in complete if e["name"] == "Sort"] == [["int32[4]"]]


def test_summary_adds_up_like_steps():
    a = mx.ones((8, 8))
    with mx.profiler.trace() as steps:
        for _ in range(3):
            mx.eval(a @ a)
        mx.eval(mx.sort(a))
    text = io.StringIO()
    mx.profiler.summary(file=text)
    rows = [line.split() for line in text.getvalue().splitlines()[1:]]
    assert {(row[0], row[-1]) for row in rows} >= {("3", "Matmul"), ("1", "Sort")}
    total = sum(s["duration"] for s in steps) / 1e3
    assert np.isclose(sum(float(row[1]) for row in rows), total, atol=1e-3 * (len(rows) + 1))
    short = io.StringIO()
    mx.profiler.summary(rows=1, file=short)
    assert "other kinds" in short.getvalue().splitlines()[-1]


def test_ends_with_its_block():
    with pytest.raises(RuntimeError, match="already"), mx.profiler.trace(), mx.profiler.trace():
        pass
    with pytest.raises(KeyError), mx.profiler.trace() as steps:
        mx.eval(mx.ones((2,)) + 1)
        raise KeyError
    count = len(steps)
    assert count > 0
    mx.eval(mx.ones((2,)) + 2)
    assert len(steps) == count
    assert recorded(lambda: mx.ones((3,)) * 3)  # and can begin again


def test_steps_of_other_streams():
    other = mx.new_stream(mx.cpu)
    steps = recorded(lambda: mx.sort(mx.ones((64,)), stream=other))
    assert one(steps, "Sort")["stream"] == other


def test_runs_a_script(tmp_path):
    script = tmp_path / "job.py"
    script.write_text(
        "import sys, mlx.core as mx\nprint(sys.argv[1:], __name__)\nmx.eval(mx.sort(mx.ones((9,))))\n"
    )
    out = tmp_path / "out.json"
    done = subprocess.run(
        [sys.executable, "-m", "mlx.profiler", "-o", str(out), str(script), "a", "--b"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "['a', '--b'] __main__" in done.stdout
    assert "Sort" in done.stdout
    assert any(e["name"] == "Sort" for e in json.loads(out.read_text())["traceEvents"])


def test_plans_are_counted_bounded_and_forgotten():
    def evaluate():
        x = mx.array([1.0, 2.0])
        mx.eval(mx.sum(mx.exp(x * 3)) * 2)

    mx.profiler.clear_plan_cache()
    assert mx.profiler.plan_cache()["plans"] == 0
    made = mx.profiler.plan_cache()["made"]
    evaluate()
    evaluate()
    after = mx.profiler.plan_cache()
    assert (after["plans"], after["made"]) == (1, made + 1)
    assert after["nodes"] >= 4
    limit = mx.profiler.set_plan_cache_limit(0)
    assert mx.profiler.plan_cache()["nodes"] == 0
    assert mx.profiler.set_plan_cache_limit(limit) == 0
