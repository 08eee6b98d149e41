"""mlx-lm's functions and commands, unchanged, on a tiny model in a local folder."""

import importlib
import math
import re
import sys
import types

import mlx.core as mx
import numpy as np
import pytest
from lm_folder import needs_mlx_lm, texts, write_data, write_tiny_model

pytestmark = needs_mlx_lm

PROMPT = "A primitive is what a node of the graph does"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_tiny_model(tmp_path_factory.mktemp("lm") / "model")


def load(folder, **settings):
    import mlx_lm

    return mlx_lm.load(str(folder), **settings)


@pytest.fixture(scope="module")
def loaded(folder):
    return load(folder)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    """Runs a command of mlx-lm in this process; returns what it printed. Its home is empty but for
    the text that quantisation calibrates with."""
    home = tmp_path / "home"
    (home / ".cache" / "mlx-lm").mkdir(parents=True)
    (home / ".cache" / "mlx-lm" / "calibration_v5.txt").write_text("\n\n".join(texts() * 2))
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(tmp_path)

    def run_command(name, *arguments):
        monkeypatch.setattr(sys, "argv", [f"mlx_lm.{name}", *map(str, arguments)])
        capsys.readouterr()
        importlib.import_module(f"mlx_lm.{name}").main()
        printed = capsys.readouterr()
        return printed.out + printed.err

    return run_command


def greedy(model, tokens, count):
    """The likeliest tokens, found by running the whole text for each."""
    tokens = list(tokens)
    for _ in range(count):
        tokens.append(mx.argmax(model(mx.array([tokens]))[0, -1]).item())
    return tokens[-count:]


def generated(model, tokenizer, prompt=PROMPT, count=12, **settings):
    import mlx_lm

    responses = mlx_lm.stream_generate(model, tokenizer, prompt, max_tokens=count, **settings)
    return [r.token for r in responses]


def test_generate_is_greedy(loaded):
    import mlx_lm

    model, tokenizer = loaded
    expected = greedy(model, tokenizer.encode(PROMPT), 12)
    assert generated(model, tokenizer) == expected
    text = mlx_lm.generate(model, tokenizer, PROMPT, max_tokens=12)
    assert text == tokenizer.decode(expected)
    assert generated(model, tokenizer, prefill_step_size=4) == expected


def test_sampling_obeys_the_seed(loaded):
    from mlx_lm.sample_utils import make_logits_processors, make_sampler

    settings = [
        {"temp": 1.0},
        {"temp": 0.7, "top_p": 0.9},
        {"temp": 1.0, "top_k": 5},
        {"temp": 1.0, "min_p": 0.05},
        {"temp": 1.0, "xtc_probability": 0.5, "xtc_threshold": 0.0001},
    ]
    for kind in settings:
        drawn = []
        for seed in (3, 3, 4, 5, 6, 7):
            mx.random.seed(seed)
            drawn.append(tuple(generated(*loaded, sampler=make_sampler(**kind))))
        assert drawn[0] == drawn[1] and len(set(drawn)) > 2, kind
    repetition = make_logits_processors(repetition_penalty=5.0, repetition_context_size=50)
    plain = generated(*loaded, count=40)
    penalised = generated(*loaded, count=40, logits_processors=repetition)
    assert len(set(penalised)) > len(set(plain))


def test_batches(loaded):
    import mlx_lm

    model, tokenizer = loaded
    prompts = [
        tokenizer.encode(text[:n]) for text, n in zip(texts(), (20, 90, 45, 5), strict=False)
    ]
    response = mlx_lm.batch_generate(
        model, tokenizer, prompts, max_tokens=10, return_token_ids=True
    )
    assert [list(t) for t in response.token_ids] == [greedy(model, p, 10) for p in prompts]
    assert len(response.texts) == 4


