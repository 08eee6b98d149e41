"""Small programs of packages that were made for MLX, on random weights.

    python tools/package_programs.py mlx-whisper

Prints one line of JSON: the numbers that each program computed, by its name. Weights and inputs are
NumPy's, so that they are the same wherever the program runs; what fails is missing, and its
traceback is on the error stream.
"""

from __future__ import annotations

import json
import sys
import tempfile
import traceback
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
import numpy as np
from mlx.utils import tree_flatten, tree_unflatten

Program = Callable[[], Any]


def fill(model: nn.Module, seed: int = 0, scale: float = 0.2) -> nn.Module:
    """Random weights, the same for the same names and shapes."""
    rng = np.random.default_rng(seed)
    new = []
    for name, value in sorted(tree_flatten(model.parameters())):
        numbers = rng.normal(size=value.shape) * scale
        if "norm" in name and name.endswith("weight"):
            numbers = 1 + numbers
        new.append((name, mx.array(numbers.astype("f4"))))
    model.update(tree_unflatten(new))
    model.eval()
    return model


def numbers_of(result: Any) -> list[float]:
    """All numbers of a tree of arrays and numbers, at most a few hundred of each array."""
    out: list[float] = []
    for _, leaf in tree_flatten(result):
        values = np.array(leaf.astype(mx.float32)) if isinstance(leaf, mx.array) else np.array(leaf)
        flat = values.astype("f8").ravel()
        out += [float(v) for v in flat[:: max(1, flat.size // 200)]]
    return out


# ------------------------------------------------------------------ speech


def whisper() -> Iterator[tuple[str, Program]]:
    import mlx_whisper
    from mlx_whisper import audio, decoding
    from mlx_whisper.whisper import ModelDimensions, Whisper

    sizes = {
        "n_mels": 80, "n_audio_ctx": 1500, "n_audio_state": 32, "n_audio_head": 2,
        "n_audio_layer": 2, "n_vocab": 51865, "n_text_ctx": 448, "n_text_state": 32,
        "n_text_head": 2, "n_text_layer": 2,
    }  # fmt: skip
    model = fill(Whisper(ModelDimensions(**sizes), mx.float32))
    times = np.arange(16000 * 3) / 16000
    sound = (np.sin(880 * times) + 0.3 * np.sin(3000 * times**2)).astype("f4")
    mel = audio.pad_or_trim(audio.log_mel_spectrogram(sound, n_mels=80), 3000, axis=-2)

    def decode(**options: Any) -> list[int]:
        asked = decoding.DecodingOptions(language="en", fp16=False, sample_len=12, **options)
        return decoding.decode(model, mel, asked).tokens

    def transcribe() -> list[int]:
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "config.json").write_text(json.dumps(sizes))
            np.savez(
                Path(folder) / "weights.npz",
                **{k: np.array(v) for k, v in tree_flatten(model.parameters())},
            )
            said = mlx_whisper.transcribe(
                sound, path_or_hf_repo=folder, fp16=False, temperature=0.0, language="en",
                compression_ratio_threshold=None, logprob_threshold=None, sample_len=8,
            )  # fmt: skip
        return [t for part in said["segments"] for t in part["tokens"]]

    tokens = mx.array([[50258, 50259, 50359, 7, 11, 300]])
    yield "log mel spectrogram", lambda: mel
    yield "encoder", lambda: model.embed_audio(mel[None])
    yield "logits", lambda: model.logits(tokens, model.embed_audio(mel[None]))
    yield "greedy decoding", decode
    yield "decoding without timestamps", lambda: decode(without_timestamps=True)
    yield "transcription from a file of weights", transcribe


# ------------------------------------------------------------------ graphs


def graphs() -> Iterator[tuple[str, Program]]:
    # An extension in C++ that draws random walks; nothing here does.
    missing = types.ModuleType("mlx_cluster")
    missing.neighbor_sample = missing.random_walk = missing.rejection_sampling = None  # type: ignore
    sys.modules.setdefault("mlx_cluster", missing)
    from mlx_graphs import nn as gnn
    from mlx_graphs.data import GraphData, batch
    from mlx_graphs.loaders import Dataloader
    from mlx_graphs.utils import to_adjacency_matrix, to_edge_index

    rng = np.random.default_rng(1)
    edges = mx.array(rng.integers(0, 12, (2, 40)))
    nodes = mx.array(rng.normal(size=(12, 8)).astype("f4"))
    mlp = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 5))
    layers = {
        "GCNConv": gnn.GCNConv(8, 5), "GCNConv with loops": gnn.GCNConv(8, 5, add_self_loops=True),
        "GATConv": gnn.GATConv(8, 5, heads=2), "GATv2Conv": gnn.GATv2Conv(8, 5, heads=2),
        "SAGEConv": gnn.SAGEConv(8, 5), "GINConv": gnn.GINConv(mlp), "SimpleConv": gnn.SimpleConv(),
    }  # fmt: skip

    def steps(layer: nn.Module) -> list[mx.array]:
        optimizer = optim.Adam(1e-2)
        target = mx.array(rng.integers(0, 5, 12))

        def loss(model: nn.Module) -> mx.array:
            return nn.losses.cross_entropy(model(edges, nodes), target, reduction="mean")

        step = nn.value_and_grad(layer, loss)
        losses = []
        for _ in range(4):
            value, grads = step(layer)
            optimizer.update(layer, grads)
            losses.append(value)
        return losses

    for name, layer in layers.items():
        fill(layer)
        yield name, lambda layer=layer: layer(edges, nodes)
    yield "training", lambda: steps(fill(gnn.GCNConv(8, 5)))
    for pool in ("add", "mean", "max"):
        f = getattr(gnn, f"global_{pool}_pool")
        parts = mx.array(np.repeat([0, 1, 2], 4))
        yield f"pooling, {pool}", lambda f=f, parts=parts: [f(nodes), f(nodes, parts)]
    data = [GraphData(edge_index=edges, node_features=nodes * i) for i in range(1, 4)]
    yield "batch", lambda: batch(data).node_features
    yield "loader", lambda: [b.edge_index for b in Dataloader(data, 2)]
    dense = mx.array((rng.uniform(size=(6, 6)) > 0.5).astype("f4"))
    yield "edges", lambda: list(to_edge_index(dense)) if dense.any() else []
    yield "adjacency", lambda: to_adjacency_matrix(edges)


