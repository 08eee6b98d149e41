"""Divided layers, in one process that plays all members of a group one after the other."""

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.nn.layers import distributed
from mlx.utils import tree_flatten, tree_map

SIZE = 2


class Member:
    """One of two processes; stands in for ``mx.distributed.Group``."""

    def __init__(self, rank):
        self._rank = rank

    def size(self):
        return SIZE

    def rank(self):
        return self._rank


MEMBERS = [Member(rank) for rank in range(SIZE)]


def close(a, b, tol=1e-5):
    np.testing.assert_allclose(np.array(a), np.array(b), rtol=tol, atol=tol)


@pytest.fixture
def channel(monkeypatch):
    """Replace communication; what other members contribute is set by the test."""

    class Channel:
        others = None

        def all_sum(self, x, *, group=None, stream=None):
            return x if self.others is None else x + self.others

        def all_gather(self, x, *, group=None, stream=None):
            parts = [x, self.others] if group.rank() == 0 else [self.others, x]
            return mx.concatenate(parts, axis=0)

        def sum_scatter(self, x, *, group=None, stream=None):
            total = x if self.others is None else x + self.others
            return mx.split(total, SIZE, axis=0)[group.rank()]

    fake = Channel()
    monkeypatch.setattr(mx, "distributed", fake, raising=False)
    return fake


def test_all_to_sharded(channel):
    whole = nn.Linear(6, 4)
    x = mx.random.normal((3, 6))
    parts = [nn.AllToShardedLinear.from_linear(whole, group=member) for member in MEMBERS]
    close(mx.concatenate([part(x) for part in parts], axis=-1), whole(x))
    assert repr(parts[0]) == "AllToShardedLinear(input_dims=6, output_dims=4, bias=True)"
    # Gradients of the common input are summed.
    channel.others = mx.grad(lambda x: (x @ parts[1].weight.T).sum())(x)
    close(mx.grad(lambda x: parts[0](x).sum())(x), mx.grad(lambda x: whole(x).sum())(x))


def test_sharded_to_all(channel):
    whole = nn.Linear(6, 4)
    x = mx.random.normal((3, 6))
    parts = [nn.ShardedToAllLinear.from_linear(whole, group=member) for member in MEMBERS]
    first, second = mx.split(x, 2, axis=-1)
    channel.others = second @ parts[1].weight.T
    close(parts[0](first), whole(x))
    assert parts[0].weight.shape == (4, 3) and parts[0].bias.shape == (4,)
    assert repr(parts[0]) == "ShardedToAllLinear(input_dims=6, output_dims=4, bias=True)"


def test_segments_are_divided_each_on_its_own():
    weight = mx.arange(8).reshape(8, 1) * mx.ones((1, 3))
    for segments in (2, [4], [0.5]):
        layer = nn.Linear(3, 8, bias=False).update({"weight": weight})
        distributed.shard_inplace(layer, "all-to-sharded", segments=segments, group=MEMBERS[1])
        close(layer.weight[:, 0], [2, 3, 6, 7])


def test_shard_inplace_with_rules():
    layer = nn.Linear(6, 4)
    distributed.shard_inplace(layer, "sharded-to-all", group=MEMBERS[0])
    assert layer.weight.shape == (4, 3) and layer.bias.shape == (4,)
    layer = nn.Linear(6, 4)
    rule = lambda path, weight: (-1, 3) if path == "weight" else None
    expected = np.array(layer.weight)[:, [1, 3, 5]]
    distributed.shard_inplace(layer, rule, group=MEMBERS[1])
    close(layer.weight, expected)
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU())
    distributed.shard_inplace(model, "all-to-sharded", group=MEMBERS[0])
    assert model.layers[0].weight.shape == (2, 6)


def test_shard_linear_and_bad_input():
    plain = distributed.shard_linear(nn.Linear(6, 4), "all-to-sharded", group=MEMBERS[0])
    assert type(plain) is nn.AllToShardedLinear
    with pytest.raises(ValueError, match="sharding"):
        distributed.shard_linear(nn.Linear(6, 4), "diagonal", group=MEMBERS[0])
    with pytest.raises(ValueError, match="output of size 3"):
        nn.AllToShardedLinear(6, 3, group=MEMBERS[0])
    with pytest.raises(ValueError, match="input of size 5"):
        nn.ShardedToAllLinear(5, 4, group=MEMBERS[0])