def test_prompt_caches(loaded, tmp_path):
    from mlx_lm.models.cache import (
        ChunkedKVCache,
        RotatingKVCache,
        load_prompt_cache,
        make_prompt_cache,
        save_prompt_cache,
    )

    model, tokenizer = loaded
    tokens = mx.array([tokenizer.encode(texts()[0])[:60]])
    whole = np.array(model(tokens)[0, -1])
    path = str(tmp_path / "cache.safetensors")

    def last_logits(cache):
        model(tokens[:, :-1], cache=cache)
        save_prompt_cache(path, cache, {"kind": "test"})
        again, metadata = load_prompt_cache(path, return_metadata=True)
        assert metadata == {"kind": "test"}
        here, there = (np.array(model(tokens[:, -1:], cache=c)[0, -1]) for c in (cache, again))
        np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-5)
        return here

    np.testing.assert_allclose(last_logits(make_prompt_cache(model)), whole, rtol=1e-4, atol=1e-4)
    rotating = [last_logits([RotatingKVCache(n, keep=4) for _ in model.layers]) for n in (64, 16)]
    np.testing.assert_allclose(rotating[0], whole, rtol=1e-4, atol=1e-4)
    assert np.abs(rotating[1] - whole).max() > 1e-3

    chunked = last_logits([ChunkedKVCache(64) for _ in model.layers])
    np.testing.assert_allclose(chunked, whole, rtol=1e-4, atol=1e-4)

    for bits, tolerance in ((8, 0.05), (4, 0.5)):
        cache = make_prompt_cache(model)
        model(tokens[:, :20], cache=cache)
        cache = [c.to_quantized(group_size=16, bits=bits) for c in cache]
        model(tokens[:, 20:-1], cache=cache)
        logits = np.array(model(tokens[:, -1:], cache=cache)[0, -1])
        np.testing.assert_allclose(logits, whole, rtol=tolerance, atol=tolerance)
    quantized = generated(
        model, tokenizer, kv_bits=8, kv_group_size=16, quantized_kv_start=2, max_kv_size=None
    )
    assert len(quantized) == 12


def test_speculative_decoding_changes_nothing(loaded, tmp_path):
    model, tokenizer = loaded
    draft, _ = load(write_tiny_model(tmp_path / "draft", width=32, seed=1))
    expected = greedy(model, tokenizer.encode(PROMPT), 12)
    for drafter in (draft, model):
        tokens = generated(model, tokenizer, draft_model=drafter, num_draft_tokens=3)
        assert tokens == expected


def test_generate_and_cache_commands(folder, loaded, run):
    model, tokenizer = loaded
    expected = tokenizer.decode(greedy(model, tokenizer.encode(PROMPT), 8))
    out = run("generate", "--model", folder, "-p", PROMPT, "-m", 8, "--ignore-chat-template")
    assert expected.strip() in out and "Generation: 8 tokens" in out
    seeds = ["--temp", 1, "--seed", 5]
    first, second = (run("generate", "--model", folder, "-p", "hi", "-m", 8, *seeds) for _ in "ab")
    assert first.split("==========")[1] == second.split("==========")[1]
    run(
        "cache_prompt",
        "--model",
        folder,
        "--prompt",
        PROMPT,
        "--prompt-cache-file",
        "c.safetensors",
    )
    out = run("generate", "--prompt-cache-file", "c.safetensors", "-p", " and", "-m", 8)
    assert "Generation: 8 tokens" in out


def chat_answers(folder, questions, seed, count):
    """What a conversation says to each question, which None makes it forget."""
    from mlx_lm.models.cache import make_prompt_cache
    from mlx_lm.sample_utils import make_sampler

    mx.random.seed(seed)
    model, tokenizer = load(folder)  # draws weights, which those of the folder replace
    cache, answers = make_prompt_cache(model), []
    for question in questions:
        if question is None:
            cache = make_prompt_cache(model)
            continue
        message = [{"role": "user", "content": question}]
        prompt = tokenizer.apply_chat_template(message, add_generation_prompt=True)
        sampler = make_sampler(temp=1.0)
        tokens = generated(model, tokenizer, prompt, count, sampler=sampler, prompt_cache=cache)
        answers.append(tokenizer.decode(tokens))
    return answers


