"""Random numbers: the exact values of a key, the statistics, the key sequence and bad input."""

from __future__ import annotations

import threading

import mlx.core as mx
import numpy as np
import pytest

R = mx.random
KEY = R.key(12345)


def values(a: mx.array) -> list:
    return np.array(a.astype(mx.float32) if a.dtype in (mx.float16, mx.bfloat16) else a).tolist()


EXACT = {
    "key": (lambda: R.key(2**40 + 5), [256, 5]),
    "split": (
        lambda: R.split(R.key(2**40 + 5), 3),
        [[1070028816, 3116542653], [3600761423, 1908725145], [1447120341, 1212153964]],
    ),
    "split_one": (lambda: R.split(KEY, 1), [[867802714, 3762255628]]),
    "uniform_one": (lambda: R.uniform(shape=(1,), key=KEY), [0.28269442915916443]),
    "uniform_odd": (
        lambda: R.uniform(shape=(5,), key=KEY),
        [
            0.1651403307914734,
            0.08839455246925354,
            0.18085667490959167,
            0.38678473234176636,
            0.2508768141269684,
        ],
    ),
    "uniform_range": (
        lambda: R.uniform(-3.25, 7.75, (2, 3), key=KEY),
        [
            [-1.4334564208984375, -2.2776598930358887, 3.6897096633911133],
            [1.0046319961547852, -0.4903550148010254, -2.6175806522369385],
        ],
    ),
    "uniform_f16": (
        lambda: R.uniform(shape=(4,), dtype=mx.float16, key=KEY),
        [0.185302734375, 0.07647705078125, 0.53564453125, 0.68701171875],
    ),
    "uniform_bf16": (
        lambda: R.uniform(1, 2, shape=(4,), dtype=mx.bfloat16, key=KEY),
        [1.1875, 1.078125, 1.53125, 1.6875],
    ),
    "uniform_largest": (lambda: R.uniform(shape=(1,), key=R.key(10082300)), [1 - 2.0**-24]),
    "randint_i32": (
        lambda: R.randint(-5, 100, (6,), dtype=mx.int32, key=KEY),
        [12, 4, 61, 35, 21, 1],
    ),
    "randint_i8": (
        lambda: R.randint(-5, 100, (6,), dtype=mx.int8, key=KEY),
        [12, 4, 61, 35, 21, 1],
    ),
    "randint_u16": (
        lambda: R.randint(0, 100, (6,), dtype=mx.uint16, key=KEY),
        [16, 8, 63, 38, 25, 5],
    ),
    "randint_i64": (
        lambda: R.randint(-(2**31), 2**31 - 1, (4,), dtype=mx.int64, key=KEY),
        [-1351815680, -1818900736, 152881920, 803081728],
    ),
    "randint_bool": (
        lambda: R.randint(0, 2, (6,), dtype=mx.bool_, key=KEY),
        [False, False, True, False, False, False],
    ),
    "bernoulli": (
        lambda: R.bernoulli(0.3, (10,), key=KEY),
        [False, True, True, False, False, True, True, False, False, False],
    ),
    "bernoulli_p": (lambda: R.bernoulli(mx.array([0.1, 0.5, 0.9]), key=KEY), [False, True, True]),
    "categorical": (lambda: R.categorical(LOGITS, key=KEY), [2, 0]),
    "categorical_axis": (lambda: R.categorical(LOGITS, axis=0, key=KEY), [1, 1, 0]),
    "categorical_samples": (
        lambda: R.categorical(LOGITS, num_samples=4, key=KEY),
        [[2, 2, 1, 1], [0, 0, 0, 0]],
    ),
    "categorical_shape": (
        lambda: R.categorical(LOGITS, shape=(3, 2), key=KEY),
        [[2, 0], [2, 1], [2, 0]],
    ),
    "categorical_one_axis": (
        lambda: R.categorical(LOGITS[0], num_samples=6, key=KEY),
        [1, 0, 2, 2, 1, 0],
    ),
    "categorical_one_axis_shape": (
        lambda: R.categorical(LOGITS[0], shape=(2, 3), key=KEY),
        [[1, 0, 2], [2, 1, 0]],
    ),
    "categorical_infinite": (
        lambda: R.categorical(mx.array([0.0, -mx.inf, 0.0]), num_samples=8, key=R.key(0)),
        [2, 0, 0, 2, 0, 2, 0, 2],
    ),
    "permutation": (lambda: R.permutation(10, key=KEY), [5, 6, 2, 1, 0, 3, 4, 9, 7, 8]),
    "permutation_of": (
        lambda: R.permutation(mx.arange(8).reshape(2, 4), axis=1, key=KEY),
        [[1, 0, 2, 3], [5, 4, 6, 7]],
    ),
}
LOGITS = mx.array([[0.0, 1.0, 2.0], [3.0, 1.0, 0.0]])

