"""Optimizers: five steps against NumPy, their states, compiled steps, and bad settings."""

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
import pytest
from mlx.utils import tree_flatten, tree_map, tree_unflatten

SHAPES = {"matrix": (4, 6), "tall": (6, 4), "vector": (5,), "scalar": (), "filters": (3, 2, 4)}


def sgd(momentum=0.0, decay=0.0, dampening=0.0, nesterov=False):
    def step(g, w, s, rate, t):
        g = g + decay * w
        if momentum == 0:
            return w - rate * g
        s["v"] = momentum * s.get("v", 0) + (1 - dampening) * g
        return w - rate * (g + momentum * s["v"] if nesterov else s["v"])

    return step


def adam(b1=0.9, b2=0.999, eps=1e-8, correct=False, decay=0.0):
    def step(g, w, s, rate, t):
        w = w * (1 - rate * decay)
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["v"] = b2 * s.get("v", 0) + (1 - b2) * g**2
        m = s["m"] / (1 - b1**t) if correct else s["m"]
        v = s["v"] / (1 - b2**t) if correct else s["v"]
        return w - rate * m / (np.sqrt(v) + eps)

    return step


def adamax(b1=0.9, b2=0.999, eps=1e-8):
    def step(g, w, s, rate, t):
        s["m"] = b1 * s.get("m", 0) + (1 - b1) * g
        s["v"] = np.maximum(b2 * s.get("v", 0), np.abs(g))
        return w - rate * s["m"] / (s["v"] + eps)

    return step


def adadelta(rho=0.9, eps=1e-6):
    def step(g, w, s, rate, t):
        s["v"] = rho * s.get("v", 0) + (1 - rho) * g**2
        d = np.sqrt(s.get("u", 0) + eps) / np.sqrt(s["v"] + eps) * g
        s["u"] = rho * s.get("u", 0) + (1 - rho) * d**2
        return w - rate * d

    return step


def adagrad(eps=1e-8):
    def step(g, w, s, rate, t):
        s["v"] = s.get("v", 0) + g**2
        return w - rate * g / (np.sqrt(s["v"]) + eps)

    return step


def rmsprop(alpha=0.99, eps=1e-8):
    def step(g, w, s, rate, t):
        s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
        return w - rate * g / (np.sqrt(s["v"]) + eps)

    return step


def lion(b1=0.9, b2=0.99, decay=0.0):
    def step(g, w, s, rate, t):
        m = s.get("m", 0)
        s["m"] = b2 * m + (1 - b2) * g
        return w * (1 - rate * decay) - rate * np.sign(b1 * m + (1 - b1) * g)

    return step


def muon(momentum=0.95, decay=0.01, nesterov=True, steps=5):
    def step(g, w, s, rate, t):
        g = g + decay * w
        s["v"] = v = momentum * s.get("v", 0) + (1 - momentum) * g
        u = g * (1 - momentum) + momentum * v if nesterov else v
        if u.ndim >= 2:
            x = u.reshape(u.shape[0], -1)
            rate = rate * max(1, x.shape[0] / x.shape[1]) ** 0.5
            x = x / (np.linalg.norm(x) + 1e-7)
            for _ in range(steps):
                a = x @ x.T
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            u = x.reshape(u.shape)
        return w - rate * u

    return step


def adafactor(
    eps=(1e-30, 1e-3),
    clip=1.0,
    power=-0.8,
    b1=None,
    decay=0.0,
    scale=True,
    relative=True,
    warmup=False,
):
    rms = lambda x: np.sqrt(np.mean(x**2))

    def step(g, w, s, rate, t):
        if relative:
            rate = min(1e-6 * t if warmup else 1e-2, t**-0.5)
        if scale:
            rate = rate * max(eps[1], rms(w))
        b2 = 1 - t**power
        square = g**2 + eps[0]
        if g.ndim >= 2:
            s["row"] = r = b2 * s.get("row", 0) + (1 - b2) * square.mean(-1)
            s["col"] = c = b2 * s.get("col", 0) + (1 - b2) * square.mean(-2)
            r = r / r.mean(-1, keepdims=True)
            u = g / np.sqrt(r[..., None] * c[..., None, :])
        else:
            s["v"] = b2 * s.get("v", 0) + (1 - b2) * square
            u = g / np.sqrt(s["v"])
        u = rate * u / max(1.0, rms(u) / clip)
        if b1 is not None:
            s["m"] = u = b1 * s.get("m", 0) + (1 - b1) * u
        return w - decay * rate * w - u

    return step


