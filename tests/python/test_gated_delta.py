"""The gated delta rule against its recurrence in float64."""

import mlx.core as mx
import numpy as np
import pytest

B, T, H, G, D, E = 2, 5, 2, 4, 19, 37


def rule(q, k, v, gate, beta, state=None, mask=None):
    """Step by step in NumPy."""
    q, k, v, gate, beta = (np.asarray(x, "f8") for x in (q, k, v, gate, beta))
    repeats = v.shape[2] // q.shape[2]
    q, k = np.repeat(q, repeats, 2), np.repeat(k, repeats, 2)
    gate = gate[..., None] if gate.ndim == 3 else gate
    state = np.zeros((*v.shape[::2], v.shape[3], q.shape[3])) if state is None else np.array(state)
    outputs = np.zeros(v.shape)
    for t in range(q.shape[1]):
        new = state * gate[:, t, :, None]
        delta = (v[:, t] - np.einsum("bged,bgd->bge", new, k[:, t])) * beta[:, t, :, None]
        new = new + np.einsum("bge,bgd->bged", delta, k[:, t])
        seen = np.ones(len(q), bool) if mask is None else np.asarray(mask)[:, t]
        outputs[:, t] = np.einsum("bgd,bged->bge", q[:, t], new) * seen[:, None, None]
        state = np.where(seen[:, None, None, None], new, state)
    return outputs, state


def sample(*shape, dtype=mx.float32):
    return mx.array(np.random.randn(*shape) / shape[-1] ** 0.5).astype(dtype)


def inputs(heads=G, per_feature=False, steps=T, dtype=mx.float32):
    gate = (B, steps, heads, D) if per_feature else (B, steps, heads)
    qk = [sample(B, steps, H, D, dtype=dtype) for _ in range(2)]
    value = sample(B, steps, heads, E, dtype=dtype)
    return [*qk, value, mx.sigmoid(2 + sample(*gate)), mx.sigmoid(sample(B, steps, heads))]


def check(arguments, state=None, mask=None, tolerance=2e-6):
    out, last = mx.fast.gated_delta_update(*arguments, initial_state=state, mask=mask)
    expected_out, expected_last = rule(
        *(np.array(x.astype(mx.float32)) for x in arguments), state, mask
    )
    assert last.dtype == mx.float32
    np.testing.assert_allclose(
        np.array(out.astype(mx.float32)), expected_out, rtol=tolerance, atol=tolerance
    )
    np.testing.assert_allclose(np.array(last), expected_last, rtol=2e-6, atol=2e-6)
    return out


@pytest.mark.parametrize("heads", [2, 4, 6])
@pytest.mark.parametrize("per_feature", [False, True])
def test_rule(heads, per_feature):
    arguments = inputs(heads, per_feature)
    check(arguments)
    check(arguments, state=sample(B, heads, E, D))
    check(arguments, state=sample(B, heads, E, D), mask=mx.array(np.random.rand(B, T) > 0.4))


def test_layouts_and_sizes():
    strided = [mx.contiguous(x.swapaxes(0, -1)).swapaxes(0, -1) for x in inputs()]
    check(strided, state=sample(D, E, G, B).transpose(3, 2, 1, 0))
    check(inputs(steps=1))
    check(inputs(steps=130))
    state = sample(B, G, E, D)
    out, last = mx.fast.gated_delta_update(*inputs(steps=0), initial_state=state)
    assert out.shape == (B, 0, G, E)
    np.testing.assert_array_equal(last, state)


@pytest.mark.parametrize(("dtype", "tolerance"), [(mx.float16, 1e-3), (mx.bfloat16, 1e-2)])
def test_half_types_compute_in_float32(dtype, tolerance):
    assert check(inputs(dtype=dtype), tolerance=tolerance).dtype == dtype
    q, k, v, gate, beta = inputs(dtype=dtype)
    assert check([q, k, v.astype(mx.float32), gate, beta]).dtype == mx.float32


def test_two_calls_continue():
    arguments = inputs()
    out, last = mx.fast.gated_delta_update(*arguments)
    first, state = mx.fast.gated_delta_update(*(x[:, :2] for x in arguments))
    second, state = mx.fast.gated_delta_update(*(x[:, 2:] for x in arguments), initial_state=state)
    np.testing.assert_array_equal(mx.concatenate([first, second], axis=1), out)
    np.testing.assert_array_equal(state, last)


@pytest.mark.parametrize("masked", [False, True])
def test_derivatives(masked):
    small = [x[:, :3, ..., :4] for x in inputs(per_feature=True)[:4]]
    beta = mx.sigmoid(sample(B, 3, G))
    mask = mx.array([[True, False, True], [True, True, False]]) if masked else None

    def total(*xs):
        # In float32 as the op itself, under checks in float64.
        narrow = [x.astype(mx.float32) for x in xs]
        out, last = mx.fast.gated_delta_update(*narrow[:5], initial_state=narrow[5], mask=mask)
        return (mx.sin(out).sum() + (last**2).sum()).astype(mx.float64)

    arguments = [*small, beta, sample(B, G, 4, 4)]
    grads = mx.grad(total, argnums=list(range(6)))(*arguments)
    step = 1e-2
    directions = [sample(*x.shape) for x in arguments]
    move = lambda sign: [x + sign * step * d for x, d in zip(arguments, directions, strict=True)]
    slope = (total(*move(1)) - total(*move(-1))).item() / (2 * step)
    along = sum((g * d).sum().item() for g, d in zip(grads, directions, strict=True))
    np.testing.assert_allclose(along, slope, rtol=5e-3, atol=5e-3)
    _, (tangent,) = mx.jvp(total, arguments, directions)
    np.testing.assert_allclose(tangent.item(), along, rtol=1e-4, atol=1e-4)


def test_vmap_and_compile():
    batch = [inputs() for _ in range(3)]
    stacked = [mx.stack(xs, axis=1) for xs in zip(*batch, strict=True)]
    f = mx.fast.gated_delta_update
    out, last = mx.vmap(f, in_axes=1)(*stacked)
    for i, arguments in enumerate(batch):
        expected = f(*arguments)
        np.testing.assert_array_equal(out[i], expected[0])
        np.testing.assert_array_equal(last[i], expected[1])
    out, _ = mx.vmap(f, in_axes=(None, None, 1, None, None))(
        *batch[0][:2], stacked[2], *batch[0][3:]
    )
    np.testing.assert_array_equal(out[0], f(*batch[0])[0])
    np.testing.assert_allclose(mx.compile(f)(*batch[0])[0], f(*batch[0])[0], rtol=1e-6)


def test_wrong_shapes():
    f = mx.fast.gated_delta_update
    q, k, v, gate, beta = inputs()
    for wrong, message in [
        ((q[0], k, v, gate, beta), "queries, keys and values"),
        ((q, k[:, :2], v, gate, beta), "keys must have shape"),
        ((q, k, v[:, :2], gate, beta), "do not fit"),
        ((q, k, v[:, :, :3], gate, beta), "multiple"),
        ((q, k, v, gate[..., :2], beta), "gates must have shape"),
        ((q, k, v, gate, beta[..., None]), "beta must have shape"),
        ((q.astype(mx.complex64), k, v, gate, beta), "complex64"),
    ]:
        with pytest.raises(ValueError, match=message):
            f(*wrong)
    with pytest.raises(ValueError, match="initial_state must have shape"):
        f(q, k, v, gate, beta, mx.zeros((B, G, D, E)))
    with pytest.raises(ValueError, match="mask must have shape"):
        f(q, k, v, gate, beta, mask=mx.ones((T,), mx.bool_))
