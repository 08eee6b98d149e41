"""The debug mode that names the op that made the first NaN, and the line that built it."""

import inspect
import re

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from children import run_python

NAN, INF = float("nan"), float("inf")


@pytest.fixture(autouse=True)
def checks():
    mx.set_debug(nan_checks=True)
    yield
    mx.set_debug(nan_checks=False)


def line() -> int:
    """The number of the line that calls this."""
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return frame.f_back.f_lineno


def blamed(evaluate) -> tuple[str, str, int]:
    """Op, message and line of the failure that `evaluate` raises."""
    with pytest.raises(FloatingPointError) as caught:
        evaluate()
    text = str(caught.value)
    found = re.fullmatch(r"\[(\w+)\] (.*?), built in (.*):(\d+)( \(derivative of \w+\))?\.", text)
    assert found is not None, text
    assert found[3] == __file__
    return found[1] + (found[5] or ""), found[2], int(found[4])


def test_names_op_shapes_dtypes_and_line_at_the_point_where_the_value_is_asked_for():
    x = mx.array([[1.0, -1.0, 2.0]])
    y, where = mx.log(x), line()
    z = mx.sort(mx.exp(y * 2) + 1)
    mx.async_eval(z)
    op, text, number = blamed(lambda: np.array(z))
    assert op == "Log" and number == where
    assert text == "The first NaN: float32 (1,3) made of float32 (1,3)"


def test_the_middle_of_what_would_be_fused():
    x = mx.array([0.0, 1.0])
    a = x * 2
    b, where = a / a, line()
    c = mx.exp(b) + x
    op, _, number = blamed(lambda: mx.eval(c))
    assert op == "Divide" and number == where


def test_other_values_of_the_same_evaluation_are_there():
    x = mx.array([-1.0, 4.0])
    good, bad = x * 2, mx.sqrt(x)
    blamed(lambda: mx.eval(bad, good))
    assert good.tolist() == [-2.0, 8.0]
    blamed(lambda: bad.tolist())  # and stays what it is


@pytest.mark.parametrize(
    "name", ["float16", "bfloat16", "float32", "complex64", "complex128", "float64"]
)
def test_dtypes(name):
    dtype = getattr(mx, name)
    if dtype == mx.float64 and mx.default_device() == mx.gpu:
        pytest.skip("no float64 there")
    x = mx.array([0.0, 1.0]).astype(dtype)
    op, text, _ = blamed(lambda: mx.eval(x / x))
    assert op == "Divide" and name in text


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x.T / x.T,
        lambda x: x[:, ::2] / x[:, ::2],
        lambda x: mx.broadcast_to(x[0, 0], (3, 3)) / x[0, 0],
        lambda x: x[0, 0] / x[0, 0],
        lambda x: mx.softmax(x - mx.array(INF)),
        lambda x: mx.sum(mx.array([INF, -INF])),
        lambda x: mx.matmul(mx.array([[INF, 1.0]]), mx.array([[0.0], [1.0]])),
        lambda x: mx.array([INF]) - INF,
        lambda x: mx.fft.fft(mx.array([INF, INF])),
    ],
)
def test_ops_and_layouts(make):
    x = mx.array([[0.0, 1.0, 2.0], [0.0, 3.0, 4.0]])
    mx.eval(x)
    blamed(lambda: mx.eval(make(x)))


def test_nan_in_data_is_nobodys_failure(tmp_path):
    x = mx.array([NAN, 1.0])
    full = mx.full((2,), NAN)
    np.testing.assert_array_equal(np.array(mx.exp(x + full)), [NAN, NAN])
    np.testing.assert_array_equal(np.array(mx.sum(x * 2)), NAN)
    mx.save(str(tmp_path / "x.npy"), x)
    np.testing.assert_array_equal(np.array(mx.load(str(tmp_path / "x.npy")) + 1), [NAN, 2])
    bits = mx.array([0x7FC00000], mx.uint32).view(mx.float32)
    assert mx.isnan(bits + 1).item()
    np.testing.assert_array_equal(np.array(mx.nan_to_num(x)), [0, 1])
    update = mx.zeros((3,))
    update[1] = NAN
    np.testing.assert_array_equal(np.array(update), [0, NAN, 0])


def test_an_element_that_no_input_had_is_found_beside_those_that_came_in():
    x = mx.array([NAN, 1.0])
    y = mx.array([1.0, -1.0])
    assert blamed(lambda: mx.eval(mx.log(x * y)))[0] == "Log"
    mx.eval(mx.maximum(x, y))


def test_infinities_and_integers_are_no_nan():
    x = mx.array([INF, -INF, 0.0])
    assert mx.exp(x).tolist() == [INF, 0.0, 1.0]
    assert (1 / x).tolist() == [0.0, -0.0, INF]
    mx.eval(mx.argmax(x), x.astype(mx.int32), mx.random.normal((100,)), mx.zeros((0, 3)).sum())


