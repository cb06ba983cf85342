"""Tiny ``config.json`` contents of mlx-lm's architectures, so that every one of them can be built in milliseconds.

All share one set of sizes: mlx-lm's configs pick out what they know. Each architecture adds what only it has.
"""

from __future__ import annotations

from typing import Any

SIZES: dict[str, Any] = {
    "hidden_size": 64, "num_hidden_layers": 4, "intermediate_size": 128, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 256, "max_position_embeddings": 512,
    "rms_norm_eps": 1e-5, "layer_norm_eps": 1e-5, "norm_eps": 1e-5, "layer_norm_epsilon": 1e-5,
    "rope_theta": 10000.0, "rope_traditional": False, "partial_rotary_factor": 0.5, "rotary_dim": 8,
    "tie_word_embeddings": False, "hidden_act": "silu", "sliding_window": 32,
    "attention_bias": False, "bias": False, "use_bias": False, "mlp_bias": False,
    "n_embd": 64, "n_layer": 4, "n_head": 4, "n_inner": 128, "n_positions": 512, "n_ctx": 512,
    # mixtures of experts, by their several names
    "num_experts": 4, "num_local_experts": 4, "n_routed_experts": 4, "n_shared_experts": 1,
    "num_experts_per_tok": 2, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32,
    "norm_topk_prob": True, "decoder_sparse_step": 1, "mlp_only_layers": [], "first_k_dense_replace": 1,
    "moe_layer_freq": 1, "n_group": 1, "topk_group": 1, "topk_method": "noaux_tc", "scoring_func": "sigmoid",
    "routed_scaling_factor": 1.0,
    # latent attention
    "q_lora_rank": 32, "kv_lora_rank": 32, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 16,
    # multipliers
    "logit_scale": 1.0, "attention_multiplier": 1.0, "embedding_multiplier": 1.0, "residual_multiplier": 1.0,
    "logits_scaling": 1.0,
}  # fmt: skip

_SLIDING = ["sliding_attention", "full_attention"] * 2
_ROPES = {kind: {"rope_type": "default", "rope_theta": 10000.0} for kind in set(_SLIDING)}
_YARN = {
    "type": "yarn", "factor": 1.0, "original_max_position_embeddings": 512, "beta_fast": 32, "beta_slow": 1,
    "mscale": 1.0, "mscale_all_dim": 1.0,
}  # fmt: skip
_GATED_DELTA = {
    "linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 16,
    "linear_value_head_dim": 16, "linear_conv_kernel_dim": 4,
}  # fmt: skip
_MAMBA2 = {"conv_kernel": 4, "n_groups": 1, "use_conv_bias": True, "time_step_limit": [0.0, 1e9]}
_LONGCAT = {
    "attention_method": "MLA", "zero_expert_type": "identity", "ffn_hidden_size": 128, "moe_topk": 2,
    "expert_ffn_hidden_size": 32, "zero_expert_num": 1, "num_layers": 2, "mla_scale_q_lora": True,
    "mla_scale_kv_lora": True,
}  # fmt: skip
_LFM2 = {"conv_bias": False, "conv_L_cache": 3, "full_attn_idxs": [1, 3]}
_LFM2_DENSE = {
    **_LFM2, "block_dim": 64, "block_multiple_of": 16, "block_ffn_dim_multiplier": 1.0,
    "block_auto_adjust_ff_dim": True, "block_ff_dim": 128,
}  # fmt: skip
_NAS_BLOCKS = [
    {"attention": {"n_heads_in_group": heads, "no_op": skip, "replace_with_linear": heads is None and not skip},
     "ffn": {"ffn_mult": mult, "no_op": idle, "replace_with_linear": mult is None and not idle}}
    for heads, skip, mult, idle in ((2, False, 2.0, False), (None, True, 2.0, False), (None, False, None, True),
                                    (2, False, None, False))
]  # fmt: skip

