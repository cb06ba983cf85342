"""Tiny random models of the architectures that are written as GGUF, with the kinds of tokenizer that they have."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

TEXT = [
    "You are a helpful assistant. Question and answer, one after the other. It's 2024, isn't it?",
    "Wie heißt die Straße? It is 3. The quick brown fox jumps over the lazy dog. HTTPServer snake_case",
    "def f(x):\n    return x ** 2\n\n\n  pay 12345.67 € for it, I'LL pay. 日本語のテキスト。 Привет, мир!",
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = LLAMA3.replace("{1,3}", "")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
INST = (
    "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' + m['content'] + ' [/INST]' }}"
    "{% else %}{{ ' ' + m['content'] + eos_token }}{% endif %}{% endfor %}"
)
TURNS = (
    "{{ bos_token }}{% for m in messages %}{{ '<start_of_turn>' + m['role'].replace('assistant', 'model') + '\n' "
    "+ m['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)
PHI = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
# rule: (pattern, whether whole words stay unmerged)
BYTE_RULES: dict[str, tuple[str, bool]] = {
    "qwen2": (QWEN2, False), "llama-bpe": (LLAMA3, True), "dbrx": (LLAMA3, False), "tekken": (TEKKEN, True),
}  # fmt: skip
END = "<|endoftext|>"
ENDS = {"pieces": "</s>", "phi": "</s>", "turns": "<eos>"}
PADDING = 6  # rows of the embedding that no token has
ROPE3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
EXPERTS = {
    "num_experts": 4, "num_experts_per_tok": 2, "decoder_sparse_step": 1, "mlp_only_layers": [],
    "moe_intermediate_size": 32, "norm_topk_prob": True,
}  # fmt: skip
GEMMA = {"query_pre_attn_scalar": 16, "hidden_act": "gelu_pytorch_tanh", "sliding_window": 512}
GEMMA3 = {
    **GEMMA, "sliding_window_pattern": 2, "rope_local_base_freq": 1000.0,
    "rope_scaling": {"rope_type": "linear", "factor": 8.0},
}  # fmt: skip
# name: (model_type, tokenizer, chat template, what its config has besides)
MODELS: dict[str, tuple[str, str, str, dict[str, Any]]] = {
    "llama": ("llama", "llama-bpe", CHATML, {"rope_scaling": ROPE3, "tie_word_embeddings": False}),
    "mistral": ("mistral", "pieces", INST, {"tie_word_embeddings": False, "head_dim": 32}),
    "qwen2": ("qwen2", "qwen2", CHATML, {"rope_scaling": YARN}),
    "qwen3": ("qwen3", "qwen2", CHATML, {"tie_word_embeddings": False}),
    "qwen3_moe": ("qwen3_moe", "qwen2", CHATML, EXPERTS),
    "gemma2": ("gemma2", "turns", TURNS, GEMMA),
    "gemma3": ("gemma3_text", "turns", TURNS, GEMMA3),
    "phi3": ("phi3", "phi", PHI, {"tie_word_embeddings": False, "original_max_position_embeddings": 64}),
}  # fmt: skip


def write_tiny(folder: Path, name: str, *, seed: int = 7, spread: float = 0.15, **more: Any) -> Path:
    """The model folder called ``name`` in the table above, as mlx-lm loads it: weights in float32."""
    model_type, tokenizer, template, extra = MODELS[name]
    folder.mkdir(parents=True, exist_ok=True)
    made = write_tokenizer(folder, tokenizer, template)
    rows = made.get_vocab_size() + PADDING
    config: dict[str, Any] = {
        "model_type": model_type, "hidden_size": 64, "num_hidden_layers": 3, "intermediate_size": 96,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 16, "rms_norm_eps": 1e-6,
        "vocab_size": rows, "max_position_embeddings": 256, "pad_token_id": 0,
        "eos_token_id": made.token_to_id(ENDS.get(tokenizer, END)),
        "rope_theta": 10000.0, "tie_word_embeddings": True,
        **extra, **more,
    }  # fmt: skip
    mx.random.seed(seed)
    module = importlib.import_module(f"mlx_lm.models.{'llama' if model_type == 'mistral' else model_type}")
    model: nn.Module = module.Model(module.ModelArgs.from_dict(config))
    if config["tie_word_embeddings"] and "lm_head" in model:
        model.pop("lm_head")
    weights = {
        path: mx.random.normal(array.shape) * spread + ("norm" in path and not name.startswith("gemma"))
        for path, array in tree_flatten(model.parameters())
    }
    (folder / "config.json").write_text(json.dumps(config))
    mx.save_safetensors(str(folder / "model.safetensors"), weights, {"format": "mlx"})
    return folder


def write_tokenizer(folder: Path, kind: str, template: str) -> Tokenizer:
    """Writes the tokenizer ``kind`` with its settings, as a model's folder has them."""
    made, settings = _pieces(kind) if kind in ("pieces", "turns", "phi") else _bytes(kind)
    made.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": template, **settings})
    )
    (folder / "generation_config.json").write_text(
        json.dumps({"eos_token_id": [made.token_to_id(text) for text in settings["ends"]]})
    )
    return made


