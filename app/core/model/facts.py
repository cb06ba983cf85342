"""The facts of a model that its ``config.json`` tells, whatever names its authors chose for them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

# Wrappers of models for pictures and sound keep the language model's values in a config of their own.
_NESTED = ("text_config", "llm_config", "language_config", "thinker_config")


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Sizes as the config states them, 0 where it does not; ``dtype`` in MLX's names, empty if unsaid."""

    model_type: str
    architecture: str
    hidden_size: int
    vocab_size: int
    num_heads: int
    num_kv_heads: int
    head_dim: int
    max_length: int
    experts_per_token: int
    dtype: str

    def as_fields(self) -> dict[str, Any]:
        """Those that are fields of an inspection under the same name (the dtype is settled elsewhere)."""
        return {name: value for name, value in asdict(self).items() if name != "dtype"}


def _parts(config: dict[str, Any]) -> list[dict[str, Any]]:
    """The config and those of the language model inside it, which say it better."""
    return [config, *(config[name] for name in _NESTED if isinstance(config.get(name), dict))]


def layer_count(config: dict[str, Any]) -> int:
    """How many layers the config says that the model has; 0 where it does not."""
    for part in reversed(_parts(config)):
        for name in ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers"):
            if isinstance(value := part.get(name), int) and not isinstance(value, bool) and value > 0:
                return value
    return 0


def model_facts(config: dict[str, Any]) -> ModelFacts:
    """Reads the facts; a value that is a list (one for each layer) counts as its largest."""
    parts = _parts(config)

    def number(*names: str) -> int:
        for part in reversed(parts):
            for name in names:
                value = part.get(name)
                if isinstance(value, list) and value and all(isinstance(item, (int, float)) for item in value):
                    value = max(value)
                if isinstance(value, (int, float)) and not isinstance(value, bool):
                    return int(value)
        return 0

    architectures = config.get("architectures") or ()
    heads = number("num_attention_heads", "n_head", "n_heads", "num_heads", "num_query_heads")
    hidden = number("hidden_size", "n_embd", "d_model", "model_dim", "hidden_dim", "dim")
    return ModelFacts(
        model_type=str(config.get("model_type") or ""),
        architecture=str(architectures[0]) if isinstance(architectures, list) and architectures else "",
        hidden_size=hidden,
        vocab_size=number("vocab_size", "n_vocab"),
        num_heads=heads,
        num_kv_heads=number("num_key_value_heads", "num_kv_heads", "n_kv_heads") or heads,
        head_dim=number("head_dim") or (hidden // heads if heads else 0),
        max_length=number("max_position_embeddings", "n_positions", "n_ctx", "max_sequence_length", "seq_length"),
        experts_per_token=number("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_top_k", "top_k"),
        dtype=_dtype(parts),
    )


def _dtype(parts: list[dict[str, Any]]) -> str:
    for part in reversed(parts):
        value = part.get("torch_dtype") or part.get("dtype")
        if isinstance(value, str):
            name = value.removeprefix("torch.")
            return {"float": "float32", "half": "float16"}.get(name, name)
    return ""