def test_gradients_name_the_line_of_what_they_are_derived_from():
    where = 0

    def f(x):
        nonlocal where
        y, where = mx.sqrt(x), line()
        return mx.sum(y * 0)

    op, _, number = blamed(lambda: mx.eval(mx.grad(f)(mx.array([0.0, 1.0]))))
    assert number == where and op.endswith("(derivative of Sqrt)")


def test_forward_derivatives():
    where = 0

    def f(x):
        nonlocal where
        y, where = mx.sqrt(x), line()
        return y

    def run():
        _, tangents = mx.jvp(f, [mx.array([0.0])], [mx.array([0.0])])
        mx.eval(tangents)

    _, _, number = blamed(run)
    assert number == where


def test_compiled_functions_name_lines_within():
    where = 0

    @mx.compile
    def f(x):
        nonlocal where
        y = x * 2
        z, where = mx.log(y), line()
        return z + 1

    assert f(mx.array([1.0])).item() > 1
    first = where
    op, _, number = blamed(lambda: mx.eval(f(mx.array([-1.0]))))  # not traced again
    assert op == "Log" and number == first


def test_functions_compiled_before_name_lines_too():
    mx.set_debug(nan_checks=False)
    where = 0

    @mx.compile
    def f(x):
        nonlocal where
        y, where = mx.log(x), line()
        return y + 1

    mx.eval(f(mx.array([1.0])))
    mx.set_debug(nan_checks=True)
    assert blamed(lambda: mx.eval(f(mx.array([-1.0]))))[2] == where


def test_batched_functions_name_lines_within():
    where = 0

    def f(x):
        nonlocal where
        y, where = mx.log(x), line()
        return y.sum()

    op, text, number = blamed(lambda: mx.eval(mx.vmap(f)(mx.array([[1.0, -1.0], [2.0, 3.0]]))))
    assert op == "Log" and number == where and "(2,2)" in text


def test_rules_of_ones_own_name_their_own_lines():
    where = 0

    @mx.custom_function
    def f(x):
        return x * 2

    @f.vjp
    def rule(x, cotangent, output):
        nonlocal where
        y, where = mx.log(-cotangent), line()
        return y

    blame = blamed(lambda: mx.eval(mx.grad(lambda x: f(x).sum())(mx.array([1.0]))))
    assert blame[0] == "Log" and blame[2] == where


def test_lines_are_those_of_the_program_and_not_of_the_library():
    layer = nn.LayerNorm(4)
    layer.weight = mx.array([INF, 1.0, 1.0, 1.0])
    x = mx.zeros((2, 4))
    y, where = layer(x), line()
    assert blamed(lambda: mx.eval(y))[2] == where


def test_training_steps_run_as_they_do_without():
    def train():
        mx.random.seed(0)
        model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
        x = mx.random.normal((16, 4))
        step = nn.value_and_grad(model, lambda x: mx.mean(mx.square(model(x))))
        for _ in range(3):
            loss, grads = step(x)
            model.update(mx.utils.tree_map(lambda p, g: p - 0.1 * g, model.parameters(), grads))
            mx.eval(loss, model.state)
        return loss.item()

    checked = train()
    mx.set_debug(nan_checks=False)
    assert train() == checked


def test_streams_and_threads():
    stream = mx.new_stream(mx.default_device())
    y, where = mx.log(mx.array([-1.0]), stream=stream), line()
    z = mx.add(y, 1.0, stream=mx.cpu)
    op, _, number = blamed(lambda: z.item())
    assert op == "Log" and number == where


def test_is_off_again():
    mx.set_debug(nan_checks=True)  # twice is once
    mx.set_debug(nan_checks=False)
    assert np.isnan(mx.log(mx.array(-1.0)).item())
    with mx.profiler.trace() as steps:
        mx.eval(mx.exp(mx.array([1.0]) * 2) + 1)
    assert any(len(s["ops"]) == 3 for s in steps)


def test_beside_the_profiler():
    with mx.profiler.trace(lines=True) as steps:
        mx.eval(mx.exp(mx.array([1.0]) * 2) + 1)
    assert [s["ops"] for s in steps] == [["Multiply"], ["Exp"], ["Add"]]
    y, where = mx.log(mx.array([-1.0])), line()
    assert blamed(lambda: y.item())[2] == where


def test_from_the_environment():
    code = """
        import mlx.core as mx
        try:
            mx.log(mx.array(-1.0)).item()
        except FloatingPointError as e:
            print(e)
    """
    text = run_python(code, MLX_NAN_CHECKS="1")
    assert text == "[Log] The first NaN: float32 () made of float32 (), built in <string>:4."


def test_takes_keywords():
    with pytest.raises(TypeError):
        mx.set_debug(True)  # type: ignore[misc]