# ------------------------------------------------------------------ pictures and text

TEXT = {
    "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "rms_norm_eps": 1e-5, "vocab_size": 100,
    "max_position_embeddings": 256, "query_pre_attn_scalar": 8,
}  # fmt: skip
VISION = {
    "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64, "num_attention_heads": 4,
    "image_size": 28, "patch_size": 7, "vocab_size": 100, "projection_dim": 32,
}  # fmt: skip


def vlm_of(kind: str, text: dict[str, Any], vision: dict[str, Any], **more: Any) -> Any:
    import importlib

    module = importlib.import_module(f"mlx_vlm.models.{kind}")
    settings = {"model_type": kind, "vocab_size": 100, **more}
    text, vision = {"model_type": kind, **text}, {"model_type": kind, **vision}
    config = module.ModelConfig.from_dict(
        {**settings, "text_config": dict(text), "vision_config": dict(vision)}
    )
    config.text_config = module.TextConfig.from_dict(text)
    config.vision_config = module.VisionConfig.from_dict(vision)
    return fill(module.Model(config))


def write(model: Any, prompt: list[int], pixels: mx.array, **inputs: Any) -> list[Any]:
    """The logits of a prompt with a picture, and what greedy decoding writes after it."""
    from mlx_vlm.models.cache import make_prompt_cache

    cache = make_prompt_cache(model.language_model)
    out = model(mx.array([prompt]), pixels, None, cache=cache, **inputs)
    logits, tokens = [out.logits], []
    for _ in range(4):
        token = mx.argmax(logits[-1][:, -1], -1)
        tokens.append(token)
        logits.append(model.language_model(token[:, None], cache=cache).logits)
    return [*logits, *tokens]


def vlm() -> Iterator[tuple[str, Program]]:
    rng = np.random.default_rng(2)
    image = mx.array(rng.normal(size=(1, 3, 28, 28)).astype("f4"))
    words = [5, 7, 90, 3]
    clip = {**VISION, "model_type": "clip_vision_model"}
    siglip = {**VISION, "model_type": "siglip_vision_model"}

    def llava() -> Any:
        text = {**TEXT, "model_type": "llama"}
        model = vlm_of("llava", text, clip, image_token_index=99)
        return write(model, [1, *[99] * 16, *words], image)

    def paligemma() -> Any:
        text = {**TEXT, "model_type": "gemma"}
        more = {"image_token_index": 99, "hidden_size": 32, "pad_token_id": 0}
        model = vlm_of("paligemma", text, siglip, **more)
        prompt = [*[99] * 16, 1, *words]
        return model(mx.array([prompt]), image, mx.ones((1, len(prompt)), mx.int32)).logits

    def gemma3() -> Any:
        text = {**TEXT, "model_type": "gemma3_text", "mm_tokens_per_image": 4}
        more = {"image_token_index": 99, "hidden_size": 32, "mm_tokens_per_image": 4}
        model = vlm_of("gemma3", text, siglip, **more)
        prompt = [1, *[99] * 4, *words]
        return model(mx.array([prompt]), image, mx.ones((1, len(prompt)), mx.int32)).logits

    def qwen2_vl() -> Any:
        text = {
            **TEXT, "model_type": "qwen2_vl",
            "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2]},
            "image_token_id": 99, "video_token_id": 98, "vision_start_token_id": 97,
        }  # fmt: skip
        vision = {
            "model_type": "qwen2_vl", "depth": 2, "embed_dim": 32, "hidden_size": 32,
            "num_heads": 2, "patch_size": 7, "mlp_ratio": 2.0,
        }  # fmt: skip
        model = vlm_of("qwen2_vl", text, vision, **{k: v for k, v in text.items() if "token" in k})
        patches = mx.array(rng.normal(size=(16, 3 * 2 * 7 * 7)).astype("f4"))
        prompt = [1, 97, *[99] * 4, *words]
        grid = mx.array([[1, 4, 4]])
        return model(mx.array([prompt]), patches, None, image_grid_thw=grid).logits

    def language(kind: str) -> Any:
        import importlib

        module = importlib.import_module(f"mlx_vlm.models.{kind}.language")
        config = importlib.import_module(f"mlx_vlm.models.{kind}").TextConfig
        model = fill(module.LanguageModel(config.from_dict({**TEXT, "model_type": kind})))
        return model(mx.array([words])).logits

    yield "llava, logits and greedy decoding", llava
    yield "paligemma", paligemma
    yield "gemma3", gemma3
    yield "qwen2_vl", qwen2_vl
    yield "pixtral's language model", lambda: language("pixtral")


KNOWN = {"mlx-whisper": whisper, "mlx-graphs": graphs, "mlx-vlm": vlm}


def main() -> None:
    results = {}
    for name, program in KNOWN[sys.argv[1]]():
        try:
            results[name] = numbers_of(program())
        except Exception:
            print(name, file=sys.stderr)
            traceback.print_exc()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