def test_chat_command(folder, run, monkeypatch):
    questions = [PROMPT, "And then?", None, PROMPT]
    answers = chat_answers(folder, questions, 3, 12)
    assert len(set(answers)) == 3
    lines = iter([PROMPT, "And then?", "h", "r", PROMPT, "q"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(lines))
    out = run("chat", "--model", folder, "--temp", 1, "--seed", 3, "--max-tokens", 12)
    # Pieces of characters are shown in a way of their own, and lines are broken.
    shown, *answers = (
        re.sub(r"[^A-Za-z]", "", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text))
        for text in (out, *answers)
    )
    places = [shown.find(answer) for answer in answers]
    assert -1 < places[0] < places[1] < places[2], out
    assert next(lines, None) is None


def test_chunks_of_a_cache_forget_the_front(loaded):
    """Keys of more than a chunk are dropped, and what is kept is what a window attends to."""
    from mlx_lm.models.cache import ChunkedKVCache, KVCache

    keys, values = (mx.random.normal((1, 2, 300, 8)) for _ in "kv")
    chunked, plain = ChunkedKVCache(64), KVCache()
    for begin, end in ((0, 40), (40, 100), (100, 101), (101, 300)):
        chunked.maybe_trim_front()
        k, v = chunked.update_and_fetch(keys[:, :, begin:end], values[:, :, begin:end])
        plain.update_and_fetch(keys[:, :, begin:end], values[:, :, begin:end])
        kept = min(begin, 64) + end - begin
        assert chunked.offset == plain.offset == end and k.shape[2] == kept
        assert mx.array_equal(k, keys[:, :, end - kept : end]).item()
        assert mx.array_equal(v, values[:, :, end - kept : end]).item()


@pytest.mark.parametrize("batch", [1, 3])
def test_benchmark_command(folder, run, batch):
    sizes = ["--prompt-tokens", 40, "--generation-tokens", 6, "--batch-size", batch]
    out = run("benchmark", "--model", folder, "--num-trials", 2, *sizes)
    rates = re.findall(r"Trial \d+:  prompt_tps=([\d.]+), generation_tps=([\d.]+)", out)
    assert len(rates) == 2 and all(float(x) > 0 for pair in rates for x in pair), out


@pytest.mark.parametrize(
    "settings",
    [
        ["--q-bits", 4, "--q-group-size", 32],
        ["--q-bits", 8, "--q-group-size", 64, "--dtype", "bfloat16"],
        ["--q-mode", "mxfp4"],
        ["--q-mode", "mxfp8"],
        ["--q-mode", "nvfp4"],
        ["--quant-predicate", "mixed_4_6", "--q-group-size", 32],
        ["--quant-predicate", "mixed_2_6", "--q-group-size", 32],
    ],
    ids=lambda s: "-".join(str(part).lstrip("-") for part in s),
)
def test_convert(folder, run, settings, tmp_path):
    target = tmp_path / "converted"
    out = run("convert", "--hf-path", folder, "--mlx-path", target, "-q", *settings)
    assert "bits per weight" in out
    model, tokenizer = load(target)
    assert "Quantized" in repr(model.layers[0].self_attn.q_proj)
    assert generated(model, tokenizer) == greedy(model, tokenizer.encode(PROMPT), 12)
    if settings[0] == "--q-bits":  # mlx-lm reads only affine ones back
        run("convert", "--hf-path", target, "--mlx-path", tmp_path / "plain", "--dequantize")
        plain, _ = load(tmp_path / "plain")
        tokens = mx.array([tokenizer.encode(PROMPT)])
        same = mx.allclose(plain(tokens), model(tokens), rtol=0.05, atol=0.05)
        assert same.item()


def train_losses(printed):
    """Of the steps that were reported."""
    return [float(x) for x in re.findall(r"(\d+\.\d+) [▼▲]", printed)]


