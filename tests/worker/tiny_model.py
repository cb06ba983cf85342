"""A model small enough to train in a test, with a tokenizer of bytes and a chat template, and data for it."""

from __future__ import annotations

import importlib
import json
import random
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from mlx_lm.utils import quantize_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["<pad>", "<|end|>", "<|user|>", "<|assistant|>"]
VOCABULARY = len(SPECIAL) + 256
TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def write_model(
    folder: Path,
    model_type: str = "qwen2",
    *,
    tied: bool = True,
    quantized: bool = False,
    layers: int = 2,
    hidden_size: int = 32,
    vocabulary: int = 0,
    dtype: mx.Dtype = mx.float32,
    **more: Any,
) -> Path:
    """Writes a model folder that mlx-lm loads."""
    folder.mkdir(parents=True, exist_ok=True)
    write_tokenizer(folder)
    config = {
        "model_type": model_type,
        "hidden_size": hidden_size,
        "num_hidden_layers": layers,
        "intermediate_size": hidden_size * 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-6,
        "vocab_size": vocabulary or VOCABULARY,
        "max_position_embeddings": 2048,
        "rope_theta": 10000.0,
        "tie_word_embeddings": tied,
        "eos_token_id": 1,
    } | more
    mx.random.seed(1)
    module = importlib.import_module(f"mlx_lm.models.{model_type}")
    model: nn.Module = module.Model(module.ModelArgs.from_dict(config))
    model.load_weights([
        (name, (array if "norm" in name else mx.random.normal(array.shape) * 0.1).astype(dtype))
        for name, array in tree_flatten(model.parameters())
    ])  # fmt: skip
    if quantized:
        model, config = quantize_model(model, config, 32, 4)
    (folder / "config.json").write_text(json.dumps(config))
    mx.save_safetensors(
        str(folder / "model.safetensors"), dict(tree_flatten(model.parameters())), {"format": "mlx"}
    )
    return folder


def write_tokenizer(folder: Path) -> None:
    """The tokenizer of bytes with its chat template, as a model's folder has it."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE(vocab={token: number for number, token in enumerate(SPECIAL + letters)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=SPECIAL[0],
        eos_token=SPECIAL[1],
        additional_special_tokens=SPECIAL[2:],
    )
    fast.chat_template = TEMPLATE
    fast.save_pretrained(folder)


def write_data(folder: Path, train: int = 24, valid: int = 8, seed: int = 0, longest: int = 40) -> Path:
    """Writes ``train.jsonl`` and ``valid.jsonl``: chats whose answers repeat the beginning of their questions."""
    folder.mkdir(parents=True, exist_ok=True)
    source = random.Random(seed)
    for name, count in (("train", train), ("valid", valid)):
        rows = [_chat(source, longest) for _ in range(count)]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def _chat(source: random.Random, longest: int) -> dict[str, Any]:
    question = "".join(source.choice("abcdefghij") for _ in range(source.randint(2, longest)))
    answer = question[: source.randint(1, len(question))]
    return {
        "messages": [
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    }
