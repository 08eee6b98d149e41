"""mx.distributed in a process that was started alone: a group of one."""

import mlx.core as mx
import numpy as np
import pytest

COLLECTIVES = ["all_sum", "all_max", "all_min", "all_gather", "sum_scatter"]


def test_group_of_one():
    group = mx.distributed.init()
    assert isinstance(group, mx.distributed.Group)
    assert (group.rank(), group.size()) == (0, 1)
    with pytest.raises(RuntimeError, match="split"):
        group.split(0)
    with pytest.raises(RuntimeError, match="split"):
        group.split(color=1, key=2)
    with pytest.raises(TypeError):
        mx.distributed.Group()


def test_backends():
    assert not mx.distributed.is_available()
    for backend in ["any", "mpi", "ring", "nccl", "jaccl"]:
        assert not mx.distributed.is_available(backend)
        assert mx.distributed.init(backend=backend).size() == 1
        with pytest.raises(RuntimeError, match=f"'{backend}' is not available"):
            mx.distributed.init(strict=True, backend=backend)
    with pytest.raises(ValueError, match="pigeon"):
        mx.distributed.init(backend="pigeon")
    assert not mx.distributed.is_available("pigeon")
    assert mx.distributed.init(all_gather_factory=lambda rank, size: None).size() == 1
    with pytest.raises(TypeError):
        mx.distributed.init(all_gather_factory=3)


@pytest.mark.parametrize("name", COLLECTIVES)
def test_collectives_of_one(name):
    op = getattr(mx.distributed, name)
    x = mx.random.normal((4, 3))
    group = mx.distributed.init()
    for y in [op(x), op(x, group=group), op(x, stream=mx.cpu), mx.compile(op)(x), mx.vmap(op)(x)]:
        np.testing.assert_array_equal(y, x)
    np.testing.assert_array_equal(mx.grad(lambda x: op(x).sum())(x), np.ones((4, 3)))
    assert op(2.5).item() == 2.5 and op(mx.array([True])).dtype == mx.bool_
    with pytest.raises(TypeError):
        op(x, group="all")


def test_nobody_to_talk_to():
    x = mx.ones(3)
    with pytest.raises(ValueError, match="nobody else"):
        mx.distributed.send(x, 0)
    with pytest.raises(ValueError, match="nobody else"):
        mx.distributed.recv((3,), mx.float32, 0)
    with pytest.raises(ValueError, match="nobody else"):
        mx.distributed.recv_like(x, src=0, group=mx.distributed.init())
