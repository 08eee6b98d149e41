"""A Llama-shaped language model, with the names that Hugging Face gives its parts."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
from corpus import END, ROLES
from mlx.utils import tree_flatten
from tokenizers import Tokenizer

CHAT = (
    "{% for message in messages %}"
    "{{ '<|user|>' if message.role == 'user' else '<|assistant|>' }}{{ message.content }}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


@dataclasses.dataclass
class Sizes:
    """The sizes of a model; the names are those of a config.json."""

    vocab_size: int = 1024
    hidden_size: int = 128
    intermediate_size: int = 352
    num_hidden_layers: int = 4
    num_attention_heads: int = 4
    num_key_value_heads: int = 2
    max_position_embeddings: int = 256
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0


class Attention(nn.Module):
    def __init__(self, sizes: Sizes):
        super().__init__()
        width, self.heads = sizes.hidden_size, sizes.num_attention_heads
        self.kv_heads, self.depth = sizes.num_key_value_heads, width // self.heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, self.kv_heads * self.depth, bias=False)
        self.v_proj = nn.Linear(width, self.kv_heads * self.depth, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)
        self.rope = nn.RoPE(self.depth, base=sizes.rope_theta)

    def __call__(self, x):
        def heads(y, count):
            return y.reshape(*x.shape[:2], count, self.depth).swapaxes(1, 2)

        q = self.rope(heads(self.q_proj(x), self.heads))
        k = self.rope(heads(self.k_proj(x), self.kv_heads))
        v = heads(self.v_proj(x), self.kv_heads)
        out = mx.fast.scaled_dot_product_attention(q, k, v, scale=self.depth**-0.5, mask="causal")
        return self.o_proj(out.swapaxes(1, 2).reshape(x.shape))


class FeedForward(nn.Module):
    def __init__(self, sizes: Sizes):
        super().__init__()
        self.gate_proj = nn.Linear(sizes.hidden_size, sizes.intermediate_size, bias=False)
        self.up_proj = nn.Linear(sizes.hidden_size, sizes.intermediate_size, bias=False)
        self.down_proj = nn.Linear(sizes.intermediate_size, sizes.hidden_size, bias=False)

    def __call__(self, x):
        return self.down_proj(nn.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, sizes: Sizes):
        super().__init__()
        self.self_attn = Attention(sizes)
        self.mlp = FeedForward(sizes)
        self.input_layernorm = nn.RMSNorm(sizes.hidden_size, sizes.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(sizes.hidden_size, sizes.rms_norm_eps)

    def __call__(self, x):
        x = x + self.self_attn(self.input_layernorm(x))
        return x + self.mlp(self.post_attention_layernorm(x))


class Llama(nn.Module):
    """Tokens (n, length) to logits (n, length, vocabulary)."""

    def __init__(self, sizes: Sizes):
        super().__init__()
        self.sizes = sizes
        self.embed_tokens = nn.Embedding(sizes.vocab_size, sizes.hidden_size)
        self.layers = [Block(sizes) for _ in range(sizes.num_hidden_layers)]
        self.norm = nn.RMSNorm(sizes.hidden_size, sizes.rms_norm_eps)

    def __call__(self, tokens):
        x = self.embed_tokens(tokens)
        for layer in self.layers:
            x = layer(x)
        return self.embed_tokens.as_linear(self.norm(x))


def write_folder(folder: Path, model: Llama, tokenizer: Tokenizer) -> None:
    """The model as a Hugging Face folder, which programs for language models load."""
    folder.mkdir(parents=True, exist_ok=True)
    end = tokenizer.token_to_id(END)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "tie_word_embeddings": True,
        "bos_token_id": end,
        "eos_token_id": end,
        "torch_dtype": "float32",
        **dataclasses.asdict(model.sizes),
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": END,
        "bos_token": END,
        "additional_special_tokens": ROLES,
        "clean_up_tokenization_spaces": False,
        "model_max_length": model.sizes.max_position_embeddings,
        "chat_template": CHAT,
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2))
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = {f"model.{name}": value for name, value in tree_flatten(model.parameters())}
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "pt"})