R = 0.1
CASES = {
    "SGD": (lambda: optim.SGD(R), sgd()),
    "SGD decay": (lambda: optim.SGD(R, weight_decay=0.1), sgd(decay=0.1)),
    "SGD momentum": (lambda: optim.SGD(R, 0.9, 0.01, 0.3), sgd(0.9, 0.01, 0.3)),
    "SGD nesterov": (lambda: optim.SGD(R, 0.9, nesterov=True), sgd(0.9, nesterov=True)),
    "Adam": (lambda: optim.Adam(R), adam()),
    "Adam corrected": (lambda: optim.Adam(R, [0.8, 0.9], 0.1, True), adam(0.8, 0.9, 0.1, True)),
    "AdamW": (lambda: optim.AdamW(R), adam(decay=0.01)),
    "AdamW corrected": (
        lambda: optim.AdamW(R, [0.8, 0.9], 0.1, 0.2, True),
        adam(0.8, 0.9, 0.1, True, 0.2),
    ),
    "Adamax": (lambda: optim.Adamax(R), adamax()),
    "Adamax settings": (lambda: optim.Adamax(R, [0.8, 0.9], 0.1), adamax(0.8, 0.9, 0.1)),
    "AdaDelta": (lambda: optim.AdaDelta(R), adadelta()),
    "AdaDelta settings": (lambda: optim.AdaDelta(R, 0.5, 0.1), adadelta(0.5, 0.1)),
    "Adagrad": (lambda: optim.Adagrad(R), adagrad()),
    "RMSprop": (lambda: optim.RMSprop(R), rmsprop()),
    "RMSprop settings": (lambda: optim.RMSprop(R, 0.5, 0.1), rmsprop(0.5, 0.1)),
    "Lion": (lambda: optim.Lion(R), lion()),
    "Lion decay": (lambda: optim.Lion(R, [0.5, 0.6], 0.1), lion(0.5, 0.6, 0.1)),
    "Muon": (lambda: optim.Muon(R), muon()),
    "Muon settings": (lambda: optim.Muon(R, 0.5, 0.1, False, 3), muon(0.5, 0.1, False, 3)),
    "Adafactor": (lambda: optim.Adafactor(), adafactor()),
    "Adafactor warmup": (lambda: optim.Adafactor(warmup_init=True), adafactor(warmup=True)),
    "Adafactor rate": (
        lambda: optim.Adafactor(R, relative_step=False, beta_1=0.9, weight_decay=0.1),
        adafactor(relative=False, b1=0.9, decay=0.1),
    ),
    "Adafactor settings": (
        lambda: optim.Adafactor(
            R, (1e-3, 0.1), 0.5, -0.5, scale_parameter=False, relative_step=False
        ),
        adafactor((1e-3, 0.1), 0.5, -0.5, scale=False, relative=False),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_steps_agree_with_numpy(name):
    make, oracle = CASES[name]
    optimizer = make()
    rng = np.random.default_rng(1)
    w = {key: rng.normal(size=shape) for key, shape in SHAPES.items()}
    states = {key: {} for key in SHAPES}
    mine = tree_map(lambda x: mx.array(np.array(x, np.float32)), w)
    for t in range(1, 6):
        g = {key: np.asarray(rng.normal(size=shape)) for key, shape in SHAPES.items()}
        mine = optimizer.apply_gradients(
            tree_map(lambda x: mx.array(np.array(x, np.float32)), g), mine
        )
        w = {key: oracle(g[key], w[key], states[key], R, t) for key in SHAPES}
        assert optimizer.step.item() == t
    for key in SHAPES:
        np.testing.assert_allclose(np.array(mine[key]), w[key], rtol=2e-4, atol=2e-5, err_msg=key)


@pytest.mark.parametrize("name", CASES)
def test_compiled_training_steps_are_the_same(name):
    def train(compiled):
        mx.random.seed(4)
        model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
        optimizer = CASES[name][0]()
        optimizer.init(model.trainable_parameters())
        x, y = mx.random.normal((8, 3)), mx.random.normal((8, 1))
        loss_and_grad = nn.value_and_grad(model, lambda x, y: nn.losses.mse_loss(model(x), y))

        def step(x, y):
            loss, grads = loss_and_grad(x, y)
            optimizer.update(model, grads)
            return loss

        if compiled:
            state = [model.state, optimizer.state]
            step = mx.compile(step, inputs=state, outputs=state)
        return [step(x, y).item() for _ in range(4)]

    np.testing.assert_allclose(train(True), train(False), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_half_parameters_stay_half(name, dtype):
    optimizer = CASES[name][0]()
    w = {"w": mx.ones((2, 3), dtype), "b": mx.ones(3, dtype)}
    for _ in range(2):
        w = optimizer.apply_gradients(w, w)
    assert {x.dtype for _, x in tree_flatten(w)} == {dtype}
    own = {key: optimizer.state[key] for key in w}
    assert {x.dtype for _, x in tree_flatten(own)} == {dtype}


# ------------------------------------------------------------------ state


def test_state_holds_arrays_under_fixed_names():
    def names(optimizer):
        optimizer.init({"w": mx.ones((2, 2)), "l": [mx.ones(2)]})
        return sorted(name for name, _ in tree_flatten(optimizer.state))

    common = ["learning_rate", "step"]
    assert names(optim.SGD(R)) == sorted([*common, "w.v", "l.0.v"])
    assert names(optim.AdamW(R)) == sorted([*common, "w.m", "w.v", "l.0.m", "l.0.v"])
    assert names(optim.AdaDelta(R)) == sorted([*common, "w.u", "w.v", "l.0.u", "l.0.v"])
    assert names(optim.Lion(R)) == sorted([*common, "w.m", "l.0.m"])
    assert names(optim.Adafactor(beta_1=0.5)) == sorted(
        [
            "step",
            "w.exp_avg_sq_row",
            "w.exp_avg_sq_col",
            "w.exp_avg",
            "l.0.exp_avg_sq",
            "l.0.exp_avg",
        ]
    )
    state = optim.Adam(R).state
    assert state["step"].dtype == mx.uint64 and state["learning_rate"].dtype == mx.float32


def test_learning_rate_and_state_can_be_set():
    optimizer = optim.SGD(0.1)
    optimizer.learning_rate = 0.3
    np.testing.assert_allclose(optimizer.learning_rate.item(), 0.3, rtol=1e-6)
    other = optim.SGD(0.5)
    other.state = optimizer.state
    assert other.learning_rate is optimizer.learning_rate
    with pytest.raises(NotImplementedError):
        optim.Optimizer().init_single(mx.ones(1), {})
    with pytest.raises(NotImplementedError):
        optim.Optimizer().apply_single(mx.ones(1), mx.ones(1), {})


@pytest.mark.parametrize("name", CASES)
def test_an_assigned_state_goes_on(name):
    make, _ = CASES[name]
    rng = np.random.default_rng(4)
    start = {
        key: mx.array(rng.normal(size=shape).astype(np.float32)) for key, shape in SHAPES.items()
    }
    steps = [
        {key: mx.array(rng.normal(size=shape).astype(np.float32)) for key, shape in SHAPES.items()}
        for _ in range(4)
    ]
    straight, first = make(), make()
    want, got = start, start
    for g in steps:
        want = straight.apply_gradients(g, want)
    for g in steps[:2]:
        got = first.apply_gradients(g, got)
    second = make()
    second.state = tree_unflatten(tree_flatten(first.state))  # as it comes back from a file
    for g in steps[2:]:
        got = second.apply_gradients(g, got)
    for key in SHAPES:
        np.testing.assert_array_equal(np.array(got[key]), np.array(want[key]))
    assert second.step.item() == 4


def test_a_state_is_completed_for_parameters_that_it_lacks():
    optimizer = optim.Adam(0.1)
    grads = {"a": mx.ones(2), "layers": [{"w": mx.ones(3)}, {"w": mx.ones(3)}]}
    moments = {"m": mx.full((2,), 5.0), "v": mx.full((2,), 7.0)}
    state = {**optimizer.state, "a": dict(moments), "layers": [{"w": {"m": mx.ones(3)}}]}
    optimizer.state = state
    optimizer.apply_gradients(grads, grads)
    assert optimizer.state is state
    np.testing.assert_allclose(np.array(state["a"]["m"]), 0.9 * 5 + 0.1, rtol=1e-6)
    np.testing.assert_allclose(np.array(state["layers"][0]["w"]["m"]), 1.0, rtol=1e-6)
    np.testing.assert_allclose(np.array(state["layers"][0]["w"]["v"]), 1e-3, rtol=1e-5)
    np.testing.assert_allclose(np.array(state["layers"][1]["w"]["m"]), 0.1, rtol=1e-5)


def test_init_keeps_what_is_there():
    parameters = {"w": mx.ones((2,)), "l": [mx.ones(2), mx.ones(3)]}
    former = {"w": {"m": mx.full((2,), 2.0), "v": mx.full((2,), 3.0)}, "step": mx.array(5)}
    optimizer = optim.Adam(0.1)
    optimizer.state = {**optimizer.state, **former}
    optimizer.init(parameters)
    assert optimizer.state["w"]["m"].tolist() == [2, 2] and optimizer.step.item() == 5
    assert [entry["v"].shape for entry in optimizer.state["l"]] == [(2,), (3,)]
    optimizer.apply_gradients(parameters, parameters)
    after = optimizer.state["w"]["m"].tolist()
    optimizer.init(parameters)
    assert optimizer.state["w"]["m"].tolist() == after != [2, 2]


def test_update_takes_a_part_of_the_gradients():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    before = tree_map(np.array, model.parameters())
    optim.SGD(1.0).update(model, {"layers": [{}, {}, {"bias": mx.ones(2)}]})
    after = tree_map(np.array, model.parameters())
    np.testing.assert_allclose(
        after["layers"][2]["bias"], before["layers"][2]["bias"] - 1, atol=1e-6
    )
    np.testing.assert_array_equal(after["layers"][0]["weight"], before["layers"][0]["weight"])


def test_update_ignores_what_is_not_an_array():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Linear(2, 2))
    model.note = (1, 2)
    grads = dict(model.parameters(), note=(1, 2), nothing=None)
    grads["layers"][0] = dict(grads["layers"][0], stride=(1, 1), flag=None)
    for optimizer in (optim.SGD(0.5), optim.AdamW(0.5)):
        optimizer.update(model, grads)
        assert "stride" not in optimizer.state["layers"][0] and "note" not in optimizer.state


def test_gradients_of_absent_parameters_are_an_error():
    with pytest.raises(KeyError):
        optim.SGD(0.1).update(nn.Linear(2, 2), {"absent": mx.ones(1)})


def test_training_reduces_the_loss():
    mx.random.seed(0)
    x = mx.random.normal((64, 4))
    y = x @ mx.array([[1.0], [-2.0], [0.5], [3.0]])
    model = nn.Linear(4, 1)
    step = nn.value_and_grad(model, lambda x, y: nn.losses.mse_loss(model(x), y))
    optimizer = optim.Adam(learning_rate=0.1)
    losses = []
    for _ in range(100):
        loss, grads = step(x, y)
        optimizer.update(model, grads)
        losses.append(loss.item())
    assert losses[-1] < 1e-2 * losses[0]


# ------------------------------------------------------------------ several optimizers, clipping


def test_multi_optimizer():
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2))
    before = tree_map(np.array, model.parameters())
    optimizer = optim.MultiOptimizer(
        [optim.SGD(1.0), optim.SGD(0.1, momentum=0.5)], [lambda path, g: path.endswith("bias")]
    )
    optimizer.update(model, tree_map(mx.ones_like, model.parameters()))
    after = tree_map(np.array, model.parameters())
    change = tree_map(lambda a, b: b - a, before, after)
    np.testing.assert_allclose(change["layers"][0]["bias"], -1.0, atol=1e-6)
    np.testing.assert_allclose(change["layers"][2]["weight"], -0.1, atol=1e-6)
    first, second = optimizer.state["states"]
    assert "bias" in first["layers"][0] and "weight" not in first["layers"][0]
    assert first["step"].item() == second["step"].item() == 1
    np.testing.assert_allclose(optimizer.learning_rate.item(), 1.0)
    optimizer.learning_rate = 0.25
    assert all(o.learning_rate.item() == 0.25 for o in optimizer.optimizers)
    optimizer.state = {"states": [first, second]}
    for state in ({}, {"states": [first]}):
        with pytest.raises(ValueError, match="Invalid state"):
            optimizer.state = state
    optimizer.init(model.parameters())
    for count, filters in [(2, []), (1, [lambda p, g: True])]:
        with pytest.raises(ValueError, match="filters"):
            optim.MultiOptimizer([optim.SGD(0.1)] * count, filters)