# Through erfinv, log and log1p, whose last bit may differ.
CLOSE = {
    "normal": (
        lambda: R.normal((5,), key=KEY),
        [
            -0.9735485315322876,
            -1.3507074117660522,
            -0.9121049642562866,
            -0.28770899772644043,
            -0.671733021736145,
        ],
    ),
    "normal_f16": (
        lambda: R.normal((4,), dtype=mx.float16, loc=0.5, scale=2.0, key=KEY),
        [-1.291015625, -2.359375, 0.6787109375, 1.474609375],
    ),
    "normal_bf16": (
        lambda: R.normal((4,), dtype=mx.bfloat16, key=KEY),
        [-0.89453125, -1.421875, 0.0888671875, 0.486328125],
    ),
    "normal_complex": (
        lambda: R.normal((2,), dtype=mx.complex64, key=KEY),
        [-0.6332247257232666 - 1.010445237159729j, 0.06317554414272308 + 0.34458300471305847j],
    ),
    "normal_f64": (
        lambda: R.normal((2,), dtype=mx.float64, loc=0.3, scale=1.7, key=KEY, stream=mx.cpu),
        [-1.1183393510913053, 2.2636131921766327],
    ),
    "truncated_normal": (
        lambda: R.truncated_normal(-1.5, 0.7, (4,), key=KEY),
        [-0.8601198792457581, -1.1765422821044922, -0.15851245820522308, 0.10463988780975342],
    ),
    "gumbel": (
        lambda: R.gumbel((4,), key=KEY),
        [-0.5223690867424011, -0.9440653324127197, 0.4710027277469635, 0.979637622833252],
    ),
    "laplace": (
        lambda: R.laplace((4,), loc=0.5, scale=2.0, key=KEY),
        [2.4857397079467773, 4.254524230957031, 0.3522951602935791, -0.4366952180862427],
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_exact_values_of_a_key(name):
    make, expected = EXACT[name]
    assert values(make()) == expected


@pytest.mark.parametrize("name", CLOSE)
def test_values_of_a_key_up_to_the_last_bits(name):
    make, expected = CLOSE[name]
    out = make()
    half = {mx.float16: 2.0**-10, mx.bfloat16: 2.0**-7}
    tolerance = half.get(out.dtype, 1e-6)
    np.testing.assert_allclose(values(out), expected, rtol=tolerance, atol=tolerance / 10)


def threefry_words(key: list[int], n: int) -> np.ndarray:
    """The generator written down a second time, with NumPy."""
    half = (n + 1) // 2
    c0 = np.arange(half, dtype=np.uint32)
    c1 = c0 + np.uint32(half)
    if n % 2:
        c1[-1] = 0
    k = [np.uint32(key[0]), np.uint32(key[1])]
    k.append(k[0] ^ k[1] ^ np.uint32(0x1BD11BDA))
    with np.errstate(over="ignore"):
        x0, x1 = c0 + k[0], c1 + k[1]
        for i in range(5):
            for r in ((13, 15, 26, 6), (17, 29, 16, 24))[i % 2]:
                x0 = x0 + x1
                x1 = ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r))) ^ x0
            x0 = x0 + k[(i + 1) % 3]
            x1 = x1 + k[(i + 2) % 3] + np.uint32(i + 1)
    return np.concatenate([x0, x1])[:n]


