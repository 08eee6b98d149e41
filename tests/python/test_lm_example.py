"""examples/llm in its short form: train, write, load, decode by one compiled function."""

import json
import re
import subprocess
import sys

import mlx.core as mx
import numpy as np
import pytest
from lm_folder import ROOT, corpus, needs_mlx_lm
from lm_models import make
from mlx.utils import tree_flatten


def test_training_and_the_folder(tmp_path):
    command = [sys.executable, ROOT / "examples" / "llm" / "train.py", "--short", "--out", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    losses = re.search(r"loss ([\d.]+) -> ([\d.]+)", done.stdout)
    assert losses, done.stdout
    first, last = map(float, losses.groups())
    assert first > 6 and last < first - 2
    assert "Before:" in done.stdout and "After:" in done.stdout
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "llama"
    weights = mx.load(str(tmp_path / "model.safetensors"))
    assert weights["model.layers.1.mlp.up_proj.weight"].shape == (176, 64)


@needs_mlx_lm
def test_the_folder_is_the_model(tmp_path):
    import mlx_lm
    from model import Llama, Sizes, write_folder

    texts = ["In the beginning God created the heaven and the earth.\nAnd — öß 🙂"] * 4
    model = Llama(Sizes(400, 64, 128, 2, 4, 2, 128))
    tokenizer = corpus.train_tokenizer(texts, 400)
    write_folder(tmp_path, model, tokenizer)
    loaded, its_tokenizer = mlx_lm.load(str(tmp_path))
    tokens = its_tokenizer.encode(texts[0])
    assert tokens == tokenizer.encode(texts[0]).ids and its_tokenizer.decode(tokens) == texts[0]
    assert its_tokenizer.eos_token == corpus.END
    logits = model(mx.array([tokens]))
    np.testing.assert_allclose(loaded(mx.array([tokens])), logits, rtol=1e-4, atol=1e-4)
    assert len(tree_flatten(loaded.parameters())) == len(tree_flatten(model.parameters()))


@needs_mlx_lm
@pytest.mark.parametrize(
    "name",
    ["llama", "qwen2", "qwen3", "gemma2", "gemma3_text", "mixtral", "cohere2", "phi3", "olmo2"],
)
def test_compiled_decoding(name):
    from decode import decode

    mx.random.seed(0)
    model = make(name)
    tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3]
    for _ in range(12):
        tokens.append(mx.argmax(model(mx.array([tokens]))[0, -1]).item())
    assert list(decode(model, tokens[:10], 12)) == tokens[10:]
    draw = lambda logprobs: mx.random.categorical(logprobs)
    drawn = []
    for seed in (5, 5, 6):
        mx.random.seed(seed)
        drawn.append(list(decode(model, tokens[:10], 12, draw)))
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) > 4


@needs_mlx_lm
def test_decoding_refuses_what_has_no_keys():
    from decode import decode

    with pytest.raises(ValueError, match="ArraysCache"):
        next(decode(make("mamba"), [1, 2], 3))