# What an architecture has beside the shared sizes; "text" goes into its text_config.
EXTRAS: dict[str, dict[str, Any]] = {
    "Klear": {},
    "afm7": {"hidden_dim": 64, "num_layers": 4, "num_kv_reuse_layers": 2, "num_heads": 4, "num_kv_heads": 2,
             "hidden_dim_scale_factor": 2.0},
    "afmoe": {"layer_types": _SLIDING},
    "apertus": {"post_norm": False, "qk_norm": True},
    "baichuan_m1": {"sliding_window_layers": [1], "conv_window": 2, "num_swa_attention_heads": 4,
                    "num_swa_key_value_heads": 2},
    "bailing_hybrid": {"num_shared_experts": 1, "layer_group_size": 2, "group_norm_size": 1},
    "bailing_moe": {"num_shared_experts": 1},
    "bailing_moe_linear": {"num_shared_experts": 1, "layer_group_size": 2, "group_norm_size": 1},
    "bailing_moe_v3": {},
    "cohere": {}, "cohere2": {},
    "dbrx": {"d_model": 64, "n_layers": 4, "n_heads": 4,
             "attn_config": {"kv_n_heads": 2, "clip_qkv": 8.0, "rope_theta": 1e4},
             "ffn_config": {"ffn_hidden_size": 64, "moe_num_experts": 4, "moe_top_k": 2}},
    "deepseek": {}, "deepseek_v2": {"rope_scaling": _YARN}, "deepseek_v3": {}, "deepseek_v32": {},
    "glm_moe_dsa": {"rope_parameters": {"rope_theta": 10000.0}, "index_head_dim": 16, "index_n_heads": 2,
                    "index_topk": 8},
    "mellum": {"layer_types": _SLIDING, "rope_parameters": _ROPES},
    "spark2_5": {"rope_parameters": _ROPES, "hidden_act": "gelu"},
    "dots1": {}, "ernie4_5": {},
    "ernie4_5_moe": {"moe_num_experts": 4, "moe_k": 2, "moe_layer_start_index": 1},
    "exaone": {"num_layers": 4}, "exaone4": {"rope_scaling": None, "sliding_window_pattern": "LLG"},
    "exaone_moe": {"num_shared_experts": 1, "layer_types": _SLIDING, "is_moe_layer": [False, True, True, True]},
    "falcon_h1": {},
    "gemma": {}, "gemma2": {}, "gemma3": {"text": {"model_type": "gemma3_text", "sliding_window_pattern": 2}},
    "gemma3_text": {},
    "gemma3n": {"text": {
        "model_type": "gemma3n_text", "num_kv_shared_layers": 1, "vocab_size_per_layer_input": 256,
        "rope_local_base_freq": 1e4, "final_logit_softcapping": 30.0, "layer_types": _SLIDING,
        "activation_sparsity_pattern": [0.0] * 4, "hidden_size_per_layer_input": 8, "altup_num_inputs": 2,
        "altup_coef_clip": 120.0, "altup_correct_scale": True, "altup_active_idx": 0, "laurel_rank": 4,
        "rope_scaling": None, "intermediate_size": [128] * 4}},
    "gemma4": {"text": {"model_type": "gemma4_text", "layer_types": _SLIDING, "num_kv_shared_layers": 0}},
    "gemma4_text": {"layer_types": _SLIDING, "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 8,
                    "vocab_size_per_layer_input": 256},
    "glm": {}, "glm4": {}, "glm4_moe": {"rope_scaling": None, "use_qk_norm": True}, "glm4_moe_lite": {},
    "gpt2": {}, "gpt_bigcode": {}, "gpt_neox": {"rotary_emb_base": 10000, "rotary_pct": 0.25}, "gpt_oss": {},
    "gptj": {}, "granite": {}, "granitemoe": {},
    "granitemoehybrid": {
        "layer_types": ["mamba", "attention"] * 2, "mamba_n_heads": 4, "mamba_d_head": 32, "mamba_d_state": 16,
        "mamba_d_conv": 4, "mamba_n_groups": 1, "mamba_proj_bias": False, "mamba_conv_bias": True,
        "position_embedding_type": "rope", "shared_intermediate_size": 64},
    "helium": {},
    "hunyuan": {"moe_topk": 2, "num_shared_expert": 1, "use_mixed_mlp_moe": True, "use_qk_norm": True,
                "use_cla": True, "cla_share_factor": 2,
                "rope_scaling": {"alpha": 1.0, "factor": 1.0, "type": "dynamic"}},
    "hunyuan_v1_dense": {}, "internlm2": {}, "internlm3": {}, "iquestloopcoder": {},
    "jamba": {"attn_layer_offset": 1, "attn_layer_period": 2, "expert_layer_offset": 1, "expert_layer_period": 2,
              "mamba_d_conv": 4, "mamba_d_state": 8, "mamba_expand": 2, "mamba_dt_rank": 8,
              "mamba_proj_bias": False, "mamba_conv_bias": True},
    "kimi_linear": {
        "linear_attn_config": {"full_attn_layers": [2, 4], "kda_layers": [1, 3], "num_heads": 4, "head_dim": 16,
                               "short_conv_kernel_size": 4},
        "model_max_length": 512, "num_shared_experts": 1, "num_experts_per_token": 2,
        "moe_router_activation_func": "sigmoid"},
    "kimi_vl": {}, "laguna": {},
    "lfm2": _LFM2_DENSE, "lfm2_moe": {**_LFM2, "use_expert_bias": True, "num_dense_layers": 1},
    "lfm2-vl": {"text": {**_LFM2_DENSE, "model_type": "lfm2"}},
    "lille-130m": {"block_size": 512, "n_kv_heads": 2},
    "llama": {},
    "llama4": {"text": {"attention_chunk_size": 32, "interleave_moe_layer_step": 2, "intermediate_size_mlp": 128,
                        "use_qk_norm": True, "model_type": "llama4_text", "rope_scaling": None,
                        "num_experts_per_tok": 1}},
    "llama4_text": {"intermediate_size_mlp": 128, "no_rope_layers": [1, 0, 1, 0], "use_qk_norm": True},
    "longcat_flash": _LONGCAT, "longcat_flash_ngram": _LONGCAT,
    "mamba": {"state_size": 8, "conv_kernel": 4, "use_conv_bias": True, "time_step_rank": 8},
    "mamba2": {**_MAMBA2, "num_heads": 8, "head_dim": 16, "state_size": 16, "time_step_rank": 8, "expand": 2},
    "mimo": {},
    "mimo_v2_flash": {
        "hybrid_layer_pattern": [1, 0, 1, 0], "add_swa_attention_sink_bias": True,
        "add_full_attention_sink_bias": False, "sliding_window_size": 32, "swa_num_attention_heads": 4,
        "swa_num_key_value_heads": 2, "swa_head_dim": 16, "swa_v_head_dim": 16, "swa_rope_theta": 1e4,
        "moe_layer_freq": [0, 1, 1, 1], "layernorm_epsilon": 1e-5},
    "minicpm": {"dim_model_base": 64, "scale_depth": 1.4, "scale_emb": 12},
    "minicpm3": {"dim_model_base": 64, "scale_depth": 1.4, "scale_emb": 12,
                 "rope_scaling": {"type": "longrope", "factor": 1.0, "original_max_position_embeddings": 512,
                                  "short_factor": [1.0] * 4, "long_factor": [1.0] * 4}},
    "minimax": {"shared_intermediate_size": 64},
    "ministral3": {"rope_parameters": {"rope_theta": 1e4, "llama_4_scaling_beta": 0.1, "type": "default",
                                       "original_max_position_embeddings": 512},
                   "layer_types": ["full_attention"] * 4},
    "mistral": {}, "mistral3": {"text": {"model_type": "llama"}}, "mistral4": {}, "mixtral": {},
    "muse_glimmer": {}, "nanbeige": {}, "nanochat": {}, "nemotron": {},
    "nemotron-nas": {"block_configs": _NAS_BLOCKS},
    "nemotron_h": {**_MAMBA2, "hybrid_override_pattern": "M*-E", "mamba_num_heads": 4, "mamba_head_dim": 32,
                   "mamba_proj_bias": False, "ssm_state_size": 16, "moe_shared_expert_intermediate_size": 32},
    "olmo2": {}, "olmo3": {},
    "olmo_hybrid": {**_GATED_DELTA, "layer_types": ["linear_attention", "full_attention"] * 2,
                    "linear_allow_neg_eigval": True},
    "olmoe": {},
    "openelm": {"num_transformer_layers": 4, "model_dim": 64, "ffn_dim_divisor": 16, "num_query_heads": [4] * 4,
                "num_kv_heads": [2] * 4, "ffn_multipliers": [1.0] * 4},
    "phi": {}, "phi3": {},
    "phi3small": {"dense_attention_every_n_layers": 2, "ff_intermediate_size": 128, "gegelu_limit": 20.0},
    "phimoe": {},
    "phixtral": {"num_vocab": 256, "model_dim": 64, "num_heads": 4, "num_layers": 4, "rotary_dim": 8},
    "pixtral": {"text": {"model_type": "llama"}},
    "plamo": {}, "plamo2": {}, "plamo3": {}, "qwen": {}, "qwen2": {}, "qwen2_moe": {},
    "qwen2_vl": {"text": {"model_type": "qwen2"}}, "qwen3": {}, "qwen3_5": {}, "qwen3_5_moe": {}, "qwen3_moe": {},
    "qwen3_next": {**_GATED_DELTA, "full_attention_interval": 2},
    "qwen3_vl": {"text": {"model_type": "qwen3"}}, "qwen3_vl_moe": {"text": {"model_type": "qwen3_moe"}},
    "rwkv7": {"a_low_rank_dim": 8, "v_low_rank_dim": 8, "gate_low_rank_dim": 8, "decay_low_rank_dim": 8},
    "seed_oss": {}, "smollm3": {}, "solar_open": {}, "stablelm": {"use_qkv_bias": False}, "starcoder2": {},
    "step3p5": {"num_attention_groups": 2, "moe_layers_enum": "1,2,3", "moe_num_experts": 4, "moe_top_k": 2,
                "share_expert_dim": 32, "layer_types": _SLIDING},
    "talkie": {}, "telechat3": {}, "youtu_llm": {},
}  # fmt: skip