@pytest.mark.parametrize("n", [1, 2, 3, 15, 16, 17, 63, 64, 65, 1000, 40001, 200000])
def test_every_size_against_the_definition(n):
    expected = threefry_words([0, 12345], n).astype(np.float32) * np.float32(2.0**-32)
    np.testing.assert_array_equal(np.array(R.uniform(shape=(n,), key=KEY)), expected)


def unit(key: list[int], shape: tuple[int, ...]) -> np.ndarray:
    words = threefry_words(key, int(np.prod(shape))).astype(np.float32)
    return (words * np.float32(2.0**-32)).reshape(shape)


OTHER = R.key(77)
U, V = [0, 12345], [0, 77]
# Programs that may make the words themselves: (result, the same by NumPy), for shapes of any size.
READERS = {
    "alone": (lambda s: R.uniform(shape=s, key=KEY), lambda s: unit(U, s)),
    "two_keys": (
        lambda s: R.uniform(shape=s, key=KEY) - R.uniform(shape=s, key=OTHER),
        lambda s: unit(U, s) - unit(V, s),
    ),
    "with_array": (
        lambda s: R.uniform(shape=s, key=KEY) * mx.full(s, 3.0),
        lambda s: unit(U, s) * np.float32(3),
    ),
    "with_row": (
        lambda s: R.uniform(shape=s, key=KEY) + mx.arange(s[-1]),
        lambda s: unit(U, s) + np.arange(s[-1], dtype=np.float32),
    ),
    "with_column": (
        lambda s: R.uniform(shape=s, key=KEY) + mx.arange(s[0])[:, None],
        lambda s: unit(U, s) + np.arange(s[0], dtype=np.float32)[:, None],
    ),
    "with_transposed": (
        lambda s: R.uniform(shape=s, key=KEY) + mx.arange(s[0] * s[1]).reshape(s[::-1]).T,
        lambda s: unit(U, s) + np.arange(s[0] * s[1], dtype=np.float32).reshape(s[::-1]).T,
    ),
    "mask": (
        lambda s: mx.where(R.bernoulli(0.5, s, key=KEY), mx.full(s, 2.0), 0.0),
        lambda s: np.where(unit(U, s) < np.float32(0.5), np.float32(2), np.float32(0)),
    ),
    "bits_of_bool_size": (
        lambda s: R.bernoulli(0.5, s, key=KEY),
        lambda s: unit(U, s) < np.float32(0.5),
    ),
    "half": (
        lambda s: R.uniform(shape=s, dtype=mx.float16, key=KEY).astype(mx.float32),
        lambda s: np.minimum(unit(U, s).astype(np.float16), np.float16(1 - 2**-11)).astype("f4"),
    ),
    "key_of_split": (
        lambda s: R.uniform(shape=s, key=R.split(KEY, 3)[1]),
        lambda s: unit(threefry_words(U, 6)[2:4].tolist(), s),
    ),
    "key_of_column": (
        lambda s: R.uniform(shape=s, key=R.split(KEY, 2).T[:, 1]),
        lambda s: unit(threefry_words(U, 4)[2:4].tolist(), s),
    ),
    "and_reduced": (
        lambda s: (R.uniform(shape=s, key=KEY) + mx.zeros(s)).max(axis=0),
        lambda s: unit(U, s).max(axis=0),
    ),
}


@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (8, 16), (7, 40000), (512, 1024), (330, 1028)])
@pytest.mark.parametrize("name", READERS)
def test_words_are_the_same_wherever_they_are_made(name, shape):
    make, expected = READERS[name]
    np.testing.assert_array_equal(np.array(make(shape)), expected(shape))


