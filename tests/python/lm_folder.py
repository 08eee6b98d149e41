"""A tiny language model in a Hugging Face folder, for tests of programs that load one."""

import functools
import json
import sys
from pathlib import Path

import mlx.core as mx
import pytest

needs_mlx_lm = pytest.mark.skipif(sys.version_info < (3, 11), reason="mlx-lm needs Python 3.11")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "llm"))

import corpus  # noqa: E402
from model import Llama, Sizes, write_folder  # noqa: E402


@functools.cache
def texts() -> list[str]:
    """Paragraphs of English that never change, as the tokenizer and so the models follow from them."""
    return [v for chapter in corpus.chapters()[:12] for v in chapter.split("\n") if len(v) > 100]


def write_tiny_model(folder: Path, width: int = 64, seed: int = 0) -> Path:
    """Random weights, and a tokenizer made from `texts`."""
    mx.random.seed(seed)
    sizes = Sizes(512, width, 2 * width, 2, 4, 2, 256)
    write_folder(folder, Llama(sizes), corpus.train_tokenizer(texts(), sizes.vocab_size))
    return folder


def write_data(folder: Path) -> Path:
    """Texts as mlx-lm's tools read them for training."""
    folder.mkdir()
    lines = [json.dumps({"text": text}) for text in texts()]
    for name, part in {"train": lines[:24], "valid": lines[24:32], "test": lines[32:40]}.items():
        (folder / f"{name}.jsonl").write_text("\n".join(part))
    return folder
