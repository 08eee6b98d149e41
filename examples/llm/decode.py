"""Decodes with a model of mlx-lm by one compiled function over a cache of fixed size.

A cache that grows has other shapes at every step, so that each step is planned by itself. Here keys
and values have their final size from the start and the position is an array: the whole step, from
token to token, is traced once and then replayed.

    python examples/llm/decode.py --model out/llm --prompt "In the beginning" --tokens 200
"""

import argparse
import time
from functools import partial

import mlx.core as mx


class FixedCache:
    """Keys and values of one layer for up to `size` positions, as mlx-lm's models use caches.

    `state` is a list of keys and values; the first call makes room for what it is given. All layers
    share `position`, a list of the array with the position of the next token, which whoever calls
    the model moves on.
    """

    def __init__(self, size, position):
        self.size = size
        self.position = position
        self.state = [None, None]

    @property
    def offset(self):
        return self.position[0]

    def update_and_fetch(self, keys, values):
        for i, new in enumerate((keys, values)):
            if self.state[i] is None:
                self.state[i] = mx.zeros((*new.shape[:2], self.size, new.shape[3]), new.dtype)
            self.state[i] = mx.slice_update(self.state[i], new, self.offset, axes=(2,))
        return self.state[0], self.state[1]

    def make_mask(self, length, return_array=False, window_size=None):
        """What the next `length` positions may look at: all before them, or the last of them."""
        queries = self.offset + mx.arange(length)[:, None]
        keys = mx.arange(self.size)
        seen = keys <= queries
        return seen & (keys > queries - window_size) if window_size else seen


def make_cache(model, size, position):
    """A fixed cache for each layer. Raises ValueError for models that keep something else."""
    from mlx_lm.models.cache import KVCache, RotatingKVCache, make_prompt_cache

    for layer in make_prompt_cache(model):
        if not isinstance(layer, (KVCache, RotatingKVCache)):
            raise ValueError(
                f"The model's layers keep a {type(layer).__name__}, not keys and values"
            )
    return [FixedCache(size, position) for _ in model.layers]


def decode(model, prompt, count, sampler=None):
    """Yields `count` tokens that follow the prompt's: the likeliest, or what the sampler draws from
    their log probabilities."""
    sampler = sampler or (lambda logprobs: mx.argmax(logprobs, axis=-1))
    position = [mx.array(0)]
    cache = make_cache(model, len(prompt) + count, position)

    def step(tokens):
        logits = model(tokens, cache=cache)[:, -1]
        position[0] = position[0] + tokens.shape[1]
        return sampler(logits - mx.logsumexp(logits, axis=-1, keepdims=True))[:, None]

    token = step(mx.array([prompt]))
    state = [[layer.state for layer in cache], position, mx.random.state]
    compiled = partial(mx.compile, inputs=state, outputs=state)(step)
    mx.async_eval(token, state)
    for i in range(count):
        following = compiled(token) if i + 1 < count else token
        mx.async_eval(following, state)  # under way while the token goes to the caller
        yield token.item()
        token = following


def main():
    import mlx_lm

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a folder, or a name at Hugging Face")
    parser.add_argument("--prompt", default="In the beginning")
    parser.add_argument("--tokens", type=int, default=200)
    options = parser.parse_args()
    model, tokenizer = mlx_lm.load(options.model)
    prompt = tokenizer.encode(options.prompt)

    def growing():
        responses = mlx_lm.stream_generate(model, tokenizer, prompt, max_tokens=options.tokens)
        return (response.token for response in responses)

    for name, tokens in (
        ("growing cache", growing()),
        ("compiled, fixed cache", decode(model, prompt, options.tokens)),
    ):
        found = [next(tokens)]  # the prompt's share
        start = time.perf_counter()
        found += tokens
        rate = (len(found) - 1) / (time.perf_counter() - start)
        print(f"{name}: {rate:.0f} tokens/s")
    print(options.prompt + tokenizer.decode(found))


if __name__ == "__main__":
    main()
