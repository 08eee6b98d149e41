"""What programs have in common, run for the kernels that it takes (see precompile.py).

    kernel_programs.py [NUMBER]

runs one of these programs, or says how many there are. Only sorts of work count here, never
results. Kernels seldom depend on sizes: where they do, both small and large arrays are met, since a
GPU is filled differently by them.
"""

import math
import sys
from collections.abc import Callable, Iterable
from functools import partial

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim

FLOATS = (mx.float32, mx.bfloat16, mx.float16)
SMALL, LARGE = (10, 100), (2048, 2048)


def arrays(dtypes: Iterable[mx.Dtype]) -> Iterable[mx.array]:
    for dtype in dtypes:
        for shape in (SMALL, LARGE):
            yield evaluated(mx.zeros(shape, dtype))


def evaluated(tree):
    mx.eval(tree)
    return tree


# ------------------------------------------------------------------ single operations

UNARY = (
    mx.abs,
    mx.cos,
    mx.erf,
    mx.exp,
    mx.log,
    mx.log1p,
    mx.negative,
    mx.reciprocal,
    mx.rsqrt,
    mx.sigmoid,
    mx.sign,
    mx.sin,
    mx.sqrt,
    mx.square,
    mx.tanh,
    nn.gelu,
    nn.gelu_approx,
    nn.relu,
    nn.silu,
    nn.softplus,
)
ARITHMETIC = (mx.add, mx.subtract, mx.multiply, mx.divide, mx.maximum, mx.minimum)
COMPARISONS = (mx.equal, mx.not_equal, mx.less, mx.less_equal, mx.greater, mx.greater_equal)


def element_wise() -> None:
    for x in arrays(FLOATS):
        for op in UNARY:
            mx.eval(op(x))
        for op in (*ARITHMETIC, mx.power):
            mx.eval(op(x, x + 0), op(x, 2.0))
        mx.eval(1 - x, 1 / x, x + x[0], x * x[0], x * x[:, :1], mx.clip(x, 0, 1))
    for x in arrays((mx.int32,)):
        for op in (mx.add, mx.subtract, mx.multiply, mx.floor_divide, mx.remainder):
            mx.eval(op(x, x + 0), op(x, 2))
    for x in arrays((mx.float32, mx.bfloat16, mx.int32)):
        for op in COMPARISONS:
            mask = evaluated(op(x, x + 0))
            mx.eval(op(x, 0))
        mx.eval(mx.where(mask, x, x + 0), mx.where(mask, x, 0), mx.logical_not(mask), mask & ~mask)
        mx.eval(mx.where(mask, x, -math.inf) if x.dtype != mx.int32 else x)


def casts() -> None:
    numbers = (*FLOATS, mx.int32, mx.int64, mx.uint32, mx.bool_)
    for x in arrays(numbers):
        for to in numbers:
            mx.eval(x.astype(to))
    for x in arrays((mx.uint8,)):
        mx.eval(x.astype(mx.float32), x.astype(mx.int32))


def reductions() -> None:
    for x in arrays(FLOATS):
        for op in (mx.sum, mx.mean, mx.max, mx.min, mx.var, mx.logsumexp, mx.argmax, mx.argmin):
            mx.eval(op(x, axis=-1), op(x, axis=0))
            mx.eval(op(x))
        mx.eval(mx.sum(mx.square(x - x[0])), mx.linalg.norm(x), mx.softmax(x, axis=-1))
    for x in arrays((mx.int32, mx.bool_)):
        mx.eval(x.sum(), x.sum(-1), x.max(), x.any(), x.all())


def moves() -> None:
    for x in arrays((*FLOATS, mx.int32)):
        parts = mx.split(x, 2, axis=-1)
        mx.eval(mx.contiguous(x.T), [mx.contiguous(p) for p in parts])
        mx.eval(mx.concatenate([x, x]), mx.concatenate([x, x], axis=-1), mx.stack([x, x]))
        mx.eval(mx.repeat(x, 2, axis=0), mx.pad(x, 1), mx.tile(x, (2, 2)))
        rows = evaluated(mx.zeros((4,), mx.int32))
        mx.eval(x[rows], mx.take(x, rows, axis=1), mx.take_along_axis(x, x.astype(mx.int32), 1))
        y = x + 0
        y[2:4] = 1
        y[:, 1:3] = x[:, :2]
        y[rows] = x[:4]
        mx.eval(y)
        heads = x.reshape(2, -1, 5 if x.shape == SMALL else 8, 4).transpose(0, 2, 1, 3)
        mx.eval(mx.contiguous(heads))