def test_words_that_others_read_too():
    def steps(x):
        for _ in range(150):
            x = mx.maximum(x * 1.0, x + 0.0)
        return x

    u = R.uniform(shape=(40000,), key=KEY)
    total, same = u.sum(), u + 0.0
    mx.eval(total, same)
    np.testing.assert_array_equal(np.array(same), unit(U, (40000,)))
    np.testing.assert_array_equal(np.array(u), unit(U, (40000,)))
    long = steps(R.uniform(shape=(40001,), key=KEY))
    np.testing.assert_array_equal(np.array(long), unit(U, (40001,)))
    grown = R.uniform(shape=(300, 1), key=KEY) + mx.zeros((300, 400))
    np.testing.assert_array_equal(np.array(grown), np.broadcast_to(unit(U, (300, 1)), (300, 400)))


def test_bernoulli_threshold():
    u = threefry_words([0, 12345], 4096).astype(np.float32)
    p = np.nextafter(u * np.float32(2.0**-32), np.float32(0))
    expected = u < p * np.float32(4294967808.0)
    np.testing.assert_array_equal(np.array(R.bernoulli(mx.array(p), key=KEY)), expected)
    assert R.bernoulli(1.0, (1,), key=R.key(10082300)).item() is True


def test_the_key_sequence_splits_once_per_call():
    R.seed(7)
    first, second = R.uniform(shape=(2,)), R.uniform(shape=(2,))
    assert values(first) == [0.514767050743103, 0.0784912109375]
    assert values(second) == [0.8012937307357788, 0.18442964553833008]
    R.seed(7)
    assert mx.array_equal(R.uniform(shape=(2,)), first)


def test_state_is_the_key_and_follows_the_seed():
    R.seed(7)
    assert values(mx.random.state[0]) == [0, 7]
    R.uniform(shape=(2,)), R.normal((2,))
    assert values(mx.random.state[0]) == [3874823782, 2507669382]


def test_compile_with_captured_state_draws_anew():
    def draw():
        return R.uniform(shape=(4,))

    captured = mx.compile(draw, inputs=mx.random.state, outputs=mx.random.state)
    R.seed(3)
    a, b = captured(), captured()
    assert not mx.array_equal(a, b)
    R.seed(3)
    assert mx.array_equal(draw(), a) and mx.array_equal(draw(), b)


def in_thread(f):
    results = []
    thread = threading.Thread(target=lambda: results.append(f()))
    thread.start()
    thread.join()
    return results[0]


def test_state_is_one_object_with_a_key_per_thread():
    state = mx.random.state
    R.seed(5)
    same, key = in_thread(lambda: (mx.random.state is state, values(state[0])))
    assert same and key != [0, 5]
    assert in_thread(lambda: (R.seed(6), values(state[0])))[1] == [0, 6]
    assert (
        len(state) == 1 and [values(k) for k in state] == [[0, 5]] and values(state[-1]) == [0, 5]
    )
    state[0] = R.key(9)
    assert repr(state) == "[array([0, 9], dtype=uint32)]"
    with pytest.raises(IndexError):
        state[1]
    with pytest.raises(ValueError, match="key"):
        state[0] = mx.ones(3)
    mx.eval(state, [state])


def test_compiled_sampler_obeys_the_seed_of_each_thread():
    logits = mx.zeros((50,))
    sample = mx.compile(
        lambda x: R.categorical(x, num_samples=6), inputs=mx.random.state, outputs=mx.random.state
    )
    expected = [[29, 14, 31, 31, 49, 23], [1, 26, 17, 34, 31, 30]]

    def draws():
        R.seed(1)
        first = [values(sample(logits)), values(sample(logits))]
        R.seed(1)
        return first, [values(R.categorical(logits, num_samples=6)) for _ in range(2)]

    assert draws() == (expected, expected)
    assert in_thread(draws) == (expected, expected)
    R.seed(1)
    in_thread(lambda: sample(logits))
    assert values(sample(logits)) == expected[0]


