"""Initial parameters: exact values for a seed, and the initializers."""

import math

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

# For seed 7: shape, first and last value, and sum of each parameter that is not constant.
LAYERS = {
    "Linear": {
        "weight": ((4, 6), [0.2851885, -0.039161205], 1.07634),
        "bias": ((4,), [0.06917116, -0.2645911], -0.03174),
    },
    "Bilinear": {
        "weight": ((4, 2, 3), [0.4033174, -0.05538231], 1.52217),
        "bias": ((4,), [0.097822785, -0.3741883], -0.04488),
    },
    "Embedding": {
        "weight": ((5, 4), [-0.5882642, 0.37492138], -1.84554),
    },
    "Conv1d": {
        "weight": ((3, 3, 4), [-0.2258453, 0.20105389], -0.56654),
    },
    "Conv1d groups": {
        "weight": ((6, 3, 2), [-0.31939352, 0.28433317], -0.80121),
    },
    "Conv2d": {
        "weight": ((3, 3, 2, 2), [-0.2258453, 0.20105389], -0.56654),
    },
    "Conv3d": {
        "weight": ((2, 2, 2, 2, 2), [0.021695048, -0.09954943], 0.29831),
    },
    "ConvTranspose1d": {
        "weight": ((3, 3, 4), [-0.2258453, 0.20105389], -0.56654),
    },
    "ConvTranspose2d": {
        "weight": ((3, 3, 2, 2), [-0.2258453, 0.20105389], -0.56654),
    },
    "ConvTranspose3d": {
        "weight": ((2, 2, 2, 2, 2), [0.021695048, -0.09954943], 0.29831),
    },
    "RNN": {
        "Wxh": ((4, 3), [-0.44025615, -0.13427556], -0.78623),
        "Whh": ((4, 4), [-0.0028003454, -0.20882484], -0.73891),
        "bias": ((4,), [-0.055191755, -0.42093098], -0.78422),
    },
    "GRU": {
        "Wx": ((12, 3), [-0.39117557, 0.34823555], -0.98127),
        "Wh": ((12, 4), [-0.30248296, 0.31051272], -0.89812),
        "b": ((12,), [0.027507722, 0.1999346], 0.4093),
        "bhn": ((4,), [0.29650402, 0.10008097], 0.25143),
    },
    "LSTM": {
        "Wx": ((16, 3), [0.32120585, -0.04949546], -1.82557),
        "Wh": ((16, 4), [0.3946262, -0.082595825], 0.65751),
        "bias": ((16,), [0.30406797, -0.3021894], -0.39886),
    },
    "MultiHeadAttention": {
        "query_proj.weight": ((8, 8), [-0.08920768, 0.27120462], 0.77517),
        "query_proj.bias": ((8,), [0.28774956, -0.1261161], 0.23249),
        "key_proj.weight": ((8, 8), [-0.004784733, 0.27981016], -1.35927),
        "key_proj.bias": ((8,), [-0.21078947, -0.05623293], -0.60893),
        "value_proj.weight": ((8, 8), [0.2769586, 0.34705976], 2.17354),
        "value_proj.bias": ((8,), [0.21827802, 0.117243975], 0.53467),
        "out_proj.weight": ((8, 8), [0.31813714, -0.10558492], 2.40175),
        "out_proj.bias": ((8,), [0.12506631, 0.01283443], -0.06278),
    },
    "TransformerEncoderLayer": {
        "attention.query_proj.weight": ((8, 8), [-0.08920768, 0.27120462], 0.77517),
        "attention.key_proj.weight": ((8, 8), [0.27904287, -0.05840406], 0.46493),
        "attention.value_proj.weight": ((8, 8), [-0.004784733, 0.27981016], -1.35927),
        "attention.out_proj.weight": ((8, 8), [-0.008809775, 0.3031706], 0.49999),
        "linear1.weight": ((32, 8), [0.10693261, 0.20033166], 3.51254),
        "linear1.bias": ((32,), [0.09114322, -0.2271979], 0.07748),
        "linear2.weight": ((8, 32), [0.05597934, 0.012459233], 2.64366),
        "linear2.bias": ((8,), [0.062533155, 0.006417215], -0.03139),
    },
    "TransformerDecoderLayer": {
        "self_attention.query_proj.weight": ((8, 8), [-0.08920768, 0.27120462], 0.77517),
        "self_attention.key_proj.weight": ((8, 8), [0.27904287, -0.05840406], 0.46493),
        "self_attention.value_proj.weight": ((8, 8), [-0.004784733, 0.27981016], -1.35927),
        "self_attention.out_proj.weight": ((8, 8), [-0.008809775, 0.3031706], 0.49999),
        "cross_attention.query_proj.weight": ((8, 8), [0.2769586, 0.34705976], 2.17354),
        "cross_attention.key_proj.weight": ((8, 8), [-0.2205103, -0.19000584], -4.05684),
        "cross_attention.value_proj.weight": ((8, 8), [0.31813714, -0.10558492], 2.40175),
        "cross_attention.out_proj.weight": ((8, 8), [-0.29286793, -0.28092054], 3.95503),
        "linear1.weight": ((12, 8), [-0.1864955, 0.20141551], -2.35253),
        "linear1.bias": ((12,), [0.021267116, -0.26101637], -0.25297),
        "linear2.weight": ((8, 12), [-0.17558104, 0.21698081], 1.09147),
        "linear2.bias": ((8,), [0.20749429, 0.18252248], 0.3577),
    },
}
MAKE = {
    "Linear": lambda: nn.Linear(6, 4),
    "Bilinear": lambda: nn.Bilinear(3, 2, 4),
    "Embedding": lambda: nn.Embedding(5, 4),
    "Conv1d": lambda: nn.Conv1d(4, 3, 3),
    "Conv1d groups": lambda: nn.Conv1d(4, 6, 3, groups=2),
    "Conv2d": lambda: nn.Conv2d(2, 3, (3, 2)),
    "Conv3d": lambda: nn.Conv3d(2, 2, 2),
    "ConvTranspose1d": lambda: nn.ConvTranspose1d(4, 3, 3),
    "ConvTranspose2d": lambda: nn.ConvTranspose2d(2, 3, (3, 2)),
    "ConvTranspose3d": lambda: nn.ConvTranspose3d(2, 2, 2),
    "RNN": lambda: nn.RNN(3, 4),
    "GRU": lambda: nn.GRU(3, 4),
    "LSTM": lambda: nn.LSTM(3, 4),
    "MultiHeadAttention": lambda: nn.MultiHeadAttention(8, 2, bias=True),
    "TransformerEncoderLayer": lambda: nn.TransformerEncoderLayer(8, 2),
    "TransformerDecoderLayer": lambda: nn.TransformerDecoderLayer(8, 2, 12),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_draw_known_numbers(name):
    mx.random.seed(7)
    parameters = tree_flatten(MAKE[name]().parameters(), destination={})
    for path, (shape, ends, total) in LAYERS[name].items():
        value = np.array(parameters.pop(path)).astype(np.float64)
        assert value.shape == shape, path
        np.testing.assert_allclose(value.ravel()[[0, -1]], ends, rtol=2e-6, err_msg=path)
        np.testing.assert_allclose(value.sum(), total, atol=2e-5, err_msg=path)
    for path, value in parameters.items():
        expected = 0.0 if path.endswith("bias") else 1.0
        np.testing.assert_array_equal(np.array(value), expected, err_msg=path)


INITIALIZERS = {
    "normal": (
        nn.init.normal(1.0, 0.5),
        [[1.1543869, 0.69363785, 1.4684623], [1.4413646, 0.88373333, 0.5670607]],
    ),
    "uniform": (
        nn.init.uniform(-1.0, 2.0),
        [[0.8637594, -0.1899122, 1.476804], [1.4339261, 0.22418559, -0.42016506]],
    ),
    "glorot_normal": (
        nn.init.glorot_normal(),
        [[0.19528565, -0.38752094, 0.5925632], [0.558287, -0.147067, -0.5476298]],
    ),
    "glorot_uniform": (
        nn.init.glorot_uniform(),
        [[0.2656523, -0.5038406, 0.71335685], [0.6820433, -0.20142639, -0.6719936]],
    ),
    "he_normal": (
        nn.init.he_normal(),
        [[0.1782706, -0.35375658, 0.5409337], [0.509644, -0.13425319, -0.49991527]],
    ),
    "he_uniform": (
        nn.init.he_uniform(),
        [[0.24250627, -0.45994145, 0.6512027], [0.6226175, -0.18387628, -0.6134434]],
    ),
    "sparse": (nn.init.sparse(0.4), [[0.0, 0.0, 1.1753722], [0.29188025, 0.0, 0.0]]),
    "orthogonal": (
        nn.init.orthogonal(),
        [[-0.9367262, 0.31000218, 0.16261183], [-0.3427054, -0.9068306, -0.24537937]],
    ),
    "constant": (nn.init.constant(2.5), [[2.5] * 3] * 2),
}


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializers_draw_known_numbers(name):
    initializer, expected = INITIALIZERS[name]
    mx.random.seed(7)
    value = initializer(mx.zeros((2, 3)))
    assert value.dtype == mx.float32
    np.testing.assert_allclose(np.array(value), expected, rtol=2e-5, atol=1e-6)


def test_variances():
    a = mx.zeros((200, 3, 3, 50))
    fan_in, fan_out = 450, 1800
    for value, std in [
        (nn.init.glorot_normal()(a), math.sqrt(2 / (fan_in + fan_out))),
        (nn.init.glorot_uniform()(a, gain=2.0), 2 * math.sqrt(2 / (fan_in + fan_out))),
        (nn.init.he_normal()(a), fan_in**-0.5),
        (nn.init.he_normal()(a, "fan_out"), fan_out**-0.5),
        (nn.init.he_uniform()(a, mode="fan_out", gain=3.0), 3 * fan_out**-0.5),
    ]:
        np.testing.assert_allclose(np.array(value).std(), std, rtol=0.02)


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
def test_dtypes(dtype):
    a = mx.zeros((3, 3))
    for make in (
        lambda: nn.init.constant(1.0, dtype),
        lambda: nn.init.normal(dtype=dtype),
        lambda: nn.init.uniform(dtype=dtype),
        lambda: nn.init.identity(dtype),
        lambda: nn.init.glorot_normal(dtype),
        lambda: nn.init.he_uniform(dtype),
        lambda: nn.init.sparse(0.5, dtype=dtype),
    ):
        assert make()(a).dtype == dtype


def test_identity_sparse_and_bad_shapes():
    np.testing.assert_array_equal(np.array(nn.init.identity()(mx.zeros((3, 3)))), np.eye(3))
    zeros = np.array(nn.init.sparse(0.25)(mx.zeros((8, 6)))) == 0
    np.testing.assert_array_equal(zeros.sum(1), 2)
    for initializer, shape in [
        (nn.init.identity(), (2, 3)),
        (nn.init.glorot_normal(), (3,)),
        (nn.init.he_uniform(), ()),
        (nn.init.sparse(0.5), (3,)),
        (nn.init.orthogonal(), (2, 2, 2)),
    ]:
        with pytest.raises(ValueError):
            initializer(mx.zeros(shape))
    with pytest.raises(ValueError, match="mode"):
        nn.init.he_normal()(mx.zeros((2, 2)), "fan_sideways")


def test_initializers_apply_to_modules():
    layer = nn.Linear(2, 3).apply(nn.init.constant(0.5))
    np.testing.assert_array_equal(np.array(layer(mx.ones((1, 2)))), 1.5)


def test_orthogonal_rows_or_columns():
    for shape in [(3, 5), (5, 3)]:
        q = np.array(nn.init.orthogonal(2.0)(mx.zeros(shape)))
        gram = q @ q.T if shape[0] < shape[1] else q.T @ q
        np.testing.assert_allclose(gram, 4 * np.eye(3), atol=1e-5)