def test_clip_grad_norm():
    grads = {"a": mx.array([3.0, 0.0]), "b": [mx.array([4.0])]}
    clipped, norm = optim.clip_grad_norm(grads, 1.0)
    np.testing.assert_allclose(norm.item(), 5.0)
    np.testing.assert_allclose(np.array(clipped["a"]), [0.6, 0.0], rtol=1e-5)
    np.testing.assert_allclose(np.array(clipped["b"][0]), [0.8], rtol=1e-5)
    same, _ = optim.clip_grad_norm(grads, 10.0)
    np.testing.assert_array_equal(np.array(same["a"]), [3.0, 0.0])
    half, norm = optim.clip_grad_norm({"a": mx.array([300.0, 400.0], mx.float16)}, 1.0)
    np.testing.assert_allclose(norm.item(), 500.0)
    assert half["a"].dtype == mx.float16
    np.testing.assert_allclose(np.array(half["a"]), [0.6, 0.8], rtol=1e-3)
    assert optim.clip_grad_norm({}, 1.0)[1].item() == 0


def test_bad_settings():
    for call in [
        lambda: optim.SGD(0.1, nesterov=True),
        lambda: optim.SGD(0.1, momentum=0.9, nesterov=True, dampening=0.1),
        lambda: optim.Adam(0.1, [1.0, 0.9]),
        lambda: optim.Adam(0.1, [0.9, -0.1]),
        lambda: optim.Adam(0.1, [0.9]),
        lambda: optim.AdamW(0.1, eps=-1),
        lambda: optim.Adamax(0.1, eps=-1),
        lambda: optim.Lion(0.1, [2, 0.5]),
        lambda: optim.AdaDelta(0.1, rho=-1),
        lambda: optim.AdaDelta(0.1, eps=-1),
        lambda: optim.RMSprop(0.1, alpha=-1),
        lambda: optim.RMSprop(0.1, eps=-1),
        lambda: optim.Adagrad(0.1, eps=-1),
        lambda: optim.Adam("fast"),
    ]:
        with pytest.raises(ValueError):
            call()
