"""Makes a language model from nothing: a byte-pair tokenizer and a small Llama, both trained on
real English text, written as a Hugging Face folder with a plot of the loss.

    python examples/llm/train.py --out out/llm          # some minutes on two cores
    python examples/llm/train.py --out out/llm --short  # some seconds, to see that it works
"""

import argparse
import time
from functools import partial
from pathlib import Path

import corpus
import matplotlib
import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten
from model import Llama, Sizes, write_folder
from tqdm import tqdm

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PROMPT = "In the beginning"
SHORT = Sizes(512, 64, 176, 2, 4, 2, 128)


def batches(tokens, length, batch, steps):
    """Stretches of `length` + 1 tokens from random places."""
    for _ in range(steps):
        starts = np.random.randint(0, len(tokens) - length - 1, batch)
        yield mx.array(np.stack([tokens[s : s + length + 1] for s in starts]).astype(np.int32))


def loss_fn(model, tokens):
    return nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:], reduction="mean")


def train(model, tokens, length, batch, steps):
    """Trains in place with AdamW in one compiled function; returns the loss of every step."""
    rate = optim.join_schedules(
        [optim.linear_schedule(0, 2e-3, steps // 10), optim.cosine_decay(2e-3, steps, 1e-4)],
        [steps // 10],
    )
    optimizer = optim.AdamW(learning_rate=rate, weight_decay=0.1)
    state = [model.state, optimizer.state]

    @partial(mx.compile, inputs=state, outputs=state)
    def step(tokens):
        loss, grads = nn.value_and_grad(model, loss_fn)(model, tokens)
        grads, _ = optim.clip_grad_norm(grads, 1.0)
        optimizer.update(model, grads)
        return loss

    losses = []
    with tqdm(batches(tokens, length, batch, steps), total=steps, unit="step") as progress:
        for tokens_of_step in progress:
            loss = step(tokens_of_step)
            mx.eval(loss, state)
            losses.append(loss.item())
            progress.set_postfix(loss=f"{np.mean(losses[-20:]):.3f}")
    return losses


def held_out_loss(model, tokens, length):
    """The mean loss over text that was not trained on, in stretches of `length`."""
    rows = (len(tokens) - 1) // length
    rows = np.stack([tokens[i * length : (i + 1) * length + 1] for i in range(rows)])
    parts = [
        loss_fn(model, mx.array(r.astype(np.int32))).item()
        for r in np.array_split(rows, max(1, len(rows) // 32))
    ]
    return float(np.mean(parts))


def sample(model, tokenizer, prompt, count, temperature=0.8):
    """Goes on from a prompt. Runs the whole text for each token; serving uses a cache instead."""
    tokens = tokenizer.encode(prompt).ids
    for _ in range(count):
        window = tokens[-model.sizes.max_position_embeddings :]
        logits = model(mx.array([window]))[0, -1]
        tokens.append(mx.random.categorical(logits / temperature).item())
    return tokenizer.decode(tokens)


def plot(path, losses, held_out):
    smooth = np.convolve(losses, np.ones(20) / 20, mode="valid")
    figure, axes = plt.subplots(figsize=(7, 4))
    axes.plot(losses, color="0.8", label="step")
    axes.plot(np.arange(len(smooth)) + 10, smooth, label="mean of 20 steps")
    axes.axhline(held_out, color="C1", linestyle="--", label=f"held-out text: {held_out:.2f}")
    axes.set(xlabel="step", ylabel="cross-entropy per token", title="Training a small Llama")
    axes.legend()
    figure.savefig(path, dpi=120, bbox_inches="tight")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("out/llm"))
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--short", action="store_true", help="a tiny model and a few steps")
    options = parser.parse_args()
    if options.short:
        options.steps, options.length = min(options.steps, 60), 64
    mx.random.seed(0)
    np.random.seed(0)

    texts = corpus.chapters()
    sizes = SHORT if options.short else Sizes()
    held_out = texts[::40]  # every fortieth chapter
    training = [text for i, text in enumerate(texts) if i % 40]
    if options.short:
        training, held_out = training[:100], held_out[:2]
    tokenizer = corpus.train_tokenizer(training, sizes.vocab_size)
    tokens = corpus.encode(tokenizer, training)
    print(f"{len(training)} chapters, {len(tokens):,} tokens of a vocabulary of {sizes.vocab_size}")

    model = Llama(sizes)
    count = sum(v.size for _, v in tree_flatten(model.parameters()))
    print(f"{count:,} parameters\nBefore:\n{corpus.shown(sample(model, tokenizer, PROMPT, 40))}")
    start = time.perf_counter()
    losses = train(model, tokens, options.length, options.batch, options.steps)
    rate = options.steps * options.batch * options.length / (time.perf_counter() - start)
    last = held_out_loss(model, corpus.encode(tokenizer, held_out), options.length)
    mean = np.mean(losses[-20:])
    print(f"{rate:,.0f} tokens/s; loss {losses[0]:.2f} -> {mean:.2f}, held out {last:.2f}")
    print(f"After:\n{corpus.shown(sample(model, tokenizer, PROMPT, 80))}")

    write_folder(options.out, model, tokenizer)
    plot(options.out / "loss.png", losses, last)
    print(f"Written to {options.out}: generate with `mlx_lm.generate --model {options.out}`")


if __name__ == "__main__":
    main()
