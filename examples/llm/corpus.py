"""English text for the examples: the King James Bible of Debian's package bible-kjv, as tokens."""

import subprocess
import textwrap

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

END = "<|end|>"
ROLES = ["<|user|>", "<|assistant|>"]


def chapters() -> list[str]:
    """All chapters in order: their names, then a paragraph for each verse."""
    command = ["bible", "-l100000", "gen1:1-rev22:21"]
    try:
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    except FileNotFoundError:
        raise SystemExit(
            "This needs the Debian package bible-kjv: apt-get install bible-kjv"
        ) from None
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("  "):
            found[-1].append(line.split(maxsplit=1)[1])
        elif line.strip():
            found.append([line.strip()])
    return ["\n".join(chapter) for chapter in found]


def train_tokenizer(texts: list[str], vocabulary: int) -> Tokenizer:
    """A byte-pair tokenizer: any text can be written with it, and read back exactly."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[END, *ROLES],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, texts: list[str]) -> np.ndarray:
    """All texts in a row, each with an end."""
    end = tokenizer.token_to_id(END)
    parts = tokenizer.encode_batch(texts)
    return np.concatenate([np.array([*part.ids, end], np.uint16) for part in parts])


def shown(text: str, width: int = 88) -> str:
    """A sample as it is printed: wrapped and indented."""
    lines = [textwrap.fill(line, width) for line in text.strip().splitlines()]
    return textwrap.indent("\n".join(lines), "    ")
