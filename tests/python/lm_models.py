"""Tiny configurations of all models that the installed mlx-lm defines, and models made from them.

A configuration has a value for every field that sizes a model, by the field's name; what a model
wants beside or instead stands in ``SPECIAL``. Fields that are not listed keep their defaults.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
from pathlib import Path

COMMON: dict = {
    "vocab_size": 128,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "rms_norm_eps": 1e-5,
    "layer_norm_eps": 1e-5,
    "layer_norm_epsilon": 1e-5,
    "layernorm_epsilon": 1e-5,
    "norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": None,
    "attention_bias": False,
    "mlp_bias": False,
    "use_bias": False,
    "use_qkv_bias": False,
    "tie_word_embeddings": False,
    "sliding_window": 8,
    # Mixtures of experts.
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "num_experts_per_token": 2,
    "moe_topk": 2,
    "moe_k": 2,
    "num_shared_experts": 1,
    "num_shared_expert": 1,
    "n_shared_experts": 1,
    "moe_num_shared_experts": 1,
    "moe_intermediate_size": 32,
    "shared_expert_intermediate_size": 32,
    "shared_intermediate_size": 32,
    "moe_shared_expert_intermediate_size": 32,
    "norm_topk_prob": True,
    "n_group": 1,
    "topk_group": 1,
    "routed_scaling_factor": 1.0,
    "scoring_func": "sigmoid",
    "first_k_dense_replace": 1,
    "moe_layer_freq": 1,
    "decoder_sparse_step": 1,
    "mlp_only_layers": [],
    "num_dense_layers": 1,
    # Latent attention.
    "q_lora_rank": 32,
    "kv_lora_rank": 32,
    "qk_rope_head_dim": 16,
    "qk_nope_head_dim": 16,
    "v_head_dim": 16,
    "index_head_dim": 32,
    "index_n_heads": 2,
    "index_topk": 4,
    # State-space and linear attention layers.
    "d_model": 64,
    "expand": 2,
    "state_size": 16,
    "conv_kernel": 4,
    "conv_bias": True,
    "use_conv_bias": True,
    "conv_L_cache": 3,
    "time_step_rank": 4,
    "time_step_limit": (0.0, 100.0),
    "time_step_min": 0.001,
    "n_groups": 2,
    "mamba_n_groups": 1,
    "mamba_d_conv": 4,
    "mamba_d_state": 16,
    "mamba_expand": 2,
    "mamba_num_heads": 8,
    "mamba_head_dim": 16,
    "mamba_n_heads": 8,
    "mamba_d_head": 16,
    "mamba_d_ssm": 128,
    "mamba_proj_bias": False,
    "ssm_state_size": 16,
    "linear_num_key_heads": 2,
    "linear_num_value_heads": 4,
    "linear_key_head_dim": 32,
    "linear_value_head_dim": 32,
    "linear_conv_kernel_dim": 4,
    # What single families have.
    "n_embd": 64,
    "n_head": 4,
    "n_layer": 4,
    "n_layers": 4,
    "n_heads": 4,
    "n_kv_heads": 2,
    "num_kv_heads": 2,
    "num_layers": 4,
    "num_heads": 4,
    "n_inner": 128,
    "n_positions": 256,
    "n_ctx": 256,
    "block_size": 256,
    "hidden_dim": 64,
    "ffn_hidden_size": 128,
    "expert_ffn_hidden_size": 32,
    "layer_types": None,
    "layer_group_size": 2,
    "group_norm_size": 2,
    "partial_rotary_factor": 0.5,
    "use_qk_norm": True,
    "qk_norm": True,
    "post_norm": False,
    "topk_method": "noaux_tc",
    "logits_scaling": 1.0,
    "attention_multiplier": 0.25,
    "embedding_multiplier": 1.0,
    "residual_multiplier": 1.0,
    "sliding_window_pattern": 2,
    "full_attention_interval": 2,
    "rotary_dim": 8,
    "intermediate_size_mlp": 128,
    "zero_expert_num": 1,
    "zero_expert_type": "identity",
    "attention_method": "MLA",
    "mla_scale_q_lora": True,
    "mla_scale_kv_lora": True,
    "dim_model_base": 64,
    "scale_depth": 1.4,
    "scale_emb": 12.0,
    "hidden_size_per_layer_input": 16,
    "vocab_size_per_layer_input": 128,
    "num_kv_shared_layers": 2,
    "model_dim": 64,
    "model_max_length": 256,
    "original_max_position_embeddings": 256,
    "attention_window_size": 8,
    "window_size": 8,
    "sliding_window_size": 8,
    "hidden_size_per_head": 16,
    "kv_channels": 16,
    "no_rope_layers": [1, 1, 1, 0],
    "no_rope_layer_interval": 2,
    "conv_window": 2,
}
SLIDING = ["sliding_attention", "full_attention"] * 2
LINEAR = ["linear_attention", "full_attention"] * 2
YARN = {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 128}
KDA = {
    "kda_layers": [1, 3],
    "full_attn_layers": [2, 4],
    "num_heads": 4,
    "head_dim": 16,
    "short_conv_kernel_size": 4,
}
ATTENTION = {"attention": {"n_heads_in_group": 2}, "ffn": {"ffn_mult": 1.5}}
CONVOLUTIONS: dict = {
    "block_dim": 64,
    "block_multiple_of": 32,
    "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": True,
    "layer_types": ["conv", "full_attention"] * 2,
}
ROPE = {
    "rope_theta": 10000.0,
    "llama_4_scaling_beta": 0.1,
    "original_max_position_embeddings": 128,
}
SPECIAL: dict[str, dict] = {
    "afm7": {"num_kv_reuse_layers": 2},
    "afmoe": {"layer_types": SLIDING},
    "baichuan_m1": {"sliding_window_layers": [0, 2]},
    "dbrx": {
        "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2},
        "attn_config": {"kv_n_heads": 2, "clip_qkv": 8, "rope_theta": 10000.0},
    },
    "deepseek_v2": {"rope_scaling": YARN},
    "deepseek_v41": {
        "o_groups": 2,
        "o_lora_rank": 16,
        "compress_ratios": [0, 4, 4, 8],
    },
    "exaone4": {"sliding_window_pattern": "LG"},
    "exaone_moe": {"is_moe_layer": [False, True] * 2, "layer_types": SLIDING},
    "gemma3n": {
        "text_config": {
            "layer_types": SLIDING,
            "rope_local_base_freq": 10000.0,
            "final_logit_softcapping": 30.0,
            "activation_sparsity_pattern": [0.95, 0.0, 0.0, 0.0],
            "altup_num_inputs": 2,
            "altup_coef_clip": 120.0,
            "altup_correct_scale": True,
            "altup_active_idx": 0,
            "laurel_rank": 16,
        }
    },
    "gemma4": {"text_config": {"global_head_dim": 16}},
    "gemma4_text": {"global_head_dim": 16},
    "glm_moe_dsa": {"rope_parameters": {"rope_theta": 10000.0}},
    "gpt_neox": {"rotary_emb_base": 10000, "rotary_pct": 0.5},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "hunyuan": {
        "use_mixed_mlp_moe": True,
        "use_cla": True,
        "cla_share_factor": 2,
        "rope_scaling": {"type": "dynamic", "alpha": 1000.0, "factor": 1.0},
    },
    "jamba": {
        "attn_layer_offset": 1,
        "attn_layer_period": 2,
        "expert_layer_offset": 1,
        "expert_layer_period": 2,
    },
    "kimi_k3": {"text_config": {"linear_attn_config": KDA}},
    "kimi_linear": {"linear_attn_config": KDA},
    "lfm2": CONVOLUTIONS,
    "lfm2-vl": {"text_config": CONVOLUTIONS},
    "lfm2_moe": {"use_expert_bias": True, "layer_types": ["conv", "full_attention"] * 2},
    "llama4": {
        "text_config": {
            "attention_chunk_size": 8,
            "interleave_moe_layer_step": 2,
            "num_experts_per_tok": 1,
            "rope_scaling": None,
        }
    },
    "mimo_v2_flash": {
        "hybrid_layer_pattern": [0, 1, 0, 1],
        "moe_layer_freq": [0, 1, 1, 1],
        "add_swa_attention_sink_bias": True,
        "add_full_attention_sink_bias": False,
        "swa_rope_theta": 10000.0,
        "swa_num_attention_heads": 4,
        "swa_num_key_value_heads": 2,
        "swa_head_dim": 16,
        "swa_v_head_dim": 16,
    },
    "mellum": {
        "layer_types": SLIDING,
        "rope_parameters": {kind: {"rope_theta": 10000.0} for kind in SLIDING},
    },
    "minicpm3": {"rope_scaling": {"original_max_position_embeddings": 128}},
    "minimax_m3_vl": {
        "text_config": {
            "dense_intermediate_size": 128,
            "moe_layer_freq": [0, 1, 1, 1],
            "sparse_attention_config": {
                "sparse_num_index_heads": 2,
                "sparse_index_dim": 16,
                "sparse_block_size": 2,
                "sparse_topk_blocks": 2,
                "sparse_local_block": 1,
            },
        }
    },
    "ministral3": {"rope_parameters": ROPE},
    "mistral4": {"rope_parameters": ROPE},
    "muse_spark": {
        "text_config": {
            "post_norm_eps": 1e-5,
            "rope_parameters": {"rope_theta": 10000.0},
            "layer_rope_theta": [10000.0, 0.0] * 2,
            "layer_types": SLIDING,
            "final_logit_softcapping": 30.0,
            "output_multiplier": 1.0,
            "moe_hidden_size": 64,
            "num_shared_experts": 0,
        }
    },
    "nemotron": {"hidden_act": "relu2"},
    "nemotron-nas": {"block_configs": [ATTENTION] * 4},
    "nemotron_h": {"hybrid_override_pattern": "M*-E"},
    "olmo3": {"layer_types": SLIDING},
    "olmo_hybrid": {"linear_allow_neg_eigval": True, "layer_types": LINEAR},
    "openelm": {
        "num_transformer_layers": 2,
        "ffn_dim_divisor": 32,
        "num_query_heads": [4, 4],
        "num_kv_heads": [2, 2],
        "ffn_multipliers": [1.0, 2.0],
    },
    "phi3small": {
        "vocab_size": 100352,  # it has tokens of fixed numbers
        "dense_attention_every_n_layers": 2,
        "ff_intermediate_size": 128,
        "gegelu_limit": 20.0,
    },
    "phixtral": {"num_vocab": 128},
    "plamo": {"n_shared_head": 2},
    "prism_hadamard_qwen35": {
        "tensor_namespace": "mlx-vlm-qwen3_5",
        "quantization": {"bits": 2, "group_size": 128, "mode": "affine"},
        "modules": [
            {
                "path": "model.layers.0.mlp.down_proj",
                "embedding": False,
                "dtype": "float16",
                "block": 512,
            }
        ],
        "text_config": {"intermediate_size": 512, "num_experts": 0},
    },
    "recurrent_gemma": {
        "conv1d_width": 4,
        "logits_soft_cap": 30.0,
        "block_types": ["recurrent", "attention"],
    },
    "rwkv7": {
        "a_low_rank_dim": 16,
        "v_low_rank_dim": 16,
        "gate_low_rank_dim": 16,
        "decay_low_rank_dim": 16,
    },
    "spark2_5": {
        "rope_parameters": {
            kind: {"rope_theta": 10000.0, "partial_rotary_factor": 0.5} for kind in SLIDING
        },
        "layer_types": SLIDING,
    },
    "step3p5": {"num_attention_groups": 2, "moe_top_k": 2, "share_expert_dim": 32},
}


def model_names() -> list[str]:
    """All modules of mlx-lm that define a model, found without importing any."""
    if sys.version_info < (3, 11):  # mlx-lm is not for these
        return []
    package = importlib.util.find_spec("mlx_lm")
    assert package is not None and package.origin is not None, "mlx-lm is not installed"
    files = sorted((Path(package.origin).parent / "models").glob("*.py"))
    return [f.stem for f in files if "class ModelArgs" in f.read_text()]


def make(name):
    """The model of the module of this name, with random weights."""
    module = importlib.import_module(f"mlx_lm.models.{name}")
    fields = {f.name for f in dataclasses.fields(module.ModelArgs)}
    config = {k: v for k, v in COMMON.items() if k in fields} | SPECIAL.get(name, {})
    if "text_config" in fields:
        text = {"model_type": name, **COMMON} | config.get("text_config", {})
        config["text_config"] = text
    return module.Model(module.ModelArgs.from_dict({"model_type": name, **config}))
