"""Decoding and prefill of a Llama shape with random 4-bit weights, beside llama.cpp.

    python benchmarks/language_model.py write model.gguf        # needs gguf: the shape, Q4_0
    python benchmarks/language_model.py lazuli                  # needs mlx-lm
    python benchmarks/language_model.py llama model.gguf        # needs llama-cpp-python
    python benchmarks/language_model.py compare model.gguf --lazuli PYTHON --llama PYTHON

`compare` runs the two sides in turns, each in an environment of its own, and prints a table of
medians. Here weights have 4 bits in groups of 32 with bfloat16 scales and biases, 5 bits in all;
Q4_0 has no biases, 4.5 bits. A prompt is one call of the model with the last token's logits as its
result; decoding is mlx-lm's `generate_step`, and there `llama_decode` of a token with a search for
the likeliest. Run it on a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

WIDTH, LAYERS, HIDDEN, HEADS, KV_HEADS, VOCABULARY = 2048, 22, 5632, 32, 4, 32000
PROMPT, TOKENS = 256, 64
Result = dict[str, float]


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def prompt_tokens() -> np.ndarray:
    return np.random.default_rng(0).integers(3, VOCABULARY, PROMPT).astype(np.int32)


def write(path: Path) -> None:
    """Any nibbles are codes; only the scale of each block is made to be of bearable size."""
    import gguf

    rng = np.random.default_rng(0)
    kind = gguf.GGMLQuantizationType.Q4_0
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(2048)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(VOCABULARY)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_tokenizer_model("no_vocab")

    def matrix(name: str, rows: int, columns: int) -> None:
        blocks = rng.integers(0, 256, (rows, columns // 32, 18), dtype=np.uint8)
        blocks[..., :2] = np.full((1, 1, 1), 0.02 / 4, np.float16).view(np.uint8)
        writer.add_tensor(f"{name}.weight", blocks.reshape(rows, -1), raw_dtype=kind)

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))

    matrix("token_embd", VOCABULARY, WIDTH)
    keys = WIDTH // HEADS * KV_HEADS
    for layer in (f"blk.{i}" for i in range(LAYERS)):
        norm(f"{layer}.attn_norm")
        for name, rows in {"q": WIDTH, "k": keys, "v": keys, "output": WIDTH}.items():
            matrix(f"{layer}.attn_{name}", rows, WIDTH)
        norm(f"{layer}.ffn_norm")
        matrix(f"{layer}.ffn_gate", HIDDEN, WIDTH)
        matrix(f"{layer}.ffn_up", HIDDEN, WIDTH)
        matrix(f"{layer}.ffn_down", WIDTH, HIDDEN)
    norm("output_norm")
    matrix("output", VOCABULARY, WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def time_lazuli(threads: int, repetitions: int) -> Result:
    os.environ["MLX_NUM_THREADS"] = str(threads)
    import mlx.core as mx
    import mlx.nn as nn
    from mlx_lm.generate import generate_step
    from mlx_lm.models import cache, llama

    mx.set_default_device(mx.cpu)
    arguments = llama.ModelArgs(
        model_type="llama",
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        intermediate_size=HIDDEN,
        num_attention_heads=HEADS,
        num_key_value_heads=KV_HEADS,
        vocab_size=VOCABULARY,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    )
    model = llama.Model(arguments)
    model.set_dtype(mx.bfloat16)
    nn.quantize(model, group_size=32, bits=4)
    mx.eval(model.parameters())
    weights = mx.get_active_memory()
    prompt = mx.array(prompt_tokens())

    def read_prompt() -> None:
        mx.eval(model(prompt[None], cache=cache.make_prompt_cache(model))[:, -1])

    def decode() -> Result:
        start = time.perf_counter()
        marks = [time.perf_counter() for _ in generate_step(prompt, model, max_tokens=TOKENS + 1)]
        return {
            "first token": marks[0] - start,
            "decode": TOKENS / (marks[-1] - marks[0]),
        }

    read_prompt()
    decode()
    mx.reset_peak_memory()
    prefill = [PROMPT / timed(read_prompt) for _ in range(repetitions)]
    steps = [decode() for _ in range(repetitions)]
    kept = 2 * LAYERS * KV_HEADS * (WIDTH // HEADS) * 2 * (PROMPT + TOKENS)
    return {
        "prefill": statistics.median(prefill),
        "decode": statistics.median(s["decode"] for s in steps),
        "first token": statistics.median(s["first token"] for s in steps),
        "peak memory / (weights + cache)": mx.get_peak_memory() / (weights + kept),
    }


def time_llama(path: Path, threads: int, repetitions: int) -> Result:
    import ctypes

    import llama_cpp as lc

    @ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
    def silent(level: int, text: bytes, data: object) -> None:
        """Says nothing of what was loaded."""

    lc.llama_log_set(silent, ctypes.c_void_p(0))
    lc.llama_backend_init()
    model = lc.llama_model_load_from_file(str(path).encode(), lc.llama_model_default_params())
    settings = lc.llama_context_default_params()
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 512
    settings.n_threads = settings.n_threads_batch = threads
    context = lc.llama_init_from_model(model, settings)
    if not model or not context:
        raise SystemExit(f"llama.cpp does not load {path}")
    tokens = (lc.llama_token * PROMPT)(*prompt_tokens().tolist())

    def run(first: object, count: int) -> int:
        if lc.llama_decode(context, lc.llama_batch_get_one(first, count)) != 0:
            raise SystemExit("llama_decode failed")
        logits = lc.llama_get_logits_ith(context, -1)
        return int(np.ctypeslib.as_array(logits, (VOCABULARY,)).argmax())

    def read_prompt() -> None:
        lc.llama_memory_clear(lc.llama_get_memory(context), True)
        run(tokens, PROMPT)

    def decode() -> None:
        token = (lc.llama_token * 1)(5)
        for _ in range(TOKENS):
            token[0] = run(token, 1)

    read_prompt()
    decode()
    prefill, rates = [], []
    for _ in range(repetitions):
        prefill.append(timed(read_prompt))
        rates.append(TOKENS / timed(decode))
    return {
        "prefill": PROMPT / statistics.median(prefill),
        "decode": statistics.median(rates),
        "first token": statistics.median(prefill),
    }


def compare(options: argparse.Namespace) -> None:
    common = ["--threads", str(options.threads), "--repetitions", str(options.repetitions)]
    commands = {
        "lazuli": [options.lazuli, __file__, "lazuli", *common],
        "llama.cpp": [options.llama, __file__, "llama", str(options.file), *common],
    }
    rounds: dict[str, list[Result]] = {side: [] for side in commands}
    for _ in range(options.rounds):
        for side, command in commands.items():
            printed = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            rounds[side].append(json.loads(printed.splitlines()[-1]))
    print("| | Lazuli | llama.cpp | ratio | by rounds |\n|---|---|---|---|---|")
    for what, unit in {"prefill": "tokens/s", "decode": "tokens/s"}.items():
        ours, theirs = ([r[what] for r in rounds[side]] for side in commands)
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        a, b = statistics.median(ours), statistics.median(theirs)
        each = ", ".join(f"{r:.2f}" for r in ratios)
        print(f"| {what}, {unit} | {a:.1f} | {b:.1f} | {a / b:.2f} | {each} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("work", choices=("write", "lazuli", "llama", "compare"))
    parser.add_argument("file", type=Path, nargs="?", help="the GGUF file")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repetitions", type=int, default=3, help="within a process")
    parser.add_argument("--rounds", type=int, default=3, help="of processes, in turns")
    parser.add_argument("--lazuli", default=sys.executable, help="the Python of this side")
    parser.add_argument("--llama", default=sys.executable, help="the Python with llama_cpp")
    options = parser.parse_args()
    if options.work != "lazuli" and options.file is None:
        parser.error("which file?")
    if options.work == "write":
        write(options.file)
    elif options.work == "compare":
        compare(options)
    elif options.work == "lazuli":
        print(json.dumps(time_lazuli(options.threads, options.repetitions)))
    else:
        print(json.dumps(time_llama(options.file, options.threads, options.repetitions)))


if __name__ == "__main__":
    main()
