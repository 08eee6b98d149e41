"""Einstein summation against NumPy, and its contraction path."""

import mlx.core as mx
import numpy as np
import pytest

CASES = [
    ("ij,jk->ik", (2, 3), (3, 4)),
    ("ij,jk", (2, 3), (3, 4)),
    ("ij,kj->ki", (2, 3), (4, 3)),
    ("ij->ji", (2, 3)),
    ("ij->", (2, 3)),
    ("ij->j", (2, 3)),
    ("ii", (3, 3)),
    ("ii->i", (3, 3)),
    ("iij->ij", (3, 3, 2)),
    ("iii->i", (3, 3, 3)),
    ("i,i", (5,), (5,)),
    ("i,j->ij", (5,), (4,)),
    ("i,i->i", (5,), (5,)),
    ("i,j->", (5,), (4,)),
    (",i->i", (), (4,)),
    ("ij,j->i", (2, 3), (3,)),
    ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
    ("bij,jk->ikb", (5, 2, 3), (3, 4)),
    ("ijk,jil->kl", (2, 3, 4), (3, 2, 5)),
    ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,ij->", (2, 3), (2, 3)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)),
    ("ij,jk,kl,lm->im", (2, 3), (3, 4), (4, 5), (5, 2)),
    ("a,ab,abc->abc", (2,), (2, 3), (2, 3, 4)),
    ("abc,cd,be->ade", (2, 3, 4), (4, 5), (3, 6)),
    ("i,j,k->kji", (2,), (3,), (4,)),
    ("...ij,...jk->...ik", (5, 2, 3), (3, 4)),
    ("...ij,...jk", (6, 5, 2, 3), (5, 3, 4)),
    ("...i->...", (2, 3)),
    ("i...->...i", (2, 3, 4)),
    ("b...d,d->b...", (2, 3, 4), (4,)),
    ("...,...->...", (2, 3), (3,)),
    ("ij,jk->ik", (2, 1), (3, 4)),
    ("ij , jk -> ik", (2, 3), (3, 4)),
    ("Ij,jK->IK", (2, 3), (3, 4)),
    ("ij,jk->ik", (2, 0), (0, 4)),
    ("ij,jk->ik", (0, 3), (3, 4)),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: " ".join(map(str, case)))
def test_einsum(case):
    subscripts, *shapes = case
    operands = [np.asarray(np.random.randn(*shape), "f4") for shape in shapes]
    out = mx.einsum(subscripts, *map(mx.array, operands))
    expected = np.einsum(subscripts, *(x.astype("f8") for x in operands))
    assert out.shape == expected.shape
    np.testing.assert_allclose(np.array(out), expected, rtol=1e-4, atol=1e-4)


def test_einsum_of_integers_and_complex():
    a, b = np.arange(6).reshape(2, 3), np.arange(12).reshape(3, 4)
    out = mx.einsum("ij,jk->ik", mx.array(a), mx.array(b))
    assert np.array_equal(np.array(out), a @ b)
    z = (np.random.randn(3, 3) + 1j * np.random.randn(3, 3)).astype("c8")
    out = mx.einsum("ij,jk->ki", mx.array(z), mx.array(z))
    np.testing.assert_allclose(np.array(out), (z @ z).T, rtol=1e-5, atol=1e-5)


def test_einsum_gradient():
    a, b = mx.array(np.random.randn(3, 4)), mx.array(np.random.randn(4, 5))

    def loss(a, b):
        return mx.square(mx.einsum("ij,jk->ki", a, b)).sum()

    def reference(a, b):
        return mx.square(a @ b).sum()

    for argnum in (0, 1):
        assert mx.allclose(mx.grad(loss, argnum)(a, b), mx.grad(reference, argnum)(a, b), atol=1e-5)


def test_path_contracts_what_removes_most():
    a, b, c = mx.zeros((2, 3)), mx.zeros((3, 4)), mx.zeros((4, 5))
    path, report = mx.einsum_path("ij,jk,kl->il", a, b, c)
    assert [tuple(step) for step in path] == [(1, 2), (0, 1)]
    assert "Naive FLOP count:  360\n" in report
    assert "Optimized FLOP count:  180\n" in report
    path, _ = mx.einsum_path("ij->i", a)
    assert [tuple(step) for step in path] == [(0,)]


@pytest.mark.parametrize(
    "case",
    [
        ("ij,jk->ik", (2, 3)),
        ("ij,jk->ik", (2, 3), (4, 4)),
        ("ij,jk->iz", (2, 3), (3, 4)),
        ("ij,jk->iik", (2, 3), (3, 4)),
        ("ij,kk->ik", (2, 3), (3, 4)),
        ("ijk->ij", (2, 3)),
        ("ij->ij1", (2, 3)),
        ("i.j->ij", (2, 3)),
        ("...i->i", (2, 3)),
    ],
    ids=str,
)
def test_errors_are_raised_by_the_call(case):
    subscripts, *shapes = case
    with pytest.raises(ValueError, match="einsum"):
        mx.einsum(subscripts, *map(mx.zeros, shapes))