def orders() -> None:
    for x in arrays(FLOATS):
        mx.eval(mx.sort(x, axis=-1), mx.argsort(x, axis=-1), mx.cumsum(x, axis=-1))
        mx.eval(mx.argpartition(x, 5, axis=-1), mx.topk(x, 5, axis=-1))


def creation() -> None:
    for dtype in (*FLOATS, mx.int32):
        mx.eval(mx.arange(100, dtype=dtype), mx.ones(SMALL, dtype), mx.full(LARGE, 3, dtype))
        mx.eval(mx.eye(10, dtype=dtype), mx.tri(10, dtype=dtype))
    mx.eval(mx.linspace(0, 1, 50), mx.random.key(0), mx.random.split(mx.random.key(0)))
    for shape in (SMALL, LARGE):
        for dtype in FLOATS:
            mx.eval(mx.random.normal(shape, dtype), mx.random.uniform(shape=shape, dtype=dtype))
            mx.eval(0.02 * mx.random.normal(shape, dtype))
            mx.eval(mx.random.uniform(-0.1, 0.1, shape, dtype))
        mx.eval(mx.random.randint(0, 10, shape), mx.random.bernoulli(0.5, shape))
        mx.eval(mx.random.permutation(shape[0]))


def products() -> None:
    for dtype in FLOATS:
        for outputs in (64, 4096):
            linear = nn.Linear(2048, outputs)
            linear.set_dtype(dtype)
            for rows in (1, 2, 3, 4, 100):
                mx.eval(linear(mx.zeros((rows, 2048), dtype)))


def quantized_products() -> None:
    for dtype in (mx.bfloat16, mx.float16):
        for bits, group_size in ((4, 32), (4, 64), (4, 128), (8, 32), (8, 64)):
            weights = mx.quantize(mx.zeros((4096, 2048), dtype), group_size, bits)
            for rows in (1, 2, 4, 8, 16, 64, 512):
                x = mx.zeros((rows, 2048), dtype)
                mx.eval(mx.quantized_matmul(x, *weights, group_size=group_size, bits=bits))
            mx.eval(mx.dequantize(*weights, group_size, bits))