@pytest.mark.skipif(not hasattr(mx, "quantize"), reason="needs mx.quantize")
def test_quantized(channel):
    whole = nn.QuantizedLinear(128, 64)
    x = mx.random.normal((3, 128))
    outputs = [
        distributed.shard_linear(whole, "all-to-sharded", group=member)(x) for member in MEMBERS
    ]
    close(mx.concatenate(outputs, axis=-1), whole(x), 1e-4)
    inputs = [distributed.shard_linear(whole, "sharded-to-all", group=member) for member in MEMBERS]
    first, second = mx.split(x, 2, axis=-1)
    channel.others = mx._multiply_by_layer(second, inputs[1])
    close(inputs[0](first), whole(x), 1e-4)
    assert inputs[0].unfreeze().trainable_parameters() == {}


def test_fully_sharded(channel):
    def model():
        mx.random.seed(1)
        return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))

    x = mx.random.normal((3, 4))
    loss = lambda net: lambda x: (net(x) ** 2).sum()
    whole, parts = model(), [nn.FullyShardedModule(model(), member) for member in MEMBERS]
    assert parts[0].module.layers[0].weight.shape == (3, 4)
    assert repr(parts[0]).startswith("FullyShardedModule(num_sharded_params=4")

    def flat(net):
        return mx.concatenate([p.reshape(1, -1) for _, p in tree_flatten(net.parameters())], axis=1)

    channel.others = flat(parts[1])
    close(parts[0](x), whole(x))
    assert parts[0].module.layers[0].weight.shape == (3, 4)

    # The other member is taken to send no gradients, so that the mean is half of ours.
    def sum_scatter(x, *, group=None, stream=None):
        return mx.split(x, SIZE, axis=0)[group.rank()]

    channel.sum_scatter = sum_scatter
    _, grads = nn.value_and_grad(parts[0], loss(parts[0]))(x)
    _, expected = nn.value_and_grad(whole, loss(whole))(x)
    expected = tree_map(lambda g: mx.split(g, SIZE)[0] / 2, expected)
    for (name, a), (_, b) in zip(
        tree_flatten(grads["module"]), tree_flatten(expected), strict=True
    ):
        np.testing.assert_allclose(np.array(a), np.array(b), rtol=1e-4, atol=1e-5, err_msg=name)


def test_fully_sharded_settings(channel):
    half = nn.FullyShardedModule(nn.Linear(4, 6), MEMBERS[0], compute_dtype=mx.float16)
    channel.others = mx.zeros((1, 15), mx.float16)
    assert half(mx.ones((1, 4), mx.float16)).dtype == mx.float16
    assert half.module.weight.dtype == mx.float32
    norm = nn.FullyShardedModule(nn.BatchNorm(4), MEMBERS[0])
    channel.others = mx.ones((1, 8))
    norm(mx.random.normal((6, 4)) + 9)
    assert norm.module.running_mean.shape == (2,) and norm.module.running_mean.min().item() > 0.5
    assert nn.fully_shard(half, group=MEMBERS[0]) is half
    with pytest.raises(ValueError, match="divisible by 2"):
        nn.FullyShardedModule(nn.Linear(4, 5), MEMBERS[0])
    with pytest.raises(ValueError, match="scalar"):
        broken = nn.Module()
        broken.scale = mx.array(1.0)
        nn.FullyShardedModule(broken, MEMBERS[0])


def test_average_gradients(channel):
    grads = {"a": mx.ones(3), "b": [mx.ones((2, 2), mx.float16), mx.zeros(4)]}
    for size in (1 << 20, 13, 0):
        mean = nn.average_gradients(grads, MEMBERS[0], all_reduce_size=size)
        close(mean["a"], [0.5] * 3)
        assert mean["b"][0].dtype == mx.float16 and mean["b"][0].shape == (2, 2)
        close(mean["b"][1], [0] * 4)


def test_clip_grad_norm_sharded(channel):
    channel.others = mx.array(9.0)
    clipped, norm = nn.utils.clip_grad_norm_sharded({"a": mx.array([4.0, 0.0])}, 1.0, MEMBERS[0])
    close(norm, 5.0)
    close(clipped["a"], [0.8, 0.0])