def test_state_after_an_error_in_a_compiled_function():
    @mx.compile
    def ignored():
        raise ValueError("stop")

    def fail():
        R.uniform()
        raise ValueError("stop")

    for f in (ignored, mx.compile(fail, inputs=mx.random.state, outputs=[mx.random.state])):
        R.seed(7)
        with pytest.raises(ValueError, match="stop"):
            f()
        assert values(mx.random.state[0]) == [0, 7]


def test_categorical_of_one_row_in_any_shape():
    logits = mx.sin(mx.arange(10.0))
    R.seed(12345)
    drawn = [
        R.categorical(logits[None]),
        R.categorical(logits[None], num_samples=5),
        R.categorical(logits[:, None], axis=0),
        R.categorical(logits[None], shape=(2, 3, 1)),
        R.categorical(logits),
        R.categorical(logits[None, None]),
    ]
    several = [[[2], [8], [0]], [[1], [4], [3]]]
    assert [values(a) for a in drawn] == [[0], [[1, 2, 1, 9, 3]], [1], several, 7, [[7]]]
    with pytest.raises(ValueError, match=r"\(1,0\)"):
        R.categorical(mx.zeros((1, 0)))


def test_statistics():
    n = 200_000
    x = np.array(R.normal((n,), loc=1.5, scale=2.0, key=KEY), dtype=np.float64)
    assert abs(x.mean() - 1.5) < 0.02 and abs(x.std() - 2.0) < 0.02
    x = np.array(R.uniform(-1.0, 3.0, (n,), key=KEY))
    assert x.min() >= -1 and x.max() < 3 and abs(x.mean() - 1) < 0.01
    x = np.array(R.laplace((n,), key=KEY), dtype=np.float64)
    assert abs(x.mean()) < 0.02 and abs(x.std() - np.sqrt(2)) < 0.02
    x = np.array(R.gumbel((n,), key=KEY), dtype=np.float64)
    assert abs(x.mean() - np.euler_gamma) < 0.02
    x = np.array(R.truncated_normal(-0.5, 2.0, (n,), key=KEY))
    assert x.min() >= -0.5 and x.max() <= 2.0
    z = np.array(R.normal((n,), dtype=mx.complex64, key=KEY))
    assert abs(np.mean(np.abs(z) ** 2) - 1) < 0.02
    counts = np.bincount(np.array(R.randint(0, 7, (n,), key=KEY)), minlength=7)
    assert len(counts) == 7 and np.abs(counts / n - 1 / 7).max() < 0.005
    logits = mx.log(mx.array([0.2, 0.5, 0.3]))
    counts = np.bincount(np.array(R.categorical(logits, num_samples=n, key=KEY)), minlength=3)
    np.testing.assert_allclose(counts / n, [0.2, 0.5, 0.3], atol=0.01)
    assert abs(np.array(R.bernoulli(0.3, (n,), key=KEY)).mean() - 0.3) < 0.01
    assert sorted(values(R.permutation(1000, key=KEY))) == list(range(1000))


def test_vmap_over_keys():
    keys = R.split(KEY, 5)
    expected = np.stack([np.array(R.normal((3,), key=keys[i])) for i in range(5)])
    out = mx.vmap(lambda k: R.normal((3,), key=k))(keys)
    np.testing.assert_array_equal(np.array(out), expected)
    out = mx.vmap(lambda k: R.normal((3,), key=k), in_axes=1, out_axes=1)(keys.T)
    np.testing.assert_array_equal(np.array(out).T, expected)
    shared = mx.vmap(lambda x: x + R.normal((2,), key=KEY))(mx.zeros((3,)))
    np.testing.assert_array_equal(
        np.array(shared), np.broadcast_to(np.array(R.normal((2,), key=KEY)), (3, 2))
    )