def layers() -> None:
    for dtype in FLOATS:
        for width in (384, 768, 1024, 2048, 4096, 8192):
            x = evaluated(mx.zeros((64, width), dtype))
            weight = evaluated(mx.ones((width,), dtype))
            mx.eval(mx.fast.rms_norm(x, weight, 1e-5), mx.fast.layer_norm(x, weight, weight, 1e-5))
        for head in (64, 128):
            for length, keys in ((1, 1000), (1, 8192), (200, 200), (2048, 2048)):
                q, k = (mx.zeros((1, 32 // p, n, head), dtype) for p, n in ((1, length), (4, keys)))
                mask = "causal" if length > 1 else None
                mx.eval(mx.fast.scaled_dot_product_attention(q, k, k, scale=0.1, mask=mask))
                rope = {"traditional": False, "base": 1e4, "scale": 1.0, "offset": 3}
                mx.eval(mx.fast.rope(q, head, **rope))
        for classes in (10, 100, 1000, 4000, 32000, 128000):
            logits = mx.zeros((64, classes), dtype)
            mx.eval(nn.losses.cross_entropy(logits, mx.zeros((64,), mx.int32)))
            mx.eval(mx.softmax(logits, axis=-1), mx.log(mx.softmax(logits, axis=-1)))
            mx.eval(mx.softmax(logits, axis=-1, precise=True))


# ------------------------------------------------------------------ language models


class Cache:
    """Keys and values of one layer, in room that grows by steps."""

    def __init__(self):
        self.count, self.room = 0, None

    def extend(self, *fresh: mx.array) -> list[mx.array]:
        first, self.count = self.count, self.count + fresh[0].shape[2]
        if self.room is None:
            b, h, _, d = fresh[0].shape
            self.room = [mx.zeros((b, h, 256, d), x.dtype) for x in fresh]
        for room, x in zip(self.room, fresh, strict=True):
            room[..., first : self.count, :] = x
        return [room[..., : self.count, :] for room in self.room]


class DecoderLayer(nn.Module):
    def __init__(self, width: int, head: int, norms: bool, bias: bool):
        super().__init__()
        self.head, shared = head, max(width // 4, head)
        self.rope = nn.RoPE(head, base=500000)
        self.q, self.o = nn.Linear(width, width, bias=bias), nn.Linear(width, width, bias=False)
        self.k, self.v = (nn.Linear(width, shared, bias=bias) for _ in range(2))
        self.gate, self.up = (nn.Linear(width, 3 * width, bias=False) for _ in range(2))
        self.down = nn.Linear(3 * width, width, bias=False)
        self.before, self.between = nn.RMSNorm(width, eps=1e-5), nn.RMSNorm(width, eps=1e-5)
        self.norms = [nn.RMSNorm(head, eps=1e-6) for _ in range(2)] if norms else []

    def __call__(self, x: mx.array, mask, cache: Cache | None) -> mx.array:
        h = x + self.attend(self.before(x), mask, cache)
        y = self.between(h)
        return h + self.down(nn.silu(self.gate(y)) * self.up(y))

    def attend(self, x: mx.array, mask, cache: Cache | None) -> mx.array:
        b, length, _ = x.shape
        q, k, v = (f(x).reshape(b, length, -1, self.head) for f in (self.q, self.k, self.v))
        if self.norms:
            q, k = self.norms[0](q), self.norms[1](k)
        q, k, v = (y.transpose(0, 2, 1, 3) for y in (q, k, v))
        first = cache.count if cache else 0
        q, k = self.rope(q, offset=first), self.rope(k, offset=first)
        if cache:
            k, v = cache.extend(k, v)
        y = mx.fast.scaled_dot_product_attention(q, k, v, scale=self.head**-0.5, mask=mask)
        return self.o(y.transpose(0, 2, 1, 3).reshape(b, length, -1))


class Decoder(nn.Module):
    def __init__(self, width: int, head: int, norms: bool = False, bias: bool = False, depth=2):
        super().__init__()
        self.tokens, self.head = nn.Embedding(32000, width), nn.Linear(width, 32000, bias=False)
        self.layers = [DecoderLayer(width, head, norms, bias) for _ in range(depth)]
        self.norm = nn.RMSNorm(width, eps=1e-5)

    def __call__(self, tokens: mx.array, caches: list[Cache] | None = None) -> mx.array:
        x = self.tokens(tokens)
        mask = "causal" if tokens.shape[1] > 1 else None
        for i, layer in enumerate(self.layers):
            x = layer(x, mask, caches[i] if caches else None)
        return self.head(self.norm(x))


def greedy(logprobs: mx.array) -> mx.array:
    return mx.argmax(logprobs, axis=-1)


def warm(logprobs: mx.array) -> mx.array:
    return mx.random.categorical(logprobs * (1 / 0.7))


def most_likely(logprobs: mx.array) -> mx.array:
    rest = mx.argpartition(-logprobs, kth=19, axis=-1)[..., 20:]
    kept = mx.put_along_axis(logprobs, rest, mx.array(-math.inf, logprobs.dtype), axis=-1)
    return warm(kept)


def nucleus(logprobs: mx.array) -> mx.array:
    ordered = mx.sort(logprobs, axis=-1)
    mass = mx.cumsum(mx.exp(ordered.astype(mx.float32)), axis=-1, reverse=True, inclusive=False)
    dropped = (mass >= 0.9).sum(axis=-1, keepdims=True)
    least = mx.take_along_axis(ordered, dropped, axis=-1)
    return warm(mx.where(logprobs < least, -math.inf, logprobs))


def generate(model: nn.Module, sample: Callable, prompt: int) -> None:
    caches = [Cache() for _ in model.layers]
    tokens = mx.zeros((1, prompt), mx.int32)
    for _ in range(3):
        logits = model(tokens, caches)[:, -1, :]
        logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
        tokens = sample(logprobs)[None]
        mx.eval(tokens, logprobs)


def language_model(width: int, head: int, dtype: mx.Dtype, form, extras: dict) -> None:
    model = Decoder(width, head, **extras)
    model.set_dtype(dtype)
    if form:
        nn.quantize(model, *form)
    mx.eval(model.parameters())
    for prompt in (7, 200):
        for sample in (greedy, warm, most_likely, nucleus):
            generate(model, sample, prompt)


def language_models() -> Iterable[Callable]:
    shapes = ((1024, 64), (2048, 64), (2048, 128), (3072, 128), (4096, 128))
    for width, head in shapes:
        for form in (None, (64, 4), (32, 4), (64, 8)):
            for dtype in (mx.bfloat16, mx.float16):
                yield partial(language_model, width, head, dtype, form, {})
            for extra in ("norms", "bias"):
                yield partial(language_model, width, head, mx.bfloat16, form, {extra: True})


# ------------------------------------------------------------------ training


class Block(nn.Module):
    def __init__(self, width: int, head: int):
        super().__init__()
        self.head = head
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.o = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def __call__(self, x: mx.array) -> mx.array:
        b, length, width = x.shape
        parts = mx.split(self.qkv(self.before(x)), 3, axis=-1)
        q, k, v = (p.reshape(b, length, -1, self.head).transpose(0, 2, 1, 3) for p in parts)
        scale = self.head**-0.5
        y = mx.fast.scaled_dot_product_attention(q, k, v, scale=scale, mask="causal")
        x = x + self.o(y.transpose(0, 2, 1, 3).reshape(b, length, width))
        return x + self.down(nn.gelu(self.up(self.between(x))))


class Transformer(nn.Module):
    def __init__(self, width: int, head: int, vocabulary: int):
        super().__init__()
        self.tokens, self.places = nn.Embedding(vocabulary, width), nn.Embedding(1024, width)
        self.blocks = [Block(width, head) for _ in range(2)]
        self.norm = nn.LayerNorm(width)

    def __call__(self, tokens: mx.array) -> mx.array:
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.tokens.as_linear(self.norm(x))


def train(model: nn.Module, x: mx.array, labels: mx.array, optimizer, clips, compiles) -> None:
    mx.eval(model.parameters())

    def loss(x, labels):
        return nn.losses.cross_entropy(model(x), labels, reduction="mean")

    def step(x, labels):
        value, gradients = nn.value_and_grad(model, loss)(x, labels)
        if clips:
            gradients, _ = optim.clip_grad_norm(gradients, 1.0)
        optimizer.update(model, gradients)
        return value

    state = [model.state, optimizer.state]
    if compiles:
        step = mx.compile(step, inputs=state, outputs=state)
    for _ in range(3):
        mx.eval(step(x, labels), state)


def train_perceptron(dtype: mx.Dtype, optimizer: Callable, compiles: bool) -> None:
    model = nn.Sequential(nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 10))
    model.set_dtype(dtype)
    x, labels = mx.zeros((128, 784), dtype), mx.zeros((128,), mx.int32)
    train(model, x, labels, optimizer(1e-3), clips=False, compiles=compiles)


def train_transformer(make: Callable, dtype: mx.Dtype, clips: bool, compiles: bool) -> None:
    model = make()
    model.set_dtype(dtype)
    tokens = mx.zeros((8, 1024), mx.int32)
    train(model, tokens, tokens, optim.AdamW(1e-3), clips, compiles)


def training() -> Iterable[Callable]:
    transformers = (
        partial(Transformer, 384, 64, 65),
        partial(Transformer, 768, 64, 50304),
        partial(Decoder, 1024, 64),
    )
    for dtype in (mx.float32, mx.bfloat16):
        for compiles in (False, True):
            for optimizer in (optim.SGD, optim.Adam, optim.AdamW):
                yield partial(train_perceptron, dtype, optimizer, compiles)
            for make in transformers:
                for clips in (False, True):
                    yield partial(train_transformer, make, dtype, clips, compiles)


def programs() -> list[Callable]:
    operations = [element_wise, casts, reductions, moves, orders, creation, layers]
    return [*operations, products, quantized_products, *language_models(), *training()]


def main() -> None:
    if len(sys.argv) == 1:
        print(len(programs()))
    else:
        mx.set_default_device(mx.gpu)
        programs()[int(sys.argv[1])]()


if __name__ == "__main__":
    main()
