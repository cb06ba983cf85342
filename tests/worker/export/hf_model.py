"""Tiny models as transformers itself makes and saves them, which mlx-lm then loads; and adapters for those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load_model

from tests.worker.tiny_model import VOCABULARY, write_tokenizer

SIZES: dict[str, Any] = {
    "hidden_size": 32, "num_hidden_layers": 3, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "vocab_size": VOCABULARY, "max_position_embeddings": 128,
    "eos_token_id": 1, "pad_token_id": 0, "bos_token_id": None, "initializer_range": 0.2,
    "rope_theta": 10000.0, "rms_norm_eps": 1e-6, "hidden_act": "silu", "tie_word_embeddings": False,
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "llama": {},
    "mistral": {"sliding_window": None},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {},
    "qwen3_moe": {
        "num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
        "decoder_sparse_step": 1,
        "mlp_only_layers": [], "norm_topk_prob": True,
    },
    "gemma2": {"tie_word_embeddings": True, "query_pre_attn_scalar": 8, "sliding_window": 64},
    "gemma3_text": {
        "tie_word_embeddings": True,
        "query_pre_attn_scalar": 8, "sliding_window": 64, "sliding_window_pattern": 3,
        "layer_types": ["sliding_attention", "sliding_attention", "full_attention"],
        "rope_local_base_freq": 10000.0,
    },
    "phi3": {"original_max_position_embeddings": 128, "sliding_window": None},
    "gpt2": {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 128, "n_ctx": 128,
        "tie_word_embeddings": True, "layer_norm_epsilon": 1e-5},
}  # fmt: skip
TOKENS = [5, 9, 20, 33, 100, 7, 61, 2, 240, 11]


def write_hf_model(folder: Path, model_type: str, **more: Any) -> Path:
    """A model of ``save_pretrained``, with the tokenizer of bytes."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    folder.mkdir(parents=True)
    config = {"model_type": model_type} | SIZES | MORE.get(model_type, {}) | more
    (folder / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(str(folder)))
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "ln_" in name or name.endswith("bias"):  # all 0 or 1 would hide a swap
                parameter.add_(torch.randn(parameter.shape) * 0.1)
    model.save_pretrained(str(folder))
    # In the words of the hub's files: those of transformers 5 (rope_parameters, …) mlx-lm does not read everywhere.
    (folder / "config.json").write_text(json.dumps(config))
    if model_type == "gpt2":  # its files on the hub are those of the body alone, and mlx-lm reads no others
        file = str(folder / "model.safetensors")
        weights = mx.load(file)
        assert isinstance(weights, dict)
        mx.save_safetensors(file, {name.removeprefix("transformer."): array for name, array in weights.items()})
    write_tokenizer(folder)
    return folder


def write_adapter(
    base: Path,
    folder: Path,
    kind: str = "lora",
    *,
    rank: int = 4,
    scale: float = 2.0,
    layers: int = -1,
    **more: Any,
) -> Path:
    """An adapter of mlx-lm on everything inside the blocks (or ``keys``), of random numbers."""
    folder.mkdir(parents=True)
    model, _ = load_model(base)
    model.freeze()
    mx.random.seed(3)
    parameters = {"rank": rank, "scale": scale, "dropout": 0.0} | more
    number = len(model.layers) if layers < 0 else layers
    if kind == "full":
        for layer in model.layers[-number:]:
            layer.unfreeze()
    else:
        linear_to_lora_layers(model, number, parameters, use_dora=kind == "dora")
    weights = {
        name: array + mx.random.normal(array.shape) * 0.05
        for name, array in tree_flatten(model.trainable_parameters())
    }
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    config = {"model": str(base), "fine_tune_type": kind, "num_layers": number, "lora_parameters": parameters}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def mlx_logits(base: Path, adapter: Path | None = None) -> Any:
    """Logits of stock mlx-lm, as NumPy: (tokens, vocabulary)."""
    import numpy as np
    from mlx_lm import load

    model, _ = load(str(base), adapter_path=str(adapter) if adapter else None)
    return np.array(model(mx.array([TOKENS]))[0].astype(mx.float32))


def torch_logits(folder: Path, adapter: Path | None = None) -> Any:
    """Logits of transformers (and PEFT), as NumPy: (tokens, vocabulary)."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    if adapter is not None:
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter))
    model.eval()
    with torch.no_grad():
        return model(torch.tensor([TOKENS])).logits[0].numpy()