def test_gradients_flow_to_the_parameters_only():
    def loss(p, k):
        return (R.normal((50,), loc=p["loc"], scale=p["scale"], key=k)).sum()

    grads = mx.grad(loss)({"loc": mx.array(0.5), "scale": mx.array(2.0)}, KEY)
    assert grads["loc"].item() == 50
    np.testing.assert_allclose(grads["scale"].item(), R.normal((50,), key=KEY).sum().item(), 1e-4)
    du = mx.grad(lambda high: R.uniform(0.0, high, (20,), key=KEY).sum())(mx.array(3.0))
    np.testing.assert_allclose(du.item(), R.uniform(shape=(20,), key=KEY).sum().item(), 1e-5)


def test_shapes():
    assert R.uniform(key=KEY).shape == ()
    assert R.uniform(shape=(0, 3), key=KEY).shape == (0, 3)
    assert R.normal((2, 0), key=KEY).shape == (2, 0)
    assert R.bernoulli(key=KEY).shape == ()
    assert R.split(KEY, 0).shape == (0, 2)
    assert R.permutation(0, key=KEY).shape == (0,)
    low, high = mx.array([0.0, 10.0]), mx.array([[1.0], [20.0], [30.0]])
    assert R.uniform(low, high, shape=(3, 2), key=KEY).shape == (3, 2)
    assert R.truncated_normal(-low, high, key=KEY).shape == (3, 2)
    assert R.categorical(mx.zeros((2, 3, 4)), axis=1, shape=(5, 2, 4), key=KEY).shape == (5, 2, 4)
    assert R.permutation(mx.zeros((2, 3)), axis=-1, key=KEY).shape == (2, 3)


BAD = {
    "key_dtype": lambda: R.uniform(key=mx.array([1, 2])),
    "key_shape": lambda: R.uniform(key=mx.array([1, 2, 3], mx.uint32)),
    "negative_shape": lambda: R.uniform(shape=(-2,)),
    "negative_split": lambda: R.split(KEY, -1),
    "uniform_dtype": lambda: R.uniform(shape=(2,), dtype=mx.int32),
    "uniform_complex": lambda: R.uniform(shape=(2,), dtype=mx.complex64),
    "uniform_shape": lambda: R.uniform(mx.zeros((3, 2)), 1.0, shape=(2,)),
    "normal_dtype": lambda: R.normal((2,), dtype=mx.int32),
    "randint_dtype": lambda: R.randint(0, 3, (2,), dtype=mx.float32),
    "bernoulli_dtype": lambda: R.bernoulli(mx.array(1)),
    "bernoulli_shape": lambda: R.bernoulli(mx.zeros((2, 3)), (2, 1)),
    "truncated_dtype": lambda: R.truncated_normal(0.0, 1.0, (2,), dtype=mx.int32),
    "gumbel_dtype": lambda: R.gumbel((2,), dtype=mx.uint8),
    "laplace_dtype": lambda: R.laplace((2,), dtype=mx.complex64),
    "categorical_axis": lambda: R.categorical(LOGITS, axis=2),
    "categorical_shape": lambda: R.categorical(LOGITS, shape=(4, 3)),
    "categorical_both": lambda: R.categorical(LOGITS, shape=(4, 2), num_samples=2),
    "permutation_axis": lambda: R.permutation(mx.arange(3), axis=1),
    "permutation_scalar": lambda: R.permutation(mx.array(3)),
    "permutation_negative": lambda: R.permutation(-1),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_raises_when_called(name):
    with pytest.raises(ValueError, match=r"\[|shape|axis"):
        BAD[name]()


def test_state_is_found_by_name():
    assert mx.random.__getattr__("state") is mx.random.state
    with pytest.raises(AttributeError, match="missing"):
        mx.random.missing  # noqa: B018
