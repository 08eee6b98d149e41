"""Learning rate schedules as functions of the step, alone and in optimizers."""

import math

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest

STEPS = [0, 1, 5, 9, 10, 11, 25]
CASES = {
    "exponential": (optim.exponential_decay(0.1, 0.9), lambda s: 0.1 * 0.9**s),
    "step": (optim.step_decay(0.1, 0.9, 10), lambda s: 0.1 * 0.9 ** (s // 10)),
    "cosine": (
        optim.cosine_decay(0.1, 10),
        lambda s: 0.05 * (1 + math.cos(math.pi * min(s, 10) / 10)),
    ),
    "cosine end": (
        optim.cosine_decay(0.1, 10, 0.02),
        lambda s: 0.02 + 0.04 * (1 + math.cos(math.pi * min(s, 10) / 10)),
    ),
    "linear": (optim.linear_schedule(0.5, 0.1, 10), lambda s: 0.5 - 0.04 * min(s, 10)),
    "joined": (
        optim.join_schedules(
            [optim.linear_schedule(0.0, 0.1, 10), optim.step_decay(0.1, 0.5, 5), lambda s: 7.0],
            [10, 20],
        ),
        lambda s: s / 100 if s < 10 else 0.1 * 0.5 ** ((s - 10) // 5) if s < 20 else 7.0,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    schedule, expected = CASES[name]
    for step in STEPS:
        np.testing.assert_allclose(float(schedule(step)), expected(step), rtol=1e-5, atol=1e-7)
        value = schedule(mx.array(step, mx.uint64))
        assert value.dtype == mx.float32
        np.testing.assert_allclose(value.item(), expected(step), rtol=1e-5, atol=1e-7)


def test_bad_settings():
    for call in [
        lambda: optim.linear_schedule(0, 1, 0),
        lambda: optim.cosine_decay(1, 0),
        lambda: optim.step_decay(1.0, 0.5, 0),
        lambda: optim.join_schedules([], []),
        lambda: optim.join_schedules([optim.step_decay(1, 1, 1)], [3]),
    ]:
        with pytest.raises(ValueError):
            call()


def test_schedules_in_an_optimizer_follow_its_step():
    optimizer = optim.SGD(optim.step_decay(0.1, 0.5, 2))
    w = {"w": mx.array([1.0])}
    rates = []
    for _ in range(5):
        w = optimizer.apply_gradients({"w": mx.array([1.0])}, w)
        rates.append(optimizer.learning_rate.item())
    np.testing.assert_allclose(rates, [0.1, 0.1, 0.05, 0.05, 0.025], rtol=1e-6)
    np.testing.assert_allclose(w["w"].item(), 1 - sum(rates), rtol=1e-6)


def test_schedules_in_a_compiled_step():
    optimizer = optim.Adam(optim.linear_schedule(1.0, 0.0, 4))
    w = {"w": mx.array([1.0])}
    optimizer.init(w)
    state = [w, optimizer.state]

    def step():
        w.update(optimizer.apply_gradients({"w": mx.array([1.0])}, w))

    compiled = mx.compile(step, inputs=state, outputs=state)
    rates = []
    for _ in range(3):
        compiled()
        rates.append(optimizer.learning_rate.item())
    np.testing.assert_allclose(rates, [1.0, 0.75, 0.5], rtol=1e-6)


def test_other_settings_can_be_scheduled():
    optimizer = optim.Optimizer(schedulers={"warmth": lambda step: step * 2})
    optimizer.init_single = lambda parameter, state: None
    optimizer.apply_single = lambda g, p, state: p
    optimizer.apply_gradients({"w": mx.ones(1)}, {"w": mx.ones(1)})
    optimizer.apply_gradients({"w": mx.ones(1)}, {"w": mx.ones(1)})
    assert optimizer.state["warmth"].item() == 2