@pytest.mark.parametrize(
    ("kind", "quantized"),  # quantised weights themselves are not trained
    [("lora", False), ("dora", False), ("full", False), ("lora", True), ("dora", True)],
)
def test_finetune_and_fuse(folder, run, tmp_path, kind, quantized):
    base = folder
    if quantized:
        base = tmp_path / "quantized"
        run("convert", "--hf-path", folder, "--mlx-path", base, "-q", "--q-bits", 8)
    adapter = tmp_path / "adapter"
    data = write_data(tmp_path / "data")
    training = ["--iters", 12, "--batch-size", 2, "--num-layers", 2, "--learning-rate", 1e-2]
    reports = ["--steps-per-report", 1, "--steps-per-eval", 12, "--val-batches", 2]
    out = run(
        "lora", "--model", base, "--train", "--test", "--data", data, "--fine-tune-type", kind,
        "--adapter-path", adapter, "--max-seq-length", 96, *training, *reports,
    )  # fmt: skip
    losses = train_losses(out)
    assert len(losses) == 12 and np.mean(losses[-3:]) < losses[0] - 0.3, out
    assert "Test loss" in out and (adapter / "adapters.safetensors").is_file()

    fused = tmp_path / "fused"
    run("fuse", "--model", base, "--adapter-path", adapter, "--save-path", fused)
    with_adapter, tokenizer = load(base, adapter_path=str(adapter))
    merged, _ = load(fused)
    tokens = mx.array([tokenizer.encode(PROMPT)])
    a, b = (np.array(m(tokens).astype(mx.float32)).ravel() for m in (with_adapter, merged))
    if quantized:
        assert np.corrcoef(a, b)[0, 1] > 0.99
    else:
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_checkpointed_training(folder, run, tmp_path):
    data = write_data(tmp_path / "data")
    out = run(
        "lora", "--model", folder, "--train", "--data", data, "--grad-checkpoint", "--iters", 4,
        "--batch-size", 4, "--num-layers", 2, "--max-seq-length", 96, "--steps-per-report", 1,
        "--grad-accumulation-steps", 2, "--optimizer", "adamw",
    )  # fmt: skip
    assert len(train_losses(out)) == 4, out


@pytest.fixture
def data_sets(monkeypatch):
    """In place of the package that downloads data sets: the texts of the tests."""
    rows = [{"text": text} for text in texts()]
    module = types.ModuleType("datasets")
    module.load_dataset = lambda path, split=None: rows
    monkeypatch.setitem(sys.modules, "datasets", module)


def test_perplexity(folder, loaded, run, data_sets):
    sizes = ["--sequence-length", 32, "--num-samples", 16, "--batch-size", 4]
    out = run("perplexity", "--model", folder, "--data-path", "texts", *sizes)
    value = float(re.search(r"Perplexity: (\d+\.\d+)", out)[1])
    # Of a model that knows nothing: about as many as there are tokens.
    assert 0.3 * 512 < value < 4 * 512
    assert math.isfinite(value)


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("quant.awq", ["--group-size", 32, "--num-samples", 4, "--sequence-length", 32, "--n-grid", 3]),
        ("quant.gptq", ["--group-size", 32, "--num-samples", 4, "--sequence-length", 32]),
        ("quant.dwq", ["--group-size", 32, "--num-samples", 8, "--max-seq-length", 33]),
        ("quant.dynamic_quant", ["--low-group-size", 32, "--high-group-size", 32]),
    ],
)  # fmt: skip
def test_learned_quantization(folder, run, data_sets, tmp_path, command, settings):
    target = tmp_path / "learned"
    run(command, "--model", folder, "--mlx-path", target, *settings)
    model, tokenizer = load(target)
    assert "Quantized" in repr(model.layers[0].mlp.up_proj)
    original, _ = load(folder)
    tokens = mx.array([tokenizer.encode(PROMPT)])
    a, b = (np.array(m(tokens).astype(mx.float32)).ravel() for m in (model, original))
    assert np.corrcoef(a, b)[0, 1] > 0.9