# mlx-lm's class for these cannot be frozen, and so not be trained.
UNTRAINABLE: dict[str, dict[str, Any]] = {
    "recurrent_gemma": {"conv1d_width": 4, "logits_soft_cap": 30.0, "attention_window_size": 32, "lru_width": 64,
                        "block_types": ["recurrent", "attention"], "embeddings_scale_by_sqrt_dim": True},
}  # fmt: skip

# Variants of quantization, each on a model whose sizes divide into its groups.
QUANTIZED: dict[str, dict[str, Any]] = {
    f"{name} {label}": {"model_type": name, "quantization": quantization}
    for name in ("llama", "qwen3_moe", "deepseek_v3")
    for label, quantization in {
        "2 bit": {"group_size": 32, "bits": 2},
        "3 bit": {"group_size": 64, "bits": 3},
        "4 bit": {"group_size": 32, "bits": 4},
        "6 bit": {"group_size": 64, "bits": 6},
        "8 bit": {"group_size": 64, "bits": 8},
        "mxfp4": {"group_size": 32, "bits": 4, "mode": "mxfp4"},
        "mixed": {"group_size": 64, "bits": 4, "model.layers.0.self_attn.q_proj": {"group_size": 32, "bits": 8},
                  "model.layers.1.self_attn.v_proj": False},
    }.items()
}  # fmt: skip


def config_of(name: str) -> dict[str, Any]:
    """The whole ``config.json`` of an architecture or a quantized variant."""
    if name in QUANTIZED:
        own = QUANTIZED[name]
        return config_of(own["model_type"]) | own
    extra = dict((EXTRAS | UNTRAINABLE)[name])
    text = SIZES | extra.pop("text", {})
    return {"model_type": name} | SIZES | {"text_config": text} | extra


def all_names() -> list[str]:
    """Every architecture, then the quantized variants."""
    return [*EXTRAS, *QUANTIZED]


def giant() -> dict[str, Any]:
    """The shape of a mixture with 480 billion parameters: 61 layers of 256 experts."""
    return config_of("deepseek_v3") | {
        "hidden_size": 7168, "num_hidden_layers": 61, "intermediate_size": 18432, "num_attention_heads": 128,
        "num_key_value_heads": 128, "n_routed_experts": 256, "num_experts_per_tok": 8, "n_group": 8,
        "topk_group": 4, "moe_intermediate_size": 1536, "q_lora_rank": 1536, "kv_lora_rank": 512,
        "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "vocab_size": 129280,
        "first_k_dense_replace": 3,
    }  # fmt: skip