def _bytes(kind: str) -> tuple[Tokenizer, dict[str, Any]]:
    pattern, ignores = BYTE_RULES[kind]
    tokenizer = Tokenizer(models.BPE(ignore_merges=ignores))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])  # fmt: skip
    if kind == "qwen2":
        tokenizer.normalizer = normalizers.NFC()
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.add_tokens([AddedToken("<tool>", special=False, normalized=False)])
    begin = kind == "llama-bpe"
    if begin:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)]
        )
    return tokenizer, {"eos_token": "<|endoftext|>", "ends": ["<|endoftext|>", "<|im_end|>"]} | (
        {"bos_token": "<|endoftext|>"} if begin else {}
    )


def _pieces(kind: str) -> tuple[Tokenizer, dict[str, Any]]:
    """As SentencePiece's become ``tokenizer.json``: every way to make a piece is a merge, by the piece's score."""
    special = {
        "pieces": ["<unk>", "<s>", "</s>"],
        "turns": ["<pad>", "<eos>", "<bos>", "<unk>"],
        "phi": ["<unk>", "<s>", "</s>"],
    }[kind]
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    trained.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=200, show_progress=False))
    learned = json.loads(trained.to_str())["model"]
    bytes_ = [f"<0x{byte:02X}>" for byte in range(256)]
    letters = sorted(set(learned["vocab"]) - {"".join(pair) for pair in learned["merges"]})
    pieces = list(dict.fromkeys("".join(pair) for pair in learned["merges"]))
    vocab = {text: number for number, text in enumerate([*special, *bytes_, *pieces, *letters])}
    merges = [
        (piece[:cut], piece[cut:]) for piece in pieces for cut in range(1, len(piece))
        if piece[:cut] in vocab and piece[cut:] in vocab
    ]  # fmt: skip
    tokenizer = Tokenizer(models.BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    replace = normalizers.Replace(" ", "▁")
    tokenizer.normalizer = replace if kind == "turns" else normalizers.Sequence([normalizers.Prepend("▁"), replace])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in special])
    if kind == "turns":
        tokenizer.add_special_tokens(["<start_of_turn>", "<end_of_turn>"])
    if kind == "phi":
        tokenizer.add_special_tokens(
            [
                AddedToken(text, special=True, normalized=False, rstrip=True)
                for text in ("<|user|>", "<|assistant|>", "<|end|>", "<|system|>")
            ]
        )
        tokenizer.add_special_tokens(["<|endoftext|>"])
        tokenizer.add_special_tokens([AddedToken("</s>", special=True, normalized=False, rstrip=True)])
    if kind != "phi":
        begin = "<bos>" if kind == "turns" else "<s>"
        tokenizer.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A", special_tokens=[(begin, vocab[begin])]
        )
    end = ENDS[kind]
    return tokenizer, {
        "bos_token": "<bos>" if kind == "turns" else "<s>", "eos_token": end, "unk_token": "<unk>",
        "ends": [end, *{"turns": ["<end_of_turn>"], "phi": ["<|end|>"]}.get(kind, [])],
    }  # fmt: skip
